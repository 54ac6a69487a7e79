// Types meeting each other: folding of constants, literals that adapt, widening without loss, common types.
#include <algorithm>
#include <cmath>

#include "data/columnar/text.h"
#include "data/expr/functions.h"
#include "data/expr/number.h"

namespace runink::expr {

namespace {

bool integer_bounds(TypeId id, int128* low, int128* high) {
  switch (id) {
    case TypeId::kInt8:
      *low = INT8_MIN, *high = INT8_MAX;
      return true;
    case TypeId::kInt16:
      *low = INT16_MIN, *high = INT16_MAX;
      return true;
    case TypeId::kInt32:
      *low = INT32_MIN, *high = INT32_MAX;
      return true;
    case TypeId::kInt64:
      *low = INT64_MIN, *high = INT64_MAX;
      return true;
    case TypeId::kUInt8:
      *low = 0, *high = UINT8_MAX;
      return true;
    case TypeId::kUInt16:
      *low = 0, *high = UINT16_MAX;
      return true;
    case TypeId::kUInt32:
      *low = 0, *high = UINT32_MAX;
      return true;
    case TypeId::kUInt64:
      *low = 0, *high = static_cast<int128>(UINT64_MAX);
      return true;
    default:
      return false;
  }
}

int bits_of(TypeId id) {
  switch (id) {
    case TypeId::kInt8:
    case TypeId::kUInt8:
      return 8;
    case TypeId::kInt16:
    case TypeId::kUInt16:
      return 16;
    case TypeId::kInt32:
    case TypeId::kUInt32:
      return 32;
    default:
      return 64;
  }
}

Value integer_value(const DataType& type, int128 v) {
  if (type.is_signed_integer()) return Value(static_cast<int64_t>(v));
  return Value(static_cast<uint64_t>(v));
}

NodePtr literal_of(const DataType& type, const Value& value, const NodePtr& from) {
  return make_constant(type, value, true, from->source);
}

NodePtr adapt_number(const NodePtr& literal, const DataType& type) {
  const Number n = number_at(literal->constant, 0);
  int128 low = 0, high = 0;
  if (integer_bounds(type.id(), &low, &high)) {
    int128 whole = n.scaled;
    if (n.is_float) {
      if (!(std::fabs(n.real) < 1e18) || n.real != std::floor(n.real)) return nullptr;
      whole = static_cast<int128>(n.real);
    } else if (n.scale > 0) {
      if (n.scaled % power_of_ten(n.scale) != 0) return nullptr;
      whole = n.scaled / power_of_ten(n.scale);
    }
    if (whole < low || whole > high) return nullptr;
    return literal_of(type, integer_value(type, whole), literal);
  }
  if (type.id() == TypeId::kDecimal) {
    if (n.is_float) return nullptr;
    int128 scaled = n.scaled;
    if (n.scale > type.scale()) {
      const int128 unit = power_of_ten(n.scale - type.scale());
      if (scaled % unit != 0) return nullptr;
      scaled /= unit;
    } else if (!scale_up(scaled, type.scale() - n.scale, &scaled)) {
      return nullptr;
    }
    if (!fits_digits(scaled, type.precision())) return nullptr;
    return literal_of(type, Value(scaled), literal);
  }
  if (!type.is_float()) return nullptr;
  const double real = n.is_float ? n.real : decimal_to_double(n.scaled, n.scale);
  if (!n.is_float && n.scale == 0) {
    const double exact_bound = type.id() == TypeId::kFloat32 ? 16777216.0 : 9007199254740992.0;
    if (std::fabs(real) > exact_bound) return nullptr;
  }
  if (type.id() == TypeId::kFloat32) {
    const auto narrow = static_cast<float>(real);
    if (std::isinf(narrow)) return nullptr;
    return literal_of(type, Value(static_cast<double>(narrow)), literal);
  }
  return literal_of(type, Value(real), literal);
}

NodePtr adapt_text(const NodePtr& literal, const DataType& type) {
  switch (type.id()) {
    case TypeId::kDate:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kDuration:
    case TypeId::kUuid:
    case TypeId::kEnum:
      break;
    default:
      return nullptr;
  }
  const std::string_view text = literal->constant.text(0);
  if (type.id() == TypeId::kEnum) {
    const auto& labels = type.labels();
    const auto found = std::find(labels.begin(), labels.end(), text);
    if (found == labels.end()) return nullptr;
    return literal_of(type, Value(static_cast<int64_t>(found - labels.begin())), literal);
  }
  Result<Value> value = columnar::FieldText(type).parse(text);
  if (!value.ok()) return nullptr;
  return literal_of(type, *value, literal);
}

// The narrowest type that holds both, without loss; kNull when there is none.
DataType common_type(const DataType& a, const DataType& b) {
  if (a == b) return a;
  if (a.id() == TypeId::kNull) return b;
  if (b.id() == TypeId::kNull) return a;
  if (widens(a, b)) return b;
  if (widens(b, a)) return a;
  if (a.is_integer() && b.is_integer()) {
    // One is signed and the other is not, and neither holds the other.
    const int unsigned_bits = a.is_signed_integer() ? bits_of(b.id()) : bits_of(a.id());
    if (unsigned_bits == 8) return TypeId::kInt16;
    if (unsigned_bits == 16) return TypeId::kInt32;
    if (unsigned_bits == 32) return TypeId::kInt64;
    return DataType();
  }
  const auto decimal_form = [](const DataType& t, int* whole, int* scale) {
    if (t.is_integer()) {
      *whole = integer_digits(t.id());
      *scale = 0;
      return true;
    }
    if (t.id() != TypeId::kDecimal) return false;
    *scale = t.scale();
    *whole = t.precision() - t.scale();
    return true;
  };
  int whole_a = 0, scale_a = 0, whole_b = 0, scale_b = 0;
  if (decimal_form(a, &whole_a, &scale_a) && decimal_form(b, &whole_b, &scale_b)) {
    const int scale = std::max(scale_a, scale_b), whole = std::max(whole_a, whole_b);
    if (whole + scale <= 38) return DataType::decimal(std::max(whole + scale, 1), scale);
    return DataType();
  }
  const auto exact_in_double = [](const DataType& t) {
    return t.is_float() || (t.is_integer() && bits_of(t.id()) <= 32);
  };
  if (exact_in_double(a) && exact_in_double(b)) return TypeId::kFloat64;
  const auto text = [](const DataType& t) { return t.id() == TypeId::kString || t.id() == TypeId::kEnum; };
  if (text(a) && text(b)) return TypeId::kString;
  return DataType();
}

}  // namespace

std::string a_word(std::string_view type) {
  const bool vowel = !type.empty() && std::string_view("aeio").find(type[0]) != std::string_view::npos;
  return fmt::format("{} {}", vowel ? "an" : "a", type);
}
std::string a_type(const DataType& type) { return a_word(type.to_string()); }

bool widens(const DataType& from, const DataType& to) {
  if (from == to || from.id() == TypeId::kNull) return true;
  int128 low = 0, high = 0, to_low = 0, to_high = 0;
  const bool integer = integer_bounds(from.id(), &low, &high);
  if (integer && integer_bounds(to.id(), &to_low, &to_high)) return to_low <= low && high <= to_high;
  if (to.id() == TypeId::kDecimal) {
    if (integer) return to.precision() - to.scale() >= integer_digits(from.id());
    if (from.id() == TypeId::kDecimal) {
      return to.scale() >= from.scale() && to.precision() - to.scale() >= from.precision() - from.scale();
    }
    return false;
  }
  if (to.id() == TypeId::kFloat64) return (integer && bits_of(from.id()) <= 32) || from.id() == TypeId::kFloat32;
  if (to.id() == TypeId::kFloat32) return integer && bits_of(from.id()) <= 16;
  if (to.id() == TypeId::kString) return from.id() == TypeId::kEnum;
  if (to.id() == TypeId::kTimestamp) return from.id() == TypeId::kDate;
  return false;
}

NodePtr adapt_literal(const NodePtr& literal, const DataType& type) {
  if (literal->type == type) return literal;
  if (literal->kind != Node::Kind::kConstant) return nullptr;
  if (is_constant_null(*literal)) return make_constant(type, Value(), true, literal->source);
  if (literal->type.is_numeric()) return adapt_number(literal, type);
  if (literal->type.id() == TypeId::kString) return adapt_text(literal, type);
  if (literal->type.id() == TypeId::kDate && type.id() == TypeId::kTimestamp) {
    std::string error, help;
    return make_cast(literal, type, false, &error, &help, literal->source);
  }
  return nullptr;
}

NodePtr fold(const NodePtr& node, std::string* error) {
  if (node->kind != Node::Kind::kCall || node->uses_now || node->needs_key) return node;
  for (const auto& arg : node->args) {
    if (arg->kind != Node::Kind::kConstant) return node;
  }
  ErrorList errors;
  EvalContext context;
  const std::vector<Column> no_columns;
  Frame frame{1, nullptr, &no_columns, &context, &errors};
  Column storage;
  const Arg result = evaluate_node(*node, frame, &storage);
  if (!errors.empty()) {
    *error = errors[0].message;
    return nullptr;
  }
  auto folded = std::make_shared<Node>();
  folded->kind = Node::Kind::kConstant;
  folded->type = node->type;
  folded->nullable = result.column->is_null(0);
  folded->constant = *result.column;
  folded->function = node->function;
  folded->source = node->source;
  return folded;
}

NodePtr finish_call(Binding& binding, std::string function, ExprPtr source) {
  if (binding.replacement) return binding.replacement;
  auto node = std::make_shared<Node>();
  node->kind = Node::Kind::kCall;
  node->type = binding.type;
  node->nullable = binding.nullable;
  node->function = std::move(function);
  node->args = std::move(binding.args);
  node->kernel = binding.kernel;
  node->lazy = binding.lazy;
  node->state = std::move(binding.state);
  node->can_fail = binding.can_fail;
  node->hides_pii = binding.hides_pii;
  node->uses_now = binding.uses_now;
  node->needs_key = binding.needs_key;
  node->source = std::move(source);
  RUNINK_CHECK((node->kernel != nullptr) != (node->lazy != nullptr));
  summarise(*node);
  return node;
}

bool unify(Binding& binding, const std::vector<size_t>& which, DataType* type, std::string_view what) {
  DataType common;
  bool any = false;
  // Literals adapt to what the others agree on; only among themselves do they count.
  for (const bool literals : {false, true}) {
    for (const size_t i : which) {
      const NodePtr& arg = binding.args[i];
      if (arg->literal != literals || arg->type.id() == TypeId::kNull) continue;
      if (literals && any && adapt_literal(arg, common) != nullptr) continue;
      const DataType next = any ? common_type(common, arg->type) : arg->type;
      if (next.id() == TypeId::kNull) {
        std::string help;
        const DataType& other = arg->type;
        if (common.is_float() || other.is_float()) {
          if (common.is_numeric() && other.is_numeric()) help = "write float64(x), or cast the other one";
        } else if (common.is_integer() && other.is_integer()) {
          help = "write cast(x as decimal(20,0)), or cast one to the other's type";
        } else if (common.id() == TypeId::kString || other.id() == TypeId::kString) {
          help = "write string(x)";
        } else if (cast_exists(other, common)) {
          help = fmt::format("write cast(x as {})", common.to_string());
        }
        return binding.fail(
            fmt::format("{} must be of one type, and {} is not {}", what, a_type(arg->type), a_type(common)),
            std::move(help), static_cast<int>(i));
      }
      common = next;
      any = true;
    }
  }
  if (!any)
    return binding.fail(fmt::format("{} are all null, so their type is not known", what), "write cast(null as int32)");
  std::string error, help;
  for (const size_t i : which) {
    NodePtr& arg = binding.args[i];
    if (arg->type == common) continue;
    NodePtr same = arg->literal ? adapt_literal(arg, common) : nullptr;
    if (!same) same = make_cast(arg, common, false, &error, &help);
    if (!same) return binding.fail(error, help, static_cast<int>(i));
    arg = std::move(same);
  }
  *type = common;
  return true;
}

}  // namespace runink::expr
