// A whole member in the simulated world: the real core, driver, journal and state machine, on a simulated disk, clock
// and network. It can be killed, lose its power, stand still, have its disk damaged, and be started again.
#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "control/barn/memory_store.h"
#include "control/raft/driver/journal_storage.h"
#include "control/raft/driver/member.h"
#include "control/replica/replica.h"
#include "testing/sim/network.h"
#include "testing/sim/oracle.h"
#include "testing/sim/world.h"
#include "testing/sim_disk.h"

namespace runink::testing {

class Node;

// What all nodes have in common.
struct NodeContext {
  World& world;
  Network& network;
  Oracle& oracle;
  std::function<Node*(raft::NodeId)> find;
  journal::ClusterId cluster{};
  Micros tick = 50'000;
  raft::MemberOptions member;
  barn::ReplicaOptions replica;
};

// The journal behind a queue, with a latency.
class SimStorage final : public raft::Storage {
 public:
  SimStorage(World& world, std::unique_ptr<raft::JournalStorage> storage, std::function<void()> turn,
             std::function<void(const raft::HardState&)> durable)
      : world_(world), storage_(std::move(storage)), turn_(std::move(turn)), durable_(std::move(durable)) {}
  ~SimStorage() override { *alive_ = false; }
  void submit(raft::StorageWork work) override;
  bool has_space() const override { return has_space_; }
  bool has_reserve() const override { return storage_->has_reserve(); }
  void set_latency(Micros least, Micros most) { latency_min_ = least, latency_max_ = most; }
  // Calls this once, while it is writing, some time later.
  void when_writing(std::function<void()> then) { when_writing_ = std::move(then); }
  // The power goes while something is being written: it is carried out in part.
  void cut_short(SimDisk& disk, uint64_t operations);
  uint64_t truncations() const { return truncations_; }
  // A snapshot is about to take the place of the log, or was when the disk failed.
  bool resetting() const;
  // Where the last write that was done began.
  raft::Index last_write() const { return last_write_; }
  // While it is full, asks again.
  void look_for_space() {
    if (!has_space_ && !busy_) reserve();
  }
  Status failure() const override { return broken_; }

 private:
  void begin();
  void finish();
  void reserve();
  World& world_;
  std::unique_ptr<raft::JournalStorage> storage_;
  std::function<void()> turn_;
  std::function<void(const raft::HardState&)> durable_;
  std::vector<raft::StorageWork> queue_, in_flight_;
  bool busy_ = false, has_space_ = true, reset_failed_ = false;
  std::function<void()> when_writing_;
  Status broken_;
  Micros latency_min_ = 50, latency_max_ = 400;
  raft::Index last_ = 0, last_write_ = 0;
  uint64_t truncations_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// A snapshot is a copy of the state in memory that counts as durable once it is made.
class SimKeeper final : public barn::StateKeeper {
 public:
  struct Snapshot {
    raft::SnapshotMeta meta;
    std::shared_ptr<const barn::MemoryStore> state;
  };
  SimKeeper(Node& node, NodeContext& context);
  barn::StateStore* store() override { return store_.get(); }
  void release_old_store() override { old_.reset(); }
  Status sync() override {
    synced_ = store_->copy();
    return {};
  }
  void make_snapshot(const raft::SnapshotMeta& meta, std::function<void(Status)> done) override;
  std::optional<raft::SnapshotMeta> newest_snapshot() const override;
  void install_snapshot(raft::NodeId from, const raft::SnapshotMeta& meta, std::function<void(Status)> done) override;

  // The process is gone: what it was about is forgotten. With the power, also what the state's storage had not synced.
  void forget(bool power);
  const std::optional<Snapshot>& snapshot() const { return snapshot_; }
  barn::MemoryStore* memory() { return store_.get(); }

 private:
  Node& node_;
  NodeContext& context_;
  std::unique_ptr<barn::MemoryStore> store_, old_;
  std::shared_ptr<const barn::MemoryStore> synced_;  // what a power cut leaves at least
  std::optional<Snapshot> snapshot_;
};

class Node {
 public:
  // `founders` without voters: it waits to be added.
  Node(NodeContext& context, raft::NodeId id, raft::Membership founders, uint64_t seed);
  ~Node();

  void start();
  void kill() { stop(false); }
  void cut_power() { stop(true); }
  // In the middle of its next write.
  void cut_power_in_write();
  void pause() { paused_ = true; }
  void resume();
  // One turn of its loop, after something was done to it.
  void turn();

  raft::NodeId id() const { return id_; }
  bool up() const { return member_ != nullptr; }
  bool serves() const { return up() && !paused_; }
  bool paused() const { return paused_; }
  uint64_t life() const { return life_; }  // differs whenever it was stopped in between
  const std::optional<raft::LogEnd>& lost_end() const { return lost_end_; }  // as its last start found it
  bool whole() const { return whole_; }    // its storage holds all that it acknowledged, as far as it knows
  // Why it cannot start any more; empty if it can.
  const std::string& lost() const { return lost_; }
  raft::Member& member() { return *member_; }
  barn::Replica& replica() { return *replica_; }
  SimKeeper& keeper() { return keeper_; }
  SimDisk& disk() { return disk_; }
  // Of one to three sectors of its disk, while it is down.
  void damage();
  // Of the batch with this entry, while it is down; not if it is the last one.
  bool damage_entry(raft::Index index);
  SimClock& clock() { return clock_; }
  SimStorage* storage() { return storage_.get(); }

  struct Totals {
    uint64_t starts = 0, faults_stopped = 0, repaired = 0, torn = 0, damaged = 0, truncations = 0, elections = 0,
             snapshots_made = 0, snapshots_installed = 0;
  };
  Totals totals() const;

 private:
  void stop(bool power);
  void tick(uint64_t life);
  void observe();
  void gather();
  void note_acknowledged();
  void check_acknowledged(const raft::Recovered& recovered);

  NodeContext& context_;
  const raft::NodeId id_;
  SimDisk disk_;
  SimClock clock_;
  SimKeeper keeper_;
  SimTransport transport_;
  std::unique_ptr<SimStorage> storage_;
  std::unique_ptr<barn::Replica> replica_;
  std::unique_ptr<raft::Member> member_;
  raft::Term durable_term_ = 0;
  bool paused_ = false, whole_ = true;
  std::optional<raft::LogEnd> lost_end_;
  // What it had acknowledged when it stopped last, and has to hold when it starts again, or to know that it does not.
  struct Acknowledged {
    raft::Index index = 0;
    raft::Term term = 0;
    raft::Index last_write = 0;
  };
  Acknowledged acknowledged_;
  bool damaged_ = false;             // since then
  std::deque<raft::Message> inbox_;  // while it stands still
  uint64_t life_ = 0;
  std::string lost_;
  raft::Index seen_commit_ = 0, seen_applied_ = 0;
  raft::Term led_term_ = 0;
  Totals totals_;
};

}  // namespace runink::testing
