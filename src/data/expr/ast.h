// The tree of an expression as written, and the parser that makes it.
//
// Expressions sit inside larger texts (contracts, feature files, table cells); every node carries the byte span it came
// from, so that diagnostics point into the user's own file. The language is described in docs/guide/expressions.md.
//
// A tree is immutable and may be shared between threads. It is at most kMaxDepth deep, so walking it recursively is
// safe.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.h"
#include "data/columnar/type.h"
#include "data/columnar/value.h"

namespace runink::expr {

inline constexpr int kMaxNesting = 200;           // of parentheses, calls, `not`, `-`: how deep the parser goes
inline constexpr int kMaxDepth = 1000;            // of the tree: a chain such as a + b + c … is as deep as it is long
inline constexpr size_t kMaxSourceBytes = 65536;  // of one expression's text
inline constexpr size_t kMaxNodes = 20000;        // of one expression

struct Expr;
using ExprPtr = std::shared_ptr<const Expr>;

struct Expr {
  enum class Kind {
    kLiteral,  // type, value (a decimal literal has type decimal; the literal null has type kNull)
    kField,    // name, as written: "delay", "billing.city", "airports.iata"
    kCall,     // name and args: functions ("lower"), and everything with a sign of its own (see below)
    kCast,     // args[0] to `type`; `lenient` for try_cast
  };
  Kind kind = Kind::kLiteral;
  Span span;                  // the whole of this node, parentheses around it excluded
  columnar::DataType type;    // kLiteral, kCast
  columnar::Value value;      // kLiteral
  std::string name;           // kField, kCall
  Span name_span;             // kField, kCall: where the name or sign stands
  bool lenient = false;       // kCast
  int depth = 1;              // of the tree below and including this node
  std::vector<ExprPtr> args;  // kCall, kCast
};

// Names of calls that have a sign or a form of their own, with their arguments:
//   "+" "-" "*" "/" "%"  two;  "neg"  one;  "==" "!=" "<" "<=" ">" ">="  two;
//   "and" "or"  two or more (a chain is one node);  "not"  one;
//   "is null" "is not null"  one;  "in" "not in"  the value, then the members;  "between" "not between"  three;
//   "case"  condition, value, condition, value, …, and last the value of `else` (the literal null when absent).
// `if(a, b, c)` is a call named "if".

struct ParseOptions {
  bool table_cell = false;     // `\|` stands for `|` and `\\` for `\`, as in the cells of a feature's tables
  bool comments = false;       // `//` to the end of the line and `/* */` are white space, as in contracts
  bool single_equals = false;  // `=` means `==`, as in the `on` of a join; elsewhere it is an error that says so
};

// Parses all of `region`; what follows the expression is an error. Null when there was an error, and then
// `diagnostics` has gained at least one.
ExprPtr parse(const SourceTextPtr& text, Span region, Diagnostics& diagnostics, const ParseOptions& options = {});

// Parses the longest expression at the start of `region` and says in `end` (a byte offset into the text) where the rest
// begins, with white space and comments before it skipped. For contracts, where `;` or `[[` follows.
ExprPtr parse_prefix(const SourceTextPtr& text, Span region, Diagnostics& diagnostics, size_t* end,
                     const ParseOptions& options = {});

// The type as written in a contract or in cast(): "int32", "decimal(12,2)", "list<string>", "enum(a, b)". `text` is all
// of it. Struct types are not written in expressions.
Result<columnar::DataType> parse_type(std::string_view text);

// The one canonical text of an expression: single spaces, the fewest parentheses, double-quoted strings. Two trees with
// the same text mean the same. Contract hashes cover it.
std::string to_text(const Expr& expr);

// The names of all fields that occur, as written, each once, in order of first appearance.
std::vector<std::string> field_names(const Expr& expr);

}  // namespace runink::expr
