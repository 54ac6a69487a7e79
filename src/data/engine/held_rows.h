// Rows that an operator must hold: in memory up to its share of the budget, then in spill files.
//
//   BatchList       batches as a source of morsels
//   RowCollector    picks rows of other batches into new ones, with their origin
//   RunFile         batches on disk in runs: written one run after the other, each read back by itself
//   RowQueue        rows in the order they came, read back in that order
//   ExternalSorter  rows out in the order of a key; equal keys in the order they came
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "data/columnar/batch.h"
#include "data/columnar/builder.h"
#include "data/columnar/row_key.h"
#include "data/columnar/spill.h"
#include "data/engine/io.h"
#include "platform/os/temp.h"

namespace runink::engine {

using columnar::Batch;
using columnar::SchemaPtr;

// A reader for morsels that hold batches already.
std::unique_ptr<MorselReader> make_batches_reader();

// Produces batches by a function until it gives none.
class BatchList final : public BatchSource {
 public:
  using Next = std::function<Result<std::optional<Batch>>()>;
  explicit BatchList(Next next) : next_(std::move(next)) {}
  explicit BatchList(std::vector<Batch> batches);
  Result<std::optional<Morsel>> next() override;
  Result<std::unique_ptr<MorselReader>> make_reader() override { return make_batches_reader(); }

 private:
  Next next_;
};

class RowCollector {
 public:
  explicit RowCollector(SchemaPtr schema) : schema_(schema), builder_(std::move(schema), columnar::kBatchRows) {}
  // Rows [first, first + count) of a batch of the same schema.
  void append(const Batch& batch, int64_t first, int64_t count);
  int64_t rows() const { return rows_; }
  size_t bytes() const { return bytes_; }
  Batch finish();

 private:
  SchemaPtr schema_;
  columnar::BatchBuilder builder_;
  int64_t rows_ = 0;
  size_t bytes_ = 0;
  std::shared_ptr<columnar::RowOrigin> origin_;
};

class RunFile {
 public:
  RunFile(std::string folder, SchemaPtr schema) : folder_(std::move(folder)), schema_(std::move(schema)) {}
  Status begin_run();
  Status write(const Batch& batch);
  Status end_run();
  size_t runs() const { return runs_.size(); }
  uint64_t bytes() const { return bytes_; }
  // Reads a run from its beginning; several may be read at once. The file must outlive the function.
  BatchList::Next read_run(size_t run) const;

 private:
  struct Run { uint64_t position; uint64_t batches; };
  std::string folder_;
  SchemaPtr schema_;
  os::SpillFile file_;
  std::optional<columnar::SpillWriter> writer_;
  std::vector<Run> runs_;
  uint64_t bytes_ = 0, written_ = 0;
};

class RowQueue {
 public:
  RowQueue(std::string folder, SchemaPtr schema, uint64_t memory_bytes_max)
      : schema_(schema), memory_max_(memory_bytes_max), file_(std::move(folder), std::move(schema)) {}
  Status add(Batch batch);  // origins in kept form
  Status finish();
  bool empty() const { return batches_.empty() && !spilled_; }
  uint64_t spilled_bytes() const { return file_.bytes(); }
  // After finish(). The queue must outlive the function.
  BatchList::Next read();
  // The same, but the rows stay: they can be read again.
  BatchList::Next reread() const;

 private:
  SchemaPtr schema_;
  uint64_t memory_max_, memory_ = 0;
  std::vector<Batch> batches_;
  bool spilled_ = false;
  RunFile file_;
  size_t next_ = 0;
};

class ExternalSorter {
 public:
  struct Key { size_t column; bool descending = false; };
  // `keep`: only the first so many rows are wanted.
  ExternalSorter(std::string folder, SchemaPtr schema, std::vector<Key> keys, uint64_t memory_bytes_max,
                 std::optional<uint64_t> keep = std::nullopt);
  Status add(Batch batch);  // origins in kept form
  // The sorted rows. The sorter must outlive the function.
  Result<BatchList::Next> finish();
  uint64_t spilled_bytes() const { return spilled_; }
  uint64_t rows_added() const { return rows_; }

 private:
  struct Cursor;
  Result<Batch> sorted_memory();
  Status spill();
  Result<BatchList::Next> merge(std::shared_ptr<RunFile> file, size_t first, size_t count);
  columnar::RowKeys keys_of(const Batch& batch) const;

  std::string folder_;
  SchemaPtr schema_;
  std::vector<Key> keys_;
  columnar::KeyEncoder encoder_;
  uint64_t memory_max_, memory_ = 0, spilled_ = 0, rows_ = 0;
  std::optional<uint64_t> keep_;
  std::vector<Batch> batches_;
  std::shared_ptr<RunFile> runs_;
  uint64_t batch_bytes_max_ = 0;
};

}  // namespace runink::engine
