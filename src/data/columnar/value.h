// Value: one scalar, for literals, defaults, test data and display. Never used per record in a hot loop.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "data/columnar/column.h"

namespace runink::columnar {

// What it holds follows the DataType it is used with: bool; int64 for signed integers, date, time, timestamp, duration
// and the index of an enum; uint64 for unsigned; double for floats; int128 for a decimal (scaled); string for text and
// the 16 bytes of a uuid; a vector for list (elements) and struct (fields in order). monostate is null.
struct Value {
  std::variant<std::monostate, bool, int64_t, uint64_t, double, int128, std::string, std::vector<Value>> data;

  Value() = default;
  template <typename T>
  Value(T v) : data(std::move(v)) {}  // NOLINT: implicit by design
  bool is_null() const { return data.index() == 0; }
  bool operator==(const Value& other) const { return data == other.data; }
};

Value value_at(const Column& column, int64_t row);

}  // namespace runink::columnar
