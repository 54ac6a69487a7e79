// Random bytes from the kernel (getrandom), for ids, keys and salts. Never fails: a kernel without it ends the process.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace runink::crypto {

void random_bytes(void* out, size_t size);
uint64_t random_u64();
std::string random_hex(size_t bytes);

template <size_t N>
std::array<uint8_t, N> random_array() {
  std::array<uint8_t, N> bytes;
  random_bytes(bytes.data(), N);
  return bytes;
}

}  // namespace runink::crypto
