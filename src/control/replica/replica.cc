#include "control/replica/replica.h"

#include <algorithm>

#include "base/check.h"
#include "control/raft/core/membership.h"

namespace runink::barn {

Result<std::unique_ptr<Replica>> Replica::open(StateKeeper* keeper, const Clock* clock, ReplicaOptions options) {
  std::unique_ptr<Replica> replica(new Replica(keeper, clock, options));
  RUNINK_RETURN_IF_ERROR(replica->open_machine());
  return replica;
}

Status Replica::open_machine() {
  auto machine = StateMachine::open(keeper_->store(), options_.machine);
  RUNINK_RETURN_IF_ERROR(machine.ok() ? Status() : machine.status());
  machine_ = std::move(*machine);
  hub_ = std::make_unique<WatchHub>(machine_.get(), options_.hub);
  ++state_generation_;
  return {};
}

Result<raft::Membership> Replica::membership() const {
  if (!machine_->membership().empty()) return raft::decode_membership(machine_->membership());
  const auto snapshot = keeper_->newest_snapshot();
  return snapshot ? snapshot->membership : raft::Membership{};
}

Status Replica::outcome(const raft::Proposed& proposed) const {
  switch (proposed.outcome) {
    case raft::Proposed::Outcome::kApplied:
      return {};
    case raft::Proposed::Outcome::kNotLeader: {
      Status status = unavailable("this member does not lead").with_kind("barn.not_leader");
      return proposed.leader == 0 ? std::move(status) : std::move(status).with_detail(std::to_string(proposed.leader));
    }
    case raft::Proposed::Outcome::kBusy:
      return resource_exhausted("too many writes are under way, or the lead is being handed over")
          .with_kind("barn.busy")
          .with_hint("try again a little later");
    case raft::Proposed::Outcome::kNoSpace:
      return resource_exhausted("the leader's disk is full")
          .with_kind("barn.no_space")
          .with_hint("make space on it; writes go on by themselves then");
    case raft::Proposed::Outcome::kLost:
      return aborted("another leader has taken over before this was decided").with_kind("barn.lost");
    case raft::Proposed::Outcome::kUnknown:
      break;
  }
  return Status(Code::kUnknown, "whether this was carried out is not known here").with_kind("barn.unknown");
}

void Replica::execute(Command command, std::function<void(Result<Answer>)> done) {
  if (!doubt_.ok()) return done(doubt_);
  command.unix_micros = clock_->unix_micros();
  auto bytes = prepare_command(command, machine_->limits());
  if (!bytes.ok()) return done(std::move(bytes).status());
  std::vector<ChunkReference> chunks;
  if (chunk_check_ && leads_) chunks = chunk_references(command);
  if (chunks.empty()) return propose(std::move(*bytes), std::move(done));
  chunk_check_(std::move(chunks), [self = self_, bytes = std::move(*bytes), done = std::move(done)](Status ready) {
    if (*self == nullptr) return;
    if (ready.ok()) ready = (*self)->doubt_;
    if (!ready.ok()) return done(std::move(ready));
    (*self)->propose(bytes, done);
  });
}

void Replica::propose(std::string bytes, std::function<void(Result<Answer>)> done) {
  member_->propose(std::make_shared<const std::string>(std::move(bytes)), [this, done = std::move(done)](
                                                                               const raft::Proposed& proposed) {
    if (Status status = outcome(proposed); !status.ok()) return done(std::move(status));
    const auto& entries = applied_.entries;
    RUNINK_CHECK(!entries.empty() && proposed.index >= entries.front().index && proposed.index <= entries.back().index);
    done(entries[proposed.index - entries.front().index].answer);
  });
}

void Replica::read(std::function<void(Status)> done) {
  if (!doubt_.ok()) return done(doubt_);
  member_->read([this, done = std::move(done)](const Status& status) {
    if (status.ok()) return done(doubt_);  // which may have come meanwhile
    done(outcome(raft::Proposed{raft::Proposed::Outcome::kNotLeader, 0, member_->raft().leader()}));
  });
}

Status Replica::keep_alive(const LeaseId& lease) {
  if (!leads_) return outcome(raft::Proposed{raft::Proposed::Outcome::kNotLeader, 0, member_->raft().leader()});
  if (timers_.renewed(lease, clock_->steady_nanos())) return {};
  return not_found("there is no lease {}-{}: it was never granted, was revoked, or has expired", lease.incarnation,
                   lease.index)
      .with_kind("barn.lease_unknown");
}

// ---- raft::Application

Status Replica::apply(std::span<const raft::Entry> entries) {
  applied_ = RUNINK_TRY(machine_->apply(entries));
  hub_->publish(applied_);
  if (on_chunks_ && !applied_.chunks.empty()) on_chunks_(applied_.chunks);
  if (leads_) timers_.follow(*machine_, applied_.leases, clock_->steady_nanos());
  return {};
}

void Replica::install_snapshot(raft::NodeId from, const raft::SnapshotMeta& meta, std::function<void(Status)> done) {
  keeper_->install_snapshot(from, meta, [self = self_, meta, done = std::move(done)](Status status) {
    Replica* const replica = *self;
    if (replica == nullptr) return;
    if (status.ok()) {
      // Whoever watches asks again, at the place where it was: the hub is a new one.
      const Position before = replica->machine_->position();
      replica->hub_.reset();
      replica->machine_.reset();
      status = replica->open_machine();
      replica->keeper_->release_old_store();
      if (status.ok() && replica->machine_->position().index != meta.index) {
        status = data_loss("the snapshot of entry {} holds the state of entry {} (it replaced that of entry {})",
                           meta.index, replica->machine_->position().index, before.index);
      }
      // There is no way back to the old state.
      if (!status.ok()) return replica->member_->stop(std::move(status).with_context("take over a snapshot"));
    }
    done(std::move(status));
  });
}

void Replica::on_role(raft::Role role, raft::Term, raft::NodeId) {
  const bool leads = role == raft::Role::kLeader;
  if (leads == leads_) return;
  leads_ = leads;
  session_seen_.clear();
  if (leads) {
    timers_.start(*machine_, clock_->steady_nanos());
  } else {
    timers_.stop();
  }
}

// ---- what the leader does by itself

void Replica::propose_own(Command command) {
  ++own_under_way_;
  execute(std::move(command), [self = self_](const Result<Answer>&) {
    if (*self != nullptr) --(*self)->own_under_way_;
  });
}

void Replica::tick() {
  if (!leads_ || own_under_way_ > 0) return;
  expire_leases();
  const int64_t now = clock_->steady_nanos();
  if (now - housekept_nanos_ < options_.housekeeping_micros * 1000) return;
  housekept_nanos_ = now;
  timers_.retry();
  expire_sessions();
  if (const auto through = compaction_wanted(*machine_, options_.retention)) propose_own({0, {}, Compact{*through}});
}

void Replica::expire_leases() {
  LeaseExpire expire;
  for (const LeaseId& id : timers_.due(clock_->steady_nanos())) {
    const auto lease = machine_->leases().find(id);
    if (lease != machine_->leases().end()) expire.leases.push_back({id, lease->second.renewed});
  }
  if (!expire.leases.empty()) propose_own({0, {}, std::move(expire)});
}

void Replica::expire_sessions() {
  constexpr size_t kAtOnce = 256;
  const int64_t now = clock_->steady_nanos();
  SessionExpire expire;
  std::map<SessionId, std::pair<Index, int64_t>> seen;
  for (const auto& [id, session] : machine_->sessions()) {
    const auto before = session_seen_.find(id);
    const bool same = before != session_seen_.end() && before->second.first == session.used;
    const int64_t since = same ? before->second.second : now;
    seen.emplace(id, std::pair(session.used, since));
    if (now - since >= options_.session_idle_micros * 1000 && expire.sessions.size() < kAtOnce)
      expire.sessions.push_back({id, session.used});
  }
  session_seen_ = std::move(seen);
  if (!expire.sessions.empty()) propose_own({0, {}, std::move(expire)});
}

}  // namespace runink::barn
