// What a leader sends to a peer, and when: windows, probes, refusals.
#include <gtest/gtest.h>

#include "control/raft/core/core_in_test.h"

namespace runink::raft {
namespace {

using test::Core;
using test::entry;

// One message at a time to a peer of which nothing is known, a window to the others; one entry may be larger than all.
TEST(FlowControl, WindowsInMessagesAndBytes) {
  struct {
    size_t messages, bytes, message_bytes;
    size_t sent;  // messages with entries before the first answer, of 8 entries of 132 bytes
  } const kCases[] = {{256, 8 << 20, 1 << 20, 1}, {256, 8 << 20, 1, 8}, {3, 8 << 20, 1, 3},
                      {256, 300, 1, 3},           {256, 1, 1, 1},       {1, 1, 1 << 20, 1},
                      {2, 8 << 20, 264, 2}};
  for (const auto& c : kCases) {
    Options options;
    options.max_in_flight_messages = c.messages;
    options.max_in_flight_bytes = c.bytes;
    options.max_message_bytes = c.message_bytes;
    Core core(1, {{1, 2}, {}}, {{1, 1, 0}, {}}, options);
    core.lead();
    core.hear(MessageKind::kAppendReply, 2, 2, 1);
    core.said.clear();
    for (int i = 0; i < 8; ++i) (void)core.raft->propose(std::make_shared<const std::string>(100, 'x'));
    core.settle();
    size_t sent = 0;
    for (const Message& m : core.take(MessageKind::kAppend)) sent += !m.entries.empty();
    EXPECT_EQ(sent, c.sent) << c.messages << " messages, " << c.bytes << " bytes, " << c.message_bytes << " a message";
    // Answers make room: in the end everything has gone, once.
    Index next = 2;
    for (int i = 0; i < 100 && core.raft->commit() < 9; ++i) {
      core.hear(MessageKind::kAppendReply, 2, 2, core.raft->peers().at(2).in_flight.front().last);
      next = core.raft->peers().at(2).next;
    }
    EXPECT_EQ(core.raft->commit(), 9u);
    EXPECT_EQ(next, 10u);
    EXPECT_TRUE(core.raft->peers().at(2).in_flight.empty());
    EXPECT_EQ(core.raft->peers().at(2).in_flight_bytes, 0u);
  }
}

TEST(FlowControl, ALateRefusalDoesNotStopThePipeline) {
  Core core(1, {{1, 2}, {}}, {{1, 1, 0}, {entry(1, 1)}});
  core.lead();
  core.hear(MessageKind::kAppendReply, 2, 2, 2);
  ASSERT_EQ(core.raft->peers().at(2).state, Progress::State::kReplicate);
  Message no;
  no.kind = MessageKind::kAppendReply;
  no.from = 2;
  no.term = 2;
  no.incarnation = 1;
  no.index = 1;
  no.reject = true;
  core.hear(no);
  EXPECT_EQ(core.raft->peers().at(2).state, Progress::State::kReplicate);
  no.index = 3;  // of one that was sent behind something that got lost
  (void)core.raft->propose(std::make_shared<const std::string>("x"));
  core.settle();
  core.hear(no);
  EXPECT_EQ(core.raft->peers().at(2).state, Progress::State::kProbe);
  EXPECT_EQ(core.raft->peers().at(2).next, 3u);
}

// What was in flight was lost: two heartbeats without a movement, and an empty request behind it finds out.
TEST(FlowControl, WhatWasLostIsFoundOutByAHeartbeat) {
  Core core(1, {{1, 2}, {}}, {{1, 1, 0}, {}});
  core.lead();
  core.hear(MessageKind::kAppendReply, 2, 2, 1);
  (void)core.raft->propose(std::make_shared<const std::string>("x"));
  core.settle();
  core.said.clear();
  core.hear(MessageKind::kHeartbeatReply, 2, 2, 1);
  core.said.clear();
  core.hear(MessageKind::kHeartbeatReply, 2, 2, 1);
  const auto asked = core.take(MessageKind::kAppend);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_TRUE(asked[0].entries.empty());
  EXPECT_EQ(asked[0].index, 2u);
  Message no;
  no.kind = MessageKind::kAppendReply;
  no.from = 2;
  no.term = 2;
  no.incarnation = 1;
  no.index = 2;
  no.reject = true;
  no.hint_index = 1;
  no.hint_term = 2;
  core.hear(no);
  const auto again = core.take(MessageKind::kAppend);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_EQ(again[0].index, 1u);
  EXPECT_EQ(again[0].entries.size(), 1u);
}

TEST(FlowControl, WhoNeedsWhatIsGoneGetsASnapshotAndThenTheRest) {
  Core core(1, {{1, 2, 3}, {}}, {{1, 1, 0}, {entry(1, 1), entry(2, 1)}});
  core.lead();
  core.hear(MessageKind::kAppendReply, 2, 2, 3);
  ASSERT_EQ(core.raft->applied(), 3u);
  core.raft->compact(3);
  Message no;
  no.kind = MessageKind::kAppendReply;
  no.from = 3;
  no.term = 2;
  no.index = 2;
  no.reject = true;
  core.raft->step([&] {
    no.to = 1;
    return no;
  }());
  const Ready ready = core.raft->take_ready();
  EXPECT_EQ(ready.snapshots_wanted, (std::vector<NodeId>{3}));
  EXPECT_EQ(core.raft->peers().at(3).state, Progress::State::kSnapshot);
  core.said.clear();
  (void)core.raft->propose(std::make_shared<const std::string>("x"));
  core.settle();
  for (const Message& m : core.take(MessageKind::kAppend)) EXPECT_NE(m.to, 3u);
  const SnapshotMeta snapshot{3, 2, test::kThree};
  core.raft->offer_snapshot(3, snapshot);
  core.settle();
  EXPECT_EQ(core.take(MessageKind::kSnapshotOffer).size(), 1u);
  core.hear(MessageKind::kAppendReply, 3, 2, 3);
  const auto rest = core.take(MessageKind::kAppend);
  ASSERT_FALSE(rest.empty());
  EXPECT_EQ(rest[0].to, 3u);
  EXPECT_EQ(rest[0].index, 3u);
  EXPECT_EQ(rest[0].entries.size(), 1u);
}

}  // namespace
}  // namespace runink::raft
