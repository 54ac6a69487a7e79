#include "control/raft/driver/journal_storage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "testing/sim_disk.h"

namespace runink::raft {
namespace {

using testing::SimDisk;

const Membership kThree{{1, 2, 3}, {}};
const journal::Identity kIdentity{{7}, 1};

journal::Options options() {
  journal::Options out;
  out.segment_bytes = 64 << 10;
  out.batch_bytes = 16 << 10;
  return out;
}

Entry entry(Index index, Term term, const std::string& data = "x") {
  return {index, term, EntryKind::kCommand, std::make_shared<const std::string>(data)};
}
std::vector<Entry> entries(Index from, Index to, Term term) {
  std::vector<Entry> out;
  for (Index i = from; i <= to; ++i) out.push_back(entry(i, term));
  return out;
}

struct Opened {
  std::unique_ptr<JournalStorage> storage;
  Recovered recovered;
  Status status;
};
Opened open(SimDisk& disk, const AppliedState& applied = {}) {
  Opened out;
  journal::Recovered journal;
  auto storage = JournalStorage::open(disk, kIdentity, options(), applied, &out.recovered, &journal);
  if (storage.ok()) {
    out.storage = std::move(*storage);
  } else {
    out.status = storage.status();
  }
  return out;
}
StorageWork append(std::vector<Entry> what) {
  StorageWork work;
  work.append = std::move(what);
  return work;
}

class Storing : public ::testing::Test {
 protected:
  void SetUp() override {
    const Status status = create_member_storage(disk_, kIdentity, options(), kThree);
    ASSERT_TRUE(status.ok()) << status.to_string();
  }
  SimDisk disk_{1};
};

TEST_F(Storing, WhatWasPerformedIsThereAfterAPowerCut) {
  Opened first = open(disk_);
  ASSERT_TRUE(first.storage) << first.status.to_string();
  EXPECT_EQ(first.recovered.membership, kThree);
  std::vector<StorageWork> works;
  works.push_back(append(entries(1, 3, 1)));
  works.back().hard_state = HardState{1, 2, 0};
  works.push_back(append(entries(4, 5, 1)));
  // Another leader's entries take the place of some that were not even written.
  works.push_back(append(entries(4, 6, 2)));
  works.back().hard_state = HardState{2, 3, 3};
  ASSERT_TRUE(first.storage->perform(works).ok());
  first.storage.reset();
  disk_.crash();

  const Opened again = open(disk_);
  ASSERT_TRUE(again.storage) << again.status.to_string();
  EXPECT_EQ(again.recovered.hard_state, (HardState{2, 3, 3}));
  ASSERT_EQ(again.recovered.entries.size(), 6u);
  EXPECT_EQ(again.recovered.entries[2].term, 1u);
  EXPECT_EQ(again.recovered.entries[3].term, 2u);
}

TEST_F(Storing, ConsecutiveAppendsAreOneSync) {
  Opened first = open(disk_);
  const uint64_t before = disk_.operations();
  std::vector<StorageWork> one;
  one.push_back(append(entries(1, 1, 1)));
  ASSERT_TRUE(first.storage->perform(one).ok());
  const uint64_t for_one = disk_.operations() - before;
  std::vector<StorageWork> many;
  for (Index i = 2; i <= 50; ++i) many.push_back(append(entries(i, i, 1)));
  ASSERT_TRUE(first.storage->perform(many).ok());
  EXPECT_EQ(disk_.operations() - before, 2 * for_one);
}

TEST_F(Storing, TheLogBeginsWhereTheBaseSays) {
  Opened first = open(disk_);
  std::vector<StorageWork> works;
  works.push_back(append(entries(1, 20, 1)));
  works.emplace_back();
  works.back().compact = LogBase{10, 1, {{1, 2}, {}}};
  ASSERT_TRUE(first.storage->perform(works).ok());
  first.storage.reset();
  Opened again = open(disk_, {15, 1, {}});
  ASSERT_TRUE(again.storage) << again.status.to_string();
  EXPECT_EQ(again.recovered.snapshot_index, 10u);
  EXPECT_EQ(again.recovered.membership, (Membership{{1, 2}, {}}));
  EXPECT_EQ(again.recovered.entries.size(), 10u);  // the segment holds older ones, too
  EXPECT_EQ(again.recovered.applied, 15u);
  again.storage.reset();
  // A state from before the base cannot be brought up to date by this log.
  EXPECT_EQ(open(disk_, {9, 1, {}}).status.code(), Code::kDataLoss);
  EXPECT_EQ(open(disk_, {15, 2, {}}).status.code(), Code::kDataLoss);
}

TEST_F(Storing, AStateBeyondTheLogCounts) {
  Opened first = open(disk_);
  std::vector<StorageWork> works;
  works.push_back(append(entries(1, 5, 1)));
  ASSERT_TRUE(first.storage->perform(works).ok());
  first.storage.reset();
  // As after a crash between taking over a snapshot and cutting the log.
  Opened again = open(disk_, {100, 4, {{1, 2, 3, 4}, {}}});
  ASSERT_TRUE(again.storage) << again.status.to_string();
  EXPECT_EQ(again.recovered.snapshot_index, 100u);
  EXPECT_EQ(again.recovered.snapshot_term, 4u);
  EXPECT_EQ(again.recovered.membership, (Membership{{1, 2, 3, 4}, {}}));
  EXPECT_TRUE(again.recovered.entries.empty());
  std::vector<StorageWork> more;
  more.push_back(append(entries(101, 102, 5)));
  ASSERT_TRUE(again.storage->perform(more).ok());
  again.storage.reset();
  EXPECT_EQ(open(disk_, {100, 4, {}}).recovered.entries.size(), 2u);
}

// A member whose log is given up: nothing is in it, it has no vote, and what it promised is kept; wherever the power
// goes on the way, doing it again leads there.
TEST_F(Storing, ALogThatIsGivenUpIsEmptyAndWithoutAVoteButKeepsItsPromises) {
  Opened first = open(disk_);
  std::vector<StorageWork> works;
  works.push_back(append(entries(1, 20, 1)));
  works.back().append[14] = Entry{15, 1, EntryKind::kMembership,
                                  std::make_shared<const std::string>(encode(Membership{{1, 2, 3, 4}, {}}))};
  works.back().hard_state = HardState{3, 2, 20};
  works.emplace_back();
  works.back().compact = LogBase{10, 1, kThree};
  ASSERT_TRUE(first.storage->perform(works).ok());
  first.storage.reset();
  size_t cuts = 0;
  for (uint64_t cut = 0;; ++cut) {
    const auto disk = disk_.clone(cut);
    disk->cut_power_after(cut);
    const Status status = abandon_log(*disk, kIdentity, options(), "of the test");
    if (!status.ok()) {
      ++cuts;
      disk->crash();
      ASSERT_TRUE(abandon_log(*disk, kIdentity, options(), "of the test").ok()) << cut;
    }
    disk->crash();
    Recovered recovered;
    journal::Recovered journal;
    const auto storage = JournalStorage::open(*disk, kIdentity, options(), {}, &recovered, &journal);
    ASSERT_TRUE(storage.ok()) << cut << ": " << storage.status().to_string();
    EXPECT_FALSE(journal.whole);
    EXPECT_THAT(journal.damage, ::testing::HasSubstr("of the test"));
    EXPECT_EQ(recovered.hard_state, (HardState{3, 2, 0}));
    EXPECT_EQ(recovered.snapshot_index, 0u);
    EXPECT_TRUE(recovered.entries.empty());
    EXPECT_EQ(recovered.membership, (Membership{{1, 2, 3, 4}, {}})) << cut;
    // A crash before it was done leaves no member that votes with half a log.
    if (status.ok()) break;
  }
  EXPECT_GT(cuts, 10u);
}

// The process starts again with a base that its cache shows and its disk has lost, and cuts the log there.
TEST(Storage, ABaseThatAFailedSyncMayHaveLostIsWrittenAgainBeforeTheLogIsCut) {
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(seed);
    SimDisk disk(seed);
    ASSERT_TRUE(create_member_storage(disk, kIdentity, options(), kThree).ok());
    Opened first = open(disk);
    std::vector<StorageWork> works;
    works.push_back(append(entries(1, 5, 1)));
    ASSERT_TRUE(first.storage->perform(works).ok());
    works.clear();
    works.emplace_back();
    works.back().reset = LogBase{10, 2, kThree};
    disk.fail_after(4, SimDisk::Fault::kIo);  // the sync of the folder, behind the base's new name
    ASSERT_FALSE(first.storage->perform(works).ok());
    first.storage.reset();

    const AppliedState applied{10, 2, kThree};
    Opened second = open(disk, applied);
    ASSERT_TRUE(second.storage) << second.status.to_string();
    works.clear();
    works.push_back(append(entries(11, 13, 2)));
    ASSERT_TRUE(second.storage->perform(works).ok());
    second.storage.reset();
    disk.crash();

    const Opened third = open(disk, applied);
    ASSERT_TRUE(third.storage) << third.status.to_string();
    EXPECT_EQ(third.recovered.snapshot_index, 10u);
    EXPECT_EQ(third.recovered.entries.size(), 3u);
  }
}

TEST_F(Storing, OneDamagedCopyOfTheBaseDoesNoHarm) {
  for (const uint64_t at : {uint64_t{9}, uint64_t{4096 + 9}}) {
    SimDisk disk(3);
    ASSERT_TRUE(write_log_base(disk, {10, 2, kThree}).ok());
    disk.flip("log-base", at);
    const auto base = read_log_base(disk);
    ASSERT_TRUE(base.ok()) << base.status().to_string();
    EXPECT_EQ(*base, (LogBase{10, 2, kThree}));
    disk.flip("log-base", 4096 + 9 - (at - 9));
    EXPECT_EQ(read_log_base(disk).status().code(), Code::kDataLoss);
  }
}

TEST_F(Storing, AFailedWriteIsTheEnd) {
  Opened first = open(disk_);
  disk_.fail_after(0, SimDisk::Fault::kIo);
  std::vector<StorageWork> works;
  works.push_back(append(entries(1, 1, 1)));
  EXPECT_FALSE(first.storage->perform(works).ok());
  works.clear();
  works.push_back(append(entries(1, 1, 1)));
  EXPECT_FALSE(first.storage->perform(works).ok());
}

}  // namespace
}  // namespace runink::raft
