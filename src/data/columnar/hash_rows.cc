// Hashes of rows.
#include <bit>
#include <cmath>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "data/columnar/row_key.h"

namespace runink::columnar {

namespace {

constexpr uint64_t kSeed = 0x9E3779B97F4A7C15ULL;
constexpr uint64_t kNullHash = 0xA0761D6478BD642FULL;

// Two rounds of multiply and xorshift: every bit of the input reaches every bit of the hash.
inline uint64_t mixed(uint64_t v) {
  v = (v ^ (v >> 32)) * 0xD6E8FEB86659FD93ULL;
  v = (v ^ (v >> 32)) * 0xD6E8FEB86659FD93ULL;
  return v ^ (v >> 32);
}
inline uint64_t joined(uint64_t hash, uint64_t next) {
  hash = (std::rotl(hash, 29) ^ next) * kSeed;
  return hash ^ (hash >> 32);
}
inline uint64_t hash_double(double value) {
  if (value == 0) value = 0;  // -0
  if (std::isnan(value)) return mixed(0x7FF8000000000001ULL);
  return mixed(std::bit_cast<uint64_t>(value) ^ kSeed);
}

uint64_t hash_value(const Column& column, int64_t row) {
  if (column.is_null(row)) return kNullHash;
  const auto integer = [&]<typename T>(T) {
    return mixed(static_cast<uint64_t>(static_cast<int64_t>(column.data<T>()[row])) ^ kSeed);
  };
  switch (column.type.id()) {
    case TypeId::kNull: return kNullHash;
    case TypeId::kBool:
    case TypeId::kUInt8: return integer(uint8_t{});
    case TypeId::kInt8: return integer(int8_t{});
    case TypeId::kInt16: return integer(int16_t{});
    case TypeId::kUInt16: return integer(uint16_t{});
    case TypeId::kInt32:
    case TypeId::kDate:
    case TypeId::kEnum: return integer(int32_t{});
    case TypeId::kUInt32: return integer(uint32_t{});
    case TypeId::kInt64:
    case TypeId::kTime:
    case TypeId::kTimestamp:
    case TypeId::kDuration:
    case TypeId::kUInt64: return integer(int64_t{});
    case TypeId::kFloat32: return hash_double(column.data<float>()[row]);
    case TypeId::kFloat64: return hash_double(column.data<double>()[row]);
    case TypeId::kDecimal:
    case TypeId::kUuid: {
      uint64_t halves[2];
      std::memcpy(halves, column.values->data() + 16 * row, 16);
      return joined(mixed(halves[0] ^ kSeed), mixed(halves[1]));
    }
    case TypeId::kString:
    case TypeId::kBytes:
    case TypeId::kJson: return hash_bytes(column.text(row));
    case TypeId::kList: {
      const int32_t* o = column.offset_data();
      uint64_t hash = mixed(static_cast<uint64_t>(o[row + 1] - o[row]));
      for (int32_t i = o[row]; i < o[row + 1]; ++i) hash = joined(hash, hash_value(column.children[0], i));
      return hash;
    }
    case TypeId::kStruct: {
      uint64_t hash = kSeed;
      for (const auto& child : column.children) hash = joined(hash, hash_value(child, row));
      return hash;
    }
  }
  return 0;
}

// `hashes` holds those of the columns before, unless this is the first.
template <typename Hash>
void add_column(int64_t rows, bool first, uint64_t* hashes, Hash&& hash) {
  if (first) {
    for (int64_t i = 0; i < rows; ++i) hashes[i] = hash(i);
  } else {
    for (int64_t i = 0; i < rows; ++i) hashes[i] = joined(hashes[i], hash(i));
  }
}

template <typename T>
void add_integers(const Column& column, int64_t rows, bool first, uint64_t* hashes) {
  const T* values = column.data<T>();
  add_column(rows, first, hashes,
             [&](int64_t i) { return mixed(static_cast<uint64_t>(static_cast<int64_t>(values[i])) ^ kSeed); });
}

}  // namespace

uint64_t hash_bytes(std::string_view bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

void hash_rows(std::span<const Column* const> columns, int64_t rows, uint64_t* hashes) {
  if (columns.empty()) {
    for (int64_t i = 0; i < rows; ++i) hashes[i] = kSeed;
    return;
  }
  for (size_t c = 0; c < columns.size(); ++c) {
    const Column& column = *columns[c];
    const bool first = c == 0;
    if (column.may_have_nulls()) {
      add_column(rows, first, hashes, [&](int64_t i) { return hash_value(column, i); });
      continue;
    }
    switch (column.type.id()) {
      case TypeId::kInt32:
      case TypeId::kDate:
      case TypeId::kEnum: add_integers<int32_t>(column, rows, first, hashes); break;
      case TypeId::kInt64:
      case TypeId::kTime:
      case TypeId::kTimestamp:
      case TypeId::kDuration:
      case TypeId::kUInt64: add_integers<int64_t>(column, rows, first, hashes); break;
      case TypeId::kString:
      case TypeId::kBytes:
      case TypeId::kJson: {
        const int32_t* o = column.offset_data();
        const auto* bytes = column.values->as<char>();
        add_column(rows, first, hashes, [&](int64_t i) {
          return static_cast<uint64_t>(XXH3_64bits(bytes + o[i], static_cast<size_t>(o[i + 1] - o[i])));
        });
        break;
      }
      default: add_column(rows, first, hashes, [&](int64_t i) { return hash_value(column, i); });
    }
  }
}

}  // namespace runink::columnar
