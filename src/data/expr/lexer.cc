#include "data/expr/lexer.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "data/columnar/text.h"

namespace runink::expr {

using columnar::DataType;
using columnar::TextError;
using columnar::TypeId;
using columnar::Value;

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

constexpr std::array<std::string_view, 17> kReserved = {"and",  "or",    "not",  "is",   "in",      "between",
                                                        "true", "false", "null", "case", "when",    "then",
                                                        "else", "end",   "as",   "cast", "try_cast"};

// Characters that word processors put where a programmer meant another.
struct Lookalike {
  std::string_view bytes;
  std::string_view name;
  std::string_view meant;
};
constexpr std::array<Lookalike, 10> kLookalikes = {{{"\xE2\x80\x9C", "a curly quote", "\""},
                                                    {"\xE2\x80\x9D", "a curly quote", "\""},
                                                    {"\xE2\x80\x98", "a curly quote", "'"},
                                                    {"\xE2\x80\x99", "a curly quote", "'"},
                                                    {"\xE2\x80\x93", "an en dash", "-"},
                                                    {"\xE2\x80\x94", "an em dash", "-"},
                                                    {"\xE2\x88\x92", "a minus sign", "-"},
                                                    {"\xC2\xA0", "a no-break space", "a plain space"},
                                                    {"\xE2\x89\xA0", "a not-equal sign", "!="},
                                                    {"\xE2\x89\xA4", "a less-or-equal sign", "<="}}};

}  // namespace

bool is_name_start(char c) { return is_letter(c) || c == '_' || static_cast<unsigned char>(c) >= 0x80; }
bool is_name_char(char c) { return is_name_start(c) || is_digit(c); }
bool is_reserved_word(std::string_view word) {
  return std::find(kReserved.begin(), kReserved.end(), word) != kReserved.end();
}

Lexer::Lexer(const SourceText& source, Span region, const ParseOptions& options, Diagnostics& diagnostics)
    : source_(source), region_(region), options_(options), diagnostics_(diagnostics) {
  const std::string_view raw = std::string_view(source.text()).substr(region.offset, region.length);
  if (!options.table_cell) {
    input_ = raw;
    return;
  }
  for (size_t i = 0; i < raw.size(); ++i) {
    offsets_.push_back(region.offset + i);
    if (raw[i] == '\\' && i + 1 < raw.size() && (raw[i + 1] == '|' || raw[i + 1] == '\\' || raw[i + 1] == 'n')) {
      ++i;
      cooked_.push_back(raw[i] == 'n' ? '\n' : raw[i]);
    } else {
      cooked_.push_back(raw[i]);
    }
  }
  offsets_.push_back(region.offset + raw.size());
  input_ = cooked_;
}

Span Lexer::span(size_t begin, size_t end) const {
  const size_t from = source_offset(begin);
  return {from, source_offset(end) - from};
}

size_t Lexer::cooked_offset(size_t source) const {
  if (offsets_.empty()) return source - region_.offset;
  return static_cast<size_t>(std::lower_bound(offsets_.begin(), offsets_.end(), source) - offsets_.begin());
}

std::string_view Lexer::rest_from(size_t begin) const { return input_.substr(cooked_offset(begin)); }
void Lexer::skip_to(size_t begin, size_t count) { pos_ = cooked_offset(begin) + count; }

bool Lexer::fail(size_t begin, size_t end, std::string message, std::string help) {
  auto& d = diagnostics_.error(source_, span(begin, std::max(begin, std::min(end, input_.size()))), "expr.syntax",
                               std::move(message));
  if (!help.empty()) d.help.push_back(std::move(help));
  return false;
}

void Lexer::skip_space() {
  while (pos_ < input_.size()) {
    const char c = input_[pos_];
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      ++pos_;
    } else if (options_.comments && c == '/' && at(pos_ + 1) == '/') {
      while (pos_ < input_.size() && input_[pos_] != '\n') ++pos_;
    } else if (options_.comments && c == '/' && at(pos_ + 1) == '*') {
      const size_t close = input_.find("*/", pos_ + 2);
      if (close == std::string_view::npos) return;  // the sign() that follows reports it
      pos_ = close + 2;
    } else {
      return;
    }
  }
}

size_t Lexer::next_offset() {
  skip_space();
  return source_offset(pos_);
}

bool Lexer::next(Token* token) {
  skip_space();
  *token = Token();
  if (pos_ >= input_.size()) {
    token->span = span(input_.size(), input_.size());
    return true;
  }
  const char c = input_[pos_];
  if (is_digit(c) || (c == '.' && is_digit(at(pos_ + 1)))) return number(token);
  if (c == '"' || c == '\'') return string(token, c);
  if (c == '`') return quoted_name(token);
  if (!is_name_start(c)) return sign(token);
  for (const auto& lookalike : kLookalikes) {
    if (input_.substr(pos_).starts_with(lookalike.bytes)) {
      return fail(pos_, pos_ + lookalike.bytes.size(), fmt::format("{} is not part of the language", lookalike.name),
                  fmt::format("write {}", lookalike.meant));
    }
  }
  const size_t begin = pos_;
  while (pos_ < input_.size() && is_name_char(input_[pos_])) ++pos_;
  token->kind = TokenKind::kName;
  token->text = std::string(input_.substr(begin, pos_ - begin));
  token->span = span(begin, pos_);
  if (!is_valid_utf8(token->text)) return fail(begin, pos_, "this is not valid UTF-8");
  return true;
}

// 12, 12.5, 1e9, 2h30m. The type tells which.
bool Lexer::number(Token* token) {
  const size_t begin = pos_;
  while (is_digit(at(pos_))) ++pos_;
  const size_t integer_end = pos_;
  if (at(pos_) == '.' && is_digit(at(pos_ + 1))) {
    ++pos_;
    while (is_digit(at(pos_))) ++pos_;
  }
  const size_t fraction_end = pos_;
  bool exponent = false;
  if (at(pos_) == 'e' || at(pos_) == 'E') {
    size_t p = pos_ + 1;
    if (at(p) == '+' || at(p) == '-') ++p;
    if (is_digit(at(p))) {
      while (is_digit(at(p))) ++p;
      pos_ = p;
      exponent = true;
    }
  }
  token->kind = TokenKind::kLiteral;
  if (is_name_char(at(pos_))) {
    while (is_name_char(at(pos_)) || (at(pos_) == '.' && is_digit(at(pos_ + 1)))) ++pos_;
    const std::string text(input_.substr(begin, pos_ - begin));
    int64_t micros = 0;
    if (text[0] == '.' || columnar::parse_duration(text, &micros) != TextError::kOk) {
      return fail(begin, pos_, fmt::format("`{}` is neither a number nor a duration", text),
                  "durations are written 2d, 15m, 2h30m, 90s, 250ms, 10us or 1w, with the units in falling order; "
                  "a name that begins with a digit needs back quotes: `" +
                      text + "`");
    }
    token->text = text;
    token->span = span(begin, pos_);
    token->type = DataType(TypeId::kDuration);
    token->value = Value(micros);
    return true;
  }
  const std::string text(input_.substr(begin, pos_ - begin));
  token->text = text;
  token->span = span(begin, pos_);
  if (exponent) {
    double value = 0;
    if (columnar::parse_double(text, &value) != TextError::kOk) {
      return fail(begin, pos_, fmt::format("`{}` is outside float64", text));
    }
    token->type = DataType(TypeId::kFloat64);
    token->value = Value(value);
    return true;
  }
  const bool has_fraction = fraction_end != integer_end;
  if (!has_fraction) {
    int64_t small = 0;
    uint64_t large = 0;
    if (columnar::parse_int64(text, &small) == TextError::kOk) {
      token->type = DataType(TypeId::kInt64);
      token->value = Value(small);
      return true;
    }
    if (columnar::parse_uint64(text, &large) == TextError::kOk) {
      token->type = DataType(TypeId::kUInt64);
      token->value = Value(large);
      return true;
    }
  }
  size_t first = begin;
  while (first < integer_end && input_[first] == '0') ++first;
  const int integer_digits = static_cast<int>(std::min<size_t>(integer_end - first, 100));
  const int scale = has_fraction ? static_cast<int>(std::min<size_t>(fraction_end - integer_end - 1, 100)) : 0;
  const int precision = std::max({integer_digits + scale, scale, 1});
  columnar::int128 value = 0;
  if (precision > 38 || columnar::parse_decimal(text, precision, scale, &value) != TextError::kOk) {
    return fail(begin, pos_, "a number has at most 38 digits",
                "write it with an exponent, as in 1.5e40, for a float64");
  }
  token->type = DataType::decimal(precision, scale);
  token->value = Value(value);
  return true;
}

bool Lexer::escape(std::string* out, size_t start) {
  const char c = at(pos_);
  ++pos_;
  switch (c) {
    case 'n':
      out->push_back('\n');
      return true;
    case 't':
      out->push_back('\t');
      return true;
    case 'r':
      out->push_back('\r');
      return true;
    case '\\':
    case '"':
    case '\'':
    case '/':
      out->push_back(c);
      return true;
    case 'u': {
      const bool braces = at(pos_) == '{';
      if (braces) ++pos_;
      uint32_t code = 0;
      int digits = 0;
      const int most = braces ? 6 : 4;
      while (digits < most && std::isxdigit(static_cast<unsigned char>(at(pos_)))) {
        const char d = at(pos_);
        code = code * 16 + static_cast<uint32_t>(is_digit(d) ? d - '0' : (d | 32) - 'a' + 10);
        ++pos_;
        ++digits;
      }
      const bool closed = !braces || at(pos_) == '}';
      if (braces && closed) ++pos_;
      if (digits == 0 || (!braces && digits != 4) || !closed || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) {
        return fail(start, pos_, "this escape is not a Unicode code point", "write \\u00e9 or \\u{1F600}");
      }
      append_utf8(*out, code);
      return true;
    }
    default:
      return fail(
          start, pos_, "this escape is not known",
          "known are \\n \\t \\r \\\\ \\\" \\' and \\u{…}; a backslash itself, as in a pattern, is written \\\\");
  }
}

bool Lexer::string(Token* token, char quote) {
  const size_t begin = pos_++;
  std::string out;
  while (true) {
    if (pos_ >= input_.size() || input_[pos_] == '\n') {
      return fail(begin, pos_, "this text has no closing quote", fmt::format("close it with {}", quote));
    }
    const char c = input_[pos_];
    if (c == quote) break;
    if (c == '\\') {
      const size_t start = pos_++;
      if (!escape(&out, start)) return false;
      continue;
    }
    if (static_cast<unsigned char>(c) < 0x20 && c != '\t') {
      return fail(pos_, pos_ + 1, "a control byte inside a text", "write it as an escape, such as \\u0007");
    }
    out.push_back(c);
    ++pos_;
  }
  ++pos_;
  if (!is_valid_utf8(out)) return fail(begin, pos_, "this text is not valid UTF-8");
  token->kind = TokenKind::kLiteral;
  token->type = DataType(TypeId::kString);
  token->value = Value(std::move(out));
  token->text = std::string(input_.substr(begin, pos_ - begin));
  token->span = span(begin, pos_);
  return true;
}

// A back quote inside is written twice.
bool Lexer::quoted_name(Token* token) {
  const size_t begin = pos_++;
  std::string out;
  while (true) {
    if (pos_ >= input_.size() || input_[pos_] == '\n') {
      return fail(begin, pos_, "this name has no closing back quote", "close it with `");
    }
    if (input_[pos_] == '`') {
      if (at(pos_ + 1) != '`') break;
      ++pos_;
    }
    out.push_back(input_[pos_++]);
  }
  ++pos_;
  if (out.empty()) return fail(begin, pos_, "this name is empty");
  if (!is_valid_utf8(out)) return fail(begin, pos_, "this name is not valid UTF-8");
  token->kind = TokenKind::kQuotedName;
  token->text = std::move(out);
  token->span = span(begin, pos_);
  return true;
}

bool Lexer::sign(Token* token) {
  static constexpr std::array<std::string_view, 20> kSigns = {"==", "!=", "<=", ">=", "<>", "&&", "||",
                                                              "**", "::", "??", "//", "/*", "->", "=>",
                                                              ":=", "=~", "!~", "<<", ">>", "[["};
  const size_t begin = pos_;
  std::string_view found = input_.substr(pos_, 1);
  for (const auto sign : kSigns) {
    if (input_.substr(pos_, 2) == sign) found = sign;
  }
  const auto byte = static_cast<unsigned char>(found[0]);
  if (byte < 0x20 || byte == 0x7F) return fail(begin, begin + 1, "a control byte is not part of the language");
  if (found == "/*" && options_.comments)
    return fail(begin, input_.size(), "this comment is not closed", "close it with */");
  pos_ += found.size();
  token->kind = TokenKind::kSign;
  token->text = std::string(found);
  token->span = span(begin, pos_);
  return true;
}

}  // namespace runink::expr
