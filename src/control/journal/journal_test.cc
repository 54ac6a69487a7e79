// What a journal does when all goes well, on the simulated disk and on a folder, plain and sealed.
#include <gtest/gtest.h>

#include "control/journal/file_disk.h"
#include "control/journal/inspect.h"
#include "control/journal/journal_in_test.h"
#include "platform/crypto/crc32c.h"
#include "platform/os/temp.h"
#include "testing/sim_disk.h"

namespace runink::journal {
namespace {

struct Place {
  bool folder, sealed;
};
void PrintTo(const Place& place, std::ostream* out) {
  *out << (place.folder ? "folder" : "simulated") << (place.sealed ? " sealed" : "");
}

class JournalTest : public ::testing::TestWithParam<Place> {
 protected:
  JournalTest() {
    if (GetParam().folder) {
      folder_ = *os::TempFolder::create("", "runink-journal-");
      disk_ = *FileDisk::open_folder(folder_.file("member"));
    } else {
      disk_ = std::make_unique<testing::SimDisk>(1);
    }
    options_ = small_options();
    if (GetParam().sealed) options_.key = crypto::SealingKey::from_bytes({4, 5, 6});
    const Status status = Journal::create(*disk_, this_member(), options_);
    EXPECT_TRUE(status.ok()) << status.to_string();
    reopen();
  }

  void reopen() {
    journal_.reset();
    if (GetParam().folder) {
      // As a new process would.
      disk_.reset();
      auto disk = FileDisk::open_folder(folder_.file("member"));
      ASSERT_TRUE(disk.ok()) << disk.status().to_string();
      disk_ = std::move(*disk);
    }
    auto journal = Journal::open(*disk_, this_member(), options_, &found_);
    ASSERT_TRUE(journal.ok()) << journal.status().to_string();
    journal_ = std::move(*journal);
    EXPECT_TRUE(found_.whole) << found_.damage;
    EXPECT_TRUE(found_.torn.empty()) << found_.torn;
    EXPECT_EQ(model_.difference(found_), "");
    EXPECT_EQ(journal_->last_index(), model_.last);
  }
  void append(const std::vector<raft::Entry>& entries) {
    const Status status = journal_->append(entries);
    ASSERT_TRUE(status.ok()) << status.to_string();
    model_.append(entries);
  }
  void append(raft::Index from, size_t count, size_t bytes, raft::Term term) {
    std::vector<raft::Entry> entries;
    for (size_t i = 0; i < count; ++i)
      entries.push_back(entry(from + i, term, std::string(bytes, static_cast<char>('a' + (from + i + term) % 26))));
    append(entries);
  }
  Inspection look() {
    auto seen = inspect(*disk_, options_.key);
    EXPECT_TRUE(seen.ok()) << seen.status().to_string();
    return seen.ok() ? *seen : Inspection();
  }

  os::TempFolder folder_;
  std::unique_ptr<Disk> disk_;
  Options options_;
  std::unique_ptr<Journal> journal_;
  Recovered found_;
  Model model_;
};

TEST_P(JournalTest, KeepsEntriesOfEveryKindAndTheHardState) {
  EXPECT_EQ(found_.incarnation, 1u);
  raft::Entry noop{1, 7, raft::EntryKind::kNoop, nullptr}, membership{2, 7, raft::EntryKind::kMembership, nullptr};
  membership.data = std::make_shared<const std::string>(std::string("\0\1\2", 3));
  append({noop, membership, entry(3, 8, ""), entry(4, 8, std::string(9000, '\xff'))});
  model_.hard_state = {9, 2, 3};
  ASSERT_TRUE(journal_->save_hard_state(model_.hard_state).ok());
  reopen();
  EXPECT_EQ(found_.incarnation, 2u);
  EXPECT_EQ(found_.entries[0].data, nullptr);
  ASSERT_NE(found_.entries[2].data, nullptr) << "empty is not the same as none";
  append(5, 1, 10, 9);
  reopen();
  EXPECT_EQ(found_.incarnation, 3u);
  EXPECT_TRUE(journal_->append({}).ok());
}

TEST_P(JournalTest, AnEntryAtAnIndexThatIsThereReplacesItAndAllBehind) {
  append(1, 10, 50, 1);
  append(6, 2, 50, 2);
  reopen();
  EXPECT_EQ(found_.entries.size(), 7u);
  append(1, 1, 50, 3);
  reopen();
  EXPECT_EQ(found_.entries.size(), 1u);
  append(2, 30, 2000, 4);  // several segments
  ASSERT_GT(journal_->segments(), 2u);
  append(5, 1, 50, 5);
  reopen();
  EXPECT_EQ(found_.entries.size(), 5u);
}

TEST_P(JournalTest, LargeAppendsAreSplitAndASingleEntryMayFillASegment) {
  append(1, 40, 3000, 1);
  append({entry(41, 1, std::string(journal_->max_entry_bytes(), 'x'))});
  reopen();
  const Status status = journal_->append(
      std::vector{entry(42, 1, "small"), entry(43, 1, std::string(journal_->max_entry_bytes() + 1, 'x'))});
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_TRUE(journal_->stopped().ok());
  EXPECT_EQ(journal_->last_index(), 41u) << "nothing was written";
  append(42, 1, 5, 1);
  reopen();
}

TEST_P(JournalTest, CompactionTakesWholeSegmentsAndKeepsOneForLater) {
  append(1, 40, 3000, 1);
  const size_t before = journal_->segments();
  ASSERT_TRUE(journal_->compact(0).ok());
  ASSERT_TRUE(journal_->compact(1).ok());
  EXPECT_EQ(journal_->segments(), before);
  ASSERT_TRUE(journal_->compact(20).ok());
  EXPECT_LT(journal_->segments(), before);
  const uint64_t room = journal_->room();
  EXPECT_GE(room, options_.segment_bytes - kBlock) << "the first that went is the spare one";
  model_.base = 20;
  append(41, 30, 3000, 1);  // into what was used before
  reopen();
  EXPECT_GT(found_.first_index, 1u);
  EXPECT_LE(found_.first_index, 21u);
  ASSERT_TRUE(journal_->compact(1000).ok());
  EXPECT_EQ(journal_->segments(), 1u) << "the last one is being written to";
  model_.base = 70;
  append(71, 1, 10, 1);
  reopen();
}

// The first segment that is left begins with entries that a later batch in it replaced from further below.
TEST_P(JournalTest, CompactionBehindReplacedEntries) {
  append(1, 5, 3000, 1);
  while (journal_->segments() == 1) append(model_.last + 1, 1, 3000, 1);
  const raft::Index in_second = model_.last;
  append(in_second - 2, 4, 100, 2);  // from below the segment's first entry
  append(in_second - 4, 6, 100, 3);
  ASSERT_EQ(journal_->segments(), 2u);
  ASSERT_TRUE(journal_->compact(in_second - 1).ok());
  model_.base = in_second - 1;
  ASSERT_EQ(journal_->segments(), 1u);
  reopen();
  EXPECT_EQ(found_.first_index, in_second - 4);
}

TEST_P(JournalTest, ResetBeginsBehindASnapshot) {
  append(1, 20, 3000, 1);
  ASSERT_TRUE(journal_->reset(501).ok());
  model_.reset(501);
  EXPECT_EQ(journal_->last_index(), 500u);
  reopen();
  EXPECT_EQ(found_.first_index, 501u);
  append(501, 3, 10, 2);
  reopen();
  ASSERT_TRUE(journal_->reset(2).ok()) << "also backwards";
  model_.reset(2);
  append(2, 1, 10, 3);
  reopen();
}

TEST_P(JournalTest, WhatIsReadOfflineIsWhatWasWritten) {
  append(1, 20, 3000, 1);
  append(18, 2, 10, 2);
  ASSERT_TRUE(journal_->rest().ok());
  const Inspection seen = look();
  EXPECT_TRUE(verify(*disk_, options_.key).ok());
  EXPECT_EQ(seen.first_index, 1u);
  EXPECT_EQ(seen.last_index, 19u);
  EXPECT_EQ(seen.entries, 19u);
  EXPECT_EQ(seen.sealed, GetParam().sealed);
  EXPECT_TRUE(seen.decoded);
  EXPECT_FALSE(seen.damage || seen.torn);
  EXPECT_EQ(seen.segments.size(), journal_->segments());
  raft::Index next = 1;
  uint64_t number = 1;
  for (const SegmentInfo& segment : seen.segments) {
    EXPECT_EQ(segment.size, options_.segment_bytes);
    EXPECT_EQ(segment.header->node, 3u);
    EXPECT_EQ(segment.header->first_batch, number);
    uint64_t offset = kBlock;
    for (const BatchInfo& batch : segment.batches) {
      EXPECT_EQ(batch.offset, offset);
      EXPECT_EQ(batch.header.number, number++);
      EXPECT_EQ(batch.header.first_index, batch.header.last_term == 2 ? 18u : next);
      next = batch.header.last_index() + 1;
      offset += batch.stored_bytes;
    }
    EXPECT_EQ(segment.end, offset);
  }
  EXPECT_EQ(seen.bounds->batch, number - 1);
  EXPECT_EQ(seen.hard_state->node, 3u);
  // Without the key: all but the entries.
  const auto blind = inspect(*disk_);
  ASSERT_TRUE(blind.ok());
  EXPECT_EQ(blind->decoded, !GetParam().sealed);
  EXPECT_EQ(blind->last_index, 19u);
  EXPECT_TRUE(verify(*disk_).ok());
}

INSTANTIATE_TEST_SUITE_P(Disks, JournalTest,
                         ::testing::Values(Place{false, false}, Place{false, true}, Place{true, false},
                                           Place{true, true}),
                         [](const auto& info) {
                           return std::string(info.param.folder ? "Folder" : "Simulated") +
                                  (info.param.sealed ? "Sealed" : "");
                         });

class SealedJournalTest : public ::testing::Test {
 protected:
  // A journal of a few entries, sealed or not.
  std::unique_ptr<testing::SimDisk> make(const std::optional<crypto::SealingKey>& key) {
    auto disk = std::make_unique<testing::SimDisk>(1);
    Options options = small_options();
    options.key = key;
    EXPECT_TRUE(Journal::create(*disk, this_member(), options).ok());
    Recovered found;
    auto journal = Journal::open(*disk, this_member(), options, &found);
    EXPECT_TRUE(journal.ok());
    for (raft::Index i = 1; i <= 5; ++i)
      EXPECT_TRUE((*journal)->append(std::vector{entry(i, 1, "planted-value-" + std::string(500, 'v'))}).ok());
    return disk;
  }
  Status open(testing::SimDisk& disk, const std::optional<crypto::SealingKey>& key, Recovered* found) {
    Options options = small_options(100);
    options.key = key;
    return Journal::open(disk, this_member(), options, found).status();
  }
  crypto::SealingKey mine_ = crypto::SealingKey::from_bytes({1}), other_ = crypto::SealingKey::from_bytes({2});
};

TEST_F(SealedJournalTest, APlantedValueIsInNoFile) {
  for (const bool sealed : {false, true}) {
    auto disk = make(sealed ? std::optional(mine_) : std::nullopt);
    bool found = false;
    const std::vector<std::string> names = *disk->list();
    for (const std::string& name : names) found |= disk->bytes(name).find("planted-value") != std::string::npos;
    EXPECT_EQ(found, !sealed);
  }
}

TEST_F(SealedJournalTest, AWrongKeyIsRefusedByName) {
  auto sealed = make(mine_), plain = make(std::nullopt);
  const uint64_t operations = sealed->operations(), plain_operations = plain->operations();
  Recovered found;
  const Status wrong = open(*sealed, other_, &found), none = open(*sealed, std::nullopt, &found),
               needless = open(*plain, mine_, &found);
  for (const Status* status : {&wrong, &none, &needless}) {
    EXPECT_EQ(status->code(), Code::kFailedPrecondition) << status->to_string();
    EXPECT_NE(status->message().find(segment_name(1)), std::string::npos);
    EXPECT_FALSE(status->hint().empty());
  }
  for (const auto& key : {mine_, other_})
    EXPECT_NE(wrong.message().find(crypto::key_id_text(key.id())), std::string::npos) << wrong.to_string();
  EXPECT_NE(none.message().find(crypto::key_id_text(mine_.id())), std::string::npos) << none.to_string();
  EXPECT_NE(needless.message().find("is not sealed"), std::string::npos) << needless.to_string();
  EXPECT_EQ(sealed->operations(), operations) << "nothing was written";
  EXPECT_EQ(plain->operations(), plain_operations);
  EXPECT_EQ(inspect(*sealed, other_).status().code(), Code::kFailedPrecondition);
  EXPECT_TRUE(open(*sealed, mine_, &found).ok());
  EXPECT_EQ(found.entries.size(), 5u);
}

// Right checksums, and not from who has the key, or moved from where it was sealed for.
TEST_F(SealedJournalTest, WhatIsForgedIsNoEntry) {
  auto disk = make(mine_);
  const auto seen = inspect(*disk, mine_);
  ASSERT_TRUE(seen.ok());
  const SegmentInfo& segment = seen->segments[0];
  const BatchInfo& batch = segment.batches[4];
  for (const bool other_key : {true, false}) {
    SCOPED_TRACE(other_key);
    SegmentFile file = segment_file(*segment.header, other_key ? &other_ : &mine_);
    BatchHeader header = batch.header;
    std::string bytes(stored_bytes(batch.header.payload_bytes), '\0'), scratch;
    const uint64_t offset = other_key ? batch.offset : batch.offset + kBlock;  // else: sealed for another place
    encode_batch(header, std::vector{entry(5, 1, "planted-value-" + std::string(500, 'w'))}, file, offset, bytes.data(),
                 scratch);
    if (!other_key) {
      std::string covered(reinterpret_cast<const char*>(file.id.data()), file.id.size());
      for (int i = 0; i < 8; ++i) covered += static_cast<char>(batch.offset >> (8 * i));
      const uint32_t sum = crypto::crc32c(covered + bytes.substr(0, kBatchHeaderBytes - 4));
      for (size_t i = 0; i < 4; ++i) bytes[kBatchHeaderBytes - 4 + i] = static_cast<char>(sum >> (8 * i));
    }
    auto copy = disk->clone(1);
    std::string whole = copy->bytes(segment.name);
    whole.replace(batch.offset, bytes.size(), bytes);
    copy->put(segment.name, whole);
    const Status verified = verify(*copy, mine_);
    EXPECT_EQ(verified.code(), Code::kDataLoss);
    EXPECT_NE(verified.message().find("is intact and not valid"), std::string::npos) << verified.to_string();
    Recovered found;
    ASSERT_TRUE(open(*copy, mine_, &found).ok());
    EXPECT_FALSE(found.whole);
    EXPECT_EQ(found.entries.size(), 4u);
  }
}

TEST(JournalOptionsTest, SenselessSizesAreRefused) {
  testing::SimDisk disk(1);
  for (const uint64_t segment : {uint64_t{0}, uint64_t{kBlock}, uint64_t{8 * kBlock + 1}, kMaxSegmentBytes + kBlock}) {
    Options options = small_options();
    options.segment_bytes = segment;
    EXPECT_EQ(Journal::create(disk, this_member(), options).code(), Code::kInvalidArgument);
  }
  Options options = small_options();
  options.batch_bytes = options.segment_bytes;
  EXPECT_EQ(Journal::create(disk, this_member(), options).code(), Code::kInvalidArgument);
  EXPECT_EQ(disk.operations(), 0u);
}

TEST(JournalFormatTest, ABatchFitsOnePlaceInOneFileOnly) {
  const std::vector<raft::Entry> entries{entry(7, 2, "abc"), entry(8, 3, "")};
  BatchHeader header;
  header.number = 4;
  header.chain_before = 99;
  SegmentFile file;
  file.id[3] = 1;
  std::string bytes(stored_bytes(payload_bytes(entries, false)), '#'), scratch;
  encode_batch(header, entries, file, kBlock, bytes.data(), scratch);
  const auto decoded = decode_batch_header(bytes, file.id, kBlock);
  ASSERT_TRUE(decoded);
  EXPECT_EQ(decoded->count, 2u);
  EXPECT_EQ(decoded->number, 4u);
  EXPECT_EQ(decoded->first_index, 7u);
  EXPECT_EQ(decoded->last_index(), 8u);
  EXPECT_EQ(decoded->first_term, 2u);
  EXPECT_EQ(decoded->last_term, 3u);
  EXPECT_FALSE(decode_batch_header(bytes, file.id, 2 * kBlock));
  EXPECT_FALSE(decode_batch_header(bytes, FileId{}, kBlock));
  EXPECT_FALSE(decode_batch_header(bytes.substr(0, kBatchHeaderBytes - 1), file.id, kBlock));
  const std::string payload = bytes.substr(kBatchHeaderBytes, decoded->payload_bytes);
  EXPECT_TRUE(payload_intact(*decoded, payload));
  BatchHeader other = *decoded;
  other.chain_before = 98;
  EXPECT_FALSE(payload_intact(other, payload)) << "it continues another batch";
  const auto back = decode_payload(*decoded, file, kBlock, payload);
  ASSERT_TRUE(back.ok());
  EXPECT_TRUE(same((*back)[0], entries[0]) && same((*back)[1], entries[1]));
  std::string other_before(bytes.size(), '?');
  encode_batch(header, entries, file, kBlock, other_before.data(), scratch);
  EXPECT_TRUE(bytes == other_before) << "all of it is written";
}

TEST(JournalFormatTest, Names) {
  EXPECT_EQ(segment_name(0x1234abcd), "segment-000000001234abcd");
  EXPECT_EQ(segment_number(segment_name(~uint64_t{0})), ~uint64_t{0});
  for (const char* name : {"segment-", "segment-000000001234ABCD", "segment-000000001234abcd0",
                           "Segment-000000001234abcd", "segment-00000000-234abcd"}) {
    EXPECT_FALSE(segment_number(name)) << name;
  }
}

}  // namespace
}  // namespace runink::journal
