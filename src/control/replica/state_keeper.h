// Where a replica's state lies, and how snapshots of it are made and fetched. One on RocksDB and one in memory (the
// simulator's). Everything is called, and calls back, on the thread of the event loop; nothing blocks.
#pragma once

#include <functional>
#include <optional>

#include "control/barn/store.h"
#include "control/raft/core/progress.h"

namespace runink::barn {

class StateKeeper {
 public:
  virtual ~StateKeeper() = default;
  // Another one after install_snapshot() has said OK; the old one lives until release().
  virtual StateStore* store() = 0;
  virtual void release_old_store() = 0;
  // What is applied now survives a crash of the machine. To be called before a log is opened on it (journal_storage.h).
  virtual Status sync() = 0;

  // As Application (member.h), but the snapshot may be of a later entry, which was applied while it was made:
  // newest_snapshot() says of which.
  virtual void make_snapshot(const raft::SnapshotMeta& meta, std::function<void(Status)> done) = 0;
  virtual std::optional<raft::SnapshotMeta> newest_snapshot() const = 0;
  virtual void install_snapshot(raft::NodeId from, const raft::SnapshotMeta& meta,
                                std::function<void(Status)> done) = 0;
};

}  // namespace runink::barn
