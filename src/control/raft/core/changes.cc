// Changes of membership and of leader.
#include <algorithm>

#include "base/check.h"
#include "base/zoo.h"
#include "control/raft/core/raft.h"

namespace runink::raft {

const Membership& Raft::membership_at(Index index) const {
  auto after = memberships_.upper_bound(index);
  RUNINK_CHECK(after != memberships_.begin());
  return std::prev(after)->second;
}

void Raft::adopt_membership(Index index, Membership membership) {
  memberships_[index] = std::move(membership);
  if (role_ == Role::kLeader) rebuild_peers();
}

void Raft::drop_memberships_from(Index index) { memberships_.erase(memberships_.lower_bound(index), memberships_.end()); }

void Raft::rebuild_peers() {
  const Membership& now = membership();
  std::erase_if(peers_, [&](const auto& p) { return !now.has(p.first); });
  for (const auto* nodes : {&now.voters, &now.learners}) {
    for (NodeId id : *nodes) {
      if (id == options_.id || peers_.contains(id)) continue;
      Progress peer;
      peer.next = log_.last() + 1;
      peer.heard_tick = now_;  // nobody is silent before having been spoken to
      peers_.emplace(id, peer);
    }
  }
  if (transferee_ != 0 && !now.votes(transferee_)) abort_transfer();
}

bool Raft::change_in_flight() const { return memberships_.rbegin()->first > commit_; }

Result<Proposal> Raft::propose_change(const Change& change) {
  if (role_ != Role::kLeader) return unavailable("node {} does not lead", options_.id);
  // Without an entry of its own term a leader does not know which change its predecessor left half done (the bug of the
  // 2014 dissertation, mended in 2015).
  if (!committed_in_term() && !zoo(Zoo::kChangeBeforeOwnCommit)) return failed_precondition("this term has committed nothing yet").with_hint("try again in a moment");
  if (change_in_flight() && !zoo(Zoo::kTwoChangesAtOnce)) return failed_precondition("another change of the membership is under way").with_hint("try again when it is through");
  if (transferee_ != 0) return failed_precondition("leadership is being handed over").with_hint("try again in a moment");
  Membership after = RUNINK_TRY(changed(membership(), change));
  if (change.kind == ChangeKind::kPromote) {
    const Progress& peer = peers_.at(change.node);
    if (peer.state != Progress::State::kReplicate || peer.match + options_.max_in_flight_messages < commit_) {
      return failed_precondition("node {} has not caught up: it holds {} of {} entries", change.node, peer.match, commit_)
          .with_hint("wait until it has");
    }
  }
  size_t active = 0;
  for (NodeId id : after.voters) {
    const auto peer = peers_.find(id);
    active += id == options_.id ||
              (peer != peers_.end() && !peer->second.rejoining && now_ - peer->second.heard_tick <= options_.election_ticks);
  }
  if (active < after.quorum()) {
    return failed_precondition("of the {} voters there would be, only {} can be reached and may vote: the quorum would be lost", after.voters.size(), active)
        .with_hint("bring the others back, or remove them, first");
  }
  auto data = std::make_shared<const std::string>(encode(after));
  const Index index = append_own(EntryKind::kMembership, std::move(data));
  adopt_membership(index, std::move(after));
  return Proposal{Proposal::Outcome::kAccepted, index, term_};
}

Status Raft::transfer(NodeId to) {
  if (role_ != Role::kLeader) return unavailable("node {} does not lead", options_.id);
  if (to == options_.id) return {};
  if (!membership().votes(to)) return failed_precondition("node {} is not a voter", to);
  if (transferee_ == to) return {};
  transferee_ = to;
  transfer_tick_ = now_;
  const Progress& peer = peers_.at(to);
  if (peer.match == log_.last()) {
    Message now;
    now.kind = MessageKind::kTimeoutNow;
    now.to = to;
    now.term = term_;
    send(std::move(now));
  }
  return {};
}

}  // namespace runink::raft
