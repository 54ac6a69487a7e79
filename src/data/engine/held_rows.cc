#include "data/engine/held_rows.h"

#include <algorithm>
#include <numeric>

#include "data/columnar/kernels.h"

namespace runink::engine {

using columnar::kBatchRows;
using columnar::RowKeys;
using columnar::RowOrigin;

namespace {
class BatchesReader final : public MorselReader {
 public:
  Result<ReadReport> read(const Morsel& morsel, const std::function<Status(Batch&&)>& emit) override {
    ReadReport report;
    for (const auto& batch : morsel.batches) {
      report.records += static_cast<uint64_t>(batch.rows);
      Batch copy = batch;
      RUNINK_RETURN_IF_ERROR(emit(std::move(copy)));
    }
    return report;
  }
};
}  // namespace

std::unique_ptr<MorselReader> make_batches_reader() { return std::make_unique<BatchesReader>(); }

BatchList::BatchList(std::vector<Batch> batches) {
  auto all = std::make_shared<std::vector<Batch>>(std::move(batches));
  next_ = [all, i = size_t{0}]() mutable -> Result<std::optional<Batch>> {
    if (i == all->size()) return std::optional<Batch>();
    return std::optional<Batch>(std::move((*all)[i++]));
  };
}
Result<std::optional<Morsel>> BatchList::next() {
  Morsel morsel;
  int64_t rows = 0;
  // A few batches per morsel, so that turnstiles are passed less often.
  while (rows < 4 * kBatchRows) {
    auto batch = RUNINK_TRY(next_());
    if (!batch) break;
    rows += batch->rows;
    if (batch->rows > 0) morsel.batches.push_back(std::move(*batch));
  }
  if (morsel.batches.empty()) return std::optional<Morsel>();
  return std::optional<Morsel>(std::move(morsel));
}

// ---- RowCollector -----------------------------------------------------------------------------------------------------

void RowCollector::append(const Batch& batch, int64_t first, int64_t count) {
  for (size_t c = 0; c < batch.columns.size(); ++c) builder_.column(c).append_rows(batch.columns[c], first, count);
  rows_ += count;
  if (batch.rows > 0) bytes_ += batch.byte_size() * static_cast<size_t>(count) / static_cast<size_t>(batch.rows);
  if (!batch.origin) return;
  if (!origin_) origin_ = std::make_shared<RowOrigin>();
  auto& o = *origin_;
  for (int64_t r = first; r < first + count; ++r) {
    const std::string_view bytes = batch.origin->bytes(r);
    o.offset.push_back(static_cast<uint32_t>(o.kept.size()));
    o.length.push_back(static_cast<uint32_t>(bytes.size()));
    o.kept += bytes;
    o.source_of.push_back(batch.origin->source(r));
    o.position_of.push_back(batch.origin->position(r));
    o.line_of.push_back(batch.origin->line_number(r));
    o.verbatim.push_back(batch.origin->verbatim.empty() ? 0 : batch.origin->verbatim[static_cast<size_t>(r)]);
  }
}
Batch RowCollector::finish() {
  Batch out;
  out.schema = schema_;
  out.rows = rows_;
  for (size_t c = 0; c < schema_->size(); ++c) out.columns.push_back(builder_.column(c).finish());
  if (origin_ && origin_->rows() == static_cast<size_t>(rows_)) out.origin = std::move(origin_);
  origin_.reset();
  rows_ = 0;
  bytes_ = 0;
  return out;
}

// ---- RunFile ------------------------------------------------------------------------------------------------------------

Status RunFile::begin_run() {
  if (!file_.fd().valid()) file_ = RUNINK_TRY_CONTEXT(os::SpillFile::create(folder_), "create a spill file");
  writer_.emplace(file_.fd().get(), schema_);
  runs_.push_back({written_, 0});
  return {};
}
Status RunFile::write(const Batch& batch) {
  ++runs_.back().batches;
  return writer_->write(batch).with_context("spill rows to disk");
}
Status RunFile::end_run() {
  RUNINK_RETURN_IF_ERROR(writer_->flush().with_context("spill rows to disk"));
  written_ += writer_->bytes_written();
  bytes_ = written_;
  writer_.reset();
  return {};
}
BatchList::Next RunFile::read_run(size_t run) const {
  auto reader = std::make_shared<columnar::SpillReader>(file_.fd().get(), schema_, runs_[run].position);
  return [reader, left = runs_[run].batches]() mutable -> Result<std::optional<Batch>> {
    if (left == 0) return std::optional<Batch>();
    --left;
    auto batch = RUNINK_TRY_CONTEXT(reader->next(), "read spilled rows");
    if (!batch) return data_loss("a spill file ended before its last rows");
    return batch;
  };
}

// ---- RowQueue -----------------------------------------------------------------------------------------------------------

Status RowQueue::add(Batch batch) {
  memory_ += batch.byte_size() + columnar::origin_byte_size(batch.origin);
  batches_.push_back(std::move(batch));
  if (memory_ <= memory_max_) return {};
  if (!spilled_) RUNINK_RETURN_IF_ERROR(file_.begin_run());
  spilled_ = true;
  for (const auto& b : batches_) RUNINK_RETURN_IF_ERROR(file_.write(b));
  batches_.clear();
  memory_ = 0;
  return {};
}
Status RowQueue::finish() {
  if (!spilled_) return {};
  for (const auto& b : batches_) RUNINK_RETURN_IF_ERROR(file_.write(b));
  batches_.clear();
  return file_.end_run();
}
BatchList::Next RowQueue::reread() const {
  if (spilled_) return file_.read_run(0);
  return [this, i = size_t{0}]() mutable -> Result<std::optional<Batch>> {
    if (i == batches_.size()) return std::optional<Batch>();
    return std::optional<Batch>(batches_[i++]);
  };
}
BatchList::Next RowQueue::read() {
  if (spilled_) return file_.read_run(0);
  return [this]() -> Result<std::optional<Batch>> {
    if (next_ == batches_.size()) return std::optional<Batch>();
    return std::optional<Batch>(std::move(batches_[next_++]));
  };
}

// ---- ExternalSorter -----------------------------------------------------------------------------------------------------

ExternalSorter::ExternalSorter(std::string folder, SchemaPtr schema, std::vector<Key> keys, uint64_t memory_bytes_max,
                               std::optional<uint64_t> keep)
    : folder_(std::move(folder)), schema_(std::move(schema)), keys_(std::move(keys)), memory_max_(memory_bytes_max),
      keep_(keep) {
  std::vector<columnar::KeyPart> parts;
  for (const auto& k : keys_) {
    const auto& field = schema_->field(k.column);
    parts.push_back({field.type, k.descending, true});
  }
  encoder_ = columnar::KeyEncoder(std::move(parts));
}

RowKeys ExternalSorter::keys_of(const Batch& batch) const {
  std::vector<const columnar::Column*> columns;
  for (const auto& k : keys_) columns.push_back(&batch.columns[k.column]);
  RowKeys keys;
  encoder_.encode(columns, &keys);
  return keys;
}

Status ExternalSorter::add(Batch batch) {
  rows_ += static_cast<uint64_t>(batch.rows);
  const uint64_t bytes = batch.byte_size() + columnar::origin_byte_size(batch.origin);
  batch_bytes_max_ = std::max(batch_bytes_max_, bytes);
  memory_ += bytes + static_cast<uint64_t>(batch.rows) * 16;
  batches_.push_back(std::move(batch));
  // Sorting puts the rows together into one batch and gathers from it: about three times their size at the peak.
  if (memory_ * 3 < memory_max_) return {};
  if (keep_ && !runs_) {
    // Only the first few are wanted: what cannot be among them is let go instead of spilled.
    Batch sorted = RUNINK_TRY(sorted_memory());
    memory_ = sorted.byte_size() + columnar::origin_byte_size(sorted.origin) + static_cast<uint64_t>(sorted.rows) * 16;
    batches_.clear();
    batches_.push_back(std::move(sorted));
    if (memory_ * 6 < memory_max_) return {};
  }
  return spill();
}

// The rows in memory, as one sorted batch.
Result<Batch> ExternalSorter::sorted_memory() {
  Batch all = batches_.size() == 1 ? std::move(batches_[0]) : RUNINK_TRY(columnar::concat(std::span<const Batch>(batches_)));
  batches_.clear();
  const RowKeys keys = keys_of(all);
  struct Entry { uint64_t prefix; int32_t row; };
  std::vector<Entry> order(static_cast<size_t>(all.rows));
  for (int64_t r = 0; r < all.rows; ++r) {
    const std::string_view key = keys[r];
    uint64_t prefix = 0;
    for (size_t i = 0; i < 8; ++i) prefix = (prefix << 8) | (i < key.size() ? static_cast<uint8_t>(key[i]) : 0);
    order[static_cast<size_t>(r)] = {prefix, static_cast<int32_t>(r)};
  }
  const auto less = [&](const Entry& a, const Entry& b) {
    if (a.prefix != b.prefix) return a.prefix < b.prefix;
    const int c = keys[a.row].compare(keys[b.row]);
    return c != 0 ? c < 0 : a.row < b.row;
  };
  if (keep_ && *keep_ < order.size()) {
    std::partial_sort(order.begin(), order.begin() + static_cast<int64_t>(*keep_), order.end(), less);
    order.resize(*keep_);
  } else {
    std::sort(order.begin(), order.end(), less);
  }
  std::vector<int32_t> rows(order.size());
  for (size_t i = 0; i < order.size(); ++i) rows[i] = order[i].row;
  std::vector<Entry>().swap(order);
  return columnar::gather(all, rows);
}

Status ExternalSorter::spill() {
  Batch sorted = RUNINK_TRY(sorted_memory());
  if (!runs_) runs_ = std::make_shared<RunFile>(folder_, schema_);
  RUNINK_RETURN_IF_ERROR(runs_->begin_run());
  for (int64_t first = 0; first < sorted.rows; first += kBatchRows) {
    RUNINK_RETURN_IF_ERROR(runs_->write(columnar::slice(sorted, first, std::min(kBatchRows, sorted.rows - first))));
  }
  RUNINK_RETURN_IF_ERROR(runs_->end_run());
  spilled_ = std::max(spilled_, runs_->bytes());
  memory_ = 0;
  return {};
}

struct ExternalSorter::Cursor {
  BatchList::Next next;
  Batch batch;
  RowKeys keys;
  int64_t row = 0;
  bool done = false;
  std::string_view key() const { return keys[row]; }
};

Result<BatchList::Next> ExternalSorter::merge(std::shared_ptr<RunFile> file, size_t first, size_t count) {
  auto cursors = std::make_shared<std::vector<Cursor>>(count);
  for (size_t i = 0; i < count; ++i) {
    auto& c = (*cursors)[i];
    c.next = file->read_run(first + i);
    auto batch = RUNINK_TRY(c.next());
    c.done = !batch;
    if (batch) {
      c.batch = std::move(*batch);
      c.keys = keys_of(c.batch);
    }
  }
  // A heap of cursors; the lowest key first, and of equal keys the earlier run, which keeps the sort stable.
  auto heap = std::make_shared<std::vector<size_t>>();
  const auto after = [cursors](size_t a, size_t b) {
    const int c = (*cursors)[a].key().compare((*cursors)[b].key());
    return c != 0 ? c > 0 : a > b;
  };
  for (size_t i = 0; i < count; ++i) {
    if (!(*cursors)[i].done) heap->push_back(i);
  }
  std::make_heap(heap->begin(), heap->end(), after);
  return BatchList::Next([this, file, cursors, heap, after]() -> Result<std::optional<Batch>> {
    if (heap->empty()) return std::optional<Batch>();
    RowCollector out(schema_);
    while (!heap->empty() && out.rows() < kBatchRows && out.bytes() < (8u << 20)) {
      std::pop_heap(heap->begin(), heap->end(), after);
      Cursor& c = (*cursors)[heap->back()];
      // Rows of this run go on as long as they stand before all others.
      int64_t end = c.row + 1;
      if (heap->size() == 1) {
        end = std::min(c.batch.rows, c.row + (kBatchRows - out.rows()));
      } else {
        const size_t rival = heap->front();
        const size_t self = heap->back();
        const std::string_view bound = (*cursors)[rival].key();
        while (end < c.batch.rows && out.rows() + (end - c.row) < kBatchRows) {
          const int cmp = c.keys[end].compare(bound);
          if (cmp > 0 || (cmp == 0 && self > rival)) break;
          ++end;
        }
      }
      out.append(c.batch, c.row, end - c.row);
      c.row = end;
      if (c.row == c.batch.rows) {
        auto next = RUNINK_TRY(c.next());
        if (!next) {
          c.done = true;
          c.batch = Batch();
          heap->pop_back();
          continue;
        }
        c.batch = std::move(*next);
        c.keys = keys_of(c.batch);
        c.row = 0;
      }
      std::push_heap(heap->begin(), heap->end(), after);
    }
    return std::optional<Batch>(out.finish());
  });
}

Result<BatchList::Next> ExternalSorter::finish() {
  BatchList::Next rows;
  if (!runs_) {
    if (batches_.empty()) return BatchList::Next([]() -> Result<std::optional<Batch>> { return std::optional<Batch>(); });
    auto sorted = std::make_shared<Batch>(RUNINK_TRY(sorted_memory()));
    rows = [sorted, at = int64_t{0}]() mutable -> Result<std::optional<Batch>> {
      if (at >= sorted->rows) return std::optional<Batch>();
      Batch part = columnar::slice(*sorted, at, std::min(kBatchRows, sorted->rows - at));
      at += part.rows;
      return std::optional<Batch>(std::move(part));
    };
  } else {
    if (!batches_.empty()) RUNINK_RETURN_IF_ERROR(spill());
    // As many runs at once as their batches (and their keys) fit the share; more than that are merged in passes.
    const size_t fan_in = std::clamp<size_t>(memory_max_ / (2 * std::max<uint64_t>(batch_bytes_max_, 4096)), 4, 128);
    while (runs_->runs() > fan_in) {
      auto merged = std::make_shared<RunFile>(folder_, schema_);
      for (size_t first = 0; first < runs_->runs(); first += fan_in) {
        auto next = RUNINK_TRY(merge(runs_, first, std::min(fan_in, runs_->runs() - first)));
        RUNINK_RETURN_IF_ERROR(merged->begin_run());
        for (;;) {
          auto batch = RUNINK_TRY(next());
          if (!batch) break;
          RUNINK_RETURN_IF_ERROR(merged->write(*batch));
        }
        RUNINK_RETURN_IF_ERROR(merged->end_run());
      }
      spilled_ += merged->bytes();
      runs_ = std::move(merged);
    }
    rows = RUNINK_TRY(merge(runs_, 0, runs_->runs()));
  }
  if (!keep_) return rows;
  return BatchList::Next([rows, left = *keep_]() mutable -> Result<std::optional<Batch>> {
    if (left == 0) return std::optional<Batch>();
    auto batch = RUNINK_TRY(rows());
    if (batch && static_cast<uint64_t>(batch->rows) > left) *batch = columnar::slice(*batch, 0, static_cast<int64_t>(left));
    if (batch) left -= static_cast<uint64_t>(batch->rows);
    return batch;
  });
}

}  // namespace runink::engine
