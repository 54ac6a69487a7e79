// Casts. Strict ones make a row error where a value has no place in the new type; try_cast gives null there. Nothing is
// rounded silently: 2.5 is no int32 (round() says how), 1.005 no decimal(12,2). Only a float becomes the nearest
// decimal.
#include <array>
#include <cmath>

#include "base/text.h"
#include "data/columnar/text.h"
#include "data/expr/functions.h"
#include "data/expr/kernel.h"
#include "data/expr/number.h"

namespace runink::expr {

using columnar::TextError;

namespace {

constexpr int64_t kMicrosPerDay = 86400000000;

// Messages of one cast, made when first needed.
class Messages {
 public:
  explicit Messages(const DataType& type) : type_(type) {}
  const char* outside() {
    if (outside_.empty()) outside_ = fmt::format("outside {}", type_.to_string());
    return outside_.c_str();
  }
  const char* of(TextError error) {
    if (error == TextError::kOk) return nullptr;
    std::string& text = texts_[static_cast<size_t>(error)];
    if (text.empty()) text = columnar::describe_without_value(error, type_);
    return text.c_str();
  }

 private:
  const DataType& type_;
  std::string outside_;
  std::array<std::string, 4> texts_;
};

constexpr const char* kNotWhole = "not a whole number; round(), floor() or ceil() says how to make it one";

struct Cast {
  const Node& node;
  const Arg* args;
  Frame& frame;
  Column* out;
  bool lenient;
  Messages messages;

  const Column& from() const { return *args[0].column; }

  template <typename T, typename F>
  void checked(F f) {
    if (lenient) {
      map_optional<T>(node, args, 1, frame, out, [&](int64_t i, T* r) { return f(i, r) == nullptr; });
    } else {
      map_checked<T>(node, args, 1, frame, out, f);
    }
  }

  template <typename From, typename To>
  void plain() {
    const Values<From> v(args[0]);
    if (!args[0].constant) {
      *out = fixed_result(node, frame);
      out->validity = from().validity;
      const From* __restrict source = from().data<From>();
      To* __restrict to = out->mutable_data<To>();
      for (int64_t i = 0; i < frame.rows; ++i) to[i] = static_cast<To>(source[i]);
      return;
    }
    map_all<To>(node, args, 1, frame, out, [&](int64_t i) { return static_cast<To>(v[i]); });
  }

  // Any number or bool to an integer.
  template <typename To>
  void to_integer() {
    constexpr int128 kLow = std::numeric_limits<To>::min(), kHigh = std::numeric_limits<To>::max();
    const TypeId source = from().type.id();
    if (from().type.is_text()) {
      const Texts v(args[0]);
      checked<To>([&](int64_t i, To* r) -> const char* {
        if constexpr (std::is_signed_v<To>) {
          int64_t x = 0;
          if (const TextError e = columnar::parse_int64(v[i], &x); e != TextError::kOk) return messages.of(e);
          if (x < kLow || x > kHigh) return messages.of(TextError::kOutOfRange);
          *r = static_cast<To>(x);
        } else {
          uint64_t x = 0;
          if (const TextError e = columnar::parse_uint64(v[i], &x); e != TextError::kOk) return messages.of(e);
          if (x > static_cast<uint64_t>(kHigh)) return messages.of(TextError::kOutOfRange);
          *r = static_cast<To>(x);
        }
        return nullptr;
      });
      return;
    }
    if (source == TypeId::kBool || widens(from().type, node.type)) {
      with_fixed_type(source, [&](auto zero) {
        if constexpr (!std::is_same_v<decltype(zero), int128>) plain<decltype(zero), To>();
      });
      return;
    }
    if (source == TypeId::kDecimal) {
      const Values<int128> v(args[0]);
      const int128 unit = power_of_ten(from().type.scale());
      checked<To>([&](int64_t i, To* r) -> const char* {
        if (v[i] % unit != 0) return kNotWhole;
        const int128 whole = v[i] / unit;
        if (whole < kLow || whole > kHigh) return messages.outside();
        *r = static_cast<To>(whole);
        return nullptr;
      });
      return;
    }
    with_fixed_type(source, [&](auto zero) {
      using From = decltype(zero);
      const Values<From> v(args[0]);
      checked<To>([&](int64_t i, To* r) -> const char* {
        const From x = v[i];
        if constexpr (std::is_floating_point_v<From>) {
          if (!std::isfinite(x) || std::fabs(static_cast<double>(x)) >= 1e30) return messages.outside();
          if (x != std::floor(x)) return kNotWhole;
        }
        const auto whole = static_cast<int128>(x);
        if (whole < kLow || whole > kHigh) return messages.outside();
        *r = static_cast<To>(whole);
        return nullptr;
      });
    });
  }

  template <typename To>
  void to_float() {
    const TypeId source = from().type.id();
    if (from().type.is_text()) {
      const Texts v(args[0]);
      checked<To>([&](int64_t i, To* r) -> const char* {
        if constexpr (std::is_same_v<To, double>) {
          return messages.of(columnar::parse_double(v[i], r));
        } else {
          return messages.of(columnar::parse_float(v[i], r));
        }
      });
      return;
    }
    if (source == TypeId::kDecimal) {
      const Values<int128> v(args[0]);
      const int scale = from().type.scale();
      map_all<To>(node, args, 1, frame, out,
                  [&](int64_t i) { return static_cast<To>(decimal_to_double(v[i], scale)); });
      return;
    }
    if (source == TypeId::kFloat64 && std::is_same_v<To, float>) {
      const Values<double> v(args[0]);
      checked<To>([&](int64_t i, To* r) -> const char* {
        *r = static_cast<To>(v[i]);
        return std::isinf(*r) && !std::isinf(v[i]) ? messages.outside() : nullptr;
      });
      return;
    }
    with_fixed_type(source, [&](auto zero) {
      if constexpr (!std::is_same_v<decltype(zero), int128>) plain<decltype(zero), To>();
    });
  }

  void to_decimal() {
    const int precision = node.type.precision(), scale = node.type.scale();
    const TypeId source = from().type.id();
    if (from().type.is_text()) {
      const Texts v(args[0]);
      checked<int128>(
          [&](int64_t i, int128* r) { return messages.of(columnar::parse_decimal(v[i], precision, scale, r)); });
      return;
    }
    if (source == TypeId::kDecimal) {
      const int down = from().type.scale() - scale;
      const Values<int128> v(args[0]);
      checked<int128>([&](int64_t i, int128* r) -> const char* {
        if (down > 0) {
          const int128 unit = power_of_ten(down);
          if (v[i] % unit != 0) return "more digits after the point than the type keeps; round() says how many";
          *r = v[i] / unit;
        } else if (!scale_up(v[i], -down, r)) {
          *r = 0;
          return messages.outside();
        }
        if (fits_digits(*r, precision)) return nullptr;
        *r = 0;
        return messages.outside();
      });
      return;
    }
    with_fixed_type(source, [&](auto zero) {
      using From = decltype(zero);
      const Values<From> v(args[0]);
      checked<int128>([&](int64_t i, int128* r) -> const char* {
        bool ok = false;
        if constexpr (std::is_floating_point_v<From>) {
          ok = double_to_decimal(static_cast<double>(v[i]), precision, scale, r);
        } else {
          ok = scale_up(static_cast<int128>(v[i]), scale, r) && fits_digits(*r, precision);
        }
        if (!ok) *r = 0;
        return ok ? nullptr : messages.outside();
      });
    });
  }

  void to_bool() {
    if (from().type.is_text()) {
      const Texts v(args[0]);
      checked<uint8_t>([&](int64_t i, uint8_t* r) -> const char* {
        bool value = false;
        const TextError e = columnar::parse_bool(v[i], &value);
        *r = value;
        return messages.of(e);
      });
      return;
    }
    with_fixed_type(from().type.id(), [&](auto zero) {
      const Values<decltype(zero)> v(args[0]);
      checked<uint8_t>([&](int64_t i, uint8_t* r) -> const char* {
        if (v[i] != 0 && v[i] != 1) return "neither 0 nor 1";
        *r = v[i] != 0;
        return nullptr;
      });
    });
  }

  // From text, in ISO 8601.
  template <typename T, typename F>
  void parsed(F parse) {
    const Texts v(args[0]);
    checked<T>([&](int64_t i, T* r) { return messages.of(parse(v[i], r)); });
  }

  void to_date() {
    if (from().type.is_text())
      return parsed<int32_t>([](std::string_view t, int32_t* r) { return columnar::parse_date(t, r); });
    const Values<int64_t> v(args[0]);
    map_all<int32_t>(node, args, 1, frame, out, [&](int64_t i) {
      const int64_t days = v[i] / kMicrosPerDay;
      return static_cast<int32_t>(v[i] % kMicrosPerDay < 0 ? days - 1 : days);
    });
  }
  void to_time() {
    if (from().type.is_text())
      return parsed<int64_t>([](std::string_view t, int64_t* r) { return columnar::parse_time(t, r); });
    const Values<int64_t> v(args[0]);
    map_all<int64_t>(node, args, 1, frame, out, [&](int64_t i) {
      const int64_t rest = v[i] % kMicrosPerDay;
      return rest < 0 ? rest + kMicrosPerDay : rest;
    });
  }
  void to_timestamp() {
    if (from().type.is_text())
      return parsed<int64_t>([](std::string_view t, int64_t* r) { return columnar::parse_timestamp(t, r); });
    const Values<int32_t> v(args[0]);
    map_all<int64_t>(node, args, 1, frame, out, [&](int64_t i) {
      return static_cast<int64_t>(static_cast<uint64_t>(static_cast<int64_t>(v[i])) *
                                  static_cast<uint64_t>(kMicrosPerDay));
    });
  }

  void to_uuid() {
    const Texts v(args[0]);
    struct Bytes16 {
      uint8_t bytes[16];
    };
    checked<Bytes16>([&](int64_t i, Bytes16* r) { return messages.of(columnar::parse_uuid(v[i], r->bytes)); });
  }

  void to_enum() {
    const auto& labels = node.type.labels();
    const auto index = [&](std::string_view label) {
      for (size_t l = 0; l < labels.size(); ++l) {
        if (labels[l] == label) return static_cast<int32_t>(l);
      }
      return int32_t{-1};
    };
    if (from().type.id() == TypeId::kEnum) {
      std::vector<int32_t> moved;
      for (const auto& label : from().type.labels()) moved.push_back(index(label));
      const Values<int32_t> v(args[0]);
      checked<int32_t>([&](int64_t i, int32_t* r) -> const char* {
        if (v[i] < 0 || static_cast<size_t>(v[i]) >= moved.size() || moved[static_cast<size_t>(v[i])] < 0)
          return messages.of(TextError::kMalformed);
        *r = moved[static_cast<size_t>(v[i])];
        return nullptr;
      });
      return;
    }
    const Texts v(args[0]);
    checked<int32_t>([&](int64_t i, int32_t* r) -> const char* {
      *r = index(v[i]);
      if (*r >= 0) return nullptr;
      *r = 0;
      return messages.of(TextError::kMalformed);
    });
  }

  const char* text_error(const char* what) const { return lenient ? kNullRow : what; }

  void to_text() {
    const TypeId source = from().type.id();
    const int64_t step = args[0].constant ? 0 : 1;
    if (from().type.is_text()) {
      const bool check_utf8 = source == TypeId::kBytes && node.type.id() == TypeId::kString;
      const bool check_json = node.type.id() == TypeId::kJson;
      const Texts v(args[0]);
      map_text(node, args, 1, frame, out, [&](int64_t i, std::string&, std::string_view* view) -> const char* {
        *view = v[i];
        if (check_utf8 && !is_valid_utf8(*view)) return text_error("not valid UTF-8");
        if (check_json && !columnar::is_valid_json(*view)) return text_error(messages.of(TextError::kMalformed));
        return nullptr;
      });
      return;
    }
    if (source == TypeId::kEnum) {
      const auto& labels = from().type.labels();
      const Values<int32_t> v(args[0]);
      map_text(node, args, 1, frame, out, [&](int64_t i, std::string&, std::string_view* view) -> const char* {
        if (v[i] < 0 || static_cast<size_t>(v[i]) >= labels.size()) return text_error("not a label");
        *view = labels[static_cast<size_t>(v[i])];
        return nullptr;
      });
      return;
    }
    if (from().type.is_integer() && source != TypeId::kUInt64) {
      with_fixed_type(source, [&](auto zero) {
        using From = decltype(zero);
        const Values<From> v(args[0]);
        char room[24];
        map_text(node, args, 1, frame, out, [&](int64_t i, std::string&, std::string_view* view) -> const char* {
          *view = {room, static_cast<size_t>(columnar::write_int64(room, static_cast<int64_t>(v[i])) - room)};
          return nullptr;
        });
      });
      return;
    }
    const columnar::FieldText form(from().type);
    const bool json = node.type.id() == TypeId::kJson;
    map_text(node, args, 1, frame, out, [&](int64_t i, std::string& scratch, std::string_view* view) -> const char* {
      if (json) {
        form.append_json(from(), i * step, scratch);
      } else {
        form.append_plain(from(), i * step, scratch);
      }
      *view = scratch;
      return nullptr;
    });
  }

  void run() {
    if (from().type.id() == TypeId::kNull) {
      *out = columnar::make_null_column(node.type, frame.rows);
      return;
    }
    switch (node.type.id()) {
      case TypeId::kBool:
        return to_bool();
      case TypeId::kInt8:
        return to_integer<int8_t>();
      case TypeId::kInt16:
        return to_integer<int16_t>();
      case TypeId::kInt32:
        return to_integer<int32_t>();
      case TypeId::kInt64:
        return to_integer<int64_t>();
      case TypeId::kUInt8:
        return to_integer<uint8_t>();
      case TypeId::kUInt16:
        return to_integer<uint16_t>();
      case TypeId::kUInt32:
        return to_integer<uint32_t>();
      case TypeId::kUInt64:
        return to_integer<uint64_t>();
      case TypeId::kFloat32:
        return to_float<float>();
      case TypeId::kFloat64:
        return to_float<double>();
      case TypeId::kDecimal:
        return to_decimal();
      case TypeId::kString:
      case TypeId::kBytes:
      case TypeId::kJson:
        return to_text();
      case TypeId::kDate:
        return to_date();
      case TypeId::kTime:
        return to_time();
      case TypeId::kTimestamp:
        return to_timestamp();
      case TypeId::kDuration:
        return parsed<int64_t>([](std::string_view t, int64_t* r) { return columnar::parse_duration(t, r); });
      case TypeId::kUuid:
        return to_uuid();
      case TypeId::kEnum:
        return to_enum();
      default:
        *out = columnar::make_null_column(node.type, frame.rows);
        return;
    }
  }
};

template <bool lenient>
void cast_kernel(const Node& node, const Arg* args, Frame& frame, Column* out) {
  Cast{node, args, frame, out, lenient, Messages(node.type)}.run();
}

}  // namespace

bool cast_exists(const DataType& from, const DataType& to) {
  if (from == to || from.id() == TypeId::kNull) return true;
  const TypeId f = from.id(), t = to.id();
  switch (t) {
    case TypeId::kString:
      return true;
    case TypeId::kJson:
      return f == TypeId::kString || f == TypeId::kList || f == TypeId::kStruct || from.is_numeric() ||
             f == TypeId::kBool;
    case TypeId::kBytes:
      return f == TypeId::kString;
    case TypeId::kBool:
      return f == TypeId::kString || from.is_integer();
    case TypeId::kDate:
      return f == TypeId::kString || f == TypeId::kTimestamp;
    case TypeId::kTime:
      return f == TypeId::kString || f == TypeId::kTimestamp;
    case TypeId::kTimestamp:
      return f == TypeId::kString || f == TypeId::kDate;
    case TypeId::kDuration:
    case TypeId::kUuid:
      return f == TypeId::kString;
    case TypeId::kEnum:
      return f == TypeId::kString || f == TypeId::kEnum;
    case TypeId::kList:
    case TypeId::kStruct:
    case TypeId::kNull:
      return false;
    default:
      return f == TypeId::kString || from.is_numeric() || f == TypeId::kBool;
  }
}

bool cast_can_fail(const DataType& from, const DataType& to) {
  if (widens(from, to) || to.id() == TypeId::kFloat64) return from.is_text();
  if (to.id() == TypeId::kString) return from.id() == TypeId::kBytes || from.id() == TypeId::kEnum;
  if (to.id() == TypeId::kBytes) return false;
  if (from.id() == TypeId::kTimestamp) return false;
  return true;
}

NodePtr make_cast(const NodePtr& arg, const DataType& type, bool lenient, std::string* error, std::string* help,
                  ExprPtr source) {
  if (arg->type == type) return arg;
  if (!cast_exists(arg->type, type)) {
    *error = fmt::format("{} cannot become {}", a_type(arg->type), a_type(type));
    *help = "";
    if (type.is_numeric() && (arg->type.id() == TypeId::kTimestamp || arg->type.id() == TypeId::kDate)) {
      *help = "write epoch_seconds(x), year(x), …";
    } else if (type.is_numeric() && arg->type.id() == TypeId::kDuration) {
      *help = "write total_seconds(x)";
    } else if (type.id() == TypeId::kTimestamp && arg->type.is_numeric()) {
      *help = "write from_epoch_seconds(x) or from_epoch_millis(x)";
    } else if (type.id() == TypeId::kDuration && arg->type.is_numeric()) {
      *help = "write seconds(x), minutes(x), hours(x) or days(x)";
    } else if (type.id() == TypeId::kBool) {
      *help = "compare it: x != 0";
    }
    return nullptr;
  }
  Binding binding;
  binding.args = {arg};
  binding.type = type;
  binding.can_fail = !lenient && cast_can_fail(arg->type, type);
  binding.nullable = arg->nullable || (lenient && cast_can_fail(arg->type, type));
  binding.kernel = lenient ? cast_kernel<true> : cast_kernel<false>;
  if (!source) source = arg->source;
  NodePtr node = finish_call(binding, lenient ? "try_cast" : "cast", std::move(source));
  NodePtr folded = fold(node, error);
  if (!folded) *help = "";
  return folded;
}

}  // namespace runink::expr
