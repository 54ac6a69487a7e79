#include "worker/agent/fluentd_msgpack.h"

#include <algorithm>

#include "base/text.h"

namespace runink::agent::msgpack {
namespace {

constexpr int kMostDepth = 8;
constexpr size_t kMostValues = 4096, kMostText = 64 << 10;

void put_big_endian(std::string& out, uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

void put_typed(std::string& out, uint8_t type, uint64_t value, int bytes) {
  out.push_back(static_cast<char>(type));
  put_big_endian(out, value, bytes);
}

std::string repair_utf8(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    size_t size = 1;
    while (size <= 4 && !is_valid_utf8(text.substr(0, size))) ++size;
    if (size <= 4) {
      out += text.substr(0, size);
    } else {
      append_utf8(out, 0xFFFD);
      size = 1;
    }
    text.remove_prefix(std::min(size, text.size()));
  }
  return out;
}

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  // False: something is wrong, or missing.
  bool read(Value* value, int depth);
  bool missing() const { return missing_; }
  size_t taken() const { return at_; }

 private:
  bool need(size_t count) {
    if (bytes_.size() - at_ >= count) return true;
    missing_ = true;
    return false;
  }
  bool number(int size, uint64_t* value) {
    if (!need(static_cast<size_t>(size))) return false;
    *value = 0;
    for (int i = 0; i < size; ++i) *value = *value << 8 | static_cast<uint8_t>(bytes_[at_++]);
    return true;
  }
  bool text(uint64_t size, Value::Kind kind, Value* value) {
    if (size > kMostText || !need(size)) return false;
    value->kind = kind;
    value->text.assign(bytes_.substr(at_, size));
    at_ += size;
    return true;
  }
  bool values(uint64_t count, Value::Kind kind, Value* value, int depth) {
    // Each takes a byte at least, but they may not have come yet.
    if (depth >= kMostDepth || count > kMostValues || (values_left_ < count)) return false;
    values_left_ -= count;
    value->kind = kind;
    for (uint64_t i = 0; i < count; ++i) {
      if (!read(&value->values.emplace_back(), depth + 1)) return false;
    }
    return true;
  }
  bool sized(int size_bytes, bool array_or_map, bool map, Value* value, int depth) {
    uint64_t size = 0;
    if (!number(size_bytes, &size)) return false;
    if (!array_or_map) return text(size, Value::Kind::kText, value);
    return values(map ? 2 * size : size, map ? Value::Kind::kMap : Value::Kind::kArray, value, depth);
  }
  bool integer(int size, bool has_sign, Value* value) {
    uint64_t bits = 0;
    if (!number(size, &bits)) return false;
    value->kind = Value::Kind::kNumber;
    const int unused = 64 - 8 * size;
    value->number = has_sign ? static_cast<int64_t>(bits << unused) >> unused : static_cast<int64_t>(bits);
    return true;
  }
  bool skip(uint64_t size, Value* value) { return text(size, Value::Kind::kOther, value); }

  std::string_view bytes_;
  size_t at_ = 0;
  size_t values_left_ = kMostValues;
  bool missing_ = false;
};

bool Reader::read(Value* value, int depth) {
  uint64_t head = 0;
  if (!number(1, &head)) return false;
  const auto type = static_cast<uint8_t>(head);
  if (type <= 0x7f || type >= 0xe0) {
    value->kind = Value::Kind::kNumber;
    value->number = static_cast<int8_t>(type);
    return true;
  }
  if (type <= 0x8f) return values(2u * (type & 0x0fu), Value::Kind::kMap, value, depth);
  if (type <= 0x9f) return values(type & 0x0fu, Value::Kind::kArray, value, depth);
  if (type <= 0xbf) return text(type & 0x1fu, Value::Kind::kText, value);
  uint64_t size = 0;
  switch (type) {
    case 0xc0:
      return true;
    case 0xc2:
    case 0xc3:
      value->kind = Value::Kind::kBool;
      value->truth = type == 0xc3;
      return true;
    case 0xc4:
    case 0xd9:
      return sized(1, false, false, value, depth);
    case 0xc5:
    case 0xda:
      return sized(2, false, false, value, depth);
    case 0xc6:
    case 0xdb:
      return sized(4, false, false, value, depth);
    case 0xc7:  // ext: its size, its type, its bytes
    case 0xc8:
    case 0xc9:
      return number(1 << (type - 0xc7), &size) && skip(size + 1, value);
    case 0xca:
      return skip(4, value);
    case 0xcb:
      return skip(8, value);
    case 0xcc:
    case 0xcd:
    case 0xce:
    case 0xcf:
      return integer(1 << (type - 0xcc), false, value);
    case 0xd0:
    case 0xd1:
    case 0xd2:
    case 0xd3:
      return integer(1 << (type - 0xd0), true, value);
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8:
      return skip((size_t{1} << (type - 0xd4)) + 1, value);
    case 0xdc:
    case 0xdd:
      return sized(type == 0xdc ? 2 : 4, true, false, value, depth);
    case 0xde:
    case 0xdf:
      return sized(type == 0xde ? 2 : 4, true, true, value, depth);
    default:
      return false;
  }
}

}  // namespace

void put_bool(std::string& out, bool value) { out.push_back(value ? '\xc3' : '\xc2'); }

void put_number(std::string& out, uint64_t value) {
  if (value <= 0x7f) return out.push_back(static_cast<char>(value));
  if (value <= 0xff) return put_typed(out, 0xcc, value, 1);
  if (value <= 0xffff) return put_typed(out, 0xcd, value, 2);
  if (value <= 0xffff'ffff) return put_typed(out, 0xce, value, 4);
  put_typed(out, 0xcf, value, 8);
}

void put_text(std::string& out, std::string_view text) {
  std::string repaired;
  if (!is_valid_utf8(text)) {
    repaired = repair_utf8(text);
    text = repaired;
  }
  if (text.size() <= 31) {
    out.push_back(static_cast<char>(0xa0 | text.size()));
  } else if (text.size() <= 0xff) {
    put_typed(out, 0xd9, text.size(), 1);
  } else if (text.size() <= 0xffff) {
    put_typed(out, 0xda, text.size(), 2);
  } else {
    put_typed(out, 0xdb, text.size(), 4);
  }
  out += text;
}

void put_bytes_head(std::string& out, size_t size) {
  if (size <= 0xff) return put_typed(out, 0xc4, size, 1);
  if (size <= 0xffff) return put_typed(out, 0xc5, size, 2);
  put_typed(out, 0xc6, size, 4);
}

void put_array_head(std::string& out, size_t size) {
  if (size <= 15) return out.push_back(static_cast<char>(0x90 | size));
  put_typed(out, 0xdc, size, 2);
}

void put_map_head(std::string& out, size_t size) {
  if (size <= 15) return out.push_back(static_cast<char>(0x80 | size));
  put_typed(out, 0xde, size, 2);
}

void put_event_time(std::string& out, int64_t unix_micros) {
  out += "\xd7";
  out.push_back('\0');  // the extension's type
  put_big_endian(out, static_cast<uint64_t>(unix_micros / 1'000'000), 4);
  put_big_endian(out, static_cast<uint64_t>(unix_micros % 1'000'000) * 1000, 4);
}

const Value* Value::find(std::string_view key) const {
  if (kind != Kind::kMap) return nullptr;
  for (size_t i = 0; i + 1 < values.size(); i += 2) {
    if (values[i].kind == Kind::kText && values[i].text == key) return &values[i + 1];
  }
  return nullptr;
}

Result<std::optional<Decoded>> decode(std::string_view bytes) {
  Reader reader(bytes);
  Decoded out;
  if (reader.read(&out.value, 0)) {
    out.size = reader.taken();
    return std::optional<Decoded>(std::move(out));
  }
  if (reader.missing()) return std::optional<Decoded>();
  return invalid_argument("this is no MessagePack value, or a larger one than is taken here");
}

}  // namespace runink::agent::msgpack
