// What is not as it was written: cut short, flipped, lost, put elsewhere, of another member. Torn writes cost nothing
// that was acknowledged; damage is found, named, and costs the vote; a wrong value is never given.
#include <gtest/gtest.h>

#include "control/journal/inspect.h"
#include "control/journal/journal_in_test.h"
#include "platform/crypto/crc32c.h"
#include "testing/sim_disk.h"

namespace runink::journal {
namespace {

using testing::SimDisk;

class DamageTest : public ::testing::Test {
 protected:
  DamageTest() : disk_(std::make_unique<SimDisk>(1)) {
    EXPECT_TRUE(Journal::create(*disk_, this_member(), small_options()).ok());
    auto journal = Journal::open(*disk_, this_member(), small_options(100), &first_);
    EXPECT_TRUE(journal.ok());
    journal_ = std::move(*journal);
    hard_state({2, 1, 0});
  }

  void append(raft::Index from, size_t count, size_t bytes, raft::Term term = 2) {
    std::vector<raft::Entry> entries;
    for (size_t i = 0; i < count; ++i)
      entries.push_back(entry(from + i, term, std::string(bytes, static_cast<char>('a' + (from + i) % 26))));
    ASSERT_TRUE(journal_->append(entries).ok());
    model_.append(entries);
  }
  void hard_state(const raft::HardState& state) {
    ASSERT_TRUE(journal_->save_hard_state(state).ok());
    model_.hard_state = state;
  }
  // Three segments, the last with four batches, the last of which is three blocks long.
  void fill() {
    for (raft::Index i = 1; i <= 17; ++i) append(i, 1, 2000);
    append(18, 3, 3000);
    ASSERT_EQ(journal_->segments(), 3u);
  }
  Inspection look() {
    auto seen = inspect(*disk_);
    EXPECT_TRUE(seen.ok()) << seen.status().to_string();
    return seen.ok() ? *seen : Inspection();
  }
  struct Opened {
    Status status;
    Recovered found;
    std::unique_ptr<Journal> journal;
  };
  static Opened open(SimDisk& disk, uint64_t first_file_id = 500) {
    Opened out;
    auto journal = Journal::open(disk, this_member(), small_options(first_file_id), &out.found);
    if (journal.ok()) out.journal = std::move(*journal);
    out.status = journal.status();
    return out;
  }
  // Every entry that is there is one that was written.
  void expect_nothing_invented(const Recovered& found) {
    for (const raft::Entry& e : found.entries) {
      ASSERT_TRUE(model_.log.count(e.index));
      EXPECT_TRUE(same(e, model_.log[e.index])) << e.index;
    }
  }
  raft::LogEnd end_of_model() const { return {model_.last_term(), model_.last}; }
  // A vote rests on it.
  void expect_end_not_understated(const Recovered& found) {
    if (found.lost_end) {
      EXPECT_GE(*found.lost_end, end_of_model()) << found.lost_end->term << " " << found.lost_end->index;
    }
  }
  // Opens a damaged disk: found, said where, all that is left is right, and it stays without a vote until it is whole.
  void expect_damage(SimDisk& disk, const std::string& where) {
    EXPECT_EQ(verify(disk).code(), Code::kDataLoss);
    Opened opened = open(disk);
    ASSERT_TRUE(opened.status.ok()) << opened.status.to_string();
    EXPECT_FALSE(opened.found.whole);
    EXPECT_NE(opened.found.damage.find(where), std::string::npos) << opened.found.damage;
    EXPECT_EQ(opened.found.hard_state.term, model_.hard_state.term);
    EXPECT_EQ(opened.found.hard_state.vote, model_.hard_state.vote);
    EXPECT_EQ(opened.found.hard_state.commit, 0u);
    expect_nothing_invented(opened.found);
    expect_end_not_understated(opened.found);
    EXPECT_NE(opened.found.damage.find(fmt::format("entries from {} on", opened.journal->last_index() + 1)),
              std::string::npos)
        << opened.found.damage;
    // Again, after a crash: the same log, still no vote, and it still knows why.
    disk.crash();
    Opened again = open(disk, 600);
    ASSERT_TRUE(again.status.ok()) << again.status.to_string();
    EXPECT_FALSE(again.found.whole);
    EXPECT_EQ(again.found.damage, opened.found.damage);
    EXPECT_EQ(again.found.lost_end, opened.found.lost_end);
    EXPECT_EQ(again.found.entries.size(), opened.found.entries.size());
    // It is fetched again.
    std::vector<raft::Entry> missing;
    for (raft::Index i = again.journal->last_index() + 1; i <= model_.last; ++i) missing.push_back(model_.log[i]);
    ASSERT_TRUE(again.journal->append(missing).ok());
    ASSERT_TRUE(again.journal->save_hard_state(model_.hard_state).ok());
    ASSERT_TRUE(again.journal->whole().ok());
    again.journal.reset();
    disk.crash();
    Opened repaired = open(disk, 700);
    ASSERT_TRUE(repaired.status.ok());
    EXPECT_TRUE(repaired.found.whole) << repaired.found.damage;
    EXPECT_EQ(model_.difference(repaired.found), "");
    const std::vector<std::string> names = *disk.list();
    for (const std::string& name : names) EXPECT_FALSE(is_lost_name(name)) << name;
  }

  std::unique_ptr<SimDisk> disk_;
  Recovered first_;
  std::unique_ptr<Journal> journal_;
  Model model_;
};

// B07: every byte of the last record, and with it every sector of the last batch.
TEST_F(DamageTest, LastSegmentCutAtEveryByteOfTheLastBatch) {
  fill();
  const Inspection seen = look();
  const SegmentInfo& segment = seen.segments.back();
  const BatchInfo& batch = segment.batches.back();
  ASSERT_EQ(batch.stored_bytes, 3 * kBlock);
  Model before = model_;
  before.log.erase(before.log.find(18), before.log.end());
  before.last = 17;
  const std::string bytes = disk_->bytes(segment.name);
  for (uint64_t cut = batch.offset; cut <= batch.offset + batch.stored_bytes; ++cut) {
    auto disk = disk_->clone(cut);
    disk->put(segment.name, bytes.substr(0, cut));
    const Opened opened = open(*disk);
    ASSERT_TRUE(opened.status.ok()) << cut << ": " << opened.status.to_string();
    ASSERT_TRUE(opened.found.whole) << cut << ": " << opened.found.damage;
    // The batch was never acknowledged as far as this disk knows.
    ASSERT_EQ((cut < batch.offset + batch.stored_bytes ? before : model_).difference(opened.found), "") << cut;
    ASSERT_EQ(opened.found.torn.empty(),
              cut >= batch.offset + batch.stored_bytes || cut - batch.offset < kBatchHeaderBytes)
        << cut;
  }
}

// The same as a power cut leaves it: any subset of its sectors, the file as long as ever.
TEST_F(DamageTest, AnySectorsOfTheLastBatchMissing) {
  fill();
  const Inspection seen = look();
  const SegmentInfo& segment = seen.segments.back();
  const BatchInfo& batch = segment.batches.back();
  Model before = model_;
  before.log.erase(before.log.find(18), before.log.end());
  before.last = 17;
  const std::string bytes = disk_->bytes(segment.name);
  const uint64_t sectors = batch.stored_bytes / testing::kSimSector;
  const uint64_t used =
      (kBatchHeaderBytes + batch.header.payload_bytes + testing::kSimSector - 1) / testing::kSimSector;
  std::mt19937_64 random(1);
  for (int round = 0; round < 300; ++round) {
    std::string torn = bytes;
    bool missing = false;
    for (uint64_t s = 0; s < sectors; ++s) {
      const bool lost = round < static_cast<int>(sectors) ? s == static_cast<uint64_t>(round) : random() % 2;
      if (lost)
        std::fill_n(torn.begin() + static_cast<std::ptrdiff_t>(batch.offset + s * testing::kSimSector),
                    testing::kSimSector, '\0');
      missing |= lost && s < used;
    }
    auto disk = disk_->clone(1);
    disk->put(segment.name, torn);
    const Opened opened = open(*disk);
    ASSERT_TRUE(opened.status.ok());
    ASSERT_TRUE(opened.found.whole) << opened.found.damage;
    ASSERT_EQ((missing ? before : model_).difference(opened.found), "") << round;
  }
}

// But when it was at rest, the last batch is known to be there.
TEST_F(DamageTest, LastBatchMissingAfterRest) {
  fill();
  ASSERT_TRUE(journal_->rest().ok());
  const Inspection seen = look();
  const SegmentInfo& segment = seen.segments.back();
  const BatchInfo& batch = segment.batches.back();
  for (const uint64_t cut : {batch.offset, batch.offset + 1, batch.offset + kBlock, batch.offset + 2 * kBlock + 100}) {
    SCOPED_TRACE(cut);
    auto disk = disk_->clone(cut);
    disk->put(segment.name, disk_->bytes(segment.name).substr(0, cut));
    expect_damage(*disk, fmt::format("{} at byte {}", segment.name, batch.offset));
  }
}

// B08: every class of bits of acknowledged batches: first, middle, last; header, payload, padding; and segment headers.
TEST_F(DamageTest, EveryClassOfFlippedBits) {
  fill();
  ASSERT_TRUE(journal_->rest().ok());
  const Inspection seen = look();
  for (size_t s = 0; s < seen.segments.size(); ++s) {
    const SegmentInfo& segment = seen.segments[s];
    for (const uint64_t at :
         {0, 9, 13, 20, 33, 45, 50, 60, 70, 80, 90, 97, 101}) {  // each field of the segment's header
      SCOPED_TRACE(fmt::format("{} header byte {}", segment.name, at));
      auto disk = disk_->clone(1);
      disk->flip(segment.name, at, 0x10);
      expect_damage(*disk, segment.name + " at byte 0");
    }
    auto harmless = disk_->clone(1);
    harmless->flip(segment.name, 2000);
    EXPECT_EQ(model_.difference(open(*harmless).found), "");
    for (const size_t b : {size_t{0}, segment.batches.size() / 2, segment.batches.size() - 1}) {
      const BatchInfo& batch = segment.batches[b];
      std::vector<uint64_t> places;
      for (const uint64_t field : {0, 4, 8, 16, 24, 32, 40, 44, 48, 55, 60}) places.push_back(field);
      const uint64_t end = kBatchHeaderBytes + batch.header.payload_bytes;
      for (const uint64_t in_payload : {uint64_t{0}, uint64_t{8}, uint64_t{12}, uint64_t{16}, uint64_t{500}})
        places.push_back(kBatchHeaderBytes + in_payload);
      places.push_back(end - 1);
      for (const uint64_t place : places) {
        for (const uint8_t mask : {1, 0x80}) {
          SCOPED_TRACE(fmt::format("{} batch {} byte {} mask {}", segment.name, b, place, mask));
          auto disk = disk_->clone(1);
          disk->flip(segment.name, batch.offset + place, mask);
          const bool another_follows = s + 1 < seen.segments.size() || b + 1 < segment.batches.size();
          EXPECT_EQ(open(*disk->clone(2)).found.lost_end,
                    another_follows ? std::optional(end_of_model()) : std::nullopt);
          expect_damage(*disk, fmt::format("{} at byte {}", segment.name, batch.offset));
        }
      }
      if (end < batch.stored_bytes) {
        auto disk = disk_->clone(1);
        disk->flip(segment.name, batch.offset + end);
        const Opened opened = open(*disk);
        EXPECT_TRUE(opened.found.whole) << "padding carries nothing";
        EXPECT_EQ(model_.difference(opened.found), "");
      }
    }
  }
}

// A batch that another follows was acknowledged, rest or not; also when the one behind is itself torn.
TEST_F(DamageTest, ABatchThatAnotherFollows) {
  fill();
  const Inspection seen = look();
  const SegmentInfo& segment = seen.segments.back();
  const BatchInfo &last = segment.batches.back(), &one_before = segment.batches[segment.batches.size() - 2];
  auto disk = disk_->clone(1);
  disk->rot(segment.name, last.offset + kBlock, 600);
  disk->flip(segment.name, one_before.offset + 100);
  expect_damage(*disk, fmt::format("{} at byte {}", segment.name, one_before.offset));
}

TEST_F(DamageTest, WholeFilesMissing) {
  fill();
  for (uint64_t number = 1; number <= 3; ++number) {
    SCOPED_TRACE(number);
    auto disk = disk_->clone(number);
    ASSERT_TRUE(disk->remove(segment_name(number)).ok());
    ASSERT_TRUE(disk->sync_folder().ok());
    expect_damage(*disk, segment_name(number) + " at byte 0: the segment is missing");
  }
  // Bounds are a help, not a need.
  auto disk = disk_->clone(9);
  ASSERT_TRUE(disk->remove(kBoundsFile).ok());
  ASSERT_TRUE(disk->sync_folder().ok());
  EXPECT_EQ(model_.difference(open(*disk).found), "");
  disk->rot(kBoundsFile, 0, 2 * kBlock);
  EXPECT_EQ(model_.difference(open(*disk, 600).found), "");
}

// A drive that has forgotten a new name shows the file that had it before.
TEST_F(DamageTest, AnOlderFileInThePlaceOfTheLastSegment) {
  fill();
  const std::string older = disk_->bytes(segment_name(3));
  journal_ = open(*disk_).journal;
  ASSERT_TRUE(journal_);
  append(21, 1, 100);
  disk_->put(segment_name(3), older);
  expect_damage(*disk_, segment_name(3) + " at byte 0: the segment is of incarnation");
}

TEST_F(DamageTest, WhatLiesBehindDamageIsKeptAside) {
  fill();
  const std::string original = disk_->bytes(segment_name(2)), behind = disk_->bytes(segment_name(3));
  const uint64_t offset = look().segments[1].batches[1].offset;
  auto disk = disk_->clone(1);
  disk->flip(segment_name(2), offset + 70);
  const std::string damaged = disk->bytes(segment_name(2));
  EXPECT_NE(damaged, original);
  ASSERT_TRUE(open(*disk).status.ok());
  EXPECT_EQ(disk->bytes(lost_name(2)), damaged);
  EXPECT_EQ(disk->bytes(lost_name(3)), behind);
}

// Entries that what was lost had replaced must not count as committed.
TEST_F(DamageTest, LostReplacementsTakeTheCommitHintAlong) {
  append(1, 5, 100);
  append(3, 4, 100, 3);
  hard_state({3, 2, 6});
  ASSERT_TRUE(journal_->rest().ok());
  const Inspection seen = look();
  disk_->flip(segment_name(1), seen.segments[0].batches[1].offset + 100);
  Opened opened = open(*disk_);
  ASSERT_TRUE(opened.status.ok());
  EXPECT_FALSE(opened.found.whole);
  ASSERT_EQ(opened.found.entries.size(), 5u);
  EXPECT_EQ(opened.found.entries[4].term, 2u) << "of an older leader, void since";
  EXPECT_EQ(opened.found.hard_state.commit, 0u);
  EXPECT_EQ(opened.found.hard_state.term, 3u);
  disk_->crash();
  opened = open(*disk_, 600);
  EXPECT_EQ(opened.found.hard_state.commit, 0u) << "not at the next opening either";
}

// A crash at any moment of an opening that found damage: it never makes a member that votes.
TEST_F(DamageTest, CrashWhileDamageIsDealtWith) {
  fill();
  hard_state({2, 1, 15});
  ASSERT_TRUE(journal_->rest().ok());
  const uint64_t offset = look().segments[1].batches[1].offset;
  for (uint64_t k = 0; k < 60; ++k) {
    for (uint64_t seed = 0; seed < 4; ++seed) {
      SCOPED_TRACE(fmt::format("cut after {} operations, seed {}", k, seed));
      auto disk = disk_->clone(seed);
      disk->flip(segment_name(2), offset + 70);
      const std::string damaged = disk->bytes(segment_name(2)), behind = disk->bytes(segment_name(3));
      disk->cut_power_after(k);
      (void)open(*disk);
      disk->crash();
      const Opened opened = open(*disk, 600);
      ASSERT_TRUE(opened.status.ok()) << opened.status.to_string();
      EXPECT_FALSE(opened.found.whole);
      EXPECT_EQ(opened.found.hard_state.commit, 0u);
      EXPECT_NE(opened.found.damage.find(fmt::format("{} at byte {}", segment_name(2), offset)), std::string::npos)
          << opened.found.damage;
      expect_nothing_invented(opened.found);
      EXPECT_EQ(opened.found.lost_end, end_of_model());
      EXPECT_EQ(opened.journal->last_index(), 8u);
      ASSERT_TRUE(disk->exists(lost_name(2)) && disk->exists(lost_name(3)));
      EXPECT_TRUE(disk->bytes(lost_name(2)) == damaged && disk->bytes(lost_name(3)) == behind) << "as it was found";
    }
  }
}

// A second loss, of a log that was not whole again yet: the further end counts; where either is not known, none is.
TEST_F(DamageTest, EndsOfSeveralLosses) {
  fill();
  const uint64_t offset = look().segments[1].batches[1].offset;
  disk_->flip(segment_name(2), offset + 70);
  const raft::LogEnd first = end_of_model();
  Opened opened = open(*disk_);
  ASSERT_EQ(opened.found.lost_end, first);
  for (raft::Index i = 9; i <= 12; ++i)
    ASSERT_TRUE(opened.journal->append({{entry(i, 2, std::string(100, 'z'))}}).ok());
  ASSERT_TRUE(opened.journal->rest().ok());
  opened.journal.reset();
  const auto batches = look().segments.back().batches;
  auto again = disk_->clone(1);
  again->flip(look().segments.back().name, batches[batches.size() - 2].offset + 70);
  EXPECT_EQ(open(*again, 600).found.lost_end, first);
  auto end_lost = disk_->clone(2);
  end_lost->flip(look().segments.back().name, batches.back().offset + 70);
  EXPECT_EQ(open(*end_lost, 600).found.lost_end, std::nullopt);
  // What says so is protected itself.
  auto forged = disk_->clone(3);
  std::string text = forged->bytes(kVoteLostFile);
  const size_t at = text.find("with entry 20");
  ASSERT_NE(at, std::string::npos) << text;
  text[at + 11] = '1';
  forged->put(kVoteLostFile, text);
  const Opened doubted = open(*forged, 600);
  EXPECT_FALSE(doubted.found.whole);
  EXPECT_EQ(doubted.found.lost_end, std::nullopt);
}

// B10.
TEST_F(DamageTest, HardStateSlots) {
  fill();
  for (const uint64_t field : {0, 8, 24, 32, 40, 48, 56, 64, 72}) {
    for (const uint64_t slot : {uint64_t{0}, uint64_t{kBlock}}) {
      auto disk = disk_->clone(1);
      disk->flip(kHardStateFile, slot + field, 4);
      const Opened opened = open(*disk);
      ASSERT_TRUE(opened.status.ok()) << opened.status.to_string();
      EXPECT_TRUE(opened.found.whole);
      EXPECT_EQ(model_.difference(opened.found), "");
      EXPECT_TRUE(look().hard_state_fault.empty());
    }
    auto disk = disk_->clone(1);
    disk->flip(kHardStateFile, field);
    disk->flip(kHardStateFile, kBlock + field);
    const auto names = *disk->list();
    const uint64_t operations = disk->operations();
    const Opened opened = open(*disk);
    EXPECT_EQ(opened.status.code(), Code::kDataLoss);
    EXPECT_NE(opened.status.message().find(
                  "slot A of hard-state (byte 0) is damaged, slot B of hard-state (byte 4096) is damaged"),
              std::string::npos)
        << opened.status.to_string();
    EXPECT_FALSE(opened.status.hint().empty());
    EXPECT_EQ(disk->operations(), operations) << "nothing was written";
  }
  auto disk = disk_->clone(1);
  ASSERT_TRUE(disk->remove(kHardStateFile).ok());
  EXPECT_EQ(open(*disk).status.code(), Code::kDataLoss);
  EXPECT_EQ(Journal::create(*disk, this_member(), small_options()).code(), Code::kDataLoss);
}

// C12, and folders of others.
TEST_F(DamageTest, WipedAndForeignFolders) {
  SimDisk empty(1);
  const Opened wiped = open(empty);
  EXPECT_EQ(wiped.status.code(), Code::kNotFound);
  EXPECT_NE(wiped.status.hint().find("wiped"), std::string::npos);
  EXPECT_EQ(empty.operations(), 0u);
  EXPECT_EQ(Journal::create(*disk_, this_member(), small_options()).code(), Code::kAlreadyExists);

  const uint64_t operations = disk_->operations();
  Identity other_node = this_member(), other_cluster = this_member();
  other_node.node = 4;
  other_cluster.cluster[0] = 99;
  for (const Identity& identity : {other_node, other_cluster}) {
    Recovered found;
    const auto journal = Journal::open(*disk_, identity, small_options(), &found);
    EXPECT_EQ(journal.status().code(), Code::kFailedPrecondition);
    EXPECT_NE(
        journal.status().message().find("hard-state belongs to node 3 of cluster 000102030405060708090a0b0c0d0e0f"),
        std::string::npos)
        << journal.status().to_string();
  }
  // A segment that was copied in from another node.
  SimDisk other(2);
  ASSERT_TRUE(Journal::create(other, other_node, small_options()).ok());
  disk_->put(segment_name(1), other.bytes(segment_name(1)));
  const Opened mixed = open(*disk_);
  EXPECT_EQ(mixed.status.code(), Code::kFailedPrecondition);
  EXPECT_NE(mixed.status.message().find("segment-0000000000000001 belongs to node 4"), std::string::npos)
      << mixed.status.to_string();
  EXPECT_EQ(disk_->operations(), operations);
}

TEST_F(DamageTest, ANewerFormatIsRefusedByName) {
  std::string block = disk_->bytes(segment_name(1));
  block[8] = 2;
  const uint32_t sum = crypto::crc32c(std::string_view(block).substr(0, 100));
  for (int i = 0; i < 4; ++i) block[100 + i] = static_cast<char>(sum >> 8 * i);
  disk_->put(segment_name(1), block);
  const Opened opened = open(*disk_);
  EXPECT_EQ(opened.status.code(), Code::kFailedPrecondition);
  EXPECT_NE(opened.status.message().find("format 2; this program reads format 1"), std::string::npos)
      << opened.status.to_string();
}

// The removals of a reset may be lost, and bounds, too: what it began anew says itself that the rest is void.
TEST_F(DamageTest, VoidSegmentsThatComeBack) {
  fill();
  std::map<std::string, std::string> old;
  for (uint64_t number = 1; number <= 3; ++number) old[segment_name(number)] = disk_->bytes(segment_name(number));
  ASSERT_TRUE(journal_->reset(501).ok());
  model_.reset(501);
  append(501, 2, 100, 4);
  for (const bool without_bounds : {false, true}) {
    SCOPED_TRACE(without_bounds);
    auto disk = disk_->clone(1);
    for (const auto& [name, bytes] : old) disk->put(name, bytes);
    if (without_bounds) {
      disk->rot(kBoundsFile, 0, 2 * kBlock);
    }
    const Opened opened = open(*disk);
    ASSERT_TRUE(opened.status.ok()) << opened.status.to_string();
    EXPECT_TRUE(opened.found.whole) << opened.found.damage;
    EXPECT_EQ(model_.difference(opened.found), "");
    EXPECT_FALSE(disk->exists(segment_name(1)));
  }
}

// Parts of what might have been: two members' worth of histories that began as one file. Every checksum in them is
// right.
TEST_F(DamageTest, PartsOfAnotherHistory) {
  append(1, 1, 100);
  auto other_disk = disk_->clone(1);
  append(2, 1, 100);
  append(3, 1, 100);
  ASSERT_TRUE(journal_->rest().ok());
  Recovered found;
  {
    // The same numbers, sizes and file id, and another entry 2.
    auto other = Journal::open(*other_disk, this_member(), small_options(100), &found);
    ASSERT_TRUE(other.ok());
    for (raft::Index i = 2; i <= 3; ++i)
      ASSERT_TRUE((*other)->append(std::vector{entry(i, 3, std::string(100, 'z'))}).ok());
  }
  const std::string name = segment_name(1), mine = disk_->bytes(name), theirs = other_disk->bytes(name);
  const uint64_t second = 2 * kBlock, third = 3 * kBlock;
  ASSERT_NE(mine.substr(second, kBlock), theirs.substr(second, kBlock));
  // Their last batch behind mine: its header does not continue mine.
  auto disk = disk_->clone(1);
  disk->put(name, mine.substr(0, third) + theirs.substr(third, kBlock) + mine.substr(third + kBlock));
  expect_damage(*disk, fmt::format("{} at byte {}: batch 3 stands where batch 3 belongs, and does not continue batch 2",
                                   name, third));
  // All of theirs: only bounds tell.
  disk = disk_->clone(2);
  disk->put(name, theirs);
  EXPECT_EQ(verify(*disk).code(), Code::kDataLoss);
  const Opened opened = open(*disk);
  EXPECT_FALSE(opened.found.whole);
  EXPECT_NE(opened.found.damage.find("is not the one that was written there last"), std::string::npos)
      << opened.found.damage;
}

TEST_F(DamageTest, ASegmentOfAnotherHistory) {
  for (raft::Index i = 1; i <= 6; ++i) append(i, 1, 2000);
  auto other_disk = disk_->clone(1);
  Recovered found;
  {
    auto other = Journal::open(*other_disk, this_member(), small_options(300), &found);
    ASSERT_TRUE(other.ok());
    for (raft::Index i = 7; i <= 12; ++i)
      ASSERT_TRUE((*other)->append(std::vector{entry(i, 3, std::string(2000, 'z'))}).ok());
    ASSERT_EQ((*other)->segments(), 2u);
  }
  for (raft::Index i = 7; i <= 12; ++i) append(i, 1, 2000);
  ASSERT_EQ(journal_->segments(), 2u);
  disk_->put(segment_name(2), other_disk->bytes(segment_name(2)));
  expect_damage(*disk_, segment_name(2) + " at byte 0: the segment does not continue the one before it");
}

// The drive says that it wrote, and did not, or not there.
TEST_F(DamageTest, LostAndMisdirectedWrites) {
  for (const bool misdirected : {false, true}) {
    for (const bool last : {false, true}) {
      for (uint64_t seed = 0; seed < 20; ++seed) {
        SCOPED_TRACE(fmt::format("misdirected {} last {} seed {}", misdirected, last, seed));
        auto disk = std::make_unique<SimDisk>(seed);
        ASSERT_TRUE(Journal::create(*disk, this_member(), small_options()).ok());
        Recovered found;
        journal_ = std::move(*Journal::open(*disk, this_member(), small_options(100), &found));
        model_ = Model();
        hard_state({2, 1, 0});
        append(1, 1, 300);
        append(2, 2, 300);
        SimDisk::Rates lies;
        (misdirected ? lies.misdirected_write : lies.lost_write) = 1;
        disk->set_rates(lies);
        append(4, 2, 300);
        disk->set_rates({});
        if (!last) append(6, 2, 300);
        ASSERT_TRUE(journal_->rest().ok());
        journal_.reset();
        disk->crash();
        const Opened opened = open(*disk);
        ASSERT_TRUE(opened.status.ok());
        if (opened.found.whole) {
          EXPECT_TRUE(misdirected) << "it may have hit its place";
          EXPECT_EQ(model_.difference(opened.found), "");
        }
        expect_nothing_invented(opened.found);
      }
    }
  }
}

// Data that looks like a batch is data: a torn write of it is no evidence of a later batch.
TEST_F(DamageTest, DataThatLooksLikeABatch) {
  append(1, 1, 100);
  append(2, 1, 100);
  const Inspection seen = look();
  const std::string image = disk_->bytes(segment_name(1));
  std::string data(kBlock - kBatchHeaderBytes - kEntryHeaderBytes, 'x');
  data += image.substr(seen.segments[0].batches[1].offset, kBlock);  // lies at a multiple of kBlock, too
  const std::vector<raft::Entry> entries{entry(3, 2, data)};
  ASSERT_TRUE(journal_->append(entries).ok());
  const uint64_t offset = look().segments[0].batches[2].offset;
  ASSERT_EQ(disk_->bytes(segment_name(1)).substr(offset + kBlock, 4), "RNKB");
  disk_->rot(segment_name(1), offset, testing::kSimSector);
  const Opened opened = open(*disk_);
  EXPECT_TRUE(opened.found.whole) << opened.found.damage;
  EXPECT_EQ(model_.difference(opened.found), "");
}

// One rotten sector anywhere, thousands of times: found, or of no consequence, or the member does not start.
TEST_F(DamageTest, RottenSectorsAnywhere) {
  fill();
  ASSERT_TRUE(journal_->rest().ok());
  int found_damage = 0, harmless = 0;
  for (uint64_t seed = 0; seed < 1500; ++seed) {
    auto disk = disk_->clone(seed);
    std::string where;
    for (uint64_t i = 0; i <= seed % 3; ++i) {
      const auto place = disk->rot_somewhere();
      where += fmt::format("{} {} ", place.name, place.offset);
    }
    SCOPED_TRACE(where);
    const Opened opened = open(*disk);
    if (!opened.status.ok()) {
      EXPECT_EQ(opened.status.code(), Code::kDataLoss) << opened.status.to_string();
      continue;
    }
    expect_nothing_invented(opened.found);
    expect_end_not_understated(opened.found);
    EXPECT_EQ(opened.found.hard_state.term, model_.hard_state.term);
    if (opened.found.whole) {
      EXPECT_EQ(model_.difference(opened.found), "");
    }
    (opened.found.whole ? harmless : found_damage) += 1;
  }
  EXPECT_GT(found_damage, 100);
  EXPECT_GT(harmless, 100);
}

}  // namespace
}  // namespace runink::journal
