#include "data/columnar/type.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/text.h"

namespace runink::columnar {

DataType DataType::decimal(int precision, int scale) {
  RUNINK_CHECK(precision >= 1 && precision <= 38 && scale >= 0 && scale <= precision);
  DataType t(TypeId::kDecimal);
  t.precision_ = static_cast<uint8_t>(precision);
  t.scale_ = static_cast<uint8_t>(scale);
  return t;
}
DataType DataType::enumeration(std::vector<std::string> labels) {
  DataType t(TypeId::kEnum);
  t.detail_ = std::make_shared<TypeDetail>(TypeDetail{std::move(labels), {}, {}});
  return t;
}
DataType DataType::list(DataType element) {
  DataType t(TypeId::kList);
  t.detail_ = std::make_shared<TypeDetail>(TypeDetail{{}, {std::move(element)}, {}});
  return t;
}
DataType DataType::structure(std::vector<Field> fields) {
  DataType t(TypeId::kStruct);
  t.detail_ = std::make_shared<TypeDetail>(TypeDetail{{}, {}, std::move(fields)});
  return t;
}

const std::vector<std::string>& DataType::labels() const {
  RUNINK_CHECK(id_ == TypeId::kEnum);
  return detail_->labels;
}
const DataType& DataType::element() const {
  RUNINK_CHECK(id_ == TypeId::kList);
  return detail_->element[0];
}
const std::vector<Field>& DataType::fields() const {
  RUNINK_CHECK(id_ == TypeId::kStruct);
  return detail_->fields;
}

int DataType::width() const {
  switch (id_) {
    case TypeId::kBool: case TypeId::kInt8: case TypeId::kUInt8: return 1;
    case TypeId::kInt16: case TypeId::kUInt16: return 2;
    case TypeId::kInt32: case TypeId::kUInt32: case TypeId::kFloat32: case TypeId::kDate: case TypeId::kEnum: return 4;
    case TypeId::kInt64: case TypeId::kUInt64: case TypeId::kFloat64: case TypeId::kTime: case TypeId::kTimestamp:
    case TypeId::kDuration: return 8;
    case TypeId::kDecimal: case TypeId::kUuid: return 16;
    default: return 0;
  }
}

std::string DataType::to_string() const {
  static constexpr const char* kNames[] = {"null",   "bool",   "int8",    "int16",   "int32",   "int64",  "uint8",    "uint16",
                                           "uint32", "uint64", "float32", "float64", "decimal", "string", "bytes",    "json",
                                           "date",   "time",   "timestamp", "duration", "uuid",  "enum",  "list",     "struct"};
  switch (id_) {
    case TypeId::kDecimal: return fmt::format("decimal({},{})", precision_, scale_);
    case TypeId::kList: return fmt::format("list<{}>", element().to_string());
    case TypeId::kEnum: {
      std::string out = "enum(";
      for (const auto& label : labels()) {
        if (out.size() > 5) out += ", ";
        bool word = !label.empty() && !(label[0] >= '0' && label[0] <= '9');
        for (char c : label) word = word && (std::isalnum(static_cast<unsigned char>(c)) || c == '_');
        out += word ? label : json_quote(label);
      }
      return out + ")";
    }
    case TypeId::kStruct: {
      std::string out = "struct{";
      for (const auto& f : fields()) out += (out.size() > 7 ? ", " : "") + f.name + ": " + f.type.to_string();
      return out + "}";
    }
    default: return kNames[static_cast<int>(id_)];
  }
}

bool DataType::operator==(const DataType& other) const {
  if (id_ != other.id_) return false;
  switch (id_) {
    case TypeId::kDecimal: return precision_ == other.precision_ && scale_ == other.scale_;
    case TypeId::kEnum: return detail_ == other.detail_ || labels() == other.labels();
    case TypeId::kList: return element() == other.element();
    case TypeId::kStruct: return fields() == other.fields();
    default: return true;
  }
}

bool Field::operator==(const Field& other) const {
  return name == other.name && type == other.type && nullable == other.nullable && format == other.format &&
         zone == other.zone;
}

int Schema::index_of(std::string_view name) const {
  for (size_t i = 0; i < fields_.size(); ++i) {
    if (fields_[i].name == name) return static_cast<int>(i);
  }
  return -1;
}
std::vector<std::string> Schema::names() const {
  std::vector<std::string> out;
  for (const auto& f : fields_) out.push_back(f.name);
  return out;
}
std::string Schema::to_string() const {
  std::string out;
  for (const auto& f : fields_) {
    if (!out.empty()) out += ", ";
    out += f.name + ": " + f.type.to_string() + (f.nullable ? "?" : "");
  }
  return out;
}

}  // namespace runink::columnar
