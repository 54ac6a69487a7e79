// Bytes of the Barn's own formats: varints (LEB128), fixed numbers, byte strings with their length before them.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/little_endian.h"
#include "control/barn/ids.h"
#include "control/barn/limits.h"

namespace runink::barn {

inline void append_u8(std::string& out, uint8_t value) { out.push_back(static_cast<char>(value)); }

inline void append_u32(std::string& out, uint32_t value) { append_little_endian(out, value); }
inline void append_u64(std::string& out, uint64_t value) { append_little_endian(out, value); }

// Big endian: sorts as the number does.
inline void append_sortable(std::string& out, uint64_t value) {
  char bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<char>(value >> (56 - 8 * i));
  out.append(bytes, 8);
}

inline uint64_t sortable_at(const char* bytes) {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | static_cast<uint8_t>(bytes[i]);
  return value;
}

inline void append_varint(std::string& out, uint64_t value) {
  char bytes[10];
  size_t n = 0;
  while (value >= 0x80) {
    bytes[n++] = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  bytes[n++] = static_cast<char>(value);
  out.append(bytes, n);
}

inline void append_bytes(std::string& out, std::string_view bytes) {
  append_varint(out, bytes.size());
  out.append(bytes);
}

inline void append_token(std::string& out, const Token& token) {
  append_varint(out, token.none() ? 0 : token.incarnation);  // there is one way to say none
  append_varint(out, token.index);
}

// Reads what the functions above wrote. After the first thing that is not there, ok() is false and all that is read is
// zero or empty, so that a caller may check once at the end. Never reads beyond the bytes.
class Decoder {
 public:
  explicit Decoder(std::string_view bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool ok() const { return ok_; }
  bool finished() const { return ok_ && at_ == end_; }
  size_t left() const { return static_cast<size_t>(end_ - at_); }
  std::string_view rest() const { return {at_, left()}; }
  void fail() {
    ok_ = false;
    at_ = end_;
  }

  uint8_t u8() {
    if (at_ == end_) return fail(), 0;
    return static_cast<uint8_t>(*at_++);
  }
  uint32_t u32() { return static_cast<uint32_t>(fixed(4)); }
  uint64_t u64() { return fixed(8); }
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == end_) break;
      const auto byte = static_cast<uint8_t>(*at_++);
      if (shift == 63 && byte > 1) break;  // more than 64 bits
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return fail(), 0;
  }
  std::string_view bytes() { return take(varint()); }
  std::string_view take(uint64_t size) {
    if (size > left()) return fail(), std::string_view();
    const std::string_view out(at_, size);
    at_ += size;
    return out;
  }
  // How many things follow, of which each takes at least `least` bytes: a number that cannot be true fails.
  size_t count(size_t least) {
    const uint64_t n = varint();
    if (n > left() / least) return fail(), 0;
    return n;
  }
  Token token() {
    Token out;
    out.incarnation = varint();
    out.index = varint();
    if (out.none() && out.incarnation != 0) fail();
    return out;
  }
  bool boolean() {
    const uint8_t value = u8();
    if (value > 1) fail();
    return ok_ && value == 1;
  }

 private:
  uint64_t fixed(size_t size) {
    const std::string_view bytes = take(size);
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.size(); ++i) value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
    return value;
  }

  const char* at_;
  const char* end_;
  bool ok_ = true;
};

void append_limits(std::string& out, const Limits& limits);
Limits decode_limits(Decoder& in);

}  // namespace runink::barn
