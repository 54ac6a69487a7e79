// Comparisons: == != < <= > >=, in, between. Numbers of different types compare by their exact values.
#include <algorithm>
#include <cmath>

#include "base/nearest.h"
#include "base/text.h"
#include "data/expr/functions.h"
#include "data/expr/kernel.h"
#include "data/expr/number.h"
#include "data/expr/rules_internal.h"

namespace runink::expr {

namespace {

enum class Op { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual };

// NaN equals NaN and is above every number, as in sorting.
template <Op op, typename T>
inline bool holds(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    const bool equal = (a == b) | ((a != a) & (b != b));
    const bool less = (a < b) | ((b != b) & (a == a));
    if constexpr (op == Op::kEqual) return equal;
    if constexpr (op == Op::kNotEqual) return !equal;
    if constexpr (op == Op::kLess) return less;
    if constexpr (op == Op::kLessEqual) return less | equal;
    if constexpr (op == Op::kGreater) return !(less | equal);
    return !less;
  } else {
    if constexpr (op == Op::kEqual) return a == b;
    if constexpr (op == Op::kNotEqual) return a != b;
    if constexpr (op == Op::kLess) return a < b;
    if constexpr (op == Op::kLessEqual) return a <= b;
    if constexpr (op == Op::kGreater) return a > b;
    return a >= b;
  }
}

template <Op op>
inline bool holds_order(int order) {
  return holds<op, int>(order, 0);
}

template <Op op, typename T>
void compare_fixed(const Arg& a, const Arg& b, int64_t rows, uint8_t* __restrict out) {
  const T* __restrict x = a.column->data<T>();
  const T* __restrict y = b.column->data<T>();
  if (b.constant) {
    const T v = y[0];
    if (a.constant) {
      std::memset(out, holds<op, T>(x[0], v) ? 1 : 0, static_cast<size_t>(rows));
      return;
    }
    for (int64_t i = 0; i < rows; ++i) out[i] = holds<op, T>(x[i], v);
  } else if (a.constant) {
    const T v = x[0];
    for (int64_t i = 0; i < rows; ++i) out[i] = holds<op, T>(v, y[i]);
  } else {
    for (int64_t i = 0; i < rows; ++i) out[i] = holds<op, T>(x[i], y[i]);
  }
}

int compare_texts(std::string_view a, std::string_view b) {
  const int order = std::memcmp(a.data(), b.data(), std::min(a.size(), b.size()));
  if (order != 0) return order;
  return a.size() < b.size() ? -1 : a.size() > b.size() ? 1 : 0;
}

// Whether a text is one of at most 8 bytes: the kernel of members, with one member.
void equals_short(const Column& column, std::string_view text, uint8_t* out) {
  rules::ShortMembers members;
  members.count = 1;
  std::memcpy(&members.word[0], text.data(), text.size());
  members.length[0] = static_cast<uint8_t>(text.size());
  std::memset(out, 0, static_cast<size_t>(column.length));
  rule_kernels().short_members({column.offset_data(), column.values->data()}, column.length, members,
                               {nullptr, out, 1});
}

template <Op op>
void compare_text(const Arg& a, const Arg& b, int64_t rows, uint8_t* out) {
  const Texts x(a), y(b);
  if ((op == Op::kEqual || op == Op::kNotEqual) && a.constant != b.constant) {
    const Arg& constant = a.constant ? a : b;
    if (constant.column->text(0).size() <= 8) {
      equals_short(*(a.constant ? b : a).column, constant.column->text(0), out);
      for (int64_t i = 0; op == Op::kEqual && i < rows; ++i) out[i] ^= 1;
      return;
    }
  }
  for (int64_t i = 0; i < rows; ++i) {
    const std::string_view p = x[i], q = y[i];
    if constexpr (op == Op::kEqual || op == Op::kNotEqual) {
      const bool equal = p.size() == q.size() && std::memcmp(p.data(), q.data(), p.size()) == 0;
      out[i] = equal == (op == Op::kEqual);
    } else {
      out[i] = holds_order<op>(compare_texts(p, q));
    }
  }
}

template <Op op>
void compare_uuids(const Arg& a, const Arg& b, int64_t rows, uint8_t* out) {
  const uint8_t* x = a.column->values->data();
  const uint8_t* y = b.column->values->data();
  for (int64_t i = 0; i < rows; ++i) {
    out[i] = holds_order<op>(std::memcmp(x + (a.constant ? 0 : i * 16), y + (b.constant ? 0 : i * 16), 16));
  }
}

// int64 values of any integer column but uint64.
Column as_int64(const Column& column) {
  Column out = columnar::make_fixed_column(TypeId::kInt64, column.length);
  auto* to = out.mutable_data<int64_t>();
  with_fixed_type(column.type.id(), [&](auto zero) {
    using T = decltype(zero);
    const T* from = column.data<T>();
    for (int64_t i = 0; i < column.length; ++i) to[i] = static_cast<int64_t>(from[i]);
  });
  return out;
}

bool same_layout(const DataType& a, const DataType& b) {
  return a.id() == b.id() && (a.id() != TypeId::kDecimal || a.scale() == b.scale());
}

template <Op op>
void compare_into(const Arg& a, const Arg& b, int64_t rows, uint8_t* out) {
  const DataType& ta = a.column->type;
  const DataType& tb = b.column->type;
  if (same_layout(ta, tb)) {
    if (ta.is_text()) return compare_text<op>(a, b, rows, out);
    if (ta.id() == TypeId::kUuid) return compare_uuids<op>(a, b, rows, out);
    const bool done = with_fixed_type(ta.id(), [&](auto zero) { compare_fixed<op, decltype(zero)>(a, b, rows, out); });
    if (!done) std::memset(out, 0, static_cast<size_t>(rows));  // nulls
    return;
  }
  if (ta.is_integer() && tb.is_integer() && ta.id() != TypeId::kUInt64 && tb.id() != TypeId::kUInt64) {
    Column x, y;
    Arg wide_a = a, wide_b = b;
    if (ta.id() != TypeId::kInt64) x = as_int64(*a.column), wide_a.column = &x;
    if (tb.id() != TypeId::kInt64) y = as_int64(*b.column), wide_b.column = &y;
    return compare_fixed<op, int64_t>(wide_a, wide_b, rows, out);
  }
  if (ta.id() == TypeId::kNull || tb.id() == TypeId::kNull) {
    std::memset(out, 0, static_cast<size_t>(rows));
    return;
  }
  for (int64_t i = 0; i < rows; ++i) {
    out[i] = holds_order<op>(compare_values(*a.column, a.constant ? 0 : i, *b.column, b.constant ? 0 : i));
  }
}

using CompareInto = void (*)(const Arg&, const Arg&, int64_t, uint8_t*);

template <Op op>
void comparison(const Node& node, const Arg* args, Frame& frame, Column* out) {
  *out = fixed_result(node, frame);
  out->validity = combined_validity(args, 2, frame.rows);
  compare_into<op>(args[0], args[1], frame.rows, out->mutable_data<uint8_t>());
}

Kernel comparison_kernel(std::string_view sign) {
  if (sign == "==") return comparison<Op::kEqual>;
  if (sign == "!=") return comparison<Op::kNotEqual>;
  if (sign == "<") return comparison<Op::kLess>;
  if (sign == "<=") return comparison<Op::kLessEqual>;
  if (sign == ">") return comparison<Op::kGreater>;
  return comparison<Op::kGreaterEqual>;
}

void valid_bytes(const Arg& arg, int64_t rows, std::vector<uint8_t>& bytes) {
  bytes.resize(static_cast<size_t>(rows));
  if (arg.constant) {
    std::fill(bytes.begin(), bytes.end(), static_cast<uint8_t>(arg.column->is_valid(0)));
  } else {
    columnar::validity_to_bytes(*arg.column, bytes.data());
  }
}

// value >= low and value <= high, with `and`'s treatment of nulls.
template <bool negated>
void between(const Node& node, const Arg* args, Frame& frame, Column* out) {
  *out = fixed_result(node, frame);
  const auto rows = static_cast<size_t>(frame.rows);
  uint8_t* to = out->mutable_data<uint8_t>();
  std::vector<uint8_t> high(rows);
  compare_into<Op::kGreaterEqual>(args[0], args[1], frame.rows, to);
  compare_into<Op::kLessEqual>(args[0], args[2], frame.rows, high.data());
  const bool nulls =
      args[0].column->may_have_nulls() || args[1].column->may_have_nulls() || args[2].column->may_have_nulls();
  if (!nulls) {
    for (size_t i = 0; i < rows; ++i) to[i] = static_cast<uint8_t>((to[i] & high[i]) ^ (negated ? 1 : 0));
    return;
  }
  std::vector<uint8_t> v, l, h, valid(rows);
  valid_bytes(args[0], frame.rows, v);
  valid_bytes(args[1], frame.rows, l);
  valid_bytes(args[2], frame.rows, h);
  for (size_t i = 0; i < rows; ++i) {
    const uint8_t low_known = v[i] & l[i], high_known = v[i] & h[i];
    const uint8_t is_false = static_cast<uint8_t>((low_known & (to[i] ^ 1)) | (high_known & (high[i] ^ 1)));
    const uint8_t is_true = low_known & to[i] & high_known & high[i];
    valid[i] = is_false | is_true;
    to[i] = negated ? is_false : is_true;
  }
  out->validity = columnar::validity_from_bytes(valid.data(), frame.rows);
}

// Members known when the expression is compiled, none null.
struct MemberSet {
  std::vector<int64_t> numbers;  // sorted; integers, dates, times, enum indices
  RulePtr texts;                 // or the rule of these texts
};

// Integers whose column type holds them; up to a few members a loop over members of vectorised comparisons.
template <typename T>
void in_numbers(const MemberSet& set, const Column& column, int64_t rows, uint8_t* out) {
  const T* from = column.data<T>();
  constexpr size_t kFew = 8;
  std::memset(out, 0, static_cast<size_t>(rows));
  if (set.numbers.size() <= kFew) {
    for (const int64_t wanted : set.numbers) {
      const auto v = static_cast<T>(wanted);
      for (int64_t i = 0; i < rows; ++i) out[i] |= from[i] == v;
    }
    return;
  }
  for (int64_t i = 0; i < rows; ++i) {
    out[i] = std::binary_search(set.numbers.begin(), set.numbers.end(), static_cast<int64_t>(from[i]));
  }
}

template <bool negated>
void in_set(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const auto& set = *static_cast<const MemberSet*>(node.state.get());
  *out = fixed_result(node, frame);
  out->validity = combined_validity(args, 1, frame.rows);
  uint8_t* to = out->mutable_data<uint8_t>();
  const Column& column = *args[0].column;
  const int64_t rows = args[0].constant ? 1 : frame.rows;
  if (set.texts != nullptr) {
    std::memset(to, 0, static_cast<size_t>(rows));
    set.texts->check(column, to);
    for (int64_t i = 0; i < rows; ++i) to[i] ^= 1;
  } else {
    with_fixed_type(column.type.id(), [&](auto zero) { in_numbers<decltype(zero)>(set, column, rows, to); });
  }
  if (args[0].constant) std::memset(to, to[0], static_cast<size_t>(frame.rows));
  if (negated) {
    for (int64_t i = 0; i < frame.rows; ++i) to[i] ^= 1;
  }
}

// Members that are computed: true where one is equal, else null where one is null.
template <bool negated>
void in_members(const Node& node, const Arg* args, Frame& frame, Column* out) {
  *out = fixed_result(node, frame);
  const auto rows = static_cast<size_t>(frame.rows);
  uint8_t* to = out->mutable_data<uint8_t>();
  std::vector<uint8_t> found(rows, 0), unknown(rows, 0), equal(rows), value_valid, member_valid;
  valid_bytes(args[0], frame.rows, value_valid);
  for (size_t m = 1; m < node.args.size(); ++m) {
    compare_into<Op::kEqual>(args[0], args[m], frame.rows, equal.data());
    valid_bytes(args[m], frame.rows, member_valid);
    for (size_t i = 0; i < rows; ++i) {
      const uint8_t known = value_valid[i] & member_valid[i];
      found[i] |= known & equal[i];
      unknown[i] |= known ^ 1;
    }
  }
  for (size_t i = 0; i < rows; ++i) {
    to[i] = negated ? found[i] ^ 1 : found[i];
    unknown[i] = found[i] | (unknown[i] ^ 1);
  }
  out->validity = columnar::validity_from_bytes(unknown.data(), frame.rows);
}

enum class Class { kNothing, kNumber, kBool, kText, kInstant, kTime, kDuration, kUuid, kBytes, kOther };

Class class_of(const DataType& type) {
  if (type.is_numeric()) return Class::kNumber;
  switch (type.id()) {
    case TypeId::kNull:
      return Class::kNothing;
    case TypeId::kBool:
      return Class::kBool;
    case TypeId::kString:
    case TypeId::kEnum:
      return Class::kText;
    case TypeId::kDate:
    case TypeId::kTimestamp:
      return Class::kInstant;
    case TypeId::kTime:
      return Class::kTime;
    case TypeId::kDuration:
      return Class::kDuration;
    case TypeId::kUuid:
      return Class::kUuid;
    case TypeId::kBytes:
      return Class::kBytes;
    default:
      return Class::kOther;
  }
}

bool wrong_literal(Binding& binding, size_t which, const DataType& lead) {
  const std::string text = std::get<std::string>(constant_value(*binding.args[which]).data);
  if (lead.id() == TypeId::kEnum) {
    const auto near = nearest(text, lead.labels());
    std::string help =
        near.empty() ? "its labels are: " + join(lead.labels(), ", ") : fmt::format("did you mean \"{}\"?", near[0]);
    return binding.fail(fmt::format("{} is not a label of {}", json_quote(text), lead.to_string()), std::move(help),
                        static_cast<int>(which));
  }
  return binding.fail(fmt::format("{} is not {}", json_quote(text), a_type(lead)), "", static_cast<int>(which));
}

bool no_comparison(Binding& binding, size_t which, const DataType& a, const DataType& b) {
  std::string help;
  if (b.id() == TypeId::kString && (a.is_numeric() || a.id() == TypeId::kBool)) {
    help = "a text in quotes is never a number; leave the quotes out, or write cast(x as " + a.to_string() + ")";
  } else if (cast_exists(b, a)) {
    help = fmt::format("write cast(x as {})", a.to_string());
  } else if (cast_exists(a, b)) {
    help = fmt::format("write cast(x as {})", b.to_string());
  }
  return binding.fail(fmt::format("{} cannot be compared with {}", a_type(a), a_type(b)), std::move(help),
                      static_cast<int>(which));
}

}  // namespace

int compare_values(const Column& a, int64_t row_a, const Column& b, int64_t row_b) {
  if (a.type.is_numeric()) return compare_numbers(number_at(a, row_a), number_at(b, row_b));
  if (a.type.is_text()) return compare_texts(a.text(row_a), b.text(row_b));
  if (a.type.id() == TypeId::kUuid)
    return std::memcmp(a.values->data() + row_a * 16, b.values->data() + row_b * 16, 16);
  return compare_numbers(number_at(a, row_a), number_at(b, row_b));
}

bool unify_for_comparison(Binding& binding, const std::vector<size_t>& which) {
  for (const size_t i : which) {
    if (binding.args[i]->literal && is_constant_null(*binding.args[i])) {
      return binding.fail("a comparison with null is never true", "write: x is null, or: x is not null",
                          static_cast<int>(i));
    }
  }
  // The lead's type is what literals adapt to.
  size_t lead = which[0];
  for (const size_t i : which) {
    if (!binding.args[i]->literal && binding.args[i]->type.id() != TypeId::kNull) {
      lead = i;
      break;
    }
  }
  const DataType lead_type = binding.args[lead]->type;
  for (const size_t i : which) {
    const NodePtr& arg = binding.args[i];
    if (!arg->literal || arg->type == lead_type) continue;
    if (NodePtr adapted = adapt_literal(arg, lead_type)) {
      binding.args[i] = std::move(adapted);
    } else if (arg->type.id() == TypeId::kString && !lead_type.is_numeric() && lead_type.id() != TypeId::kBool &&
               class_of(lead_type) != Class::kOther && class_of(lead_type) != Class::kBytes) {
      return wrong_literal(binding, i, lead_type);
    }
  }
  bool mixed_text = false, any_timestamp = false;
  for (const size_t i : which) {
    const DataType& type = binding.args[i]->type;
    const Class c = class_of(type);
    if (c == Class::kNothing) continue;
    if (c == Class::kOther) {
      return binding.fail(fmt::format("values of type {} cannot be compared", type.to_string()),
                          type.id() == TypeId::kJson ? "take a value out with json_value(json, \"$.name\")" : "",
                          static_cast<int>(i));
    }
    if (c != class_of(lead_type)) return no_comparison(binding, i, lead_type, type);
    mixed_text |= c == Class::kText && !(type == lead_type);
    any_timestamp |= type.id() == TypeId::kTimestamp;
  }
  std::string error, help;
  for (const size_t i : which) {
    NodePtr& arg = binding.args[i];
    DataType wanted = arg->type;
    if (arg->type.id() == TypeId::kNull) wanted = lead_type;
    if (mixed_text) wanted = TypeId::kString;
    if (any_timestamp && class_of(wanted) == Class::kInstant) wanted = TypeId::kTimestamp;
    if (wanted == arg->type) continue;
    NodePtr cast = make_cast(arg, wanted, false, &error, &help);
    if (!cast) return binding.fail(error, help, static_cast<int>(i));
    arg = std::move(cast);
  }
  return true;
}

bool bind_comparison(std::string_view sign, Binding& binding) {
  if (!unify_for_comparison(binding, {0, 1})) return false;
  if (binding.args[0]->type.id() == TypeId::kEnum && sign != "==" && sign != "!=") {
    return binding.fail("labels of an enum have no order", "write cast(x as string) to compare them as texts", 0);
  }
  binding.type = TypeId::kBool;
  binding.kernel = comparison_kernel(sign);
  return true;
}

bool bind_between(bool negated, Binding& binding) {
  if (!unify_for_comparison(binding, {0, 1, 2})) return false;
  if (binding.args[0]->type.id() == TypeId::kEnum) {
    return binding.fail("labels of an enum have no order", "write cast(x as string) to compare them as texts", 0);
  }
  binding.type = TypeId::kBool;
  binding.kernel = negated ? between<true> : between<false>;
  return true;
}

bool bind_in(bool negated, Binding& binding) {
  std::vector<size_t> all(binding.args.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  if (!unify_for_comparison(binding, all)) return false;
  binding.type = TypeId::kBool;
  const DataType type = binding.args[0]->type;
  const bool integral = (type.is_integer() && type.id() != TypeId::kUInt64) || type.id() == TypeId::kBool ||
                        type.id() == TypeId::kDate || type.id() == TypeId::kTimestamp || type.id() == TypeId::kTime ||
                        type.id() == TypeId::kDuration || type.id() == TypeId::kEnum;
  bool known = type.id() == TypeId::kString || integral;
  for (size_t i = 1; i < all.size(); ++i) {
    const Node& member = *binding.args[i];
    known &= member.kind == Node::Kind::kConstant && member.constant.is_valid(0) &&
             (member.type == type || (type.is_integer() && member.type.is_numeric()));
  }
  if (!known) {
    binding.kernel = negated ? in_members<true> : in_members<false>;
    return true;
  }
  auto set = std::make_shared<MemberSet>();
  std::vector<std::string> texts;
  for (size_t i = 1; i < all.size(); ++i) {
    const Node& member = *binding.args[i];
    if (type.id() == TypeId::kString) {
      texts.emplace_back(member.constant.text(0));
    } else if (member.type == type) {
      set->numbers.push_back(static_cast<int64_t>(number_at(member.constant, 0).scaled));
    }
    // A number that the value's type cannot hold (it did not adapt) is never equal to it: left out.
    else if (NodePtr same = adapt_literal(binding.args[i], type)) {
      set->numbers.push_back(static_cast<int64_t>(number_at(same->constant, 0).scaled));
    }
  }
  std::sort(set->numbers.begin(), set->numbers.end());
  if (!texts.empty()) set->texts = make_text_members(texts, "in");
  // The members are in the set; what stays is the value.
  binding.args.resize(1);
  binding.nullable = binding.args[0]->nullable;
  binding.state = std::move(set);
  binding.kernel = negated ? in_set<true> : in_set<false>;
  return true;
}

}  // namespace runink::expr
