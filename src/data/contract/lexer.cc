#include "data/contract/lexer.h"

#include <fmt/format.h>

#include "base/text.h"

namespace runink::contract {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_word_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_word_part(char c) { return is_word_start(c) || is_digit(c); }

int hex_value(char c) {
  if (is_digit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Offset just past a string that begins at `at`, or npos when it does not end on its line.
size_t end_of_string(std::string_view text, size_t at) {
  const char quote = text[at];
  for (size_t i = at + 1; i < text.size() && text[i] != '\n'; ++i) {
    if (text[i] == '\\' && i + 1 < text.size() && text[i + 1] != '\n') {
      ++i;
    } else if (text[i] == quote) {
      return i + 1;
    }
  }
  return std::string_view::npos;
}

// Offset just past a comment that begins at `at`; `at` itself when there is none; npos when /* does not end.
size_t end_of_comment(std::string_view text, size_t at) {
  if (text.substr(at, 2) == "//") {
    const size_t end = text.find('\n', at);
    return end == std::string_view::npos ? text.size() : end;
  }
  if (text.substr(at, 2) == "/*") {
    const size_t end = text.find("*/", at + 2);
    return end == std::string_view::npos ? std::string_view::npos : end + 2;
  }
  return at;
}

}  // namespace

bool Lexer::skip_blank() {
  const std::string_view all = text();
  while (at_ < all.size()) {
    if (is_blank(all[at_])) {
      ++at_;
      continue;
    }
    // A byte order mark is a blank at the very beginning only.
    if (at_ == 0 && all.substr(0, 3) == "\xEF\xBB\xBF") {
      at_ = 3;
      continue;
    }
    const size_t end = end_of_comment(all, at_);
    if (end == at_) return true;
    if (end == std::string_view::npos) {
      diagnostics_.error(source_, {at_, 2}, "contract.syntax", "this comment does not end")
          .help.push_back("close it with */");
      at_ = all.size();
      return false;
    }
    at_ = end;
  }
  return true;
}

Token Lexer::next() {
  skip_blank();
  const std::string_view all = text();
  Token token;
  token.span = {at_, 0};
  if (at_ >= all.size()) return token;
  const char c = all[at_];
  if (is_word_start(c)) return word_token();
  if (c == '"') return string_token();
  if (c == '`') return quoted_word();
  if (is_digit(c)) {
    size_t end = at_;
    while (end < all.size() && is_digit(all[end])) ++end;
    token.kind = TokenKind::kNumber;
    token.text = std::string(all.substr(at_, end - at_));
    token.span.length = end - at_;
    at_ = end;
    return token;
  }
  token.kind = TokenKind::kPunctuation;
  token.text = std::string(1, c);
  token.span.length = 1;
  if (std::string_view("{}()<>[],;:.#=-+*/!@$%^&|?~'\\").find(c) == std::string_view::npos) {
    // One diagnostic for a whole run of characters that belong nowhere.
    size_t end = at_ + 1;
    while (end < all.size() &&
           (static_cast<unsigned char>(all[end]) >= 0x80 || static_cast<unsigned char>(all[end]) < 0x20) &&
           !is_blank(all[end])) {
      ++end;
    }
    token.kind = TokenKind::kBad;
    token.span.length = end - at_;
    diagnostics_
        .error(source_, token.span, "contract.syntax",
               fmt::format("\"{}\" has no place here", escape_control(all.substr(at_, end - at_))))
        .help.push_back("a name with such characters is written in backquotes: `…`");
  }
  at_ += token.span.length;
  return token;
}

Token Lexer::word_token() {
  const std::string_view all = text();
  size_t end = at_;
  while (end < all.size() && is_word_part(all[end])) ++end;
  Token token{TokenKind::kWord, std::string(all.substr(at_, end - at_)), {at_, end - at_}};
  at_ = end;
  return token;
}

Token Lexer::quoted_word() {
  const std::string_view all = text();
  size_t end = at_ + 1;
  while (end < all.size() && all[end] != '`' && all[end] != '\n') ++end;
  Token token{TokenKind::kWord, std::string(all.substr(at_ + 1, end - at_ - 1)), {at_, end - at_}};
  if (end >= all.size() || all[end] != '`') {
    token.kind = TokenKind::kBad;
    diagnostics_.error(source_, token.span, "contract.syntax", "this name does not end: a closing ` is missing");
    at_ = end;
    return token;
  }
  token.span.length = end + 1 - at_;
  at_ = end + 1;
  const bool usable = !token.text.empty() && token.text != "*" && token.text.find('.') == std::string::npos && is_valid_utf8(token.text) &&
                      escape_control(token.text) == token.text;
  if (!usable) {
    token.kind = TokenKind::kBad;
    diagnostics_
        .error(source_, token.span, "contract.name", "a name must not be empty nor *, nor hold dots or control characters")
        .help.push_back("a dot separates a struct from its member: `billing`.`post code`");
  }
  return token;
}

Token Lexer::string_token() {
  const std::string_view all = text();
  Token token{TokenKind::kString, {}, {at_, 1}};
  const size_t end = end_of_string(all, at_);
  if (end == std::string_view::npos) {
    const size_t line_end = std::min(all.find('\n', at_), all.size());
    token.kind = TokenKind::kBad;
    token.span.length = line_end - at_;
    diagnostics_.error(source_, token.span, "contract.syntax", "this string does not end on its line")
        .help.push_back("close it with \"; a line break inside is written \\n");
    at_ = line_end;
    return token;
  }
  token.span.length = end - at_;
  for (size_t i = at_ + 1; i + 1 < end; ++i) {
    if (all[i] != '\\') {
      token.text += all[i];
      continue;
    }
    const char escape = all[++i];
    switch (escape) {
      case 'n':
        token.text += '\n';
        break;
      case 't':
        token.text += '\t';
        break;
      case 'r':
        token.text += '\r';
        break;
      case '"':
      case '\\':
      case '/':
        token.text += escape;
        break;
      case 'u': {
        uint32_t code = 0;
        bool good = i + 4 < end;
        for (size_t k = 1; good && k <= 4; ++k) {
          const int digit = hex_value(all[i + k]);
          good = digit >= 0;
          code = code * 16 + static_cast<uint32_t>(digit < 0 ? 0 : digit);
        }
        if (!good || code == 0 || (code >= 0xD800 && code <= 0xDFFF)) {
          diagnostics_.error(source_, {i - 1, 2}, "contract.escape",
                             "\\u needs four hexadecimal digits of a character");
        } else {
          append_utf8(token.text, code);
          i += 4;
        }
        break;
      }
      default:
        // Patterns are full of backslashes: \d stays what it is, so that nobody has to double them.
        token.text += '\\';
        token.text += escape;
    }
  }
  if (!is_valid_utf8(token.text) || token.text.find('\0') != std::string::npos) {
    diagnostics_.error(source_, token.span, "contract.escape", "this string is not valid UTF-8 text");
    token.kind = TokenKind::kBad;
  }
  at_ = end;
  return token;
}

Span Lexer::raw_until(std::string_view ends) {
  const std::string_view all = text();
  skip_blank();
  const size_t begin = at_;
  size_t last = at_;  // past the last character that is no blank
  int depth = 0;
  while (at_ < all.size()) {
    const char c = all[at_];
    const size_t comment_end = end_of_comment(all, at_);
    if (comment_end == std::string_view::npos) {
      skip_blank();  // reports it
      break;
    }
    if (comment_end != at_) {
      at_ = comment_end;
      continue;
    }
    if (depth == 0 && (ends.find(c) != std::string_view::npos || all.substr(at_, 2) == "[[")) break;
    if (c == '"' || c == '\'' || c == '`') {
      const size_t end = end_of_string(all, at_);
      at_ = end == std::string_view::npos ? at_ + 1 : end;
      last = at_;
      continue;
    }
    if (c == '(' || c == '[') ++depth;
    if ((c == ')' || c == ']') && depth > 0) --depth;
    // A bracket that is not closed must not swallow the rest of the file.
    if (c == ';' || c == '{' || c == '}') break;
    ++at_;
    if (!is_blank(c)) last = at_;
  }
  return {begin, last - begin};
}

std::string without_comments(std::string_view text) {
  std::string out(text);
  size_t i = 0;
  while (i < text.size()) {
    const size_t comment_end = std::min(end_of_comment(text, i), text.size());
    if (comment_end != i) {
      for (; i < comment_end; ++i) out[i] = text[i] == '\n' ? '\n' : ' ';
      continue;
    }
    if (text[i] == '"' || text[i] == '\'' || text[i] == '`') {
      const size_t end = end_of_string(text, i);
      i = end == std::string_view::npos ? i + 1 : end;
      continue;
    }
    ++i;
  }
  return out;
}

}  // namespace runink::contract
