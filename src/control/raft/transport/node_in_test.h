// A member for tests of the transport: a TlsTransport on loopback that keeps what it receives.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "control/raft/transport/messages_in_test.h"
#include "control/raft/transport/tls_transport.h"
#include "platform/net/tls_in_test.h"

namespace runink::raft {

inline TlsTransport::Options test_options(NodeId self) {
  TlsTransport::Options options;
  options.self = self;
  options.trust_domain = net::kTestDomain;
  options.listen = net::loopback();
  options.empty_append_wait_nanos = 0;  // tests of it set their own
  options.dial_pause_nanos = 1'000'000;
  options.dial_pause_most_nanos = 10'000'000;
  options.channel.ping_nanos = 20'000'000;
  options.channel.silence_nanos = 20'000'000'000;  // tests of silence set their own
  return options;
}

struct TestNode : TransportReceiver {
  TestNode(net::EventLoop& loop, NodeId id, std::shared_ptr<const net::TlsContext> context,
           TlsTransport::Options options)
      : self(id), transport(std::move(*TlsTransport::create(loop, std::move(context), options))) {
    transport->set_receiver(this);
  }
  TestNode(net::EventLoop& loop, NodeId id, std::shared_ptr<const net::TlsContext> context)
      : TestNode(loop, id, std::move(context), test_options(id)) {}

  void on_message(Message message) override {
    received.push_back(std::move(message));
    if (react) react(received.back());
  }
  void on_peer(NodeId peer, PeerState state) override {
    states[peer] = state;
    history += std::to_string(peer) + (state == PeerState::kUp ? "up " : "down ");
  }

  void know(const TestNode& other) {
    const Status added = transport->add_peer(other.self, other.transport->address().text());
    RUNINK_CHECK(added.ok());
  }
  bool up(NodeId peer) const {
    const auto found = states.find(peer);
    return found != states.end() && found->second == PeerState::kUp;
  }
  PeerStatus status(NodeId peer) const {
    for (const PeerStatus& each : transport->peers()) {
      if (each.id == peer) return each;
    }
    return {};
  }

  NodeId self;
  std::unique_ptr<TlsTransport> transport;
  std::vector<Message> received;
  std::map<NodeId, PeerState> states;
  std::string history;
  std::function<void(const Message&)> react;
};

inline void introduce(TestNode& a, TestNode& b) {
  a.know(b);
  b.know(a);
}

}  // namespace runink::raft
