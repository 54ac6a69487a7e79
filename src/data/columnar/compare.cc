// Comparing rows of columns.
#include <cmath>

#include "data/columnar/kernels.h"

namespace runink::columnar {

namespace {

template <typename T>
int order(T a, T b) {
  return a < b ? -1 : a > b ? 1 : 0;
}

// NaN after all numbers and equal to itself; -0 equals 0.
template <typename T>
int order_floats(T a, T b) {
  const bool nan_a = std::isnan(a), nan_b = std::isnan(b);
  if (nan_a || nan_b) return nan_a - nan_b;
  return order(a, b);
}

int order_bytes(std::string_view a, std::string_view b) {
  const int sign = a.compare(b);
  return order(sign, 0);
}

int compare_valid(const Column& a, int64_t i, const Column& b, int64_t j) {
  const auto ordered = [&]<typename T>(T) { return order(a.data<T>()[i], b.data<T>()[j]); };
  switch (a.type.id()) {
    case TypeId::kNull: return 0;
    case TypeId::kBool:
    case TypeId::kUInt8: return ordered(uint8_t{});
    case TypeId::kInt8: return ordered(int8_t{});
    case TypeId::kInt16: return ordered(int16_t{});
    case TypeId::kInt32:
    case TypeId::kDate:
    case TypeId::kEnum: return ordered(int32_t{});
    case TypeId::kInt64:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kDuration: return ordered(int64_t{});
    case TypeId::kUInt16: return ordered(uint16_t{});
    case TypeId::kUInt32: return ordered(uint32_t{});
    case TypeId::kUInt64: return ordered(uint64_t{});
    case TypeId::kFloat32: return order_floats(a.data<float>()[i], b.data<float>()[j]);
    case TypeId::kFloat64: return order_floats(a.data<double>()[i], b.data<double>()[j]);
    case TypeId::kDecimal: return ordered(int128{});
    case TypeId::kUuid: return order(std::memcmp(a.values->data() + 16 * i, b.values->data() + 16 * j, 16), 0);
    case TypeId::kString:
    case TypeId::kBytes:
    case TypeId::kJson: return order_bytes(a.text(i), b.text(j));
    case TypeId::kList: {
      const int32_t *oa = a.offset_data(), *ob = b.offset_data();
      const int32_t size_a = oa[i + 1] - oa[i], size_b = ob[j + 1] - ob[j];
      for (int32_t k = 0; k < size_a && k < size_b; ++k) {
        const int sign = compare_rows(a.children[0], oa[i] + k, b.children[0], ob[j] + k);
        if (sign != 0) return sign;
      }
      return order(size_a, size_b);
    }
    case TypeId::kStruct:
      for (size_t k = 0; k < a.children.size(); ++k) {
        const int sign = compare_rows(a.children[k], i, b.children[k], j);
        if (sign != 0) return sign;
      }
      return 0;
  }
  return 0;
}

}  // namespace

int compare_rows(const Column& a, int64_t row_a, const Column& b, int64_t row_b) {
  const bool null_a = a.is_null(row_a), null_b = b.is_null(row_b);
  if (null_a || null_b) return null_a - null_b;
  return compare_valid(a, row_a, b, row_b);
}

bool equal_rows(const Column& a, int64_t row_a, const Column& b, int64_t row_b) {
  return compare_rows(a, row_a, b, row_b) == 0;
}

}  // namespace runink::columnar
