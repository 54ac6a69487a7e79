#include "control/raft/core/raft.h"

#include <algorithm>

#include "base/check.h"
#include "base/zoo.h"

namespace runink::raft {

Raft::Raft(Options options, Recovered recovered)
    : options_(std::move(options)),
      log_(recovered.snapshot_index, recovered.snapshot_term, std::move(recovered.entries)),
      term_(recovered.hard_state.term),
      vote_(recovered.hard_state.vote),
      may_vote_(options_.may_vote || zoo(Zoo::kRejoinedVotesAtOnce)) {
  RUNINK_CHECK(options_.id != 0 && options_.random && options_.heartbeat_ticks < options_.election_ticks);
  memberships_[log_.base()] = std::move(recovered.membership);
  for (Index i = log_.first(); i <= log_.last(); ++i) {
    const Entry& entry = log_.at(i);
    if (entry.kind != EntryKind::kMembership) continue;
    Result<Membership> membership = decode_membership(*entry.data);
    RUNINK_CHECK(membership.ok());  // it was checked before it was written, and the journal's checksum holds
    memberships_[i] = std::move(*membership);
  }
  // The hint may be newer than the log after the loss of a tail that was never acknowledged.
  commit_ = std::clamp(recovered.hard_state.commit, log_.base(), log_.last());
  applied_ = std::max(recovered.applied, log_.base());
  // What is applied was committed, and a journal that lost it is one without a vote.
  commit_ = std::clamp(commit_, std::min(applied_, log_.last()), log_.last());
  next_to_apply_ = applied_ + 1;
  regain_vote();
  reset_timer();
}

void Raft::reset_timer() {
  elapsed_ = 0;
  timeout_ = options_.election_ticks + static_cast<uint32_t>(options_.random() % options_.election_ticks);
}

void Raft::become_follower(Term term, NodeId leader) {
  RUNINK_CHECK(term >= term_);
  const bool led = role_ == Role::kLeader;
  if (term > term_) {
    term_ = term;
    vote_ = 0;
    ++hard_state_version_;
    if (!zoo(Zoo::kVerifiedOutlivesTerm)) verified_ = 0;
    // What waits to be said of an older term is of no use to anybody.
    std::erase_if(held_, [&](const Held& h) { return h.message.term < term && h.message.kind != MessageKind::kPreVoteReply; });
  } else if (leader != leader_ && !zoo(Zoo::kVerifiedOutlivesTerm)) {
    verified_ = 0;
  }
  role_ = Role::kFollower;
  leader_ = leader;
  votes_.clear();
  forced_ = false;
  if (led) {
    peers_.clear();
    uncommitted_bytes_ = 0;
    abort_transfer();
  }
  refuse_reads();
  reset_timer();
}

// A leader's word within the shortest time-out, or being one: reason not to help anybody else to an election.
bool Raft::heard_from_leader() const {
  if (zoo(Zoo::kNoPreVoteNoStickiness)) return false;
  return role_ == Role::kLeader || (leader_ != 0 && elapsed_ < options_.election_ticks);
}

void Raft::send(Message message) { send_durable(std::move(message), 0, 0); }

void Raft::send_durable(Message message, Index index, Term term) {
  message.from = options_.id;
  const bool vote = message.kind == MessageKind::kVoteReply, request = message.kind == MessageKind::kVote;
  if ((zoo(Zoo::kVoteSaidBeforeWritten) && vote) || (zoo(Zoo::kCandidateDoesNotWait) && request) ||
      (zoo(Zoo::kAcknowledgesBeforeWritten) && index != 0)) {
    outbox_.push_back(std::move(message));
    return;
  }
  held_.push_back({std::move(message), hard_state_version_, index, term});
}

void Raft::release_messages() {
  auto keep = held_.begin();
  for (auto& held : held_) {
    const bool due = held.version <= hard_state_persisted_ &&
                     (held.index == 0 || (held.index <= log_.persisted() && (held.index <= log_.base() || log_.term(held.index) == held.log_term)));
    if (due) {
      outbox_.push_back(std::move(held.message));
    } else {
      if (&*keep != &held) *keep = std::move(held);
      ++keep;
    }
  }
  held_.erase(keep, held_.end());
}

void Raft::step(const Message& m) {
  if (m.to != options_.id || m.from == options_.id || m.from == 0) return;
  if (m.term > term_) {
    const bool asks = m.kind == MessageKind::kPreVote || m.kind == MessageKind::kVote;
    if (asks && !m.force && heard_from_leader()) return;
    const bool prospective = m.kind == MessageKind::kPreVote || (m.kind == MessageKind::kPreVoteReply && !m.reject);
    if (!prospective) {
      const bool leads = m.kind == MessageKind::kAppend || m.kind == MessageKind::kHeartbeat || m.kind == MessageKind::kSnapshotOffer;
      become_follower(m.term, leads ? m.from : 0);
    }
  } else if (m.term < term_) {
    // A leader or candidate of an old term learns of the new one.
    if (m.kind == MessageKind::kAppend || m.kind == MessageKind::kHeartbeat || m.kind == MessageKind::kSnapshotOffer) {
      Message reply = reply_to(m, MessageKind::kAppendReply);
      reply.reject = true;
      send(std::move(reply));
    } else if (m.kind == MessageKind::kPreVote) {
      Message reply = reply_to(m, MessageKind::kPreVoteReply);
      reply.reject = true;
      send(std::move(reply));
    }
    const bool counts = (zoo(Zoo::kOldVoteReplyCounts) && m.kind == MessageKind::kVoteReply) ||
                        (zoo(Zoo::kOldAcknowledgementCounts) && m.kind == MessageKind::kAppendReply);
    if (!counts) return;
  }
  switch (m.kind) {
    case MessageKind::kPreVote:
    case MessageKind::kVote: return on_vote_request(m);
    case MessageKind::kPreVoteReply:
    case MessageKind::kVoteReply: return on_vote_reply(m);
    case MessageKind::kAppend: return on_append(m);
    case MessageKind::kHeartbeat: return on_heartbeat(m);
    case MessageKind::kAppendReply: return on_append_reply(m);
    case MessageKind::kHeartbeatReply: return on_heartbeat_reply(m);
    case MessageKind::kSnapshotOffer: return on_snapshot_offer(m);
    case MessageKind::kTimeoutNow:
      if (role_ == Role::kFollower && m.from == leader_ && promotable()) begin_campaign(false, true);
      return;
  }
}

void Raft::tick() {
  ++now_;
  if (role_ != Role::kLeader) {
    if (++elapsed_ >= timeout_) campaign();
    return;
  }
  if (++heartbeat_elapsed_ >= options_.heartbeat_ticks) {
    heartbeat_elapsed_ = 0;
    broadcast_heartbeat();
  }
  if (++elapsed_ >= options_.election_ticks) {
    elapsed_ = 0;
    check_quorum();
  }
  if (role_ == Role::kLeader && transferee_ != 0 && now_ - transfer_tick_ >= options_.election_ticks) abort_transfer();
}

void Raft::hard_state_persisted(uint64_t version) {
  RUNINK_CHECK(version <= hard_state_version_);
  hard_state_persisted_ = std::max(hard_state_persisted_, version);
  // A candidate's own vote counts once it is durable.
  if (role_ == Role::kCandidate && hard_state_persisted_ == hard_state_version_ && !votes_.contains(options_.id)) {
    count_vote(options_.id, true);
  }
}

void Raft::log_persisted(Index index, Term term) {
  if (hard_state_persisted_ >= replaced_version_ || zoo(Zoo::kReplacedWriteAcknowledges)) log_.acknowledge(index, term);
  if (role_ == Role::kLeader) advance_commit();
  regain_vote();
}

void Raft::applied(Index index) {
  RUNINK_CHECK(index >= applied_ && index < next_to_apply_);
  applied_ = index;
}

void Raft::compact(Index through) {
  RUNINK_CHECK(through <= applied_);
  if (through <= log_.base()) return;
  Membership membership = membership_at(through);
  log_.compact(through);
  memberships_.erase(memberships_.begin(), memberships_.upper_bound(through));
  memberships_[through] = std::move(membership);
}

bool Raft::has_ready() const {
  if (hard_state_taken_ != hard_state_version_ || log_.has_unwritten() || !outbox_.empty() || !reads_.empty() || !reads_refused_.empty() ||
      !snapshots_wanted_.empty() || (installing_ && !install_taken_) || vote_regained_ || (!installing_ && next_to_apply_ <= std::min(commit_, log_.persisted()))) {
    return true;
  }
  if (role_ == Role::kLeader && !reads_waiting_.empty() && committed_in_term()) return true;
  if (role_ == Role::kLeader && std::any_of(peers_.begin(), peers_.end(), [&](const auto& p) { return has_news_for(p.second); })) return true;
  return std::any_of(held_.begin(), held_.end(), [&](const Held& h) {
    return h.version <= hard_state_persisted_ && (h.index == 0 || h.index <= log_.persisted());
  });
}

Ready Raft::take_ready() {
  if (role_ == Role::kLeader) {
    start_read_round();
    for (auto& [to, peer] : peers_) replicate(to, peer);
  }
  Ready out;
  if (hard_state_taken_ != hard_state_version_) {
    // The hint must not run ahead of the log on disk: after a crash between the two writes it would declare committed whatever
    // stood at its index before.
    out.hard_state = HardState{term_, vote_, zoo(Zoo::kHintAheadOfLog) ? commit_ : std::min(commit_, log_.persisted())};
    out.hard_state_version = hard_state_taken_ = hard_state_version_;
  }
  out.append = log_.take_unwritten();
  release_messages();
  out.messages.swap(outbox_);
  const Index to = std::min(commit_, log_.persisted());
  // While the state is being replaced, nothing is applied to it.
  if (!installing_ && next_to_apply_ <= to) {
    out.committed = log_.slice(next_to_apply_, to, options_.max_apply_bytes);
    next_to_apply_ = out.committed.back().index + 1;
  }
  out.reads.swap(reads_);
  out.reads_refused.swap(reads_refused_);
  out.snapshots_wanted.swap(snapshots_wanted_);
  if (installing_ && !install_taken_) {
    install_taken_ = true;
    out.install = installing_;
    out.install_from = install_from_;
  }
  out.vote_regained = std::exchange(vote_regained_, false);
  return out;
}

}  // namespace runink::raft
