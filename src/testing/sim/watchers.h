// Simulated watchers: each watches a range at one member after the other, goes on behind what it was told when a member
// is gone, has taken over a snapshot or answers no more, begins anew where what it needs was compacted, and writes down
// what it was told for the checker of watches (watch_checker.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "testing/checkers/watch_checker.h"
#include "testing/sim/node.h"

namespace runink::testing {

class Watchers {
 public:
  Watchers(NodeContext& context, std::vector<raft::NodeId>* members);
  void start();
  void stop() { stopped_ = true; }  // asking; finish() asks once more
  // When all members agree: fetches all there is, up to this index.
  void finish(raft::Index last);

  // In the order in which they began.
  const std::vector<Watch>& history() const { return history_; }
  struct Totals {
    uint64_t changes = 0, bookmarks = 0, resumed = 0, compacted = 0, snapshots = 0;
  };
  const Totals& totals() const { return totals_; }

 private:
  struct Watcher {
    WatchRequest request;
    size_t current = kNone;  // in history_
    bool resumes = false;    // the next one goes on with `current`
    uint64_t told = 0;       // everything up to here
    raft::NodeId node = 0;   // where it is registered; 0: nowhere
    uint64_t life = 0, generation = 0;
    barn::WatchId id = 0;
  };
  static constexpr size_t kNone = ~size_t{0};

  void later(size_t watcher);
  void ask(size_t watcher);
  bool open(Watcher& w, Node& node);
  bool poll(Watcher& w, Node& node);
  void gone(Watcher& w, const Status& status, Node& node);
  bool registered(const Watcher& w, Node& node) const;

  NodeContext& context_;
  std::vector<raft::NodeId>* members_;
  std::vector<Watcher> watchers_;
  std::vector<Watch> history_;
  Totals totals_;
  bool stopped_ = false;
};

}  // namespace runink::testing
