// Single cores in situations that were got wrong once, here or elsewhere.
#include <gtest/gtest.h>

#include "control/raft/core/raft.h"

namespace runink::raft {
namespace {

Entry entry(Index index, Term term, const char* data = "x") { return {index, term, EntryKind::kCommand, std::make_shared<const std::string>(data)}; }

Raft node(NodeId id, Membership membership, HardState hard_state = {}, std::vector<Entry> entries = {}) {
  Options options;
  options.id = id;
  options.random = [] { return uint64_t{0}; };
  Recovered recovered;
  recovered.hard_state = hard_state;
  recovered.membership = std::move(membership);
  recovered.entries = std::move(entries);
  return Raft(std::move(options), std::move(recovered));
}

Message append(NodeId from, NodeId to, Term term, Index before, Term before_term, std::vector<Entry> entries, Index commit = 0) {
  Message m;
  m.kind = MessageKind::kAppend;
  m.from = from;
  m.to = to;
  m.term = term;
  m.index = before;
  m.log_term = before_term;
  m.entries = std::move(entries);
  m.commit = commit;
  return m;
}

const Membership kThree{{1, 2, 3}, {}};

// The hard state is written before the entries that came with it. A hint that counted those would, after a crash in between,
// call the entry committed that stood there before.
TEST(RaftCases, TheCommitHintIsNeverAheadOfTheLogOnDisk) {
  Raft raft = node(3, kThree, {1, 0, 0}, {entry(1, 1), entry(2, 1, "of a leader that nobody followed")});
  raft.step(append(1, 3, 2, 1, 1, {entry(2, 2), entry(3, 2)}, 3));
  EXPECT_EQ(raft.commit(), 3u);
  const Ready ready = raft.take_ready();
  ASSERT_TRUE(ready.hard_state.has_value());
  EXPECT_EQ(ready.hard_state->commit, 1u);
}

// Three writes are under way: entry 1 of term 2, of term 3 in its place, and of term 2 again. That the first is durable says
// nothing about the third.
TEST(RaftCases, AWriteThatWasReplacedIsNotTakenForTheSameEntryWrittenAgain) {
  Raft raft = node(3, kThree);
  raft.step(append(1, 3, 2, 0, 0, {entry(1, 2)}));
  const Ready first = raft.take_ready();
  raft.step(append(2, 3, 3, 0, 0, {entry(1, 3)}));
  const Ready second = raft.take_ready();
  raft.step(append(1, 3, 4, 0, 0, {entry(1, 2), entry(2, 4)}, 2));
  const Ready third = raft.take_ready();
  ASSERT_EQ(third.append.size(), 2u);

  raft.hard_state_persisted(first.hard_state_version);
  raft.log_persisted(1, 2);
  EXPECT_EQ(raft.log().persisted(), 0u);
  EXPECT_TRUE(raft.take_ready().committed.empty());
  raft.hard_state_persisted(second.hard_state_version);
  raft.log_persisted(1, 3);
  EXPECT_EQ(raft.log().persisted(), 0u);
  raft.hard_state_persisted(third.hard_state_version);
  raft.log_persisted(2, 4);
  EXPECT_EQ(raft.log().persisted(), 2u);
  EXPECT_EQ(raft.take_ready().committed.size(), 2u);
}

// A refused probe is followed by the next one at once, not when something else happens.
TEST(RaftCases, ARefusalIsNewsForTheDriver) {
  Raft raft = node(1, {{1, 2}, {}}, {1, 0, 0}, {entry(1, 1)});
  raft.campaign();
  Message yes;
  yes.from = 2;
  yes.to = 1;
  yes.kind = MessageKind::kPreVoteReply;
  yes.term = 2;
  raft.step(yes);
  raft.hard_state_persisted(raft.take_ready().hard_state_version);
  yes.kind = MessageKind::kVoteReply;
  raft.step(yes);
  ASSERT_EQ(raft.role(), Role::kLeader);
  EXPECT_TRUE(raft.has_ready());
  (void)raft.take_ready();  // asks for what follows entry 1
  EXPECT_FALSE(raft.has_ready());
  Message no;
  no.kind = MessageKind::kAppendReply;
  no.from = 2;
  no.to = 1;
  no.term = 2;
  no.index = 1;
  no.reject = true;
  raft.step(no);
  EXPECT_TRUE(raft.has_ready());
  const Ready ready = raft.take_ready();
  ASSERT_EQ(ready.messages.size(), 1u);
  EXPECT_EQ(ready.messages[0].index, 0u);
  EXPECT_EQ(ready.messages[0].entries.size(), 2u);
}

// Two voters, the leader removes itself and stops before that is committed. The other one lacks the entry, so that nobody but
// the removed one can be elected.
TEST(RaftCases, WhoseRemovalIsNotCommittedStillCampaigns) {
  const std::vector<Entry> log = {entry(1, 1), {2, 1, EntryKind::kMembership, std::make_shared<const std::string>(encode({{3}, {}}))}};
  Raft raft = node(1, {{1, 3}, {}}, {1, 1, 1}, log);
  raft.campaign();
  EXPECT_EQ(raft.role(), Role::kPreCandidate);
  const Ready ready = raft.take_ready();
  ASSERT_EQ(ready.messages.size(), 1u);
  EXPECT_EQ(ready.messages[0].to, 3u);

  Raft removed = node(1, {{1, 3}, {}}, {1, 1, 2}, log);
  removed.campaign();
  EXPECT_EQ(removed.role(), Role::kFollower);
}

}  // namespace
}  // namespace runink::raft
