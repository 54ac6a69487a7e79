// Replication: what a leader sends, what a follower makes of it, and what both call committed.
#include <algorithm>

#include "base/check.h"
#include "base/zoo.h"
#include "control/raft/core/raft.h"

namespace runink::raft {

Message Raft::reply_to(const Message& m, MessageKind kind) const {
  Message reply;
  reply.kind = kind;
  reply.to = m.from;
  reply.term = term_;
  reply.index = m.index;
  reply.incarnation = options_.incarnation;
  reply.rejoining = !may_vote_;
  return reply;
}

// ---- the leader

Index Raft::append_own(EntryKind kind, std::shared_ptr<const std::string> data) {
  Entry entry{log_.last() + 1, term_, kind, std::move(data)};
  uncommitted_bytes_ += entry.bytes();
  const Index index = entry.index;
  log_.append(std::move(entry));
  return index;
}

Proposal Raft::propose(std::shared_ptr<const std::string> data) {
  if (role_ != Role::kLeader) return {};
  const size_t bytes = Entry::kOverheadBytes + (data ? data->size() : 0);
  const bool full = uncommitted_bytes_ > 0 && uncommitted_bytes_ + bytes > options_.max_uncommitted_bytes;
  if (transferee_ != 0 || (full && !zoo(Zoo::kUnboundedProposals))) {
    return {Proposal::Outcome::kBusy, 0, 0};
  }
  return {Proposal::Outcome::kAccepted, append_own(EntryKind::kCommand, std::move(data)), term_};
}

void Raft::send_append(NodeId to, Progress& peer, std::vector<Entry> entries) {
  Message m;
  m.kind = MessageKind::kAppend;
  m.to = to;
  m.term = term_;
  m.index = peer.next - 1;
  m.log_term = *log_.term(m.index);
  m.commit = peer.commit_sent = commit_;
  m.own_term_committed = committed_in_term();
  m.read_round = read_round_;
  m.echo = peer.incarnation;
  m.entries = std::move(entries);
  send(std::move(m));
}

// Sends what the peer's window has room for; and the commit index, if that is all there is to say.
void Raft::replicate(NodeId to, Progress& peer) {
  if (peer.state == Progress::State::kSnapshot) return;
  if (peer.next <= log_.base()) {  // the entry before `next` is gone, and its term with it
    peer.enter(Progress::State::kSnapshot);
    snapshots_wanted_.push_back(to);
    return;
  }
  if (peer.state == Progress::State::kProbe) {
    if (peer.probe_sent) return;
    send_append(to, peer, log_.slice(peer.next, log_.last(), options_.max_message_bytes));
    peer.probe_sent = true;
    return;
  }
  while (peer.next <= log_.last() && peer.in_flight.size() < options_.max_in_flight_messages && peer.in_flight_bytes < options_.max_in_flight_bytes) {
    std::vector<Entry> entries = log_.slice(peer.next, log_.last(), options_.max_message_bytes);
    size_t bytes = 0;
    for (const Entry& entry : entries) bytes += entry.bytes();
    const Index last = entries.back().index;
    send_append(to, peer, std::move(entries));
    peer.sent(last, bytes);
  }
  if (peer.commit_sent < commit_ && peer.next > log_.last()) send_append(to, peer, {});
}

// Whether replicate() would do something.
bool Raft::has_news_for(const Progress& peer) const {
  if (peer.state == Progress::State::kSnapshot) return false;
  if (peer.next <= log_.base()) return true;
  if (peer.state == Progress::State::kProbe) return !peer.probe_sent;
  if (peer.next > log_.last()) return peer.commit_sent < commit_;
  return peer.in_flight.size() < options_.max_in_flight_messages && peer.in_flight_bytes < options_.max_in_flight_bytes;
}

void Raft::heartbeat(NodeId to, Progress& peer) {
  Message m;
  m.kind = MessageKind::kHeartbeat;
  m.to = to;
  m.term = term_;
  m.commit = commit_;
  m.own_term_committed = committed_in_term();
  m.read_round = read_round_;
  m.echo = peer.incarnation;
  send(std::move(m));
}

void Raft::broadcast_heartbeat() {
  for (auto& [to, peer] : peers_) {
    heartbeat(to, peer);
    if (peer.state == Progress::State::kSnapshot && peer.offer) offer_snapshot(to, *peer.offer);
  }
}

// Whether this answer counts: of a member, and of storage that is still there.
bool Raft::know_peer(const Message& m, Progress** peer) {
  if (role_ != Role::kLeader) return false;
  const auto found = peers_.find(m.from);
  if (found == peers_.end()) return false;
  Progress& p = found->second;
  if (m.incarnation < p.incarnation && !zoo(Zoo::kForgottenStorageCounts)) return false;
  if (m.incarnation > p.incarnation) {
    p.incarnation = m.incarnation;
    if (m.rejoining && !zoo(Zoo::kForgottenStorageCounts)) {
      // What it acknowledged before may be gone: begin again from nothing known.
      p.match = 0;
      p.enter(Progress::State::kProbe);
      p.next = log_.last() + 1;
    }
  }
  p.rejoining = m.rejoining;
  p.heard_tick = now_;
  p.read_round = std::max(p.read_round, m.read_round);
  *peer = &p;
  return true;
}

void Raft::on_append_reply(const Message& m) {
  Progress* peer = nullptr;
  if (!know_peer(m, &peer)) return;
  confirm_reads();
  if (role_ != Role::kLeader) return;
  if (m.reject) {
    if (peer->state == Progress::State::kReplicate ? m.index <= peer->match : m.index != peer->next - 1) return;  // of an earlier request
    if (peer->state == Progress::State::kSnapshot) return;
    // The logs agree at most up to the last entry here whose term is not newer than the follower's entry there.
    const Index agree = log_.last_with_term_at_most(std::min(m.index - 1, m.hint_index), m.hint_term);
    const Index next = std::max(std::min(m.index, agree + 1), peer->match + 1);
    peer->enter(Progress::State::kProbe);
    peer->next = next;
    if (zoo(Zoo::kProbeCounts)) peer->match = next - 1;
  } else {
    if (m.index > log_.last()) return;  // nothing of ours
    peer->freed_to(m.index);
    peer->probe_sent = false;
    if (m.index > peer->match) {
      peer->match = m.index;
      peer->next = std::max(peer->next, peer->match + 1);
    }
    if (zoo(Zoo::kMatchGoesBack)) peer->match = m.index;
    // From a snapshot too, even if the log has been cut beyond it since: replicate() sees to another one.
    if (peer->state != Progress::State::kReplicate) peer->enter(Progress::State::kReplicate);
    if (m.from == transferee_ && peer->match == log_.last()) {
      Message now;
      now.kind = MessageKind::kTimeoutNow;
      now.to = m.from;
      now.term = term_;
      send(std::move(now));
    }
    advance_commit();  // last: it may end this node's leadership, and with it what `peer` points to
  }
}

void Raft::on_heartbeat_reply(const Message& m) {
  Progress* peer = nullptr;
  if (!know_peer(m, &peer)) return;
  peer->probe_sent = false;
  // What is in flight has not moved since the heartbeat before: perhaps it was lost. An empty request behind it finds out; it
  // is refused if something is missing.
  if (peer->state == Progress::State::kReplicate && !peer->in_flight.empty() && peer->match == peer->match_at_heartbeat) {
    send_append(m.from, *peer, {});
  }
  // It holds more of what is committed than it knows to be: it was started anew, and nothing was sent to it since. An empty
  // request behind its last entry tells it that its log is as ours.
  if (peer->state == Progress::State::kReplicate && peer->in_flight.empty() && m.index < std::min(commit_, peer->match)) {
    send_append(m.from, *peer, {});
  }
  peer->match_at_heartbeat = peer->match;
  confirm_reads();
}

void Raft::advance_commit() {
  std::vector<Index> held;
  for (NodeId id : membership().voters) {
    const auto peer = peers_.find(id);
    const Index own = zoo(Zoo::kLeaderCountsUnwritten) ? log_.last() : log_.persisted();
    held.push_back(id == options_.id ? own : peer == peers_.end() ? 0 : peer->second.match);
  }
  if (zoo(Zoo::kLearnersCount)) {
    for (NodeId id : membership().learners) held.push_back(peers_.contains(id) ? peers_.at(id).match : 0);
  }
  if (zoo(Zoo::kRemovedLeaderCounts) && !membership().votes(options_.id)) held.push_back(log_.persisted());
  std::sort(held.begin(), held.end(), std::greater<>());
  const Index index = held[membership().quorum() - 1];
  // Only an entry of this term is committed by counting; those before it come along (figure 8 of the paper).
  if (index <= commit_ || (log_.term(index) != term_ && !zoo(Zoo::kOldTermsByCounting))) return;
  for (Index i = commit_ + 1; i <= index; ++i) uncommitted_bytes_ -= std::min(uncommitted_bytes_, log_.at(i).bytes());
  commit_ = index;
  confirm_reads();
  // A leader that has removed itself leads until that is committed, and no longer.
  if (!membership().votes(options_.id) && !change_in_flight()) {
    for (auto& [to, peer] : peers_) replicate(to, peer);
    become_follower(term_, 0);
  }
}

// ---- the follower

// A message of the leader of this term.
void Raft::heed_leader(const Message& m) {
  RUNINK_CHECK(role_ != Role::kLeader);  // one leader a term
  if (role_ != Role::kFollower || leader_ != m.from) become_follower(term_, m.from);
  elapsed_ = 0;
  const bool fresh = (m.own_term_committed && m.echo == options_.incarnation) || zoo(Zoo::kRejoinsAtAnyCommit);
  if (!may_vote_ && rejoin_target_ == 0 && fresh) {
    rejoin_target_ = m.commit;
    regain_vote();
  }
}

void Raft::follow_commit(Index leader_commit) {
  const Index to = std::min(leader_commit, zoo(Zoo::kCommitUnverified) ? log_.last() : verified_);
  if (to <= commit_) return;
  commit_ = to;
  regain_vote();
}

void Raft::on_append(const Message& m) {
  heed_leader(m);
  if (installing_) return;  // the log is about to be replaced: nothing of it may be vouched for
  Message reply = reply_to(m, MessageKind::kAppendReply);
  reply.read_round = m.read_round;
  if (m.index < log_.base()) {
    // All up to the base is committed, hence as in the leader's log.
    reply.index = log_.base();
    send_durable(std::move(reply), log_.base(), 0);
    return;
  }
  if (log_.term(m.index) != m.log_term && !(zoo(Zoo::kAcceptsWithoutMatch) && m.index <= log_.last())) {
    reply.reject = true;
    reply.hint_index = std::min(m.index, log_.last());
    reply.hint_index = log_.last_with_term_at_most(reply.hint_index, m.log_term);
    reply.hint_term = *log_.term(reply.hint_index);
    send(std::move(reply));
    return;
  }
  Index before = m.index;
  if (zoo(Zoo::kTruncatesOnOldAppend) && before < log_.last()) {
    drop_memberships_from(before + 1);
    log_.truncate_from(before + 1);
  }
  for (const Entry& entry : m.entries) {
    if (entry.index != ++before) return;  // no message of a sane leader
    const std::optional<Term> present = log_.term(entry.index);
    if (present == entry.term) continue;
    if (entry.term < log_.term(entry.index - 1).value_or(0)) return;
    std::optional<Membership> membership;
    if (entry.kind == EntryKind::kMembership) {
      Result<Membership> decoded = decode_membership(entry.data ? *entry.data : "");
      if (!decoded.ok()) return;
      membership = std::move(*decoded);
    }
    if (present) {
      RUNINK_CHECK(entry.index > commit_);
      if (!zoo(Zoo::kMembershipNotTakenBack)) drop_memberships_from(entry.index);
      log_.truncate_from(entry.index);
      replaced_version_ = hard_state_version_;
    }
    log_.append(entry);
    if (membership) adopt_membership(entry.index, std::move(*membership));
  }
  // Said of this request alone: entries that stand behind those may be of another leader.
  if (zoo(Zoo::kAcknowledgesOwnLast)) before = log_.last();
  reply.index = before;
  const Term term = *log_.term(before);
  send_durable(std::move(reply), before, term);
  verified_ = std::max(verified_, before);
  follow_commit(m.commit);
}

void Raft::on_heartbeat(const Message& m) {
  heed_leader(m);
  follow_commit(m.commit);
  Message reply = reply_to(m, MessageKind::kHeartbeatReply);
  reply.index = commit_;
  reply.read_round = m.read_round;
  send(std::move(reply));
}

// ---- snapshots

void Raft::offer_snapshot(NodeId to, const SnapshotMeta& snapshot) {
  const auto found = peers_.find(to);
  if (role_ != Role::kLeader || found == peers_.end() || found->second.state != Progress::State::kSnapshot) return;
  found->second.offer = snapshot;
  Message m;
  m.kind = MessageKind::kSnapshotOffer;
  m.to = to;
  m.term = term_;
  m.index = snapshot.index;
  m.log_term = snapshot.term;
  m.membership = snapshot.membership;
  m.read_round = read_round_;
  m.echo = found->second.incarnation;
  send(std::move(m));
}

void Raft::on_snapshot_offer(const Message& m) {
  heed_leader(m);
  if (m.index <= commit_ || log_.term(m.index) == m.log_term) {
    // It is all here. Of the entries up to commit, or up to one that is as the leader's, that may be said.
    verified_ = std::max(verified_, m.index);
    follow_commit(m.index);
    Message reply = reply_to(m, MessageKind::kAppendReply);
    reply.read_round = m.read_round;
    send_durable(std::move(reply), m.index, log_.term(m.index).value_or(0));
    return;
  }
  if (installing_ || m.membership.voters.empty()) return;
  installing_ = SnapshotMeta{m.index, m.log_term, m.membership};
  install_from_ = m.from;
  install_taken_ = false;
}

void Raft::snapshot_installed(const SnapshotMeta& snapshot) {
  RUNINK_CHECK(installing_ == snapshot);
  installing_.reset();
  RUNINK_CHECK(snapshot.index > commit_);  // nothing was appended meanwhile
  std::erase_if(held_, [](const Held& h) { return h.index != 0; });
  log_.reset(snapshot.index, snapshot.term);
  memberships_.clear();
  memberships_[snapshot.index] = snapshot.membership;
  commit_ = applied_ = snapshot.index;
  next_to_apply_ = snapshot.index + 1;
  verified_ = 0;
  regain_vote();
  if (leader_ == 0 || role_ != Role::kFollower) return;
  Message reply;
  reply.kind = MessageKind::kAppendReply;
  reply.to = leader_;
  reply.term = term_;
  reply.index = snapshot.index;
  reply.incarnation = options_.incarnation;
  reply.rejoining = !may_vote_;
  send(std::move(reply));
}

void Raft::snapshot_failed(const SnapshotMeta& snapshot) {
  if (installing_ == snapshot) installing_.reset();
}

}  // namespace runink::raft
