#include "data/engine/partitions.h"

#include "data/columnar/kernels.h"
#include "platform/os/allocator.h"

namespace runink::engine {

SchemaPtr with_ordinal(const SchemaPtr& schema) {
  auto fields = schema->fields();
  fields.push_back({"", columnar::TypeId::kUInt64, false, "", ""});
  return std::make_shared<columnar::Schema>(std::move(fields));
}
Batch add_ordinals(Batch batch, const SchemaPtr& schema, const std::vector<uint64_t>& ordinals) {
  auto column = columnar::make_fixed_column(columnar::TypeId::kUInt64, batch.rows);
  if (batch.rows > 0) std::memcpy(column.values->data(), ordinals.data(), sizeof(uint64_t) * static_cast<size_t>(batch.rows));
  batch.columns.push_back(std::move(column));
  batch.schema = schema;
  return batch;
}
Batch remove_ordinals(Batch batch, const SchemaPtr& schema) {
  batch.columns.pop_back();
  batch.schema = schema;
  return batch;
}

Partitions::Partitions(std::string folder, SchemaPtr schema, int level, uint64_t memory_bytes_max)
    : folder_(std::move(folder)), schema_(std::move(schema)), level_(level), memory_each_(memory_bytes_max / kPartitions) {
  os::keep_allocator_lean();
}

Status Partitions::flush(size_t p) {
  if (!queues_[p]) queues_[p] = std::make_unique<RowQueue>(folder_, schema_, memory_each_ / 2);
  return queues_[p]->add(collecting_[p]->finish());
}
Status Partitions::add_row(const Batch& batch, int64_t row, uint64_t hash) {
  const size_t p = partition_of(hash, level_);
  if (!collecting_[p]) collecting_[p] = std::make_unique<RowCollector>(schema_);
  collecting_[p]->append(batch, row, 1);
  if (collecting_[p]->rows() >= columnar::kBatchRows || collecting_[p]->bytes() > memory_each_ / 2) return flush(p);
  return {};
}
Status Partitions::add(const Batch& batch, const uint64_t* hashes) {
  for (int64_t r = 0; r < batch.rows; ++r) RUNINK_RETURN_IF_ERROR(add_row(batch, r, hashes[r]));
  return {};
}
Status Partitions::finish() {
  for (size_t p = 0; p < kPartitions; ++p) {
    if (collecting_[p] && collecting_[p]->rows() > 0) RUNINK_RETURN_IF_ERROR(flush(p));
    collecting_[p].reset();
    if (queues_[p]) RUNINK_RETURN_IF_ERROR(queues_[p]->finish());
  }
  return {};
}
uint64_t Partitions::spilled_bytes() const {
  uint64_t total = 0;
  for (const auto& q : queues_) total += q ? q->spilled_bytes() : 0;
  return total;
}

}  // namespace runink::engine
