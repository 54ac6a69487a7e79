#include "platform/crypto/crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace runink::crypto {
namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // reflected

constexpr std::array<uint32_t, 256> make_table() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t value = i;
    for (int bit = 0; bit < 8; ++bit) value = value >> 1 ^ (value & 1 ? kPolynomial : 0);
    table[i] = value;
  }
  return table;
}
constexpr auto kTable = make_table();

uint32_t by_table(const char* p, size_t n, uint32_t crc) {
  for (; n > 0; ++p, --n) crc = crc >> 8 ^ kTable[(crc ^ static_cast<unsigned char>(*p)) & 255];
  return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) uint32_t by_instruction(const char* p, size_t n, uint32_t crc) {
  uint64_t wide = crc;
  for (; n >= 8; p += 8, n -= 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    wide = _mm_crc32_u64(wide, word);
  }
  crc = static_cast<uint32_t>(wide);
  for (; n > 0; ++p, --n) crc = _mm_crc32_u8(crc, static_cast<unsigned char>(*p));
  return crc;
}
#endif

using Function = uint32_t (*)(const char*, size_t, uint32_t);

Function chosen() {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) return by_instruction;
#endif
  return by_table;
}

}  // namespace

uint32_t crc32c_by_table(std::string_view bytes, uint32_t before) {
  return ~by_table(bytes.data(), bytes.size(), ~before);
}

uint32_t crc32c(std::string_view bytes, uint32_t before) {
  static const Function function = chosen();
  return ~function(bytes.data(), bytes.size(), ~before);
}

}  // namespace runink::crypto
