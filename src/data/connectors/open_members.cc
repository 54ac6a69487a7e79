#include "data/connectors/open_members.h"

#include <charconv>
#include <cstdint>

#include "base/text.h"

namespace runink::connectors {

OpenMembers::OpenMembers(std::string_view object) : rest_(object) {
  skip_space();
  if (!take('{')) rest_ = {};
}

void OpenMembers::skip_space() {
  const size_t at = rest_.find_first_not_of(" \t\r\n");
  rest_.remove_prefix(at == std::string_view::npos ? rest_.size() : at);
}

bool OpenMembers::take(char wanted) {
  skip_space();
  if (rest_.empty() || rest_.front() != wanted) return false;
  rest_.remove_prefix(1);
  skip_space();
  return true;
}

bool OpenMembers::string(std::string_view* inside) {
  if (rest_.empty() || rest_.front() != '"') return false;
  size_t at = 1;
  while (at < rest_.size() && rest_[at] != '"') at += rest_[at] == '\\' ? 2 : 1;
  if (at >= rest_.size()) return false;
  *inside = rest_.substr(1, at - 1);
  rest_.remove_prefix(at + 1);
  return true;
}

bool OpenMembers::value(std::string_view* out) {
  const std::string_view from = rest_;
  int depth = 0;
  while (!rest_.empty()) {
    const char c = rest_.front();
    if (c == '"') {
      std::string_view ignored;
      if (!string(&ignored)) return false;
      continue;
    }
    if (depth == 0 && (c == ',' || c == '}')) break;
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    rest_.remove_prefix(1);
  }
  *out = trim(from.substr(0, from.size() - rest_.size()));
  return depth == 0 && !out->empty();
}

bool OpenMembers::next(OpenMember* out) {
  if (!first_ && !take(',')) return false;
  first_ = false;
  const bool whole = string(&out->key) && take(':') && value(&out->value);
  if (!whole) rest_ = {};
  return whole;
}

namespace {

// Four hexadecimal digits; nothing where they are none.
bool code_unit(std::string_view text, uint32_t* out) {
  if (text.size() < 4) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + 4, *out, 16);
  return error == std::errc() && end == text.data() + 4;
}

}  // namespace

std::string_view plain_text(std::string_view escaped, std::string* scratch) {
  if (escaped.find('\\') == std::string_view::npos) return escaped;
  scratch->clear();
  for (size_t i = 0; i < escaped.size(); ++i) {
    if (escaped[i] != '\\' || i + 1 == escaped.size()) {
      *scratch += escaped[i];
      continue;
    }
    const char c = escaped[++i];
    constexpr std::string_view kLetters = "bfnrt", kMeanings = "\b\f\n\r\t";
    uint32_t high = 0, low = 0;
    if (const size_t letter = kLetters.find(c); letter != std::string_view::npos) {
      *scratch += kMeanings[letter];
    } else if (c == 'u' && code_unit(escaped.substr(i + 1), &high)) {
      i += 4;
      const bool pair = high >= 0xD800 && high < 0xDC00 && escaped.substr(i + 1).starts_with("\\u") &&
                        code_unit(escaped.substr(i + 3), &low) && low >= 0xDC00 && low < 0xE000;
      if (pair) i += 6;
      append_utf8(*scratch, pair ? 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00) : high);
    } else {
      *scratch += c;
    }
  }
  return *scratch;
}

}  // namespace runink::connectors
