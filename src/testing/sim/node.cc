#include "testing/sim/node.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "control/journal/inspect.h"

namespace runink::testing {

// ---- storage

void SimStorage::submit(raft::StorageWork work) {
  if (!work.append.empty()) {
    if (work.append.front().index <= last_) ++truncations_;
    last_ = work.append.back().index;
  }
  if (work.reset) last_ = work.reset->index;
  queue_.push_back(std::move(work));
  if (!busy_) begin();
}

void SimStorage::begin() {
  busy_ = true;
  in_flight_.swap(queue_);
  const Micros takes = world_.random.between(latency_min_, latency_max_);
  if (when_writing_) world_.after(world_.random.between(0, takes - 1), std::exchange(when_writing_, nullptr));
  world_.after(takes, [this, alive = alive_] {
    if (*alive) finish();
  });
}

void SimStorage::finish() {
  std::optional<raft::HardState> hard_state;
  raft::Index first = 0;
  for (const auto& work : in_flight_) {
    if (work.hard_state) hard_state = work.hard_state;
    if (!work.append.empty() && (first == 0 || work.append.front().index < first)) first = work.append.front().index;
  }
  const auto alive = alive_;
  const bool resets = resetting();
  const Status status = storage_->perform(in_flight_);
  reset_failed_ = resets && !status.ok();
  if (status.ok()) {
    if (hard_state) durable_(*hard_state);
    if (first != 0) last_write_ = first;
    reserve();
  }
  std::vector<raft::StorageWork> done;
  done.swap(in_flight_);
  for (auto& work : done) {
    if (work.done) work.done(status);
  }
  busy_ = false;
  if (!queue_.empty() && status.ok()) begin();
  const auto turn = turn_;  // which may be the end of this object
  turn();
}

bool SimStorage::resetting() const {
  const auto resets = [](const raft::StorageWork& work) { return work.reset.has_value(); };
  return reset_failed_ || std::any_of(queue_.begin(), queue_.end(), resets) ||
         std::any_of(in_flight_.begin(), in_flight_.end(), resets);
}

void SimStorage::reserve() {
  const auto space = storage_->reserve();
  if (space.ok()) {
    has_space_ = *space;
  } else {
    broken_ = space.status();
  }
}

void SimStorage::cut_short(SimDisk& disk, uint64_t operations) {
  if (in_flight_.empty()) return;
  disk.cut_power_after(operations);
  (void)storage_->perform(in_flight_);
}

// ---- state

SimKeeper::SimKeeper(Node& node, NodeContext& context)
    : node_(node), context_(context), store_(std::make_unique<barn::MemoryStore>()) {}

void SimKeeper::make_snapshot(const raft::SnapshotMeta& meta, std::function<void(Status)> done) {
  std::shared_ptr<const barn::MemoryStore> state = store_->copy();
  context_.world.after(context_.world.random.between(1'000, 200'000), [this, meta, state, done, life = node_.life()] {
    if (node_.life() != life) return;
    if (context_.world.random.chance(0.05)) {
      done(unavailable("the simulated snapshot failed"));
    } else {
      snapshot_ = Snapshot{meta, state};
      synced_ = state;
      done(Status());
    }
    node_.turn();
  });
}

std::optional<raft::SnapshotMeta> SimKeeper::newest_snapshot() const {
  if (!snapshot_) return std::nullopt;
  return snapshot_->meta;
}

void SimKeeper::install_snapshot(raft::NodeId from, const raft::SnapshotMeta& meta, std::function<void(Status)> done) {
  context_.world.after(context_.world.random.between(5'000, 500'000), [this, from, meta, done, life = node_.life()] {
    if (node_.life() != life) return;
    Node* const peer = context_.find(from);
    const bool there = peer != nullptr && peer->serves() && context_.network.connected(from, node_.id()) &&
                       peer->keeper().snapshot() && peer->keeper().snapshot()->meta == meta &&
                       !context_.world.random.chance(0.1);
    if (there) {
      old_ = std::move(store_);
      store_ = peer->keeper().snapshot()->state->copy();
      snapshot_ = peer->keeper().snapshot();
      synced_ = snapshot_->state;
      done(Status());
    } else {
      done(unavailable("the simulated transfer broke off"));
    }
    node_.turn();
  });
}

void SimKeeper::forget(bool power) {
  old_.reset();
  if (!power || !context_.world.random.chance(0.5)) return;
  store_ = synced_ ? synced_->copy() : std::make_unique<barn::MemoryStore>();
}

// ---- node

namespace {
constexpr uint64_t kSegmentBytes = 256 << 10;
journal::Options journal_options(Random& random) {
  journal::Options options;
  options.segment_bytes = kSegmentBytes;
  options.batch_bytes = 32 << 10;
  options.file_id = [&random] {
    journal::FileId id{};
    for (auto& byte : id) byte = static_cast<uint8_t>(random.next());
    return id;
  };
  return options;
}
}  // namespace

Node::Node(NodeContext& context, raft::NodeId id, raft::Membership founders, uint64_t seed)
    : context_(context),
      id_(id),
      disk_(seed),
      clock_(&context.world),
      keeper_(*this, context),
      transport_(context.network, [this](const raft::Message& m) { context_.oracle.says(m, durable_term_); }) {
  const Status status =
      raft::create_member_storage(disk_, {context_.cluster, id_}, journal_options(context_.world.random), founders);
  RUNINK_CHECK(status.ok());
}

Node::~Node() {
  if (up()) kill();
}

void Node::start() {
  RUNINK_CHECK(!up() && lost_.empty());
  ++life_;
  ++totals_.starts;
  const auto give_up = [&](const Status& status) {
    lost_ = status.to_string();
    replica_.reset();
  };
  auto replica = barn::Replica::open(&keeper_, &clock_, context_.replica);
  if (!replica.ok()) return give_up(replica.status());
  replica_ = std::move(*replica);
  if (const Status synced = keeper_.sync(); !synced.ok()) return give_up(synced);
  const barn::Position position = replica_->position();
  auto membership = replica_->membership();
  if (!membership.ok()) return give_up(membership.status());
  raft::Recovered recovered;
  journal::Recovered opened;
  const uint64_t faults = disk_.faults();
  auto storage = raft::JournalStorage::open(disk_, {context_.cluster, id_}, journal_options(context_.world.random),
                                            {position.index, position.term, *membership}, &recovered, &opened);
  if (!storage.ok()) {
    // A fault of the disk while opening ends the process like any other; the next start tries again.
    replica_.reset();
    const bool fault = disk_.faults() != faults || storage.status().code() == Code::kResourceExhausted;
    if (!fault) lost_ = storage.status().to_string();
    return;
  }
  whole_ = opened.whole;
  lost_end_ = opened.lost_end;
  check_acknowledged(recovered);
  totals_.torn += !opened.torn.empty();
  totals_.damaged += !opened.damage.empty();
  durable_term_ = recovered.hard_state.term;
  storage_ = std::make_unique<SimStorage>(
      context_.world, std::move(*storage), [this] { turn(); },
      [this](const raft::HardState& state) {
        durable_term_ = std::max(durable_term_, state.term);
        context_.oracle.voted(id_, state.term, state.vote);
      });
  raft::MemberOptions options = context_.member;
  options.core.id = id_;
  options.core.random = [this] { return context_.world.random.next(); };
  options.core.incarnation = opened.incarnation;
  options.core.may_vote = opened.whole;
  options.core.lost_end = opened.lost_end;
  seen_commit_ = recovered.snapshot_index;
  seen_applied_ = 0;
  led_term_ = 0;
  member_ = std::make_unique<raft::Member>(std::move(options), std::move(recovered), *storage_, transport_, *replica_);
  replica_->attach(member_.get());
  context_.network.listen(id_, [this](raft::Message message) {
    if (paused_) {
      // What a socket holds for a process that stands still.
      if (inbox_.size() < 1000) inbox_.push_back(std::move(message));
      return;
    }
    member_->on_message(std::move(message));
    turn();
  });
  paused_ = false;
  tick(life_);
}

void Node::tick(uint64_t life) {
  context_.world.after(static_cast<Micros>(static_cast<double>(context_.tick) / clock_.rate()), [this, life] {
    if (life != life_ || !up()) return;
    if (!paused_) {
      storage_->look_for_space();
      member_->tick();
      replica_->tick();
      turn();
    }
    if (life == life_ && up()) tick(life);
  });
}

void Node::resume() {
  if (!paused_) return;
  paused_ = false;
  if (!up()) return;
  std::deque<raft::Message> inbox;
  inbox.swap(inbox_);
  for (auto& message : inbox) member_->on_message(std::move(message));
  turn();
}

void Node::turn() {
  if (!up() || paused_) return;
  member_->pump();
  if (!member_->failed().ok()) {
    ++totals_.faults_stopped;
    kill();
    return;
  }
  observe();
}

void Node::observe() {
  const raft::Raft& raft = member_->raft();
  if (raft.role() == raft::Role::kLeader && raft.term() != led_term_) {
    led_term_ = raft.term();
    context_.oracle.leads(id_, raft.term(), raft.log());
  }
  if (raft.commit() < seen_commit_) context_.oracle.fail("commit went back on node " + std::to_string(id_));
  for (raft::Index i = std::max(seen_commit_ + 1, raft.log().first()); i <= raft.commit(); ++i)
    context_.oracle.committed(id_, raft.log().at(i));
  seen_commit_ = raft.commit();
  if (const barn::Position& now = replica_->position(); now.index != seen_applied_) {
    context_.oracle.applied(id_, now);
    seen_applied_ = now.index;
  }
  if (!whole_ && raft.may_vote()) {
    whole_ = true;
    ++totals_.repaired;
  }
}

void Node::damage() {
  damaged_ = true;
  for (uint64_t i = 0; i <= context_.world.random.below(3); ++i) (void)disk_.rot_somewhere();
}

bool Node::damage_entry(raft::Index index) {
  const auto seen = journal::inspect(disk_);
  if (!seen.ok()) return false;
  journal::BatchInfo found;
  std::string file;
  uint64_t last = 0;
  for (const journal::SegmentInfo& segment : seen->segments) {
    for (const journal::BatchInfo& batch : segment.batches) {
      last = batch.header.number;
      if (batch.header.first_index > index || batch.header.last_index() < index) continue;
      found = batch;
      file = segment.name;
    }
  }
  if (file.empty() || found.header.number == last) return false;
  damaged_ = true;
  disk_.rot(file, found.offset, 64);
  return true;
}

void Node::note_acknowledged() {
  const raft::Log& log = member_->raft().log();
  acknowledged_ = {};
  damaged_ = false;
  if (!whole_ || storage_->resetting()) return;
  acknowledged_ = {log.persisted(), log.persisted_term(), storage_->last_write()};
}

// Damage to the last batch may read as a write that was cut short (docs/internals/journal.md): that much a damaged
// member may lack.
void Node::check_acknowledged(const raft::Recovered& recovered) {
  const auto [index, term, last_write] = acknowledged_;
  if (!whole_ || index <= recovered.snapshot_index) return;
  const raft::Index last = recovered.snapshot_index + recovered.entries.size();
  if (damaged_ && index > last && last + 1 >= last_write) return;
  if (index > last || recovered.entries[index - recovered.snapshot_index - 1].term != term) {
    context_.oracle.fail(
        fmt::format("node {} had acknowledged entry {} of term {}; it is started again, its log ends at {}, and it "
                    "takes that to be "
                    "whole",
                    id_, index, term, last));
  }
}

void Node::gather() {
  totals_.truncations += storage_->truncations();
  totals_.elections += member_->counters().elections;
  totals_.snapshots_made += member_->counters().snapshots_made;
  totals_.snapshots_installed += member_->counters().snapshots_installed;
}

Node::Totals Node::totals() const {
  Totals out = totals_;
  if (member_) {
    out.truncations += storage_->truncations();
    out.elections += member_->counters().elections;
    out.snapshots_made += member_->counters().snapshots_made;
    out.snapshots_installed += member_->counters().snapshots_installed;
  }
  return out;
}

void Node::cut_power_in_write() {
  if (!up()) return;
  storage_->when_writing([this, life = life_] {
    if (life == life_ && up()) cut_power();
  });
}

void Node::stop(bool power) {
  if (!up()) return;
  ++life_;
  gather();
  note_acknowledged();
  context_.network.leave(id_);
  if (power) storage_->cut_short(disk_, context_.world.random.below(3));
  member_.reset();
  replica_.reset();
  storage_.reset();
  inbox_.clear();
  paused_ = false;
  if (power) disk_.crash();
  keeper_.forget(power);
}

}  // namespace runink::testing
