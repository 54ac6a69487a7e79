// Where rows came from: choosing, keeping and joining origins.
#include <limits>

#include "base/check.h"
#include "data/columnar/kernels.h"
#include "data/columnar/origin_internal.h"

namespace runink::columnar {

namespace {

template <typename T>
std::vector<T> chosen(const std::vector<T>& from, std::span<const int32_t> rows) {
  if (from.empty()) return {};
  std::vector<T> out(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) out[i] = from[static_cast<size_t>(rows[i])];
  return out;
}

// Whether row i was read from the same bytes as the row before it (a join repeats rows): they then share one copy.
bool repeats(const RowOrigin& from, size_t i) {
  return i > 0 && from.offset[i] == from.offset[i - 1] && from.length[i] == from.length[i - 1];
}

// Appends the rows of `from` in kept form. False when the bytes would not fit 32-bit offsets.
bool append_kept(const RowOrigin& from, bool lines_known, RowOrigin* to) {
  size_t bytes = to->kept.size();
  for (size_t i = 0; i < from.rows(); ++i) bytes += repeats(from, i) ? 0 : from.length[i];
  if (bytes > std::numeric_limits<uint32_t>::max()) return false;
  to->kept.reserve(bytes);
  const size_t before = to->rows();
  const bool any_verbatim = !from.verbatim.empty() || !to->verbatim.empty();
  for (size_t i = 0; i < from.rows(); ++i) {
    const auto row = static_cast<int64_t>(i);
    if (repeats(from, i)) {
      to->offset.push_back(to->offset.back());
    } else {
      to->offset.push_back(static_cast<uint32_t>(to->kept.size()));
      to->kept += from.bytes(row);
    }
    to->length.push_back(from.length[i]);
    to->source_of.push_back(from.source(row));
    to->position_of.push_back(from.position(row));
    to->line_of.push_back(from.chunk && !lines_known ? 0 : from.line_number(row));
  }
  if (any_verbatim) {
    to->verbatim.resize(before, 0);
    if (from.verbatim.empty()) to->verbatim.resize(to->rows(), 0);
    else to->verbatim.insert(to->verbatim.end(), from.verbatim.begin(), from.verbatim.end());
  }
  return true;
}

}  // namespace

RowOriginPtr gather_origin(const RowOriginPtr& origin, std::span<const int32_t> rows) {
  if (!origin) return nullptr;
  auto out = std::make_shared<RowOrigin>();
  out->verbatim = chosen(origin->verbatim, rows);
  out->length = chosen(origin->length, rows);
  if (origin->chunk) {
    out->chunk = origin->chunk;
    out->offset = chosen(origin->offset, rows);
    out->line = chosen(origin->line, rows);
    return out;
  }
  out->source_of = chosen(origin->source_of, rows);
  out->position_of = chosen(origin->position_of, rows);
  out->line_of = chosen(origin->line_of, rows);
  size_t bytes = 0;
  for (uint32_t length : out->length) bytes += length;
  if (bytes > origin->kept.size()) {
    // Rows repeat: they share their bytes, so that a join cannot make this grow.
    out->offset = chosen(origin->offset, rows);
    out->kept = origin->kept;
    return out;
  }
  out->kept.reserve(bytes);
  out->offset.reserve(rows.size());
  for (int32_t row : rows) {
    out->offset.push_back(static_cast<uint32_t>(out->kept.size()));
    out->kept += origin->bytes(row);
  }
  return out;
}

RowOriginPtr materialise_origin(const RowOriginPtr& origin, bool lines_known) {
  if (!origin || !origin->chunk) return origin;
  auto out = std::make_shared<RowOrigin>();
  // A chunk is smaller than 4 GiB, its rows do not overlap, and rows that a join repeats follow one another.
  RUNINK_CHECK(append_kept(*origin, lines_known, out.get()));
  return out;
}

Batch materialise_origin(Batch batch, bool lines_known) {
  batch.origin = materialise_origin(batch.origin, lines_known);
  return batch;
}

size_t origin_byte_size(const RowOriginPtr& origin) {
  if (!origin) return 0;
  const auto& o = *origin;
  return sizeof(RowOrigin) + o.kept.capacity() + o.verbatim.capacity() +
         4 * (o.offset.capacity() + o.length.capacity() + o.line.capacity() + o.source_of.capacity()) +
         8 * (o.position_of.capacity() + o.line_of.capacity());
}

Result<RowOriginPtr> concat_origins(std::span<const Batch> batches) {
  bool one_chunk = true;
  for (const auto& batch : batches) {
    if (!batch.origin) return RowOriginPtr();
    one_chunk = one_chunk && batch.origin->chunk && batch.origin->chunk == batches[0].origin->chunk;
  }
  auto out = std::make_shared<RowOrigin>();
  if (one_chunk) out->chunk = batches[0].origin->chunk;
  for (const auto& batch : batches) {
    const RowOrigin& from = *batch.origin;
    if (!one_chunk) {
      if (!append_kept(from, true, out.get())) {
        return resource_exhausted("the records of {} batches to join together take more than 4 GiB", batches.size());
      }
      continue;
    }
    const size_t before = out->rows();
    out->offset.insert(out->offset.end(), from.offset.begin(), from.offset.end());
    out->length.insert(out->length.end(), from.length.begin(), from.length.end());
    out->line.insert(out->line.end(), from.line.begin(), from.line.end());
    if (!from.verbatim.empty()) {
      out->verbatim.resize(before, 0);
      out->verbatim.insert(out->verbatim.end(), from.verbatim.begin(), from.verbatim.end());
    } else if (!out->verbatim.empty()) {
      out->verbatim.resize(out->rows(), 0);
    }
  }
  return RowOriginPtr(out);
}

}  // namespace runink::columnar
