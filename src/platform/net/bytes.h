// Numbers and byte strings in messages: LEB128 numbers (seven bits a byte, lowest first, in the fewest bytes), and
// strings behind their length. A reader never goes beyond its bytes, whatever they say; once it has failed it stays
// failed and gives zeros, so that a decoder asks once, at its end.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

namespace runink::net {

inline void put_byte(std::string& out, uint8_t value) { out.push_back(static_cast<char>(value)); }

inline void put_number(std::string& out, uint64_t value) {
  char bytes[16];  // ten at most
  size_t size = 0;
  while (value >= 0x80) {
    bytes[size++] = static_cast<char>(value | 0x80);
    value >>= 7;
  }
  bytes[size++] = static_cast<char>(value);
  out.append(bytes, size);
}

inline void put_bytes(std::string& out, std::string_view bytes) {
  put_number(out, bytes.size());
  out.append(bytes);
}

class ByteReader {
 public:
  // Reads where the bytes lie, which is why a temporary string is refused.
  explicit ByteReader(std::string_view bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}
  template <std::same_as<std::string> Temporary>
  explicit ByteReader(Temporary&& bytes) = delete;

  bool failed() const { return failed_; }
  bool at_end() const { return at_ == end_ && !failed_; }  // all was taken, and nothing was wrong
  size_t left() const { return static_cast<size_t>(end_ - at_); }
  void fail() {
    failed_ = true;
    at_ = end_;
  }

  uint8_t byte() {
    if (at_ == end_) fail();
    return failed_ ? 0 : static_cast<uint8_t>(*at_++);
  }

  uint64_t number() {
    if (at_ != end_ && static_cast<uint8_t>(*at_) < 0x80) return static_cast<uint8_t>(*at_++);
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      const uint8_t next = byte();
      // The tenth byte holds one bit; a last byte of zero says that fewer would have done.
      if (failed_ || (shift == 63 && next > 1) || (next == 0 && shift > 0)) break;
      value |= uint64_t{next & 0x7Fu} << shift;
      if (next < 0x80) return value;
    }
    fail();
    return 0;
  }

  uint64_t number_at_most(uint64_t limit) {
    const uint64_t value = number();
    if (value > limit) fail();
    return failed_ ? 0 : value;
  }

  std::string_view take(size_t size) {
    if (size > left()) fail();
    if (failed_) return {};
    const std::string_view out(at_, size);
    at_ += size;
    return out;
  }

  std::string_view bytes(size_t limit) { return take(number_at_most(limit)); }

 private:
  const char* at_;
  const char* end_;
  bool failed_ = false;
};

}  // namespace runink::net
