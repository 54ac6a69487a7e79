// What a member of a cluster needs beside Raft and the state machine, for tests: nothing of it leaves the process.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "control/barn/memory_store.h"
#include "control/raft/driver/storage.h"
#include "control/raft/transport/transport.h"
#include "control/replica/state_keeper.h"

namespace runink::cluster {

inline constexpr char kCluster[] = "0123456789abcdef0123456789abcdef";

class Peers final : public raft::Transport {
 public:
  void set_receiver(raft::TransportReceiver*) override {}
  void set_bulk_source(raft::BulkSource*) override {}
  Status add_peer(raft::NodeId id, const std::string& address) override {
    addresses[id] = address;
    return {};
  }
  void remove_peer(raft::NodeId id) override { addresses.erase(id); }
  void send(raft::Message) override {}
  void fetch(raft::NodeId, raft::BulkRequest, raft::BulkAnswer) override {}
  std::vector<raft::PeerStatus> peers() const override {
    std::vector<raft::PeerStatus> out;
    for (const auto& [id, address] : addresses) out.emplace_back().id = id;
    return out;
  }
  std::map<raft::NodeId, std::string> addresses;
};

class Written final : public raft::Storage {
 public:
  void submit(raft::StorageWork work) override { works.push_back(std::move(work)); }
  Status failure() const override { return {}; }
  bool has_space() const override { return true; }
  bool has_reserve() const override { return true; }
  std::deque<raft::StorageWork> works;
};

class Keeper final : public barn::StateKeeper {
 public:
  barn::StateStore* store() override { return &store_; }
  void release_old_store() override {}
  Status sync() override { return {}; }
  void make_snapshot(const raft::SnapshotMeta&, std::function<void(Status)>) override {}
  std::optional<raft::SnapshotMeta> newest_snapshot() const override { return {}; }
  void install_snapshot(raft::NodeId, const raft::SnapshotMeta&, std::function<void(Status)>) override {}

 private:
  barn::MemoryStore store_;
};

}  // namespace runink::cluster
