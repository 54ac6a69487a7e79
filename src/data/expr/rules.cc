#include "data/expr/rules.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <unordered_set>

#include "base/nearest.h"
#include "base/text.h"
#include "data/columnar/text.h"
#include "data/expr/number.h"
#include "data/expr/rules_internal.h"

namespace runink::expr {

using columnar::Column;
using columnar::DataType;
using columnar::TypeId;
using columnar::Value;

namespace {

std::atomic<int>& level_in_use() {
  static std::atomic<int> level{static_cast<int>(best_vector_level())};
  return level;
}

// The rows of a column that break a rule, one at a time: for types without a kernel.
template <typename F>
void check_rows(const Column& column, uint8_t* failed, uint8_t bit, F passes) {
  for (int64_t i = 0; i < column.length; ++i) {
    if (column.is_valid(i) && !passes(i)) failed[i] |= bit;
  }
}

class NotNull : public RuleKernel {
 public:
  NotNull() { text_ = "required"; }
  void check(const Column& column, uint8_t* failed, uint8_t bit) const override {
    if (column.type.id() == TypeId::kNull) {
      for (int64_t i = 0; i < column.length; ++i) failed[i] |= bit;
      return;
    }
    if (column.validity != nullptr) rule_kernels().not_null(column.validity->data(), column.length, failed, bit);
  }

 private:
  bool passes_row(const Column& column, int64_t row) const override { return column.is_valid(row); }
};

template <typename T>
void range_kernel(const T* values, int64_t rows, T low, T high, rules::Marks marks) {
  const rules::Kernels& k = rule_kernels();
  if constexpr (std::is_same_v<T, int8_t>) k.range_i8(values, rows, low, high, marks);
  if constexpr (std::is_same_v<T, int16_t>) k.range_i16(values, rows, low, high, marks);
  if constexpr (std::is_same_v<T, int32_t>) k.range_i32(values, rows, low, high, marks);
  if constexpr (std::is_same_v<T, int64_t>) k.range_i64(values, rows, low, high, marks);
  if constexpr (std::is_same_v<T, uint8_t>) k.range_u8(values, rows, low, high, marks);
  if constexpr (std::is_same_v<T, uint16_t>) k.range_u16(values, rows, low, high, marks);
  if constexpr (std::is_same_v<T, uint32_t>) k.range_u32(values, rows, low, high, marks);
  if constexpr (std::is_same_v<T, uint64_t>) k.range_u64(values, rows, low, high, marks);
  if constexpr (std::is_same_v<T, float>) k.range_f32(values, rows, low, high, marks);
  if constexpr (std::is_same_v<T, double>) k.range_f64(values, rows, low, high, marks);
}

template <typename T>
class Range : public RuleKernel {
 public:
  Range(T low, T high, std::string text) : low_(low), high_(high) { text_ = std::move(text); }
  void check(const Column& column, uint8_t* failed, uint8_t bit) const override {
    if constexpr (std::is_same_v<T, int128>) {
      const T* values = column.data<T>();
      check_rows(column, failed, bit, [&](int64_t i) { return values[i] >= low_ && values[i] <= high_; });
    } else {
      range_kernel<T>(column.data<T>(), column.length, low_, high_, marks_of(column, failed, bit));
    }
  }

 private:
  bool passes_row(const Column& column, int64_t row) const override {
    if (column.is_null(row)) return true;
    const T v = column.data<T>()[row];
    return v >= low_ && v <= high_;
  }
  T low_, high_;
};

class Length : public RuleKernel {
 public:
  Length(bool code_points, int64_t least, int64_t most, std::string text)
      : code_points_(code_points), least_(least), most_(most) {
    text_ = std::move(text);
  }
  void check(const Column& column, uint8_t* failed, uint8_t bit) const override {
    const rules::Marks marks = marks_of(column, failed, bit);
    if (code_points_) {
      rule_kernels().code_points({column.offset_data(), column.values->data()}, column.length, least_, most_, marks);
    } else {
      rule_kernels().length(column.offset_data(), column.length, least_, most_, marks);
    }
  }

 private:
  bool passes_row(const Column& column, int64_t row) const override {
    if (column.is_null(row)) return true;
    const int32_t* o = column.offset_data();
    const int64_t n = code_points_ ? static_cast<int64_t>(count_code_points(column.text(row))) : o[row + 1] - o[row];
    return n >= least_ && n <= most_;
  }
  bool code_points_;
  int64_t least_, most_;
};

// Integers, dates, times, enum indices.
class NumberMembers : public RuleKernel {
 public:
  NumberMembers(std::vector<int128> members, std::string text) : members_(std::move(members)) {
    text_ = std::move(text);
    std::sort(members_.begin(), members_.end());
    members_.erase(std::unique(members_.begin(), members_.end()), members_.end());
    for (const int128 m : members_) {
      if (m >= INT32_MIN && m <= INT32_MAX) small_.push_back(static_cast<int32_t>(m));
      if (m >= INT64_MIN && m <= INT64_MAX) large_.push_back(static_cast<int64_t>(m));
    }
  }
  void check(const Column& column, uint8_t* failed, uint8_t bit) const override {
    constexpr size_t kFew = 32;
    const rules::Marks marks = marks_of(column, failed, bit);
    const TypeId id = column.type.id();
    const bool narrow = id == TypeId::kInt32 || id == TypeId::kDate || id == TypeId::kEnum;
    const bool wide =
        id == TypeId::kInt64 || id == TypeId::kTimestamp || id == TypeId::kTime || id == TypeId::kDuration;
    if (narrow && small_.size() <= kFew) {
      rule_kernels().members_i32(column.data<int32_t>(), column.length, small_.data(), static_cast<int>(small_.size()),
                                 marks);
    } else if (wide && large_.size() <= kFew) {
      rule_kernels().members_i64(column.data<int64_t>(), column.length, large_.data(), static_cast<int>(large_.size()),
                                 marks);
    } else {
      check_rows(column, failed, bit, [&](int64_t i) { return holds(column, i); });
    }
  }

 private:
  bool holds(const Column& column, int64_t row) const {
    return std::binary_search(members_.begin(), members_.end(), number_at(column, row).scaled);
  }
  bool passes_row(const Column& column, int64_t row) const override {
    return column.is_null(row) || holds(column, row);
  }
  std::vector<int128> members_;
  std::vector<int32_t> small_;
  std::vector<int64_t> large_;
};

class FloatMembers : public RuleKernel {
 public:
  FloatMembers(std::vector<double> members, std::string text) : members_(std::move(members)) {
    text_ = std::move(text);
  }
  void check(const Column& column, uint8_t* failed, uint8_t bit) const override {
    check_rows(column, failed, bit, [&](int64_t i) { return holds(column, i); });
  }

 private:
  bool holds(const Column& column, int64_t row) const {
    const double v = number_at(column, row).real;
    return std::any_of(members_.begin(), members_.end(), [&](double m) { return compare_doubles(m, v) == 0; });
  }
  bool passes_row(const Column& column, int64_t row) const override {
    return column.is_null(row) || holds(column, row);
  }
  std::vector<double> members_;
};

class UuidMembers : public RuleKernel {
 public:
  UuidMembers(std::unordered_set<std::string> members, std::string text) : members_(std::move(members)) {
    text_ = std::move(text);
  }
  void check(const Column& column, uint8_t* failed, uint8_t bit) const override {
    check_rows(column, failed, bit, [&](int64_t i) { return holds(column, i); });
  }

 private:
  bool holds(const Column& column, int64_t row) const {
    return members_.count(std::string(reinterpret_cast<const char*>(column.values->data()) + row * 16, 16)) > 0;
  }
  bool passes_row(const Column& column, int64_t row) const override {
    return column.is_null(row) || holds(column, row);
  }
  std::unordered_set<std::string> members_;
};

template <typename T>
RulePtr integer_range(std::optional<int128> low, std::optional<int128> high, std::string text) {
  constexpr int128 kLow = std::numeric_limits<T>::min(), kHigh = std::numeric_limits<T>::max();
  // A range that the type cannot reach lets nothing pass: an empty one.
  if ((low && *low > kHigh) || (high && *high < kLow)) {
    return std::make_shared<Range<T>>(std::numeric_limits<T>::max(), std::numeric_limits<T>::min(), std::move(text));
  }
  const T from = low && *low > kLow ? static_cast<T>(*low) : std::numeric_limits<T>::min();
  const T to = high && *high < kHigh ? static_cast<T>(*high) : std::numeric_limits<T>::max();
  return std::make_shared<Range<T>>(from, to, std::move(text));
}

std::optional<int128> whole_value(const Value& value) {
  if (const auto* v = std::get_if<int64_t>(&value.data)) return *v;
  if (const auto* v = std::get_if<uint64_t>(&value.data)) return static_cast<int128>(*v);
  if (const auto* v = std::get_if<bool>(&value.data)) return *v ? 1 : 0;
  return std::nullopt;
}

std::optional<double> real_value(const Value& value) {
  if (const auto* v = std::get_if<double>(&value.data)) return *v;
  if (const auto whole = whole_value(value)) return static_cast<double>(*whole);
  return std::nullopt;
}

std::optional<int128> decimal_value(const Value& value, int scale) {
  if (const auto* v = std::get_if<int128>(&value.data)) return *v;
  int128 scaled = 0;
  if (const auto whole = whole_value(value); whole && scale_up(*whole, scale, &scaled)) return scaled;
  return std::nullopt;
}

std::string value_text(const DataType& type, const Value& value) {
  const Column column = columnar::make_column(type, {value});
  std::string out;
  const columnar::FieldText form(type);
  if (type.is_numeric()) {
    form.append_plain(column, 0, out);
  } else {
    form.append_json(column, 0, out);
  }
  return out;
}

std::string range_text(const DataType& type, const std::optional<Value>& min, const std::optional<Value>& max) {
  if (min && max) return fmt::format("range({}, {})", value_text(type, *min), value_text(type, *max));
  return min ? fmt::format("min({})", value_text(type, *min)) : fmt::format("max({})", value_text(type, *max));
}

Status not_a_value(const DataType& type) {
  return invalid_argument("a bound or member is not a value of {}", type.to_string());
}

// min and max have been checked to be values of the type; bounds of floats that are open are infinite.
Result<RulePtr> float_range(const DataType& type, const std::optional<Value>& min, const std::optional<Value>& max) {
  const double infinity = std::numeric_limits<double>::infinity();
  const auto low = min ? real_value(*min) : -infinity, high = max ? real_value(*max) : infinity;
  if (!low || !high) return not_a_value(type);
  if (std::isnan(*low) || std::isnan(*high) || *low > *high)
    return invalid_argument("the range is empty: its minimum is above its maximum");
  Value low_value(*low), high_value(*high);
  const std::string text = range_text(type, min ? std::optional<Value>(low_value) : std::nullopt,
                                      max ? std::optional<Value>(high_value) : std::nullopt);
  if (type.id() == TypeId::kFloat32)
    return RulePtr(std::make_shared<Range<float>>(static_cast<float>(*low), static_cast<float>(*high), text));
  return RulePtr(std::make_shared<Range<double>>(*low, *high, text));
}

}  // namespace

const rules::Kernels& rule_kernels() {
#if defined(__x86_64__)
  switch (static_cast<VectorLevel>(level_in_use().load(std::memory_order_relaxed))) {
    case VectorLevel::kAvx512:
      return rules::kernels_avx512();
    case VectorLevel::kAvx2:
      return rules::kernels_avx2();
    case VectorLevel::kBaseline:
      break;
  }
#endif
  return rules::kernels_baseline();
}

VectorLevel best_vector_level() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
      __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512cd")) {
    return VectorLevel::kAvx512;
  }
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
      __builtin_cpu_supports("fma")) {
    return VectorLevel::kAvx2;
  }
#endif
  return VectorLevel::kBaseline;
}
VectorLevel vector_level() { return static_cast<VectorLevel>(level_in_use().load(std::memory_order_relaxed)); }
bool force_vector_level(VectorLevel level) {
  if (level > best_vector_level()) return false;
  level_in_use().store(static_cast<int>(level), std::memory_order_relaxed);
  return true;
}
std::string_view vector_level_name(VectorLevel level) {
  switch (level) {
    case VectorLevel::kAvx512:
      return "avx512";
    case VectorLevel::kAvx2:
      return "avx2";
    default:
      return "baseline";
  }
}
int vector_level_bits(VectorLevel level) {
  switch (level) {
    case VectorLevel::kAvx512:
      return 512;
    case VectorLevel::kAvx2:
      return 256;
    default:
      return 128;
  }
}

RulePtr rule_not_null() { return std::make_shared<NotNull>(); }

Result<RulePtr> rule_range(const DataType& type, std::optional<Value> min, std::optional<Value> max) {
  if (!min && !max) return invalid_argument("a range needs a minimum or a maximum");
  if (type.is_float()) return float_range(type, min, max);
  const bool decimal = type.id() == TypeId::kDecimal;
  const auto bound = [&](const std::optional<Value>& value, std::optional<int128>* out) {
    if (!value) return true;
    *out = decimal ? decimal_value(*value, type.scale()) : whole_value(*value);
    return out->has_value() && !std::holds_alternative<bool>(value->data);
  };
  switch (type.id()) {
    case TypeId::kDate:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kDuration:
      break;
    default:
      if (!type.is_numeric()) return invalid_argument("a range does not go with {}", type.to_string());
  }
  std::optional<int128> low, high;
  if (!bound(min, &low) || !bound(max, &high)) return not_a_value(type);
  if (low && high && *low > *high) return invalid_argument("the range is empty: its minimum is above its maximum");
  // Bounds outside the type have no text as values of it.
  const auto bound_text = [&](int128 v) {
    std::string out;
    columnar::append_decimal(out, v, decimal ? type.scale() : 0);
    return out;
  };
  const bool number = type.is_numeric();
  const auto shown = [&](const std::optional<Value>& v, int128 n) {
    return number ? bound_text(n) : value_text(type, *v);
  };
  std::string text = low && high ? fmt::format("range({}, {})", shown(min, *low), shown(max, *high))
                     : low       ? fmt::format("min({})", shown(min, *low))
                                 : fmt::format("max({})", shown(max, *high));
  switch (type.id()) {
    case TypeId::kInt8:
      return integer_range<int8_t>(low, high, text);
    case TypeId::kInt16:
      return integer_range<int16_t>(low, high, text);
    case TypeId::kInt32:
    case TypeId::kDate:
      return integer_range<int32_t>(low, high, text);
    case TypeId::kUInt8:
      return integer_range<uint8_t>(low, high, text);
    case TypeId::kUInt16:
      return integer_range<uint16_t>(low, high, text);
    case TypeId::kUInt32:
      return integer_range<uint32_t>(low, high, text);
    case TypeId::kUInt64:
      return integer_range<uint64_t>(low, high, text);
    case TypeId::kDecimal: {
      const int128 far = power_of_ten(38);
      return RulePtr(std::make_shared<Range<int128>>(low.value_or(-far), high.value_or(far), text));
    }
    default:
      return integer_range<int64_t>(low, high, text);
  }
}

Result<RulePtr> rule_length(const DataType& type, std::optional<uint64_t> min, std::optional<uint64_t> max) {
  if (!min && !max) return invalid_argument("a length needs a minimum or a maximum");
  if (min && max && *min > *max) return invalid_argument("the length's minimum {} is above its maximum {}", *min, *max);
  const bool text_type = type.id() == TypeId::kString || type.id() == TypeId::kJson;
  if (!text_type && type.id() != TypeId::kBytes && type.id() != TypeId::kList) {
    return invalid_argument("a length does not go with {}", type.to_string())
        .with_hint("string, json, bytes and lists have a length");
  }
  const auto bounded = [](uint64_t n) { return static_cast<int64_t>(std::min<uint64_t>(n, INT64_MAX)); };
  std::string text = min && max
                         ? (*min == *max ? fmt::format("length({})", *min) : fmt::format("length({}, {})", *min, *max))
                     : min ? fmt::format("length({}, )", *min)
                           : fmt::format("length(0, {})", *max);
  return RulePtr(
      std::make_shared<Length>(text_type, bounded(min.value_or(0)), bounded(max.value_or(INT64_MAX)), std::move(text)));
}

Result<RulePtr> rule_enum(const DataType& type) {
  if (type.id() != TypeId::kEnum) return invalid_argument("{} is not an enum", type.to_string());
  const auto count = static_cast<int32_t>(type.labels().size());
  return RulePtr(std::make_shared<Range<int32_t>>(0, count - 1, type.to_string()));
}

Result<RulePtr> rule_one_of(const DataType& type, const std::vector<Value>& values) {
  if (values.empty()) return invalid_argument("one_of needs at least one value");
  std::string text = "one_of(";
  std::vector<int128> numbers;
  std::vector<double> reals;
  std::vector<std::string> texts;
  for (const Value& value : values) {
    if (text.size() > 7) text += ", ";
    if (type.id() == TypeId::kEnum) {
      int64_t index = -1;
      if (const auto* label = std::get_if<std::string>(&value.data)) {
        const auto& labels = type.labels();
        const auto found = std::find(labels.begin(), labels.end(), *label);
        if (found == labels.end()) {
          Status status = invalid_argument("{} is not a label of {}", json_quote(*label), type.to_string());
          const auto near = nearest(*label, labels);
          return near.empty() ? std::move(status)
                              : std::move(status).with_hint(fmt::format("did you mean \"{}\"?", near[0]));
        }
        index = found - labels.begin();
      } else if (const auto whole = whole_value(value)) {
        index = *whole >= 0 && *whole < static_cast<int128>(type.labels().size()) ? static_cast<int64_t>(*whole) : -1;
      }
      if (index < 0) return not_a_value(type);
      numbers.push_back(index);
      text += json_quote(type.labels()[static_cast<size_t>(index)]);
      continue;
    }
    if (type.is_float()) {
      const auto real = real_value(value);
      if (!real) return not_a_value(type);
      reals.push_back(type.id() == TypeId::kFloat32 ? static_cast<double>(static_cast<float>(*real)) : *real);
      text += fmt::format("{}", *real);
    } else if (type.is_text() || type.id() == TypeId::kUuid) {
      const auto* s = std::get_if<std::string>(&value.data);
      if (s == nullptr || (type.id() == TypeId::kUuid && s->size() != 16)) return not_a_value(type);
      texts.push_back(*s);
      text += value_text(type, value);
    } else {
      const auto number = type.id() == TypeId::kDecimal ? decimal_value(value, type.scale()) : whole_value(value);
      if (!number || type.width() == 0) return not_a_value(type);
      numbers.push_back(*number);
      std::string shown;
      columnar::append_decimal(shown, *number, type.id() == TypeId::kDecimal ? type.scale() : 0);
      text += type.is_numeric() ? shown : value_text(type, value);
    }
  }
  text += ")";
  if (type.is_float()) return RulePtr(std::make_shared<FloatMembers>(std::move(reals), std::move(text)));
  if (type.id() == TypeId::kUuid) {
    return RulePtr(
        std::make_shared<UuidMembers>(std::unordered_set<std::string>(texts.begin(), texts.end()), std::move(text)));
  }
  if (type.is_text()) return make_text_members(texts, std::move(text));
  return RulePtr(std::make_shared<NumberMembers>(std::move(numbers), std::move(text)));
}

}  // namespace runink::expr
