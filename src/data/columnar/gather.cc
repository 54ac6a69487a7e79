// Choosing rows of columns and batches.
#include <numeric>

#include "base/check.h"
#include "data/columnar/builder.h"
#include "data/columnar/kernels.h"

namespace runink::columnar {

namespace {

template <typename T>
void gather_fixed(const uint8_t* from, std::span<const int32_t> rows, uint8_t* to) {
  const T* in = reinterpret_cast<const T*>(from);
  T* out = reinterpret_cast<T*>(to);
  for (size_t i = 0; i < rows.size(); ++i) out[i] = in[rows[i]];
}

void gather_fixed(int width, const uint8_t* from, std::span<const int32_t> rows, uint8_t* to) {
  switch (width) {
    case 1: gather_fixed<uint8_t>(from, rows, to); break;
    case 2: gather_fixed<uint16_t>(from, rows, to); break;
    case 4: gather_fixed<uint32_t>(from, rows, to); break;
    case 8: gather_fixed<uint64_t>(from, rows, to); break;
    default: gather_fixed<unsigned __int128>(from, rows, to); break;
  }
}

// The rows from the first up to the last, one after the other?
bool is_contiguous(std::span<const int32_t> rows) {
  if (rows.empty() || static_cast<size_t>(rows.back() - rows.front()) != rows.size() - 1) return false;
  for (size_t i = 1; i < rows.size(); ++i) {
    if (rows[i] != rows[i - 1] + 1) return false;
  }
  return true;
}

BufferPtr gather_validity(const Column& column, std::span<const int32_t> rows) {
  if (!column.validity) return nullptr;
  const uint8_t* bits = column.validity->data();
  BufferPtr out = make_buffer(bitmap_bytes(static_cast<int64_t>(rows.size())));
  out->zero();
  bool any_null = false;
  for (size_t i = 0; i < rows.size(); ++i) {
    const bool valid = get_bit(bits, rows[i]);
    any_null |= !valid;
    out->data()[i >> 3] = static_cast<uint8_t>(out->data()[i >> 3] | static_cast<unsigned>(valid) << (i & 7));
  }
  return any_null ? out : nullptr;
}

Column gather_text(const Column& column, std::span<const int32_t> rows) {
  Column out;
  out.type = column.type;
  out.length = static_cast<int64_t>(rows.size());
  out.offsets = make_buffer((rows.size() + 1) * sizeof(int32_t));
  const int32_t* o = column.offset_data();
  auto* to = out.offsets->as<int32_t>();
  size_t total = 0;
  to[0] = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    total += static_cast<size_t>(o[rows[i] + 1] - o[rows[i]]);
    to[i + 1] = static_cast<int32_t>(total);
  }
  RUNINK_CHECK(total <= ColumnBuilder::kMaxTextBytes);
  out.values = make_buffer(total);
  const uint8_t* from = column.values->data();
  uint8_t* bytes = out.values->data();
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto size = static_cast<size_t>(o[rows[i] + 1] - o[rows[i]]);
    const uint8_t* text = from + o[rows[i]];
    if (size <= 16) {
      std::memcpy(bytes + to[i], text, 16);  // both buffers have 64 bytes to spare; what is written past is overwritten
    } else {
      std::memcpy(bytes + to[i], text, size);
    }
  }
  out.validity = gather_validity(column, rows);
  return out;
}

Column gather_list(const Column& column, std::span<const int32_t> rows) {
  Column out;
  out.type = column.type;
  out.length = static_cast<int64_t>(rows.size());
  out.offsets = make_buffer((rows.size() + 1) * sizeof(int32_t));
  const int32_t* o = column.offset_data();
  auto* to = out.offsets->as<int32_t>();
  std::vector<int32_t> elements;
  to[0] = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    for (int32_t e = o[rows[i]]; e < o[rows[i] + 1]; ++e) elements.push_back(e);
    RUNINK_CHECK(elements.size() <= ColumnBuilder::kMaxTextBytes);
    to[i + 1] = static_cast<int32_t>(elements.size());
  }
  out.children.push_back(gather(column.children[0], elements));
  out.validity = gather_validity(column, rows);
  return out;
}

}  // namespace

Column gather(const Column& column, std::span<const int32_t> rows) {
  if (column.type.is_text()) return gather_text(column, rows);
  if (column.type.id() == TypeId::kList) return gather_list(column, rows);
  Column out;
  out.type = column.type;
  out.length = static_cast<int64_t>(rows.size());
  if (column.type.id() == TypeId::kNull) return out;
  out.validity = gather_validity(column, rows);
  if (column.type.id() == TypeId::kStruct) {
    for (const auto& child : column.children) out.children.push_back(gather(child, rows));
    return out;
  }
  const int width = column.type.width();
  out.values = make_buffer(rows.size() * static_cast<size_t>(width));
  gather_fixed(width, column.values->data(), rows, out.values->data());
  return out;
}

Column gather_or_null(const Column& column, std::span<const int32_t> rows) {
  bool any_null = false;
  for (int32_t row : rows) any_null |= row < 0;
  if (!any_null) return gather(column, rows);
  if (column.length == 0) return make_null_column(column.type, static_cast<int64_t>(rows.size()));
  // Text of null rows must stay small, so they all take the shortest row of the column.
  int32_t stand_in = 0;
  if (column.offsets) {
    const int32_t* o = column.offset_data();
    for (int32_t i = 0; i < column.length && o[stand_in + 1] != o[stand_in]; ++i) {
      if (o[i + 1] - o[i] < o[stand_in + 1] - o[stand_in]) stand_in = i;
    }
    if (o[stand_in + 1] - o[stand_in] > 64) {  // no short row: the slower way
      ColumnBuilder builder(column.type, static_cast<int64_t>(rows.size()));
      for (int32_t row : rows) {
        if (row < 0) builder.append_null();
        else builder.append_from(column, row);
      }
      return builder.finish();
    }
  }
  std::vector<int32_t> present(rows.begin(), rows.end());
  for (auto& row : present) row = row < 0 ? stand_in : row;
  Column out = gather(column, present);
  if (out.type.id() == TypeId::kNull) return out;
  if (!out.validity) {
    out.validity = make_buffer(bitmap_bytes(out.length));
    std::memset(out.validity->data(), 0xFF, out.validity->size());
  }
  for (size_t i = 0; i < rows.size(); ++i) {
    if (rows[i] < 0) clear_bit(out.validity->data(), static_cast<int64_t>(i));
  }
  return out;
}

size_t gather_fits(std::span<const Column> columns, std::span<const int32_t> rows, size_t bytes_max) {
  size_t fits = rows.size();
  for (const auto& column : columns) {
    for (const auto& child : column.children) {
      if (column.type.id() == TypeId::kStruct) fits = gather_fits({&child, 1}, rows.first(fits), bytes_max);
    }
    if (!column.offsets) continue;
    const int32_t* o = column.offset_data();
    size_t total = 0;
    // An element of a list may itself hold text: its share of the child's bytes is bounded by the whole child.
    const bool nested = column.type.id() == TypeId::kList && !column.children[0].type.width();
    for (size_t i = 0; i < fits; ++i) {
      if (rows[i] < 0) continue;
      const int32_t begin = o[rows[i]], end = o[rows[i] + 1];
      total += static_cast<size_t>(end - begin);
      if (nested && end > begin) {
        std::vector<int32_t> elements(static_cast<size_t>(end - begin));
        std::iota(elements.begin(), elements.end(), begin);
        const Column& child = column.children[0];
        if (child.type.is_text()) total += static_cast<size_t>(child.offset_data()[end] - child.offset_data()[begin]);
        else total += child.byte_size() / static_cast<size_t>(child.length) * elements.size();
      }
      if (total > bytes_max) {
        fits = i;
        break;
      }
    }
  }
  return fits == 0 && !rows.empty() ? 1 : fits;
}

Batch gather(const Batch& batch, std::span<const int32_t> rows) {
  if (is_contiguous(rows)) return slice(batch, rows.front(), static_cast<int64_t>(rows.size()));
  Batch out;
  out.schema = batch.schema;
  out.rows = static_cast<int64_t>(rows.size());
  out.columns.reserve(batch.columns.size());
  for (const auto& column : batch.columns) out.columns.push_back(gather(column, rows));
  out.origin = gather_origin(batch.origin, rows);
  return out;
}

Batch filter(const Batch& batch, const uint8_t* mask) {
  const std::vector<int32_t> rows = rows_of_mask(mask, batch.rows);
  if (static_cast<int64_t>(rows.size()) == batch.rows) return batch;
  return gather(batch, rows);
}

Column slice(const Column& column, int64_t first, int64_t count) {
  RUNINK_CHECK(first >= 0 && count >= 0 && first + count <= column.length);
  Column out;
  out.type = column.type;
  out.length = count;
  if (column.validity) {
    const uint8_t* bits = column.validity->data();
    out.validity = make_buffer(bitmap_bytes(count));
    uint8_t* to = out.validity->data();
    if (first % 8 == 0) {
      std::memcpy(to, bits + first / 8, bitmap_bytes(count));
    } else {
      const int shift = static_cast<int>(first % 8);
      const auto bytes = static_cast<int64_t>(bitmap_bytes(count));
      for (int64_t i = 0; i < bytes; ++i) {  // reads at most one byte past the bitmap, inside the padding
        to[i] = static_cast<uint8_t>(bits[first / 8 + i] >> shift | bits[first / 8 + i + 1] << (8 - shift));
      }
    }
    if (count_bits(to, count) == count) out.validity = nullptr;
  }
  if (column.offsets) {
    const int32_t* o = column.offset_data();
    const int32_t begin = o[first], end = o[first + count];
    out.offsets = make_buffer(static_cast<size_t>(count + 1) * sizeof(int32_t));
    auto* to = out.offsets->as<int32_t>();
    for (int64_t i = 0; i <= count; ++i) to[i] = o[first + i] - begin;
    if (column.type.id() == TypeId::kList) {
      out.children.push_back(slice(column.children[0], begin, end - begin));
    } else {
      out.values = make_buffer(static_cast<size_t>(end - begin));
      std::memcpy(out.values->data(), column.values->data() + begin, static_cast<size_t>(end - begin));
    }
  } else if (column.type.id() == TypeId::kStruct) {
    for (const auto& child : column.children) out.children.push_back(slice(child, first, count));
  } else if (const auto width = static_cast<size_t>(column.type.width()); width > 0) {
    out.values = make_buffer(width * static_cast<size_t>(count));
    std::memcpy(out.values->data(), column.values->data() + width * static_cast<size_t>(first), out.values->size());
  }
  return out;
}

Batch slice(const Batch& batch, int64_t first, int64_t count) {
  Batch out;
  out.schema = batch.schema;
  out.rows = count;
  out.columns.reserve(batch.columns.size());
  for (const auto& column : batch.columns) out.columns.push_back(slice(column, first, count));
  if (batch.origin) {
    std::vector<int32_t> rows(static_cast<size_t>(count));
    std::iota(rows.begin(), rows.end(), static_cast<int32_t>(first));
    out.origin = gather_origin(batch.origin, rows);
  }
  return out;
}

}  // namespace runink::columnar
