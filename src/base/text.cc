#include "base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <cstring>

namespace runink {

namespace {

// Length of the valid UTF-8 sequence at the start of text, 0 if there is none. Refuses overlong forms, surrogates and
// code points above U+10FFFF (RFC 3629).
size_t sequence_length(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(text[i]); };
  const auto continues = [&](size_t i) { return i < text.size() && (byte(i) & 0xC0) == 0x80; };
  const uint8_t lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2) return 0;
  if (lead < 0xE0) return continues(1) ? 2 : 0;
  if (lead < 0xF0) {
    if (!continues(1) || !continues(2)) return 0;
    if (lead == 0xE0 && byte(1) < 0xA0) return 0;
    if (lead == 0xED && byte(1) > 0x9F) return 0;
    return 3;
  }
  if (lead > 0xF4 || !continues(1) || !continues(2) || !continues(3)) return 0;
  if (lead == 0xF0 && byte(1) < 0x90) return 0;
  if (lead == 0xF4 && byte(1) > 0x8F) return 0;
  return 4;
}

}  // namespace

size_t count_code_points(std::string_view text) {
  size_t count = 0;
  for (char c : text) count += (c & 0xC0) != 0x80;
  return count;
}

std::string_view code_point_slice(std::string_view text, size_t first, size_t count) {
  size_t begin = text.size(), end = text.size(), seen = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((text[i] & 0xC0) == 0x80) continue;
    if (seen == first) begin = i;
    if (seen == first + count) {
      end = i;
      break;
    }
    ++seen;
  }
  return text.substr(begin, end - begin);
}

bool is_valid_utf8(std::string_view text) {
  while (!text.empty()) {
    // Mostly ASCII: eight bytes at a time.
    uint64_t block;
    while (text.size() >= sizeof block) {
      std::memcpy(&block, text.data(), sizeof block);
      if ((block & 0x8080808080808080u) != 0) break;
      text.remove_prefix(sizeof block);
    }
    if (text.empty()) break;
    const size_t n = sequence_length(text);
    if (n == 0) return false;
    text.remove_prefix(n);
  }
  return true;
}

void append_utf8(std::string& out, uint32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

std::string escape_control(std::string_view text, bool keep_tab) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t n = sequence_length(text);
    const auto lead = static_cast<uint8_t>(text[0]);
    if (n == 0) {
      out += fmt::format("\\x{:02x}", lead);
      text.remove_prefix(1);
      continue;
    }
    if (n == 1 && (lead < 0x20 || lead == 0x7F)) {
      if (lead == '\n') out += "\\n";
      else if (lead == '\t') out += keep_tab ? "\t" : "\\t";
      else if (lead == '\r') out += "\\r";
      else out += fmt::format("\\x{:02x}", lead);
    } else if (n == 2 && lead == 0xC2 && static_cast<uint8_t>(text[1]) < 0xA0) {
      out += fmt::format("\\u{{{:x}}}", static_cast<uint8_t>(text[1]));  // C1 controls
    } else {
      out += text.substr(0, n);
    }
    text.remove_prefix(n);
  }
  return out;
}

void append_json_quoted(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const size_t n = sequence_length(text);
    if (n == 0) {
      out += "\xEF\xBF\xBD";
      text.remove_prefix(1);
      continue;
    }
    const auto lead = static_cast<uint8_t>(text[0]);
    switch (lead) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      default:
        if (lead < 0x20) out += fmt::format("\\u{:04x}", lead);
        else out += text.substr(0, n);
    }
    text.remove_prefix(n);
  }
  out += '"';
}
std::string json_quote(std::string_view text) {
  std::string out;
  append_json_quoted(out, text);
  return out;
}

std::string_view trim(std::string_view text) {
  const auto space = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v'; };
  while (!text.empty() && space(text.front())) text.remove_prefix(1);
  while (!text.empty() && space(text.back())) text.remove_suffix(1);
  return text;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  size_t start = 0;
  for (;;) {
    const size_t end = text.find(separator, start);
    parts.push_back(text.substr(start, end == std::string_view::npos ? end : end - start));
    if (end == std::string_view::npos) return parts;
    start = end + 1;
  }
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  return fmt::format("{}", fmt::join(parts, separator));
}

std::string to_lower_ascii(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = (c >= 'A' && c <= 'Z') ? static_cast<char>(c + 32) : c;
  return out;
}
bool equals_ignore_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && to_lower_ascii(a) == to_lower_ascii(b);
}
bool starts_with_ignore_case(std::string_view text, std::string_view prefix) {
  return text.size() >= prefix.size() && equals_ignore_case(text.substr(0, prefix.size()), prefix);
}

std::string to_hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (unsigned char c : bytes) {
    out += kDigits[c >> 4];
    out += kDigits[c & 15];
  }
  return out;
}

std::string human_bytes(uint64_t bytes) {
  static constexpr const char* kUnits[] = {"B", "kB", "MB", "GB", "TB", "PB"};
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 999.5 && unit + 1 < std::size(kUnits)) {
    value /= 1000;
    ++unit;
  }
  if (unit == 0) return fmt::format("{} B", bytes);
  return fmt::format("{:.{}f} {}", value, value < 9.995 ? 2 : value < 99.95 ? 1 : 0, kUnits[unit]);
}

std::string human_count(uint64_t count) {
  std::string digits = std::to_string(count);
  for (int i = static_cast<int>(digits.size()) - 3; i > 0; i -= 3) digits.insert(static_cast<size_t>(i), ",");
  return digits;
}

std::string human_duration(double seconds) {
  if (seconds < 0.0005) return fmt::format("{:.0f} us", seconds * 1e6);
  if (seconds < 0.9995) return fmt::format("{:.0f} ms", seconds * 1e3);
  if (seconds < 99.95) return fmt::format("{:.{}f} s", seconds, seconds < 9.995 ? 2 : 1);
  const auto whole = static_cast<uint64_t>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole / 60 % 60);
}

namespace {
bool parse_number(std::string_view* text, double* value) {
  size_t n = 0;
  while (n < text->size() && (std::isdigit(static_cast<unsigned char>((*text)[n])) || (*text)[n] == '.')) ++n;
  if (n == 0) return false;
  const auto end = std::from_chars(text->data(), text->data() + n, *value);
  if (end.ec != std::errc() || end.ptr != text->data() + n) return false;
  text->remove_prefix(n);
  return true;
}
}  // namespace

bool parse_bytes(std::string_view text, uint64_t* bytes) {
  text = trim(text);
  double value = 0;
  if (!parse_number(&text, &value)) return false;
  text = trim(text);
  static constexpr struct { std::string_view name; double factor; } kUnits[] = {
      {"", 1}, {"b", 1}, {"k", 1e3}, {"kb", 1e3}, {"m", 1e6}, {"mb", 1e6}, {"g", 1e9}, {"gb", 1e9}, {"t", 1e12},
      {"tb", 1e12}, {"ki", 1024.0}, {"kib", 1024.0}, {"mi", 1048576.0}, {"mib", 1048576.0}, {"gi", 1073741824.0},
      {"gib", 1073741824.0}, {"ti", 1099511627776.0}, {"tib", 1099511627776.0}};
  const std::string unit = to_lower_ascii(text);
  for (const auto& u : kUnits) {
    if (u.name == unit) {
      const double total = value * u.factor;
      if (!(total < 9.2e18)) return false;
      *bytes = static_cast<uint64_t>(total);
      return true;
    }
  }
  return false;
}

bool parse_duration_micros(std::string_view text, int64_t* micros) {
  text = trim(text);
  if (text.empty()) return false;
  double total = 0;
  while (!text.empty()) {
    double value = 0;
    if (!parse_number(&text, &value)) return false;
    size_t n = 0;
    while (n < text.size() && std::isalpha(static_cast<unsigned char>(text[n]))) ++n;
    const std::string_view unit = text.substr(0, n);
    text.remove_prefix(n);
    double factor = 0;
    if (unit == "us") factor = 1;
    else if (unit == "ms") factor = 1e3;
    else if (unit == "s") factor = 1e6;
    else if (unit == "m" || unit == "min") factor = 60e6;
    else if (unit == "h") factor = 3600e6;
    else if (unit == "d") factor = 86400e6;
    else if (unit == "w") factor = 7 * 86400e6;
    else return false;
    total += value * factor;
  }
  if (!(total < 9.2e18)) return false;
  *micros = static_cast<int64_t>(total);
  return true;
}

}  // namespace runink
