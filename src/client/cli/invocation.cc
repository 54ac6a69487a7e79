#include "client/cli/invocation.h"

#include <charconv>

#include "base/check.h"
#include "base/text.h"
#include "client/cli/parse.h"

namespace runink::cli {

const ParsedValues* Invocation::find(std::string_view name) const {
  auto found = values_.find(std::string(name));
  if (found != values_.end()) return &found->second;
  return nullptr;
}

bool Invocation::given(std::string_view name) const {
  const ParsedValues* values = find(name);
  RUNINK_CHECK(values != nullptr);
  return values->given;
}

bool Invocation::has(std::string_view name) const { return !texts(name).empty(); }

bool Invocation::enabled(std::string_view name) const { return given(name); }

const std::vector<std::string>& Invocation::texts(std::string_view name) const {
  const ParsedValues* values = find(name);
  RUNINK_CHECK(values != nullptr);
  return values->texts;
}

const std::string& Invocation::text(std::string_view name) const {
  static const std::string empty;
  const std::vector<std::string>& all = texts(name);
  return all.empty() ? empty : all.back();
}

int64_t Invocation::integer(std::string_view name, int64_t otherwise) const {
  if (!has(name)) return otherwise;
  const std::string& value = text(name);
  int64_t number = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  RUNINK_CHECK(error == std::errc());
  return number;
}

double Invocation::number(std::string_view name, double otherwise) const {
  if (!has(name)) return otherwise;
  const std::string& value = text(name);
  if (value.ends_with('%')) {
    double share = 0;
    RUNINK_CHECK(parse_percent(value, &share));
    return share;
  }
  double number = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  RUNINK_CHECK(error == std::errc());
  return number;
}

uint64_t Invocation::bytes(std::string_view name, uint64_t otherwise) const {
  if (!has(name)) return otherwise;
  uint64_t bytes = 0;
  RUNINK_CHECK(parse_bytes(text(name), &bytes));
  return bytes;
}

int64_t Invocation::duration_micros(std::string_view name, int64_t otherwise) const {
  if (!has(name)) return otherwise;
  int64_t micros = 0;
  RUNINK_CHECK(parse_duration_micros(text(name), &micros));
  return micros;
}

OutputForm Invocation::output_form() const {
  Result<OutputForm> form = parse_output_form(text("output"));
  RUNINK_CHECK(form.ok());
  return *form;
}

Status Invocation::usage_error(std::string message) const {
  return invalid_argument("{}", std::move(message)).with_kind(kKindUsage).with_hint("see: " + path_ + " --help");
}

}  // namespace runink::cli
