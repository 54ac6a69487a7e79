// Rows that did not fit in memory, set aside by the hash of their key, to be worked on later one partition at a time.
//
// Each level of partitioning uses five other bits of the hash, so a partition that is still too large can be divided
// again. Every row carries its ordinal (its place in the input) as a last column, so that results can be put back in
// input order.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "data/columnar/batch.h"
#include "data/engine/held_rows.h"

namespace runink::engine {

inline constexpr size_t kPartitions = 32;
inline constexpr int kPartitionLevelsMax = 8;

inline size_t partition_of(uint64_t hash, int level) { return (hash >> (59 - 5 * level)) & (kPartitions - 1); }

// The schema with the ordinal after its columns, and batches with and without it.
SchemaPtr with_ordinal(const SchemaPtr& schema);
Batch add_ordinals(Batch batch, const SchemaPtr& schema_with_ordinal, const std::vector<uint64_t>& ordinals);
Batch remove_ordinals(Batch batch, const SchemaPtr& schema);
inline const uint64_t* ordinals_of(const Batch& batch) { return batch.columns.back().data<uint64_t>(); }

class Partitions {
 public:
  Partitions(std::string folder, SchemaPtr schema, int level, uint64_t memory_bytes_max);
  // Rows of `batch` (of the schema given), each to the partition of its hash.
  Status add(const Batch& batch, const uint64_t* hashes);
  Status add_row(const Batch& batch, int64_t row, uint64_t hash);
  Status finish();
  bool empty(size_t partition) const { return queues_[partition] == nullptr; }
  // After finish(); once for each partition.
  BatchList::Next read(size_t partition) { return queues_[partition]->read(); }
  // The same, but the rows stay: any number of times before read().
  BatchList::Next reread(size_t partition) const { return queues_[partition]->reread(); }
  void drop(size_t partition) { queues_[partition].reset(); }
  uint64_t spilled_bytes() const;
  int level() const { return level_; }

 private:
  Status flush(size_t partition);
  std::string folder_;
  SchemaPtr schema_;
  int level_;
  uint64_t memory_each_;
  std::array<std::unique_ptr<RowQueue>, kPartitions> queues_;
  std::array<std::unique_ptr<RowCollector>, kPartitions> collecting_;
};

}  // namespace runink::engine
