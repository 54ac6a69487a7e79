// Tokens of the contract language. Internal to this module.
#pragma once

#include <string>
#include <string_view>

#include "base/diagnostic.h"

namespace runink::contract {

enum class TokenKind { kEnd, kWord, kString, kNumber, kPunctuation, kBad };

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;  // a word without backquotes, a string's content, digits, one character of punctuation
  Span span;
  bool is(char c) const { return kind == TokenKind::kPunctuation && text[0] == c; }
  bool is_word(std::string_view word) const { return kind == TokenKind::kWord && text == word; }
};

class Lexer {
 public:
  Lexer(const SourceText& source, Diagnostics& diagnostics) : source_(source), diagnostics_(diagnostics) {}

  // Skips white space and comments. A bad character or an unterminated string or comment is reported once, as kBad.
  Token next();
  size_t position() const { return at_; }
  void seek(size_t offset) { at_ = offset; }

  // From the present position to the end of a piece of another language: the first of the characters in `ends` outside
  // brackets, strings and comments (or "[[" or the end of the text). The position is then at that character.
  Span raw_until(std::string_view ends);

 private:
  bool skip_blank();  // false: an unterminated comment was reported
  Token string_token();
  Token word_token();
  Token quoted_word();
  std::string_view text() const { return source_.text(); }

  const SourceText& source_;
  Diagnostics& diagnostics_;
  size_t at_ = 0;
};

// Comments overwritten by blanks of the same length (line breaks kept), so that positions stay true.
std::string without_comments(std::string_view text);

}  // namespace runink::contract
