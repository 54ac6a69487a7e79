// Digits in and out of registers, for the text parsers and writers of this folder.
#pragma once

#include <cstdint>
#include <cstring>

namespace runink::columnar {

// Eight ASCII digits, first digit in the lowest byte. False if any byte is no digit.
inline bool eight_digits(uint64_t v, uint32_t* out) {
  if (((v & 0xF0F0F0F0F0F0F0F0ULL) | (((v + 0x0606060606060606ULL) & 0xF0F0F0F0F0F0F0F0ULL) >> 4)) !=
      0x3333333333333333ULL) {
    return false;
  }
  v -= 0x3030303030303030ULL;
  v = v * 10 + (v >> 8);
  *out = static_cast<uint32_t>(((v & 0x000000FF000000FFULL) * 0x000F424000000064ULL +
                                ((v >> 16) & 0x000000FF000000FFULL) * 0x0000271000000001ULL) >> 32);
  return true;
}

// 1 to 8 bytes of text, with '0' put before them to make eight. Reads nothing outside the text.
inline uint64_t load_digits(const char* p, size_t n) {
  uint64_t v;
  if (n == 8) {
    std::memcpy(&v, p, 8);
    return v;
  }
  if (n >= 4) {
    uint32_t lo, hi;
    std::memcpy(&lo, p, 4);
    std::memcpy(&hi, p + n - 4, 4);
    v = lo | static_cast<uint64_t>(hi) << (8 * (n - 4));
  } else {
    v = static_cast<uint8_t>(p[0]) | static_cast<uint64_t>(static_cast<uint8_t>(p[n / 2])) << (8 * (n / 2)) |
        static_cast<uint64_t>(static_cast<uint8_t>(p[n - 1])) << (8 * (n - 1));
  }
  return v << (64 - 8 * n) | 0x3030303030303030ULL >> (8 * n);
}

inline constexpr uint64_t kPowersOf10[20] = {1,
                                             10,
                                             100,
                                             1000,
                                             10000,
                                             100000,
                                             1000000,
                                             10000000,
                                             100000000,
                                             1000000000,
                                             10000000000,
                                             100000000000,
                                             1000000000000,
                                             10000000000000,
                                             100000000000000,
                                             1000000000000000,
                                             10000000000000000,
                                             100000000000000000,
                                             1000000000000000000,
                                             10000000000000000000ULL};

inline bool is_digit(char c) { return static_cast<unsigned char>(c - '0') <= 9; }

// "00" to "99" one after the other.
inline constexpr char kPairs[201] =
    "00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657"
    "585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

inline char* write_2(char* out, unsigned value) {
  std::memcpy(out, kPairs + 2 * value, 2);
  return out + 2;
}
inline char* write_4(char* out, unsigned value) { return write_2(write_2(out, value / 100), value % 100); }
inline char* write_6(char* out, unsigned value) { return write_2(write_4(out, value / 100), value % 100); }

// Exactly `digits` digits, with zeros in front.
inline char* write_padded(char* out, uint64_t value, int digits) {
  int at = digits;
  while (at >= 2) {
    at -= 2;
    std::memcpy(out + at, kPairs + 2 * (value % 100), 2);
    value /= 100;
  }
  if (at == 1) out[0] = static_cast<char>('0' + value % 10);
  return out + digits;
}

}  // namespace runink::columnar
