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
  explicit RowCollector(SchemaPtr schema, int64_t capacity = 0) : schema_(schema), builder_(std::move(schema), capacity) {}
  // Rows [first, first + count) of a batch of the same schema.
  void append(const Batch& batch, int64_t first, int64_t count);
  int64_t rows() const { return rows_; }
  size_t bytes();  // of the rows collected
  Batch finish();

 private:
  SchemaPtr schema_;
  columnar::BatchBuilder builder_;
  int64_t rows_ = 0;
  std::shared_ptr<columnar::RowOrigin> origin_;
};

class RunFile {
 public:
  RunFile(std::string folder, SchemaPtr schema) : folder_(std::move(folder)), schema_(std::move(schema)) {}
  Status begin_run();
  Status write(const Batch& batch);
  Status flush();  // of the run being written: nothing of it stays in memory
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

// Memory: what add() was given and the sort of it stay within memory_bytes_max; a merge has as many runs open as fit. Only
// rows that are larger than a few thousandths of it each can make it take more.
class ExternalSorter {
 public:
  struct Key {
    size_t column;
    bool descending = false;
    bool never_null = false;  // the column holds no nulls, so the key needs no mark for them
  };
  // `keep`: only the first so many rows are wanted.
  ExternalSorter(std::string folder, SchemaPtr schema, std::vector<Key> keys, uint64_t memory_bytes_max,
                 std::optional<uint64_t> keep = std::nullopt);
  Status add(Batch batch);  // origins in kept form
  // Takes the rows of another sorter of the same schema and keys; of equal keys they stand after those here. On disk.
  Status absorb(ExternalSorter& other);
  void set_memory(uint64_t memory_bytes_max) { memory_max_ = memory_bytes_max; }
  // The sorted rows. The sorter must outlive the function.
  Result<BatchList::Next> finish();
  uint64_t spilled_bytes() const { return spilled_; }
  uint64_t rows_added() const { return rows_; }
  uint64_t memory_bytes() const { return memory_; }

 private:
  struct Cursor;
  struct Merge;
  struct Held {
    Batch batch;
    columnar::RowKeys keys;
  };
  struct Entry {
    uint64_t prefix;
    uint32_t batch, row;
  };
  struct Run {
    std::shared_ptr<RunFile> file;
    size_t number;
  };
  // Rows in memory and their order, handed out in slices.
  struct Sorted {
    std::vector<Held> held;
    std::vector<Entry> order;
    size_t next = 0;
  };
  columnar::RowKeys keys_of(const Batch& batch) const;
  void hold(Batch batch);
  Sorted sort_held();
  std::optional<Batch> next_slice(Sorted& sorted) const;
  Status spill();
  Status write_run(Sorted sorted);
  Result<BatchList::Next> merge(size_t first, size_t count);
  Status merge_in_passes();
  uint64_t prefix_of(std::string_view key) const;
  void widen(std::string_view key);
  size_t slice_bytes() const;

  std::string folder_;
  SchemaPtr schema_;
  std::vector<Key> keys_;
  columnar::KeyEncoder encoder_;
  uint64_t memory_max_, memory_ = 0, spilled_ = 0, rows_ = 0;
  std::optional<uint64_t> keep_;
  std::vector<Held> held_;
  std::shared_ptr<RunFile> file_;  // where spill() writes
  std::vector<Run> runs_;
  uint64_t slice_bytes_max_ = 0;   // of the largest slice on disk, with its keys
  // The least and the greatest key. All keys between begin with the bytes that these two share, so comparing starts
  // behind them.
  bool any_ = false;
  std::string least_, greatest_;
  size_t shared_ = 0;
};

}  // namespace runink::engine
