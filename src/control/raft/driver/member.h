// A member of a Raft group: the core, driven. It feeds the core what happens (messages, time, what the storage has
// done), and does what the core asks for: writes to the storage, sends, applies, makes and fetches snapshots, answers.
//
// Everything is called, and calls back, on one thread: that of the event loop. Nothing blocks. The same code runs in a
// server and in the simulator, which supply Storage, Transport, Application and the calls of tick(). Calls only note
// what is to be done; pump() does it, and is to be called once at the end of every turn of the loop, so that what came
// in one turn goes out together.
//
// After a doubt about durability or a replica that must not go on, failed() says why and the member does nothing any
// more: the process has to stop. No callback is then called, and whoever waits knows nothing of the outcome.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "control/raft/core/raft.h"
#include "control/raft/driver/storage.h"
#include "control/raft/transport/transport.h"

namespace runink::raft {

// What is replicated.
class Application {
 public:
  virtual ~Application() = default;
  // The entries behind those applied so far, of all kinds. An error: this replica must not go on.
  virtual Status apply(std::span<const Entry> entries) = 0;

  // Makes a durable snapshot of what is applied now (`meta` names it), or somewhat later: newest_snapshot() tells of
  // which entry. At most one at a time. `done` may come much later; an error is no end: it is tried again.
  virtual void make_snapshot(const SnapshotMeta& meta, std::function<void(Status)> done) = 0;
  // The newest that is whole and durable; none if there is none.
  virtual std::optional<SnapshotMeta> newest_snapshot() const = 0;
  // Fetches this snapshot from that peer and puts it, durably, in the place of the state. On an error the state is
  // unchanged.
  virtual void install_snapshot(NodeId from, const SnapshotMeta& meta, std::function<void(Status)> done) = 0;
  // The part that this member plays has changed.
  virtual void on_role(Role role, Term term, NodeId leader) = 0;
};

struct MemberOptions {
  Options core;
  // Both bounds; a snapshot is made when one is reached, and about so much of the log stays behind it, so that a member
  // that was away for a short time needs none.
  Index snapshot_entries = 100'000;
  uint64_t snapshot_bytes = 256 << 20;
  Index keep_entries = 10'000;
  uint64_t keep_bytes = 64 << 20;
};

// What became of a proposal.
struct Proposed {
  enum class Outcome : uint8_t {
    kApplied,    // at `index`, just now
    kNotLeader,  // nothing was proposed; ask `leader`, if it is known
    kBusy,       // nothing was proposed: too much is under way, or leadership is being handed over. Later
    kNoSpace,    // nothing was proposed: the disk is full
    kLost,       // it was proposed, and something else took its place: it will never be applied
    kUnknown,    // it was proposed, and a snapshot has covered its place
  };
  Outcome outcome = Outcome::kNotLeader;
  Index index = 0;
  NodeId leader = 0;
};

class Member final : public TransportReceiver {
 public:
  // All must outlive it. It sets itself as the transport's receiver.
  Member(MemberOptions options, Recovered recovered, Storage& storage, Transport& transport, Application& application);
  ~Member();

  // ---- what happens
  void tick();
  void on_message(Message message) override;
  void on_peer(NodeId peer, PeerState state) override;

  // ---- what is wanted
  // `done` comes in any later pump(); a proposal of a leader that is no longer one may stay open for as long as no
  // other is elected, so whoever waits needs a deadline of his own, and must then take the outcome for unknown.
  void propose(std::shared_ptr<const std::string> data, std::function<void(const Proposed&)> done);
  // The state may be read, as of now or later, when `done` is called with OK: in any later pump(). kUnavailable: not
  // the leader.
  void read(std::function<void(Status)> done);
  // kUnavailable: not the leader; others as Raft::propose_change. The change is made once the entry at this index is
  // applied.
  Result<Index> change_membership(const Change& change);
  Status transfer(NodeId to);  // 0: to whoever is best fit
  // Makes a snapshot although none is due.
  void snapshot();

  void pump();
  // Ends its part, for a reason of the application's own.
  void stop(Status status) { fail(std::move(status)); }

  const Status& failed() const { return failed_; }
  const Raft& raft() const { return raft_; }
  const MemberOptions& options() const { return options_; }
  uint64_t bytes_since_snapshot() const { return bytes_since_snapshot_; }  // of applied entries, since the last began
  size_t proposals_open() const { return pending_.size(); }
  bool leads() const { return raft_.role() == Role::kLeader; }
  // Entries were handed to the storage, but it is not done with them.
  size_t writes_under_way() const { return writes_.size(); }
  struct Counters {
    uint64_t proposals = 0, applied = 0, reads = 0, snapshots_made = 0, snapshots_installed = 0, elections = 0,
             appends_without_space = 0;
    // Proposals that were answered, by Proposed::Outcome.
    std::array<uint64_t, 6> outcomes{};
  };
  const Counters& counters() const { return counters_; }

 private:
  void settle(const std::function<void(const Proposed&)>& done, const Proposed& proposed);
  struct Pending {
    Term term;
    std::function<void(const Proposed&)> done;
  };
  void fail(Status status);
  void take(Ready ready);
  void write(Ready& ready);
  void written(uint64_t version, Index index, Term term);
  void apply(const std::vector<Entry>& entries);
  void apply_delayed();
  void settle_lost(Index from);
  void answer_reads();
  void offer_snapshots();
  void make_snapshot();
  void install(const SnapshotMeta& meta, NodeId from);
  void compact(Index snapshot);
  void note_role();
  void leave_if_hindered();

  MemberOptions options_;
  Raft raft_;
  Storage& storage_;
  Transport& transport_;
  Application& application_;
  Status failed_;
  NodeId last_asked_to_lead_ = 0;
  Counters counters_;
  // Callbacks of the storage and the application may come after this object is gone.
  std::shared_ptr<Member*> self_;

  std::multimap<Index, Pending> pending_;  // proposals by index
  std::vector<std::pair<std::function<void(const Proposed&)>, Proposed>> refused_;
  std::map<ReadId, std::function<void(Status)>> reads_;
  std::multimap<Index, std::function<void(Status)>> readable_;  // confirmed, by the index that must be applied
  ReadId last_read_ = 0;

  uint64_t now_ = 0;             // ticks
  std::deque<uint64_t> writes_;  // when each write was begun, in ticks
  // Committed, and to be applied before any other: of a follower that had something to write in the same turn. Whoever
  // waits for the leader's answer waits for that write's acknowledgement, not for what a follower applies.
  std::vector<Entry> delayed_;
  bool snapshot_under_way_ = false, installing_ = false;
  uint64_t snapshot_not_before_ = 0;   // ticks; after one that failed
  uint64_t bytes_since_snapshot_ = 0;  // of applied entries
  Role role_ = Role::kFollower;
  Term role_term_ = 0;
  NodeId role_leader_ = 0;
};

}  // namespace runink::raft
