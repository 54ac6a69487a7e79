// Functions of numbers.
#include <algorithm>
#include <cmath>

#include "data/expr/functions.h"
#include "data/expr/kernel.h"
#include "data/expr/number.h"

namespace runink::expr {

namespace {

constexpr const char* kOverflow = "overflow of float64";

// A function of doubles; what it cannot give is an error, never NaN or infinity made silently.
template <double (*function)(double)>
void real(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<double> v(args[0]);
  map_checked<double>(node, args, 1, frame, out, [&](int64_t i, double* r) -> const char* {
    *r = function(v[i]);
    if (std::isfinite(*r) || !std::isfinite(v[i])) return nullptr;
    return std::isnan(*r) ? "not defined for this number" : kOverflow;
  });
}

double square_root(double x) { return std::sqrt(x); }
double cube_root(double x) { return std::cbrt(x); }
double exponential(double x) { return std::exp(x); }
double sine(double x) { return std::sin(x); }
double cosine(double x) { return std::cos(x); }
double tangent(double x) { return std::tan(x); }
double arc_sine(double x) { return std::asin(x); }
double arc_cosine(double x) { return std::acos(x); }
double arc_tangent(double x) { return std::atan(x); }
double to_radians(double x) { return x * (3.14159265358979323846 / 180.0); }
double to_degrees(double x) { return x * (180.0 / 3.14159265358979323846); }

template <double (*function)(double)>
void logarithm(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<double> v(args[0]);
  map_checked<double>(node, args, 1, frame, out, [&](int64_t i, double* r) -> const char* {
    if (v[i] <= 0) return "the logarithm of a number that is not positive";
    *r = function(v[i]);
    return nullptr;
  });
}
double natural_log(double x) { return std::log(x); }
double log_ten(double x) { return std::log10(x); }
double log_two(double x) { return std::log2(x); }

void power(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<double> a(args[0]), b(args[1]);
  map_checked<double>(node, args, 2, frame, out, [&](int64_t i, double* r) -> const char* {
    *r = std::pow(a[i], b[i]);
    if (std::isfinite(*r) || !std::isfinite(a[i]) || !std::isfinite(b[i])) return nullptr;
    if (a[i] == 0) return "division by zero";
    return std::isnan(*r) ? "not defined for these numbers" : kOverflow;
  });
}

void arc_tangent_2(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<double> a(args[0]), b(args[1]);
  map_all<double>(node, args, 2, frame, out, [&](int64_t i) { return std::atan2(a[i], b[i]); });
}

// --- whole numbers

void absolute_int(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<int64_t> v(args[0]);
  map_checked<int64_t>(node, args, 1, frame, out, [&](int64_t i, int64_t* r) -> const char* {
    if (v[i] == INT64_MIN) return "overflow of int64";
    *r = v[i] < 0 ? -v[i] : v[i];
    return nullptr;
  });
}
void absolute_decimal(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<int128> v(args[0]);
  map_all<int128>(node, args, 1, frame, out, [&](int64_t i) { return v[i] < 0 ? -v[i] : v[i]; });
}
void absolute_double(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<double> v(args[0]);
  map_all<double>(node, args, 1, frame, out, [&](int64_t i) { return std::fabs(v[i]); });
}

template <typename T>
void sign_of(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<T> v(args[0]);
  map_all<int64_t>(node, args, 1, frame, out,
                   [&](int64_t i) { return static_cast<int64_t>(v[i] > 0) - static_cast<int64_t>(v[i] < 0); });
}

// Toward zero, as % is its remainder.
void divide_whole(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<int64_t> a(args[0]), b(args[1]);
  map_checked<int64_t>(node, args, 2, frame, out, [&](int64_t i, int64_t* r) -> const char* {
    if (b[i] == 0) return "division by zero";
    if (a[i] == INT64_MIN && b[i] == -1) return "overflow of int64";
    *r = a[i] / b[i];
    return nullptr;
  });
}

// --- rounding

enum class Way { kNearest, kDown, kUp, kTowardZero };

double round_double(double x, Way way) {
  switch (way) {
    case Way::kNearest:
      return std::round(x);  // half away from zero
    case Way::kDown:
      return std::floor(x);
    case Way::kUp:
      return std::ceil(x);
    default:
      return std::trunc(x);
  }
}

int128 round_decimal(int128 v, int down, Way way) {
  if (way == Way::kNearest) return scale_down(v, down);
  const int128 unit = power_of_ten(down);
  const int128 quotient = v / unit, rest = v % unit;
  if (way == Way::kDown && rest < 0) return quotient - 1;
  if (way == Way::kUp && rest > 0) return quotient + 1;
  return quotient;
}

template <Way way>
void round_floats(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const Values<double> v(args[0]);
  map_all<double>(node, args, 1, frame, out, [&](int64_t i) { return round_double(v[i], way); });
}
template <Way way>
void round_decimals(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const int down = args[0].column->type.scale() - node.type.scale();
  const Values<int128> v(args[0]);
  map_all<int128>(node, args, 1, frame, out, [&](int64_t i) { return round_decimal(v[i], down, way); });
}

struct Digits {
  int count;
};
// To digits after the point: by the decimal nearest to the double, so that round(2.675, 2) is what it looks like.
void round_to_digits(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const int digits = static_cast<const Digits*>(node.state.get())->count;
  const Values<double> v(args[0]);
  map_all<double>(node, args, 1, frame, out, [&](int64_t i) {
    const double x = v[i];
    if (!std::isfinite(x) || std::fabs(x) >= 1e15) return x;
    int128 scaled = 0;
    if (digits >= 0) return double_to_decimal(x, 38, digits, &scaled) ? decimal_to_double(scaled, digits) : x;
    if (!double_to_decimal(x, 38, 15, &scaled)) return x;
    const int128 unit = power_of_ten(-digits);
    return static_cast<double>(scale_down(scaled, 15 - digits) * unit);
  });
}
void round_integer_digits(const Node& node, const Arg* args, Frame& frame, Column* out) {
  const int digits = static_cast<const Digits*>(node.state.get())->count;
  const Values<int64_t> v(args[0]);
  map_checked<int64_t>(node, args, 1, frame, out, [&](int64_t i, int64_t* r) -> const char* {
    const int128 rounded = scale_down(v[i], -digits) * power_of_ten(-digits);
    if (rounded < INT64_MIN || rounded > INT64_MAX) return "overflow of int64";
    *r = static_cast<int64_t>(rounded);
    return nullptr;
  });
}

bool whole_number(Binding& binding) {  // integers stay as they are
  binding.replacement = nullptr;
  std::string error, help;
  if (binding.args[0]->type.id() == TypeId::kUInt64) {
    binding.replacement = binding.args[0];
    return true;
  }
  binding.replacement = make_cast(binding.args[0], TypeId::kInt64, false, &error, &help);
  return true;
}

bool to_double(Binding& binding, size_t arg) {
  std::string error, help;
  NodePtr same = make_cast(binding.args[arg], TypeId::kFloat64, false, &error, &help);
  if (!same) return binding.fail(error, help, static_cast<int>(arg));
  binding.args[arg] = std::move(same);
  return true;
}

DataType rounded_type(const DataType& from, int scale) {
  const int whole = std::min(38 - scale, from.precision() - from.scale() + 1);
  return DataType::decimal(std::max(1, whole + scale), scale);
}

template <Way way>
bool prepare_rounding(Binding& binding) {
  const DataType type = binding.args[0]->type;
  if (type.is_integer()) return whole_number(binding);
  if (type.id() == TypeId::kDecimal) {
    binding.type = rounded_type(type, 0);
    binding.kernel = round_decimals<way>;
    return true;
  }
  if (!to_double(binding, 0)) return false;
  binding.type = TypeId::kFloat64;
  binding.kernel = round_floats<way>;
  return true;
}

bool prepare_round_digits(Binding& binding) {
  const Node& arg = *binding.args[1];
  if (arg.kind != Node::Kind::kConstant || arg.constant.is_null(0)) {
    return binding.fail("the number of digits must be written here, not computed", "", 1);
  }
  const int64_t digits = arg.constant.data<int64_t>()[0];
  if (digits < -15 || digits > 30) return binding.fail("the number of digits must be from -15 to 30", "", 1);
  binding.args.resize(1);
  const DataType type = binding.args[0]->type;
  binding.state = std::make_shared<Digits>(Digits{static_cast<int>(digits)});
  if (type.id() == TypeId::kDecimal && digits >= 0) {
    if (digits >= type.scale()) {
      binding.replacement = binding.args[0];
      return true;
    }
    binding.type = rounded_type(type, static_cast<int>(digits));
    binding.kernel = round_decimals<Way::kNearest>;
    return true;
  }
  if (type.is_integer() && digits >= 0) return whole_number(binding);
  if (type.is_integer() && type.id() != TypeId::kUInt64) {
    std::string error, help;
    binding.args[0] = make_cast(binding.args[0], TypeId::kInt64, false, &error, &help);
    binding.type = TypeId::kInt64;
    binding.can_fail = true;
    binding.kernel = round_integer_digits;
    return true;
  }
  if (!to_double(binding, 0)) return false;
  binding.type = TypeId::kFloat64;
  binding.kernel = round_to_digits;
  return true;
}

bool prepare_absolute(Binding& binding) {
  const DataType type = binding.args[0]->type;
  if (type.id() == TypeId::kUInt64) {
    binding.replacement = binding.args[0];
    return true;
  }
  if (type.id() == TypeId::kDecimal) {
    binding.type = type;
    binding.kernel = absolute_decimal;
    return true;
  }
  if (type.is_float()) {
    if (!to_double(binding, 0)) return false;
    binding.type = TypeId::kFloat64;
    binding.kernel = absolute_double;
    return true;
  }
  std::string error, help;
  binding.args[0] = make_cast(binding.args[0], TypeId::kInt64, false, &error, &help);
  binding.type = TypeId::kInt64;
  binding.can_fail = true;
  binding.kernel = absolute_int;
  return true;
}

bool prepare_sign(Binding& binding) {
  const TypeId id = binding.args[0]->type.id();
  with_fixed_type(id, [&](auto zero) { binding.kernel = sign_of<decltype(zero)>; });
  return true;
}

// --- least, greatest

// Of the values that are not null; null when all are.
template <bool greatest>
void extreme(const Node& node, const Arg* args, Frame& frame, Column* out) {
  columnar::ColumnBuilder builder(node.type, frame.rows);
  for (int64_t i = 0; i < frame.rows; ++i) {
    int best = -1;
    for (size_t a = 0; a < node.args.size(); ++a) {
      const int64_t row = args[a].constant ? 0 : i;
      if (args[a].column->is_null(row)) continue;
      if (best < 0) {
        best = static_cast<int>(a);
        continue;
      }
      const Arg& b = args[static_cast<size_t>(best)];
      const int order = compare_values(*args[a].column, row, *b.column, b.constant ? 0 : i);
      if (greatest ? order > 0 : order < 0) best = static_cast<int>(a);
    }
    if (best < 0) {
      builder.append_null();
      continue;
    }
    const Arg& b = args[static_cast<size_t>(best)];
    const int64_t row = b.constant ? 0 : i;
    if (node.type.is_text() && i > 0 && builder.text_room() < b.column->text(row).size()) {
      builder.append_null();
      fail_row(node, frame, i, kTooLong);
    } else {
      builder.append_from(*b.column, row);
    }
  }
  *out = builder.finish();
}

template <bool greatest>
bool bind_extreme(Binding& binding) {
  const char* name = greatest ? "greatest" : "least";
  if (binding.args.size() < 2)
    return binding.fail(fmt::format("{} needs at least two values", name), fmt::format("write {}(a, b)", name));
  std::vector<size_t> all(binding.args.size());
  for (size_t i = 0; i < all.size(); ++i) all[i] = i;
  if (!unify(binding, all, &binding.type, fmt::format("the values of {}", name))) return false;
  const TypeId id = binding.type.id();
  if (id == TypeId::kList || id == TypeId::kStruct || id == TypeId::kJson || id == TypeId::kEnum) {
    return binding.fail(fmt::format("values of type {} have no order", binding.type.to_string()), "", 0);
  }
  binding.nullable =
      std::all_of(binding.args.begin(), binding.args.end(), [](const NodePtr& a) { return a->nullable; });
  binding.can_fail = binding.type.is_text();
  binding.kernel = extreme<greatest>;
  return true;
}

}  // namespace

void define_number_functions(std::vector<Definition>& out) {
  const char* kGroup = "numbers";
  const auto one = [&](const char* name, Kernel kernel, const char* help, const char* example) {
    out.push_back({name, kGroup, help, example, {{fmt::format("{}(x: float64) -> float64", name), kernel, kCanFail}}});
  };
  one("sqrt", real<square_root>, "The square root.", "sqrt(x)");
  one("cbrt", real<cube_root>, "The cube root.", "cbrt(x)");
  one("exp", real<exponential>, "e to the power of x.", "exp(x)");
  one("ln", logarithm<natural_log>, "The natural logarithm.", "ln(x)");
  one("log10", logarithm<log_ten>, "The logarithm to base 10.", "log10(x)");
  one("log2", logarithm<log_two>, "The logarithm to base 2.", "log2(x)");
  one("sin", real<sine>, "The sine of an angle in radians.", "sin(radians(latitude))");
  one("cos", real<cosine>, "The cosine of an angle in radians.", "cos(radians(latitude))");
  one("tan", real<tangent>, "The tangent of an angle in radians.", "tan(x)");
  one("asin", real<arc_sine>, "The angle in radians of a sine.", "asin(x)");
  one("acos", real<arc_cosine>, "The angle in radians of a cosine.", "acos(x)");
  one("atan", real<arc_tangent>, "The angle in radians of a tangent.", "atan(x)");
  one("radians", real<to_radians>, "Degrees as radians.", "radians(longitude)");
  one("degrees", real<to_degrees>, "Radians as degrees.", "degrees(x)");
  out.push_back({"atan2",
                 kGroup,
                 "The angle in radians of the point (x, y).",
                 "atan2(y, x)",
                 {{"atan2(y: float64, x: float64) -> float64", arc_tangent_2}}});
  out.push_back({"pow",
                 kGroup,
                 "x to the power of y.",
                 "pow(x, 2)",
                 {{"pow(x: float64, y: float64) -> float64", power, kCanFail}}});
  out.push_back({"abs",
                 kGroup,
                 "The number without its sign.",
                 "abs(delay)",
                 {{"abs(x: number) -> number", nullptr, 0, prepare_absolute}}});
  out.push_back(
      {"sign", kGroup, "-1, 0 or 1.", "sign(delay)", {{"sign(x: number) -> int64", nullptr, 0, prepare_sign}}});
  out.push_back({"div",
                 kGroup,
                 "Division of whole numbers toward zero; x % y is what remains.",
                 "div(delay, 60)",
                 {{"div(x: int64, y: int64) -> int64", divide_whole, kCanFail}}});
  out.push_back({"round",
                 kGroup,
                 "The nearest whole number, or the nearest with some digits after the point (negative: before it); "
                 "halves go away from zero.",
                 "round(fare * 1.19, 2)",
                 {{"round(x: number) -> number", nullptr, 0, prepare_rounding<Way::kNearest>},
                  {"round(x: number, digits: int64) -> number", nullptr, 0, prepare_round_digits}}});
  out.push_back({"floor",
                 kGroup,
                 "The next whole number below.",
                 "floor(x)",
                 {{"floor(x: number) -> number", nullptr, 0, prepare_rounding<Way::kDown>}}});
  out.push_back({"ceil",
                 kGroup,
                 "The next whole number above.",
                 "ceil(x)",
                 {{"ceil(x: number) -> number", nullptr, 0, prepare_rounding<Way::kUp>}}});
  out.push_back({"trunc",
                 kGroup,
                 "The whole number toward zero.",
                 "trunc(x)",
                 {{"trunc(x: number) -> number", nullptr, 0, prepare_rounding<Way::kTowardZero>}}});
  out.push_back({"least",
                 kGroup,
                 "The least of the values that are not null.",
                 "least(a, b)",
                 {{"least(value: any, …) -> any"}},
                 bind_extreme<false>});
  out.push_back({"greatest",
                 kGroup,
                 "The greatest of the values that are not null.",
                 "greatest(delay, 0)",
                 {{"greatest(value: any, …) -> any"}},
                 bind_extreme<true>});
}

}  // namespace runink::expr
