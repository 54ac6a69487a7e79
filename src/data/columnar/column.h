// Column: values of one type in Arrow's columnar layout (https://arrow.apache.org/docs/format/Columnar.html).
//
// A Column is a cheap value: it shares its buffers. Whoever holds a Column must not write its buffers unless it is the
// only holder (it just built them). `length` counts rows. Values of null rows are unspecified but readable, and for
// text the offsets are always monotonic. No slices: a part of a column is a copy (see kernels.h).
#pragma once

#include <string_view>
#include <vector>

#include "data/columnar/buffer.h"
#include "data/columnar/type.h"

namespace runink::columnar {

struct Column {
  DataType type;
  int64_t length = 0;
  BufferPtr validity;            // nullptr: every row is valid (except type kNull: every row is null)
  BufferPtr values;              // fixed-width values, or the bytes of text
  BufferPtr offsets;             // text and list: int32, length + 1 of them, the first is 0
  std::vector<Column> children;  // list: one; struct: one per field

  bool is_valid(int64_t row) const {
    if (type.id() == TypeId::kNull) return false;
    return validity == nullptr || get_bit(validity->data(), row);
  }
  bool is_null(int64_t row) const { return !is_valid(row); }
  bool may_have_nulls() const { return validity != nullptr || type.id() == TypeId::kNull; }
  int64_t null_count() const;

  template <typename T> const T* data() const { return values->as<T>(); }
  template <typename T> T* mutable_data() { return values->as<T>(); }
  const int32_t* offset_data() const { return offsets->as<int32_t>(); }
  // Text types only. Valid until the column's buffers go.
  std::string_view text(int64_t row) const {
    const int32_t* o = offset_data();
    return {reinterpret_cast<const char*>(values->data()) + o[row], static_cast<size_t>(o[row + 1] - o[row])};
  }
  size_t byte_size() const;  // of all buffers, for memory budgets
};

// A column of `length` rows with room for fixed-width values, all valid, values unspecified.
Column make_fixed_column(DataType type, int64_t length);
// All rows null, of any type.
Column make_null_column(DataType type, int64_t length);

}  // namespace runink::columnar
