#include "data/connectors/field_codec.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/text.h"

namespace runink::connectors {

using columnar::TextError;
using columnar::TypeId;

namespace {

// The layout of a format of digits at fixed places and literal characters; nothing for any other.
bool make_layout(std::string_view format, bool has_date, bool quoted, hot::TimeLayout* out) {
  hot::TimeLayout l;
  std::memset(l.shuffle, 0x80, sizeof l.shuffle);
  std::memset(l.literal, 0, sizeof l.literal);
  std::memset(l.literal_mask, 0, sizeof l.literal_mask);
  size_t at = 0;
  bool seen[16] = {};
  const auto literal = [&](char c) {
    if (at >= 32) return false;
    l.literal[at / 16][at % 16] = static_cast<uint8_t>(c);
    l.literal_mask[at / 16][at % 16] = 0xFF;
    ++at;
    return true;
  };
  const auto digits = [&](int target, int count) {
    if (at + static_cast<size_t>(count) > 32 || seen[target]) return false;
    seen[target] = true;
    for (int i = 0; i < count; ++i, ++at) l.shuffle[at / 16][target + i] = static_cast<uint8_t>(at % 16);
    return true;
  };
  std::string plain;  // with %F and %T written out
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] == '%' && i + 1 < format.size() && (format[i + 1] == 'F' || format[i + 1] == 'T')) {
      plain += format[++i] == 'F' ? "%Y-%m-%d" : "%H:%M:%S";
    } else {
      plain += format[i];
      if (format[i] == '%' && i + 1 < format.size()) plain += format[++i];
    }
  }
  if (quoted && !literal('"')) return false;
  for (size_t i = 0; i < plain.size(); ++i) {
    const char c = plain[i];
    bool ok;
    if (c != '%') {
      // A character that JSON writes with an escape, or CSV in quotes, has no fixed place.
      ok = c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20 && literal(c);
    } else {
      if (++i == plain.size()) return false;
      switch (plain[i]) {
        case 'Y':
          ok = digits(0, 4);
          break;
        case 'm':
          ok = digits(4, 2);
          break;
        case 'd':
          ok = digits(6, 2);
          break;
        case 'H':
          ok = digits(8, 2);
          break;
        case 'M':
          ok = digits(10, 2);
          break;
        case 'S':
          ok = digits(12, 2);
          break;
        default:
          ok = false;
      }
    }
    if (!ok) return false;
  }
  if (quoted && !literal('"')) return false;
  if (has_date ? !(seen[0] && seen[4] && seen[6]) : !seen[8]) return false;
  l.width = static_cast<uint8_t>(at);
  l.has_date = has_date;
  *out = l;
  return true;
}

void integer_range(TypeId id, int64_t* low, int64_t* high) {
  switch (id) {
    case TypeId::kInt8:
      *low = INT8_MIN;
      *high = INT8_MAX;
      break;
    case TypeId::kInt16:
      *low = INT16_MIN;
      *high = INT16_MAX;
      break;
    case TypeId::kInt32:
      *low = INT32_MIN;
      *high = INT32_MAX;
      break;
    case TypeId::kUInt8:
      *low = 0;
      *high = UINT8_MAX;
      break;
    case TypeId::kUInt16:
      *low = 0;
      *high = UINT16_MAX;
      break;
    case TypeId::kUInt32:
      *low = 0;
      *high = UINT32_MAX;
      break;
    default:
      *low = INT64_MIN;
      *high = INT64_MAX;
      break;
  }
}

hot::Op op_of(TypeId id) {
  switch (id) {
    case TypeId::kInt8:
      return hot::Op::kInt8;
    case TypeId::kInt16:
      return hot::Op::kInt16;
    case TypeId::kInt32:
      return hot::Op::kInt32;
    case TypeId::kInt64:
      return hot::Op::kInt64;
    case TypeId::kUInt8:
      return hot::Op::kUInt8;
    case TypeId::kUInt16:
      return hot::Op::kUInt16;
    case TypeId::kUInt32:
      return hot::Op::kUInt32;
    case TypeId::kUInt64:
      return hot::Op::kUInt64;
    case TypeId::kFloat64:
      return hot::Op::kFloat64;
    case TypeId::kBool:
      return hot::Op::kBool;
    case TypeId::kString:
      return hot::Op::kString;
    default:
      return hot::Op::kGeneral;
  }
}

Undecodable reason_of(TextError error) {
  return error == TextError::kMalformed ? Undecodable::kBadText : Undecodable::kOutOfRange;
}

TextError parse_plain(const FieldCodec& c, std::string_view text, Scalar* out) {
  using namespace columnar;
  switch (c.id) {
    case TypeId::kBool:
      return parse_bool(text, &out->boolean);
    case TypeId::kInt8:
    case TypeId::kInt16:
    case TypeId::kInt32:
    case TypeId::kInt64:
    case TypeId::kUInt8:
    case TypeId::kUInt16:
    case TypeId::kUInt32: {
      const TextError error = parse_int64(text, &out->integer);
      if (error != TextError::kOk) return error;
      return out->integer < c.low || out->integer > c.high ? TextError::kOutOfRange : TextError::kOk;
    }
    case TypeId::kUInt64: {
      if (!text.empty() && text[0] == '-') {
        int64_t value;
        const TextError error = parse_int64(text, &value);
        if (error != TextError::kOk) return error;
        out->unsigned_integer = 0;
        return value == 0 ? TextError::kOk : TextError::kOutOfRange;
      }
      return parse_uint64(text, &out->unsigned_integer);
    }
    case TypeId::kFloat32:
      return parse_float(text, &out->real32);
    case TypeId::kFloat64:
      return parse_double(text, &out->real);
    case TypeId::kDecimal:
      return parse_decimal(text, c.field.type.precision(), c.field.type.scale(), &out->decimal);
    case TypeId::kDate:
    case TypeId::kTime:
    case TypeId::kTimestamp: {
      if (c.text->format() != nullptr) return c.text->format()->parse(text, &out->integer);
      if (c.id == TypeId::kTime) return parse_time(text, &out->integer);
      if (c.id == TypeId::kTimestamp) return parse_timestamp(text, &out->integer, c.text->zone());
      int32_t days = 0;
      const TextError error = parse_date(text, &days);
      out->integer = days;
      return error;
    }
    case TypeId::kDuration:
      return parse_duration(text, &out->integer);
    case TypeId::kUuid:
      return parse_uuid(text, out->uuid);
    case TypeId::kBytes:
      return parse_base64(text, &out->bytes);
    case TypeId::kEnum: {
      out->integer = c.label_index(text);
      return out->integer < 0 ? TextError::kMalformed : TextError::kOk;
    }
    default:
      return TextError::kMalformed;
  }
}

// Text of a number as an exact integer, if it is one: "12.0", "1e3", " +7 ".
bool integral_text(std::string_view text, columnar::int128* out) {
  return columnar::parse_decimal(text, 38, 0, out) == TextError::kOk;
}

TextError parse_coerced(const FieldCodec& c, std::string_view text, Scalar* out) {
  text = trim(text);
  if (text.size() > 1 && text[0] == '+' && c.field.type.is_numeric()) text.remove_prefix(1);
  const TextError plain = parse_plain(c, text, out);
  if (plain == TextError::kOk) return plain;
  switch (c.id) {
    case TypeId::kBool: {
      const std::string lower = to_lower_ascii(text);
      if (lower == "1" || lower == "yes" || lower == "y" || lower == "t" || lower == "on") {
        out->boolean = true;
      } else if (lower == "0" || lower == "no" || lower == "n" || lower == "f" || lower == "off") {
        out->boolean = false;
      } else {
        return plain;
      }
      return TextError::kOk;
    }
    case TypeId::kInt8:
    case TypeId::kInt16:
    case TypeId::kInt32:
    case TypeId::kInt64:
    case TypeId::kUInt8:
    case TypeId::kUInt16:
    case TypeId::kUInt32:
    case TypeId::kUInt64: {
      columnar::int128 value;
      if (!integral_text(text, &value)) return plain;
      if (c.id == TypeId::kUInt64) {
        if (value < 0 || value > static_cast<columnar::int128>(UINT64_MAX)) return TextError::kOutOfRange;
        out->unsigned_integer = static_cast<uint64_t>(value);
      } else {
        if (value < c.low || value > c.high) return TextError::kOutOfRange;
        out->integer = static_cast<int64_t>(value);
      }
      return TextError::kOk;
    }
    case TypeId::kTimestamp: {
      // Seconds since the epoch, with up to six decimals.
      columnar::int128 micros;
      if (columnar::parse_decimal(text, 18, 6, &micros) != TextError::kOk) return plain;
      out->integer = static_cast<int64_t>(micros);
      return TextError::kOk;
    }
    case TypeId::kEnum: {
      for (size_t i = 0; i < c.field.type.labels().size(); ++i) {
        if (equals_ignore_case(c.field.type.labels()[i], text)) {
          out->integer = static_cast<int64_t>(i);
          return TextError::kOk;
        }
      }
      return plain;
    }
    default:
      return plain;
  }
}

}  // namespace

Result<FieldCodec> FieldCodec::make(const columnar::Field& field, const FieldOptions& options) {
  FieldCodec c;
  c.field = field;
  c.options = options;
  c.id = field.type.id();
  c.text = std::make_shared<const columnar::FieldText>(
      RUNINK_TRY_CONTEXT(columnar::FieldText::make(field), "prepare the reader of field " + field.name));
  integer_range(c.id, &c.low, &c.high);
  if (c.id == TypeId::kUInt64) c.low = 0;
  c.op = op_of(c.id);
  const bool timed = c.id == TypeId::kDate || c.id == TypeId::kTime || c.id == TypeId::kTimestamp;
  // A zone other than UTC needs the zone's table.
  const bool utc = field.zone.empty() || (c.text->zone() != nullptr && c.text->zone()->is_utc());
  if (timed && (utc || c.id != TypeId::kTimestamp)) {
    std::string_view format = field.format;
    if (format.empty()) {
      format = c.id == TypeId::kDate ? "%F" : c.id == TypeId::kTime ? "%T" : "%FT%TZ";
    }
    const bool has_date = c.id != TypeId::kTime;
    if (make_layout(format, has_date, true, &c.json_layout) && make_layout(format, has_date, false, &c.csv_layout)) {
      c.op = c.id == TypeId::kDate ? hot::Op::kDate : c.id == TypeId::kTime ? hot::Op::kTime : hot::Op::kTimestamp;
    }
  }
  if (c.op == hot::Op::kString && !options.needed) c.op = hot::Op::kStringCheck;
  if (c.id == TypeId::kEnum) {
    const auto& labels = field.type.labels();
    for (size_t i = 0; i < labels.size(); ++i) c.labels_.emplace_back(labels[i], static_cast<int32_t>(i));
    std::sort(c.labels_.begin(), c.labels_.end());
  }
  return c;
}

int32_t FieldCodec::label_index(std::string_view text) const {
  if (labels_.size() <= 8) {
    for (const auto& [label, index] : labels_) {
      if (label == text) return index;
    }
    return -1;
  }
  const auto at = std::lower_bound(labels_.begin(), labels_.end(), text,
                                   [](const auto& entry, std::string_view wanted) { return entry.first < wanted; });
  return at != labels_.end() && at->first == text ? at->second : -1;
}

namespace {
constexpr int64_t kFirstMicros = -62135596800000000, kLastMicros = 253402300799999999;  // 0001-01-01 to 9999-12-31
}  // namespace

std::optional<Undecodable> scalar_from_text(const FieldCodec& codec, std::string_view text, Scalar* out,
                                            bool* coerced) {
  // An offset from UTC, or seconds since the epoch, may lead beyond the years that can be written.
  const auto in_calendar = [&] {
    return codec.id != TypeId::kTimestamp || (out->integer >= kFirstMicros && out->integer <= kLastMicros);
  };
  TextError error = parse_plain(codec, text, out);
  if (error == TextError::kOk) return in_calendar() ? std::nullopt : std::optional(Undecodable::kOutOfRange);
  if (codec.options.coerce) {
    const TextError second = parse_coerced(codec, text, out);
    if (second == TextError::kOk && !in_calendar()) return Undecodable::kOutOfRange;
    if (second == TextError::kOk) {
      *coerced = true;
      return std::nullopt;
    }
    if (error == TextError::kMalformed) error = second;
  }
  return reason_of(error);
}

}  // namespace runink::connectors
