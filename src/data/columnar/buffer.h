// Buffer: the memory of a column. Growable while one owner builds it; afterwards shared and not written.
//
// 64-byte aligned, with 64 readable bytes after the last (kernels load whole vectors). Bytes beyond size() have
// unspecified values. Not thread-safe while being written.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace runink::columnar {

class Buffer {
 public:
  static constexpr size_t kPadding = 64;

  Buffer() = default;
  explicit Buffer(size_t size) { resize(size); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)),
        capacity_(std::exchange(other.capacity_, 0)) {}
  Buffer& operator=(Buffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
  }
  ~Buffer() { std::free(data_); }

  uint8_t* data() { return data_; }
  const uint8_t* data() const { return data_; }
  template <typename T> T* as() { return reinterpret_cast<T*>(data_); }
  template <typename T> const T* as() const { return reinterpret_cast<const T*>(data_); }
  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }

  // Keeps the content up to the smaller size; new bytes are unspecified.
  void resize(size_t size) {
    if (size > capacity_ || data_ == nullptr) reserve(size);
    size_ = size;
  }
  void reserve(size_t capacity) {
    if (capacity <= capacity_ && data_ != nullptr) return;
    size_t grown = capacity_ + capacity_ / 2;
    if (grown < capacity) grown = capacity;
    grown = (grown + 63) & ~size_t{63};
    auto* fresh = static_cast<uint8_t*>(std::aligned_alloc(64, grown + kPadding));
    RUNINK_CHECK(fresh != nullptr);
    if (size_ > 0) std::memcpy(fresh, data_, size_);
    std::free(data_);
    data_ = fresh;
    capacity_ = grown;
  }
  void append(const void* bytes, size_t count) {
    const size_t at = size_;
    resize(size_ + count);
    if (count > 0) std::memcpy(data_ + at, bytes, count);
  }
  void zero() { if (size_ > 0) std::memset(data_, 0, size_); }
  std::string_view view() const { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  uint8_t* data_ = nullptr;
  size_t size_ = 0, capacity_ = 0;
};
using BufferPtr = std::shared_ptr<Buffer>;

inline BufferPtr make_buffer(size_t size) { return std::make_shared<Buffer>(size); }

// Validity bitmaps: least significant bit first, 1 is valid (as Arrow has it). A null pointer means all valid.
inline bool get_bit(const uint8_t* bits, int64_t i) { return (bits[i >> 3] >> (i & 7)) & 1; }
inline void set_bit(uint8_t* bits, int64_t i) { bits[i >> 3] = static_cast<uint8_t>(bits[i >> 3] | (1u << (i & 7))); }
inline void clear_bit(uint8_t* bits, int64_t i) { bits[i >> 3] = static_cast<uint8_t>(bits[i >> 3] & ~(1u << (i & 7))); }
inline size_t bitmap_bytes(int64_t length) { return static_cast<size_t>((length + 7) / 8); }

}  // namespace runink::columnar
