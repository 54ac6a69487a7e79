// MessagePack (https://github.com/msgpack/msgpack/blob/master/spec.md), as far as the forward protocol needs it.
//
// Pure. A reader never goes beyond its bytes, whatever they say, and takes values that are bounded in depth and size.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace runink::agent::msgpack {

void put_bool(std::string& out, bool value);
void put_number(std::string& out, uint64_t value);
void put_text(std::string& out, std::string_view text);  // bytes that are not UTF-8 become U+FFFD
void put_bytes_head(std::string& out, size_t size);      // so many bytes follow
void put_array_head(std::string& out, size_t size);      // so many values follow
void put_map_head(std::string& out, size_t size);        // so many pairs follow
// The forward protocol's EventTime: seconds and nanoseconds.
void put_event_time(std::string& out, int64_t unix_micros);

struct Value {
  enum class Kind : uint8_t { kNil, kBool, kNumber, kText, kArray, kMap, kOther };
  Kind kind = Kind::kNil;
  bool truth = false;
  int64_t number = 0;
  std::string text;           // text or bytes
  std::vector<Value> values;  // of an array; of a map key, value, key, value, …

  // Of a map; null where it has no such key.
  const Value* find(std::string_view key) const;
};

// The value at the front of `bytes` and how many bytes it takes; nothing: it is not whole yet. kInvalidArgument: it is
// none, or larger than is taken here.
struct Decoded {
  Value value;
  size_t size = 0;
};
Result<std::optional<Decoded>> decode(std::string_view bytes);

}  // namespace runink::agent::msgpack
