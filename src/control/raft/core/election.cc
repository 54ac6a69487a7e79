// Elections: PreVote first (nobody's term rises for a candidate that cannot win), durable votes, CheckQuorum.
#include <algorithm>

#include "base/check.h"
#include "base/zoo.h"
#include "control/raft/core/raft.h"

namespace runink::raft {

// A voter, or one whose removal is not known to be committed: it may be the only one that can commit it, as with two nodes of
// which the leader removes itself and stops (dissertation 4.2.2).
bool Raft::promotable() const {
  if (!may_vote_ || installing_) return false;
  if (zoo(Zoo::kRemovedDoesNotCampaign)) return membership().votes(options_.id);
  return std::any_of(std::prev(memberships_.upper_bound(commit_)), memberships_.end(),
                     [&](const auto& m) { return m.second.votes(options_.id); });
}

void Raft::campaign() {
  if (role_ == Role::kLeader) return;
  reset_timer();
  if (promotable()) begin_campaign(!zoo(Zoo::kNoPreVoteNoStickiness), false);
}

void Raft::begin_campaign(bool pre, bool force) {
  refuse_reads();
  leader_ = 0;
  verified_ = 0;
  if (!zoo(Zoo::kVotesOutliveCampaign)) votes_.clear();
  forced_ = force;
  role_ = pre ? Role::kPreCandidate : Role::kCandidate;
  if (!pre) {
    if (!zoo(Zoo::kTermNotRaised) || vote_ != options_.id) ++term_;
    vote_ = options_.id;
    ++hard_state_version_;
    held_.clear();  // all of it is of older terms
  }
  reset_timer();
  for (NodeId to : membership().voters) {
    if (to == options_.id) continue;
    Message m;
    m.kind = pre ? MessageKind::kPreVote : MessageKind::kVote;
    m.to = to;
    m.term = pre ? term_ + 1 : term_;
    // Only what is durable may be promised: an entry that is not written yet can be gone after a crash.
    m.index = log_.persisted();
    m.log_term = log_.persisted_term();
    m.force = force;
    send(std::move(m));
  }
  if (pre || zoo(Zoo::kCandidateDoesNotWait)) count_vote(options_.id, true);  // a candidate's counts when it is durable: hard_state_persisted()
}

bool Raft::up_to_date(Index index, Term term) const {
  if (zoo(Zoo::kVoteByLengthOnly)) return index >= log_.persisted();
  const Term own = log_.persisted_term();
  return term > own || (term == own && index >= log_.persisted());
}

bool Raft::may_vote_for(LogEnd end) const {
  if (may_vote_) return true;
  return options_.lost_end && (end >= *options_.lost_end || zoo(Zoo::kVotesByWhatIsLeft));
}

void Raft::on_vote_request(const Message& m) {
  const bool pre = m.kind == MessageKind::kPreVote;
  const bool second = zoo(Zoo::kSecondVoteForTransfer) && m.force;
  const bool free = pre ? m.term > term_ : (vote_ == 0 || vote_ == m.from || second) && role_ == Role::kFollower;
  const bool grant = may_vote_for({m.log_term, m.index}) && free && up_to_date(m.index, m.log_term) && (m.force || !heard_from_leader() || vote_ == m.from);
  Message reply = reply_to(m, pre ? MessageKind::kPreVoteReply : MessageKind::kVoteReply);
  reply.reject = !grant;
  if (grant && pre) reply.term = m.term;
  if (grant && !pre) {
    if (vote_ != m.from) {
      vote_ = m.from;
      if (!zoo(Zoo::kVoteNotWritten)) ++hard_state_version_;
    }
    reset_timer();
  }
  send(std::move(reply));
}

void Raft::on_vote_reply(const Message& m) {
  const bool pre = m.kind == MessageKind::kPreVoteReply;
  if (role_ != (pre ? Role::kPreCandidate : Role::kCandidate)) return;
  // A granted PreVote is of the term asked for, which may be that of an earlier attempt.
  if (pre && !m.reject && m.term != term_ + 1) return;
  count_vote(m.from, !m.reject);
}

void Raft::count_vote(NodeId from, bool granted) {
  if (!membership().votes(from)) return;
  votes_.emplace(from, granted);
  size_t yes = 0, no = 0;
  for (const auto& [id, vote] : votes_) ++(vote ? yes : no);
  if (yes >= membership().quorum()) {
    if (role_ == Role::kPreCandidate) {
      begin_campaign(false, forced_);
    } else {
      become_leader();
    }
  } else if (no > membership().voters.size() - membership().quorum()) {
    become_follower(term_, 0);
  }
}

void Raft::become_leader() {
  RUNINK_CHECK(role_ == Role::kCandidate && vote_ == options_.id);
  RUNINK_CHECK(hard_state_persisted_ == hard_state_version_ || zoo(Zoo::kCandidateDoesNotWait));
  role_ = Role::kLeader;
  leader_ = options_.id;
  votes_.clear();
  elapsed_ = heartbeat_elapsed_ = 0;
  abort_transfer();
  peers_.clear();
  rebuild_peers();
  uncommitted_bytes_ = 0;
  for (Index i = std::max(commit_ + 1, log_.first()); i <= log_.last(); ++i) uncommitted_bytes_ += log_.at(i).bytes();
  // Entries of earlier terms are committed only together with one of this term: so there must be one.
  if (!zoo(Zoo::kNoNoop)) append_own(EntryKind::kNoop, nullptr);
}

// A leader that a majority does not answer any more steps down: others may have a new one already.
void Raft::check_quorum() {
  size_t active = 0;
  for (NodeId id : membership().voters) {
    const auto peer = peers_.find(id);
    active += id == options_.id || (peer != peers_.end() && now_ - peer->second.heard_tick <= options_.election_ticks);
  }
  if (active < membership().quorum()) become_follower(term_, 0);
}

// Of a node that lost entries. Where it knows the end of what it lost, its log may go that far again: then it has the very
// entries, or a later leader's log, which has those of them that were committed. (An entry behind the own end would be of a term
// beyond that of the lost end.) Where it does not, whatever it had acknowledged is in what a leader has committed since.
void Raft::regain_vote() {
  if (may_vote_) return;
  const bool as_far = options_.lost_end && LogEnd{log_.persisted_term(), log_.persisted()} >= *options_.lost_end;
  const bool caught_up = rejoin_target_ != 0 && log_.persisted() >= rejoin_target_ && commit_ >= rejoin_target_;
  if (!as_far && !caught_up) return;
  may_vote_ = true;
  vote_regained_ = true;
}

}  // namespace runink::raft
