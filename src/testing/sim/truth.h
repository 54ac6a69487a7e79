// What has happened, made again at the end from the entries that were committed: by a state machine of its own, in one
// go, with no crash, snapshot or compaction of the log in between. What replicas hold and watchers were told is
// compared with it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "control/barn/memory_store.h"
#include "control/barn/state_machine.h"
#include "testing/checkers/watch_checker.h"

namespace runink::testing {

class Truth {
 public:
  // `entries` from index 1 on, without a gap.
  static Result<Truth> of(const std::vector<raft::Entry>& entries, const barn::MachineOptions& options);

  const barn::Position& position() const { return position_; }
  const std::vector<Change>& changes() const { return changes_; }
  // Where a replica's state, as of the same entry, is another one; empty: nowhere.
  Result<std::string> difference(const barn::StateStore& store) const;

 private:
  std::unique_ptr<barn::MemoryStore> store_;
  barn::Position position_;
  std::vector<Change> changes_;
};

}  // namespace runink::testing
