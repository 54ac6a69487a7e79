#include "worker/agent/slice_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

SliceRecord full() {
  SliceRecord record;
  record.id = "k3f9x2mq";
  record.herd = "etl";
  record.owner = 1000;
  record.command = "sh -c 'echo \\ \n'";
  record.boot_id = "b";
  record.options = {.detached = true, .grace_nanos = 7};
  record.kept = {.stage = Stage::kEnding, .reason = EndReason::kTimeLimit, .kill_nanos = -13};
  record.requested_micros = 17;
  record.started_micros = 19;
  record.ended_micros = 23;
  record.path = "parked";
  record.end = {.exited = true,
                .code = 29,
                .signal = 31,
                .timed_out = true,
                .limits_hit = {"out of memory: …", "forks = refused"},
                .usage = {.user_micros = 37,
                          .system_micros = 41,
                          .peak_memory_bytes = 43,
                          .io_read_bytes = 0,
                          .io_write_bytes = std::nullopt,
                          .minor_faults = 59,
                          .major_faults = ~uint64_t{0}}};
  return record;
}

TEST(SliceRecord, ComesBackAsItWas) {
  const std::string text = write_record(full());
  const auto back = read_record(text);
  ASSERT_TRUE(back.ok()) << back.status().to_string();
  EXPECT_EQ(write_record(*back), text);
  EXPECT_EQ(back->command, full().command);
  EXPECT_EQ(back->kept.kill_nanos, -13);
  EXPECT_EQ(back->options.grace_nanos, 7);
  EXPECT_TRUE(back->end.timed_out && back->end.exited && back->options.detached);
  EXPECT_EQ(back->end.usage.major_faults, ~uint64_t{0});
  EXPECT_EQ(back->end.usage.io_read_bytes, 0u);
  EXPECT_EQ(back->end.usage.io_write_bytes, std::nullopt);
  EXPECT_THAT(back->end.limits_hit, ElementsAre("out of memory: …", "forks = refused"));
}

// A program of the next version may add names; one that changed a meaning has another number.
TEST(SliceRecord, LeavesOutNamesItDoesNotKnowAndRefusesNewerVersions) {
  const std::string text = write_record(full());
  EXPECT_TRUE(read_record(text + "colour=blue\n").ok());
  std::string newer = text;
  newer.replace(newer.find(" 1\n"), 3, " 2\n");
  EXPECT_EQ(read_record(newer).status().code(), Code::kFailedPrecondition);
}

TEST(SliceRecord, WhatIsCutOrChangedIsNotRead) {
  const std::string text = write_record(full());
  for (size_t length = 0; length < text.size(); ++length) {
    const auto cut = read_record(text.substr(0, length));
    // Cut between two lines it may read as an older record; never as one with half a value.
    if (cut.ok()) {
      EXPECT_EQ(text[length - 1], '\n') << length;
    }
  }
  for (const char* wrong : {"runink-slice 1\nid=../../etc\nstage=running\nreason=itself\n",
                            "runink-slice 1\nid=k3f9x2mq\nstage=dancing\nreason=itself\n",
                            "runink-slice 1\nid=k3f9x2mq\nstage=running\nreason=itself\nowner=-1\n",
                            "runink-slice 1\nid=k3f9x2mq\nstage=running\nreason=itself\nowner=99999999999\n",
                            "runink-slice 1\nid=k3f9x2mq\nstage=running\nreason=itself\ncommand=a\\x\n",
                            "runink-slice 1\nid=k3f9x2mq\nstage=running\nreason=itself\nnonsense\n",
                            "runink-slice one\n", "runink-slice 0\n", "", "\n"}) {
    EXPECT_EQ(read_record(wrong).status().code(), Code::kDataLoss) << wrong;
  }
  for (size_t at = 0; at < text.size(); ++at) {
    for (const char letter : {'\0', '\n', '\\', '=', '9', '\xff'}) {
      std::string changed = text;
      changed[at] = letter;
      (void)read_record(changed);  // whatever it says, it comes back
    }
  }
}

TEST(RecordStore, KeepsAndForgets) {
  const auto folder = os::TempFolder::create("");
  ASSERT_TRUE(folder.ok());
  auto store = RecordStore::open(folder->path() + "/slices");
  ASSERT_TRUE(store.ok()) << store.status().to_string();
  SliceRecord record = full();
  ASSERT_TRUE(store->put(record).ok());
  record.kept.stage = Stage::kEnded;
  ASSERT_TRUE(store->put(record).ok());
  std::vector<std::string> faults;
  auto loaded = store->load(&faults);
  ASSERT_TRUE(loaded.ok());
  ASSERT_EQ(loaded->size(), 1u);
  EXPECT_EQ((*loaded)[0].kept.stage, Stage::kEnded);
  EXPECT_EQ(os::file_info(folder->path() + "/slices")->permissions, 0700u);
  EXPECT_EQ(os::file_info(folder->path() + "/slices/k3f9x2mq.slice")->permissions, 0600u);
  ASSERT_TRUE(store->remove(record.id).ok());
  ASSERT_TRUE(store->remove(record.id).ok());
  EXPECT_TRUE(store->load(&faults)->empty());
  EXPECT_TRUE(faults.empty());
}

TEST(RecordStore, MovesDamagedOnesAside) {
  const auto folder = os::TempFolder::create("");
  auto store = RecordStore::open(folder->path());
  ASSERT_TRUE(store->put(full()).ok());
  ASSERT_TRUE(os::write_file_atomic(folder->path() + "/aaaaaaaa.slice", "torn").ok());
  ASSERT_TRUE(os::write_file_atomic(folder->path() + "/bbbbbbbb.slice", write_record(full())).ok());
  std::vector<std::string> faults;
  const auto loaded = store->load(&faults);
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->size(), 1u);
  EXPECT_THAT(faults, ElementsAre(HasSubstr("aaaaaaaa"), HasSubstr("another slice's")));
  EXPECT_TRUE(os::exists(folder->path() + "/aaaaaaaa.slice.damaged"));
  EXPECT_EQ(store->load(&faults)->size(), 1u);
  EXPECT_EQ(faults.size(), 2u);
}

TEST(SliceIds, AreEightLettersThatCanBeToldApart) {
  EXPECT_EQ(make_slice_id(0), "00000000");
  EXPECT_TRUE(is_slice_id(make_slice_id(0x123456789abcdef0)));
  EXPECT_NE(make_slice_id(1), make_slice_id(uint64_t{1} << 39));
  EXPECT_EQ(slice_number(make_slice_id(0x123456789a)), 0x123456789au);
  EXPECT_FALSE(is_slice_id("k3f9x2m"));
  EXPECT_FALSE(is_slice_id("k3f9x2mo"));
  EXPECT_FALSE(is_slice_id("../../xx"));
}

}  // namespace
}  // namespace runink::agent
