// Words of the expression language. Internal to the parser.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "data/columnar/type.h"
#include "data/columnar/value.h"
#include "data/expr/ast.h"

namespace runink::expr {

enum class TokenKind { kEnd, kLiteral, kName, kQuotedName, kSign };

struct Token {
  TokenKind kind = TokenKind::kEnd;
  Span span;                // in the source text
  std::string text;         // name, sign ("<="), or for a literal its source form
  columnar::DataType type;  // kLiteral: int64, uint64, decimal, float64, duration or string
  columnar::Value value;
  bool is_string() const { return kind == TokenKind::kLiteral && type.id() == columnar::TypeId::kString; }
  bool is_number() const { return kind == TokenKind::kLiteral && type.id() != columnar::TypeId::kString; }
};

// Turns a region into words, one at a time, so that a parser can stop where an expression ends.
class Lexer {
 public:
  Lexer(const SourceText& source, Span region, const ParseOptions& options, Diagnostics& diagnostics);

  // False on an error, which has then been reported. At the end: a kEnd token with an empty span at the end.
  bool next(Token* token);
  // Where the next word begins, white space and comments skipped; a source offset.
  size_t next_offset();
  // Raw text from source offset `begin` on, with the escapes of a table cell undone.
  std::string_view rest_from(size_t begin) const;
  // Continues after `count` bytes of rest_from(begin).
  void skip_to(size_t begin, size_t count);

 private:
  void skip_space();
  bool number(Token* token);
  bool string(Token* token, char quote);
  bool quoted_name(Token* token);
  bool escape(std::string* out, size_t start);
  bool sign(Token* token);
  bool fail(size_t begin, size_t end, std::string message, std::string help = {});
  Span span(size_t begin, size_t end) const;
  size_t source_offset(size_t at) const { return offsets_.empty() ? region_.offset + at : offsets_[at]; }
  size_t cooked_offset(size_t source) const;
  char at(size_t i) const { return i < input_.size() ? input_[i] : '\0'; }

  const SourceText& source_;
  Span region_;
  ParseOptions options_;
  Diagnostics& diagnostics_;
  std::string cooked_;           // table cells only
  std::vector<size_t> offsets_;  // source offset of each byte of cooked_, and of its end
  std::string_view input_;
  size_t pos_ = 0;
};

bool is_name_start(char c);
bool is_name_char(char c);
// Words that cannot be field names without back quotes.
bool is_reserved_word(std::string_view word);

}  // namespace runink::expr
