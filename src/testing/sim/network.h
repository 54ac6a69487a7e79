// The simulated network between members: it delays, loses, doubles and reorders messages, and links can be cut one way.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "control/raft/transport/transport.h"
#include "testing/sim/world.h"

namespace runink::testing {

class Network {
 public:
  struct Weather {
    double loss = 0.001, duplicate = 0.001;
    Micros delay_min = 100, delay_max = 2000;
    double slow = 0.001;  // of the messages, which take up to a hundred times as long
  };

  explicit Network(World& world) : world_(world) {}
  // Who gets messages at an address; nobody: it is down.
  using Deliver = std::function<void(raft::Message)>;
  void listen(raft::NodeId id, Deliver deliver) { listeners_[id] = std::move(deliver); }
  void leave(raft::NodeId id) { listeners_.erase(id); }

  void send(raft::Message message);
  bool connected(raft::NodeId from, raft::NodeId to) const { return !cut_.contains({from, to}); }
  bool up(raft::NodeId id) const { return listeners_.contains(id); }
  Micros delay();  // of a message now

  void cut(raft::NodeId from, raft::NodeId to) { cut_.insert({from, to}); }
  void heal(raft::NodeId from, raft::NodeId to) { cut_.erase({from, to}); }
  void heal_all() { cut_.clear(); }
  std::set<std::pair<raft::NodeId, raft::NodeId>> cuts() const { return cut_; }
  void set_weather(const Weather& weather) { weather_ = weather; }

 private:
  void deliver_later(raft::Message message);
  World& world_;
  Weather weather_;
  std::map<raft::NodeId, Deliver> listeners_;
  std::set<std::pair<raft::NodeId, raft::NodeId>> cut_;
};

// One member's end of it. Bulk is not carried: the simulated state keeper moves snapshots by itself.
class SimTransport final : public raft::Transport {
 public:
  using Watch = std::function<void(const raft::Message&)>;
  SimTransport(Network& network, Watch watch) : network_(network), watch_(std::move(watch)) {}
  void set_receiver(raft::TransportReceiver* receiver) override { receiver_ = receiver; }
  void set_bulk_source(raft::BulkSource*) override {}
  Status add_peer(raft::NodeId, const std::string&) override { return {}; }
  void remove_peer(raft::NodeId) override {}
  void send(raft::Message message) override {
    watch_(message);
    network_.send(std::move(message));
  }
  void fetch(raft::NodeId, raft::BulkRequest, raft::BulkAnswer answer) override {
    answer(unavailable("not simulated"));
  }
  std::vector<raft::PeerStatus> peers() const override { return {}; }
  raft::TransportReceiver* receiver() const { return receiver_; }

 private:
  Network& network_;
  Watch watch_;
  raft::TransportReceiver* receiver_ = nullptr;
};

}  // namespace runink::testing
