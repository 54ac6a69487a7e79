#include "control/barn/state_machine.h"

#include "control/barn/harness_test.h"

namespace runink::barn {
namespace {

using test::contents;
using test::entry_of;
using test::Harness;

TEST(StateMachine, PutsAndDeletesKeepIndexesAndVersions) {
  Harness h;
  EXPECT_EQ(h.put("a", "1").index, 1u);
  EXPECT_EQ(h.events(), "put a=1");
  h.put("b", "x");
  h.put("a", "2");
  const KeyValue expected{"a", "2", 1, 3, 2, {}, false};
  EXPECT_EQ(*h.get("a"), expected);
  EXPECT_EQ(h.remove("a").ops.at(0).deleted, 1u);
  EXPECT_EQ(h.events(), "delete a");
  EXPECT_FALSE(h.get("a"));
  EXPECT_EQ(h.remove("a").ops.at(0).deleted, 0u);
  EXPECT_EQ(h.events(), "");
  h.put("a", "3");
  EXPECT_EQ(*h.get("a"), (KeyValue{"a", "3", 6, 6, 1, {}, false}));
}

TEST(StateMachine, PreviousValuesAreGivenWhereWanted) {
  Harness h;
  h.put("a", "1");
  Put put{"a", "2", {}, false, false, true};
  Answer answer = h.run(put);
  ASSERT_EQ(answer.ops.at(0).items.size(), 1u);
  EXPECT_EQ(answer.ops[0].items[0].value, "1");
  answer = h.run(Delete{"a", true});
  EXPECT_EQ(answer.ops.at(0).items.at(0).value, "2");
  EXPECT_TRUE(h.run(put).ops.at(0).items.empty());
}

TEST(StateMachine, RefusesWhatIsNotAKeyOrTooLarge) {
  Harness h;
  const auto before = h.machine->position();
  EXPECT_EQ(h.put("", "v").refusal, Refusal::kKeyEmpty);
  EXPECT_EQ(h.put(std::string(kKeyBytesMax + 1, 'k'), "v").refusal, Refusal::kKeyTooLong);
  EXPECT_EQ(h.put("k", std::string(256 << 10, 'v')).refusal, Refusal::kRequestTooLarge);
  EXPECT_EQ(h.run(Put{"k", "v", {1, 1}, true, false, false}).refusal, Refusal::kBadPut);
  EXPECT_EQ(h.run(Put{"k", "v", {}, false, true, false}).refusal, Refusal::kBadChunk);
  EXPECT_EQ(h.run(Put{"k", "v", {1, 1}, false, false, false}).refusal, Refusal::kLeaseUnknown);
  EXPECT_EQ(h.run(DeleteRange{"b", "a", 0}).refusal, Refusal::kBadRange);
  EXPECT_EQ(h.machine->position().index, before.index + 7);
  EXPECT_EQ(h.machine->range(whole_range())->count, 0u);
  EXPECT_TRUE(h.put(std::string(kKeyBytesMax, 'k'), "v").ok());
  EXPECT_TRUE(h.run(Put{"c", std::string(kChunkReferenceBytes, '#'), {}, false, true, false}).ok());
  EXPECT_TRUE(h.get("c")->chunk);
}

TEST(StateMachine, RangesAreReadInOrderWithinBounds) {
  Harness h;
  for (const char* key : {"a", "b/1", "b/2", "b/3", "c"}) h.put(key, std::string(100, 'v'));
  RangeAnswer all = *h.machine->range(whole_range());
  EXPECT_EQ(all.count, 5u);
  EXPECT_FALSE(all.more);
  RangeOptions two;
  two.limit = 2;
  RangeAnswer part = *h.machine->range(prefix_range("b/"), two);
  ASSERT_EQ(part.items.size(), 2u);
  EXPECT_EQ(part.items[1].key, "b/2");
  EXPECT_TRUE(part.more);
  EXPECT_EQ(part.next, "b/3");
  RangeOptions small;
  small.max_bytes = 150;
  part = *h.machine->range(whole_range(), small);
  EXPECT_EQ(part.items.size(), 1u);
  EXPECT_EQ(part.next, "b/1");
  small.max_bytes = 1;
  EXPECT_EQ(h.machine->range(whole_range(), small)->items.size(), 1u);
  RangeOptions keys;
  keys.keys_only = true;
  EXPECT_EQ(h.machine->range(whole_range(), keys)->items[4].value, "");
  RangeOptions count;
  count.count_only = true;
  part = *h.machine->range(prefix_range("b"), count);
  EXPECT_EQ(part.count, 3u);
  EXPECT_TRUE(part.items.empty());
  EXPECT_EQ(h.machine->range({"b/2", "b/3"})->count, 1u);
  EXPECT_EQ(h.machine->range({"b", "a"})->count, 0u);
}

TEST(StateMachine, AViewStaysAtOneAppliedIndex) {
  Harness h;
  h.put("a", "1");
  const auto view = h.store.view();
  h.put("a", "2");
  EXPECT_EQ((*get_key(*view, "a"))->value, "1");
  EXPECT_EQ(applied_position(*view)->index, 1u);
  EXPECT_EQ(applied_position(h.store)->index, 2u);
  EXPECT_EQ(*applied_position(h.store), h.machine->position());
}

TEST(StateMachine, DeletesRangesInPartsAndRefusesWhatIsTooMany) {
  Harness h;
  Limits limits;
  limits.delete_keys = 3;
  h.run(Settings{limits});
  for (int i = 0; i < 5; ++i) h.put("k" + std::to_string(i), "v");
  Answer answer = h.run(DeleteRange{"k", "l", 0});
  EXPECT_EQ(answer.refusal, Refusal::kDeleteTooMany);
  EXPECT_EQ(answer.detail, 3u);
  EXPECT_TRUE(answer.ops.empty());
  answer = h.run(DeleteRange{"k", "l", 2});
  EXPECT_EQ(answer.ops.at(0).deleted, 2u);
  EXPECT_TRUE(answer.ops[0].more);
  EXPECT_EQ(h.events(), "delete k0 delete k1");
  answer = h.run(DeleteRange{"k", "l", 100});
  EXPECT_EQ(answer.ops.at(0).deleted, 3u);
  EXPECT_FALSE(answer.ops[0].more);
}

// ---- transactions

TEST(Transaction, ComparesEveryTarget) {
  Harness h;
  const LeaseId lease = h.run(LeaseGrant{10'000'000}).token;
  h.put("a", "5", lease);  // index 2
  h.put("a", "7", lease);  // index 3, version 2
  using T = CompareTarget;
  using I = CompareIs;
  const auto holds = [&](Compare compare) {
    Txn txn;
    txn.compares = {compare};
    const Answer answer = h.run(txn);
    EXPECT_TRUE(answer.ok());
    return answer.succeeded;
  };
  EXPECT_TRUE(holds({T::kExists, I::kEqual, "a", 1, {}, {}}));
  EXPECT_FALSE(holds({T::kExists, I::kEqual, "b", 1, {}, {}}));
  EXPECT_TRUE(holds({T::kExists, I::kNotEqual, "b", 1, {}, {}}));
  EXPECT_TRUE(holds({T::kCreateIndex, I::kEqual, "a", 2, {}, {}}));
  EXPECT_TRUE(holds({T::kCreateIndex, I::kEqual, "b", 0, {}, {}}));
  EXPECT_TRUE(holds({T::kModifyIndex, I::kLess, "a", 4, {}, {}}));
  EXPECT_FALSE(holds({T::kModifyIndex, I::kLess, "a", 3, {}, {}}));
  EXPECT_TRUE(holds({T::kVersion, I::kGreater, "a", 1, {}, {}}));
  EXPECT_TRUE(holds({T::kValue, I::kEqual, "a", 0, "7", {}}));
  EXPECT_TRUE(holds({T::kValue, I::kLess, "a", 0, "8", {}}));
  EXPECT_FALSE(holds({T::kValue, I::kNotEqual, "b", 0, "8", {}}));  // no value, no comparison
  EXPECT_TRUE(holds({T::kLease, I::kEqual, "a", 0, {}, lease}));
  EXPECT_TRUE(holds({T::kLease, I::kEqual, "b", 0, {}, {}}));
  EXPECT_TRUE(holds({T::kLease, I::kNotEqual, "a", 0, {}, {}}));
}

TEST(Transaction, RunsOneBranchAndSeesItsOwnWrites) {
  Harness h;
  h.put("old", "1");
  Txn txn;
  txn.compares = {{CompareTarget::kExists, CompareIs::kEqual, "new", 0, {}, {}}};
  txn.then_ops = {Put{"new", "n", {}, false, false, false}, TxnGet{"new"}, Delete{"old", true},
                  TxnRange{"", "", 0, false}};
  txn.else_ops = {TxnGet{"new"}};
  Answer answer = h.run(txn);
  EXPECT_TRUE(answer.succeeded);
  ASSERT_EQ(answer.ops.size(), 4u);
  EXPECT_EQ(answer.ops[1].items.at(0).value, "n");
  EXPECT_EQ(answer.ops[1].items.at(0).modify_index, 2u);
  EXPECT_EQ(answer.ops[2].items.at(0).value, "1");
  ASSERT_EQ(answer.ops[3].items.size(), 1u);
  EXPECT_EQ(answer.ops[3].items[0].key, "new");
  EXPECT_EQ(h.events(), "put new=n delete old");
  EXPECT_EQ(h.last.events->records.size(), 1u);  // one index, one record
  answer = h.run(txn);
  EXPECT_FALSE(answer.succeeded);
  ASSERT_EQ(answer.ops.size(), 1u);
  EXPECT_EQ(answer.ops[0].items.at(0).value, "n");
  EXPECT_EQ(h.events(), "");
}

TEST(Transaction, IsTakenBackWholeWhereOneOperationIsRefused) {
  Harness h;
  const LeaseId lease = h.run(LeaseGrant{10'000'000}).token;
  const LeaseId other = h.run(LeaseGrant{10'000'000}).token;
  h.put("mine", "1", lease);
  h.put("x", "1");
  const auto rows = [&] {
    auto all = contents(h.store);
    std::erase_if(all, [](const auto& pair) { return pair.first == "mhead"; });
    return all;
  };
  const auto before = rows();
  const uint64_t bytes = h.machine->state_bytes();
  const std::vector<TxnOp> work = {Put{"mine", "2", other, false, false, false},
                                   Put{"fresh", "2", lease, false, false, false}, Delete{"x", false}};
  const auto refused = [&](TxnOp last) {
    Txn txn;
    txn.then_ops = work;
    txn.then_ops.push_back(last);
    const Answer answer = h.run(txn);
    EXPECT_TRUE(answer.ops.empty());
    EXPECT_EQ(h.events(), "");
    EXPECT_EQ(rows(), before);
    EXPECT_EQ(h.machine->state_bytes(), bytes);
    EXPECT_EQ(h.machine->leases().at(lease).keys, 1u);
    EXPECT_EQ(h.machine->leases().at(other).keys, 0u);
    return answer.refusal;
  };
  EXPECT_EQ(refused(Put{"z", "", {9, 9}, false, false, false}), Refusal::kLeaseUnknown);
  EXPECT_EQ(refused(Put{"mine", "3", {}, false, false, false}), Refusal::kDuplicateKey);
  EXPECT_EQ(refused(Delete{"fresh", false}), Refusal::kDuplicateKey);
  EXPECT_EQ(refused(Put{"x", "", {}, false, false, false}), Refusal::kDuplicateKey);
  EXPECT_EQ(refused(DeleteRange{"", "", 0}), Refusal::kDuplicateKey);
  EXPECT_EQ(refused(Put{"", "", {}, false, false, false}), Refusal::kKeyEmpty);
}

TEST(Transaction, MayReadOnlySoMuch) {
  Harness h;
  Limits limits;
  limits.answer_bytes = 4096;
  h.run(Settings{limits});
  h.put("a", std::string(3000, 'a'));
  h.put("b", std::string(3000, 'b'));
  Txn one;
  one.then_ops = {TxnGet{"a"}, Put{"c", "1", {}, false, false, false}};
  EXPECT_TRUE(h.run(one).ok());
  Txn two;
  two.then_ops = {Put{"c", "2", {}, false, false, false}, TxnGet{"a"}, TxnGet{"b"}};
  EXPECT_EQ(h.run(two).refusal, Refusal::kAnswerTooLarge);
  EXPECT_EQ(h.value("c"), "1");
  Txn range;
  range.then_ops = {TxnRange{"", "", 0, false}};
  const Answer answer = h.run(range);
  EXPECT_TRUE(answer.ok());
  EXPECT_EQ(answer.ops.at(0).items.size(), 1u);
  EXPECT_TRUE(answer.ops[0].more);
}

TEST(Transaction, HasBounds) {
  Harness h;
  Txn txn;
  txn.then_ops.assign(kTxnPartsMax, TxnGet{"a"});
  EXPECT_TRUE(h.run(txn).ok());
  txn.then_ops.push_back(TxnGet{"a"});
  EXPECT_EQ(h.run(txn).refusal, Refusal::kTxnTooLong);
  // All ranges of a transaction together delete no more than one command may.
  Limits limits;
  limits.delete_keys = 3;
  h.run(Settings{limits});
  for (const char* key : {"a1", "a2", "b1", "b2"}) h.put(key, "v");
  Txn ranges;
  ranges.then_ops = {DeleteRange{"a", "b", 0}, DeleteRange{"b", "c", 0}};
  EXPECT_EQ(h.run(ranges).refusal, Refusal::kDeleteTooMany);
  ranges.then_ops = {DeleteRange{"a", "b", 0}, DeleteRange{"b", "b2", 0}, DeleteRange{"b2", "", 1}};
  EXPECT_EQ(h.run(ranges).refusal, Refusal::kDeleteTooMany);
  EXPECT_EQ(h.value("a1"), "v");
  ranges.then_ops.pop_back();
  EXPECT_TRUE(h.run(ranges).ok());
  EXPECT_EQ(h.machine->range(whole_range())->count, 1u);
}

// ---- limits

TEST(Limits, AFullStateRefusesWritesAndAllowsDeletions) {
  Harness h;
  Limits limits;
  limits.state_bytes = 20'000;
  limits.state_bytes_warn = 5'000;
  h.run(Settings{limits});
  EXPECT_FALSE(h.machine->state_large());
  int written = 0;
  while (h.put("k" + std::to_string(written), std::string(500, 'v')).ok()) ASSERT_LT(++written, 100);
  EXPECT_GT(written, 10);
  EXPECT_TRUE(h.machine->state_large());
  EXPECT_LE(h.machine->state_bytes(), limits.state_bytes);
  const Answer full = h.put("more", std::string(500, 'v'));
  EXPECT_EQ(full.refusal, Refusal::kStateFull);
  EXPECT_EQ(to_status(full).code(), Code::kResourceExhausted);
  EXPECT_TRUE(h.run(DeleteRange{"k", "l", 0}).ok());
  EXPECT_EQ(h.put("more", std::string(15'000, 'v')).refusal, Refusal::kStateFull);
  EXPECT_TRUE(h.run(Compact{h.machine->position().index}).ok());
  EXPECT_TRUE(h.put("more", std::string(5'000, 'v')).ok());
}

TEST(Limits, StateBytesAreWhatTheTablesHold) {
  Harness h;
  const auto measured = [&] {
    uint64_t bytes = 0;
    for (const auto& [key, value] : contents(h.store)) {
      if (key[0] == tables::kKeys || key[0] == tables::kEvents || key[0] == tables::kAttachments)
        bytes += key.size() + value.size();
    }
    return bytes;
  };
  const LeaseId lease = h.run(LeaseGrant{10'000'000}).token;
  for (int i = 0; i < 20; ++i)
    h.put("k" + std::to_string(i % 7), std::string(static_cast<size_t>(i) * 10, 'v'), i % 3 == 0 ? lease : LeaseId());
  h.remove("k2");
  EXPECT_EQ(h.machine->state_bytes(), measured());
  h.run(Compact{10});
  EXPECT_EQ(h.machine->state_bytes(), measured());
  h.run(LeaseRevoke{lease});
  h.run(Compact{h.machine->position().index});
  EXPECT_EQ(h.machine->state_bytes(), measured());
  EXPECT_EQ(h.machine->event_bytes(), 0u);
}

TEST(Limits, AlarmsRefuseWritesAndAllowDeletions) {
  Harness h;
  h.put("a", "1");
  EXPECT_TRUE(h.run(AlarmChange{AlarmKind::kNoSpace, 2, true}).ok());
  EXPECT_EQ(h.machine->alarms().size(), 1u);
  EXPECT_EQ(h.put("b", "1").refusal, Refusal::kAlarm);
  Txn txn;
  txn.then_ops = {Delete{"a", false}, Put{"c", "1", {}, false, false, false}};
  EXPECT_EQ(h.run(txn).refusal, Refusal::kAlarm);
  EXPECT_EQ(h.value("a"), "1");
  EXPECT_TRUE(h.remove("a").ok());
  h.reopen();
  EXPECT_EQ(h.put("b", "1").refusal, Refusal::kAlarm);
  h.run(AlarmChange{AlarmKind::kReadOnly, 2, false});
  EXPECT_EQ(h.put("b", "1").refusal, Refusal::kAlarm);
  h.run(AlarmChange{AlarmKind::kNoSpace, 2, false});
  EXPECT_TRUE(h.put("b", "1").ok());
  for (raft::NodeId node = 0; node < 1000; ++node)
    ASSERT_TRUE(h.run(AlarmChange{AlarmKind::kNoSpace, node, true}).ok());
  EXPECT_EQ(h.run(AlarmChange{AlarmKind::kNoSpace, 1000, true}).refusal, Refusal::kAlarmLimit);
}

TEST(Limits, OutOfBoundsAreRefused) {
  Harness h;
  Limits limits;
  limits.sessions = 0;
  EXPECT_EQ(h.run(Settings{limits}).refusal, Refusal::kBadLimits);
  EXPECT_EQ(h.machine->limits(), Limits());
  limits.sessions = 7;
  EXPECT_TRUE(h.run(Settings{limits}).ok());
  h.reopen();
  EXPECT_EQ(h.machine->limits().sessions, 7u);
}

// ---- compaction

TEST(Compaction, RemovesEventsUpToAnIndexAndNotTheKeys) {
  Harness h;
  for (int i = 0; i < 10; ++i) h.put("k", std::to_string(i));
  EXPECT_EQ(h.run(Compact{4}).refusal, Refusal::kNone);
  EXPECT_EQ(h.machine->compacted(), 4u);
  const auto first = h.store.iterate("e", "f");
  EXPECT_EQ(tables::event_index(first->key()), 5u);
  EXPECT_EQ(h.value("k"), "9");
  EXPECT_TRUE(h.run(Compact{2}).ok());  // already
  EXPECT_EQ(h.machine->compacted(), 4u);
  EXPECT_EQ(h.run(Compact{100}).refusal, Refusal::kCompactFuture);
}

TEST(Compaction, IsWantedWhenMoreThanEnoughHasGathered) {
  Harness h;
  for (int i = 0; i < 100; ++i) h.put("k", "v");
  EXPECT_FALSE(compaction_wanted(*h.machine, {100, 1 << 20}));
  EXPECT_EQ(compaction_wanted(*h.machine, {80, 1 << 20}), Index{20});
  EXPECT_EQ(compaction_wanted(*h.machine, {1000, 1000}), Index{50});
  h.run(Compact{101});
  EXPECT_FALSE(compaction_wanted(*h.machine, {80, 1000}));
}

// ---- stopping

TEST(Stopping, AnUnknownCommandStopsTheNodeAndChangesNothing) {
  Harness h;
  h.put("a", "1");
  const auto before = contents(h.store);
  std::string newer = encode_command({1, std::nullopt, Delete{"a", false}});
  newer[1] = 99;
  const raft::Entry good = entry_of(2, {1, std::nullopt, Delete{"a", false}});
  const raft::Entry bad{3, 1, raft::EntryKind::kCommand, std::make_shared<const std::string>(newer)};
  Result<Applied> applied = h.apply({good, bad});
  EXPECT_EQ(applied.status().kind(), "barn.command.unknown");
  EXPECT_EQ(contents(h.store), before);
  EXPECT_EQ(h.apply({good}).status().kind(), "barn.command.unknown");  // for good
  h.reopen();
  EXPECT_EQ(h.machine->position().index, 1u);
  EXPECT_TRUE(h.apply({good}).ok());
  const raft::Entry strange{3, 1, static_cast<raft::EntryKind>(9), nullptr};
  EXPECT_EQ(h.apply({strange}).status().kind(), "barn.command.unknown");
}

TEST(Stopping, EntriesThatDoNotFollowAreRefused) {
  Harness h;
  EXPECT_FALSE(h.apply({entry_of(2, {1, std::nullopt, Delete{"a", false}})}).ok());
  h.reopen();
  EXPECT_TRUE(h.apply({entry_of(1, {1, std::nullopt, Delete{"a", false}}, 3)}).ok());
  EXPECT_FALSE(h.apply({entry_of(2, {1, std::nullopt, Delete{"a", false}}, 2)}).ok());
}

TEST(Stopping, DamagedRecordsAreFoundWhenTheStateIsOpened) {
  Harness h;
  h.put("a", "1");
  h.run(SessionRegister{});
  h.run(LeaseGrant{10'000'000});
  h.run(AlarmChange{AlarmKind::kReadOnly, 0, true});
  h.machine.reset();
  for (const auto& [key, value] : contents(h.store)) {
    if (key[0] != tables::kMeta && key[0] != tables::kSessions && key[0] != tables::kLeases) continue;
    const auto broken = h.store.copy();
    WriteBatch batch;
    batch.put(key, value.substr(0, value.size() - 1));
    ASSERT_TRUE(broken->apply(batch).ok());
    const auto opened = StateMachine::open(broken.get());
    EXPECT_FALSE(opened.ok()) << key;
  }
  ASSERT_TRUE(h.store.damage(tables::kHeadKey, 0, 2));
  EXPECT_EQ(StateMachine::open(&h.store).status().code(), Code::kUnimplemented);
  WriteBatch batch;
  batch.remove(tables::kHeadKey);
  ASSERT_TRUE(h.store.apply(batch).ok());
  EXPECT_EQ(StateMachine::open(&h.store).status().code(), Code::kDataLoss);
}

TEST(StateMachine, NoopsAndMembershipsMoveThePosition) {
  Harness h;
  const auto members = std::make_shared<const std::string>("members");
  ASSERT_TRUE(h.apply({{1, 4, raft::EntryKind::kNoop, nullptr}, {2, 4, raft::EntryKind::kMembership, members}}).ok());
  EXPECT_EQ(h.machine->position().index, 2u);
  EXPECT_EQ(h.machine->position().term, 4u);
  h.reopen();
  EXPECT_EQ(h.machine->membership(), "members");
  EXPECT_EQ(h.machine->position().index, 2u);
}

TEST(StateMachine, TimeNeverGoesBack) {
  Harness h;
  h.now = 500;
  h.put("a", "1");
  h.now = 100;
  h.put("a", "2");
  EXPECT_EQ(h.machine->unix_micros(), 500);
  h.reopen();
  EXPECT_EQ(h.machine->unix_micros(), 500);
}

}  // namespace
}  // namespace runink::barn
