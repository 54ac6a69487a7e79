// The rules that others have paid for, one by one, on a single core: what it says and takes for true in the situation
// that each rule is about. (raft_cases_test.cc has what was got wrong here.)
#include <gtest/gtest.h>

#include <algorithm>

#include "control/raft/core/core_in_test.h"

namespace runink::raft {
namespace {

using test::Core;
using test::entry;
using test::kThree;
using test::membership_entry;

// C1. Figure 8: an entry of term 2 is on two of three disks, and its term is over.
TEST(Rules, OfEarlierTermsNothingIsCommittedByCounting) {
  Core core(1, kThree, {{2, 1, 0}, {entry(1, 2)}});
  core.lead();
  core.hear(MessageKind::kAppendReply, 2, 3, 1);
  EXPECT_EQ(core.raft->commit(), 0u);
  core.hear(MessageKind::kAppendReply, 2, 3, 2);
  EXPECT_EQ(core.raft->commit(), 2u);
}

// C2. What stands behind the request's entries may be of another leader.
TEST(Rules, AnAnswerNamesTheLastEntryOfItsRequest) {
  struct {
    Index before;
    Term before_term;
    std::vector<Entry> entries;
    Index answer;
  } const kCases[] = {
      {1, 1, {}, 1}, {1, 1, {entry(2, 1)}, 2}, {0, 0, {entry(1, 1)}, 1}, {2, 1, {entry(3, 3)}, 3}, {3, 2, {}, 3}};
  for (const auto& c : kCases) {
    Core core(3, kThree, {{2, 0, 0}, {entry(1, 1), entry(2, 1), entry(3, 2), entry(4, 2)}});
    core.hear_append(1, 3, c.before, c.before_term, c.entries);
    const auto answers = core.take(MessageKind::kAppendReply);
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_FALSE(answers[0].reject);
    EXPECT_EQ(answers[0].index, c.answer);
  }
}

// C3. The leader's commit index says nothing of entries that it has not seen here.
TEST(Rules, AFollowerCommitsWhatWasVerified) {
  Core core(3, kThree, {{2, 0, 0}, {entry(1, 1), entry(2, 2)}});
  core.hear_append(1, 3, 1, 1, {}, 2);
  EXPECT_EQ(core.raft->commit(), 1u);
  core.hear_append(1, 3, 1, 1, {entry(2, 3)}, 2);
  EXPECT_EQ(core.raft->commit(), 2u);
  // Under another leader all has to be seen again.
  Core other(3, kThree, {{1, 0, 0}, {entry(1, 1), entry(2, 1)}});
  other.hear_append(1, 2, 2, 1, {}, 0);
  other.hear_append(2, 3, 0, 0, {}, 2);
  EXPECT_EQ(other.raft->commit(), 0u);
}

// C4.
TEST(Rules, WhatAPeerHoldsOnlyGrowsAndIsNoGuess) {
  Core core(1, kThree, {{1, 1, 0}, {entry(1, 1), entry(2, 1), entry(3, 1)}});
  core.lead();
  Message no;
  no.kind = MessageKind::kAppendReply;
  no.from = 2;
  no.term = 2;
  no.index = 3;
  no.reject = true;
  no.hint_index = 2;
  no.hint_term = 1;
  core.hear(no);
  EXPECT_EQ(core.raft->peers().at(2).match, 0u);
  core.hear(MessageKind::kAppendReply, 2, 2, 4);
  core.hear(MessageKind::kAppendReply, 2, 2, 2);
  EXPECT_EQ(core.raft->peers().at(2).match, 4u);
}

// C5, C6.
TEST(Rules, OneVoteATermTransfersIncluded) {
  Core core(3, kThree, {});
  Message request;
  request.kind = MessageKind::kVote;
  request.from = 1;
  request.term = 1;
  core.hear(request);
  request.from = 2;
  request.force = true;
  core.hear(request);
  const auto answers = core.take(MessageKind::kVoteReply);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_FALSE(answers[0].reject);
  EXPECT_TRUE(answers[1].reject);
}

size_t count(const Ready& ready, MessageKind kind) {
  return static_cast<size_t>(
      std::count_if(ready.messages.begin(), ready.messages.end(), [&](const Message& m) { return m.kind == kind; }));
}

TEST(Rules, AVoteAndACandidacyWaitForTheDisk) {
  Core core(3, kThree, {});
  Message request;
  request.kind = MessageKind::kVote;
  request.from = 1;
  request.to = 3;
  request.term = 1;
  core.raft->step(request);
  Ready ready = core.raft->take_ready();
  ASSERT_TRUE(ready.hard_state.has_value());
  EXPECT_EQ(ready.hard_state->vote, 1u);
  EXPECT_EQ(count(ready, MessageKind::kVoteReply), 0u);
  core.raft->hard_state_persisted(ready.hard_state_version);
  EXPECT_EQ(count(core.raft->take_ready(), MessageKind::kVoteReply), 1u);

  Core candidate(3, kThree, {});
  candidate.raft->campaign();
  candidate.settle();
  Message yes;
  yes.kind = MessageKind::kPreVoteReply;
  yes.from = 1;
  yes.to = 3;
  yes.term = 1;
  candidate.raft->step(yes);
  ready = candidate.raft->take_ready();
  ASSERT_TRUE(ready.hard_state.has_value());
  EXPECT_EQ(count(ready, MessageKind::kVote), 0u);
  yes.kind = MessageKind::kVoteReply;
  candidate.raft->step(yes);
  EXPECT_EQ(candidate.raft->role(), Role::kCandidate) << "its own vote is not durable yet";
  candidate.raft->hard_state_persisted(ready.hard_state_version);
  EXPECT_EQ(candidate.raft->role(), Role::kLeader);
}

// C7, C10.
TEST(Rules, CopiesCountOnceTheyAreOnDisk) {
  Core follower(3, kThree, {{1, 0, 0}, {}});
  Message m;
  m.kind = MessageKind::kAppend;
  m.from = 1;
  m.to = 3;
  m.term = 1;
  m.entries = {entry(1, 1)};
  follower.raft->step(m);
  EXPECT_EQ(count(follower.raft->take_ready(), MessageKind::kAppendReply), 0u);
  follower.raft->log_persisted(1, 1);
  EXPECT_EQ(count(follower.raft->take_ready(), MessageKind::kAppendReply), 1u);

  Core leader(1, kThree, {{1, 1, 0}, {}});
  leader.lead();
  leader.hear(MessageKind::kAppendReply, 2, 2, 1);
  ASSERT_EQ(leader.raft->commit(), 1u);
  ASSERT_EQ(leader.raft->propose(std::make_shared<const std::string>("x")).index, 2u);
  (void)leader.raft->take_ready();
  Message ack;
  ack.kind = MessageKind::kAppendReply;
  ack.from = 2;
  ack.to = 1;
  ack.term = 2;
  ack.index = 2;
  ack.incarnation = 1;
  leader.raft->step(ack);
  EXPECT_EQ(leader.raft->commit(), 1u);
  leader.raft->log_persisted(2, 2);
  EXPECT_EQ(leader.raft->commit(), 2u);
}

TEST(Rules, AnOldRequestLeavesWhatCameAfterIt) {
  Core core(3, kThree, {{1, 0, 0}, {}});
  core.hear_append(1, 1, 0, 0, {entry(1, 1), entry(2, 1), entry(3, 1)});
  core.hear_append(1, 1, 0, 0, {entry(1, 1)});
  EXPECT_EQ(core.raft->log().last(), 3u);
}

TEST(Rules, WhatDoesNotFollowIsRefusedWithAHint) {
  struct {
    Index before;
    Term before_term;
    Index hint;
    Term hint_term;
  } const kCases[] = {{9, 3, 4, 2}, {4, 3, 4, 2}, {3, 1, 2, 1}, {4, 1, 2, 1}};
  for (const auto& c : kCases) {
    Core core(3, kThree, {{3, 0, 0}, {entry(1, 1), entry(2, 1), entry(3, 2), entry(4, 2)}});
    core.hear_append(1, 3, c.before, c.before_term, {entry(c.before + 1, 3)});
    const auto answers = core.take(MessageKind::kAppendReply);
    ASSERT_EQ(answers.size(), 1u);
    EXPECT_TRUE(answers[0].reject);
    EXPECT_EQ(answers[0].index, c.before);
    EXPECT_EQ(answers[0].hint_index, c.hint) << c.before << " of term " << c.before_term;
    EXPECT_EQ(answers[0].hint_term, c.hint_term);
    EXPECT_EQ(core.raft->log().last(), 4u);
  }
}

TEST(Rules, AVoteGoesByTheLastTermThenByLength) {
  struct {
    Index index;
    Term term;
    bool granted;
  } const kCases[] = {{3, 1, false}, {1, 2, false}, {2, 2, true}, {3, 2, true}, {1, 3, true}};
  for (const auto& c : kCases) {
    Core core(3, kThree, {{2, 0, 0}, {entry(1, 1), entry(2, 2)}});
    Message request;
    request.kind = MessageKind::kVote;
    request.from = 1;
    request.term = 4;
    request.index = c.index;
    request.log_term = c.term;
    core.hear(request);
    EXPECT_EQ(!core.take(MessageKind::kVoteReply).at(0).reject, c.granted) << c.index << " of term " << c.term;
  }
}

TEST(Rules, VotesOfAnEarlierTermAreNotCounted) {
  Core core(1, kThree, {{1, 0, 0}, {}});
  for (Term term : {2, 3}) {
    core.raft->campaign();
    core.settle();
    core.hear(MessageKind::kPreVoteReply, 2, term);
    ASSERT_EQ(core.raft->role(), Role::kCandidate);
  }
  core.hear(MessageKind::kVoteReply, 2, 2);
  EXPECT_EQ(core.raft->role(), Role::kCandidate);
  core.hear(MessageKind::kVoteReply, 2, 3);
  EXPECT_EQ(core.raft->role(), Role::kLeader);
}

// The entry that was acknowledged in term 1 never reached this disk; another one stands at its place.
TEST(Rules, AcknowledgementsOfAnEarlierTermAreNotCounted) {
  Core core(1, kThree, {{1, 1, 0}, {}});
  core.lead(3);
  core.hear(MessageKind::kAppendReply, 2, 1, 1);
  EXPECT_EQ(core.raft->commit(), 0u);
  EXPECT_EQ(core.raft->peers().at(2).match, 0u);
}

// C11. Of what was committed before it came back, it may have lost something.
TEST(Rules, AVoteIsRegainedWithWhatWasCommittedAfterTheReturn) {
  struct {
    uint64_t echo;  // 1: of its storage as it was
    bool own_term_committed;
    bool regains;
  } const kCases[] = {{1, true, false}, {2, false, false}, {2, true, true}};
  for (const auto& c : kCases) {
    Core core(3, kThree, {{1, 0, 0}, {entry(1, 1), entry(2, 1)}, false, 2});
    core.hear_append(1, 1, 2, 1, {}, 2, c.echo, c.own_term_committed);
    EXPECT_EQ(core.raft->may_vote(), c.regains);
    EXPECT_EQ(core.regained, c.regains);
  }
}

TEST(Rules, WithoutAVoteNobodyIsElected) {
  Core core(3, kThree, {{1, 0, 0}, {entry(1, 1)}, false, 2});
  Message request;
  request.kind = MessageKind::kVote;
  request.from = 1;
  request.term = 2;
  request.index = 1;
  request.log_term = 1;
  core.hear(request);
  EXPECT_TRUE(core.take(MessageKind::kVoteReply).at(0).reject);
  core.raft->campaign();
  EXPECT_EQ(core.raft->role(), Role::kFollower);
}

// It votes for whoever holds at least what it held, and for nobody else; and does not campaign itself.
TEST(Rules, WhoKnowsWhatItLostVotesForWhoeverHasIt) {
  struct {
    LogEnd candidate;
    bool granted;
  } const kCases[] = {{{1, 1}, false}, {{1, 6}, false}, {{2, 3}, false}, {{2, 4}, true}, {{3, 2}, true}};
  for (const auto& c : kCases) {
    for (const MessageKind kind : {MessageKind::kPreVote, MessageKind::kVote}) {
      Core core(3, kThree, {{3, 0, 0}, {entry(1, 1)}, false, 2, LogEnd{2, 4}});
      Message request;
      request.kind = kind;
      request.from = 1;
      request.term = 4;
      request.index = c.candidate.index;
      request.log_term = c.candidate.term;
      core.hear(request);
      const MessageKind reply = kind == MessageKind::kVote ? MessageKind::kVoteReply : MessageKind::kPreVoteReply;
      EXPECT_EQ(core.take(reply).at(0).reject, !c.granted) << c.candidate.term << " " << c.candidate.index;
      core.raft->campaign();
      EXPECT_EQ(core.raft->role(), Role::kFollower);
    }
  }
}

// And it is whole again with what it lost, whoever gives it that, or at once if its state has it all.
TEST(Rules, WhoHoldsAsMuchAsItLostVotesAgain) {
  Core core(3, kThree, {{3, 0, 0}, {entry(1, 1)}, false, 2, LogEnd{2, 3}});
  EXPECT_FALSE(core.raft->may_vote());
  core.hear_append(1, 3, 1, 1, {entry(2, 2)});
  EXPECT_FALSE(core.raft->may_vote());
  core.hear_append(1, 3, 2, 2, {entry(3, 2)});
  EXPECT_TRUE(core.raft->may_vote());
  EXPECT_TRUE(core.regained);
  core.raft->campaign();
  EXPECT_EQ(core.raft->role(), Role::kPreCandidate);

  Core later(3, kThree, {{3, 0, 0}, {entry(1, 1)}, false, 2, LogEnd{2, 3}});
  later.hear_append(1, 3, 1, 1, {entry(2, 3)});
  EXPECT_TRUE(later.raft->may_vote());
  Core there(3, kThree, {{3, 0, 0}, {entry(1, 1), entry(2, 2), entry(3, 2)}, false, 2, LogEnd{2, 3}});
  EXPECT_TRUE(there.raft->may_vote());
  there.settle();
  EXPECT_TRUE(there.regained);
}

// C12. What it held before is not known to be there.
TEST(Rules, APeerWhoseStorageLostEntriesBeginsFromNothing) {
  Core core(1, kThree, {{1, 1, 0}, {entry(1, 1)}});
  core.lead();
  core.hear(MessageKind::kAppendReply, 3, 2, 1);
  ASSERT_EQ(core.raft->peers().at(3).match, 1u);
  Message back;
  back.kind = MessageKind::kHeartbeatReply;
  back.from = 3;
  back.term = 2;
  back.incarnation = 2;
  back.rejoining = true;
  core.hear(back);
  EXPECT_EQ(core.raft->peers().at(3).match, 0u);
  core.hear(MessageKind::kAppendReply, 3, 2, 2);  // of incarnation 1
  EXPECT_EQ(core.raft->peers().at(3).match, 0u);
}

// C13.
TEST(Rules, MembershipChangesOneAtATimeAndBehindAnOwnCommit) {
  Core core(1, kThree, {{1, 1, 0}, {entry(1, 1)}});
  core.lead();
  const Change change{ChangeKind::kAddLearner, 4};
  EXPECT_EQ(core.raft->propose_change(change).status().code(), Code::kFailedPrecondition);
  core.hear(MessageKind::kAppendReply, 2, 2, 2);
  ASSERT_TRUE(core.raft->propose_change(change).ok());
  core.settle();
  EXPECT_EQ(core.raft->propose_change({ChangeKind::kAddLearner, 5}).status().code(), Code::kFailedPrecondition);
  core.hear(MessageKind::kAppendReply, 2, 2, 3);
  EXPECT_TRUE(core.raft->propose_change({ChangeKind::kAddLearner, 5}).ok());
}

TEST(Rules, AMembershipGoesWithItsEntry) {
  const Membership two{{1, 3}, {}};
  Core core(3, kThree, {{1, 0, 0}, {entry(1, 1), membership_entry(2, 1, two)}});
  ASSERT_EQ(core.raft->membership(), two);
  core.hear_append(2, 2, 1, 1, {entry(2, 2)});
  EXPECT_EQ(core.raft->membership(), kThree);
}

// C14.
TEST(Rules, TheTermRisesWithEveryElectionAlsoAlone) {
  Core core(1, {{1}, {}}, {{4, 1, 0}, {}});
  core.raft->campaign();
  core.settle();
  EXPECT_EQ(core.raft->role(), Role::kLeader);
  EXPECT_EQ(core.raft->term(), 5u);
}

// C15, C16.
TEST(Rules, AReadWaitsForACommitOfTheTermAndForARound) {
  Message round;
  round.kind = MessageKind::kHeartbeatReply;
  round.from = 2;
  round.term = 2;
  round.incarnation = 1;
  round.read_round = 1;
  {
    Core core(1, kThree, {{1, 1, 0}, {entry(1, 1)}});
    core.lead();
    core.raft->read_index(1);
    core.settle();
    core.hear(round);
    EXPECT_TRUE(core.reads.empty()) << "before the term has committed anything";
  }
  Core core(1, kThree, {{1, 1, 0}, {entry(1, 1)}});
  core.lead();
  core.hear(MessageKind::kAppendReply, 2, 2, 2);
  core.raft->read_index(1);
  core.settle();
  EXPECT_TRUE(core.reads.empty()) << "without a round";
  core.hear(round);
  EXPECT_EQ(core.reads, (std::vector<ReadId>{1}));
}

TEST(Rules, LearnersConfirmNoReadsAndOldRoundsConfirmNoNewOnes) {
  Core core(1, {{1, 2, 3}, {4, 5}}, {{1, 1, 0}, {}});
  core.lead();
  core.hear(MessageKind::kAppendReply, 2, 2, 1);
  const auto rounds = [&] {
    uint64_t round = 0;
    for (const Message& m : core.take(MessageKind::kHeartbeat)) round = std::max(round, m.read_round);
    return round;
  };
  const auto confirm = [&](NodeId from, uint64_t round) {
    Message m;
    m.kind = MessageKind::kHeartbeatReply;
    m.from = from;
    m.term = 2;
    m.incarnation = 1;
    m.read_round = round;
    core.hear(m);
  };
  core.take(MessageKind::kHeartbeat);
  core.raft->read_index(1);
  core.settle();
  const uint64_t first = rounds();
  core.raft->read_index(2);
  core.settle();
  const uint64_t second = rounds();
  EXPECT_GT(first, 0u);
  EXPECT_GT(second, first);
  confirm(4, second);
  confirm(5, second);
  EXPECT_TRUE(core.reads.empty());
  confirm(2, first);
  EXPECT_EQ(core.reads, (std::vector<ReadId>{1}));
  confirm(3, second);
  EXPECT_EQ(core.reads, (std::vector<ReadId>{1, 2}));
}

TEST(Rules, CopiesOnLearnersDoNotCount) {
  Core core(1, {{1, 2, 3}, {4, 5}}, {{1, 1, 0}, {}});
  core.lead();
  core.hear(MessageKind::kAppendReply, 4, 2, 1);
  core.hear(MessageKind::kAppendReply, 5, 2, 1);
  EXPECT_EQ(core.raft->commit(), 0u);
}

// C22.
TEST(Rules, WhatIsUncommittedHasABound) {
  Options options;
  options.max_uncommitted_bytes = 200;
  Core core(1, kThree, {{1, 1, 0}, {}}, options);
  core.lead();
  size_t taken = 0;
  while (taken < 100 &&
         core.raft->propose(std::make_shared<const std::string>(20, 'x')).outcome == Proposal::Outcome::kAccepted)
    ++taken;
  EXPECT_EQ(taken, 3u);  // 32 bytes of the first entry of the term, 52 each
  core.settle();
  core.hear(MessageKind::kAppendReply, 2, 2, 4);
  EXPECT_EQ(core.raft->propose(std::make_shared<const std::string>("x")).outcome, Proposal::Outcome::kAccepted);
}

}  // namespace
}  // namespace runink::raft
