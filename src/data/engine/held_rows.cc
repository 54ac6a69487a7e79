#include "data/engine/held_rows.h"

#include <algorithm>
#include <numeric>

#include "data/columnar/kernels.h"
#include "platform/os/allocator.h"

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

namespace {
constexpr size_t kMorselBytes = 512 << 10;
}

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
  size_t bytes = 0;
  // A few batches per morsel, so that turnstiles are passed less often.
  while (rows < 4 * kBatchRows && bytes < kMorselBytes) {
    auto batch = RUNINK_TRY(next_());
    if (!batch) break;
    rows += batch->rows;
    bytes += batch->byte_size();
    if (batch->rows > 0) morsel.batches.push_back(std::move(*batch));
  }
  if (morsel.batches.empty()) return std::optional<Morsel>();
  return std::optional<Morsel>(std::move(morsel));
}

// ---- RowCollector -----------------------------------------------------------------------------------------------------

void RowCollector::append(const Batch& batch, int64_t first, int64_t count) {
  for (size_t c = 0; c < batch.columns.size(); ++c) builder_.column(c).append_rows(batch.columns[c], first, count);
  rows_ += count;
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
namespace {
size_t bytes_in(columnar::ColumnBuilder& builder) {
  const auto rows = static_cast<size_t>(builder.length());
  const auto& type = builder.type();
  if (type.is_text()) return rows * 4 + (columnar::ColumnBuilder::kMaxTextBytes - builder.text_room());
  if (type.id() == columnar::TypeId::kList) return rows * 4 + bytes_in(builder.child());
  if (type.id() == columnar::TypeId::kStruct) {
    size_t total = 0;
    for (size_t i = 0; i < type.fields().size(); ++i) total += bytes_in(builder.child(i));
    return total;
  }
  return rows * static_cast<size_t>(type.width());
}
}  // namespace
size_t RowCollector::bytes() {
  size_t total = 0;
  for (size_t c = 0; c < builder_.size(); ++c) total += bytes_in(builder_.column(c));
  if (origin_) total += origin_->kept.size() + static_cast<size_t>(rows_) * 29;
  return total;
}
Batch RowCollector::finish() {
  Batch out;
  out.schema = schema_;
  out.rows = rows_;
  for (size_t c = 0; c < schema_->size(); ++c) out.columns.push_back(builder_.column(c).finish());
  if (origin_ && origin_->rows() == static_cast<size_t>(rows_)) out.origin = std::move(origin_);
  origin_.reset();
  rows_ = 0;
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
Status RunFile::flush() { return writer_->flush().with_context("spill rows to disk"); }
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
  return file_.flush();
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

namespace {
constexpr size_t kFanInMost = 128;
constexpr uint64_t kWorthReturning = 8 << 20;
constexpr size_t kSliceLeast = 4096, kSliceMost = 256 << 10;
}  // namespace

ExternalSorter::ExternalSorter(std::string folder, SchemaPtr schema, std::vector<Key> keys, uint64_t memory_bytes_max,
                               std::optional<uint64_t> keep)
    : folder_(std::move(folder)), schema_(std::move(schema)), keys_(std::move(keys)), memory_max_(memory_bytes_max),
      keep_(keep) {
  os::keep_allocator_lean();
  std::vector<columnar::KeyPart> parts;
  for (const auto& k : keys_) parts.push_back({schema_->field(k.column).type, k.descending, !k.never_null});
  encoder_ = columnar::KeyEncoder(std::move(parts));
}

// A slice is what is written at a time, and what each run of a merge has in memory.
size_t ExternalSorter::slice_bytes() const { return std::clamp<size_t>(memory_max_ / 256, kSliceLeast, kSliceMost); }

RowKeys ExternalSorter::keys_of(const Batch& batch) const {
  std::vector<const columnar::Column*> columns;
  for (const auto& k : keys_) columns.push_back(&batch.columns[k.column]);
  RowKeys keys;
  encoder_.encode(columns, &keys);
  return keys;
}

// Eight bytes of the key, behind those that all keys have, as a number.
uint64_t ExternalSorter::prefix_of(std::string_view key) const {
  key.remove_prefix(std::min(shared_, key.size()));
  uint64_t prefix = 0;
  std::memcpy(&prefix, key.data(), std::min<size_t>(8, key.size()));
  return __builtin_bswap64(prefix);
}
void ExternalSorter::widen(std::string_view key) {
  if (any_ && key >= least_ && key <= greatest_) return;
  if (!any_ || key < least_) least_ = key;
  if (!any_ || key > greatest_) greatest_ = key;
  any_ = true;
  const size_t most = std::min(least_.size(), greatest_.size());
  shared_ = static_cast<size_t>(std::mismatch(least_.begin(), least_.begin() + static_cast<std::ptrdiff_t>(most),
                                              greatest_.begin()).first - least_.begin());
}

void ExternalSorter::hold(Batch batch) {
  if (batch.rows == 0) return;
  Held held{std::move(batch), {}};
  held.keys = keys_of(held.batch);
  const auto rows = static_cast<uint64_t>(held.batch.rows);
  memory_ += held.batch.byte_size() + columnar::origin_byte_size(held.batch.origin) + held.keys.byte_size() +
             rows * (sizeof(Entry) + (held.keys.fixed_width() == 0 ? sizeof(size_t) : 0));
  held_.push_back(std::move(held));
}

Status ExternalSorter::add(Batch batch) {
  rows_ += static_cast<uint64_t>(batch.rows);
  hold(std::move(batch));
  // The rest is for slices on their way out, and for what the allocator takes.
  const uint64_t limit = memory_max_ - memory_max_ / 4;
  if (memory_ < limit) return {};
  if (keep_ && runs_.empty()) {
    // Only the first are wanted: what cannot be among them is let go instead of spilled.
    Sorted sorted = sort_held();
    while (auto slice = next_slice(sorted)) hold(std::move(*slice));
    if (memory_ * 2 < limit) return {};
  }
  return spill();
}

Status ExternalSorter::absorb(ExternalSorter& other) {
  if (!held_.empty()) RUNINK_RETURN_IF_ERROR(spill());
  if (!other.held_.empty()) RUNINK_RETURN_IF_ERROR(other.spill());
  rows_ += other.rows_;
  spilled_ += other.spilled_;
  slice_bytes_max_ = std::max(slice_bytes_max_, other.slice_bytes_max_);
  if (other.any_) {
    widen(other.least_);
    widen(other.greatest_);
  }
  for (auto& run : other.runs_) runs_.push_back(std::move(run));
  other.runs_.clear();
  other.file_.reset();
  other.rows_ = other.spilled_ = 0;
  file_.reset();  // runs are appended to, and another's stand behind ours now
  return {};
}

// The rows in memory and their order. Nothing is held afterwards.
ExternalSorter::Sorted ExternalSorter::sort_held() {
  Sorted sorted;
  sorted.held = std::move(held_);
  held_.clear();
  memory_ = 0;
  size_t rows = 0;
  for (const auto& h : sorted.held) {
    rows += static_cast<size_t>(h.batch.rows);
    for (int64_t r = 0; r < h.batch.rows; ++r) widen(h.keys[r]);
  }
  sorted.order.reserve(rows);
  for (size_t b = 0; b < sorted.held.size(); ++b) {
    const auto& h = sorted.held[b];
    for (int64_t r = 0; r < h.batch.rows; ++r) {
      sorted.order.push_back({prefix_of(h.keys[r]), static_cast<uint32_t>(b), static_cast<uint32_t>(r)});
    }
  }
  // The prefix may be all of the key that differs.
  const bool whole = encoder_.is_fixed_width() && encoder_.fixed_width() <= shared_ + 8;
  const auto less = [&, whole](const Entry& a, const Entry& b) {
    if (a.prefix != b.prefix) return a.prefix < b.prefix;
    if (!whole) {
      const int c = sorted.held[a.batch].keys[a.row].compare(sorted.held[b.batch].keys[b.row]);
      if (c != 0) return c < 0;
    }
    return a.batch != b.batch ? a.batch < b.batch : a.row < b.row;
  };
  if (keep_ && *keep_ < rows) {
    std::partial_sort(sorted.order.begin(), sorted.order.begin() + static_cast<std::ptrdiff_t>(*keep_), sorted.order.end(), less);
    sorted.order.resize(*keep_);
  } else {
    std::sort(sorted.order.begin(), sorted.order.end(), less);
  }
  return sorted;
}

std::optional<Batch> ExternalSorter::next_slice(Sorted& sorted) const {
  if (sorted.next == sorted.order.size()) return std::nullopt;
  RowCollector out(schema_);
  const size_t bytes_max = slice_bytes();
  while (sorted.next < sorted.order.size() && out.rows() < kBatchRows && out.bytes() < bytes_max) {
    const Entry& e = sorted.order[sorted.next];
    out.append(sorted.held[e.batch].batch, e.row, 1);
    ++sorted.next;
  }
  return out.finish();
}

Status ExternalSorter::spill() {
  RUNINK_RETURN_IF_ERROR(write_run(sort_held()));
  if (memory_max_ >= kWorthReturning) os::return_freed_memory();
  return {};
}
Status ExternalSorter::write_run(Sorted sorted) {
  if (!file_) file_ = std::make_shared<RunFile>(folder_, schema_);
  const uint64_t before = file_->bytes();
  RUNINK_RETURN_IF_ERROR(file_->begin_run());
  while (auto slice = next_slice(sorted)) {
    slice_bytes_max_ = std::max<uint64_t>(slice_bytes_max_, slice->byte_size() + columnar::origin_byte_size(slice->origin));
    RUNINK_RETURN_IF_ERROR(file_->write(*slice));
  }
  RUNINK_RETURN_IF_ERROR(file_->end_run());
  runs_.push_back({file_, file_->runs() - 1});
  spilled_ += file_->bytes() - before;
  return {};
}

struct ExternalSorter::Cursor {
  BatchList::Next next;
  Batch batch;
  RowKeys keys;
  int64_t row = 0;
};

// Runs being merged: a heap of cursors, the one with the lowest key first; of equal keys the earlier run, which keeps the
// sort stable. The heap has the beginnings of the keys, as most comparisons need no more.
struct ExternalSorter::Merge {
  struct Item {
    uint64_t prefix;
    uint32_t cursor;
  };
  const ExternalSorter& sorter;
  bool whole;
  std::vector<std::shared_ptr<RunFile>> files;
  std::vector<Cursor> cursors;
  std::vector<Item> heap;

  std::string_view key(uint32_t cursor) const { return cursors[cursor].keys[cursors[cursor].row]; }
  bool less(const Item& a, const Item& b) const {
    if (a.prefix != b.prefix) return a.prefix < b.prefix;
    if (!whole) {
      const int c = key(a.cursor).compare(key(b.cursor));
      if (c != 0) return c < 0;
    }
    return a.cursor < b.cursor;
  }
  void sink(size_t at) {
    const Item item = heap[at];
    for (;;) {
      size_t child = 2 * at + 1;
      if (child >= heap.size()) break;
      if (child + 1 < heap.size() && less(heap[child + 1], heap[child])) ++child;
      if (!less(heap[child], item)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = item;
  }
  // The next batch of a run; false at its end.
  Result<bool> load(Cursor& c) const {
    c.batch = Batch();  // before the next is there
    auto batch = RUNINK_TRY(c.next());
    if (!batch) {
      c = Cursor();
      return false;
    }
    c.batch = std::move(*batch);
    c.keys = sorter.keys_of(c.batch);
    c.row = 0;
    return true;
  }
  Status begin() {
    for (uint32_t i = 0; i < cursors.size(); ++i) {
      if (RUNINK_TRY(load(cursors[i]))) heap.push_back({sorter.prefix_of(key(i)), i});
    }
    for (size_t i = heap.size() / 2; i-- > 0;) sink(i);
    return {};
  }
  Result<std::optional<Batch>> next() {
    if (heap.empty()) return std::optional<Batch>();
    RowCollector out(sorter.schema_);
    const size_t bytes_max = sorter.slice_bytes();
    while (!heap.empty() && out.rows() < kBatchRows && out.bytes() < bytes_max) {
      Item& top = heap[0];
      Cursor& c = cursors[top.cursor];
      out.append(c.batch, c.row, 1);
      if (++c.row < c.batch.rows || RUNINK_TRY(load(c))) {
        top.prefix = sorter.prefix_of(key(top.cursor));
      } else {
        top = heap.back();
        heap.pop_back();
        if (heap.empty()) break;
      }
      sink(0);
    }
    return std::optional<Batch>(out.finish());
  }
};

Result<BatchList::Next> ExternalSorter::merge(size_t first, size_t count) {
  const bool whole = encoder_.is_fixed_width() && encoder_.fixed_width() <= shared_ + 8;
  auto merge = std::make_shared<Merge>(Merge{*this, whole, {}, std::vector<Cursor>(count), {}});
  for (size_t i = 0; i < count; ++i) {
    const Run& run = runs_[first + i];
    merge->files.push_back(run.file);
    merge->cursors[i].next = run.file->read_run(run.number);
  }
  RUNINK_RETURN_IF_ERROR(merge->begin());
  return BatchList::Next([merge]() { return merge->next(); });
}

// As many runs at once as fit in memory (each has a batch, its keys and the bytes it was read from); more than that are
// merged in passes.
Status ExternalSorter::merge_in_passes() {
  const size_t fan_in = std::clamp<size_t>(memory_max_ / (3 * std::max<uint64_t>(slice_bytes_max_, kSliceLeast)), 2, kFanInMost);
  while (runs_.size() > fan_in) {
    auto file = std::make_shared<RunFile>(folder_, schema_);
    std::vector<Run> merged;
    for (size_t first = 0; first < runs_.size(); first += fan_in) {
      const size_t count = std::min(fan_in, runs_.size() - first);
      if (count == 1) {
        merged.push_back(runs_[first]);
        continue;
      }
      auto next = RUNINK_TRY(merge(first, count));
      RUNINK_RETURN_IF_ERROR(file->begin_run());
      for (;;) {
        auto batch = RUNINK_TRY(next());
        if (!batch) break;
        RUNINK_RETURN_IF_ERROR(file->write(*batch));
      }
      RUNINK_RETURN_IF_ERROR(file->end_run());
      merged.push_back({file, file->runs() - 1});
      next = nullptr;
      for (size_t i = first; i < first + count; ++i) runs_[i].file.reset();  // a file goes with its last run
    }
    spilled_ += file->bytes();
    runs_ = std::move(merged);
  }
  return {};
}

Result<BatchList::Next> ExternalSorter::finish() {
  BatchList::Next rows;
  if (runs_.empty()) {
    auto sorted = std::make_shared<Sorted>(sort_held());
    rows = [this, sorted]() -> Result<std::optional<Batch>> { return next_slice(*sorted); };
  } else {
    if (!held_.empty()) RUNINK_RETURN_IF_ERROR(spill());
    file_.reset();
    RUNINK_RETURN_IF_ERROR(merge_in_passes());
    rows = RUNINK_TRY(merge(0, runs_.size()));
    runs_.clear();
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
