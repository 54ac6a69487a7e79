#include "control/barn/harness_test.h"
#include "control/barn/lease_timers.h"

namespace runink::barn {
namespace {

using test::contents;
using test::Harness;
using test::mark;

constexpr int64_t kSecond = 1'000'000'000;  // steady nanoseconds

// ---- sessions

TEST(Session, ARetryIsAppliedOnceAndGetsTheFirstAnswer) {
  Harness h;
  const SessionId session = h.run(SessionRegister{}).token;
  EXPECT_EQ(session, (SessionId{1, 1}));
  Put put{"a", "1", {}, false, false, true};
  const Answer first = h.run(put, mark(session, 1));
  EXPECT_TRUE(first.ops.at(0).items.empty());
  h.put("a", "2");
  const Answer again = h.run(put, mark(session, 1));
  EXPECT_TRUE(h.last.entries[0].repeated);
  EXPECT_EQ(again, first);
  EXPECT_EQ(again.index, 2u);
  EXPECT_EQ(h.value("a"), "2");
  EXPECT_EQ(h.events(), "");
  h.reopen();  // kept in the store
  EXPECT_EQ(h.run(put, mark(session, 1)), first);
  EXPECT_EQ(h.get("a")->version, 2u);
}

TEST(Session, RefusalsAreAnswersToo) {
  Harness h;
  const SessionId session = h.run(SessionRegister{}).token;
  const Put put{"a", "1", {1, 77}, false, false, false};
  EXPECT_EQ(h.run(put, mark(session, 1)).refusal, Refusal::kLeaseUnknown);
  EXPECT_EQ(h.run(Put{"a", "1", {}, false, false, false}, mark(session, 1)).refusal, Refusal::kLeaseUnknown);
  EXPECT_FALSE(h.get("a"));
}

TEST(Session, CommandsMayComeInAnyOrder) {
  Harness h;
  const SessionId session = h.run(SessionRegister{}).token;
  h.run(Put{"a", "3", {}, false, false, false}, mark(session, 3, 1));
  h.run(Put{"a", "2", {}, false, false, false}, mark(session, 2, 1));
  h.run(Put{"a", "3", {}, false, false, false}, mark(session, 3, 1));
  EXPECT_EQ(h.value("a"), "2");
  EXPECT_EQ(h.get("a")->version, 2u);
}

TEST(Session, WhatTheClientHasIsForgotten) {
  Harness h;
  const SessionId session = h.run(SessionRegister{}).token;
  for (uint64_t n = 1; n <= 5; ++n) h.run(Put{"a", "x", {}, false, false, false}, mark(session, n, 1));
  EXPECT_EQ(h.machine->sessions().at(session).answers.size(), 5u);
  h.run(Put{"a", "y", {}, false, false, false}, mark(session, 6, 5));
  EXPECT_EQ(h.machine->sessions().at(session).answers.size(), 2u);
  const Answer old = h.run(Put{"a", "z", {}, false, false, false}, mark(session, 4, 1));
  EXPECT_EQ(old.refusal, Refusal::kSessionForgotten);
  EXPECT_EQ(old.detail, 5u);
  EXPECT_NE(to_status(old).message().find("already forgotten"), std::string::npos);
  EXPECT_EQ(h.value("a"), "y");
}

TEST(Session, AnswersAreBoundedInNumberAndBytes) {
  Harness h;
  Limits limits;
  limits.session_answers = 4;
  limits.session_answer_bytes = 200;
  h.run(Settings{limits});
  const SessionId session = h.run(SessionRegister{}).token;
  for (uint64_t n = 1; n <= 10; ++n) h.run(Put{"a", std::to_string(n), {}, false, false, false}, mark(session, n, 0));
  EXPECT_EQ(h.machine->sessions().at(session).answers.size(), 4u);
  EXPECT_EQ(h.run(Delete{"a", false}, mark(session, 6, 0)).refusal, Refusal::kSessionForgotten);
  EXPECT_TRUE(h.run(Delete{"a", false}, mark(session, 7, 0)).ok());
  EXPECT_TRUE(h.last.entries[0].repeated);
  // An answer that is too large is not kept, but the command is not carried out twice either.
  h.put("a", std::string(500, 'v'));
  Txn txn;
  txn.then_ops = {TxnGet{"a"}, Put{"counter", "1", {}, false, false, false}};
  EXPECT_EQ(h.run(txn, mark(session, 11, 0)).ops.size(), 2u);
  const Answer again = h.run(txn, mark(session, 11, 0));
  EXPECT_EQ(again.refusal, Refusal::kAnswerForgotten);
  EXPECT_EQ(h.get("counter")->version, 1u);
  EXPECT_LE(h.machine->sessions().at(session).answer_bytes, limits.session_answer_bytes);
}

TEST(Session, UnknownClosedAndExpiredOnesAreRefused) {
  Harness h;
  EXPECT_EQ(h.run(Delete{"a", false}, mark({1, 5}, 1)).refusal, Refusal::kSessionUnknown);
  const SessionId one = h.run(SessionRegister{}).token, two = h.run(SessionRegister{}).token;
  EXPECT_NE(one, two);
  EXPECT_EQ(h.run(Delete{"a", false}, mark(one, 0)).refusal, Refusal::kBadSequence);
  EXPECT_EQ(h.run(Delete{"a", false}, mark(one, 3, 4)).refusal, Refusal::kBadSequence);
  EXPECT_TRUE(h.run(SessionClose{one}, mark(one, 1)).ok());
  EXPECT_EQ(h.run(Delete{"a", false}, mark(one, 2)).refusal, Refusal::kSessionUnknown);
  EXPECT_EQ(h.run(SessionClose{one}).refusal, Refusal::kSessionUnknown);
  const Index seen = h.machine->sessions().at(two).used;
  h.run(Delete{"a", false}, mark(two, 1));
  h.run(SessionExpire{{{two, seen}}});  // it was used since
  EXPECT_TRUE(h.machine->sessions().contains(two));
  h.run(SessionExpire{{{two, h.machine->sessions().at(two).used}, {{1, 99}, 1}}});
  EXPECT_FALSE(h.machine->sessions().contains(two));
  h.reopen();
  EXPECT_TRUE(h.machine->sessions().empty());
}

TEST(Session, ThereAreOnlySoMany) {
  Harness h;
  Limits limits;
  limits.sessions = 3;
  h.run(Settings{limits});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(h.run(SessionRegister{}).ok());
  const Answer fourth = h.run(SessionRegister{});
  EXPECT_EQ(fourth.refusal, Refusal::kSessionLimit);
  EXPECT_TRUE(fourth.token.none());
}

// ---- leases

TEST(Lease, ItsTokenIsIncarnationAndIndexAndItsKeysGoWithIt) {
  Harness h;
  h.put("free", "1");
  const LeaseId lease = h.run(LeaseGrant{5'000'000}).token;
  EXPECT_EQ(lease, (LeaseId{1, 2}));
  h.put("b", "1", lease);
  h.put("a", "1", lease);
  h.put("c", "1", lease);
  h.put("c", "2");  // belongs to none any more
  h.run(Put{"b", "2", {}, true, false, false});
  EXPECT_EQ(h.get("b")->lease, lease);
  EXPECT_EQ(h.machine->leases().at(lease).keys, 2u);
  const Answer answer = h.run(LeaseRevoke{lease});
  EXPECT_EQ(answer.ops.at(0).deleted, 2u);
  EXPECT_EQ(h.events(), "delete a delete b");
  EXPECT_EQ(h.value("c"), "2");
  EXPECT_EQ(h.run(LeaseRevoke{lease}).refusal, Refusal::kLeaseUnknown);
  EXPECT_EQ(h.put("d", "1", lease).refusal, Refusal::kLeaseUnknown);
  EXPECT_FALSE(h.store.iterate("t", "u")->valid());
}

TEST(Lease, ARenewalThatComesFirstInTheLogWins) {
  Harness h;
  const LeaseId lease = h.run(LeaseGrant{5'000'000}).token;
  h.put("a", "1", lease);
  const Index seen = h.machine->leases().at(lease).renewed;
  EXPECT_TRUE(h.run(LeaseKeepAlive{lease}).ok());
  h.run(LeaseExpire{{{lease, seen}}});
  EXPECT_TRUE(h.machine->leases().contains(lease));
  h.run(LeaseExpire{{{lease, h.machine->leases().at(lease).renewed}}});
  EXPECT_FALSE(h.machine->leases().contains(lease));
  EXPECT_FALSE(h.get("a"));
  EXPECT_EQ(h.run(LeaseKeepAlive{lease}).refusal, Refusal::kLeaseUnknown);
}

TEST(Lease, TimeInCommandsDecidesNothing) {
  Harness h;
  const LeaseId lease = h.run(LeaseGrant{kLeaseMicrosMin}).token;
  h.put("a", "1", lease);
  h.now += 3650LL * 86'400 * 1'000'000;  // ten years on
  h.put("b", "1");
  EXPECT_TRUE(h.get("a"));
  h.now = 0;
  h.put("b", "2");
  EXPECT_TRUE(h.machine->leases().contains(lease));
}

TEST(Lease, BoundsAreKept) {
  Harness h;
  Limits limits;
  limits.leases = 2;
  limits.lease_keys = 2;
  limits.delete_keys = 1;
  h.run(Settings{limits});
  EXPECT_EQ(h.run(LeaseGrant{kLeaseMicrosMin - 1}).refusal, Refusal::kLeaseTtl);
  EXPECT_EQ(h.run(LeaseGrant{-5}).refusal, Refusal::kLeaseTtl);
  EXPECT_EQ(h.run(LeaseGrant{kLeaseMicrosMax + 1}).refusal, Refusal::kLeaseTtl);
  const LeaseId one = h.run(LeaseGrant{kLeaseMicrosMax}).token, two = h.run(LeaseGrant{kLeaseMicrosMin}).token;
  EXPECT_EQ(h.run(LeaseGrant{kLeaseMicrosMin}).refusal, Refusal::kLeaseLimit);
  h.put("a", "1", one);
  h.put("b", "1", one);
  EXPECT_TRUE(h.put("b", "2", one).ok());
  EXPECT_EQ(h.put("c", "1", one).refusal, Refusal::kLeaseKeyLimit);
  // One entry ends leases until it has deleted enough; the rest is left for the next.
  h.run(LeaseExpire{{{one, one.index}, {two, two.index}}});
  EXPECT_FALSE(h.machine->leases().contains(one));
  EXPECT_TRUE(h.machine->leases().contains(two));
}

// ---- the leader's timers

TEST(LeaseTimers, GiveEachLeaseItsTimeFromTheLastRenewal) {
  Harness h;
  const LeaseId one = h.run(LeaseGrant{5'000'000}).token, two = h.run(LeaseGrant{2'000'000}).token;
  LeaseTimers timers;
  timers.start(*h.machine, 100 * kSecond);
  EXPECT_EQ(timers.next_deadline(), 102 * kSecond);
  EXPECT_EQ(timers.remaining_micros(one, 101 * kSecond), 4'000'000);
  EXPECT_TRUE(timers.due(102 * kSecond - 1).empty());
  EXPECT_TRUE(timers.renewed(two, 101 * kSecond));
  EXPECT_TRUE(timers.due(102 * kSecond).empty());
  EXPECT_EQ(timers.due(103 * kSecond), std::vector<LeaseId>{two});
  EXPECT_TRUE(timers.due(103 * kSecond).empty());    // given once
  EXPECT_FALSE(timers.renewed(two, 103 * kSecond));  // too late: its end may be in the log
  EXPECT_EQ(timers.remaining_micros(two, 200 * kSecond), 0);
  timers.retry();  // it lives on: the proposal was lost
  EXPECT_EQ(timers.due(104 * kSecond), std::vector<LeaseId>{two});
  h.run(LeaseRevoke{two});
  EXPECT_EQ(h.last.leases, std::vector<LeaseId>{two});
  timers.follow(*h.machine, h.last.leases, 105 * kSecond);
  timers.retry();
  EXPECT_FALSE(timers.remaining_micros(two, 105 * kSecond));
  EXPECT_EQ(timers.due(105 * kSecond), std::vector<LeaseId>{one});
}

TEST(LeaseTimers, RenewalsInTheLogCount) {
  Harness h;
  const LeaseId lease = h.run(LeaseGrant{5'000'000}).token;
  LeaseTimers timers;
  timers.start(*h.machine, 0);
  EXPECT_EQ(timers.due(5 * kSecond).size(), 1u);
  h.run(LeaseKeepAlive{lease});
  timers.follow(*h.machine, h.last.leases, 6 * kSecond);
  h.put("a", "1", lease);
  timers.follow(*h.machine, h.last.leases, 8 * kSecond);  // no renewal
  EXPECT_TRUE(timers.due(10 * kSecond).empty());
  EXPECT_EQ(timers.remaining_micros(lease, 10 * kSecond), 1'000'000);
  const LeaseId other = h.run(LeaseGrant{1'000'000}).token;
  timers.granted(other, 1'000'000, 10 * kSecond);
  EXPECT_EQ(timers.next_deadline(), 11 * kSecond);
  timers.ended(other);
  EXPECT_EQ(timers.next_deadline(), 11 * kSecond);  // of the first: 6 s + 5 s
  timers.stop();
  EXPECT_FALSE(timers.next_deadline());
}

TEST(LeaseTimers, ANewLeaderStartsEveryLeaseAfresh) {
  Harness h;
  const LeaseId lease = h.run(LeaseGrant{5'000'000}).token;
  LeaseTimers timers;
  timers.start(*h.machine, 0);
  timers.start(*h.machine, 4 * kSecond);
  EXPECT_TRUE(timers.due(8 * kSecond).empty());
  EXPECT_EQ(timers.due(9 * kSecond), std::vector<LeaseId>{lease});
  timers.start(*h.machine, INT64_MAX - 10);  // a clock near its end does not wrap
  EXPECT_EQ(timers.next_deadline(), INT64_MAX);
}

}  // namespace
}  // namespace runink::barn
