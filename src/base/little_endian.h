// Numbers as bytes, the lowest first, whatever the machine: for file formats and frames.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

namespace runink {

template <typename Number>
void store_little_endian(char* to, Number value) {
  static_assert(std::is_unsigned_v<Number>);
  for (size_t i = 0; i < sizeof value; ++i) to[i] = static_cast<char>(static_cast<uint64_t>(value) >> (8 * i));
}

// From sizeof(Number) bytes.
template <typename Number>
Number load_little_endian(const char* from) {
  static_assert(std::is_unsigned_v<Number>);
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(Number); ++i) value |= uint64_t{static_cast<uint8_t>(from[i])} << (8 * i);
  return static_cast<Number>(value);
}

template <typename Number>
void append_little_endian(std::string& out, Number value) {
  char bytes[sizeof value];
  store_little_endian(bytes, value);
  out.append(bytes, sizeof value);
}

}  // namespace runink
