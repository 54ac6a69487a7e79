#include "data/ledger/gc.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/id.h"
#include "data/ledger/dead_letters.h"
#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::ledger {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kDay = int64_t{86'400} * 1'000'000;
constexpr int64_t kNow = 1'700'000'000'000'000;

class GcTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::move(os::TempFolder::create("")).value();
    ledger_.emplace(std::move(Ledger::open(folder_.path())).value());
    policy_.now_micros = kNow;
  }

  std::string run(int days_ago, RunState state = RunState::kSucceeded, const std::string& parent = "") {
    RunRecord record;
    record.started_micros = kNow - days_ago * kDay;
    record.id = make_uuid_v7(record.started_micros / 1000, {static_cast<uint8_t>(next_++)});
    record.feature = "f";
    record.parent_id = parent;
    record = std::move(ledger_->create_run(record)).value();
    record.state = state;
    record.ended_micros = record.started_micros + 1;
    EXPECT_TRUE(ledger_->update_run(record).ok());
    return record.id;
  }

  // One letter; returns its id.
  std::string letter(const std::string& run_id, int days_ago, size_t bytes = 10) {
    const DeadLetterStore store(ledger_->root());
    DeadLetterWriter writer = std::move(store.create({run_id, "f", "s", "x", "", "", 0}, "rejected")).value();
    const std::string record(bytes, 'r');
    EXPECT_TRUE(writer.append({record, run_id, 0, 1, nullptr, 0}).ok());
    EXPECT_TRUE(writer.finish().ok());
    age(writer.path(), days_ago);
    return dead_letter_id("f", "s", run_id, 0, record);
  }
  static void age(const std::string& path, int days_ago) {
    const int64_t micros = kNow - days_ago * kDay;
    const struct timespec times[2] = {{micros / 1'000'000, 0}, {micros / 1'000'000, 0}};
    ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  }

  std::vector<std::string> runs() const {
    std::vector<std::string> ids;
    const std::vector<RunRecord> records = *ledger_->list_runs();
    for (const RunRecord& record : records) ids.push_back(record.id);
    return ids;
  }
  size_t letter_files() const { return DeadLetterStore(ledger_->root()).files()->size(); }
  GcReport collect() { return std::move(collect_garbage(*ledger_, policy_)).value(); }

  os::TempFolder folder_;
  std::optional<Ledger> ledger_;
  GcPolicy policy_;
  int next_ = 0;
};

TEST_F(GcTest, WhatProgramsSaidGoesWithTheLettersAge) {
  const std::string id = run(10);
  const std::string folder = DeadLetterStore(ledger_->root()).words_folder(id);
  ASSERT_TRUE(os::make_directories(folder).ok());
  for (const char* name : {"/step-1.stderr", "/step-2.stderr"}) ASSERT_TRUE(os::write_file_atomic(folder + name, "words\n").ok());
  age(folder + "/step-1.stderr", 4000);
  age(folder + "/step-2.stderr", 1);
  const GcReport report = collect();
  ASSERT_EQ(report.removed.size(), 1u);
  EXPECT_EQ(report.removed[0].kind, "words");
  EXPECT_EQ(report.bytes_removed, 6u);
  EXPECT_THAT(*os::list_directory(folder), ElementsAre("step-2.stderr"));
  age(folder + "/step-2.stderr", 4000);
  EXPECT_EQ(collect().removed.size(), 1u);
  EXPECT_FALSE(os::exists(folder)) << "the folder goes with its last file";
}

TEST_F(GcTest, OldRunsGoAndRunningOnesStay) {
  const std::string old = run(40), running = run(50, RunState::kRunning), young = run(10);
  const uint64_t bytes = *os::tree_bytes(ledger_->run_folder(old));
  policy_.dry_run = true;
  const GcReport dry = collect();
  ASSERT_EQ(dry.removed.size(), 1u);
  EXPECT_EQ(runs().size(), 3u);
  policy_.dry_run = false;
  const GcReport report = collect();
  ASSERT_EQ(report.removed.size(), 1u);
  EXPECT_EQ(report.removed[0].run_id, old);
  EXPECT_EQ(report.removed[0].bytes, bytes);
  EXPECT_EQ(report.removed[0].path, dry.removed[0].path);
  EXPECT_EQ(report.bytes_removed, dry.bytes_removed);
  ASSERT_EQ(report.kept_over_limit.size(), 1u);
  EXPECT_EQ(report.kept_over_limit[0].run_id, running);
  EXPECT_THAT(runs(), ElementsAre(young, running));
  EXPECT_FALSE(os::exists(ledger_->run_folder(old)));
  EXPECT_THAT(*os::list_directory(ledger_->temp_root()), IsEmpty());
  EXPECT_THAT(collect().removed, IsEmpty());
}

// On a full disk the record of a run that has died stays as it was; what it left must be removable all the same.
TEST_F(GcTest, ARunWhoseProcessIsGoneIsNotInProgress) {
  const std::string dead = run(40, RunState::kRunning);
  (void)letter(dead, 100);
  policy_.is_alive = [](const os::ProcessIdentity&) { return false; };
  const GcReport report = collect();
  EXPECT_EQ(report.runs_removed, 1u);
  EXPECT_EQ(report.dead_letters_removed, 1u);
  EXPECT_THAT(runs(), IsEmpty());
  EXPECT_EQ(letter_files(), 0u);
}

TEST_F(GcTest, AFeaturesRunGoesWithItsScenarios) {
  const std::string parent = run(40), child = run(39, RunState::kSucceeded, parent);
  const std::string living = run(45), inside = run(44, RunState::kRunning, living);
  EXPECT_EQ(collect().runs_removed, 2u);
  EXPECT_THAT(runs(), ElementsAre(inside, living));
}

TEST_F(GcTest, OldestGoFirstWhenTheyTakeTooMuch) {
  std::vector<std::string> ids;
  for (int days = 5; days > 0; --days) {
    ids.push_back(run(days));
    ASSERT_TRUE(os::write_file_atomic(ledger_->run_folder(ids.back()) + "/log.ndjson", std::string(10'000, 'x')).ok());
  }
  policy_.keep_runs_bytes = 25'000;
  const GcReport report = collect();
  EXPECT_EQ(report.runs_removed, 3u);
  EXPECT_EQ(report.runs_kept, 2u);
  EXPECT_LE(report.bytes_kept, 25'000u);
  EXPECT_THAT(runs(), ElementsAre(ids[4], ids[3]));
}

TEST_F(GcTest, DeadLettersHaveTheirOwnLimits) {
  const std::string gone = run(200), recent = run(60), living = run(100, RunState::kRunning);
  (void)letter(gone, 200);
  (void)letter(recent, 60);
  (void)letter(living, 100);
  const GcReport report = collect();  // runs: 30 days; letters: 90
  EXPECT_EQ(report.dead_letters_removed, 1u);
  EXPECT_EQ(report.dead_letters_kept, 2u);
  EXPECT_EQ(letter_files(), 2u);
  EXPECT_FALSE(os::exists(ledger_->root() + "/dead-letters/" + gone));
  EXPECT_THAT(runs(), ElementsAre(living));  // the letters of `recent` outlive its record
}

TEST_F(GcTest, LettersNotReplayedAreKeptHoweverMuchTheyTake) {
  const std::string first = run(3), second = run(2);
  const std::string done = letter(first, 3, 5000);
  (void)letter(second, 2, 5000);
  policy_.keep_dead_letters_bytes = 1;
  const GcReport kept = collect();
  EXPECT_EQ(kept.dead_letters_removed, 0u);
  EXPECT_EQ(kept.kept_over_limit.size(), 2u);
  const DeadLetterStore store(ledger_->root());
  ASSERT_TRUE(store.record_replay(make_uuid_v7(1, {}), {{done, make_uuid_v7(1, {}), "accepted", kNow}}).ok());
  const GcReport report = collect();
  EXPECT_EQ(report.dead_letters_removed, 1u);
  EXPECT_EQ(report.removed[0].run_id, first);
  EXPECT_EQ(letter_files(), 1u);
  EXPECT_TRUE(os::exists(store.replay_file(make_uuid_v7(1, {}))));
  age(store.replay_file(make_uuid_v7(1, {})), 100);
  EXPECT_EQ(collect().removed.size(), 1u);
  EXPECT_FALSE(os::exists(store.replay_file(make_uuid_v7(1, {}))));
}

}  // namespace
}  // namespace runink::ledger
