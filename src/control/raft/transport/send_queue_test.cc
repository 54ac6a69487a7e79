#include "control/raft/transport/send_queue.h"

#include <gtest/gtest.h>

#include "control/raft/transport/messages_in_test.h"

namespace runink::raft {
namespace {

using Pushed = SendQueue::Pushed;

Message vote(Term term) { return {.kind = MessageKind::kVote, .from = 1, .to = 2, .term = term}; }

TEST(SendQueueTest, WhatIsUrgentOvertakesAppends) {
  SendQueue queue;
  EXPECT_EQ(queue.push(append_message(1, 2, 10, 1, 100)), Pushed::kQueued);
  EXPECT_EQ(queue.push(append_message(1, 2, 11, 1, 100)), Pushed::kQueued);
  EXPECT_EQ(queue.push(vote(3)), Pushed::kQueued);
  EXPECT_EQ(queue.push(heartbeat(1, 2, 5)), Pushed::kQueued);
  std::vector<MessageKind> kinds;
  std::vector<Index> indexes;
  Message m;
  while (queue.pop(&m)) {
    kinds.push_back(m.kind);
    indexes.push_back(m.index);
  }
  EXPECT_EQ(kinds,
            (std::vector{MessageKind::kVote, MessageKind::kHeartbeat, MessageKind::kAppend, MessageKind::kAppend}));
  EXPECT_EQ(indexes[2], 10u);
  EXPECT_EQ(indexes[3], 11u);
  EXPECT_EQ(queue.bytes(), 0u);
}

TEST(SendQueueTest, ANewerHeartbeatTakesTheOldersPlace) {
  SendQueue queue;
  Message m;
  for (Index commit = 1; commit <= 5; ++commit) {
    EXPECT_EQ(queue.push(heartbeat(1, 2, commit)), commit == 1 ? Pushed::kQueued : Pushed::kSuperseded);
  }
  Message reply = heartbeat(1, 2, 0);
  reply.kind = MessageKind::kHeartbeatReply;
  EXPECT_EQ(queue.push(reply), Pushed::kQueued);
  ASSERT_EQ(queue.messages(), 2u);
  ASSERT_TRUE(queue.pop(&m));
  EXPECT_EQ(m.commit, 5u);
  // The one that waited is gone: the next has a place of its own, behind the reply.
  EXPECT_EQ(queue.push(heartbeat(1, 2, 6)), Pushed::kQueued);
  ASSERT_TRUE(queue.pop(&m));
  EXPECT_EQ(m.kind, MessageKind::kHeartbeatReply);
  ASSERT_TRUE(queue.pop(&m));
  EXPECT_EQ(m.commit, 6u);
  EXPECT_TRUE(queue.empty());
  queue.push(heartbeat(1, 2, 7));
  queue.clear();
  EXPECT_EQ(queue.push(heartbeat(1, 2, 8)), Pushed::kQueued);
  ASSERT_TRUE(queue.pop(&m));
  EXPECT_EQ(m.commit, 8u);
}

TEST(SendQueueTest, FullRefusesWhatComes) {
  SendQueue queue({.appends = 3, .append_bytes = 10'000, .urgent = 2});
  EXPECT_EQ(queue.push(append_message(1, 2, 1, 1, 50'000)), Pushed::kQueued);  // alone, whatever its size
  EXPECT_EQ(queue.push(append_message(1, 2, 2, 1, 1)), Pushed::kFull);
  Message m;
  ASSERT_TRUE(queue.pop(&m));
  for (Index i = 0; i < 3; ++i) EXPECT_EQ(queue.push(append_message(1, 2, i, 1, 1)), Pushed::kQueued);
  EXPECT_EQ(queue.push(append_message(1, 2, 9, 1, 1)), Pushed::kFull);
  EXPECT_EQ(queue.push(vote(1)), Pushed::kQueued);
  EXPECT_EQ(queue.push(vote(2)), Pushed::kQueued);
  EXPECT_EQ(queue.push(vote(3)), Pushed::kFull);
  EXPECT_EQ(queue.push(heartbeat(1, 2, 1)), Pushed::kFull);
  EXPECT_EQ(queue.messages(), 5u);
}

}  // namespace
}  // namespace runink::raft
