// Validity bitmaps and byte masks.
#include <bit>

#include "data/columnar/kernels.h"

namespace runink::columnar {

namespace {

// 8 bits spread to 8 bytes of 0 or 1, and back.
uint64_t spread(uint8_t bits) {
  const uint64_t copies = bits * 0x0101010101010101ULL;
  const uint64_t one_each = copies & 0x8040201008040201ULL;
  return (one_each + 0x7F7F7F7F7F7F7F7FULL) >> 7 & 0x0101010101010101ULL;
}
uint8_t gathered(uint64_t bytes) {
  // A byte that is not 0 gets its top bit; the multiplication then brings bit i of byte i together in the top byte.
  const uint64_t low7 = bytes & 0x7F7F7F7F7F7F7F7FULL;
  const uint64_t set = ((low7 + 0x7F7F7F7F7F7F7F7FULL) | bytes) >> 7 & 0x0101010101010101ULL;
  return static_cast<uint8_t>(set * 0x0102040810204080ULL >> 56);
}

void clear_tail(uint8_t* bits, int64_t length) {
  if (length % 8 != 0) bits[length / 8] = static_cast<uint8_t>(bits[length / 8] & ((1 << (length % 8)) - 1));
}

}  // namespace

BufferPtr and_validity(const BufferPtr& a, const BufferPtr& b, int64_t length) {
  if (!a || a == b) return b;
  if (!b) return a;
  const size_t n = bitmap_bytes(length);
  BufferPtr out = make_buffer(n);
  for (size_t i = 0; i < n; ++i) out->data()[i] = a->data()[i] & b->data()[i];
  return out;
}

BufferPtr or_validity(const BufferPtr& a, const BufferPtr& b, int64_t length) {
  if (!a || !b) return nullptr;
  if (a == b) return a;
  const size_t n = bitmap_bytes(length);
  BufferPtr out = make_buffer(n);
  for (size_t i = 0; i < n; ++i) out->data()[i] = a->data()[i] | b->data()[i];
  return out;
}

BufferPtr not_bitmap(const BufferPtr& bits, int64_t length) {
  const size_t n = bitmap_bytes(length);
  BufferPtr out = make_buffer(n);
  if (!bits) {
    out->zero();
    return out;
  }
  for (size_t i = 0; i < n; ++i) out->data()[i] = static_cast<uint8_t>(~bits->data()[i]);
  clear_tail(out->data(), length);
  return out;
}

void bits_to_bytes(const uint8_t* bits, int64_t length, uint8_t* bytes) {
  int64_t i = 0;
  for (; i + 8 <= length; i += 8) {
    const uint64_t eight = spread(bits[i >> 3]);
    std::memcpy(bytes + i, &eight, 8);
  }
  for (; i < length; ++i) bytes[i] = get_bit(bits, i);
}

void bytes_to_bits(const uint8_t* bytes, int64_t length, uint8_t* bits) {
  int64_t i = 0;
  for (; i + 8 <= length; i += 8) {
    uint64_t eight;
    std::memcpy(&eight, bytes + i, 8);
    bits[i >> 3] = gathered(eight);
  }
  if (i < length) {
    uint8_t last = 0;
    for (int64_t j = i; j < length; ++j) {
      if (bytes[j] != 0) last = static_cast<uint8_t>(last | 1u << (j - i));
    }
    bits[i >> 3] = last;
  }
}

int64_t count_bits(const uint8_t* bits, int64_t length) {
  int64_t count = 0, i = 0;
  for (; i + 64 <= length; i += 64) {
    uint64_t word;
    std::memcpy(&word, bits + i / 8, 8);
    count += std::popcount(word);
  }
  for (; i < length; ++i) count += get_bit(bits, i);
  return count;
}

void validity_to_bytes(const Column& column, uint8_t* bytes) {
  if (column.length == 0) return;  // `bytes` may be null then
  if (column.type.id() == TypeId::kNull) {
    std::memset(bytes, 0, static_cast<size_t>(column.length));
  } else if (!column.validity) {
    std::memset(bytes, 1, static_cast<size_t>(column.length));
  } else {
    bits_to_bytes(column.validity->data(), column.length, bytes);
  }
}

BufferPtr validity_from_bytes(const uint8_t* bytes, int64_t length) {
  if (length == 0 || std::memchr(bytes, 0, static_cast<size_t>(length)) == nullptr) return nullptr;
  BufferPtr out = make_buffer(bitmap_bytes(length));
  bytes_to_bits(bytes, length, out->data());
  return out;
}

int64_t count_mask(const uint8_t* mask, int64_t length) {
  int64_t count = 0;
  for (int64_t i = 0; i < length; ++i) count += mask[i] != 0;
  return count;
}

int64_t rows_of_mask(const uint8_t* mask, int64_t length, int32_t* rows) {
  int64_t count = 0, i = 0;
  for (; i + 8 <= length; i += 8) {
    uint64_t eight;
    std::memcpy(&eight, mask + i, 8);
    if (eight == 0) continue;
    if (eight == 0x0101010101010101ULL) {  // the usual case: all stay
      for (int64_t j = 0; j < 8; ++j) rows[count + j] = static_cast<int32_t>(i + j);
      count += 8;
      continue;
    }
    for (int64_t j = 0; j < 8; ++j) {
      // Written always, kept only if the byte is not 0; count <= i + j, so this stays inside the caller's room.
      rows[count] = static_cast<int32_t>(i + j);
      count += mask[i + j] != 0;
    }
  }
  for (; i < length; ++i) {
    if (mask[i] != 0) rows[count++] = static_cast<int32_t>(i);
  }
  return count;
}

std::vector<int32_t> rows_of_mask(const uint8_t* mask, int64_t length) {
  std::vector<int32_t> rows(static_cast<size_t>(length));
  rows.resize(static_cast<size_t>(rows_of_mask(mask, length, rows.data())));
  return rows;
}

}  // namespace runink::columnar
