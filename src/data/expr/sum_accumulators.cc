// sum, avg, stddev, variance: exact where numbers are whole, compensated where they are floats.
#include <cmath>

#include "data/expr/accumulators.h"

namespace runink::expr {

namespace {

using uint128 = unsigned __int128;

// --- sums

// 192 bits: sums of 38-digit decimals stay exact whatever their order.
struct ExactState {
  uint128 low = 0;
  int64_t high = 0;
  uint64_t count = 0;
};
inline void add_exact(ExactState& s, int128 v) {
  const uint128 before = s.low;
  s.low += static_cast<uint128>(v);
  s.high += (v < 0 ? -1 : 0) + (s.low < before ? 1 : 0);
}
bool exact_total(const ExactState& s, int128* total) {
  *total = static_cast<int128>(s.low);
  return s.high == (*total < 0 ? -1 : 0);
}

struct WholeState {
  int128 sum = 0;
  uint64_t count = 0;
};

struct FloatState {
  double sum = 0, rest = 0;  // Neumaier: what the additions lost
  double large = 0;          // what went beyond float64 on the way, in units of 2^64; infinite or NaN where a value was
  uint64_t count = 0;
};
constexpr int kLargeUnit = 64;
[[gnu::noinline, gnu::cold]] void add_large(FloatState& s, double v) {
  if (std::isfinite(v)) {
    s.large += std::ldexp(s.sum, -kLargeUnit);  // exact: only the exponent changes
    s.sum = v;
  } else {
    s.large += v;
  }
}
inline void add_float(FloatState& s, double v) {
  const double t = s.sum + v;
  if (__builtin_expect(!std::isfinite(t), 0)) return add_large(s, v);
  const double lost = std::fabs(s.sum) >= std::fabs(v) ? (s.sum - t) + v : (v - t) + s.sum;
  s.rest += lost;
  s.sum = t;
}
// The sum, or with a divisor the mean; not finite although all values were: it is beyond float64.
double float_total(const FloatState& s, uint64_t divisor) {
  const double plain = (s.sum + s.rest) / static_cast<double>(divisor);
  if (s.large == 0 && std::isfinite(plain)) return plain;
  const long double whole =
      std::ldexp(static_cast<long double>(s.large), kLargeUnit) + static_cast<long double>(s.sum) + s.rest;
  return static_cast<double>(whole / static_cast<long double>(divisor));
}

// The sum and the mean of one state form; Adder says how a row is added and how states combine.
template <typename State, typename Adder>
class Sum : public PlainAccumulator<Sum<State, Adder>, State> {
 public:
  explicit Sum(const AggregateSpec& spec) : spec_(spec), scale_(spec.argument.type().scale()) {}
  void begin(const Column* argument) { adder_.begin(*argument); }
  void add(State& s, int64_t i) {
    adder_.add(s, i);
    ++s.count;
  }
  void combine(State& a, const State& b) { Adder::combine(a, b); }

  Result<Column> finish(size_t first, size_t count) override {
    columnar::ColumnBuilder out(spec_.result_type, static_cast<int64_t>(count));
    this->errors_.clear();
    for (size_t g = first; g < first + count; ++g) {
      const State& s = this->states_[g];
      if (s.count > 0) {
        if (spec_.function == AggregateFunction::kAvg ? append_mean(s, out) : append_sum(s, out)) continue;
        this->errors_.push_back({static_cast<int64_t>(g - first), too_large()});
      }
      out.append_null();
    }
    return out.finish();
  }

 private:
  std::string too_large() const {
    const bool mean = spec_.function == AggregateFunction::kAvg && std::is_same_v<State, FloatState>;
    return fmt::format("{}: the {} is outside {}{}", spec_.text, mean ? "mean" : "sum", spec_.result_type.to_string(),
                       spec_.result_type.is_integer() ? "; sum(cast(x as decimal(38,0))) has more room" : "");
  }
  static bool append_finite(double value, const FloatState& s, columnar::ColumnBuilder& out) {
    if (!std::isfinite(value) && std::isfinite(s.large)) return false;
    out.append_double(value);
    return true;
  }
  bool whole(const State& s, int128* total) const {
    if constexpr (std::is_same_v<State, ExactState>) {
      return exact_total(s, total);
    } else if constexpr (std::is_same_v<State, WholeState>) {
      *total = s.sum;
      return true;
    } else {
      return false;
    }
  }
  // Both false: the result is outside its type.
  bool append_sum(const State& s, columnar::ColumnBuilder& out) const {
    if constexpr (std::is_same_v<State, FloatState>) {
      return append_finite(float_total(s, 1), s, out);
    } else {
      int128 total = 0;
      if (!whole(s, &total)) return false;
      switch (spec_.result_type.id()) {
        case TypeId::kDecimal:
          if (!fits_digits(total, 38)) return false;
          out.append_decimal(total);
          return true;
        case TypeId::kUInt64:
          if (total > static_cast<int128>(UINT64_MAX)) return false;
          out.append_uint64(static_cast<uint64_t>(total));
          return true;
        default:
          if (total > INT64_MAX || total < INT64_MIN) return false;
          out.append_int64(static_cast<int64_t>(total));
          return true;
      }
    }
  }
  bool append_mean(const State& s, columnar::ColumnBuilder& out) const {
    if constexpr (std::is_same_v<State, FloatState>) {
      return append_finite(float_total(s, s.count), s, out);
    } else {
      int128 total = 0;
      if (!whole(s, &total)) return false;
      const auto n = static_cast<int128>(s.count);
      if (spec_.result_type.id() == TypeId::kDecimal) {
        int128 mean = 0;
        if (!divide_scaled(total, spec_.result_type.scale() - scale_, n, &mean)) return false;
        out.append_decimal(mean);
      } else if (spec_.result_type.id() == TypeId::kDuration) {
        int128 mean = 0;
        (void)divide_scaled(total, 0, n, &mean);
        out.append_int64(static_cast<int64_t>(mean));
      } else {
        // Whole part and remainder apart: no digit of a large sum is lost before the division.
        const auto mean =
            static_cast<long double>(total / n) + static_cast<long double>(total % n) / static_cast<long double>(n);
        out.append_double(static_cast<double>(mean));
      }
      return true;
    }
  }

  AggregateSpec spec_;
  int scale_;
  Adder adder_;
};

template <typename T>
struct AddWhole {
  void begin(const Column& column) { values = column.data<T>(); }
  void add(WholeState& s, int64_t i) const { s.sum += static_cast<int128>(values[i]); }
  static void combine(WholeState& a, const WholeState& b) {
    a.sum += b.sum;
    a.count += b.count;
  }
  const T* values = nullptr;
};
struct AddDecimal {
  void begin(const Column& column) { values = column.data<int128>(); }
  void add(ExactState& s, int64_t i) const { add_exact(s, values[i]); }
  static void combine(ExactState& a, const ExactState& b) {
    const uint128 before = a.low;
    a.low += b.low;
    a.high += b.high + (a.low < before ? 1 : 0);
    a.count += b.count;
  }
  const int128* values = nullptr;
};
template <typename T>
struct AddFloat {
  void begin(const Column& column) { values = column.data<T>(); }
  void add(FloatState& s, int64_t i) const { add_float(s, static_cast<double>(values[i])); }
  static void combine(FloatState& a, const FloatState& b) {
    if (b.count == 0) return;
    add_float(a, b.sum);
    a.rest += b.rest;
    a.large += b.large;
    a.count += b.count;
  }
  const T* values = nullptr;
};

// --- variance

// Integers of at most 32 bits: exact sums, so the result does not depend on the order.
struct SquareState {
  int128 sum = 0;
  int128 squares = 0;
  uint64_t count = 0;
};
double exact_squared_distance(const SquareState& s) {
  const auto n = static_cast<int128>(s.count);
  const int128 q = s.sum / n, r = s.sum % n;
  const int128 shifted = s.squares - 2 * q * s.sum + n * q * q;  // sum of (x - q)^2
  if (shifted < (int128{1} << 80) && n < (int128{1} << 40)) {
    return static_cast<double>(static_cast<long double>(shifted * n - r * r) / static_cast<long double>(n));
  }
  const auto rest = static_cast<long double>(r);
  return static_cast<double>(static_cast<long double>(shifted) - rest * rest / static_cast<long double>(n));
}

// Welford's running mean and squared distance; states combine as Chan, Golub and LeVeque have it.
struct WelfordState {
  double mean = 0,
         distance = 0;  // a distance beyond float64: infinite, the mean 0, or NaN where a value was not finite
  uint64_t count = 0;
};
[[gnu::noinline, gnu::cold]] void too_far(WelfordState& s, bool finite_values) {
  s.mean = finite_values ? 0 : std::nan("");
  s.distance = HUGE_VAL;
}

template <typename State>
double squared_distance(const State& s) {
  if constexpr (std::is_same_v<State, SquareState>) {
    return exact_squared_distance(s);
  } else {
    return s.distance;
  }
}

bool has_finite_values(const SquareState&) { return true; }
bool has_finite_values(const WelfordState& s) { return !std::isnan(s.mean); }

template <typename State, typename Adder>
class Spread : public PlainAccumulator<Spread<State, Adder>, State> {
 public:
  explicit Spread(const AggregateSpec& spec) : spec_(spec) {}
  void begin(const Column* argument) { adder_.begin(*argument); }
  void add(State& s, int64_t i) { adder_.add(s, i); }
  void combine(State& a, const State& b) { Adder::combine(a, b); }
  Result<Column> finish(size_t first, size_t count) override {
    columnar::ColumnBuilder out(spec_.result_type, static_cast<int64_t>(count));
    this->errors_.clear();
    for (size_t g = first; g < first + count; ++g) {
      const State& s = this->states_[g];
      if (s.count < 2) {
        out.append_null();
        continue;
      }
      const double variance = squared_distance(s) / static_cast<double>(s.count - 1);
      if (!std::isfinite(variance)) {
        if (has_finite_values(s)) {
          this->errors_.push_back(
              {static_cast<int64_t>(g - first),
               fmt::format("{}: the squares of what values differ by are outside float64", spec_.text)});
          out.append_null();
        } else {
          out.append_double(std::nan(""));
        }
        continue;
      }
      out.append_double(spec_.function == AggregateFunction::kStddev ? std::sqrt(variance) : variance);
    }
    return out.finish();
  }

 private:
  AggregateSpec spec_;
  Adder adder_;
};

template <typename T>
struct AddSquare {
  void begin(const Column& column) { values = column.data<T>(); }
  void add(SquareState& s, int64_t i) const {
    const auto v = static_cast<int64_t>(values[i]);
    s.sum += v;
    s.squares += static_cast<int128>(v) * v;
    ++s.count;
  }
  static void combine(SquareState& a, const SquareState& b) {
    a.sum += b.sum;
    a.squares += b.squares;
    a.count += b.count;
  }
  const T* values = nullptr;
};

template <typename T>
struct AddWelford {
  void begin(const Column& c) { column = &c; }
  void add(WelfordState& s, int64_t i) const {
    const double v = as_double<T>(*column, i);
    ++s.count;
    const double delta = v - s.mean;
    const bool finite_before = !std::isnan(s.mean);
    s.mean += delta / static_cast<double>(s.count);
    s.distance += delta * (v - s.mean);
    if (__builtin_expect(!std::isfinite(s.distance), 0)) too_far(s, finite_before && std::isfinite(v));
  }
  static void combine(WelfordState& a, const WelfordState& b) {
    if (b.count == 0) return;
    if (a.count == 0) {
      a = b;
      return;
    }
    const auto na = static_cast<double>(a.count), nb = static_cast<double>(b.count);
    const double delta = b.mean - a.mean;
    const bool finite = !std::isnan(a.mean) && !std::isnan(b.mean);
    a.mean += delta * nb / (na + nb);
    a.distance += b.distance + delta * delta * na * nb / (na + nb);
    a.count += b.count;
    if (!std::isfinite(a.distance)) too_far(a, finite);
  }
  const Column* column = nullptr;
};

}  // namespace

std::unique_ptr<Accumulator> make_sum(const AggregateSpec& spec) {
  std::unique_ptr<Accumulator> out;
  with_fixed_type(spec.argument.type().id(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_same_v<T, int128>) {
      out = std::make_unique<Sum<ExactState, AddDecimal>>(spec);
    } else if constexpr (std::is_floating_point_v<T>) {
      out = std::make_unique<Sum<FloatState, AddFloat<T>>>(spec);
    } else {
      out = std::make_unique<Sum<WholeState, AddWhole<T>>>(spec);
    }
  });
  return out;
}

std::unique_ptr<Accumulator> make_spread(const AggregateSpec& spec) {
  std::unique_ptr<Accumulator> out;
  with_fixed_type(spec.argument.type().id(), [&](auto zero) {
    using T = decltype(zero);
    if constexpr (std::is_integral_v<T> && sizeof(T) <= 4) {
      out = std::make_unique<Spread<SquareState, AddSquare<T>>>(spec);
    } else {
      out = std::make_unique<Spread<WelfordState, AddWelford<T>>>(spec);
    }
  });
  return out;
}

}  // namespace runink::expr
