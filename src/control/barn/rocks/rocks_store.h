// The state store on RocksDB (store.h): for states larger than memory, sealed where a key is given.
//
// A batch is written whole, and there is no write-ahead log: after a crash of the process or the machine
// there is everything up to some batch, at least up to the last sync() or checkpoint(). The Raft log has the rest, and
// would only be written a second time here; so it may be cut only below an index that a checkpoint() or sync() after it
// covers.
//
// Small batches are gathered in memory and go to RocksDB together: when there are some tens of rows, or when a reader
// could see the difference. So an error of RocksDB may be told by a later call than the one that brought the batch.
//
// Any error of RocksDB, at a call or in the background, is latched: failure() tells it, and every call from then on
// answers with it. RocksDB's own resumption after errors is off. A store with a failure is to be closed; whether the
// folder is still good is found out by opening it again, or by taking a snapshot in its place.
//
// Threads: apply(), checkpoint() and sync() by one thread at a time; reading, failure() and figures by any. Views and
// iterators must be gone before the store. RocksDB keeps background threads of its own, shared by all stores of a
// process.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/stop.h"
#include "control/barn/store.h"
#include "platform/crypto/seal.h"

namespace rocksdb {
class Snapshot;
class Status;
}  // namespace rocksdb

namespace runink::barn {

struct RocksOptions {
  std::string folder;                     // made if absent, with its parents; mode 0700
  std::optional<crypto::SealingKey> key;  // the sub-key "state"; nothing: files are plain
  // Memory: about cache + write buffers + 1 MiB. Indexes and filters of tables are in the cache.
  uint64_t cache_bytes = 128 << 20;
  uint64_t write_buffer_bytes = 64 << 20;  // of all memtables, those being flushed included
  uint64_t table_bytes = 32 << 20;         // size of a file; also what an interrupted transfer of a snapshot repeats
  int background_jobs = 2;
  bool read_only = false;  // the folder is not changed and not locked; apply() is refused
  // Called once, by any thread, with the first failure. Must not call the store.
  std::function<void(const Status&)> on_failure;
};

struct RocksMemory {
  uint64_t cache = 0, write_buffers = 0, table_readers = 0;  // bytes
};

class RocksStore : public StateStore {
 public:
  // kAborted, kind "barn.state.locked": another process (or store) has it open. kDataLoss: damaged.
  // kFailedPrecondition, kinds "key.wrong", "key.missing", "key.unsealed": see sealed_file.h. kNotFound: read-only, and
  // there is none.
  static Result<std::unique_ptr<RocksStore>> open(RocksOptions options);
  ~RocksStore() override;  // writes its memtables, if it can

  Result<bool> get(std::string_view key, std::string* value) const override;
  std::unique_ptr<StateIterator> iterate(std::string_view from, std::string_view to) const override;
  std::unique_ptr<StateView> view() const override;
  std::unique_ptr<StateView> scan_view() const override;
  Status apply(const WriteBatch& batch) override;
  uint64_t approximate_bytes() const override;

  // Everything applied survives a crash of the machine. Writes the memtables; any thread.
  Status sync();
  // A copy of the state as it is now, in a new folder on the same file system (its parent must exist): tables are
  // linked, the rest is small. Everything in it is on disk when this returns, and so is everything applied to this
  // store. Takes as long as writing the memtables; sync() some time before makes that short.
  Status checkpoint(const std::string& folder);
  // Reads every table and compares checksums (and tags, where sealed). Long; any thread.
  Status verify() const;
  // The same in pieces. Tables come and go: one that has gone meanwhile is no error, and costs nothing.
  struct Table {
    std::string path;
    uint64_t bytes = 0;
  };
  std::vector<Table> tables() const;
  // Reads it from the disk, past the block cache. kCancelled: `stop` was requested, and it was not read to its end.
  Status verify_table(const Table& table, const StopFlag* stop = nullptr) const;

  Status failure() const;  // the first one; OK while all is well
  RocksMemory memory() const;
  uint64_t approximate_rows() const;  // of all tables; what was written over may be counted twice
  const std::string& folder() const { return options_.folder; }

 private:
  friend class RocksIterator;
  friend class RocksView;
  friend class FailureListener;
  explicit RocksStore(RocksOptions options);
  Status open_database();
  void latch(const Status& status) const;
  rocksdb::Status gather(const WriteBatch& batch);
  Status write_batch() const;
  // So that a reader sees all that was applied; the second where it may be of that key. An error is latched.
  void write_gathered() const;
  void write_gathered(std::string_view key) const;
  const rocksdb::Snapshot* written_snapshot() const;

  RocksOptions options_;
  mutable std::atomic<bool> failed_{false};
  mutable std::atomic<bool> gathered_{false};  // there is something to be written
  mutable std::mutex mutex_;
  mutable Status failure_;
  struct Database;
  std::unique_ptr<Database> database_;
};

}  // namespace runink::barn
