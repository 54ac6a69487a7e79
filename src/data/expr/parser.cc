#include <algorithm>
#include <array>
#include <optional>

#include "base/nearest.h"
#include "base/text.h"
#include "data/columnar/text.h"
#include "data/expr/ast.h"
#include "data/expr/lexer.h"
#include "data/expr/type_text.h"

namespace runink::expr {

using columnar::DataType;
using columnar::TextError;
using columnar::TypeId;
using columnar::Value;

namespace {

Span join_spans(Span a, Span b) {
  const size_t begin = std::min(a.offset, b.offset);
  const size_t end = std::max(a.offset + a.length, b.offset + b.length);
  return {begin, end - begin};
}

// What people who know another language write, and what to write here.
struct Foreign {
  std::string_view sign;
  std::string_view message;
  std::string_view help;
};
constexpr std::array<Foreign, 22> kForeign = {{
    {"=", "`=` is not an operator here", "write == to compare"},
    {"<>", "`<>` is not an operator", "write != for \"not equal\""},
    {"&&", "`&&` is not an operator", "write: and"},
    {"||", "`||` is not an operator", "write: or; texts are joined with +"},
    {"!", "`!` is not an operator", "write: not"},
    {"&", "`&` is not an operator", "write: and"},
    {"|", "`|` is not an operator", "write: or"},
    {"**", "`**` is not an operator", "write pow(x, y)"},
    {"^", "`^` is not an operator", "write pow(x, y)"},
    {"//", "`//` is not an operator", "write div(x, y) for division without a remainder"},
    {"/*", "comments are not part of an expression here", ""},
    {"?", "`?` is not an operator", "write if(condition, value, other value)"},
    {"??", "`??` is not an operator", "write coalesce(x, y)"},
    {"::", "`::` is not an operator", "write cast(x as int32)"},
    {"=~", "`=~` is not an operator", "write matches(text, \"pattern\")"},
    {"~", "`~` is not an operator", "write matches(text, \"pattern\")"},
    {"!~", "`!~` is not an operator", "write not matches(text, \"pattern\")"},
    {"->", "`->` is not an operator", "write json_value(json, \"$.name\") to look into JSON"},
    {":=", "`:=` is not an operator", "write == to compare"},
    {"=>", "`=>` is not an operator", "write >= for \"greater or equal\""},
    {"[", "`[` is not an operator", "write element(list, 1) for the first element of a list"},
    {"<<", "`<<` is not an operator", "multiply with pow(2, n)"},
}};

constexpr std::array<std::string_view, 6> kCompareSigns = {"==", "!=", "<", "<=", ">", ">="};
constexpr std::array<std::string_view, 8> kInfixWords = {"and", "or", "is", "in", "between", "not", "like", "as"};

class Parser {
 public:
  Parser(const SourceText& text, Span region, Diagnostics& diagnostics, const ParseOptions& options)
      : text_(text), diagnostics_(diagnostics), options_(options), lexer_(text, region, options, diagnostics) {}

  // Null after an error.
  ExprPtr parse_all() {
    ExprPtr expr = parse_first();
    if (!expr) return nullptr;
    if (token_.kind != TokenKind::kEnd) return unexpected_after(*expr);
    return expr;
  }

  ExprPtr parse_start(size_t* end) {
    ExprPtr expr = parse_first();
    if (!expr) return nullptr;
    // Words and signs that only another language would put here are mistakes, not the start of something else.
    if (token_.kind != TokenKind::kEnd && looks_like_a_mistake()) return unexpected_after(*expr);
    *end = token_.span.offset;
    return expr;
  }

 private:
  using Maybe = std::shared_ptr<Expr>;

  ExprPtr parse_first() {
    if (!advance()) return nullptr;
    if (token_.kind == TokenKind::kEnd) return error(token_.span, "an expression is missing here");
    return parse_or();
  }

  bool advance() { return lexer_.next(&token_); }

  std::nullptr_t error(Span span, std::string message, std::string help = {}) {
    auto& d = diagnostics_.error(text_, span, "expr.syntax", std::move(message));
    if (!help.empty()) d.help.push_back(std::move(help));
    return nullptr;
  }

  bool is_sign(std::string_view sign) const { return token_.kind == TokenKind::kSign && token_.text == sign; }
  bool is_word(std::string_view word) const { return token_.kind == TokenKind::kName && token_.text == word; }

  std::string describe_token() const {
    if (token_.kind == TokenKind::kEnd) return "the end";
    if (token_.kind == TokenKind::kLiteral) return token_.is_string() ? "a text" : "the number " + token_.text;
    return fmt::format("`{}`", escape_control(token_.text));
  }

  bool foreign_sign(std::string* message, std::string* help) const {
    if (token_.kind != TokenKind::kSign) return false;
    for (const auto& f : kForeign) {
      if (f.sign == token_.text) {
        *message = f.message;
        *help = f.help;
        return true;
      }
    }
    return false;
  }

  // Upper-case AND, a misspelt operator word, `like`: something that continues an expression elsewhere.
  bool looks_like_a_mistake() const {
    if (token_.kind == TokenKind::kLiteral || token_.kind == TokenKind::kName ||
        token_.kind == TokenKind::kQuotedName) {
      return true;
    }
    std::string message, help;
    return foreign_sign(&message, &help) || is_sign("(");
  }

  ExprPtr unexpected_after(const Expr& before) {
    std::string message, help;
    if (foreign_sign(&message, &help)) return error(token_.span, message, help);
    if (token_.kind == TokenKind::kName) {
      const std::string lower = to_lower_ascii(token_.text);
      if (lower == "like" || lower == "ilike" || lower == "rlike" || lower == "regexp") {
        return error(token_.span, fmt::format("`{}` is not an operator", token_.text),
                     "write matches(text, \"pattern\"), starts_with, ends_with or contains");
      }
      if (lower == "isnull" || lower == "notnull") {
        return error(token_.span, fmt::format("`{}` is not an operator", token_.text),
                     "write: is null, or: is not null");
      }
      for (const auto word : kInfixWords) {
        if (lower == word && token_.text != word) {
          return error(token_.span, fmt::format("`{}` is written in lower case: {}", token_.text, word));
        }
      }
      std::string help;
      for (const auto word : kInfixWords) {
        if (lower.size() > 1 && edit_distance(lower, word) == 1) help = fmt::format("did you mean `{}`?", word);
      }
      return error(token_.span, fmt::format("an operator was expected, not {}", describe_token()), std::move(help));
    }
    if (is_sign("(") && before.kind == Expr::Kind::kField) {
      return error(token_.span, "a back-quoted name is a field and cannot be called");
    }
    if (is_sign(")")) return error(token_.span, "this `)` closes nothing");
    return error(token_.span, fmt::format("an operator was expected, not {}", describe_token()));
  }

  ExprPtr finish(Maybe expr) {
    for (const auto& arg : expr->args) expr->depth = std::max(expr->depth, arg->depth + 1);
    if (++nodes_ > kMaxNodes) return error(expr->span, fmt::format("an expression has at most {} parts", kMaxNodes));
    if (expr->depth > kMaxDepth) {
      return error(expr->span, fmt::format("this expression has more than {} operations on top of each other", kMaxDepth),
                   "set a field to a part of it first");
    }
    return expr;
  }
  std::nullptr_t too_deep(Span span) {
    return error(span, fmt::format("this expression is nested more than {} deep", kMaxNesting),
                 "set a field to a part of it first");
  }

  ExprPtr call(std::string name, Span name_span, std::vector<ExprPtr> args, Span span) {
    auto expr = std::make_shared<Expr>();
    expr->kind = Expr::Kind::kCall;
    expr->name = std::move(name);
    expr->name_span = name_span;
    expr->args = std::move(args);
    expr->span = span;
    return finish(std::move(expr));
  }

  ExprPtr literal(DataType type, Value value, Span span) {
    auto expr = std::make_shared<Expr>();
    expr->kind = Expr::Kind::kLiteral;
    expr->type = std::move(type);
    expr->value = std::move(value);
    expr->span = span;
    return finish(std::move(expr));
  }

  // One level of recursion of the parser itself. The stack of the parser is bounded by this, the tree's by finish().
  struct Level {
    explicit Level(int* depth) : depth_(depth) { ++*depth_; }
    ~Level() { --*depth_; }
    int* depth_;
  };

  // `and` and `or`: a chain of the same word is one node, also through parentheses.
  ExprPtr chain(const char* word, ExprPtr (Parser::*operand)()) {
    ExprPtr first = (this->*operand)();
    if (!first || !is_word(word)) return first;
    const Span name_span = token_.span;
    std::vector<ExprPtr> args;
    const auto add = [&](const ExprPtr& e) {
      if (e->kind == Expr::Kind::kCall && e->name == word) {
        args.insert(args.end(), e->args.begin(), e->args.end());
      } else {
        args.push_back(e);
      }
    };
    Span span = first->span;
    add(first);
    while (is_word(word)) {
      if (!advance()) return nullptr;
      ExprPtr next = (this->*operand)();
      if (!next) return nullptr;
      span = join_spans(span, next->span);
      add(next);
      if (args.size() > kMaxNodes) return error(span, fmt::format("an expression has at most {} parts", kMaxNodes));
    }
    return call(word, name_span, std::move(args), span);
  }

  ExprPtr parse_or() {
    Level level(&depth_);
    if (depth_ > kMaxNesting) return too_deep(token_.span);
    return chain("or", &Parser::parse_and);
  }
  ExprPtr parse_and() { return chain("and", &Parser::parse_not); }

  ExprPtr parse_not() {
    if (!is_word("not")) return parse_comparison();
    Level level(&depth_);
    if (depth_ > kMaxNesting) return too_deep(token_.span);
    const Span at = token_.span;
    if (!advance()) return nullptr;
    ExprPtr operand = parse_not();
    if (!operand) return nullptr;
    const Span span = join_spans(at, operand->span);
    return call("not", at, {std::move(operand)}, span);
  }

  std::optional<std::string> compare_sign() const {
    if (token_.kind != TokenKind::kSign) return std::nullopt;
    for (const auto sign : kCompareSigns) {
      if (token_.text == sign) return token_.text;
    }
    if (token_.text == "=" && options_.single_equals) return "==";
    return std::nullopt;
  }

  ExprPtr parse_comparison() {
    ExprPtr left = parse_sum();
    if (!left) return nullptr;
    bool compared = false;
    while (true) {
      const Span at = token_.span;
      if (const auto sign = compare_sign()) {
        if (compared) return chained_comparison(at);
        if (!advance()) return nullptr;
        ExprPtr right = parse_sum();
        if (!right) return nullptr;
        const Span span = join_spans(left->span, right->span);
        left = call(*sign, at, {left, right}, span);
      } else if (is_word("is")) {
        left = parse_is(left, at);
      } else if (is_word("in") || is_word("between") || is_word("not")) {
        const bool negated = is_word("not");
        if (negated && !advance()) return nullptr;
        if (is_word("in")) {
          left = parse_in(left, at, negated);
        } else if (is_word("between")) {
          left = parse_between(left, at, negated);
        } else {
          return error(token_.span,
                       fmt::format("`in` or `between` was expected after `not`, not {}", describe_token()));
        }
      } else {
        return left;
      }
      if (!left) return nullptr;
      compared = true;
    }
  }
  std::nullptr_t chained_comparison(Span at) {
    return error(at, "comparisons do not chain", "write: a < b and b < c, or: b between a and c");
  }

  ExprPtr parse_is(const ExprPtr& left, Span at) {
    if (!advance()) return nullptr;
    const bool negated = is_word("not");
    if (negated && !advance()) return nullptr;
    if (!is_word("null")) {
      return error(token_.span, fmt::format("`null` was expected after `is`, not {}", describe_token()),
                   "write == to compare with a value");
    }
    const Span span = join_spans(left->span, token_.span);
    const Span name_span = join_spans(at, token_.span);
    if (!advance()) return nullptr;
    return call(negated ? "is not null" : "is null", name_span, {left}, span);
  }

  ExprPtr parse_in(const ExprPtr& left, Span at, bool negated) {
    const Span name_span = join_spans(at, token_.span);
    if (!advance()) return nullptr;
    if (!is_sign("(")) {
      return error(token_.span, fmt::format("`(` was expected after `in`, not {}", describe_token()),
                   "write: x in (\"a\", \"b\"); whether a list holds a value is contains(list, value)");
    }
    std::vector<ExprPtr> args{left};
    Span close;
    if (!parse_arguments(&args, &close)) return nullptr;
    if (args.size() == 1) return error(join_spans(name_span, close), "`in` needs at least one value");
    return call(negated ? "not in" : "in", name_span, std::move(args), join_spans(left->span, close));
  }

  ExprPtr parse_between(const ExprPtr& left, Span at, bool negated) {
    const Span name_span = join_spans(at, token_.span);
    if (!advance()) return nullptr;
    ExprPtr low = parse_sum();
    if (!low) return nullptr;
    if (!is_word("and")) {
      return error(token_.span, fmt::format("`and` was expected in `between … and …`, not {}", describe_token()));
    }
    if (!advance()) return nullptr;
    ExprPtr high = parse_sum();
    if (!high) return nullptr;
    const Span span = join_spans(left->span, high->span);
    return call(negated ? "not between" : "between", name_span, {left, low, high}, span);
  }

  // From `(` to `)`; the arguments are appended.
  bool parse_arguments(std::vector<ExprPtr>* args, Span* close) {
    const Span open = token_.span;
    if (!advance()) return false;
    if (is_sign(")")) {
      *close = token_.span;
      return advance();
    }
    while (true) {
      if (token_.kind == TokenKind::kEnd) return missing_close(open);
      ExprPtr arg = parse_or();
      if (!arg) return false;
      args->push_back(std::move(arg));
      if (args->size() > kMaxNodes) {
        error(open, fmt::format("an expression has at most {} parts", kMaxNodes));
        return false;
      }
      if (is_sign(")")) {
        *close = token_.span;
        return advance();
      }
      if (token_.kind == TokenKind::kEnd) return missing_close(open);
      if (!is_sign(",")) {
        if (looks_like_a_mistake()) {
          unexpected_after(*args->back());
        } else {
          error(token_.span, fmt::format("`,` or `)` was expected, not {}", describe_token()));
        }
        return false;
      }
      if (!advance()) return false;
    }
  }
  bool missing_close(Span open) {
    error(open, "this `(` is not closed");
    return false;
  }

  ExprPtr binary(std::initializer_list<std::string_view> signs, ExprPtr (Parser::*operand)()) {
    ExprPtr left = (this->*operand)();
    while (left) {
      const bool here = token_.kind == TokenKind::kSign &&
                        std::find(signs.begin(), signs.end(), std::string_view(token_.text)) != signs.end();
      if (!here) return left;
      const std::string sign = token_.text;
      const Span at = token_.span;
      if (!advance()) return nullptr;
      ExprPtr right = (this->*operand)();
      if (!right) return nullptr;
      const Span span = join_spans(left->span, right->span);
      left = call(sign, at, {left, right}, span);
    }
    return nullptr;
  }
  ExprPtr parse_sum() { return binary({"+", "-"}, &Parser::parse_product); }
  ExprPtr parse_product() { return binary({"*", "/", "%"}, &Parser::parse_unary); }

  ExprPtr parse_unary() {
    if (!is_sign("-")) {
      if (is_sign("+")) return error(token_.span, "a `+` before a value does nothing", "leave it out");
      return parse_primary();
    }
    Level level(&depth_);
    if (depth_ > kMaxNesting) return too_deep(token_.span);
    const Span at = token_.span;
    if (!advance()) return nullptr;
    if (token_.is_number()) {
      const Token number = token_;
      if (!advance()) return nullptr;
      return negative_literal(number, join_spans(at, number.span));
    }
    ExprPtr operand = parse_unary();
    if (!operand) return nullptr;
    const Span span = join_spans(at, operand->span);
    return call("neg", at, {std::move(operand)}, span);
  }

  ExprPtr negative_literal(const Token& number, Span span) {
    switch (number.type.id()) {
      case TypeId::kInt64:
      case TypeId::kDuration:
        return literal(number.type, Value(-std::get<int64_t>(number.value.data)), span);
      case TypeId::kFloat64:
        return literal(number.type, Value(-std::get<double>(number.value.data)), span);
      case TypeId::kDecimal:
        return literal(number.type, Value(-std::get<columnar::int128>(number.value.data)), span);
      default:
        break;
    }
    const auto magnitude = std::get<uint64_t>(number.value.data);
    if (magnitude == uint64_t{1} << 63) return literal(TypeId::kInt64, Value(INT64_MIN), span);
    return literal(DataType::decimal(20, 0), Value(-static_cast<columnar::int128>(magnitude)), span);
  }

  ExprPtr parse_primary() {
    if (token_.kind == TokenKind::kEnd) return error(token_.span, "a value is missing at the end");
    if (token_.kind == TokenKind::kLiteral) {
      const Token token = token_;
      if (!advance()) return nullptr;
      return literal(token.type, token.value, token.span);
    }
    if (is_sign("(")) return parse_parentheses();
    if (token_.kind == TokenKind::kName) return parse_word();
    if (token_.kind == TokenKind::kQuotedName) {
      const Token token = token_;
      if (!advance()) return nullptr;
      return parse_field(token);
    }
    std::string message, help;
    if (foreign_sign(&message, &help)) return error(token_.span, message, help);
    if (is_sign("*")) return error(token_.span, "`*` is not a value", "all records are counted with count()");
    return error(token_.span, fmt::format("a value was expected, not {}", describe_token()));
  }

  ExprPtr parse_parentheses() {
    const Span open = token_.span;
    if (!advance()) return nullptr;
    if (token_.kind == TokenKind::kEnd) return error(open, "this `(` is not closed");
    ExprPtr inner = parse_or();
    if (!inner) return nullptr;
    if (token_.kind == TokenKind::kEnd) return error(open, "this `(` is not closed");
    if (!is_sign(")")) {
      if (looks_like_a_mistake()) return unexpected_after(*inner);
      return error(token_.span, fmt::format("`)` was expected, not {}", describe_token()));
    }
    if (!advance()) return nullptr;
    return inner;
  }

  ExprPtr parse_word() {
    const Token word = token_;
    if (word.text == "true" || word.text == "false") {
      if (!advance()) return nullptr;
      return literal(TypeId::kBool, Value(word.text == "true"), word.span);
    }
    if (word.text == "null") {
      if (!advance()) return nullptr;
      return literal(TypeId::kNull, Value(), word.span);
    }
    if (word.text == "case") return parse_case();
    if (word.text == "cast" || word.text == "try_cast") return parse_cast();
    if (word.text == "not") {
      return error(word.span, "`not` stands before a whole comparison", "put it in parentheses: (not x)");
    }
    if (is_reserved_word(word.text)) {
      return error(word.span, fmt::format("a value was expected, not the word `{}`", word.text),
                   fmt::format("a field of this name is written in back quotes: `{}`", word.text));
    }
    if (!advance()) return nullptr;
    if (token_.is_string()) {
      if (const auto type = plain_type(word.text)) return typed_literal(word, *type);
    }
    if (is_sign("(")) return parse_call(word);
    const std::string lower = to_lower_ascii(word.text);
    if ((lower == "true" || lower == "false" || lower == "null") && lower != word.text) {
      return error(word.span, fmt::format("`{}` is written in lower case: {}", word.text, lower),
                   fmt::format("a field of this name is written in back quotes: `{}`", word.text));
    }
    return parse_field(word);
  }

  // `date "2024-01-31"`
  ExprPtr typed_literal(const Token& word, const DataType& type) {
    const Span span = join_spans(word.span, token_.span);
    const std::string text = std::get<std::string>(token_.value.data);
    switch (type.id()) {
      case TypeId::kDate:
      case TypeId::kTime:
      case TypeId::kTimestamp:
      case TypeId::kDuration:
      case TypeId::kUuid:
        break;
      default:
        return error(word.span, fmt::format("a text after `{}` was not expected", word.text),
                     fmt::format("write {}({})", word.text, token_.text));
    }
    Result<Value> value = columnar::FieldText(type).parse(text);
    if (!value.ok()) return error(token_.span, value.status().message());
    if (!advance()) return nullptr;
    return literal(type, *std::move(value), span);
  }

  ExprPtr parse_field(const Token& first) {
    auto expr = std::make_shared<Expr>();
    expr->kind = Expr::Kind::kField;
    expr->name = first.text;
    expr->span = first.span;
    while (is_sign(".")) {
      if (!advance()) return nullptr;
      if (token_.kind != TokenKind::kName && token_.kind != TokenKind::kQuotedName) {
        return error(token_.span, fmt::format("a name was expected after the dot, not {}", describe_token()));
      }
      expr->name += "." + token_.text;
      expr->span = join_spans(expr->span, token_.span);
      if (!advance()) return nullptr;
      if (is_sign("(")) {
        return error(token_.span, "functions are not called on a field with a dot",
                     "write lower(name) instead of name.lower()");
      }
    }
    expr->name_span = expr->span;
    return finish(std::move(expr));
  }

  ExprPtr parse_call(const Token& word) {
    std::vector<ExprPtr> args;
    Span close;
    if (!parse_arguments(&args, &close)) return nullptr;
    const Span span = join_spans(word.span, close);
    if (const auto type = plain_type(word.text); type && args.size() == 1) return cast_of(args[0], *type, false, span);
    if (word.text == "decimal" && args.size() == 3) return decimal_call(word, args, span);
    return call(word.text, word.span, std::move(args), span);
  }

  ExprPtr decimal_call(const Token& word, const std::vector<ExprPtr>& args, Span span) {
    const auto* precision = std::get_if<int64_t>(&args[1]->value.data);
    const auto* scale = std::get_if<int64_t>(&args[2]->value.data);
    if (precision == nullptr || scale == nullptr || *precision < 1 || *precision > 38 || *scale < 0 ||
        *scale > *precision) {
      return error(span,
                   "decimal(x, precision, scale) needs numbers: 1 to 38 digits, of which 0 or more after the point",
                   "write decimal(x, 12, 2)");
    }
    return cast_of(args[0], DataType::decimal(static_cast<int>(*precision), static_cast<int>(*scale)), false, span);
  }

  ExprPtr cast_of(const ExprPtr& arg, const DataType& type, bool lenient, Span span) {
    auto expr = std::make_shared<Expr>();
    expr->kind = Expr::Kind::kCast;
    expr->type = type;
    expr->lenient = lenient;
    expr->args = {arg};
    expr->span = span;
    return finish(std::move(expr));
  }

  ExprPtr parse_cast() {
    const Token word = token_;
    if (!advance()) return nullptr;
    if (!is_sign("(")) return error(word.span, fmt::format("`(` was expected after `{}`", word.text));
    if (!advance()) return nullptr;
    ExprPtr arg = parse_or();
    if (!arg) return nullptr;
    if (!is_word("as")) {
      return error(token_.span, fmt::format("`as` and a type were expected, not {}", describe_token()),
                   fmt::format("write {}(x as int32)", word.text));
    }
    const size_t begin = lexer_.next_offset();
    const std::string_view rest = lexer_.rest_from(begin);
    size_t used = 0;
    Result<DataType> type = parse_type_prefix(rest, &used);
    if (!type.ok()) {
      const Status& status = type.status();
      return error({begin, std::max<size_t>(used, 1)}, status.message(), status.hint());
    }
    lexer_.skip_to(begin, used);
    if (!advance()) return nullptr;
    if (!is_sign(")"))
      return error(token_.span, fmt::format("`)` was expected after the type, not {}", describe_token()));
    const Span span = join_spans(word.span, token_.span);
    if (!advance()) return nullptr;
    return cast_of(arg, *type, word.text == "try_cast", span);
  }

  ExprPtr parse_case() {
    const Span begin = token_.span;
    if (!advance()) return nullptr;
    if (!is_word("when")) {
      return error(token_.span, fmt::format("`when` was expected after `case`, not {}", describe_token()),
                   "write: case when x == 1 then \"one\" else \"many\" end");
    }
    std::vector<ExprPtr> args;
    while (is_word("when")) {
      if (!advance()) return nullptr;
      ExprPtr condition = parse_or();
      if (!condition) return nullptr;
      if (!is_word("then")) {
        return error(token_.span, fmt::format("`then` was expected, not {}", describe_token()));
      }
      if (!advance()) return nullptr;
      ExprPtr value = parse_or();
      if (!value) return nullptr;
      args.push_back(std::move(condition));
      args.push_back(std::move(value));
      if (args.size() > kMaxNodes) return error(begin, fmt::format("an expression has at most {} parts", kMaxNodes));
    }
    if (is_word("else")) {
      if (!advance()) return nullptr;
      ExprPtr value = parse_or();
      if (!value) return nullptr;
      args.push_back(std::move(value));
    } else {
      args.push_back(literal(TypeId::kNull, Value(), {token_.span.offset, 0}));
    }
    if (!is_word("end")) {
      return error(token_.span, fmt::format("`when`, `else` or `end` was expected, not {}", describe_token()));
    }
    const Span span = join_spans(begin, token_.span);
    if (!advance()) return nullptr;
    return call("case", begin, std::move(args), span);
  }

  const SourceText& text_;
  Diagnostics& diagnostics_;
  ParseOptions options_;
  Lexer lexer_;
  Token token_;
  int depth_ = 0;
  size_t nodes_ = 0;
};

bool too_long(const SourceText& text, Span region, Diagnostics& diagnostics) {
  if (region.length <= kMaxSourceBytes) return false;
  diagnostics.error(text, {region.offset, 1}, "expr.syntax",
                    fmt::format("an expression has at most {} bytes, this one has {}", kMaxSourceBytes, region.length));
  return true;
}

Span clamp(const SourceText& text, Span region) {
  region.offset = std::min(region.offset, text.text().size());
  region.length = std::min(region.length, text.text().size() - region.offset);
  return region;
}

}  // namespace

ExprPtr parse(const SourceTextPtr& text, Span region, Diagnostics& diagnostics, const ParseOptions& options) {
  region = clamp(*text, region);
  if (too_long(*text, region, diagnostics)) return nullptr;
  return Parser(*text, region, diagnostics, options).parse_all();
}

ExprPtr parse_prefix(const SourceTextPtr& text, Span region, Diagnostics& diagnostics, size_t* end,
                     const ParseOptions& options) {
  region = clamp(*text, region);
  // What follows may be a whole file; the expression itself must end within the limit.
  const bool cut = region.length > kMaxSourceBytes;
  if (cut) region.length = kMaxSourceBytes;
  *end = region.offset;
  ExprPtr expr = Parser(*text, region, diagnostics, options).parse_start(end);
  if (expr && cut && *end >= region.offset + region.length) {
    too_long(*text, {region.offset, kMaxSourceBytes + 1}, diagnostics);
    return nullptr;
  }
  return expr;
}

}  // namespace runink::expr
