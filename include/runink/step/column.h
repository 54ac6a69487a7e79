// Columns of a batch as C++ values. Part of the step SDK; include step.h.
//
// Which C++ type stands for which contract type is decided by the generated header: the member's type. Reading from a
// column copies nothing for numbers and gives a string_view for text; the views hold until the step's function returns.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <runink/step/abi.h>

namespace runink::step {
namespace detail {

template <typename T> struct IsOptional : std::false_type {};
template <typename T> struct IsOptional<std::optional<T>> : std::true_type {};
template <typename T> struct IsVector : std::false_type {};
template <typename T> struct IsVector<std::vector<T>> : std::true_type {};

template <typename T> struct WithoutOptional { using Type = T; };
template <typename T> struct WithoutOptional<std::optional<T>> { using Type = T; };

// Numbers, enums, decimals, uuids: values of a fixed width.
template <typename T>
constexpr bool kFixed = std::is_arithmetic_v<T> || std::is_enum_v<T> || std::is_same_v<T, __int128> ||
                        std::is_same_v<T, std::array<std::uint8_t, 16>>;

inline bool is_valid(const runink_step_column& column, std::size_t row) {
  return column.validity == nullptr || ((column.validity[row >> 3] >> (row & 7)) & 1) != 0;
}

template <typename T> void read(const runink_step_column& column, std::size_t row, T& out);

template <typename T>
void read_required(const runink_step_column& column, std::size_t row, T& out) {
  if (!is_valid(column, row)) throw std::runtime_error("a null inside a list, where the step's contract has none");
  read(column, row, out);
}

template <typename T>
void read(const runink_step_column& column, std::size_t row, T& out) {
  if constexpr (IsOptional<T>::value) {
    out.reset();
    if (is_valid(column, row)) read(column, row, out.emplace());
  } else if constexpr (kFixed<T>) {
    std::memcpy(&out, static_cast<const char*>(column.values) + row * sizeof(T), sizeof(T));
  } else if constexpr (std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>) {
    const auto begin = static_cast<std::size_t>(column.offsets[row]), end = static_cast<std::size_t>(column.offsets[row + 1]);
    out = begin == end ? T() : T(static_cast<const char*>(column.values) + begin, end - begin);
  } else if constexpr (IsVector<T>::value) {
    const auto begin = static_cast<std::size_t>(column.offsets[row]), end = static_cast<std::size_t>(column.offsets[row + 1]);
    out.clear();
    out.reserve(end - begin);
    for (std::size_t i = begin; i < end; ++i) {
      typename T::value_type element{};
      read_required(column.children[0], i, element);
      out.push_back(std::move(element));
    }
  } else {  // a record inside a list
    std::size_t member = 0;
    T::visit_members(out, [&](auto& value) {
      const runink_step_column& child = column.children[member++];
      if constexpr (IsOptional<std::remove_reference_t<decltype(value)>>::value) read(child, row, value);
      else read_required(child, row, value);
    });
  }
}

}  // namespace detail

// One column. T is the member's type in the generated record, such as std::int32_t or std::optional<std::string>.
template <typename T>
class Column {
 public:
  using Value = typename detail::WithoutOptional<T>::Type;
  // Text is read in place.
  using View = std::conditional_t<std::is_same_v<Value, std::string>, std::string_view, Value>;
  using Result = std::conditional_t<detail::IsOptional<T>::value, std::optional<View>, View>;

  explicit Column(const runink_step_column& column) : column_(&column) {}

  std::size_t size() const { return static_cast<std::size_t>(column_->length); }
  bool is_null(std::size_t row) const { return !detail::is_valid(*column_, row); }
  Result operator[](std::size_t row) const {
    Result out{};
    detail::read(*column_, row, out);
    return out;
  }
  // All values of a fixed width, one after the other; those of null rows are unspecified.
  const Value* data() const {
    static_assert(detail::kFixed<Value>, "only numbers, bools, dates, times, enums, decimals and uuids lie one after the other");
    return static_cast<const Value*>(column_->values);
  }
  const runink_step_column& raw() const { return *column_; }

 private:
  const runink_step_column* column_;
};

}  // namespace runink::step
