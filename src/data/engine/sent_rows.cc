#include "data/engine/sent_rows.h"

#include <algorithm>
#include <cstring>

#include "data/columnar/kernels.h"
#include "platform/os/disk_space.h"

namespace runink::engine {

namespace {
constexpr size_t kWriteBytes = size_t{1} << 20;
constexpr uint64_t kFreeBytes = uint64_t{16} << 20;  // disk space is given back in such pieces

// Rows of an Arrow file have an origin, and no text.
bool has_bytes(const Batch& batch) {
  return batch.origin &&
         std::all_of(batch.origin->length.begin(), batch.origin->length.end(), [](uint32_t n) { return n > 0; });
}
}  // namespace

SentRows::SentRows(std::string folder, SchemaPtr schema, uint64_t memory_bytes_max, bool whole)
    : folder_(std::move(folder)),
      schema_(std::move(schema)),
      no_columns_(std::make_shared<const columnar::Schema>()),
      memory_max_(memory_bytes_max),
      whole_(whole) {}

Status SentRows::add(const Batch& batch) {
  Piece piece;
  piece.first = end_;
  piece.batch.rows = batch.rows;
  piece.batch.origin = batch.origin;
  piece.cost = sizeof(Piece) + columnar::origin_byte_size(batch.origin);
  if (!whole_ && has_bytes(batch)) {
    piece.batch.schema = no_columns_;
  } else {
    piece.batch.schema = schema_;
    piece.batch.columns = batch.columns;
    piece.cost += batch.byte_size();
  }
  // Batches of a chunk follow one another, and share it.
  const auto* chunk = batch.origin ? batch.origin->chunk.get() : nullptr;
  if (chunk != nullptr && chunk != last_chunk_) piece.cost += chunk->bytes.size();
  last_chunk_ = chunk;
  end_ += static_cast<uint64_t>(batch.rows);
  memory_ += piece.cost;
  pieces_.push_back(std::move(piece));
  return memory_ > memory_max_ ? spill() : Status();
}

// All that is in memory: the chunks that rows refer to are free only when none of their rows is left.
Status SentRows::spill() {
  if (!file_.fd().valid()) {
    file_ = RUNINK_TRY_CONTEXT(os::SpillFile::create(folder_), "create a spill file");
    disk_at_ = disk_freed_ = 0;
  }
  std::string bytes;
  const auto write = [&]() -> Status {
    RUNINK_RETURN_IF_ERROR(status_of(file_.append(bytes)).with_context("keep the rows sent to a step"));
    spilled_ += bytes.size();
    bytes.clear();
    return {};
  };
  while (!pieces_.empty()) {
    const Piece& piece = pieces_.front();
    DiskHead head;
    head.first = piece.first;
    head.rows = static_cast<uint32_t>(piece.batch.rows);
    head.with_columns = piece.batch.schema == schema_ ? 1 : 0;
    const size_t head_at = bytes.size();
    bytes.append(sizeof head, '\0');
    columnar::spill_encode(piece.batch, bytes);
    head.bytes = bytes.size() - head_at - sizeof head;
    std::memcpy(bytes.data() + head_at, &head, sizeof head);
    disk_end_ = piece.first + head.rows;
    pieces_.pop_front();
    if (bytes.size() >= kWriteBytes) RUNINK_RETURN_IF_ERROR(write());
  }
  if (!bytes.empty()) RUNINK_RETURN_IF_ERROR(write());
  memory_ = 0;
  last_chunk_ = nullptr;
  return {};
}

Result<SentRows::DiskHead> SentRows::read_head(uint64_t at) const {
  DiskHead head;
  if (RUNINK_TRY(file_.read_at(at, &head, sizeof head)) != sizeof head ||
      head.bytes > file_.size() - at - sizeof head) {
    return data_loss("a spill file of rows sent to a step is damaged");
  }
  return head;
}
Result<Batch> SentRows::read_piece(uint64_t at, const DiskHead& head) const {
  std::string bytes(head.bytes, '\0');
  if (RUNINK_TRY(file_.read_at(at + sizeof head, bytes.data(), bytes.size())) != bytes.size()) {
    return data_loss("a spill file of rows sent to a step is damaged");
  }
  Batch batch = RUNINK_TRY(columnar::spill_decode(bytes, head.with_columns != 0 ? schema_ : no_columns_));
  if (batch.rows != static_cast<int64_t>(head.rows)) return data_loss("a spill file of rows sent to a step is damaged");
  return batch;
}

namespace {
// Those of the records from *taken on that lie in the batch.
Status take_from(const Batch& batch, uint64_t first, std::span<const uint64_t> records, size_t* taken,
                 const SentRows::Take& take) {
  for (; *taken < records.size() && records[*taken] < first + static_cast<uint64_t>(batch.rows); ++*taken) {
    RUNINK_RETURN_IF_ERROR(take(batch, static_cast<int64_t>(records[*taken] - first), *taken));
  }
  return {};
}
}  // namespace

Status SentRows::settle_disk(uint64_t before, std::span<const uint64_t> records, size_t* taken, const Take& take) {
  while (disk_at_ < file_.size()) {
    if (before >= disk_end_ && (*taken == records.size() || records[*taken] >= disk_end_)) {
      file_ = {};
      disk_at_ = disk_freed_ = 0;
      return {};
    }
    const DiskHead head = RUNINK_TRY(read_head(disk_at_));
    if (head.first >= before) break;
    const uint64_t end = head.first + head.rows;
    if (*taken < records.size() && records[*taken] < end) {
      const Batch batch = RUNINK_TRY(read_piece(disk_at_, head));
      RUNINK_RETURN_IF_ERROR(take_from(batch, head.first, records, taken, take));
    }
    if (end > before) break;
    disk_at_ += sizeof head + head.bytes;
  }
  if (file_.fd().valid() && disk_at_ - disk_freed_ >= kFreeBytes) {
    os::give_back_space(file_.fd(), disk_freed_, disk_at_);
    disk_freed_ = disk_at_;
  }
  return {};
}

Status SentRows::settle(uint64_t before, std::span<const uint64_t> records, const Take& take) {
  size_t taken = 0;
  if (file_.fd().valid()) RUNINK_RETURN_IF_ERROR(settle_disk(before, records, &taken, take));
  while (!pieces_.empty() && pieces_.front().first < before) {
    const Piece& piece = pieces_.front();
    RUNINK_RETURN_IF_ERROR(take_from(piece.batch, piece.first, records, &taken, take));
    if (piece.first + static_cast<uint64_t>(piece.batch.rows) > before) break;
    memory_ -= piece.cost;
    pieces_.pop_front();
  }
  if (pieces_.empty()) last_chunk_ = nullptr;
  settled_ = std::max(settled_, before);
  return {};
}

BatchList::Next SentRows::reread() const {
  return [this, at = disk_at_, piece = size_t{0}]() mutable -> Result<std::optional<Batch>> {
    if (at < file_.size()) {
      const DiskHead head = RUNINK_TRY(read_head(at));
      Batch batch = RUNINK_TRY(read_piece(at, head));
      at += sizeof head + head.bytes;
      return std::optional<Batch>(std::move(batch));
    }
    if (piece == pieces_.size()) return std::optional<Batch>();
    return std::optional<Batch>(pieces_[piece++].batch);
  };
}

}  // namespace runink::engine
