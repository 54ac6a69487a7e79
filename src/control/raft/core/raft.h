// One node's part in a Raft group (Ongaro and Ousterhout 2014; Ongaro's dissertation), as a pure state machine: no I/O, no
// clock, no thread, and randomness only as it is handed in. The same inputs in the same order give the same outputs, so that a
// simulator runs this very code.
//
// A driver owns it and calls it from one thread:
//
//     step(message), tick(), propose(…), read_index(…), …      what happens
//     Ready ready = take_ready();                               what is to be done about it
//       write ready.hard_state and ready.append, in this order, durably; then say so with hard_state_persisted(version) and
//       log_persisted(index, term), in this order too: in any later turn, not necessarily the next. Writes become durable, and
//       are said to be, in the order in which they were handed out
//       send ready.messages; apply ready.committed, in order; answer ready.reads
//
// Messages whose meaning rests on something durable (a vote, an acknowledgement) are held back here until the driver has said
// that it is; what take_ready gives may be sent at once. Appending replaces: an entry at an index that the journal has
// already means that this one and all behind it are void.
//
// Beyond the paper: PreVote, CheckQuorum, leader stickiness, learners, one change of membership at a time, transfer of
// leadership, ReadIndex in coalesced rounds, and nodes that lost their storage: they take part without a vote until they hold
// what the leader had committed after they came back. One that knows where the log ended that it lost still votes for whoever's
// log goes at least as far: that is all that a vote promises (Alagappan and others, Protocol-Aware Recovery, FAST 2018); and it
// is whole again once its own log does. So a group in which a majority lost something is repaired by a member that has it all.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "base/status.h"
#include "control/raft/core/log.h"
#include "control/raft/core/membership.h"
#include "control/raft/core/message.h"
#include "control/raft/core/progress.h"
#include "control/raft/core/types.h"

namespace runink::raft {

struct Options {
  NodeId id = 0;
  uint32_t election_ticks = 10;  // a follower waits for so long, and up to twice as long, without a leader's word
  uint32_t heartbeat_ticks = 1;
  size_t max_message_bytes = 1 << 20;           // entries of one message; a single larger entry goes alone
  size_t max_in_flight_messages = 256;          // to one peer, unanswered
  size_t max_in_flight_bytes = 8 << 20;
  size_t max_uncommitted_bytes = 64 << 20;      // proposals beyond are refused as busy
  size_t max_apply_bytes = 4 << 20;             // handed out for applying in one Ready
  std::function<uint64_t()> random;             // for election time-outs
  uint64_t incarnation = 1;  // of this node's storage: larger at every start
  bool may_vote = true;      // false: its storage lost entries; it regains the vote by itself (Ready::vote_regained)
  std::optional<LogEnd> lost_end;  // then: the end of all that it ever acknowledged, or anything beyond; none: not known
};

// What was durable when this node stopped.
struct Recovered {
  HardState hard_state;
  Index snapshot_index = 0;
  Term snapshot_term = 0;
  Membership membership;  // as of the snapshot, or the one that the cluster begins with
  std::vector<Entry> entries;
  Index applied = 0;  // at least snapshot_index
};

enum class Role : uint8_t { kFollower, kPreCandidate, kCandidate, kLeader };

using ReadId = uint64_t;

struct Proposal {
  enum class Outcome : uint8_t {
    kAccepted,   // watch what is applied at `index`: it was this proposal if the entry's term is `term`, else it was lost
    kNotLeader,  // ask `leader`, if it is known
    kBusy,       // too much is uncommitted, or leadership is being handed over: later
  };
  Outcome outcome = Outcome::kNotLeader;
  Index index = 0;
  Term term = 0;
};

struct Ready {
  std::optional<HardState> hard_state;
  uint64_t hard_state_version = 0;
  std::vector<Entry> append;
  std::vector<Message> messages;
  std::vector<Entry> committed;
  struct Read {
    ReadId id;
    Index index;  // the read may be answered once this is applied
  };
  std::vector<Read> reads;
  std::vector<ReadId> reads_refused;     // not the leader (any more); nothing is known about them
  std::vector<NodeId> snapshots_wanted;  // offer these peers a snapshot: offer_snapshot()
  std::optional<SnapshotMeta> install;   // fetch this snapshot from `install_from`, install it, call snapshot_installed()
  NodeId install_from = 0;
  bool vote_regained = false;  // write down that this node's storage is whole again
};

// See Raft::fingerprint.
void fingerprint(const Message& message, NodeId (*rename)(NodeId), std::vector<uint64_t>* out);

class Raft {
 public:
  Raft(Options options, Recovered recovered);

  void step(const Message& message);
  void tick();
  Proposal propose(std::shared_ptr<const std::string> data);
  // kUnavailable (not leader), kFailedPrecondition (not now, or not with what is known of the peers), or as changed().
  Result<Proposal> propose_change(const Change& change);
  void read_index(ReadId id);
  // Hands leadership to a voter. Given up after an election time-out; proposals are refused as busy until then.
  Status transfer(NodeId to);
  // Campaigns at once, as if the election time-out had passed.
  void campaign();

  void hard_state_persisted(uint64_t version);
  void log_persisted(Index index, Term term);
  void applied(Index index);
  // The entries up to this one are covered by a durable snapshot. Never beyond what is applied.
  void compact(Index through);
  void offer_snapshot(NodeId to, const SnapshotMeta& snapshot);
  void snapshot_installed(const SnapshotMeta& snapshot);  // durably, in place of log and state
  void snapshot_failed(const SnapshotMeta& snapshot);     // forget it; a leader will offer another

  bool has_ready() const;
  Ready take_ready();

  NodeId id() const { return options_.id; }
  Role role() const { return role_; }
  Term term() const { return term_; }
  NodeId vote() const { return vote_; }
  NodeId leader() const { return leader_; }
  Index commit() const { return commit_; }
  Index applied() const { return applied_; }
  bool may_vote() const { return may_vote_; }
  const Log& log() const { return log_; }
  const Membership& membership() const { return memberships_.rbegin()->second; }
  // In force at this index. Not before the log's base.
  const Membership& membership_at(Index index) const;
  const std::map<NodeId, Progress>& peers() const { return peers_; }  // of a leader
  size_t uncommitted_bytes() const { return uncommitted_bytes_; }
  NodeId transferee() const { return transferee_; }

  // All that decides what this node will do, as words, for who must know whether a state has been seen before. Without the
  // passing of time (ticks, time-outs, when a peer was heard last) and without what is counted only to be compared (versions are
  // given relative to the newest). Ids of nodes are given as `rename` has them.
  void fingerprint(NodeId (*rename)(NodeId), std::vector<uint64_t>* out) const;

 private:
  // raft.cc
  void become_follower(Term term, NodeId leader);
  void reset_timer();
  void send(Message message);
  void send_durable(Message message, Index index, Term term);
  void release_messages();
  bool heard_from_leader() const;
  // election.cc
  void begin_campaign(bool pre, bool force);
  void count_vote(NodeId from, bool granted);
  void become_leader();
  bool may_vote_for(LogEnd end) const;
  bool up_to_date(Index index, Term term) const;
  void on_vote_request(const Message& m);
  void on_vote_reply(const Message& m);
  bool promotable() const;
  void check_quorum();
  void regain_vote();
  // replication.cc
  Index append_own(EntryKind kind, std::shared_ptr<const std::string> data);
  void replicate(NodeId to, Progress& peer);
  bool has_news_for(const Progress& peer) const;
  void send_append(NodeId to, Progress& peer, std::vector<Entry> entries);
  void heartbeat(NodeId to, Progress& peer);
  void broadcast_heartbeat();
  void on_append(const Message& m);
  void on_heartbeat(const Message& m);
  void on_append_reply(const Message& m);
  void on_heartbeat_reply(const Message& m);
  void on_snapshot_offer(const Message& m);
  bool know_peer(const Message& m, Progress** peer);
  void heed_leader(const Message& m);
  void advance_commit();
  void follow_commit(Index leader_commit);
  Message reply_to(const Message& m, MessageKind kind) const;
  // changes.cc
  void adopt_membership(Index index, Membership membership);
  void drop_memberships_from(Index index);
  void rebuild_peers();
  bool change_in_flight() const;
  void abort_transfer() { transferee_ = 0; }
  // reading.cc
  bool committed_in_term() const;
  void start_read_round();
  void confirm_reads();
  void refuse_reads();

  Options options_;
  Log log_;
  Role role_ = Role::kFollower;
  Term term_ = 0;
  NodeId vote_ = 0;
  NodeId leader_ = 0;
  Index commit_ = 0, applied_ = 0, next_to_apply_ = 1;
  bool may_vote_;

  uint64_t now_ = 0;  // ticks since the start
  uint32_t elapsed_ = 0, timeout_ = 0, heartbeat_elapsed_ = 0;

  // Of a follower: the last index known to be as in the leader's log, in this term. Commit never goes beyond.
  Index verified_ = 0;
  // The hard state's version when entries were replaced last. What is said to be durable before this version is must be an
  // older write: the entries that it names may since have been overwritten, and be under way once more.
  uint64_t replaced_version_ = 0;
  // Of a node without a vote: what it must hold to regain it; 0 while no leader has said.
  Index rejoin_target_ = 0;
  bool vote_regained_ = false;

  std::map<NodeId, bool> votes_;
  bool forced_ = false;
  std::map<NodeId, Progress> peers_;
  size_t uncommitted_bytes_ = 0;
  NodeId transferee_ = 0;
  uint64_t transfer_tick_ = 0;

  // By the index from which each is in force; the first is the base's.
  std::map<Index, Membership> memberships_;

  uint64_t hard_state_version_ = 1, hard_state_taken_ = 1, hard_state_persisted_ = 1;

  struct Held {
    Message message;
    uint64_t version;     // of the hard state
    Index index;          // of the log, and its term; 0 for none
    Term log_term;
  };
  std::vector<Held> held_;
  std::vector<Message> outbox_;

  struct ReadRound {
    uint64_t round;
    Index index;
    std::vector<ReadId> ids;
  };
  std::vector<ReadId> reads_waiting_;
  std::vector<ReadRound> read_rounds_;
  uint64_t read_round_ = 0;
  std::vector<Ready::Read> reads_;
  std::vector<ReadId> reads_refused_;
  std::vector<NodeId> snapshots_wanted_;
  std::optional<SnapshotMeta> installing_;
  NodeId install_from_ = 0;
  bool install_taken_ = false;
};

}  // namespace runink::raft
