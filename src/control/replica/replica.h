// The Barn on one member: the state machine behind a Raft member, with what clients ask of it (commands, reads,
// watches) and what the leader does by itself (leases and sessions that end, events that are forgotten).
//
// One thread, that of the event loop. Callbacks come in a later turn, or never if the member has failed: whoever waits
// needs a deadline, and must then take the outcome for unknown.
//
// Kinds of errors of execute():
//   barn.not_leader  nothing was proposed. details(): the leader's id, if it is known (kUnavailable)
//   barn.busy        nothing was proposed: too much is under way (kResourceExhausted)
//   barn.no_space    nothing was proposed: the leader's disk is full (kResourceExhausted)
//   barn.lost        it was proposed, and will never be applied (kAborted)
//   barn.unknown     it was proposed; whether it was applied is not known here (kUnknown). A retry with the same
//   session mark
//                    is safe
//   barn.in_doubt    nothing was proposed: the members differ and nobody knows which is right (kUnavailable)
//   barn.chunk.*     nothing was proposed: a chunk that the command refers to is not on a majority (set_chunk_check)
// and what prepare_command() says. A refusal by the state machine is an Answer.
#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "control/barn/chunk_reference.h"
#include "control/barn/lease_timers.h"
#include "control/barn/state_machine.h"
#include "control/barn/watch.h"
#include "control/raft/driver/member.h"
#include "control/replica/state_keeper.h"

namespace runink::barn {

struct ReplicaOptions {
  MachineOptions machine;
  HubOptions hub;
  EventRetention retention;
  int64_t session_idle_micros = 10LL * 60 * 1'000'000;  // a session that was not used for so long ends
  int64_t housekeeping_micros = 1'000'000;              // how often the leader looks what is to be done
};

class Replica final : public raft::Application {
 public:
  // Takes up what the keeper's store holds. The keeper and the clock must outlive it.
  static Result<std::unique_ptr<Replica>> open(StateKeeper* keeper, const Clock* clock, ReplicaOptions options = {});
  ~Replica() override { *self_ = nullptr; }

  // What the Raft member has to be started with.
  Position position() const { return machine_->position(); }
  // As of position(); empty where neither the log nor a snapshot has said, so that what the log began with still holds.
  Result<raft::Membership> membership() const;
  // Before anything else is called. The member must outlive every later call.
  void attach(raft::Member* member) { member_ = member; }

  // The command's time is set here. The views in it are not needed any more when this returns.
  void execute(Command command, std::function<void(Result<Answer>)> done);
  // OK: the state as of now or later may be read, until this turn of the loop ends. Otherwise barn.not_leader.
  void read(std::function<void(Status)> done);
  const StateMachine& machine() const { return *machine_; }
  WatchHub& hub() { return *hub_; }
  // One more whenever a snapshot has taken the place of the state: the hub is then another one, and its watches are
  // gone.
  uint64_t state_generation() const { return state_generation_; }
  LeaseTimers& leases() { return timers_; }
  // A keep-alive that is not recorded in the log: of the leader's timers only. kNotFound, or barn.not_leader.
  Status keep_alive(const LeaseId& lease);

  // Not OK: execute() and read() answer with it, since this replica may not be what it should be. What is under way
  // goes on, replication too.
  void set_doubt(Status doubt) { doubt_ = std::move(doubt); }
  const Status& doubt() const { return doubt_; }
  // On a leader, before a command with chunk references is proposed: `ready` says OK once their content is where it has
  // to be, or why it is not; then nothing is proposed.
  using ChunkCheck = std::function<void(std::vector<ChunkReference> references, std::function<void(Status)> ready)>;
  void set_chunk_check(ChunkCheck check) { chunk_check_ = std::move(check); }
  // Is called with the values of chunk references as they are applied (Applied::chunks), in the midst of applying: it
  // may only note them.
  void on_chunks(std::function<void(const std::vector<std::string>&)> callback) { on_chunks_ = std::move(callback); }
  // The scrub that a mark in the log has begun (StateMachine::take_scrub); null: there is none.
  std::unique_ptr<Scrub> take_scrub() { return machine_->take_scrub(); }

  // To be called often (with every tick of the member).
  void tick();

  // raft::Application
  Status apply(std::span<const raft::Entry> entries) override;
  void make_snapshot(const raft::SnapshotMeta& meta, std::function<void(Status)> done) override {
    keeper_->make_snapshot(meta, std::move(done));
  }
  std::optional<raft::SnapshotMeta> newest_snapshot() const override { return keeper_->newest_snapshot(); }
  void install_snapshot(raft::NodeId from, const raft::SnapshotMeta& meta, std::function<void(Status)> done) override;
  void on_role(raft::Role role, raft::Term term, raft::NodeId leader) override;

 private:
  Replica(StateKeeper* keeper, const Clock* clock, ReplicaOptions options)
      : keeper_(keeper), clock_(clock), options_(options) {}
  Status open_machine();
  Status outcome(const raft::Proposed& proposed) const;
  void propose(std::string bytes, std::function<void(Result<Answer>)> done);
  void propose_own(Command command);
  void expire_leases();
  void expire_sessions();

  StateKeeper* keeper_;
  const Clock* clock_;
  ReplicaOptions options_;
  raft::Member* member_ = nullptr;
  std::unique_ptr<StateMachine> machine_;
  std::unique_ptr<WatchHub> hub_;
  uint64_t state_generation_ = 0;
  LeaseTimers timers_;
  bool leads_ = false;
  // The answers of the entries that are being applied: the member says which proposals they were while apply() has just
  // returned.
  Applied applied_;
  int64_t housekept_nanos_ = 0;
  // Of sessions, as this leader sees them: by use in the log, and when it saw that first.
  std::map<SessionId, std::pair<Index, int64_t>> session_seen_;
  size_t own_under_way_ = 0;
  Status doubt_;
  std::function<void(const std::vector<std::string>&)> on_chunks_;
  ChunkCheck chunk_check_;
  std::shared_ptr<Replica*> self_ = std::make_shared<Replica*>(this);
};

}  // namespace runink::barn
