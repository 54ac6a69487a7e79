// OutCursor: writes at the end of a columnar::Buffer through a plain pointer, asking for room once per value instead of
// once per byte.
#pragma once

#include <emmintrin.h>

#include <cstring>
#include <string_view>

#include "data/columnar/buffer.h"

namespace runink::connectors {

class OutCursor {
 public:
  explicit OutCursor(columnar::Buffer& buffer) : buffer_(buffer) {
    const size_t used = buffer.size();
    if (buffer.capacity() < used + 4096) buffer.reserve(used + 4096);
    attach(used);
  }
  OutCursor(const OutCursor&) = delete;
  OutCursor& operator=(const OutCursor&) = delete;
  ~OutCursor() { buffer_.resize(static_cast<size_t>(at_ - begin())); }

  // Room for `size` bytes and 64 more, so that copies may end with whole vectors.
  void ensure(size_t size) {
    if (__builtin_expect(static_cast<size_t>(limit_ - at_) < size + 64, 0)) grow(size + 64);
  }
  // The rest needs room ensured before.
  char* at() { return at_; }
  void move_to(char* at) { at_ = at; }
  void put(char c) { *at_++ = c; }
  void put_small(std::string_view text) {  // text followed by 16 readable bytes, at most 16 long
    _mm_storeu_si128(reinterpret_cast<__m128i*>(at_), _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data())));
    at_ += text.size();
  }
  void put(std::string_view text) {
    if (!text.empty()) std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
  }
  // `text` is followed by at least 64 readable bytes; meant for up to 32.
  void put_padded(std::string_view text) {
    const char* from = text.data();
    char* to = at_;
    size_t i = 0;
    do {
      const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i));
      const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + i + 16));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i), a);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i + 16), b);
      i += 32;
    } while (__builtin_expect(i < text.size(), 0));
    at_ += text.size();
  }
  // The same for texts of about a record's length.
  void put_padded_record(std::string_view text) {
    const char* from = text.data();
    char* to = at_;
    at_ += text.size();
    if (__builtin_expect(text.size() > 256, 0)) {
      std::memcpy(to, from, text.size());
      return;
    }
    const char* const end = from + text.size();
    do {
      const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
      const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 16));
      const __m128i c = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 32));
      const __m128i d = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from + 48));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to), a);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 16), b);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 32), c);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 48), d);
      from += 64;
      to += 64;
    } while (from < end);
  }

 private:
  static constexpr size_t kHuge = size_t{4} << 20;
  char* begin() { return reinterpret_cast<char*>(buffer_.data()); }
  void attach(size_t used) {
    at_ = begin() + used;
    limit_ = begin() + buffer_.capacity();
  }
  void grow(size_t size) {
    const auto used = static_cast<size_t>(at_ - begin());
    buffer_.resize(used);  // what reserve() keeps
    // What follows a huge value shall not make a second copy of it: room that is never written takes no memory.
    const size_t needed = used + size;
    buffer_.reserve(needed > kHuge ? needed + needed / 2 : needed);
    attach(used);
  }

  columnar::Buffer& buffer_;
  char* at_ = nullptr;
  char* limit_ = nullptr;
};

}  // namespace runink::connectors
