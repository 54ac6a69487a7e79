#include "worker/slice/column_checks.h"

#include <algorithm>

#include "base/text.h"
#include "data/columnar/text.h"

namespace runink::slice {

using columnar::Column;
using columnar::TypeId;

namespace {

constexpr int64_t kDayMicros = 86'400'000'000;

Status wrong(const std::string& name, const char* how) {
  return data_loss("column {} from another stage {}", name, how);
}

// All of it at once, and then that no text begins inside a character: much faster than text by text.
Status check_utf8(const Column& column, const std::string& name) {
  const int32_t* offsets = column.offset_data();
  const auto bytes = static_cast<size_t>(offsets[column.length]);
  const std::string_view all(reinterpret_cast<const char*>(column.values->data()), bytes);
  if (!is_valid_utf8(all)) return wrong(name, "is not UTF-8");
  for (int64_t row = 0; row < column.length; ++row) {
    const auto at = static_cast<size_t>(offsets[row]);
    if (at < bytes && (static_cast<unsigned char>(all[at]) & 0xC0) == 0x80) return wrong(name, "is not UTF-8");
  }
  return {};
}

Status check_json(const Column& column, const std::string& name) {
  for (int64_t row = 0; row < column.length; ++row) {
    if (column.is_valid(row) && !columnar::is_valid_json(column.text(row)))
      return wrong(name, "holds what is not JSON");
  }
  return {};
}

template <typename T, typename Good>
Status check_each(Column* column, const std::string& name, const char* how, Good good) {
  T* values = column->mutable_data<T>();
  bool all_good = true;
  if (column->validity == nullptr) {
    for (int64_t row = 0; row < column->length; ++row) all_good &= good(values[row]);
  } else {
    for (int64_t row = 0; row < column->length; ++row) {
      if (column->is_null(row)) values[row] = T{};
      all_good &= good(values[row]);
    }
  }
  return all_good ? Status() : wrong(name, how);
}

}  // namespace

Status check_offsets(const int32_t* offsets, size_t count, uint64_t limit, const std::string& name) {
  bool ascends = true;
  for (size_t i = 1; i < count; ++i) ascends &= offsets[i] >= offsets[i - 1];
  if (count == 0 || offsets[0] != 0 || !ascends || static_cast<uint64_t>(offsets[count - 1]) > limit)
    return wrong(name, "has offsets that cannot be");
  return {};
}

Status check_values(Column* column, bool nullable, const std::string& name) {
  if (!nullable && column->null_count() > 0) return wrong(name, "has nulls, and must have none");
  const auto& type = column->type;
  switch (type.id()) {
    case TypeId::kString:
      return check_utf8(*column, name);
    case TypeId::kJson:
      RUNINK_RETURN_IF_ERROR(check_utf8(*column, name));
      return check_json(*column, name);
    case TypeId::kBool:
      return check_each<uint8_t>(column, name, "has bools that are neither 0 nor 1", [](uint8_t v) { return v <= 1; });
    case TypeId::kEnum: {
      const auto labels = static_cast<int64_t>(type.labels().size());
      return check_each<int32_t>(column, name, "has numbers of no label",
                                 [labels](int32_t v) { return v >= 0 && v < labels; });
    }
    case TypeId::kTime:
      return check_each<int64_t>(column, name, "has what is no time of a day",
                                 [](int64_t v) { return v >= 0 && v < kDayMicros; });
    case TypeId::kDecimal: {
      columnar::int128 limit = 1;
      for (int i = 0; i < type.precision(); ++i) limit *= 10;
      return check_each<columnar::int128>(column, name, "has too many digits",
                                          [limit](columnar::int128 v) { return v < limit && v > -limit; });
    }
    default:
      return {};
  }
}

}  // namespace runink::slice
