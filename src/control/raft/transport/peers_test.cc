#include <gtest/gtest.h>

#include "base/clock.h"
#include "control/raft/transport/node_in_test.h"

namespace runink::raft {
namespace {

using net::turn_until;

struct Peers : ::testing::Test {
  std::unique_ptr<TestNode> node(NodeId id) { return std::make_unique<TestNode>(*loop, id, net::context(ca, id)); }
  std::unique_ptr<TestNode> node(NodeId id, const TlsTransport::Options& options) {
    return std::make_unique<TestNode>(*loop, id, net::context(ca, id), options);
  }
  bool both_up(const TestNode& a, const TestNode& b) {
    return turn_until(*loop, [&] { return a.up(b.self) && b.up(a.self); });
  }

  std::unique_ptr<net::EventLoop> loop = std::move(*net::EventLoop::create());
  crypto::CertificateAuthority ca = net::make_authority();
};
using PeersTest = Peers;

TEST_F(PeersTest, MessagesCrossBothWaysInOrder) {
  auto a = node(1), b = node(2);
  introduce(*a, *b);
  ASSERT_TRUE(both_up(*a, *b));
  for (Index i = 1; i <= 500; ++i) {
    a->transport->send(append_message(1, 2, i, i % 20, 256));
    b->transport->send(append_message(2, 1, i, i % 3, 10));
  }
  ASSERT_TRUE(turn_until(*loop, [&] { return a->received.size() == 500 && b->received.size() == 500; }));
  for (Index i = 1; i <= 500; ++i) {
    EXPECT_TRUE(same(b->received[i - 1], append_message(1, 2, i, i % 20, 256)));
    EXPECT_TRUE(same(a->received[i - 1], append_message(2, 1, i, i % 3, 10)));
  }
  const PeerStatus status = a->status(2);
  EXPECT_EQ(status.counters.messages_sent, 500u);
  EXPECT_EQ(status.counters.messages_received, 500u);
  EXPECT_EQ(status.counters.bytes_sent, b->status(1).counters.bytes_received);
  EXPECT_EQ(status.counters.connects, 1u);
  EXPECT_GT(status.certificate_not_after_micros, net::unix_now());
  ASSERT_TRUE(turn_until(*loop, [&] { return a->status(2).rtt_micros > 0 && b->status(1).rtt_micros > 0; }));
}

TEST_F(PeersTest, ThreeKnowEachOther) {
  auto a = node(1), b = node(2), c = node(3);
  introduce(*a, *b);
  introduce(*b, *c);
  introduce(*a, *c);
  ASSERT_TRUE(both_up(*a, *b) && both_up(*b, *c) && both_up(*a, *c));
  for (TestNode* from : {a.get(), b.get(), c.get()}) {
    for (NodeId to = 1; to <= 3; ++to) from->transport->send(heartbeat(from->self, to, 1));
  }
  ASSERT_TRUE(
      turn_until(*loop, [&] { return a->received.size() == 2 && b->received.size() == 2 && c->received.size() == 2; }));
}

TEST_F(PeersTest, WhoIsNotThereCostsNothingButACounter) {
  auto a = node(1);
  auto b = node(2);
  a->know(*b);
  const std::string address = b->transport->address().text();
  b.reset();
  a->transport->send(heartbeat(1, 2, 1));
  a->transport->send(heartbeat(1, 9, 1));  // nobody
  EXPECT_EQ(a->status(2).counters.dropped_down, 1u);
  ASSERT_TRUE(turn_until(*loop, [&] { return a->status(2).counters.connect_failures >= 3; }));
  EXPECT_FALSE(a->status(2).last_error.empty());
  EXPECT_FALSE(a->transport->add_peer(0, address).ok());
  EXPECT_FALSE(a->transport->add_peer(1, address).ok());
  EXPECT_FALSE(a->transport->add_peer(2, "nonsense").ok());
}

TEST_F(PeersTest, AMemberThatComesBackIsFoundAgainFromEitherSide) {
  auto a = node(1), b = node(2), c = node(3);
  introduce(*a, *b);
  introduce(*b, *c);
  ASSERT_TRUE(both_up(*a, *b) && both_up(*b, *c));
  // 1 dials 2, and 2 dials 3: so 2 is found again by one and finds the other.
  TlsTransport::Options options = test_options(2);
  options.listen = b->transport->address();
  b.reset();
  ASSERT_TRUE(turn_until(*loop, [&] { return !a->up(2) && !c->up(2); }));
  b = node(2, options);
  introduce(*b, *a);
  introduce(*b, *c);
  ASSERT_TRUE(both_up(*a, *b) && both_up(*b, *c));
  EXPECT_EQ(a->history, "2up 2down 2up ");
  EXPECT_EQ(a->status(2).counters.connects, 2u);
  EXPECT_EQ(a->status(2).counters.disconnects, 1u);
}

TEST_F(PeersTest, ARemovedMemberIsOutAtOnceAndStaysOut) {
  auto a = node(1), b = node(2);
  introduce(*a, *b);
  ASSERT_TRUE(both_up(*a, *b));
  b->transport->remove_peer(1);
  b->transport->remove_peer(1);
  EXPECT_FALSE(b->up(1));
  // 1 keeps dialling, with its good certificate.
  ASSERT_TRUE(turn_until(*loop, [&] { return b->transport->listener_counters().strangers >= 3; }));
  EXPECT_FALSE(a->up(2));
  const uint64_t frames = b->transport->listener_counters().frames;
  ASSERT_TRUE(turn_until(*loop, [&] { return b->transport->listener_counters().strangers >= 5; }));
  EXPECT_EQ(b->transport->listener_counters().frames, frames);
  b->know(*a);
  ASSERT_TRUE(both_up(*a, *b));
}

TEST_F(PeersTest, ARemovalFromWithinACallbackIsHarmless) {
  auto a = node(1), b = node(2);
  introduce(*a, *b);
  ASSERT_TRUE(both_up(*a, *b));
  b->react = [&](const Message&) { b->transport->remove_peer(1); };
  for (int i = 0; i < 10; ++i) a->transport->send(append_message(1, 2, 1, 1, 10));
  ASSERT_TRUE(turn_until(*loop, [&] { return !b->up(1) && !a->up(2); }));
  EXPECT_EQ(b->received.size(), 1u);
}

// It says no more than the next one with entries, and costs both sides a wake-up.
TEST_F(PeersTest, AnAppendWithoutEntriesWaitsForOneWithEntries) {
  TlsTransport::Options options = test_options(1);
  options.empty_append_wait_nanos = 200'000'000;
  auto a = node(1, options);
  auto b = node(2);
  introduce(*a, *b);
  ASSERT_TRUE(turn_until(*loop, [&] { return a->up(2) && b->up(1); }));
  const auto empty = [](Index index) { return append_message(1, 2, index, 0, 0); };
  a->transport->send(empty(1));
  a->transport->send(empty(2));
  a->transport->send(append_message(1, 2, 3, 1, 10));
  a->transport->send(heartbeat(1, 2, 4));
  ASSERT_TRUE(turn_until(*loop, [&] { return b->received.size() == 2; }));
  EXPECT_EQ(b->received[0].kind, MessageKind::kHeartbeat);
  EXPECT_EQ(b->received[1].index, 3u);
  EXPECT_EQ(a->status(2).counters.superseded, 2u);

  // Nothing comes to take its place.
  const int64_t begin = system_clock().steady_nanos();
  a->transport->send(empty(5));
  a->transport->send(empty(6));
  ASSERT_TRUE(turn_until(*loop, [&] { return b->received.size() == 3; }));
  EXPECT_EQ(b->received[2].index, 6u);
  EXPECT_GE(system_clock().steady_nanos() - begin, options.empty_append_wait_nanos);

  // One that waits goes with the peer.
  a->transport->send(empty(7));
  a->transport->remove_peer(2);
  ASSERT_TRUE(turn_until(*loop, [&] { return !b->up(1); }));
  EXPECT_EQ(b->received.size(), 3u);
}

// The peer's process is paused: its kernel takes what it can, then nothing moves.
TEST_F(PeersTest, APausedPeerBoundsTheQueueAndHeartbeatsOvertake) {
  const auto other_loop = std::move(*net::EventLoop::create());
  TlsTransport::Options options = test_options(1);
  options.queue = {.appends = 100, .append_bytes = 4 << 20, .urgent = 100};
  auto a = node(1, options);
  TestNode b(*other_loop, 2, net::context(ca, 2));
  introduce(*a, b);
  ASSERT_TRUE(turn_until(*loop, [&] {
    other_loop->turn(0);
    return a->up(2) && b.up(1);
  }));
  Index sent = 0;
  for (int i = 0; i < 10'000 && a->status(2).counters.dropped_full < 50; ++i) {
    a->transport->send(append_message(1, 2, ++sent, 1, 100'000));
    loop->turn(0);
    ASSERT_LT(a->status(2).queued_bytes, (4u << 20) + (2u << 20));
  }
  EXPECT_GE(a->status(2).counters.dropped_full, 50u);
  for (Index commit = 1; commit <= 20; ++commit) a->transport->send(heartbeat(1, 2, commit));
  EXPECT_EQ(a->status(2).counters.superseded, 19u);
  const uint64_t waiting = a->status(2).queued_messages;
  ASSERT_GT(waiting, 10u);

  ASSERT_TRUE(turn_until(*loop, [&] {
    other_loop->turn(0);
    return a->status(2).queued_messages == 0 && b.received.size() == a->status(2).counters.messages_sent;
  }));
  size_t behind = 0;
  for (size_t i = 0; i < b.received.size(); ++i) {
    if (b.received[i].kind == MessageKind::kHeartbeat) behind = b.received.size() - i - 1;
  }
  // All appends that waited in the queue came behind it.
  EXPECT_GE(behind, waiting - 1);
  EXPECT_TRUE(a->up(2));
}

TEST_F(PeersTest, ASilentPeerIsGivenUp) {
  const auto other_loop = std::move(*net::EventLoop::create());
  TlsTransport::Options options = test_options(1);
  options.channel.silence_nanos = 60'000'000;
  auto a = node(1, options);
  TestNode b(*other_loop, 2, net::context(ca, 2));
  introduce(*a, b);
  ASSERT_TRUE(turn_until(*loop, [&] {
    other_loop->turn(0);
    return a->up(2) && b.up(1);
  }));
  ASSERT_TRUE(turn_until(*loop, [&] { return !a->up(2); }));
  EXPECT_NE(a->status(2).last_error.find("not been heard of"), std::string::npos) << a->status(2).last_error;
}

// The listener of 2 hears of the end of the first connection only after it has the second.
TEST_F(PeersTest, ANewConnectionTakesTheOldOnesPlace) {
  auto b = node(2);
  auto a = node(1);
  introduce(*a, *b);
  ASSERT_TRUE(both_up(*a, *b));
  TestNode twin(*loop, 1, net::context(ca, 1), test_options(1));  // the same member, begun anew
  twin.know(*b);
  a->transport->set_receiver(nullptr);
  ASSERT_TRUE(turn_until(*loop, [&] { return twin.up(2); }));
  EXPECT_GE(b->status(1).counters.connects, 2u);
  EXPECT_GE(b->status(1).counters.disconnects, 1u);
}

TEST_F(PeersTest, CertificatesRotateUnderTraffic) {
  auto a = node(1), b = node(2);
  introduce(*a, *b);
  ASSERT_TRUE(both_up(*a, *b));
  const auto new_ca = net::make_authority();
  // First everybody believes both authorities, then everybody shows the new one's certificate, then the old one is
  // dropped.
  const auto stage = [&](TestNode& node, const crypto::CertificateAuthority& shown,
                         std::vector<crypto::Certificate> believed) {
    crypto::Credentials credentials = net::credentials(shown, net::member(node.self));
    credentials.authorities = std::move(believed);
    node.transport->set_context(net::context(credentials));
  };
  Index sent = 0;
  const auto traffic = [&] {
    for (int i = 0; i < 50; ++i) a->transport->send(append_message(1, 2, ++sent, 2, 100));
    return turn_until(*loop, [&] { return b->received.size() == sent; });
  };
  ASSERT_TRUE(traffic());
  for (TestNode* each : {a.get(), b.get()}) stage(*each, ca, {ca.certificate(), new_ca.certificate()});
  ASSERT_TRUE(traffic());
  stage(*a, new_ca, {ca.certificate(), new_ca.certificate()});
  ASSERT_TRUE(traffic());
  stage(*b, new_ca, {new_ca.certificate()});
  stage(*a, new_ca, {new_ca.certificate()});
  ASSERT_TRUE(traffic());
  EXPECT_EQ(a->history, "2up ");  // no connection was broken off

  // New connections are made with the new ones, and the old authority's certificates are worth nothing any more.
  a->transport->remove_peer(2);
  a->know(*b);
  ASSERT_TRUE(both_up(*a, *b));
  auto late = node(3);
  introduce(*b, *late);
  ASSERT_TRUE(turn_until(*loop, [&] { return b->status(3).counters.connect_failures >= 2; }));
  EXPECT_FALSE(b->up(3));
}

}  // namespace
}  // namespace runink::raft
