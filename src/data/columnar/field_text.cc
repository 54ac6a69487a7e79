// The text of a field's values: its type, format and zone together.
#include <cmath>
#include <limits>

#include "base/check.h"
#include "base/text.h"
#include "data/columnar/text.h"

namespace runink::columnar {

namespace {

// Whether the text of this type stands in JSON without quotes.
bool is_bare_in_json(TypeId id) {
  return id == TypeId::kBool || (id >= TypeId::kInt8 && id <= TypeId::kDecimal) || id == TypeId::kJson;
}

// An integer narrower than 64 bits, or int64 itself.
template <typename T>
TextError append_integer(std::string_view text, ColumnBuilder& out) {
  int64_t wide = 0;
  const TextError error = parse_int64(text, &wide);
  if (error != TextError::kOk) return error;
  if (wide < static_cast<int64_t>(std::numeric_limits<T>::min()) ||
      wide > static_cast<int64_t>(std::numeric_limits<T>::max())) {
    return TextError::kOutOfRange;
  }
  out.append_fixed(static_cast<T>(wide));
  return TextError::kOk;
}

int64_t signed_at(const Column& column, int64_t row) {
  switch (column.type.width()) {
    case 1: return column.data<int8_t>()[row];
    case 2: return column.data<int16_t>()[row];
    case 4: return column.data<int32_t>()[row];
    default: return column.data<int64_t>()[row];
  }
}

uint64_t unsigned_at(const Column& column, int64_t row) {
  switch (column.type.width()) {
    case 1: return column.data<uint8_t>()[row];
    case 2: return column.data<uint16_t>()[row];
    case 4: return column.data<uint32_t>()[row];
    default: return column.data<uint64_t>()[row];
  }
}

}  // namespace

FieldText::FieldText(DataType type) : type_(std::move(type)) {
  if (type_.id() == TypeId::kList) children_.emplace_back(type_.element());
  if (type_.id() == TypeId::kStruct) {
    for (const auto& field : type_.fields()) children_.emplace_back(field.type);
  }
}

Result<FieldText> FieldText::make(const Field& field) {
  FieldText out(field.type);
  if (field.type.id() == TypeId::kList) {
    Field element = field;
    element.type = field.type.element();
    out.children_[0] = RUNINK_TRY(make(element));
    return out;
  }
  if (field.type.id() == TypeId::kStruct) {
    for (size_t i = 0; i < out.children_.size(); ++i) out.children_[i] = RUNINK_TRY(make(field.type.fields()[i]));
  }
  const TypeId id = field.type.id();
  const bool temporal = id == TypeId::kDate || id == TypeId::kTime || id == TypeId::kTimestamp;
  if (!field.format.empty() && !temporal) {
    return invalid_argument("the field {} has a format, but {} values have none", field.name, field.type.to_string());
  }
  if (!field.zone.empty()) {
    if (id != TypeId::kTimestamp) {
      return invalid_argument("the field {} has a zone, but {} values have none", field.name, field.type.to_string());
    }
    out.zone_ = RUNINK_TRY_CONTEXT(TimeZone::find(field.zone), fmt::format("field {}", field.name));
    if (out.zone_->is_utc()) out.zone_ = nullptr;
  }
  if (!field.format.empty()) {
    out.format_ = std::make_shared<TimeFormat>(
        RUNINK_TRY_CONTEXT(TimeFormat::make(field.format, id, out.zone_), fmt::format("field {}", field.name)));
  }
  return out;
}

TextError FieldText::append_parsed(std::string_view text, ColumnBuilder& out) const {
  switch (type_.id()) {
    case TypeId::kNull: return TextError::kMalformed;
    case TypeId::kString: out.append_text(text); return TextError::kOk;
    case TypeId::kInt8: return append_integer<int8_t>(text, out);
    case TypeId::kInt16: return append_integer<int16_t>(text, out);
    case TypeId::kInt32: return append_integer<int32_t>(text, out);
    case TypeId::kInt64: return append_integer<int64_t>(text, out);
    case TypeId::kUInt8: return append_integer<uint8_t>(text, out);
    case TypeId::kUInt16: return append_integer<uint16_t>(text, out);
    case TypeId::kUInt32: return append_integer<uint32_t>(text, out);
    case TypeId::kFloat32: {
      float value = 0;
      const TextError error = parse_float(text, &value);
      if (error == TextError::kOk) out.append_fixed(value);
      return error;
    }
    case TypeId::kFloat64: {
      double value = 0;
      const TextError error = parse_double(text, &value);
      if (error == TextError::kOk) out.append_fixed(value);
      return error;
    }
    case TypeId::kJson:
      if (!is_valid_json(text)) return TextError::kMalformed;
      out.append_text(text);
      return TextError::kOk;
    case TypeId::kList:
    case TypeId::kStruct: return append_json_parsed(text, out);
    default: break;
  }
  Value value;
  const TextError error = parse_scalar(text, &value);
  if (error == TextError::kOk) out.append_value(value);
  return error;
}

TextError FieldText::append_json_parsed(std::string_view json, ColumnBuilder& out) const {
  Value value;
  const TextError error = parse_json(json, &value);
  if (error == TextError::kOk) out.append_value(value);
  return error;
}

TextError FieldText::parse_scalar(std::string_view text, Value* out) const {
  TextError error = TextError::kOk;
  int64_t number = 0;
  const auto done = [&](auto value) {
    if (error == TextError::kOk) *out = Value(std::move(value));
    return error;
  };
  switch (type_.id()) {
    case TypeId::kNull: return TextError::kMalformed;
    case TypeId::kBool: {
      bool value = false;
      error = parse_bool(text, &value);
      return done(value);
    }
    case TypeId::kInt8: case TypeId::kInt16: case TypeId::kInt32: case TypeId::kInt64: {
      error = parse_int64(text, &number);
      const int bits = type_.width() * 8;
      if (error == TextError::kOk && number != (number << (64 - bits)) >> (64 - bits)) error = TextError::kOutOfRange;
      return done(number);
    }
    case TypeId::kUInt8: case TypeId::kUInt16: case TypeId::kUInt32: case TypeId::kUInt64: {
      uint64_t value = 0;
      error = parse_uint64(text, &value);
      // A negative number has the right form for a number.
      if (error == TextError::kMalformed && text.starts_with('-') && parse_int64(text, &number) == TextError::kOk) {
        error = number == 0 ? TextError::kOk : TextError::kOutOfRange;
      }
      if (error == TextError::kOk && type_.width() < 8 && value >> (type_.width() * 8) != 0) {
        error = TextError::kOutOfRange;
      }
      return done(value);
    }
    case TypeId::kFloat32: {
      float value = 0;
      error = parse_float(text, &value);
      return done(static_cast<double>(value));
    }
    case TypeId::kFloat64: {
      double value = 0;
      error = parse_double(text, &value);
      return done(value);
    }
    case TypeId::kDecimal: {
      int128 value = 0;
      error = parse_decimal(text, type_.precision(), type_.scale(), &value);
      return done(value);
    }
    case TypeId::kString: return done(text);
    case TypeId::kBytes: {
      std::string bytes;
      error = parse_base64(text, &bytes);
      return done(std::move(bytes));
    }
    case TypeId::kJson:
      if (!is_valid_json(text)) error = TextError::kMalformed;
      return done(text);
    case TypeId::kDate: {
      int32_t days = 0;
      if (format_) error = format_->parse(text, &number);
      else error = parse_date(text, &days), number = days;
      return done(number);
    }
    case TypeId::kTime:
      error = format_ ? format_->parse(text, &number) : parse_time(text, &number);
      return done(number);
    case TypeId::kTimestamp:
      error = format_ ? format_->parse(text, &number) : parse_timestamp(text, &number, zone_.get());
      return done(number);
    case TypeId::kDuration:
      error = parse_duration(text, &number);
      return done(number);
    case TypeId::kUuid: {
      std::string bytes(16, '\0');
      error = parse_uuid(text, reinterpret_cast<uint8_t*>(bytes.data()));
      return done(std::move(bytes));
    }
    case TypeId::kEnum: {
      const auto& labels = type_.labels();
      for (size_t i = 0; i < labels.size(); ++i) {
        if (labels[i] == text) return done(static_cast<int64_t>(i));
      }
      return TextError::kOutOfRange;
    }
    case TypeId::kList:
    case TypeId::kStruct: return parse_json(text, out);
  }
  return TextError::kMalformed;
}

Result<Value> FieldText::parse(std::string_view text) const {
  Value value;
  const TextError error = parse_scalar(text, &value);
  if (error == TextError::kOk) return value;
  std::string message = describe(error, text, type_);
  if (format_ && error == TextError::kMalformed) message += fmt::format(" in the form {}", json_quote(format_->format()));
  if (error == TextError::kOutOfRange) return Status(Code::kOutOfRange, std::move(message));
  return Status(Code::kInvalidArgument, std::move(message));
}

void FieldText::append_scalar(const Column& column, int64_t row, std::string& out) const {
  switch (type_.id()) {
    case TypeId::kNull: break;
    case TypeId::kBool: out += column.data<uint8_t>()[row] ? "true" : "false"; break;
    case TypeId::kInt8: case TypeId::kInt16: case TypeId::kInt32: case TypeId::kInt64:
      append_int64(out, signed_at(column, row));
      break;
    case TypeId::kUInt8: case TypeId::kUInt16: case TypeId::kUInt32: case TypeId::kUInt64:
      append_uint64(out, unsigned_at(column, row));
      break;
    case TypeId::kFloat32: append_float(out, column.data<float>()[row]); break;
    case TypeId::kFloat64: append_double(out, column.data<double>()[row]); break;
    case TypeId::kDecimal: append_decimal(out, column.data<int128>()[row], type_.scale()); break;
    case TypeId::kString:
    case TypeId::kJson: out += column.text(row); break;
    case TypeId::kBytes: append_base64(out, column.text(row)); break;
    case TypeId::kDate:
      if (format_) format_->append(out, column.data<int32_t>()[row]);
      else append_date(out, column.data<int32_t>()[row]);
      break;
    case TypeId::kTime:
      if (format_) format_->append(out, column.data<int64_t>()[row]);
      else append_time(out, column.data<int64_t>()[row]);
      break;
    case TypeId::kTimestamp:
      if (format_) format_->append(out, column.data<int64_t>()[row]);
      else append_timestamp(out, column.data<int64_t>()[row]);
      break;
    case TypeId::kDuration: append_duration(out, column.data<int64_t>()[row]); break;
    case TypeId::kUuid: append_uuid(out, column.data<uint8_t>() + 16 * row); break;
    case TypeId::kEnum: out += type_.labels()[static_cast<size_t>(column.data<int32_t>()[row])]; break;
    case TypeId::kList:
    case TypeId::kStruct: append_json(column, row, out); break;
  }
}

void FieldText::append_plain(const Column& column, int64_t row, std::string& out) const {
  if (column.is_valid(row)) append_scalar(column, row, out);
}

void FieldText::append_json(const Column& column, int64_t row, std::string& out) const {
  if (column.is_null(row)) {
    out += "null";
    return;
  }
  const TypeId id = type_.id();
  if (id == TypeId::kList) {
    const int32_t* o = column.offset_data();
    out += '[';
    for (int32_t i = o[row]; i < o[row + 1]; ++i) {
      if (i > o[row]) out += ',';
      children_[0].append_json(column.children[0], i, out);
    }
    out += ']';
  } else if (id == TypeId::kStruct) {
    out += '{';
    for (size_t i = 0; i < children_.size(); ++i) {
      if (i > 0) out += ',';
      append_json_quoted(out, type_.fields()[i].name);
      out += ':';
      children_[i].append_json(column.children[i], row, out);
    }
    out += '}';
  } else if ((id == TypeId::kFloat64 && !std::isfinite(column.data<double>()[row])) ||
             (id == TypeId::kFloat32 && !std::isfinite(column.data<float>()[row]))) {
    out += "null";
  } else if (is_bare_in_json(id)) {
    append_scalar(column, row, out);
  } else if (id == TypeId::kString) {
    append_json_quoted(out, column.text(row));
  } else {
    std::string text;
    append_scalar(column, row, text);
    append_json_quoted(out, text);
  }
}

void append_value_text(const Column& column, int64_t row, const Field& field, std::string& out) {
  if (column.is_null(row)) {
    out += "null";
    return;
  }
  auto text = FieldText::make(field);
  // A format that does not compile was refused long before; if it comes here all the same, ISO forms are shown.
  if (text.ok()) text->append_plain(column, row, out);
  else FieldText(column.type).append_plain(column, row, out);
}

}  // namespace runink::columnar
