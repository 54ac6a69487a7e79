// Row keys: rows of several columns as byte strings whose memcmp order is the sort order, and hashes of rows.
//
// The order is that of compare_rows(): nulls last (also when descending), NaN after all numbers, -0 equals 0, text by
// bytes, an enum by the place of its label, decimals by value, lists element by element and the shorter first. Two rows
// have the same key exactly if equal_rows() holds for every column, so the same bytes serve as identity for groups,
// joins and deduplication. Keys are stable within one build of the program (spill files), not a format to publish.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "data/columnar/column.h"

namespace runink::columnar {

struct KeyPart {
  DataType type;
  bool descending = false;
  // Field::nullable. When false, the key has no marker for null (one byte shorter); rows must then never be null there.
  bool nullable = true;
};

// Keys of some rows, in one piece of memory. All of one width, or with offsets.
class RowKeys {
 public:
  int64_t rows() const { return rows_; }
  // Not 0 when every key has this width.
  size_t fixed_width() const { return width_; }
  std::string_view operator[](int64_t row) const {
    const auto r = static_cast<size_t>(row);
    const char* base = reinterpret_cast<const char*>(bytes_.data());
    if (width_ != 0) return {base + r * width_, width_};
    return {base + offsets_[r], offsets_[r + 1] - offsets_[r]};
  }
  const uint8_t* bytes() const { return bytes_.data(); }
  size_t byte_size() const { return bytes_.size(); }

 private:
  friend class KeyEncoder;
  int64_t rows_ = 0;
  size_t width_ = 0;
  Buffer bytes_;
  std::vector<size_t> offsets_;
};

// Immutable after construction; encode() may run in several threads at once with different outputs.
class KeyEncoder {
 public:
  KeyEncoder() = default;
  explicit KeyEncoder(std::vector<KeyPart> parts);

  const std::vector<KeyPart>& parts() const { return parts_; }
  bool is_fixed_width() const { return fixed_; }
  size_t fixed_width() const { return fixed_ ? width_ : 0; }

  // columns: one per part, in order, all of the same length. Replaces what `keys` held and reuses its memory.
  void encode(std::span<const Column* const> columns, RowKeys* keys) const;
  // One row, appended.
  void append_key(std::span<const Column* const> columns, int64_t row, std::string& out) const;

 private:
  std::vector<KeyPart> parts_;
  bool fixed_ = true;
  size_t width_ = 0;
};

// One 64-bit hash per row (XXH3 for text and wide keys, a multiply-xorshift mix for one integer), written to `hashes`
// (room for one per row). Equal rows (as above) have equal hashes; integers hash by value whatever their width. All
// columns have `rows` rows; without columns every hash is the same.
void hash_rows(std::span<const Column* const> columns, int64_t rows, uint64_t* hashes);
// Of a key or any bytes (XXH3).
uint64_t hash_bytes(std::string_view bytes);

}  // namespace runink::columnar
