// Columns and batches one after the other.
#include "base/check.h"
#include "data/columnar/builder.h"
#include "data/columnar/kernels.h"
#include "data/columnar/origin_internal.h"

namespace runink::columnar {

namespace {

// Copies `length` bits to a bitmap that is zero from `at` on.
void append_bits(const Column& column, int64_t at, uint8_t* bits) {
  if (column.validity && at % 8 == 0) {
    std::memcpy(bits + at / 8, column.validity->data(), bitmap_bytes(column.length));
    if (column.length % 8 != 0) {
      uint8_t& last = bits[(at + column.length) / 8];
      last = static_cast<uint8_t>(last & ((1 << (column.length % 8)) - 1));
    }
    return;
  }
  for (int64_t i = 0; i < column.length; ++i) {
    if (column.is_valid(i)) set_bit(bits, at + i);
  }
}

}  // namespace

Result<Column> concat(std::span<const Column> columns) {
  RUNINK_CHECK(!columns.empty());
  if (columns.size() == 1) return columns[0];
  Column out;
  out.type = columns[0].type;
  bool nulls = false;
  size_t text_bytes = 0;
  for (const auto& column : columns) {
    out.length += column.length;
    nulls = nulls || column.validity;
    if (column.offsets) text_bytes += static_cast<size_t>(column.offset_data()[column.length]);
  }
  if (text_bytes > ColumnBuilder::kMaxTextBytes) {
    return resource_exhausted("{} columns joined together hold {} bytes of text; a column holds at most 2147483647",
                              columns.size(), text_bytes);
  }
  if (out.type.id() == TypeId::kNull) return out;
  if (nulls) {
    out.validity = make_buffer(bitmap_bytes(out.length));
    out.validity->zero();
    int64_t at = 0;
    for (const auto& column : columns) {
      append_bits(column, at, out.validity->data());
      at += column.length;
    }
  }
  if (out.type.is_text() || out.type.id() == TypeId::kList) {
    out.offsets = make_buffer(static_cast<size_t>(out.length + 1) * sizeof(int32_t));
    auto* to = out.offsets->as<int32_t>();
    *to = 0;
    int32_t base = 0;
    for (const auto& column : columns) {
      const int32_t* o = column.offset_data();
      for (int64_t i = 1; i <= column.length; ++i) *++to = base + o[i];
      base += o[column.length];
    }
  }
  if (out.type.is_text()) {
    out.values = make_buffer(text_bytes);
    size_t at = 0;
    for (const auto& column : columns) {
      const auto size = static_cast<size_t>(column.offset_data()[column.length]);
      if (size > 0) std::memcpy(out.values->data() + at, column.values->data(), size);
      at += size;
    }
  } else if (out.type.id() == TypeId::kList || out.type.id() == TypeId::kStruct) {
    for (size_t child = 0; child < columns[0].children.size(); ++child) {
      std::vector<Column> parts;
      for (const auto& column : columns) parts.push_back(column.children[child]);
      out.children.push_back(RUNINK_TRY(concat(std::span<const Column>(parts))));
    }
  } else {
    const auto width = static_cast<size_t>(out.type.width());
    out.values = make_buffer(width * static_cast<size_t>(out.length));
    uint8_t* to = out.values->data();
    for (const auto& column : columns) {
      const size_t bytes = width * static_cast<size_t>(column.length);
      if (bytes > 0) std::memcpy(to, column.values->data(), bytes);
      to += bytes;
    }
  }
  return out;
}

Result<Batch> concat(std::span<const Batch> batches) {
  RUNINK_CHECK(!batches.empty());
  if (batches.size() == 1) return batches[0];
  Batch out;
  out.schema = batches[0].schema;
  for (const auto& batch : batches) {
    RUNINK_CHECK(batch.columns.size() == batches[0].columns.size());
    out.rows += batch.rows;
  }
  std::vector<Column> parts(batches.size());
  for (size_t c = 0; c < batches[0].columns.size(); ++c) {
    for (size_t b = 0; b < batches.size(); ++b) parts[b] = batches[b].columns[c];
    out.columns.push_back(RUNINK_TRY_CONTEXT(concat(std::span<const Column>(parts)),
                                             fmt::format("join batches, field {}", out.schema->field(c).name)));
  }
  out.origin = RUNINK_TRY(concat_origins(batches));
  return out;
}

}  // namespace runink::columnar
