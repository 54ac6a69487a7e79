// What the aggregates are called, what they take and what they give.
#include <algorithm>

#include "data/expr/checker.h"
#include "data/expr/functions.h"
#include "data/expr/kernel.h"
#include "data/expr/number.h"

namespace runink::expr {

namespace {

bool takes(Binding& binding, const Definition& definition, size_t least, size_t most) {
  const size_t given = binding.args.size();
  if (given >= least && given <= most) return true;
  std::string help;
  for (const auto& overload : definition.overloads) help += (help.empty() ? "" : "\n      ") + overload.signature;
  if ((definition.name == "min" || definition.name == "max") && given > 1) {
    help = fmt::format("of several values in one record: {}(a, b)", definition.name == "min" ? "least" : "greatest");
  }
  return binding.fail(fmt::format("{} takes {} argument{}, not {}", definition.name, most, most == 1 ? "" : "s", given),
                      std::move(help));
}

bool refuse(Binding& binding, const Definition& definition, std::string help = {}) {
  return binding.fail(fmt::format("{} of {} is not defined", definition.name, a_type(binding.args[0]->type)),
                      std::move(help), 0);
}

bool has_order(const DataType& type) {
  switch (type.id()) {
    case TypeId::kEnum:
    case TypeId::kJson:
    case TypeId::kList:
    case TypeId::kStruct:
    case TypeId::kNull:
      return false;
    default:
      return true;
  }
}
bool is_plain(const DataType& type) { return type.width() > 0 || type.is_text(); }
bool exact_squares(const DataType& type) {
  switch (type.id()) {
    case TypeId::kBool:
    case TypeId::kInt8:
    case TypeId::kInt16:
    case TypeId::kInt32:
    case TypeId::kUInt8:
    case TypeId::kUInt16:
    case TypeId::kUInt32:
      return true;
    default:
      return false;
  }
}

bool bind_sum(const Definition& definition, Binding& binding) {
  const DataType type = binding.args[0]->type;
  if (type.id() == TypeId::kBool) return refuse(binding, definition, "count those that are true with count_if(x)");
  if (type.is_integer()) {
    binding.type = type.id() == TypeId::kUInt64 ? TypeId::kUInt64 : TypeId::kInt64;
  } else if (type.is_float()) {
    binding.type = TypeId::kFloat64;
    binding.order_sensitive = true;
  } else if (type.id() == TypeId::kDecimal) {
    binding.type = DataType::decimal(38, type.scale());
  } else if (type.id() == TypeId::kDuration) {
    binding.type = type;
  } else {
    return refuse(binding, definition);
  }
  return true;
}

bool bind_average(const Definition& definition, Binding& binding) {
  const DataType type = binding.args[0]->type;
  if (type.id() == TypeId::kDecimal) {
    binding.type = DataType::decimal(38, std::max(6, type.scale()));
  } else if (type.is_numeric() || type.id() == TypeId::kBool) {
    binding.type = TypeId::kFloat64;
    binding.order_sensitive = type.is_float();
  } else if (type.id() == TypeId::kDuration) {
    binding.type = type;
  } else {
    return refuse(binding, definition);
  }
  return true;
}

bool bind_spread(const Definition& definition, Binding& binding) {
  const DataType type = binding.args[0]->type;
  if (!type.is_numeric() && type.id() != TypeId::kBool) return refuse(binding, definition);
  binding.type = TypeId::kFloat64;
  binding.order_sensitive = !exact_squares(type);
  return true;
}

bool bind_quantile(const Definition& definition, Binding& binding) {
  if (!binding.args[0]->type.is_numeric()) return refuse(binding, definition);
  binding.type = TypeId::kFloat64;
  binding.fraction = 0.5;
  if (definition.name == "median") return true;
  const Node& fraction = *binding.args[1];
  const bool constant =
      fraction.kind == Node::Kind::kConstant && fraction.type.is_numeric() && fraction.constant.is_valid(0);
  double value = -1;
  if (constant) {
    const Number n = number_at(fraction.constant, 0);
    value = n.is_float ? n.real : decimal_to_double(n.scaled, n.scale);
  }
  if (!(value >= 0 && value <= 1)) {
    return binding.fail("the second argument of quantile is a number from 0 to 1, written here",
                        "write quantile(delay, 0.9)", 1);
  }
  binding.fraction = value;
  binding.args.resize(1);
  return true;
}

}  // namespace

bool bind_aggregate(const Definition& definition, Binding& binding) {
  const std::string& name = definition.name;
  const bool any_null = binding.args.size() > 0 && binding.args[0]->type.id() == TypeId::kNull;
  binding.nullable = true;
  if (!takes(binding, definition, name == "count" ? 0 : name == "quantile" ? 2 : 1, name == "quantile" ? 2 : 1))
    return false;
  if (any_null) return refuse(binding, definition);
  if (name == "count" || name == "count_if" || name == "distinct_count") {
    binding.type = TypeId::kInt64;
    binding.nullable = false;
    binding.aggregate = name == "count"      ? AggregateFunction::kCount
                        : name == "count_if" ? AggregateFunction::kCountIf
                                             : AggregateFunction::kDistinctCount;
    if (name == "count_if" && binding.args[0]->type.id() != TypeId::kBool)
      return refuse(binding, definition, "write count_if(delay > 15)");
    if (name == "distinct_count" && !is_plain(binding.args[0]->type)) return refuse(binding, definition);
    return true;
  }
  if (name == "sum") {
    binding.aggregate = AggregateFunction::kSum;
    return bind_sum(definition, binding);
  }
  if (name == "avg") {
    binding.aggregate = AggregateFunction::kAvg;
    return bind_average(definition, binding);
  }
  if (name == "stddev" || name == "variance") {
    binding.aggregate = name == "stddev" ? AggregateFunction::kStddev : AggregateFunction::kVariance;
    return bind_spread(definition, binding);
  }
  if (name == "quantile" || name == "median") {
    binding.aggregate = AggregateFunction::kQuantile;
    return bind_quantile(definition, binding);
  }
  const DataType type = binding.args[0]->type;
  binding.type = type;
  if (name == "min" || name == "max") {
    binding.aggregate = name == "min" ? AggregateFunction::kMin : AggregateFunction::kMax;
    return has_order(type) ||
           refuse(binding, definition,
                  type.id() == TypeId::kEnum ? "labels of an enum have no order; write cast(x as string)" : "");
  }
  if (!is_plain(type)) return refuse(binding, definition);
  binding.order_sensitive = true;
  if (name == "list") {
    binding.aggregate = AggregateFunction::kList;
    binding.type = DataType::list(type);
    binding.nullable = false;
    return true;
  }
  binding.aggregate = name == "first" ? AggregateFunction::kFirst : AggregateFunction::kLast;
  return true;
}

void define_aggregates(std::vector<Definition>& out) {
  const char* kGroup = "aggregates";
  const auto add = [&](const char* name, const char* help, const char* example, std::vector<Overload> overloads) {
    Definition d{name, kGroup, help, example, std::move(overloads)};
    d.aggregate = true;
    out.push_back(std::move(d));
  };
  add("count", "How many records, or how many whose value is not null.", "count()",
      {{"count() -> int64"}, {"count(value: any) -> int64"}});
  add("count_if", "How many records for which the condition is true.", "count_if(delay > 15)",
      {{"count_if(condition: bool) -> int64"}});
  add("sum", "The sum; of whole numbers as int64 (of uint64 as uint64), of decimals exactly, of floats compensated.",
      "sum(fare)", {{"sum(value: number) -> number"}, {"sum(value: duration) -> duration"}});
  add("avg", "The mean. Of a bool: the share of true. Of decimals: a decimal, rounded half away from zero.",
      "avg(delay)",
      {{"avg(value: number) -> float64"}, {"avg(value: bool) -> float64"}, {"avg(value: duration) -> duration"}});
  add("min", "The least value.", "min(date)", {{"min(value: any) -> any"}});
  add("max", "The greatest value.", "max(date) > now() - 2d", {{"max(value: any) -> any"}});
  add("stddev", "The standard deviation of a sample (divided by n - 1); null of fewer than two.", "stddev(delay)",
      {{"stddev(value: number) -> float64"}});
  add("variance", "The variance of a sample (divided by n - 1); null of fewer than two.", "variance(delay)",
      {{"variance(value: number) -> float64"}});
  add("quantile", "The value below which that share of values lies, interpolated linearly.", "quantile(delay, 0.9)",
      {{"quantile(value: number, share: float64) -> float64"}});
  add("median", "The value in the middle: quantile(x, 0.5).", "median(delay)", {{"median(value: number) -> float64"}});
  add("distinct_count", "How many different values, exactly.", "distinct_count(route)",
      {{"distinct_count(value: any) -> int64"}});
  add("first", "The first value that is not null, in the order of the input.", "first(carrier)",
      {{"first(value: any) -> any"}});
  add("last", "The last value that is not null, in the order of the input.", "last(status)",
      {{"last(value: any) -> any"}});
  add("list", "All values that are not null, in the order of the input.", "list(code)",
      {{"list(value: any) -> list<any>"}});
}

AggregateExpr check_aggregate(const ExprPtr& expr, const SourceTextPtr& text, const Scope& scope,
                              const std::vector<GroupKey>& keys, Diagnostics& diagnostics,
                              const CheckOptions& options) {
  AggregateScope aggregates;
  aggregates.keys = &keys;
  Checker checker(*text, scope, diagnostics, options, &aggregates);
  AggregateExpr out;
  NodePtr root = checker.check(expr);
  if (!root || !checker.check_result(expr, &root)) return out;
  out.aggregates = std::move(aggregates.found);
  out.result = TypedExpr(with_text(root, to_text(*expr)));
  return out;
}

}  // namespace runink::expr
