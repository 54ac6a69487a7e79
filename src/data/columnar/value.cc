#include "data/columnar/value.h"

#include <cmath>

#include "base/check.h"
#include "data/columnar/builder.h"
#include "data/columnar/text.h"

namespace runink::columnar {

namespace {

template <typename T>
int order(const T& a, const T& b) {
  return a < b ? -1 : b < a ? 1 : 0;
}

}  // namespace

Value value_at(const Column& column, int64_t row) {
  if (column.is_null(row)) return Value();
  switch (column.type.id()) {
    case TypeId::kNull: return Value();
    case TypeId::kBool: return Value(column.data<uint8_t>()[row] != 0);
    case TypeId::kInt8: return Value(column.data<int8_t>()[row]);
    case TypeId::kInt16: return Value(column.data<int16_t>()[row]);
    case TypeId::kInt32:
    case TypeId::kDate:
    case TypeId::kEnum: return Value(column.data<int32_t>()[row]);
    case TypeId::kInt64:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kDuration: return Value(column.data<int64_t>()[row]);
    case TypeId::kUInt8: return Value(column.data<uint8_t>()[row]);
    case TypeId::kUInt16: return Value(column.data<uint16_t>()[row]);
    case TypeId::kUInt32: return Value(column.data<uint32_t>()[row]);
    case TypeId::kUInt64: return Value(column.data<uint64_t>()[row]);
    case TypeId::kFloat32: return Value(column.data<float>()[row]);
    case TypeId::kFloat64: return Value(column.data<double>()[row]);
    case TypeId::kDecimal: return Value(column.data<int128>()[row]);
    case TypeId::kString:
    case TypeId::kBytes:
    case TypeId::kJson: return Value(column.text(row));
    case TypeId::kUuid: return Value(std::string(column.data<char>() + 16 * row, 16));
    case TypeId::kList: {
      std::vector<Value> elements;
      for (int32_t i = column.offset_data()[row]; i < column.offset_data()[row + 1]; ++i) {
        elements.push_back(value_at(column.children[0], i));
      }
      return Value(std::move(elements));
    }
    case TypeId::kStruct: {
      std::vector<Value> members;
      for (const auto& child : column.children) members.push_back(value_at(child, row));
      return Value(std::move(members));
    }
  }
  return Value();
}

int compare_values(const Value& a, const Value& b) {
  if (a.is_null() || b.is_null()) return a.is_null() - b.is_null();
  RUNINK_CHECK(a.data.index() == b.data.index());
  switch (a.data.index()) {
    case 1: return order(a.as_bool(), b.as_bool());
    case 2: return order(a.as_int64(), b.as_int64());
    case 3: return order(a.as_uint64(), b.as_uint64());
    case 4: {
      const bool nan_a = std::isnan(a.as_double()), nan_b = std::isnan(b.as_double());
      return nan_a || nan_b ? nan_a - nan_b : order(a.as_double(), b.as_double());
    }
    case 5: return order(a.as_decimal(), b.as_decimal());
    case 6: return order(a.as_string(), b.as_string());
    default: break;
  }
  const auto &va = a.as_vector(), &vb = b.as_vector();
  for (size_t i = 0; i < va.size() && i < vb.size(); ++i) {
    const int sign = compare_values(va[i], vb[i]);
    if (sign != 0) return sign;
  }
  return order(va.size(), vb.size());
}

void append_value_json(const DataType& type, const Value& value, std::string& out) {
  FieldText(type).append_json(make_column(type, {value}), 0, out);
}

std::string value_to_json(const DataType& type, const Value& value) {
  std::string out;
  append_value_json(type, value, out);
  return out;
}

std::string value_to_display(const DataType& type, const Value& value) {
  if (value.is_null()) return "null";
  std::string out;
  FieldText(type).append_plain(make_column(type, {value}), 0, out);
  return out;
}

}  // namespace runink::columnar
