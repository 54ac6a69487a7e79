// Linearizable reads without a log entry (ReadIndex, dissertation 6.4): the leader notes its commit index, learns from a
// majority that it still leads, and the read may be answered once that index is applied. One round of heartbeats serves all
// reads that came before it; a read that comes later waits for the next round, since an answer to an earlier one says nothing
// about the time after it.
#include <algorithm>

#include "base/zoo.h"
#include "control/raft/core/raft.h"

namespace runink::raft {

// Before its first own commit a leader's commit index may lie behind what its predecessor had committed.
bool Raft::committed_in_term() const { return role_ == Role::kLeader && log_.term(commit_) == term_; }

void Raft::read_index(ReadId id) {
  if (role_ == Role::kLeader) {
    reads_waiting_.push_back(id);
  } else {
    reads_refused_.push_back(id);
  }
}

void Raft::start_read_round() {
  if (reads_waiting_.empty() || (!committed_in_term() && !zoo(Zoo::kReadBeforeOwnCommit))) return;
  const auto heard = [&](NodeId id) {  // lately, as the own clock has it
    const auto peer = peers_.find(id);
    return id == options_.id || (peer != peers_.end() && now_ - peer->second.heard_tick < options_.election_ticks);
  };
  const auto& voters = membership().voters;
  const bool lease = zoo(Zoo::kReadByClock) && static_cast<size_t>(std::count_if(voters.begin(), voters.end(), heard)) >= membership().quorum();
  if (zoo(Zoo::kReadWithoutRound) || lease) {
    for (ReadId id : reads_waiting_) reads_.push_back({id, commit_});
    reads_waiting_.clear();
    return;
  }
  if (zoo(Zoo::kReadJoinsOldRound) && !read_rounds_.empty()) {
    read_rounds_.back().index = commit_;
    read_rounds_.back().ids.insert(read_rounds_.back().ids.end(), reads_waiting_.begin(), reads_waiting_.end());
    reads_waiting_.clear();
    return;
  }
  read_rounds_.push_back({++read_round_, commit_, std::move(reads_waiting_)});
  reads_waiting_.clear();
  for (auto& [to, peer] : peers_) {
    if (membership().votes(to) || zoo(Zoo::kLearnersConfirmReads)) heartbeat(to, peer);
  }
  confirm_reads();
}

void Raft::confirm_reads() {
  if (read_rounds_.empty() || role_ != Role::kLeader) return;
  std::vector<uint64_t> rounds;
  for (NodeId id : membership().voters) {
    const auto peer = peers_.find(id);
    rounds.push_back(id == options_.id ? read_round_ : peer == peers_.end() ? 0 : peer->second.read_round);
  }
  if (zoo(Zoo::kLearnersConfirmReads)) {
    for (NodeId id : membership().learners) rounds.push_back(peers_.contains(id) ? peers_.at(id).read_round : 0);
  }
  std::sort(rounds.begin(), rounds.end(), std::greater<>());
  const uint64_t confirmed = rounds[membership().quorum() - 1];
  auto open = read_rounds_.begin();
  for (; open != read_rounds_.end() && open->round <= confirmed; ++open) {
    for (ReadId id : open->ids) reads_.push_back({id, open->index});
  }
  read_rounds_.erase(read_rounds_.begin(), open);
}

void Raft::refuse_reads() {
  for (const auto& round : read_rounds_) reads_refused_.insert(reads_refused_.end(), round.ids.begin(), round.ids.end());
  reads_refused_.insert(reads_refused_.end(), reads_waiting_.begin(), reads_waiting_.end());
  read_rounds_.clear();
  reads_waiting_.clear();
}

}  // namespace runink::raft
