// Values as bytes inside a message's body: numbers little-endian, texts and lists with their length before them.
//
// A struct says its fields once, for both directions:
//
//   template <typename Archive>
//   void visit(Archive& archive, SliceMount& mount) {
//     auto& [source, target, writable] = mount;  // a field that is added does not compile until it is named here
//     archive(source, target, writable);
//   }
//
// A Decoder checks every length against what is there, and against a bound; a truth value is 0 or 1, an enumerator one
// of those there are (`last_of`). After a fault it gives zeroes, and finish() says so.
#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/little_endian.h"
#include "base/status.h"

namespace runink::wire {

inline constexpr size_t kMostText = 8u << 20;
inline constexpr size_t kMostElements = 1'000'000;  // more than the kernel takes of arguments

class Encoder {
 public:
  // Appends to `out`; nullptr: only counts.
  explicit Encoder(std::string* out) : out_(out) {}

  size_t bytes() const { return bytes_; }

  template <typename... Fields>
  void operator()(const Fields&... fields) {
    (one(fields), ...);
  }

 private:
  void one(const std::string& text) {
    one(static_cast<uint32_t>(text.size()));
    bytes_ += text.size();
    if (out_ != nullptr) out_->append(text);
  }
  template <typename Value>
  void one(const std::vector<Value>& values) {
    one(static_cast<uint32_t>(values.size()));
    for (const Value& value : values) one(value);
  }
  template <typename Value>
  void one(const std::optional<Value>& value) {
    one(value.has_value());
    if (value) one(*value);
  }
  template <typename First, typename Second>
  void one(const std::pair<First, Second>& pair) {
    one(pair.first);
    one(pair.second);
  }
  void one(const Status& status) {
    (*this)(static_cast<uint8_t>(status.code()), status.message(), status.kind(), status.hint(), status.context(),
            status.details());
  }
  template <typename Value>
  void one(const Value& value) {
    if constexpr (std::is_same_v<Value, bool>) {
      one(static_cast<uint8_t>(value ? 1 : 0));
    } else if constexpr (std::is_same_v<Value, double>) {
      one(std::bit_cast<uint64_t>(value));
    } else if constexpr (std::is_enum_v<Value>) {
      one(static_cast<std::underlying_type_t<Value>>(value));
    } else if constexpr (std::is_integral_v<Value>) {
      bytes_ += sizeof value;
      if (out_ != nullptr) append_little_endian(*out_, static_cast<std::make_unsigned_t<Value>>(value));
    } else {
      visit(*this, const_cast<Value&>(value));  // an encoder only reads
    }
  }

  std::string* out_;
  size_t bytes_ = 0;
};

class Decoder {
 public:
  // `bytes` must outlive it.
  explicit Decoder(std::string_view bytes) : rest_(bytes) {}

  template <typename... Fields>
  void operator()(Fields&... fields) {
    (one(fields), ...);
  }
  // A fault that the caller found: a value that cannot be.
  void fail() { failed_ = true; }

  // kDataLoss unless all was there, and nothing more. `what` is what errors call it.
  Status finish(std::string_view what) const;

 private:
  std::string_view take(size_t bytes);
  // A count of elements, which have a byte each at least.
  uint32_t take_count(size_t most);
  void one(std::string& text);
  void one(std::string_view& text);  // of the bytes that are decoded
  void one(Status& status);
  template <typename Value>
  void one(std::vector<Value>& values) {
    const uint32_t count = take_count(kMostElements);
    values.clear();
    values.reserve(count);  // what grew would leave copies of secrets behind
    for (uint32_t i = 0; i < count && !failed_; ++i) one(values.emplace_back());
  }
  template <typename Value>
  void one(std::optional<Value>& value) {
    bool there = false;
    one(there);
    value.reset();
    if (there && !failed_) one(value.emplace());
  }
  template <typename First, typename Second>
  void one(std::pair<First, Second>& pair) {
    one(pair.first);
    one(pair.second);
  }
  template <typename Value>
  void one(Value& value) {
    if constexpr (std::is_same_v<Value, bool>) {
      uint8_t byte = 0;
      one(byte);
      if (byte > 1) fail();
      value = byte == 1;
    } else if constexpr (std::is_same_v<Value, double>) {
      uint64_t bits = 0;
      one(bits);
      value = std::bit_cast<double>(bits);
    } else if constexpr (std::is_enum_v<Value>) {
      std::underlying_type_t<Value> number = 0;
      one(number);
      if (number > static_cast<std::underlying_type_t<Value>>(last_of(Value{}))) fail();
      value = failed_ ? Value{} : static_cast<Value>(number);
    } else if constexpr (std::is_integral_v<Value>) {
      const std::string_view bytes = take(sizeof value);
      value =
          bytes.empty() ? Value{} : static_cast<Value>(load_little_endian<std::make_unsigned_t<Value>>(bytes.data()));
    } else {
      visit(*this, value);
    }
  }

  std::string_view rest_;
  bool failed_ = false;
};

template <typename Value>
std::string encode_value(const Value& value) {
  Encoder count(nullptr);
  count(value);
  std::string body;
  body.reserve(count.bytes());  // as above: there is one copy, which its owner can wipe
  Encoder encoder(&body);
  encoder(value);
  return body;
}

template <typename Value>
Result<Value> decode_value(std::string_view body, std::string_view what) {
  Decoder decoder(body);
  Value value{};
  decoder(value);
  RUNINK_RETURN_IF_ERROR(decoder.finish(what));
  return value;
}

}  // namespace runink::wire
