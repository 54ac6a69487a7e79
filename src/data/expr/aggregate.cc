#include "data/expr/aggregate.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "data/columnar/builder.h"
#include "data/columnar/row_key.h"
#include "data/expr/kernel.h"
#include "data/expr/number.h"

namespace runink::expr {

namespace {

using uint128 = unsigned __int128;

// --- bytes of states
// ---------------------------------------------------------------------------------------------------

template <typename T>
void put(std::string& out, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}
template <typename T>
bool take(std::string_view& in, T* value) {
  if (in.size() < sizeof(T)) return false;
  std::memcpy(value, in.data(), sizeof(T));
  in.remove_prefix(sizeof(T));
  return true;
}
void put_text(std::string& out, std::string_view text) {
  put(out, static_cast<uint64_t>(text.size()));
  out += text;
}
bool take_text(std::string_view& in, std::string_view* text) {
  uint64_t size = 0;
  if (!take(in, &size) || size > in.size()) return false;
  *text = in.substr(0, size);
  in.remove_prefix(size);
  return true;
}
Status broken() { return data_loss("read the state of an aggregate: the bytes are not those of one"); }

// --- rows
// ----------------------------------------------------------------------------------------------------------------

template <typename F>
void each_row(int64_t rows, const Column* argument, const uint8_t* skip, F f) {
  const uint8_t* bits = argument != nullptr && argument->validity != nullptr ? argument->validity->data() : nullptr;
  if (argument != nullptr && argument->type.id() == TypeId::kNull) return;
  if (bits == nullptr && skip == nullptr) {
    for (int64_t i = 0; i < rows; ++i) f(i);
    return;
  }
  for (int64_t i = 0; i < rows; ++i) {
    if (skip != nullptr && skip[i] != 0) continue;
    if (bits != nullptr && !columnar::get_bit(bits, i)) continue;
    f(i);
  }
}

// An accumulator whose state of one group is a plain struct. The derived class has
//   void begin(const Column*)           looks at the argument of the rows that follow
//   void add(State&, int64_t row)
//   void combine(State&, const State&)  the second's rows come later
template <typename Derived, typename State>
class PlainAccumulator : public Accumulator {
 public:
  void resize(size_t groups) override {
    if (groups > states_.size()) states_.resize(groups);
  }
  size_t groups() const override { return states_.size(); }
  void update(const uint32_t* group, int64_t rows, const Column* argument, const uint8_t* skip) override {
    Derived& self = static_cast<Derived&>(*this);
    self.begin(argument);
    State* states = states_.data();
    each_row(rows, argument, skip, [&](int64_t i) { self.add(states[group[i]], i); });
  }
  void update_one(uint32_t group, int64_t rows, const Column* argument, const uint8_t* skip) override {
    Derived& self = static_cast<Derived&>(*this);
    self.begin(argument);
    State state = states_[group];
    each_row(rows, argument, skip, [&](int64_t i) { self.add(state, i); });
    states_[group] = state;
  }
  void merge(const Accumulator& other, const uint32_t* group_of) override {
    const auto& theirs = static_cast<const Derived&>(other).states_;
    for (size_t g = 0; g < theirs.size(); ++g) static_cast<Derived&>(*this).combine(states_[group_of[g]], theirs[g]);
  }
  void write(uint32_t group, std::string& out) const override { put(out, states_[group]); }
  Status read(uint32_t group, std::string_view& in) override {
    State state;
    if (!take(in, &state)) return broken();
    static_cast<Derived&>(*this).combine(states_[group], state);
    return Status();
  }
  size_t memory_bytes() const override { return sizeof(Derived) + states_.capacity() * sizeof(State); }
  void clear() override { std::vector<State>().swap(states_); }

 protected:
  std::vector<State> states_;
};

// --- count
// -----------------------------------------------------------------------------------------------------------------

class Count : public PlainAccumulator<Count, int64_t> {
 public:
  explicit Count(bool only_true) : only_true_(only_true) {}
  void begin(const Column* argument) { values_ = only_true_ ? argument->data<uint8_t>() : nullptr; }
  void add(int64_t& n, int64_t i) { n += values_ == nullptr || values_[i] != 0 ? 1 : 0; }
  void combine(int64_t& a, const int64_t& b) { a += b; }
  Result<Column> finish(size_t first, size_t count) override {
    Column out = columnar::make_fixed_column(TypeId::kInt64, static_cast<int64_t>(count));
    std::copy_n(states_.begin() + static_cast<std::ptrdiff_t>(first), count, out.mutable_data<int64_t>());
    return out;
  }

 private:
  bool only_true_;
  const uint8_t* values_ = nullptr;
};

// --- sums
// --------------------------------------------------------------------------------------------------------------------

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
  uint64_t count = 0;
};
inline void add_float(FloatState& s, double v) {
  const double t = s.sum + v;
  // Infinite sums have no rest.
  const double lost = std::fabs(s.sum) >= std::fabs(v) ? (s.sum - t) + v : (v - t) + s.sum;
  s.rest += lost;
  s.sum = t;
}
double float_total(const FloatState& s) { return std::isfinite(s.sum) ? s.sum + s.rest : s.sum; }

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
    for (size_t g = first; g < first + count; ++g) {
      const State& s = this->states_[g];
      if (s.count == 0) {
        out.append_null();
      } else {
        RUNINK_RETURN_IF_ERROR(spec_.function == AggregateFunction::kAvg ? append_mean(s, out) : append_sum(s, out));
      }
    }
    return out.finish();
  }

 private:
  Status too_large() const {
    return out_of_range("{}: the sum is outside {}", spec_.text, spec_.result_type.to_string())
        .with_hint("sum as decimal: sum(cast(x as decimal(38,0))), or as float64");
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
  Status append_sum(const State& s, columnar::ColumnBuilder& out) const {
    if constexpr (std::is_same_v<State, FloatState>) {
      out.append(float_total(s));
      return Status();
    } else {
      int128 total = 0;
      if (!whole(s, &total)) return too_large();
      switch (spec_.result_type.id()) {
        case TypeId::kDecimal:
          if (!fits_digits(total, 38)) return too_large();
          out.append_decimal(total);
          return Status();
        case TypeId::kUInt64:
          if (total > static_cast<int128>(UINT64_MAX)) return too_large();
          out.append_uint64(static_cast<uint64_t>(total));
          return Status();
        default:
          if (total > INT64_MAX || total < INT64_MIN) return too_large();
          out.append_int64(static_cast<int64_t>(total));
          return Status();
      }
    }
  }
  Status append_mean(const State& s, columnar::ColumnBuilder& out) const {
    if constexpr (std::is_same_v<State, FloatState>) {
      out.append(float_total(s) / static_cast<double>(s.count));
      return Status();
    } else {
      int128 total = 0;
      if (!whole(s, &total)) return too_large();
      const auto n = static_cast<int128>(s.count);
      if (spec_.result_type.id() == TypeId::kDecimal) {
        int128 mean = 0;
        if (!divide_scaled(total, spec_.result_type.scale() - scale_, n, &mean)) return too_large();
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
      return Status();
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
    a.count += b.count;
  }
  const T* values = nullptr;
};

// --- variance
// ------------------------------------------------------------------------------------------------------------------

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
  double mean = 0, distance = 0;
  uint64_t count = 0;
};

template <typename State>
double squared_distance(const State& s) {
  if constexpr (std::is_same_v<State, SquareState>) {
    return exact_squared_distance(s);
  } else {
    return s.distance;
  }
}

template <typename State, typename Adder>
class Spread : public PlainAccumulator<Spread<State, Adder>, State> {
 public:
  explicit Spread(const AggregateSpec& spec) : spec_(spec) {}
  void begin(const Column* argument) { adder_.begin(*argument); }
  void add(State& s, int64_t i) { adder_.add(s, i); }
  void combine(State& a, const State& b) { Adder::combine(a, b); }
  Result<Column> finish(size_t first, size_t count) override {
    columnar::ColumnBuilder out(spec_.result_type, static_cast<int64_t>(count));
    for (size_t g = first; g < first + count; ++g) {
      const State& s = this->states_[g];
      if (s.count < 2) {
        out.append_null();
        continue;
      }
      const double variance = squared_distance(s) / static_cast<double>(s.count - 1);
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
double as_double(const Column& column, int64_t row) {
  if constexpr (std::is_same_v<T, int128>) {
    return decimal_to_double(column.data<int128>()[row], column.type.scale());
  } else {
    return static_cast<double>(column.data<T>()[row]);
  }
}

template <typename T>
struct AddWelford {
  void begin(const Column& c) { column = &c; }
  void add(WelfordState& s, int64_t i) const {
    const double v = as_double<T>(*column, i);
    ++s.count;
    const double delta = v - s.mean;
    s.mean += delta / static_cast<double>(s.count);
    s.distance += delta * (v - s.mean);
  }
  static void combine(WelfordState& a, const WelfordState& b) {
    if (b.count == 0) return;
    if (a.count == 0) {
      a = b;
      return;
    }
    const auto na = static_cast<double>(a.count), nb = static_cast<double>(b.count);
    const double delta = b.mean - a.mean;
    a.mean += delta * nb / (na + nb);
    a.distance += b.distance + delta * delta * na * nb / (na + nb);
    a.count += b.count;
  }
  const Column* column = nullptr;
};

// --- min, max, first, last
// ---------------------------------------------------------------------------------------------------------

// A total order, so that the result does not depend on the order of rows: NaN above all numbers, -0 below 0.
template <typename T>
bool is_below(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) {
    const int order = compare_doubles(static_cast<double>(a), static_cast<double>(b));
    if (order != 0) return order < 0;
    return std::signbit(a) && !std::signbit(b);
  } else {
    return a < b;
  }
}

template <typename T>
struct OneState {
  T value{};
  uint8_t known = 0;
};

template <typename T>
class FixedChoice : public PlainAccumulator<FixedChoice<T>, OneState<T>> {
 public:
  explicit FixedChoice(const AggregateSpec& spec) : type_(spec.result_type), function_(spec.function) {}
  void begin(const Column* argument) { values_ = argument->data<T>(); }
  void add(OneState<T>& s, int64_t i) { consider(s, values_[i]); }
  void combine(OneState<T>& a, const OneState<T>& b) {
    if (b.known != 0) consider(a, b.value);
  }
  Result<Column> finish(size_t first, size_t count) override {
    columnar::ColumnBuilder out(type_, static_cast<int64_t>(count));
    for (size_t g = first; g < first + count; ++g) {
      const auto& s = this->states_[g];
      if (s.known != 0) {
        out.template append_fixed<T>(s.value);
      } else {
        out.append_null();
      }
    }
    return out.finish();
  }

 private:
  void consider(OneState<T>& s, T v) {
    bool better = s.known == 0;
    if (!better) {
      switch (function_) {
        case AggregateFunction::kMin:
          better = is_below(v, s.value);
          break;
        case AggregateFunction::kMax:
          better = is_below(s.value, v);
          break;
        case AggregateFunction::kLast:
          better = true;
          break;
        default:
          break;
      }
    }
    if (!better) return;
    s.value = v;
    s.known = 1;
  }
  DataType type_;
  AggregateFunction function_;
  const T* values_ = nullptr;
};

std::string_view bytes_at(const Column& column, int64_t row) {
  if (column.type.is_text()) return column.text(row);
  const auto width = static_cast<size_t>(column.type.width());
  return {reinterpret_cast<const char*>(column.values->data()) + static_cast<size_t>(row) * width, width};
}
void append_bytes(columnar::ColumnBuilder& out, std::string_view bytes) {
  if (out.type().is_text()) return out.append_text(bytes);
  switch (bytes.size()) {
    case 1:
      return out.append_fixed(*reinterpret_cast<const uint8_t*>(bytes.data()));
    case 2: {
      uint16_t v;
      std::memcpy(&v, bytes.data(), 2);
      return out.append_fixed(v);
    }
    case 4: {
      uint32_t v;
      std::memcpy(&v, bytes.data(), 4);
      return out.append_fixed(v);
    }
    case 8: {
      uint64_t v;
      std::memcpy(&v, bytes.data(), 8);
      return out.append_fixed(v);
    }
    default: {
      int128 v;
      std::memcpy(&v, bytes.data(), 16);
      return out.append_fixed(v);
    }
  }
}
Status no_room(const AggregateSpec& spec) {
  return resource_exhausted("{}: the result of these groups is larger than 2 GiB of text", spec.text);
}

// Texts and uuids, which compare as bytes.
class TextChoice : public Accumulator {
 public:
  explicit TextChoice(const AggregateSpec& spec) : spec_(spec) {}
  void resize(size_t groups) override {
    if (groups <= states_.size()) return;
    states_.resize(groups);
    known_.resize(groups);
  }
  size_t groups() const override { return states_.size(); }
  void update(const uint32_t* group, int64_t rows, const Column* argument, const uint8_t* skip) override {
    each_row(rows, argument, skip, [&](int64_t i) { consider(group[i], bytes_at(*argument, i)); });
  }
  void update_one(uint32_t group, int64_t rows, const Column* argument, const uint8_t* skip) override {
    each_row(rows, argument, skip, [&](int64_t i) { consider(group, bytes_at(*argument, i)); });
  }
  void merge(const Accumulator& other, const uint32_t* group_of) override {
    const auto& theirs = static_cast<const TextChoice&>(other);
    for (size_t g = 0; g < theirs.states_.size(); ++g) {
      if (theirs.known_[g] != 0) consider(group_of[g], theirs.states_[g]);
    }
  }
  Result<Column> finish(size_t first, size_t count) override {
    columnar::ColumnBuilder out(spec_.result_type, static_cast<int64_t>(count));
    size_t total = 0;
    for (size_t g = first; g < first + count; ++g) {
      total += states_[g].size();
      if (total > columnar::ColumnBuilder::kMaxTextBytes) return no_room(spec_);
      if (known_[g] != 0) {
        append_bytes(out, states_[g]);
      } else {
        out.append_null();
      }
    }
    return out.finish();
  }
  void write(uint32_t group, std::string& out) const override {
    put(out, known_[group]);
    put_text(out, states_[group]);
  }
  Status read(uint32_t group, std::string_view& in) override {
    uint8_t known = 0;
    std::string_view text;
    if (!take(in, &known) || !take_text(in, &text)) return broken();
    if (known != 0) consider(group, text);
    return Status();
  }
  size_t memory_bytes() const override {
    return sizeof(*this) + states_.capacity() * sizeof(std::string) + known_.capacity() + heap_;
  }
  void clear() override {
    std::vector<std::string>().swap(states_);
    std::vector<uint8_t>().swap(known_);
    heap_ = 0;
  }

 private:
  void consider(uint32_t g, std::string_view v) {
    std::string& s = states_[g];
    bool better = known_[g] == 0;
    if (!better) {
      switch (spec_.function) {
        case AggregateFunction::kMin:
          better = v < s;
          break;
        case AggregateFunction::kMax:
          better = s < v;
          break;
        case AggregateFunction::kLast:
          better = true;
          break;
        default:
          break;
      }
    }
    if (!better) return;
    const size_t before = s.capacity() > 15 ? s.capacity() : 0;
    s.assign(v);
    heap_ += (s.capacity() > 15 ? s.capacity() : 0) - before;
    known_[g] = 1;
  }
  AggregateSpec spec_;
  std::vector<std::string> states_;
  std::vector<uint8_t> known_;
  size_t heap_ = 0;
};

// --- quantile
// ------------------------------------------------------------------------------------------------------------------------

class Quantile : public Accumulator {
 public:
  explicit Quantile(const AggregateSpec& spec) : spec_(spec) {}
  void resize(size_t groups) override {
    if (groups > values_.size()) values_.resize(groups);
  }
  size_t groups() const override { return values_.size(); }
  void update(const uint32_t* group, int64_t rows, const Column* argument, const uint8_t* skip) override {
    with_doubles(*argument,
                 [&](auto at) { each_row(rows, argument, skip, [&](int64_t i) { push(group[i], at(i)); }); });
  }
  void update_one(uint32_t group, int64_t rows, const Column* argument, const uint8_t* skip) override {
    with_doubles(*argument, [&](auto at) { each_row(rows, argument, skip, [&](int64_t i) { push(group, at(i)); }); });
  }
  void merge(const Accumulator& other, const uint32_t* group_of) override {
    const auto& theirs = static_cast<const Quantile&>(other).values_;
    for (size_t g = 0; g < theirs.size(); ++g) {
      for (const double v : theirs[g]) push(group_of[g], v);
    }
  }
  Result<Column> finish(size_t first, size_t count) override {
    columnar::ColumnBuilder out(TypeId::kFloat64, static_cast<int64_t>(count));
    const auto below = [](double a, double b) { return compare_doubles(a, b) < 0; };
    for (size_t g = first; g < first + count; ++g) {
      auto& v = values_[g];
      if (v.empty()) {
        out.append_null();
        continue;
      }
      const double place = spec_.fraction * static_cast<double>(v.size() - 1);
      const auto low = static_cast<size_t>(place);
      std::nth_element(v.begin(), v.begin() + static_cast<std::ptrdiff_t>(low), v.end(), below);
      double result = v[low];
      if (low + 1 < v.size()) {
        const double next = *std::min_element(v.begin() + static_cast<std::ptrdiff_t>(low) + 1, v.end(), below);
        const double part = place - static_cast<double>(low);
        if (part > 0) result += (next - result) * part;
      }
      out.append_double(result);
    }
    return out.finish();
  }
  void write(uint32_t group, std::string& out) const override {
    const auto& v = values_[group];
    put_text(out, {reinterpret_cast<const char*>(v.data()), v.size() * sizeof(double)});
  }
  Status read(uint32_t group, std::string_view& in) override {
    std::string_view bytes;
    if (!take_text(in, &bytes) || bytes.size() % sizeof(double) != 0) return broken();
    for (size_t i = 0; i < bytes.size(); i += sizeof(double)) {
      double v = 0;
      std::memcpy(&v, bytes.data() + i, sizeof(double));
      push(group, v);
    }
    return Status();
  }
  size_t memory_bytes() const override { return sizeof(*this) + values_.capacity() * sizeof(values_[0]) + heap_; }
  void clear() override {
    std::vector<std::vector<double>>().swap(values_);
    heap_ = 0;
  }

 private:
  template <typename F>
  static void with_doubles(const Column& column, F f) {
    with_fixed_type(column.type.id(), [&](auto zero) {
      using T = decltype(zero);
      f([&column](int64_t i) { return as_double<T>(column, i); });
    });
  }
  void push(uint32_t g, double v) {
    auto& list = values_[g];
    const size_t before = list.capacity();
    list.push_back(v);
    if (list.capacity() != before) heap_ += (list.capacity() - before) * sizeof(double);
  }
  AggregateSpec spec_;
  std::vector<std::vector<double>> values_;
  size_t heap_ = 0;
};

// --- distinct count
// ------------------------------------------------------------------------------------------------------------------

// One open-addressing table for all groups: (group, bytes of the value). Up to 8 bytes are kept in the entry.
class DistinctCount : public Accumulator {
 public:
  explicit DistinctCount(const AggregateSpec& spec) : float_id_(spec.argument.type().id()) {}
  void resize(size_t groups) override {
    if (groups > counts_.size()) counts_.resize(groups);
  }
  size_t groups() const override { return counts_.size(); }
  void update(const uint32_t* group, int64_t rows, const Column* argument, const uint8_t* skip) override {
    each_row(rows, argument, skip, [&](int64_t i) { later(group[i], *argument, i); });
    insert_pending();
  }
  void update_one(uint32_t group, int64_t rows, const Column* argument, const uint8_t* skip) override {
    each_row(rows, argument, skip, [&](int64_t i) { later(group, *argument, i); });
    insert_pending();
  }
  void merge(const Accumulator& other, const uint32_t* group_of) override {
    const auto& theirs = static_cast<const DistinctCount&>(other);
    for (const Entry& e : theirs.entries_) insert(group_of[e.group], theirs.bytes_of(e));
  }
  Result<Column> finish(size_t first, size_t count) override {
    Column out = columnar::make_fixed_column(TypeId::kInt64, static_cast<int64_t>(count));
    std::copy_n(counts_.begin() + static_cast<std::ptrdiff_t>(first), count, out.mutable_data<int64_t>());
    return out;
  }
  void write(uint32_t group, std::string& out) const override {
    index_groups();
    const size_t begin = group_begin_[group], end = group_begin_[group + 1];
    put(out, static_cast<uint64_t>(end - begin));
    for (size_t i = begin; i < end; ++i) put_text(out, bytes_of(entries_[by_group_[i]]));
  }
  Status read(uint32_t group, std::string_view& in) override {
    uint64_t count = 0;
    if (!take(in, &count)) return broken();
    for (uint64_t i = 0; i < count; ++i) {
      std::string_view bytes;
      if (!take_text(in, &bytes)) return broken();
      insert(group, bytes);
    }
    return Status();
  }
  size_t memory_bytes() const override {
    return sizeof(*this) + counts_.capacity() * sizeof(int64_t) + entries_.capacity() * sizeof(Entry) +
           slots_.capacity() * sizeof(uint32_t) + arena_.capacity() + by_group_.capacity() * sizeof(uint32_t) +
           group_begin_.capacity() * sizeof(size_t);
  }
  void clear() override {
    std::vector<int64_t>().swap(counts_);
    std::vector<Entry>().swap(entries_);
    std::vector<uint32_t>().swap(slots_);
    std::string().swap(arena_);
    std::vector<uint32_t>().swap(by_group_);
    std::vector<size_t>().swap(group_begin_);
  }

 private:
  struct Entry {
    uint64_t hash;
    uint64_t place;  // the bytes themselves, or where they begin in the arena
    uint32_t length;
    uint32_t group;
  };
  static constexpr uint32_t kEmpty = UINT32_MAX;
  static constexpr size_t kPending = 32;

  std::string_view bytes_of(const Entry& e) const {
    if (e.length <= 8) return {reinterpret_cast<const char*>(&e.place), e.length};
    return std::string_view(arena_).substr(e.place, e.length);
  }
  // The bytes that stand for a value: -0 is 0 and every NaN is the same, as for group keys.
  std::string_view key_at(const Column& column, int64_t row, uint64_t* room) const {
    if (float_id_ == TypeId::kFloat64) {
      double v = column.data<double>()[row];
      if (v == 0) v = 0;
      if (std::isnan(v)) v = std::nan("");
      std::memcpy(room, &v, sizeof(v));
      return {reinterpret_cast<const char*>(room), sizeof(v)};
    }
    if (float_id_ == TypeId::kFloat32) {
      float v = column.data<float>()[row];
      if (v == 0) v = 0;
      if (std::isnan(v)) v = std::nanf("");
      std::memcpy(room, &v, sizeof(v));
      return {reinterpret_cast<const char*>(room), sizeof(v)};
    }
    return bytes_at(column, row);
  }
  // Some rows wait while their places in the table are fetched: the table is larger than any cache.
  struct Pending {
    uint64_t hash;
    uint64_t room;  // a float's bytes
    std::string_view bytes;
    uint32_t group;
  };
  void later(uint32_t group, const Column& column, int64_t row) {
    Pending& p = pending_[pending_count_++];
    p.group = group;
    p.bytes = key_at(column, row, &p.room);
    p.hash = hash_of(group, p.bytes);
    if (!slots_.empty()) __builtin_prefetch(&slots_[p.hash & (slots_.size() - 1)]);
    if (pending_count_ == kPending) insert_pending();
  }
  void insert_pending() {
    for (size_t i = 0; i < pending_count_ && !slots_.empty(); ++i) {
      const uint32_t entry = slots_[pending_[i].hash & (slots_.size() - 1)];
      if (entry != kEmpty) __builtin_prefetch(&entries_[entry]);
    }
    for (size_t i = 0; i < pending_count_; ++i) insert(pending_[i].group, pending_[i].bytes, pending_[i].hash);
    pending_count_ = 0;
  }
  static uint64_t hash_of(uint32_t group, std::string_view bytes) {
    uint64_t h = 0;
    if (bytes.size() <= 8) {
      std::memcpy(&h, bytes.data(), bytes.size());
      h += bytes.size() * 0x9E3779B97F4A7C15ULL;
    } else {
      h = columnar::hash_bytes(bytes);
    }
    h = (h ^ (static_cast<uint64_t>(group) * 0xD6E8FEB86659FD93ULL)) * 0x9E3779B97F4A7C15ULL;
    h ^= h >> 32;
    h *= 0xD6E8FEB86659FD93ULL;
    return h ^ (h >> 29);
  }
  void insert(uint32_t group, std::string_view bytes) { insert(group, bytes, hash_of(group, bytes)); }
  void insert(uint32_t group, std::string_view bytes, uint64_t hash) {
    if (entries_.size() * 2 >= slots_.size()) grow();
    const size_t mask = slots_.size() - 1;
    size_t slot = hash & mask;
    while (slots_[slot] != kEmpty) {
      const Entry& e = entries_[slots_[slot]];
      if (e.hash == hash && e.group == group && bytes_of(e) == bytes) return;
      slot = (slot + 1) & mask;
    }
    Entry e{hash, 0, static_cast<uint32_t>(bytes.size()), group};
    if (bytes.size() <= 8) {
      std::memcpy(&e.place, bytes.data(), bytes.size());
    } else {
      e.place = arena_.size();
      arena_ += bytes;
    }
    slots_[slot] = static_cast<uint32_t>(entries_.size());
    RUNINK_CHECK(entries_.size() < kEmpty);
    entries_.push_back(e);
    ++counts_[group];
    by_group_.clear();
  }
  void grow() {
    const size_t size = slots_.empty() ? 64 : slots_.size() * 2;
    slots_.assign(size, kEmpty);
    for (size_t i = 0; i < entries_.size(); ++i) {
      size_t slot = entries_[i].hash & (size - 1);
      while (slots_[slot] != kEmpty) slot = (slot + 1) & (size - 1);
      slots_[slot] = static_cast<uint32_t>(i);
    }
  }
  // Entries by group, for writing; made again after a change.
  void index_groups() const {
    if (by_group_.size() == entries_.size() && group_begin_.size() == counts_.size() + 1) return;
    group_begin_.assign(counts_.size() + 1, 0);
    for (size_t g = 0; g < counts_.size(); ++g) group_begin_[g + 1] = group_begin_[g] + static_cast<size_t>(counts_[g]);
    by_group_.resize(entries_.size());
    std::vector<size_t> next(group_begin_.begin(), group_begin_.end() - 1);
    for (size_t i = 0; i < entries_.size(); ++i) by_group_[next[entries_[i].group]++] = static_cast<uint32_t>(i);
  }

  TypeId float_id_;
  std::vector<int64_t> counts_;
  std::vector<Entry> entries_;
  std::vector<uint32_t> slots_;
  std::string arena_;
  Pending pending_[kPending];
  size_t pending_count_ = 0;
  mutable std::vector<uint32_t> by_group_;
  mutable std::vector<size_t> group_begin_;
};

// --- list
// ----------------------------------------------------------------------------------------------------------------------------

// Per group the values' bytes: fixed-width ones side by side, texts each after its length.
class ListOf : public Accumulator {
 public:
  explicit ListOf(const AggregateSpec& spec)
      : spec_(spec), text_(spec.argument.type().is_text()), width_(static_cast<size_t>(spec.argument.type().width())) {}
  void resize(size_t groups) override {
    if (groups > lists_.size()) lists_.resize(groups);
  }
  size_t groups() const override { return lists_.size(); }
  void update(const uint32_t* group, int64_t rows, const Column* argument, const uint8_t* skip) override {
    each_row(rows, argument, skip, [&](int64_t i) { push(group[i], bytes_at(*argument, i)); });
  }
  void update_one(uint32_t group, int64_t rows, const Column* argument, const uint8_t* skip) override {
    each_row(rows, argument, skip, [&](int64_t i) { push(group, bytes_at(*argument, i)); });
  }
  void merge(const Accumulator& other, const uint32_t* group_of) override {
    const auto& theirs = static_cast<const ListOf&>(other).lists_;
    for (size_t g = 0; g < theirs.size(); ++g) append(group_of[g], theirs[g]);
  }
  Result<Column> finish(size_t first, size_t count) override {
    columnar::ColumnBuilder out(spec_.result_type, static_cast<int64_t>(count));
    size_t total = 0;
    for (size_t g = first; g < first + count; ++g) {
      total += lists_[g].size();
      if (total > columnar::ColumnBuilder::kMaxTextBytes) return no_room(spec_);
      std::string_view rest = lists_[g];
      while (!rest.empty()) {
        std::string_view bytes;
        if (text_) {
          RUNINK_CHECK(take_text(rest, &bytes));
        } else {
          bytes = rest.substr(0, width_);
          rest.remove_prefix(width_);
        }
        append_bytes(out.child(), bytes);
      }
      out.close_list();
    }
    return out.finish();
  }
  void write(uint32_t group, std::string& out) const override { put_text(out, lists_[group]); }
  Status read(uint32_t group, std::string_view& in) override {
    std::string_view bytes;
    if (!take_text(in, &bytes) || !is_well_formed(bytes)) return broken();
    append(group, bytes);
    return Status();
  }
  size_t memory_bytes() const override { return sizeof(*this) + lists_.capacity() * sizeof(std::string) + heap_; }
  void clear() override {
    std::vector<std::string>().swap(lists_);
    heap_ = 0;
  }

 private:
  bool is_well_formed(std::string_view bytes) const {
    if (!text_) return bytes.size() % width_ == 0;
    std::string_view one;
    while (!bytes.empty()) {
      if (!take_text(bytes, &one)) return false;
    }
    return true;
  }
  void append(uint32_t g, std::string_view bytes) {
    std::string& list = lists_[g];
    const size_t before = list.capacity();
    list += bytes;
    heap_ += list.capacity() - before;
  }
  void push(uint32_t g, std::string_view bytes) {
    std::string& list = lists_[g];
    const size_t before = list.capacity();
    if (text_) {
      put_text(list, bytes);
    } else {
      list += bytes;
    }
    heap_ += list.capacity() - before;
  }
  AggregateSpec spec_;
  bool text_;
  size_t width_;
  std::vector<std::string> lists_;
  size_t heap_ = 0;
};

// --- making
// --------------------------------------------------------------------------------------------------------------------------

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

std::unique_ptr<Accumulator> make_choice(const AggregateSpec& spec) {
  std::unique_ptr<Accumulator> out;
  with_fixed_type(spec.argument.type().id(),
                  [&](auto zero) { out = std::make_unique<FixedChoice<decltype(zero)>>(spec); });
  if (!out) out = std::make_unique<TextChoice>(spec);
  return out;
}

}  // namespace

std::unique_ptr<Accumulator> make_accumulator(const AggregateSpec& spec) {
  switch (spec.function) {
    case AggregateFunction::kCount:
      return std::make_unique<Count>(false);
    case AggregateFunction::kCountIf:
      return std::make_unique<Count>(true);
    case AggregateFunction::kSum:
    case AggregateFunction::kAvg:
      return make_sum(spec);
    case AggregateFunction::kStddev:
    case AggregateFunction::kVariance:
      return make_spread(spec);
    case AggregateFunction::kQuantile:
      return std::make_unique<Quantile>(spec);
    case AggregateFunction::kDistinctCount:
      return std::make_unique<DistinctCount>(spec);
    case AggregateFunction::kList:
      return std::make_unique<ListOf>(spec);
    default:
      return make_choice(spec);
  }
}

WholeAggregate::WholeAggregate(AggregateExpr expr) : expr_(std::move(expr)) {
  for (const auto& spec : expr_.aggregates) {
    states_.push_back(make_accumulator(spec));
    states_.back()->resize(1);
    if (spec.argument.valid()) arguments_.emplace_back(spec.argument);
  }
}

Status WholeAggregate::update(const columnar::Batch& batch, const EvalContext& context, std::vector<RowError>& errors) {
  size_t argument = 0;
  for (size_t a = 0; a < states_.size(); ++a) {
    if (!expr_.aggregates[a].argument.valid()) {
      states_[a]->update_one(0, batch.rows, nullptr);
      continue;
    }
    const Column column = RUNINK_TRY(arguments_[argument].evaluate(batch, context, errors));
    states_[a]->update_one(0, batch.rows, &column);
    ++argument;
  }
  return Status();
}

Result<Value> WholeAggregate::finish(const EvalContext& context) {
  std::vector<Column> columns;
  for (auto& state : states_) columns.push_back(RUNINK_TRY(state->finish(0, 1)));
  Evaluator evaluator(expr_.result);
  std::vector<RowError> errors;
  const Column result = RUNINK_TRY(evaluator.evaluate(columns, 1, context, errors));
  if (!errors.empty()) return out_of_range("{}", errors[0].message);
  return columnar::value_at(result, 0);
}

}  // namespace runink::expr
