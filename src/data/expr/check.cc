#include "data/expr/check.h"

#include <algorithm>

#include "base/nearest.h"
#include "base/text.h"
#include "data/expr/checker.h"
#include "data/expr/functions.h"
#include "data/expr/node.h"
#include "data/expr/registry.h"

namespace runink::expr {

size_t Scope::column_count() const {
  size_t count = 0;
  for (const auto& input : inputs) count += input.schema->size();
  return count;
}

const DataType& TypedExpr::type() const { return root_->type; }
bool TypedExpr::nullable() const { return root_->nullable; }
const std::vector<int>& TypedExpr::columns() const { return root_->columns; }
bool TypedExpr::uses_now() const { return root_->uses_now; }
bool TypedExpr::needs_key() const { return root_->needs_key; }
bool TypedExpr::is_constant() const { return root_->kind == Node::Kind::kConstant; }
int TypedExpr::column_if_plain() const { return root_->kind == Node::Kind::kColumn ? root_->column : -1; }
const std::string& TypedExpr::text() const { return root_->text; }

NodePtr Checker::fail(Span span, std::string code, std::string message, std::string help) {
  auto& d = diagnostics_.error(text_, span, std::move(code), std::move(message));
  if (!help.empty()) d.help.push_back(std::move(help));
  return nullptr;
}

NodePtr Checker::check_field(const Expr& expr, const ExprPtr& source) {
  if (aggregates_ != nullptr && !inside_aggregate_) return check_key(expr, source);
  const std::string& name = expr.name;
  std::vector<std::pair<int, const columnar::Field*>> found;
  int base = 0;
  bool bare = false;  // found in another input, without its qualifier
  for (size_t i = 0; i < scope_.inputs.size(); ++i) {
    const auto& input = scope_.inputs[i];
    const auto try_name = [&](std::string_view candidate) {
      const int index = input.schema->index_of(candidate);
      if (index >= 0) found.emplace_back(base + index, &input.schema->field(static_cast<size_t>(index)));
      return index >= 0;
    };
    if (i == 0 && try_name(name)) break;  // the records themselves come first
    const bool qualified = !input.qualifier.empty() && name.size() > input.qualifier.size() + 1 &&
                           name.starts_with(input.qualifier) && name[input.qualifier.size()] == '.';
    if (qualified && try_name(std::string_view(name).substr(input.qualifier.size() + 1))) {
      found = {found.back()};
      bare = false;
      break;
    }
    if (i > 0 && try_name(name)) bare = true;
    base += static_cast<int>(input.schema->size());
  }
  if (found.size() > 1) {
    std::string help;
    for (const auto& input : scope_.inputs) {
      if (!input.qualifier.empty() && input.schema->index_of(name) >= 0) {
        help += (help.empty() ? "write " : " or ") + input.qualifier + "." + name;
      }
    }
    return fail(expr.span, "expr.ambiguous_field", fmt::format("more than one input has a field `{}`", name),
                std::move(help));
  }
  if (found.size() == 1 && !(bare && is_short_name(name))) {
    return make_column_node(found[0].second->type, found[0].second->nullable, found[0].first, source);
  }
  return check_short_name(expr, source);
}

bool Checker::is_short_name(const std::string& name) const {
  return std::any_of(scope_.short_names.begin(), scope_.short_names.end(),
                     [&](const auto& s) { return s.first == name; });
}

NodePtr Checker::check_short_name(const Expr& expr, const ExprPtr& source) {
  std::vector<int> found;
  for (const auto& [name, column] : scope_.short_names) {
    if (name == expr.name) found.push_back(column);
  }
  if (found.empty()) return unknown_field(expr);
  const auto& schema = *scope_.inputs[0].schema;
  std::vector<std::string> names;
  for (const int column : found) names.push_back("`" + schema.field(static_cast<size_t>(column)).name + "`");
  for (size_t i = 1; i < scope_.inputs.size(); ++i) {
    if (scope_.inputs[i].schema->index_of(expr.name) >= 0)
      names.push_back("`" + scope_.inputs[i].qualifier + "." + expr.name + "`");
  }
  if (names.size() == 1) {
    const auto& field = schema.field(static_cast<size_t>(found[0]));
    return make_column_node(field.type, field.nullable, found[0], source);
  }
  return fail(expr.span, "expr.ambiguous_field",
              fmt::format("`{}` may be {}", expr.name, join(names, names.size() == 2 ? " or " : ", ")),
              "write the whole name");
}

NodePtr Checker::unknown_field(const Expr& expr) {
  std::vector<std::string> names;
  for (size_t i = 0; i < scope_.inputs.size(); ++i) {
    const auto& input = scope_.inputs[i];
    for (const auto& field : input.schema->fields()) {
      names.push_back(i == 0 || input.qualifier.empty() ? field.name : input.qualifier + "." + field.name);
    }
  }
  const auto near = nearest(expr.name, names);
  std::string help;
  if (!near.empty()) {
    help = fmt::format("did you mean `{}`?", near[0]);
  } else if (names.empty()) {
    help = "there are no fields here";
  } else {
    std::vector<std::string> some(names.begin(),
                                  names.begin() + static_cast<std::ptrdiff_t>(std::min<size_t>(names.size(), 12)));
    help = "the fields are: " + join(some, ", ") + (names.size() > some.size() ? ", …" : "");
  }
  if (find_definition(expr.name) != nullptr)
    help += (help.empty() ? "" : "; ") + fmt::format("the function is written {}()", expr.name);
  return fail(expr.span, "expr.unknown_field", fmt::format("there is no field `{}`", expr.name), std::move(help));
}

NodePtr Checker::check_cast(const Expr& expr, const ExprPtr& source) {
  NodePtr arg = check(expr.args[0]);
  if (!arg) return nullptr;
  std::string error, help;
  NodePtr node = make_cast(arg, expr.type, expr.lenient, &error, &help, source);
  if (!node) return fail(expr.span, "expr.type", error, help);
  return node;
}

bool Checker::bind_sign(const std::string& name, Binding& binding, bool* known) {
  *known = true;
  if (name == "and" || name == "or") return bind_logic(name, binding);
  if (name == "not") return bind_not(binding);
  if (name == "neg") return bind_negation(binding);
  if (name == "+" || name == "-" || name == "*" || name == "/" || name == "%") return bind_arithmetic(name, binding);
  if (name == "==" || name == "!=" || name == "<" || name == "<=" || name == ">" || name == ">=")
    return bind_comparison(name, binding);
  if (name == "is null") return bind_is_null(false, binding);
  if (name == "is not null") return bind_is_null(true, binding);
  if (name == "in") return bind_in(false, binding);
  if (name == "not in") return bind_in(true, binding);
  if (name == "between") return bind_between(false, binding);
  if (name == "not between") return bind_between(true, binding);
  if (name == "case") return bind_case(binding);
  *known = false;
  return true;
}

NodePtr Checker::unknown_function(const Expr& expr) {
  const auto near = nearest(expr.name, function_names());
  static const std::vector<std::pair<std::string, std::string>> kElsewhere = {
      {"ifnull", "if_null(x, y)"},
      {"nvl", "coalesce(x, y)"},
      {"isnull", "x is null"},
      {"iif", "if(condition, a, b)"},
      {"substr", "substring(text, start, count)"},
      {"len", "length(text)"},
      {"char_length", "length(text)"},
      {"ucase", "upper(text)"},
      {"lcase", "lower(text)"},
      {"like", "matches(text, pattern)"},
      {"regexp_matches", "matches(text, pattern)"},
      {"startswith", "starts_with(text, start)"},
      {"endswith", "ends_with(text, end)"},
      {"instr", "position(text, part)"},
      {"strpos", "position(text, part)"},
      {"strftime", "format_time(x, \"%Y-%m-%d\")"},
      {"strptime", "parse_time(text, \"%Y-%m-%d\")"},
      {"date_trunc", "truncate(x, \"day\")"},
      {"datediff", "difference(later, earlier, \"day\")"},
      {"date_add", "x + 2d, or add_days(date, n)"},
      {"dayofweek", "day_of_week(x)"},
      {"weekday", "day_of_week(x)"},
      {"current_timestamp", "now()"},
      {"power", "pow(x, y)"},
      {"ceiling", "ceil(x)"},
      {"log", "ln(x) or log10(x)"},
      {"mean", "avg(x)"},
      {"average", "avg(x)"},
      {"var", "variance(x)"},
      {"std", "stddev(x)"},
      {"percentile", "quantile(x, 0.9)"},
      {"count_distinct", "distinct_count(x)"},
      {"uniq", "distinct_count(x)"},
      {"array_agg", "list(x)"},
      {"md5", "sha256(text)"},
      {"json_extract", "json_value(json, \"$.name\")"},
      {"array_length", "size(list)"},
      {"cardinality", "size(list)"},
      {"index", "element(list, 1)"},
      {"md5sum", "sha256(text)"}};
  std::string help;
  const std::string lower = to_lower_ascii(expr.name);
  for (const auto& [foreign, ours] : kElsewhere) {
    if (lower == foreign) help = "write " + ours;
  }
  if (help.empty())
    help = near.empty() ? "the functions are listed in the guide to expressions"
                        : fmt::format("did you mean `{}`?", near[0]);
  return fail(expr.name_span, "expr.unknown_function", fmt::format("there is no function `{}`", expr.name),
              std::move(help));
}

NodePtr Checker::check_call(const Expr& expr, const ExprPtr& source) {
  if (expr.name == "now" && !options_.allow_now) {
    return fail(expr.span, "expr.now", "now() may not stand here", "the value must not depend on when it is computed");
  }
  const Definition* definition = find_definition(expr.name);
  const bool lazy = expr.name == "and" || expr.name == "or" || expr.name == "case" || expr.name == "if" ||
                    expr.name == "coalesce" || expr.name == "if_null";
  if (definition != nullptr && definition->aggregate) return check_aggregate_call(expr, source, *definition);
  Binding binding;
  bool failed = false;
  for (size_t i = 0; i < expr.args.size(); ++i) {
    // A constant that fails in a branch that is not taken is no error.
    const bool maybe = lazy && (i > 0 || expr.name == "case");
    lazy_depth_ += maybe ? 1 : 0;
    NodePtr arg = check(expr.args[i]);
    lazy_depth_ -= maybe ? 1 : 0;
    failed |= arg == nullptr;
    if (arg) binding.nullable |= arg->nullable;
    binding.args.push_back(std::move(arg));
  }
  bool known = false;
  // The name is looked up even when arguments are wrong: both are worth saying.
  if (definition == nullptr) {
    static const std::vector<std::string> kSigns = {"and",    "or",      "not",         "neg",     "+",           "-",
                                                    "*",      "/",       "%",           "==",      "!=",          "<",
                                                    "<=",     ">",       ">=",          "is null", "is not null", "in",
                                                    "not in", "between", "not between", "case"};
    if (std::find(kSigns.begin(), kSigns.end(), expr.name) == kSigns.end()) return unknown_function(expr);
  }
  if (failed) return nullptr;
  bool ok = bind_sign(expr.name, binding, &known);
  if (!known) ok = definition->binder != nullptr ? definition->binder(binding) : bind_overloads(*definition, binding);
  if (!ok) {
    Span span = expr.span;
    if (binding.error_arg >= 0 && static_cast<size_t>(binding.error_arg) < expr.args.size()) {
      span = expr.args[static_cast<size_t>(binding.error_arg)]->span;
    }
    return fail(span, "expr.type", binding.error, binding.help);
  }
  const bool literal_sign = expr.name == "neg" && binding.args[0]->literal;
  NodePtr node = finish_call(binding, expr.name, source);
  std::string error;
  NodePtr folded = fold(node, &error);
  if (!folded) {
    if (lazy_depth_ > 0) return node;
    return fail(expr.span, "expr.constant", error, "this is so for every record");
  }
  if (literal_sign && folded != node) {
    auto literal = std::make_shared<Node>(*folded);
    literal->literal = true;
    return literal;
  }
  return folded;
}

NodePtr Checker::check_aggregate_call(const Expr& expr, const ExprPtr& source, const Definition& definition) {
  if (inside_aggregate_) {
    return fail(expr.span, "expr.aggregate", fmt::format("an aggregate, {}, stands inside another", expr.name));
  }
  if (aggregates_ == nullptr) {
    std::string help;
    if ((expr.name == "min" || expr.name == "max") && expr.args.size() > 1) {
      help = fmt::format("of several values in one record: {}(a, b)", expr.name == "min" ? "least" : "greatest");
    }
    return fail(expr.span, "expr.aggregate",
                fmt::format("{} looks at many records, and {}", expr.name, options_.no_aggregates_because),
                std::move(help));
  }
  inside_aggregate_ = true;
  Binding binding;
  bool failed = false;
  for (const auto& arg_expr : expr.args) {
    NodePtr arg = check(arg_expr);
    failed |= arg == nullptr;
    if (arg) binding.nullable |= arg->nullable;
    binding.args.push_back(std::move(arg));
  }
  inside_aggregate_ = false;
  if (failed) return nullptr;
  if (!bind_aggregate(definition, binding)) {
    Span span = expr.span;
    if (binding.error_arg >= 0 && static_cast<size_t>(binding.error_arg) < expr.args.size()) {
      span = expr.args[static_cast<size_t>(binding.error_arg)]->span;
    }
    return fail(span, "expr.type", binding.error, binding.help);
  }
  AggregateSpec spec;
  spec.function = binding.aggregate;
  spec.fraction = binding.fraction;
  spec.result_type = binding.type;
  spec.result_nullable = binding.nullable;
  spec.order_sensitive = binding.order_sensitive;
  spec.text = to_text(expr);
  if (!binding.args.empty()) spec.argument = TypedExpr(with_text(binding.args[0], to_text(*expr.args[0])));
  auto& found = aggregates_->found;
  const auto same =
      std::find_if(found.begin(), found.end(), [&](const AggregateSpec& other) { return other.text == spec.text; });
  const auto index = static_cast<int>(aggregates_->keys->size()) + static_cast<int>(same - found.begin());
  NodePtr node = make_column_node(spec.result_type, spec.result_nullable, index, source);
  if (same == found.end()) found.push_back(std::move(spec));
  return node;
}

// Outside of aggregates a name is that of a group key.
NodePtr Checker::check_key(const Expr& expr, const ExprPtr& source) {
  const auto& keys = *aggregates_->keys;
  std::vector<std::string> names;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (keys[i].name == expr.name) return make_column_node(keys[i].type, keys[i].nullable, static_cast<int>(i), source);
    names.push_back(keys[i].name);
  }
  for (const auto& input : scope_.inputs) {
    if (input.schema->index_of(expr.name) < 0 && !is_short_name(expr.name)) continue;
    return fail(expr.span, "expr.not_grouped",
                keys.empty() ? fmt::format("`{}` has a value in every record, and this looks at all of them", expr.name)
                             : fmt::format("`{}` is not what the records are grouped by", expr.name),
                fmt::format("say which of its values: max({0}), first({0}), avg({0}), …", expr.name));
  }
  const auto near = nearest(expr.name, names);
  if (!near.empty()) {
    return fail(expr.span, "expr.unknown_field", fmt::format("there is no field `{}`", expr.name),
                fmt::format("did you mean `{}`?", near[0]));
  }
  return unknown_field(expr);
}

NodePtr Checker::check(const ExprPtr& expr) {
  switch (expr->kind) {
    case Expr::Kind::kLiteral:
      return make_constant(expr->type, expr->value, true, expr);
    case Expr::Kind::kField:
      return check_field(*expr, expr);
    case Expr::Kind::kCast:
      return check_cast(*expr, expr);
    case Expr::Kind::kCall:
      return check_call(*expr, expr);
  }
  return nullptr;
}

bool Checker::check_result(const ExprPtr& expr, NodePtr* root) {
  if (options_.must_be_bool_for.empty()) return true;
  const DataType type = (*root)->type;
  if (type.id() == TypeId::kBool) return true;
  if (type.id() == TypeId::kNull) {
    *root = make_constant(TypeId::kBool, Value(), false, expr);
    return true;
  }
  fail(expr->span, "expr.type",
       fmt::format("{} must be true or false, and this is {}", options_.must_be_bool_for, a_type(type)),
       type.is_numeric() ? "compare it: x != 0" : "");
  return false;
}

NodePtr with_text(const NodePtr& root, std::string text) {
  auto copy = std::make_shared<Node>(*root);
  copy->text = std::move(text);
  return copy;
}

TypedExpr check(const ExprPtr& expr, const SourceTextPtr& text, const Scope& scope, Diagnostics& diagnostics,
                const CheckOptions& options) {
  Checker checker(*text, scope, diagnostics, options, nullptr);
  NodePtr root = checker.check(expr);
  if (!root || !checker.check_result(expr, &root)) return TypedExpr();
  return TypedExpr(with_text(root, to_text(*expr)));
}

TypedExpr column_reference(const columnar::Schema& schema, int index) {
  const auto& field = schema.field(static_cast<size_t>(index));
  Expr expr;
  expr.kind = Expr::Kind::kField;
  expr.name = field.name;
  auto source = std::make_shared<const Expr>(expr);
  return TypedExpr(with_text(make_column_node(field.type, field.nullable, index, source), to_text(expr)));
}

TypedExpr constant(DataType type, Value value) {
  Expr expr;
  expr.kind = Expr::Kind::kLiteral;
  expr.type = type;
  expr.value = value;
  auto source = std::make_shared<const Expr>(expr);
  return TypedExpr(with_text(make_constant(std::move(type), value, false, source), to_text(expr)));
}

}  // namespace runink::expr
