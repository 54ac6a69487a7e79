// The rows that a custom step was sent, for as long as it may still refuse them: then their original bytes, and where
// they came from, go to the dead letters.
//
// Rows with an origin are kept as that alone: in memory a reference to the chunk that they were read from, so nothing
// is copied; on disk their bytes. Rows without text of their own (computed, or read from Arrow files) are kept with
// their columns. What is settled is forgotten, and its disk space is given back.
//
// One thread at a time.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/engine/held_rows.h"

namespace runink::engine {

class SentRows {
 public:
  // `whole`: rows are kept with their columns, so that they can be sent again.
  SentRows(std::string folder, SchemaPtr schema, uint64_t memory_bytes_max, bool whole = false);

  // The rows get the next numbers, from 0. Line numbers of their chunk must be known (behind a turnstile).
  Status add(const Batch& batch);
  uint64_t end() const { return end_; }          // number of the next row
  uint64_t settled() const { return settled_; }  // rows before this one are forgotten

  // Hands out the rows of `records` (ascending, from settled() on and before `before`) with their place in that list,
  // and forgets every row before `before`.
  using Take = std::function<Status(const Batch& batch, int64_t row, size_t index)>;
  Status settle(uint64_t before, std::span<const uint64_t> records, const Take& take);

  // All rows again (`whole`, nothing settled). The object must outlive the function, and not change meanwhile.
  BatchList::Next reread() const;
  uint64_t spilled_bytes() const { return spilled_; }

 private:
  struct Piece {
    uint64_t first = 0;
    Batch batch;
    uint64_t cost = 0;  // bytes of memory that end with it
  };
  struct DiskHead {
    uint64_t first = 0, bytes = 0;
    uint32_t rows = 0, with_columns = 0;
  };
  Status spill();
  Result<DiskHead> read_head(uint64_t at) const;
  Result<Batch> read_piece(uint64_t at, const DiskHead& head) const;
  Status settle_disk(uint64_t before, std::span<const uint64_t> records, size_t* taken, const Take& take);

  std::string folder_;
  SchemaPtr schema_, no_columns_;
  uint64_t memory_max_, memory_ = 0;
  bool whole_;
  uint64_t end_ = 0, settled_ = 0, spilled_ = 0;
  // Older rows are on disk, newer ones in memory.
  os::SpillFile file_;
  uint64_t disk_at_ = 0;  // position of the first piece that is not settled
  uint64_t disk_freed_ = 0;
  uint64_t disk_end_ = 0;  // row after the last one on disk
  std::deque<Piece> pieces_;
  const void* last_chunk_ = nullptr;
};

}  // namespace runink::engine
