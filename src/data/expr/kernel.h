// What kernels share: reading arguments, validity, row errors, and loops over rows. Internal.
#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "data/columnar/builder.h"
#include "data/columnar/kernels.h"
#include "data/expr/node.h"

namespace runink::expr {

using columnar::Buffer;
using columnar::BufferPtr;
using columnar::Column;
using columnar::DataType;
using columnar::int128;
using columnar::TypeId;
using columnar::Value;

// One value of text is at most this long, and one column's text in all; longer results are row errors.
inline constexpr size_t kMaxTextBytes = 16 << 20;
inline constexpr size_t kMaxColumnBytes = 1 << 30;

// Valid where every argument is; null when all rows are valid.
BufferPtr combined_validity(const Arg* args, size_t count, int64_t rows);
// A bitmap of the rows that nobody else holds.
void own_validity(Column* column);

// Adds an error for every row that is marked, active and valid in `out`, and makes it null there.
void fail_marked(const Node& node, Frame& frame, const uint8_t* marked, const char* what, Column* out);
// The same for one row, if it is active. The row must be made null by the caller.
void fail_row(const Node& node, Frame& frame, int64_t row, std::string_view what);
std::string error_text(const Node& node, std::string_view what);

template <typename T>
struct Values {
  explicit Values(const Arg& arg) : data(arg.column->template data<T>()), step(arg.constant ? 0 : 1) {}
  T operator[](int64_t i) const { return data[i * step]; }
  const T* data;
  int64_t step;
};
struct Texts {
  explicit Texts(const Arg& arg) : column(arg.column), step(arg.constant ? 0 : 1) {}
  std::string_view operator[](int64_t i) const { return column->text(i * step); }
  const Column* column;
  int64_t step;
};

// Which rows to compute: valid in all arguments. Rows that are not active are computed too, but make no errors.
struct Rows {
  explicit Rows(BufferPtr bits) : bits(std::move(bits)) {}
  bool operator[](int64_t i) const { return bits == nullptr || columnar::get_bit(bits->data(), i); }
  BufferPtr bits;
};

inline Column fixed_result(const Node& node, const Frame& frame) {
  return columnar::make_fixed_column(node.type, frame.rows);
}

// out[i] = f(i) for all rows, null rows too (values of null rows are readable and arithmetic on them harmless).
template <typename T, typename F>
void map_all(const Node& node, const Arg* args, size_t count, Frame& frame, Column* out, F f) {
  *out = fixed_result(node, frame);
  out->validity = combined_validity(args, count, frame.rows);
  T* to = out->template mutable_data<T>();
  for (int64_t i = 0; i < frame.rows; ++i) to[i] = f(i);
}

// f(i, &value) for valid rows; it returns null, or what went wrong.
template <typename T, typename F>
void map_checked(const Node& node, const Arg* args, size_t count, Frame& frame, Column* out, F f) {
  *out = fixed_result(node, frame);
  const Rows rows(combined_validity(args, count, frame.rows));
  out->validity = rows.bits;
  T* to = out->template mutable_data<T>();
  bool owned = false;
  for (int64_t i = 0; i < frame.rows; ++i) {
    to[i] = T{};
    if (!rows[i]) continue;
    if (const char* what = f(i, &to[i])) {
      if (!owned) own_validity(out);
      owned = true;
      columnar::clear_bit(out->validity->data(), i);
      fail_row(node, frame, i, what);
    }
  }
}

// f(i, &value) for valid rows; false makes the row null.
template <typename T, typename F>
void map_optional(const Node& node, const Arg* args, size_t count, Frame& frame, Column* out, F f) {
  *out = fixed_result(node, frame);
  const Rows rows(combined_validity(args, count, frame.rows));
  out->validity = rows.bits;
  T* to = out->template mutable_data<T>();
  bool owned = false;
  for (int64_t i = 0; i < frame.rows; ++i) {
    to[i] = T{};
    if (!rows[i] || f(i, &to[i])) continue;
    if (!owned) own_validity(out);
    owned = true;
    columnar::clear_bit(out->validity->data(), i);
  }
}

inline constexpr const char* kNullRow = "\1null";  // returned by a text function: no error, the row is null
inline constexpr const char* kTooLong = "the text is longer than 16 MiB";

// f(i, scratch, &view) for valid rows: the value is the view, which may look into scratch (empty at each call) or into
// an argument. It returns null, what went wrong, or kNullRow.
template <typename F>
void map_text(const Node& node, const Arg* args, size_t count, Frame& frame, Column* out, F f) {
  const Rows rows(combined_validity(args, count, frame.rows));
  columnar::ColumnBuilder builder(node.type, frame.rows);
  std::string scratch;
  size_t total = 0;
  for (int64_t i = 0; i < frame.rows; ++i) {
    if (!rows[i]) {
      builder.append_null();
      continue;
    }
    scratch.clear();
    std::string_view view;
    const char* what = f(i, scratch, &view);
    if (what == nullptr && (view.size() > kMaxTextBytes || total + view.size() > kMaxColumnBytes)) what = kTooLong;
    if (what != nullptr) {
      builder.append_null();
      if (what != kNullRow) fail_row(node, frame, i, what);
      continue;
    }
    total += view.size();
    builder.append_text(view);
  }
  *out = builder.finish();
}

// Calls f with a value of the C++ type that holds columns of a fixed-width type: f(int32_t{}) and so on. Not for uuid.
template <typename F>
bool with_fixed_type(TypeId id, F f) {
  switch (id) {
    case TypeId::kBool:
      f(uint8_t{});
      return true;
    case TypeId::kInt8:
      f(int8_t{});
      return true;
    case TypeId::kInt16:
      f(int16_t{});
      return true;
    case TypeId::kInt32:
    case TypeId::kDate:
    case TypeId::kEnum:
      f(int32_t{});
      return true;
    case TypeId::kInt64:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kDuration:
      f(int64_t{});
      return true;
    case TypeId::kUInt8:
      f(uint8_t{});
      return true;
    case TypeId::kUInt16:
      f(uint16_t{});
      return true;
    case TypeId::kUInt32:
      f(uint32_t{});
      return true;
    case TypeId::kUInt64:
      f(uint64_t{});
      return true;
    case TypeId::kFloat32:
      f(float{});
      return true;
    case TypeId::kFloat64:
      f(double{});
      return true;
    case TypeId::kDecimal:
      f(int128{});
      return true;
    default:
      return false;
  }
}

// A column whose only row is repeated.
Column broadcast(const Column& constant, int64_t rows);

}  // namespace runink::expr
