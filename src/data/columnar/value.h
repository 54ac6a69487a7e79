// Value: one scalar, for literals, defaults, test data and display. Never used per record in a hot loop.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>
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
  Value(bool v) : data(v) {}                                                      // NOLINT: implicit by design
  Value(int128 v) : data(v) {}                                                    // NOLINT
  template <std::signed_integral T>
    requires(sizeof(T) <= 8)
  Value(T v) : data(static_cast<int64_t>(v)) {}                                   // NOLINT
  template <std::unsigned_integral T>
    requires(sizeof(T) <= 8 && !std::is_same_v<T, bool>)
  Value(T v) : data(static_cast<uint64_t>(v)) {}                                  // NOLINT
  template <std::floating_point T>
  Value(T v) : data(static_cast<double>(v)) {}                                    // NOLINT
  Value(std::string v) : data(std::move(v)) {}                                    // NOLINT
  Value(std::string_view v) : data(std::string(v)) {}                             // NOLINT
  Value(const char* v) : data(std::string(v)) {}                                  // NOLINT
  Value(std::vector<Value> v) : data(std::move(v)) {}                             // NOLINT

  bool is_null() const { return data.index() == 0; }
  // Exact: same kind, same content. Two NaN are not equal here (compare_values says they are).
  bool operator==(const Value& other) const { return data == other.data; }

  bool as_bool() const { return std::get<bool>(data); }
  int64_t as_int64() const { return std::get<int64_t>(data); }
  uint64_t as_uint64() const { return std::get<uint64_t>(data); }
  double as_double() const { return std::get<double>(data); }
  int128 as_decimal() const { return std::get<int128>(data); }
  const std::string& as_string() const { return std::get<std::string>(data); }
  const std::vector<Value>& as_vector() const { return std::get<std::vector<Value>>(data); }
};

Value value_at(const Column& column, int64_t row);

// Below, at, or above 0. Both values belong to the same type. Null after everything, NaN after all numbers, -0 equals 0,
// text by bytes, lists element by element: the order of compare_rows() in kernels.h and of sort keys.
int compare_values(const Value& a, const Value& b);

// JSON text: numbers bare (NaN and infinities as null), decimals as numbers with all their digits, text quoted, bytes in
// base64, dates and times in ISO 8601, an enum as its label, json as it is.
void append_value_json(const DataType& type, const Value& value, std::string& out);
std::string value_to_json(const DataType& type, const Value& value);
// For people: like JSON but text bare at the top level, null as "null". Control bytes are not escaped: whoever prints it
// to a terminal calls escape_control().
std::string value_to_display(const DataType& type, const Value& value);

}  // namespace runink::columnar
