// Data types of columns: what a contract can say, with the Arrow layout that holds it.
//
//   kBool       one byte per value, 0 or 1 (Arrow packs bits; the IPC codec converts at the border. Bytes let every
//               kernel be a plain loop that compilers vectorise)
//   kInt8…      native integers                     kFloat32/64  IEEE 754
//   kDecimal    __int128 scaled by 10^scale, precision up to 38 (Arrow decimal128)
//   kString     int32 offsets + UTF-8 bytes          kBytes, kJson  the same layout; json is checked text
//   kDate       int32 days since 1970-01-01         kTime        int64 microseconds since midnight
//   kTimestamp  int64 microseconds since the epoch, UTC          kDuration  int64 microseconds
//   kUuid       16 bytes                            kEnum        int32 index into the labels of the type
//   kList       int32 offsets + one child column    kStruct      child columns (only inside lists: a struct field of a
//                                                                record flattens to columns named `billing.city`)
//   kNull       no values at all: the type of the literal null
//
// A DataType is a small value; copies share the immutable detail. Equality is structural.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace runink::columnar {

using int128 = __int128;

enum class TypeId : uint8_t {
  kNull, kBool, kInt8, kInt16, kInt32, kInt64, kUInt8, kUInt16, kUInt32, kUInt64, kFloat32, kFloat64, kDecimal,
  kString, kBytes, kJson, kDate, kTime, kTimestamp, kDuration, kUuid, kEnum, kList, kStruct,
};

struct Field;
class DataType;

struct TypeDetail;

class DataType {
 public:
  DataType() = default;                       // kNull
  DataType(TypeId id) : id_(id) {}            // NOLINT: plain types convert from their id
  static DataType decimal(int precision, int scale);
  static DataType enumeration(std::vector<std::string> labels);
  static DataType list(DataType element);
  static DataType structure(std::vector<Field> fields);

  TypeId id() const { return id_; }
  int precision() const { return precision_; }   // decimal only
  int scale() const { return scale_; }           // decimal only
  const std::vector<std::string>& labels() const;   // enum only
  const DataType& element() const;                  // list only
  const std::vector<Field>& fields() const;         // struct only

  bool is_integer() const { return id_ >= TypeId::kInt8 && id_ <= TypeId::kUInt64; }
  bool is_signed_integer() const { return id_ >= TypeId::kInt8 && id_ <= TypeId::kInt64; }
  bool is_float() const { return id_ == TypeId::kFloat32 || id_ == TypeId::kFloat64; }
  bool is_numeric() const { return is_integer() || is_float() || id_ == TypeId::kDecimal; }
  bool is_text() const { return id_ == TypeId::kString || id_ == TypeId::kBytes || id_ == TypeId::kJson; }  // offsets
  // Bytes per value of a fixed-width type; 0 for text, list, struct and null.
  int width() const;

  // As written in a contract: "int32", "decimal(12,2)", "enum(a, b)", "list<string>".
  std::string to_string() const;
  bool operator==(const DataType& other) const;

 private:
  TypeId id_ = TypeId::kNull;
  uint8_t precision_ = 0, scale_ = 0;
  std::shared_ptr<const TypeDetail> detail_;
};

// A column's name and type, and how text formats write it.
struct Field {
  std::string name;
  DataType type;
  bool nullable = true;
  std::string format;  // strftime-like form for date, time, timestamp in text; empty: ISO 8601
  std::string zone;    // IANA name that text without a zone is in; empty: UTC
  bool operator==(const Field& other) const;
};

struct TypeDetail {
  std::vector<std::string> labels;
  std::vector<DataType> element;   // one, for a list
  std::vector<Field> fields;
};

class Schema {
 public:
  Schema() = default;
  explicit Schema(std::vector<Field> fields) : fields_(std::move(fields)) {}
  const std::vector<Field>& fields() const { return fields_; }
  size_t size() const { return fields_.size(); }
  const Field& field(size_t index) const { return fields_[index]; }
  int index_of(std::string_view name) const;  // -1 when absent
  std::vector<std::string> names() const;
  std::string to_string() const;              // "date: timestamp, delay: int32?"; ? marks nullable
  bool operator==(const Schema& other) const { return fields_ == other.fields_; }

 private:
  std::vector<Field> fields_;
};
using SchemaPtr = std::shared_ptr<const Schema>;

}  // namespace runink::columnar
