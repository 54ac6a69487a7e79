// What must never happen, watched from outside of all members. It remembers what was true once (who led a term, what
// was committed at an index, which state came of it) and compares everything that comes after.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "control/barn/ids.h"
#include "control/raft/core/raft.h"
#include "control/raft/core/types.h"

namespace runink::testing {

class Oracle {
 public:
  // Election safety: at most one leader in a term. Leader completeness: it holds all that is committed.
  void leads(raft::NodeId node, raft::Term term, const raft::Log& log);
  // State machine safety: the same entry at an index, for ever.
  void committed(raft::NodeId node, const raft::Entry& entry);
  // The same entries give the same state.
  void applied(raft::NodeId node, const barn::Position& position);
  // At most one vote in a term, whatever crashes lie between; `storage`: which life of the disk.
  void voted(raft::NodeId node, raft::Term term, raft::NodeId vote);
  // Nothing is said of a term that is not durable.
  void says(const raft::Message& message, raft::Term durable);

  void fail(std::string what) {
    if (failure_.empty()) failure_ = std::move(what);
  }
  const std::string& failure() const { return failure_; }
  raft::Index committed_to() const { return entries_.empty() ? 0 : entries_.rbegin()->first; }
  uint64_t elections() const { return leaders_.size(); }
  // What was committed, from index 1 on, up to the first one that nobody was seen to commit.
  std::vector<raft::Entry> committed_entries() const;

 private:
  struct Known {
    raft::Term term;
    raft::EntryKind kind;
    std::shared_ptr<const std::string> data;
  };
  std::map<raft::Term, raft::NodeId> leaders_;
  std::map<raft::Index, Known> entries_;
  std::map<raft::Index, barn::Position> positions_;
  std::map<std::pair<raft::NodeId, raft::Term>, raft::NodeId> votes_;
  std::string failure_;
};

}  // namespace runink::testing
