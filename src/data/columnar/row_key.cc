// A key is, for each part: a marker (00 present, 01 null; left out where the part is never null), then the value, all of
// whose bytes are inverted when descending. Values:
//   integers, decimals, dates … big endian with the sign bit turned     bool, uuid   as they are
//   floats    the bits with the sign bit turned if positive, all turned if negative (IEEE totalOrder), after -0 → 0 and
//             every NaN → the largest bits
//   text      its bytes with 00 → 00 FF, then 00 00
//   list      01 and the key of each element (with marker), then 00
//   struct    the keys of its fields (with markers), one after the other
// A null value of fixed width is followed by as many zeros, so that such keys have one width.
#include "data/columnar/row_key.h"

#include <bit>
#include <cmath>

#include "base/check.h"

namespace runink::columnar {

namespace {

inline uint8_t swapped(uint8_t v) { return v; }
inline uint16_t swapped(uint16_t v) { return __builtin_bswap16(v); }
inline uint32_t swapped(uint32_t v) { return __builtin_bswap32(v); }
inline uint64_t swapped(uint64_t v) { return __builtin_bswap64(v); }

template <typename T>
struct Unsigned;
template <> struct Unsigned<int8_t> { using type = uint8_t; };
template <> struct Unsigned<int16_t> { using type = uint16_t; };
template <> struct Unsigned<int32_t> { using type = uint32_t; };
template <> struct Unsigned<int64_t> { using type = uint64_t; };
template <> struct Unsigned<uint8_t> { using type = uint8_t; };
template <> struct Unsigned<uint16_t> { using type = uint16_t; };
template <> struct Unsigned<uint32_t> { using type = uint32_t; };
template <> struct Unsigned<uint64_t> { using type = uint64_t; };
template <> struct Unsigned<float> { using type = uint32_t; };
template <> struct Unsigned<double> { using type = uint64_t; };

// The value's big-endian bytes in an order that memcmp follows.
template <typename T>
inline auto ordered(T value) {
  using U = typename Unsigned<T>::type;
  constexpr U kTop = static_cast<U>(U{1} << (sizeof(U) * 8 - 1));
  U bits;
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(value)) {
      bits = static_cast<U>(~U{0});
    } else {
      bits = std::bit_cast<U>(static_cast<T>(value + T{0}));  // -0 + 0 is 0
      bits = (bits & kTop) != 0 ? static_cast<U>(~bits) : static_cast<U>(bits | kTop);
    }
  } else {
    bits = static_cast<U>(value);
    if constexpr (std::is_signed_v<T>) bits = static_cast<U>(bits ^ kTop);
  }
  return swapped(bits);
}

// Writes the values of fixed width of rows [0, rows) with `stride` bytes between them; `at` is the first value's place.
template <typename T>
void write_fixed(const Column& column, bool descending, bool marker, uint8_t* at, size_t stride) {
  const T* values = column.data<T>();
  using U = decltype(ordered(T{}));
  const U flip = descending ? static_cast<U>(~U{0}) : U{0};
  for (int64_t i = 0; i < column.length; ++i, at += stride) {
    const U bits = static_cast<U>(ordered(values[i]) ^ flip);
    std::memcpy(at + marker, &bits, sizeof(U));
  }
}

// One present value.
size_t write_scalar(const Column& column, int64_t row, uint8_t* out) {
  const auto put = [&](auto bits) {
    std::memcpy(out, &bits, sizeof(bits));
    return sizeof(bits);
  };
  switch (column.type.id()) {
    case TypeId::kBool:
    case TypeId::kUInt8: return put(ordered(column.data<uint8_t>()[row]));
    case TypeId::kInt8: return put(ordered(column.data<int8_t>()[row]));
    case TypeId::kInt16: return put(ordered(column.data<int16_t>()[row]));
    case TypeId::kInt32:
    case TypeId::kDate:
    case TypeId::kEnum: return put(ordered(column.data<int32_t>()[row]));
    case TypeId::kInt64:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kDuration: return put(ordered(column.data<int64_t>()[row]));
    case TypeId::kUInt16: return put(ordered(column.data<uint16_t>()[row]));
    case TypeId::kUInt32: return put(ordered(column.data<uint32_t>()[row]));
    case TypeId::kUInt64: return put(ordered(column.data<uint64_t>()[row]));
    case TypeId::kFloat32: return put(ordered(column.data<float>()[row]));
    case TypeId::kFloat64: return put(ordered(column.data<double>()[row]));
    case TypeId::kDecimal: {
      const int128 value = column.data<int128>()[row];
      put(ordered(static_cast<int64_t>(value >> 64)));
      const uint64_t low = swapped(static_cast<uint64_t>(value));
      std::memcpy(out + 8, &low, 8);
      return 16;
    }
    case TypeId::kUuid:
      std::memcpy(out, column.values->data() + 16 * row, 16);
      return 16;
    default: RUNINK_CHECK(false); return 0;
  }
}

// A few bytes, without a call.
inline void copy_short(uint8_t* to, const uint8_t* from, size_t size) {
  if (size > 16) {
    std::memcpy(to, from, size);
  } else if (size >= 8) {
    uint64_t head, tail;
    std::memcpy(&head, from, 8);
    std::memcpy(&tail, from + size - 8, 8);
    std::memcpy(to, &head, 8);
    std::memcpy(to + size - 8, &tail, 8);
  } else if (size >= 4) {
    uint32_t head, tail;
    std::memcpy(&head, from, 4);
    std::memcpy(&tail, from + size - 4, 4);
    std::memcpy(to, &head, 4);
    std::memcpy(to + size - 4, &tail, 4);
  } else {
    for (size_t i = 0; i < size; ++i) to[i] = from[i];
  }
}

// Text without zero bytes in any row, as it nearly always is: nothing to escape.
bool is_plain_text(const Column& column) {
  return column.type.is_text() &&
         std::memchr(column.values->data(), 0, static_cast<size_t>(column.offset_data()[column.length])) == nullptr;
}

// The part of every row of a plain text column; `at` holds where, and is moved on.
void write_plain_text(const KeyPart& part, const Column& column, uint8_t* bytes, size_t* at) {
  const int32_t* o = column.offset_data();
  const uint8_t* text = column.values->data();
  const auto flip = static_cast<uint8_t>(part.descending ? 0xFF : 0);
  for (int64_t i = 0; i < column.length; ++i) {
    uint8_t* out = bytes + at[i];
    if (column.is_null(i)) {
      *out = 1;
      ++at[i];
      continue;
    }
    if (part.nullable) *out++ = 0;
    const auto size = static_cast<size_t>(o[i + 1] - o[i]);
    copy_short(out, text + o[i], size);
    if (flip != 0) {
      for (size_t k = 0; k < size; ++k) out[k] ^= flip;
    }
    out[size] = flip;
    out[size + 1] = flip;
    at[i] += part.nullable + size + 2;
  }
}

size_t text_key_size(std::string_view text) {
  size_t size = text.size() + 2;
  const char* p = text.data();
  const char* const end = p + text.size();
  while (p < end && (p = static_cast<const char*>(std::memchr(p, 0, static_cast<size_t>(end - p)))) != nullptr) {
    ++size;
    ++p;
  }
  return size;
}

uint8_t* write_text(std::string_view text, uint8_t* out) {
  while (true) {
    const size_t zero = text.find('\0');
    const size_t plain = zero == text.npos ? text.size() : zero;
    if (plain > 0) std::memcpy(out, text.data(), plain);
    out += plain;
    *out++ = 0;
    if (zero == text.npos) break;
    *out++ = 0xFF;
    text.remove_prefix(zero + 1);
  }
  *out++ = 0;
  return out;
}

size_t key_size(const Column& column, int64_t row, bool marker);

// Without the marker, of a present value.
size_t value_size(const Column& column, int64_t row) {
  if (const int width = column.type.width(); width > 0) return static_cast<size_t>(width);
  size_t size = 0;
  switch (column.type.id()) {
    case TypeId::kNull: return 0;
    case TypeId::kList: {
      const int32_t* o = column.offset_data();
      for (int32_t i = o[row]; i < o[row + 1]; ++i) size += 1 + key_size(column.children[0], i, true);
      return size + 1;
    }
    case TypeId::kStruct:
      for (const auto& child : column.children) size += key_size(child, row, true);
      return size;
    default: return text_key_size(column.text(row));
  }
}

size_t key_size(const Column& column, int64_t row, bool marker) {
  if (column.is_null(row)) return marker + static_cast<size_t>(column.type.width());
  return marker + value_size(column, row);
}

// The whole part, ascending.
uint8_t* write_key(const Column& column, int64_t row, bool marker, uint8_t* out) {
  if (column.is_null(row)) {
    if (marker) *out++ = 1;
    const auto width = static_cast<size_t>(column.type.width());
    std::memset(out, 0, width);
    return out + width;
  }
  if (marker) *out++ = 0;
  if (column.type.width() > 0) return out + write_scalar(column, row, out);
  if (column.type.is_text()) return write_text(column.text(row), out);
  if (column.type.id() == TypeId::kList) {
    const int32_t* o = column.offset_data();
    for (int32_t i = o[row]; i < o[row + 1]; ++i) {
      *out++ = 1;
      out = write_key(column.children[0], i, true, out);
    }
    *out++ = 0;
    return out;
  }
  for (const auto& child : column.children) out = write_key(child, row, true, out);
  return out;
}

uint8_t* write_part(const KeyPart& part, const Column& column, int64_t row, uint8_t* out) {
  uint8_t* const end = write_key(column, row, part.nullable, out);
  if (part.descending && column.is_valid(row)) {
    for (uint8_t* p = out + part.nullable; p < end; ++p) *p = static_cast<uint8_t>(~*p);
  }
  return end;
}

// One column of a key of fixed width.
void write_fixed_column(const KeyPart& part, const Column& column, uint8_t* at, size_t stride) {
  const bool marker = part.nullable;
  if (marker) {
    for (int64_t i = 0; i < column.length; ++i) at[static_cast<size_t>(i) * stride] = 0;
  }
  const auto fixed = [&]<typename T>(T) { write_fixed<T>(column, part.descending, marker, at, stride); };
  switch (column.type.id()) {
    case TypeId::kBool:
    case TypeId::kUInt8: fixed(uint8_t{}); break;
    case TypeId::kInt8: fixed(int8_t{}); break;
    case TypeId::kInt16: fixed(int16_t{}); break;
    case TypeId::kInt32:
    case TypeId::kDate:
    case TypeId::kEnum: fixed(int32_t{}); break;
    case TypeId::kInt64:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kDuration: fixed(int64_t{}); break;
    case TypeId::kUInt16: fixed(uint16_t{}); break;
    case TypeId::kUInt32: fixed(uint32_t{}); break;
    case TypeId::kUInt64: fixed(uint64_t{}); break;
    case TypeId::kFloat32: fixed(float{}); break;
    case TypeId::kFloat64: fixed(double{}); break;
    default:
      for (int64_t i = 0; i < column.length; ++i) write_part(part, column, i, at + static_cast<size_t>(i) * stride);
      return;
  }
  if (!column.may_have_nulls()) return;
  for (int64_t i = 0; i < column.length; ++i) {
    if (column.is_null(i)) write_part(part, column, i, at + static_cast<size_t>(i) * stride);
  }
}

}  // namespace

KeyEncoder::KeyEncoder(std::vector<KeyPart> parts) : parts_(std::move(parts)) {
  for (auto& part : parts_) {
    if (part.type.id() == TypeId::kNull) part.nullable = true;
    const int width = part.type.width();
    fixed_ = fixed_ && (width > 0 || part.type.id() == TypeId::kNull);
    width_ += static_cast<size_t>(width) + part.nullable;
  }
  if (width_ == 0) fixed_ = false;  // no parts: keys of no bytes
}

void KeyEncoder::encode(std::span<const Column* const> columns, RowKeys* keys) const {
  RUNINK_CHECK(columns.size() == parts_.size());
  const int64_t rows = columns.empty() ? 0 : columns[0]->length;
  for (const Column* column : columns) RUNINK_CHECK(column->length == rows);
  const auto n = static_cast<size_t>(rows);
  keys->rows_ = rows;
  keys->width_ = fixed_ ? width_ : 0;
  keys->offsets_.clear();
  if (fixed_) {
    keys->bytes_.resize(n * width_);
    uint8_t* at = keys->bytes_.data();
    for (size_t c = 0; c < columns.size(); ++c) {
      write_fixed_column(parts_[c], *columns[c], at, width_);
      at += static_cast<size_t>(columns[c]->type.width()) + parts_[c].nullable;
    }
    return;
  }
  // Sizes first, column by column, then each column writes its part at every row's place.
  keys->offsets_.assign(n + 1, 0);
  std::vector<uint8_t> plain(columns.size());
  for (size_t c = 0; c < columns.size(); ++c) {
    const bool marker = parts_[c].nullable;
    plain[c] = is_plain_text(*columns[c]);
    if (const int width = columns[c]->type.width(); width > 0) {
      for (size_t i = 0; i < n; ++i) keys->offsets_[i + 1] += static_cast<size_t>(width) + marker;
    } else if (plain[c] && !columns[c]->may_have_nulls()) {
      const int32_t* o = columns[c]->offset_data();
      for (size_t i = 0; i < n; ++i) keys->offsets_[i + 1] += static_cast<size_t>(o[i + 1] - o[i]) + 2 + marker;
    } else {
      for (size_t i = 0; i < n; ++i) keys->offsets_[i + 1] += key_size(*columns[c], static_cast<int64_t>(i), marker);
    }
  }
  for (size_t i = 0; i < n; ++i) keys->offsets_[i + 1] += keys->offsets_[i];
  keys->bytes_.resize(keys->offsets_[n]);
  std::vector<size_t> at(keys->offsets_.begin(), keys->offsets_.end() - 1);
  for (size_t c = 0; c < columns.size(); ++c) {
    if (plain[c]) {
      write_plain_text(parts_[c], *columns[c], keys->bytes_.data(), at.data());
      continue;
    }
    for (size_t i = 0; i < n; ++i) {
      uint8_t* const begin = keys->bytes_.data();
      at[i] = static_cast<size_t>(write_part(parts_[c], *columns[c], static_cast<int64_t>(i), begin + at[i]) - begin);
    }
  }
}

void KeyEncoder::append_key(std::span<const Column* const> columns, int64_t row, std::string& out) const {
  RUNINK_CHECK(columns.size() == parts_.size());
  for (size_t c = 0; c < columns.size(); ++c) {
    const size_t at = out.size();
    out.resize(at + key_size(*columns[c], row, parts_[c].nullable));
    write_part(parts_[c], *columns[c], row, reinterpret_cast<uint8_t*>(out.data()) + at);
  }
}

}  // namespace runink::columnar
