#include "platform/telemetry/metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "base/text.h"

namespace runink::telemetry {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_name(std::string_view name) {
  return !name.empty() && is_letter(name[0]) &&
         std::all_of(name.begin(), name.end(), [](char c) { return is_letter(c) || (c >= '0' && c <= '9'); });
}

// Backslash and line end everywhere, quotes in label values only; what is not UTF-8 becomes U+FFFD.
void append_escaped(std::string& out, std::string_view text, bool quotes) {
  std::string clean;
  if (!is_valid_utf8(text)) {
    for (const char c : text) {
      if (static_cast<uint8_t>(c) < 0x80) {
        clean += c;
      } else {
        append_utf8(clean, 0xFFFD);
      }
    }
    text = clean;
  }
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

std::string number_text(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

}  // namespace

Exposition& Exposition::counter(std::string_view name, std::string_view help) {
  RUNINK_CHECK(name.ends_with("_total"));
  begin(name, help, "counter");
  return *this;
}

Exposition& Exposition::gauge(std::string_view name, std::string_view help) {
  RUNINK_CHECK(!name.ends_with("_total"));
  begin(name, help, "gauge");
  return *this;
}

void Exposition::begin(std::string_view name, std::string_view help, std::string_view type) {
  RUNINK_CHECK(is_name(name) && !help.empty());
  RUNINK_CHECK(families_.emplace(name).second);  // all samples of a family stand together
  name_ = name;
  out_ += "# HELP " + name_ + " ";
  append_escaped(out_, help, false);
  out_ += "\n# TYPE " + name_ + " ";
  out_ += type;
  out_ += '\n';
}

void Exposition::sample(double value, Labels labels) { put(number_text(value), labels); }

void Exposition::put(std::string_view value, Labels labels, std::string_view suffix) {
  RUNINK_CHECK(!name_.empty());
  out_ += name_;
  out_ += suffix;
  char before = '{';
  for (const auto& [name, text] : labels) {
    RUNINK_CHECK(is_name(name));
    out_ += before;
    out_ += name;
    out_ += "=\"";
    append_escaped(out_, text, true);
    out_ += '"';
    before = ',';
  }
  if (before == ',') out_ += '}';
  out_ += ' ';
  out_ += value;
  out_ += '\n';
}

void Exposition::histogram(std::string_view name, std::string_view help, std::span<const uint64_t> bounds,
                           std::span<const uint64_t> counts, uint64_t sum, double per_unit) {
  begin(name, help, "histogram");
  uint64_t so_far = 0;
  for (size_t i = 0; i < bounds.size(); ++i) {
    so_far += counts[i];
    put(std::to_string(so_far), {{"le", number_text(static_cast<double>(bounds[i]) / per_unit)}}, "_bucket");
  }
  so_far += counts[bounds.size()];
  put(std::to_string(so_far), {{"le", "+Inf"}}, "_bucket");
  put(number_text(static_cast<double>(sum) / per_unit), {}, "_sum");
  put(std::to_string(so_far), {}, "_count");
}

}  // namespace runink::telemetry
