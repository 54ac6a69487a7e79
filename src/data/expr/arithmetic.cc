// + - * / % and the sign: 64-bit integers (checked), decimals of 38 digits (exact), float64, dates and durations.
#include <algorithm>
#include <cmath>

#include "data/expr/functions.h"
#include "data/expr/kernel.h"
#include "data/expr/number.h"

namespace runink::expr {

namespace {

constexpr const char* kOverflowInt = "overflow of int64";
constexpr const char* kOverflowUnsigned = "overflow of uint64";
constexpr const char* kOverflowFloat = "overflow of float64";
constexpr const char* kOverflowDecimal = "more than 38 digits";
constexpr const char* kDivisionByZero = "division by zero";

// Loops over two arguments of which one may be a constant, in a form that compilers vectorise.
template <typename T, typename F>
void pairs(const Arg* args, int64_t rows, F f) {
  const T* __restrict a = args[0].column->data<T>();
  const T* __restrict b = args[1].column->data<T>();
  if (args[0].constant && args[1].constant) {
    f(0, a[0], b[0]);
  } else if (args[1].constant) {
    const T v = b[0];
    for (int64_t i = 0; i < rows; ++i) f(i, a[i], v);
  } else if (args[0].constant) {
    const T v = a[0];
    for (int64_t i = 0; i < rows; ++i) f(i, v, b[i]);
  } else {
    for (int64_t i = 0; i < rows; ++i) f(i, a[i], b[i]);
  }
}

// Rows that a second pass over the same arguments finds bad.
template <typename T, typename Bad>
void fail_pairs(const Node& node, const Arg* args, Frame& frame, Column* out, const char* what, Bad bad) {
  std::vector<uint8_t> marked(static_cast<size_t>(frame.rows));
  pairs<T>(args, frame.rows, [&](int64_t i, T a, T b) { marked[static_cast<size_t>(i)] = bad(a, b); });
  fail_marked(node, frame, marked.data(), what, out);
}

void begin(const Node& node, const Arg* args, Frame& frame, Column* out) {
  *out = fixed_result(node, frame);
  out->validity = combined_validity(args, 2, frame.rows);
}

// The sign bit of `overflowed` gathers whether any row overflowed; which ones, a second pass finds.
void add_int64(const Node& node, const Arg* args, Frame& frame, Column* out) {
  begin(node, args, frame, out);
  int64_t* __restrict to = out->mutable_data<int64_t>();
  int64_t overflowed = 0;
  pairs<int64_t>(args, frame.rows, [&](int64_t i, int64_t a, int64_t b) {
    const auto r = static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
    overflowed |= (a ^ r) & (b ^ r);
    to[i] = r;
  });
  if (overflowed >= 0) return;
  fail_pairs<int64_t>(node, args, frame, out, kOverflowInt, [](int64_t a, int64_t b) {
    int64_t r = 0;
    return __builtin_add_overflow(a, b, &r);
  });
}

void subtract_int64(const Node& node, const Arg* args, Frame& frame, Column* out) {
  begin(node, args, frame, out);
  int64_t* __restrict to = out->mutable_data<int64_t>();
  int64_t overflowed = 0;
  pairs<int64_t>(args, frame.rows, [&](int64_t i, int64_t a, int64_t b) {
    const auto r = static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
    overflowed |= (a ^ b) & (a ^ r);
    to[i] = r;
  });
  if (overflowed >= 0) return;
  fail_pairs<int64_t>(node, args, frame, out, kOverflowInt, [](int64_t a, int64_t b) {
    int64_t r = 0;
    return __builtin_sub_overflow(a, b, &r);
  });
}

void multiply_int64(const Node& node, const Arg* args, Frame& frame, Column* out) {
  begin(node, args, frame, out);
  int64_t* __restrict to = out->mutable_data<int64_t>();
  unsigned overflowed = 0;
  pairs<int64_t>(args, frame.rows, [&](int64_t i, int64_t a, int64_t b) {
    overflowed |= static_cast<unsigned>(__builtin_mul_overflow(a, b, &to[i]));
  });
  if (overflowed == 0) return;
  fail_pairs<int64_t>(node, args, frame, out, kOverflowInt, [](int64_t a, int64_t b) {
    int64_t r = 0;
    return __builtin_mul_overflow(a, b, &r);
  });
}

template <typename F>
void checked_int64(const Node& node, const Arg* args, Frame& frame, Column* out, F f) {
  const Values<int64_t> a(args[0]), b(args[1]);
  map_checked<int64_t>(node, args, 2, frame, out, [&](int64_t i, int64_t* r) { return f(a[i], b[i], r); });
}

void remainder_int64(const Node& node, const Arg* args, Frame& frame, Column* out) {
  checked_int64(node, args, frame, out, [](int64_t a, int64_t b, int64_t* r) -> const char* {
    if (b == 0) return kDivisionByZero;
    *r = b == -1 ? 0 : a % b;
    return nullptr;
  });
}

// Integers of which one is uint64: exact in 128 bits, then checked. The node's type says what it must fit.
template <char sign>
void mixed_integers(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const bool is_unsigned = node.type.id() == TypeId::kUInt64;
  map_checked<int64_t>(node, args, 2, frame, out, [&](int64_t i, int64_t* to) -> const char* {
    const int128 a = number_at(*args[0].column, args[0].constant ? 0 : i).scaled;
    const int128 b = number_at(*args[1].column, args[1].constant ? 0 : i).scaled;
    int128 r = 0;
    if (sign == '+') r = a + b;
    if (sign == '-') r = a - b;
    if (sign == '*' && __builtin_mul_overflow(a, b, &r)) return is_unsigned ? kOverflowUnsigned : kOverflowInt;
    if (sign == '%') {
      if (b == 0) return kDivisionByZero;
      r = a % b;
    }
    if (is_unsigned ? (r < 0 || r > static_cast<int128>(UINT64_MAX)) : (r < INT64_MIN || r > INT64_MAX)) {
      return is_unsigned ? kOverflowUnsigned : kOverflowInt;
    }
    *to = static_cast<int64_t>(static_cast<uint64_t>(r));
    return nullptr;
  });
}

// r - r is 0 for finite r and NaN otherwise.
template <char sign>
void float_kernel(const Node& node, const Arg* args, Frame& frame, Column* out) {
  begin(node, args, frame, out);
  double* __restrict to = out->mutable_data<double>();
  const auto compute = [](double a, double b) {
    if constexpr (sign == '+') return a + b;
    if constexpr (sign == '-') return a - b;
    if constexpr (sign == '*') return a * b;
    return a / b;
  };
  double odd = 0;
  pairs<double>(args, frame.rows, [&](int64_t i, double a, double b) {
    const double r = compute(a, b);
    odd += r - r;
    to[i] = r;
  });
  if (odd == 0) return;
  if (sign == '/') fail_pairs<double>(node, args, frame, out, kDivisionByZero, [](double, double b) { return b == 0; });
  fail_pairs<double>(node, args, frame, out, kOverflowFloat, [&](double a, double b) {
    return std::isfinite(a) && std::isfinite(b) && !std::isfinite(compute(a, b)) && (sign != '/' || b != 0);
  });
}

void remainder_float(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<double> a(args[0]), b(args[1]);
  map_checked<double>(node, args, 2, frame, out, [&](int64_t i, double* r) -> const char* {
    if (b[i] == 0) return kDivisionByZero;
    *r = std::fmod(a[i], b[i]);
    return nullptr;
  });
}

template <typename F>
void decimal_kernel(const Node& node, const Arg* args, Frame& frame, Column* out, F f) {
  const Values<int128> a(args[0]), b(args[1]);
  map_checked<int128>(node, args, 2, frame, out, [&](int64_t i, int128* r) -> const char* {
    const char* what = f(a[i], b[i], r);
    if (what == nullptr && !fits_digits(*r, 38)) {
      *r = 0;
      return kOverflowDecimal;
    }
    return what;
  });
}

template <char sign>
void decimal_arithmetic(const Node& node, const Arg* args, Frame& frame, Column* out) {
  decimal_kernel(node, args, frame, out, [](int128 a, int128 b, int128* r) -> const char* {
    bool overflow = false;
    if (sign == '+') overflow = __builtin_add_overflow(a, b, r);
    if (sign == '-') overflow = __builtin_sub_overflow(a, b, r);
    if (sign == '*') overflow = __builtin_mul_overflow(a, b, r);
    if (sign == '%') {
      if (b == 0) return kDivisionByZero;
      *r = a % b;
    }
    if (overflow) *r = 0;
    return overflow ? kOverflowDecimal : nullptr;
  });
}

void divide_decimal(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const int shift = node.type.scale() - args[0].column->type.scale() + args[1].column->type.scale();
  decimal_kernel(node, args, frame, out, [shift](int128 a, int128 b, int128* r) -> const char* {
    if (b == 0) return kDivisionByZero;
    return divide_scaled(a, shift, b, r) ? nullptr : kOverflowDecimal;
  });
}

void negate_int64(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<int64_t> v(args[0]);
  map_checked<int64_t>(node, args, 1, frame, out, [&](int64_t i, int64_t* r) -> const char* {
    return __builtin_sub_overflow(int64_t{0}, v[i], r) ? kOverflowInt : nullptr;
  });
}
void negate_uint64(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<uint64_t> v(args[0]);
  map_checked<int64_t>(node, args, 1, frame, out, [&](int64_t i, int64_t* r) -> const char* {
    if (v[i] > uint64_t{1} << 63) return kOverflowInt;
    *r = static_cast<int64_t>(0 - v[i]);
    return nullptr;
  });
}
void negate_double(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<double> v(args[0]);
  map_all<double>(node, args, 1, frame, out, [&](int64_t i) { return -v[i]; });
}
void negate_decimal(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<int128> v(args[0]);
  map_all<int128>(node, args, 1, frame, out, [&](int64_t i) { return -v[i]; });
}

constexpr const char* kOutsideCalendar = "outside the years 0001 to 9999";
constexpr int64_t kFirstMicros = -62135596800000000;  // 0001-01-01T00:00:00Z
constexpr int64_t kLastMicros = 253402300799999999;   // 9999-12-31T23:59:59.999999Z

void shift_timestamp(const Node& node, const Arg* args, Frame& frame, Column* out, bool back) {
  checked_int64(node, args, frame, out, [back](int64_t a, int64_t b, int64_t* r) -> const char* {
    const bool overflow = back ? __builtin_sub_overflow(a, b, r) : __builtin_add_overflow(a, b, r);
    if (overflow || *r < kFirstMicros || *r > kLastMicros) {
      *r = 0;
      return kOutsideCalendar;
    }
    return nullptr;
  });
}
void timestamp_plus(const Node& node, const Arg* args, Frame& frame, Column* out) {
  shift_timestamp(node, args, frame, out, false);
}
void timestamp_minus(const Node& node, const Arg* args, Frame& frame, Column* out) {
  shift_timestamp(node, args, frame, out, true);
}

void divide_duration(const Node& node, const Arg* args, Frame& frame, Column* out) {
  checked_int64(node, args, frame, out, [](int64_t a, int64_t b, int64_t* r) -> const char* {
    if (b == 0) return kDivisionByZero;
    if (a == INT64_MIN && b == -1) return kOverflowInt;
    *r = a / b;
    return nullptr;
  });
}
void duration_ratio(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<int64_t> a(args[0]), b(args[1]);
  map_checked<double>(node, args, 2, frame, out, [&](int64_t i, double* r) -> const char* {
    if (b[i] == 0) return kDivisionByZero;
    *r = static_cast<double>(a[i]) / static_cast<double>(b[i]);
    return nullptr;
  });
}

bool cast_arg(Binding& binding, size_t i, const DataType& type) {
  NodePtr& arg = binding.args[i];
  if (arg->type == type) return true;
  NodePtr same = arg->literal ? adapt_literal(arg, type) : nullptr;
  std::string error, help;
  if (!same) same = make_cast(arg, type, false, &error, &help);
  if (!same) return binding.fail(error, help, static_cast<int>(i));
  arg = std::move(same);
  return true;
}

bool cast_both(Binding& binding, const DataType& type) {
  return cast_arg(binding, 0, type) && cast_arg(binding, 1, type);
}

bool set(Binding& binding, DataType type, Kernel kernel) {
  binding.type = std::move(type);
  binding.kernel = kernel;
  binding.can_fail = true;
  return true;
}

bool bind_float(char sign, Binding& binding) {
  if (!cast_both(binding, TypeId::kFloat64)) return false;
  switch (sign) {
    case '+':
      return set(binding, TypeId::kFloat64, float_kernel<'+'>);
    case '-':
      return set(binding, TypeId::kFloat64, float_kernel<'-'>);
    case '*':
      return set(binding, TypeId::kFloat64, float_kernel<'*'>);
    case '/':
      return set(binding, TypeId::kFloat64, float_kernel<'/'>);
    default:
      return set(binding, TypeId::kFloat64, remainder_float);
  }
}

bool bind_integers(char sign, Binding& binding) {
  if (sign == '/') return bind_float(sign, binding);
  // A literal that is not negative goes with uint64 as uint64.
  for (size_t i = 0; i < 2; ++i) {
    if (binding.args[1 - i]->type.id() == TypeId::kUInt64 && binding.args[i]->literal) {
      if (NodePtr same = adapt_literal(binding.args[i], TypeId::kUInt64)) binding.args[i] = std::move(same);
    }
  }
  const bool a = binding.args[0]->type.id() == TypeId::kUInt64, b = binding.args[1]->type.id() == TypeId::kUInt64;
  if (!a && !b) {
    if (!cast_both(binding, TypeId::kInt64)) return false;
    switch (sign) {
      case '+':
        return set(binding, TypeId::kInt64, add_int64);
      case '-':
        return set(binding, TypeId::kInt64, subtract_int64);
      case '*':
        return set(binding, TypeId::kInt64, multiply_int64);
      default:
        return set(binding, TypeId::kInt64, remainder_int64);
    }
  }
  const DataType type = (sign == '%' ? a : a && b && sign != '-') ? TypeId::kUInt64 : TypeId::kInt64;
  switch (sign) {
    case '+':
      return set(binding, type, mixed_integers<'+'>);
    case '-':
      return set(binding, type, mixed_integers<'-'>);
    case '*':
      return set(binding, type, mixed_integers<'*'>);
    default:
      return set(binding, type, mixed_integers<'%'>);
  }
}

// An integer as the decimal that holds it; a literal needs no more digits than it has.
DataType decimal_type(const Node& node) {
  if (node.type.id() == TypeId::kDecimal) return node.type;
  if (node.literal) {
    int128 v = number_at(node.constant, 0).scaled;
    int digits = 1;
    while (digits < 38 && !fits_digits(v, digits)) ++digits;
    return DataType::decimal(digits, 0);
  }
  return DataType::decimal(integer_digits(node.type.id()), 0);
}

bool bind_decimal(char sign, Binding& binding) {
  const DataType a = decimal_type(*binding.args[0]), b = decimal_type(*binding.args[1]);
  const int whole_a = a.precision() - a.scale(), whole_b = b.precision() - b.scale();
  if (sign == '*') {
    if (a.scale() + b.scale() > 38) {
      return binding.fail(
          fmt::format("the product of {} and {} would have {} digits after the point, and 38 is the most",
                      a.to_string(), b.to_string(), a.scale() + b.scale()),
          "round one of them first: round(x, 4)");
    }
    if (!cast_arg(binding, 0, a) || !cast_arg(binding, 1, b)) return false;
    return set(binding, DataType::decimal(std::min(38, a.precision() + b.precision()), a.scale() + b.scale()),
               decimal_arithmetic<'*'>);
  }
  if (sign == '/') {
    if (!cast_arg(binding, 0, a) || !cast_arg(binding, 1, b)) return false;
    return set(binding, DataType::decimal(38, std::max({6, a.scale(), b.scale()})), divide_decimal);
  }
  const int scale = std::max(a.scale(), b.scale());
  if (!cast_arg(binding, 0, DataType::decimal(std::min(38, whole_a + scale), scale))) return false;
  if (!cast_arg(binding, 1, DataType::decimal(std::min(38, whole_b + scale), scale))) return false;
  const int digits = std::min(38, std::max(whole_a, whole_b) + scale + (sign == '%' ? 0 : 1));
  const DataType type = DataType::decimal(std::max(1, digits), scale);
  if (sign == '+') return set(binding, type, decimal_arithmetic<'+'>);
  if (sign == '-') return set(binding, type, decimal_arithmetic<'-'>);
  return set(binding, type, decimal_arithmetic<'%'>);
}

bool bind_times(char sign, Binding& binding, bool* handled) {
  const auto is = [&](size_t i, TypeId id) { return binding.args[i]->type.id() == id; };
  const auto instant = [&](size_t i) { return is(i, TypeId::kDate) || is(i, TypeId::kTimestamp); };
  *handled = true;
  if (sign == '-' && instant(0) && instant(1)) {
    return cast_both(binding, TypeId::kTimestamp) && set(binding, TypeId::kDuration, subtract_int64);
  }
  if (sign == '-' && is(0, TypeId::kTime) && is(1, TypeId::kTime))
    return set(binding, TypeId::kDuration, subtract_int64);
  if ((sign == '+' || sign == '-') && instant(0) && is(1, TypeId::kDuration)) {
    return cast_arg(binding, 0, TypeId::kTimestamp) &&
           set(binding, TypeId::kTimestamp, sign == '+' ? timestamp_plus : timestamp_minus);
  }
  if (sign == '+' && is(0, TypeId::kDuration) && instant(1)) {
    return cast_arg(binding, 1, TypeId::kTimestamp) && set(binding, TypeId::kTimestamp, timestamp_plus);
  }
  if (is(0, TypeId::kDuration) && is(1, TypeId::kDuration)) {
    if (sign == '+') return set(binding, TypeId::kDuration, add_int64);
    if (sign == '-') return set(binding, TypeId::kDuration, subtract_int64);
    if (sign == '/') return set(binding, TypeId::kFloat64, duration_ratio);
    if (sign == '%') return set(binding, TypeId::kDuration, remainder_int64);
  }
  const auto whole = [&](size_t i) { return binding.args[i]->type.is_integer() && !is(i, TypeId::kUInt64); };
  if (is(0, TypeId::kDuration) && whole(1) && (sign == '*' || sign == '/')) {
    return cast_arg(binding, 1, TypeId::kInt64) &&
           set(binding, TypeId::kDuration, sign == '*' ? multiply_int64 : divide_duration);
  }
  if (sign == '*' && whole(0) && is(1, TypeId::kDuration)) {
    return cast_arg(binding, 0, TypeId::kInt64) && set(binding, TypeId::kDuration, multiply_int64);
  }
  *handled = false;
  return true;
}

bool refuse(char sign, Binding& binding) {
  const DataType& a = binding.args[0]->type;
  const DataType& b = binding.args[1]->type;
  std::string help;
  const auto is = [](const DataType& t, TypeId id) { return t.id() == id; };
  if (is(a, TypeId::kTimestamp) || is(a, TypeId::kDate)) {
    help = b.is_numeric() ? "say of what: + 2d, + 15m; or add_days(date, n), add_months(date, n)" : "";
  } else if (is(a, TypeId::kString) || is(b, TypeId::kString)) {
    help = "a text becomes a number with int64(x), float64(x) or cast(x as decimal(12,2))";
  } else if (is(a, TypeId::kBool) || is(b, TypeId::kBool)) {
    help = "count true as 1 with if(x, 1, 0)";
  }
  return binding.fail(fmt::format("`{}` does not go with {} and {}", sign, a.to_string(), b.to_string()),
                      std::move(help));
}

}  // namespace

bool bind_arithmetic(std::string_view name, Binding& binding) {
  const char sign = name[0];
  std::string error, help;
  for (size_t i = 0; i < 2; ++i) {
    if (binding.args[i]->type.id() != TypeId::kNull) continue;
    const DataType& other = binding.args[1 - i]->type;
    if (other.id() == TypeId::kNull) return binding.fail("both sides are null, so their type is not known");
    NodePtr null = make_cast(binding.args[i], other, false, &error, &help);
    if (!null) return binding.fail(error, help, static_cast<int>(i));
    binding.args[i] = std::move(null);
  }
  const auto text = [&](size_t i) {
    return binding.args[i]->type.id() == TypeId::kString || binding.args[i]->type.id() == TypeId::kEnum;
  };
  if (sign == '+' && (text(0) || text(1))) {
    if (text(0) && text(1)) return bind_concat(binding);
    const size_t other = text(0) ? 1 : 0;
    return binding.fail(fmt::format("a text and {} cannot be joined with +", a_type(binding.args[other]->type)),
                        "write string(x) to make a text of it", static_cast<int>(other));
  }
  bool handled = false;
  if (!bind_times(sign, binding, &handled)) return false;
  if (handled) return true;
  const DataType& a = binding.args[0]->type;
  const DataType& b = binding.args[1]->type;
  if (!a.is_numeric() || !b.is_numeric()) return refuse(sign, binding);
  if (a.is_float() || b.is_float()) return bind_float(sign, binding);
  if (a.id() == TypeId::kDecimal || b.id() == TypeId::kDecimal) return bind_decimal(sign, binding);
  return bind_integers(sign, binding);
}

bool bind_negation(Binding& binding) {
  const DataType type = binding.args[0]->type;
  if (type.is_integer() && type.id() != TypeId::kUInt64) {
    return cast_arg(binding, 0, TypeId::kInt64) && set(binding, TypeId::kInt64, negate_int64);
  }
  if (type.id() == TypeId::kUInt64) return set(binding, TypeId::kInt64, negate_uint64);
  if (type.id() == TypeId::kDuration) return set(binding, TypeId::kDuration, negate_int64);
  if (type.id() == TypeId::kDecimal) {
    set(binding, type, negate_decimal);
    binding.can_fail = false;
    return true;
  }
  if (type.is_float()) {
    if (!cast_arg(binding, 0, TypeId::kFloat64)) return false;
    set(binding, TypeId::kFloat64, negate_double);
    binding.can_fail = false;
    return true;
  }
  return binding.fail(fmt::format("`-` does not go with {}", a_type(type)),
                      type.id() == TypeId::kBool ? "write: not x" : "", 0);
}

}  // namespace runink::expr
