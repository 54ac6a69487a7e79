// ColumnBuilder: makes a column one value after the other.
//
// The caller appends values that the type can hold (a reader or a cast has checked them); appending a kind of value that
// the type does not have, or an integer outside it, is a bug and aborts. finish() hands the column over and leaves the
// builder empty and ready for the next column of the same type. Not thread-safe.
//
// Fast paths, when the column's type is known: append_fixed<T>() for fixed-width types, append_text() for text.
//
// Text and lists hold at most 2^31 - 1 bytes or elements per column; text_room() says what is left. Readers make
// batches of bounded chunks and stay far below it; whoever cannot be sure asks text_room() first.
#pragma once

#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "data/columnar/batch.h"
#include "data/columnar/value.h"

namespace runink::columnar {

class ColumnBuilder {
 public:
  explicit ColumnBuilder(DataType type, int64_t capacity = 0);

  const DataType& type() const { return type_; }
  int64_t length() const { return length_; }
  int64_t null_count() const { return null_count_; }
  void reserve(int64_t rows);

  void append_null();

  // Chooses by the C++ type: bool; signed integers (also date, time, timestamp, duration, and the index of an enum);
  // unsigned integers; float and double; int128 (a decimal, already scaled); anything that converts to string_view
  // (text; the label of an enum, which must exist; the 16 bytes of a uuid).
  template <typename T>
  void append(const T& value) {
    if constexpr (std::is_same_v<T, bool>) {
      append_bool(value);
    } else if constexpr (std::is_same_v<T, int128>) {
      append_decimal(value);
    } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
      append_int64(value);
    } else if constexpr (std::is_integral_v<T>) {
      append_uint64(value);
    } else if constexpr (std::is_floating_point_v<T>) {
      append_double(value);
    } else {
      append_string(std::string_view(value));
    }
  }
  void append_bool(bool value);
  void append_int64(int64_t value);    // also into unsigned, float and decimal(p,0) columns where it fits
  void append_uint64(uint64_t value);  // also into signed and float columns where it fits
  void append_double(double value);
  void append_decimal(int128 value);
  void append_string(std::string_view value);
  // Follows the rules of struct Value; a list takes a vector of elements, a struct a vector of its fields in order.
  void append_value(const Value& value);
  // A row of a column of the same type.
  void append_from(const Column& column, int64_t row);
  // Rows [first, first + count) of a column of the same type.
  void append_rows(const Column& column, int64_t first, int64_t count);

  // sizeof(T) must be the width of the type.
  template <typename T>
  void append_fixed(T value) {
    if (__builtin_expect(length_ == capacity_, 0)) grow(length_ + 1);
    reinterpret_cast<T*>(values_->data())[length_] = value;
    mark_valid();
  }
  // Text types only; the bytes are taken as they are.
  void append_text(std::string_view bytes) {
    if (__builtin_expect(length_ == capacity_, 0)) grow(length_ + 1);
    const size_t at = values_->size();
    if (__builtin_expect(at + bytes.size() > kMaxTextBytes, 0)) text_overflow();
    values_->resize(at + bytes.size());
    if (!bytes.empty()) std::memcpy(values_->data() + at, bytes.data(), bytes.size());
    offsets_->as<int32_t>()[length_ + 1] = static_cast<int32_t>(at + bytes.size());
    mark_valid();
  }
  // Text types: writes in place. reserve_text(n) gives room for n bytes; commit_text(m), m <= n, ends the value there.
  char* reserve_text(size_t bytes);
  void commit_text(size_t bytes);
  size_t text_room() const { return values_ ? kMaxTextBytes - values_->size() : kMaxTextBytes; }

  // Lists: append elements to child(), then close_list() makes those appended since the last close one row.
  // Structs: append one value to each child(i), then close_struct() makes them one row.
  ColumnBuilder& child(size_t index = 0) { return children_[index]; }
  void close_list();
  void close_struct();

  // Takes back all rows from `rows` on, and elements of a list not yet closed (a reader that finds a record broken after
  // some of its fields). At most length().
  void truncate(int64_t rows);
  void drop_last() { truncate(length_ - 1); }

  Column finish();

  static constexpr size_t kMaxTextBytes = 0x7FFFFFFF;

 private:
  void grow(int64_t rows);
  void start_validity();
  [[noreturn]] static void text_overflow();
  void mark_valid() {
    if (__builtin_expect(validity_ != nullptr, 0)) set_bit(validity_->data(), length_);
    ++length_;
  }

  DataType type_;
  int width_ = 0;
  int64_t length_ = 0, capacity_ = 0, null_count_ = 0;
  BufferPtr values_, offsets_, validity_;
  std::vector<ColumnBuilder> children_;
};

// A builder per field of a schema, and the batch of them.
class BatchBuilder {
 public:
  explicit BatchBuilder(SchemaPtr schema, int64_t capacity = 0);
  const SchemaPtr& schema() const { return schema_; }
  ColumnBuilder& column(size_t index) { return columns_[index]; }
  size_t size() const { return columns_.size(); }
  int64_t rows() const { return columns_.empty() ? 0 : columns_[0].length(); }
  void append_row(const std::vector<Value>& values);  // one per field
  void append_row(const Batch& batch, int64_t row);   // same schema; the origin is not taken
  Batch finish();                                     // all columns must have the same length

 private:
  SchemaPtr schema_;
  std::vector<ColumnBuilder> columns_;
};

// For tests and literals.
Column make_column(const DataType& type, const std::vector<Value>& values);
Batch make_batch(std::vector<Field> fields, const std::vector<std::vector<Value>>& rows);

}  // namespace runink::columnar
