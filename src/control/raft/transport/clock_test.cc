// What members learn of each other's wall clocks: the filter, and real connections with clocks that are wrong.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "control/raft/transport/clock_filter.h"
#include "control/raft/transport/node_in_test.h"

namespace runink::raft {
namespace {

using net::turn_until;

TEST(ClockFilterTest, HalfTheWayIsTheUncertainty) {
  ClockFilter filter;
  EXPECT_FALSE(filter.offset());
  // The peer is 5,000 ahead; 100 there, 300 back, 50 in between.
  filter.add({1'000, 6'100, 6'150, 1'450});
  EXPECT_EQ(filter.offset()->micros, 4'900);
  EXPECT_EQ(filter.offset()->uncertainty_micros, 201);
  EXPECT_LE(std::abs(filter.offset()->micros - 5'000), filter.offset()->uncertainty_micros);
}

TEST(ClockFilterTest, TheShortestWayOfTheLastEightCounts) {
  ClockFilter filter;
  filter.add({0, -10'000, -10'000, 20});
  for (int i = 0; i < 7; ++i) filter.add({0, -5'000, -5'000, 4'000});
  EXPECT_EQ(filter.offset()->micros, -10'010);
  filter.add({0, -5'000, -5'000, 4'000});
  EXPECT_EQ(filter.offset()->micros, -7'000);
}

TEST(ClockFilterTest, WhatCannotBeIsLeftOut) {
  ClockFilter filter;
  const int64_t most = std::numeric_limits<int64_t>::max(), least = std::numeric_limits<int64_t>::min();
  for (const int64_t a : {most, least, int64_t{1} << 60, int64_t{0}}) {
    for (const int64_t b : {most, least, int64_t{-1} << 60}) {
      filter.add({0, a, b, 10});
      filter.add({0, b, a, 10});
      filter.add({b, 0, 0, a});
    }
  }
  filter.add({100, 0, 0, 50});     // the own clock went back
  filter.add({100, 50, 40, 110});  // the peer's did
  filter.add({100, 0, 50, 110});   // the peer says that it took longer than all of it
  EXPECT_FALSE(filter.offset());
}

class WrongClock final : public Clock {
 public:
  explicit WrongClock(int64_t ahead) : ahead_(ahead) {}
  int64_t unix_micros() const override { return system_clock().unix_micros() + ahead_; }
  int64_t steady_nanos() const override { return system_clock().steady_nanos(); }
  void set(int64_t ahead) { ahead_ = ahead; }

 private:
  int64_t ahead_;
};

class ClockTest : public testing::Test {
 protected:
  std::unique_ptr<TestNode> node(NodeId id, const Clock* wall, uint8_t protocol = 2) {
    TlsTransport::Options options = test_options(id);
    options.channel.wall = wall;
    options.channel.newest_protocol = protocol;
    return std::make_unique<TestNode>(*loop_, id, net::context(authority_, id), options);
  }
  std::unique_ptr<net::EventLoop> loop_ = *net::EventLoop::create();
  crypto::CertificateAuthority authority_ = net::make_authority();
};

void expect_offset(const PeerStatus& status, int64_t micros) {
  ASSERT_TRUE(status.clock);
  EXPECT_GT(status.clock->uncertainty_micros, 0);
  EXPECT_LE(std::abs(status.clock->micros - micros), status.clock->uncertainty_micros);
}

TEST_F(ClockTest, EachSeesHowFarTheOtherIsAhead) {
  WrongClock wrong(3'600'000'000);
  auto a = node(1, nullptr), b = node(2, &wrong);
  introduce(*a, *b);
  ASSERT_TRUE(turn_until(*loop_, [&] { return a->status(2).clock && b->status(1).clock; }));
  expect_offset(a->status(2), 3'600'000'000);
  expect_offset(b->status(1), -3'600'000'000);
  // Set right while they talk: seen within a few pings.
  wrong.set(0);
  ASSERT_TRUE(turn_until(*loop_, [&] {
    return std::abs(a->status(2).clock->micros) < 1'800'000'000 && std::abs(b->status(1).clock->micros) < 1'800'000'000;
  }));
  expect_offset(a->status(2), 0);
  expect_offset(b->status(1), 0);
}

TEST_F(ClockTest, AProgramThatDoesNotTellTheTimeIsSpokenTo) {
  for (const NodeId old : {1, 2}) {
    auto a = node(1, nullptr, old == 1 ? 1 : 2), b = node(2, nullptr, old == 2 ? 1 : 2);
    introduce(*a, *b);
    ASSERT_TRUE(turn_until(*loop_, [&] { return a->status(2).rtt_micros > 0 && b->status(1).rtt_micros > 0; }));
    EXPECT_FALSE(a->status(2).clock);
    EXPECT_FALSE(b->status(1).clock);
    EXPECT_EQ(a->status(2).counters.protocol_errors + b->status(1).counters.protocol_errors, 0u);
  }
}

}  // namespace
}  // namespace runink::raft
