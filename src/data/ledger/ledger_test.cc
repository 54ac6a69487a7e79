#include "data/ledger/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "base/id.h"
#include "data/ledger/publish_record.h"
#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::ledger {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string id_at(int64_t millis) { return make_uuid_v7(millis, {1, 2, 3, 4, 5, 6, 7, 8, 9, static_cast<uint8_t>(millis)}); }

class LedgerTest : public ::testing::Test {
 protected:
  void SetUp() override { folder_ = std::move(os::TempFolder::create("")).value(); }
  Ledger ledger() { return std::move(Ledger::open(folder_.path())).value(); }

  RunRecord run(const Ledger& ledger, int64_t millis, const std::string& scenario = "s", const std::string& parent = "") {
    RunRecord record;
    record.id = id_at(millis);
    record.feature = "features/a.dsl";
    record.scenario = scenario;
    record.parent_id = parent;
    record.started_micros = millis * 1000;
    return std::move(ledger.create_run(record)).value();
  }

  LineageEvent event_of(const RunRecord& record, EventType type) {
    LineageEvent event;
    event.type = type;
    event.time_micros = record.started_micros;
    event.run_id = record.id;
    event.job_namespace = "runink://default";
    event.job_name = record.job_name();
    event.runink_version = "0.1.0";
    LineageDataset input;
    input.name_space = "file";
    input.name = "/data/in.csv";
    event.inputs = {input};
    return event;
  }

  std::vector<EventType> events(const Ledger& ledger, const std::string& id) {
    std::vector<EventType> types;
    const std::vector<std::string> lines = *read_event_lines(ledger.lineage_file(id));
    for (const std::string& line : lines) types.push_back(*event_type_of(line));
    return types;
  }

  Ledger::SweepOptions everyone_is_dead() {
    Ledger::SweepOptions options;
    options.now_micros = 2'000'000'000'000'000;
    options.is_alive = [](const os::ProcessIdentity&) { return false; };
    return options;
  }

  os::TempFolder folder_;
};

TEST_F(LedgerTest, LayoutIsPrivateAndVersioned) {
  EXPECT_EQ(Ledger::open_existing(folder_.path()).status().kind(), "ledger.none");
  EXPECT_FALSE(os::exists(folder_.file(".runink")));
  (void)ledger();
  EXPECT_EQ(os::file_info(folder_.file(".runink"))->permissions, 0700u);
  EXPECT_TRUE(Ledger::open_existing(folder_.path()).ok());
  ASSERT_TRUE(os::write_file_atomic(folder_.file(".runink/FORMAT"), "2\n").ok());
  EXPECT_EQ(Ledger::open(folder_.path()).status().code(), Code::kFailedPrecondition);
  ASSERT_TRUE(os::write_file_atomic(folder_.file(".runink/FORMAT"), "x").ok());
  EXPECT_EQ(Ledger::open_existing(folder_.path()).status().code(), Code::kDataLoss);
}

TEST_F(LedgerTest, CreatesUpdatesAndLoads) {
  const Ledger l = ledger();
  RunRecord record;
  record.feature = "features/a.dsl";
  record.plan_json = "{\"plan\":1}";
  record = std::move(l.create_run(record)).value();
  EXPECT_TRUE(is_uuid(record.id));
  EXPECT_EQ(record.process.pid, ::getpid());
  EXPECT_GT(record.started_micros, 0);
  EXPECT_EQ(l.create_run(record).status().code(), Code::kAlreadyExists);
  EXPECT_EQ(os::file_info(l.run_folder(record.id))->permissions, 0700u);
  record.records_in = 42;
  record.state = RunState::kSucceeded;
  ASSERT_TRUE(l.update_run(record).ok());
  const RunRecord back = std::move(l.load_run(record.id)).value();
  EXPECT_EQ(back.records_in, 42u);
  EXPECT_EQ(back.plan_json, "{\"plan\":1}");
  EXPECT_EQ(l.load_run(id_at(1)).status().code(), Code::kNotFound);
  EXPECT_EQ(l.load_run("../../etc").status().code(), Code::kNotFound);
  RunRecord wrong;
  wrong.id = "../x";
  EXPECT_EQ(l.create_run(wrong).status().code(), Code::kInvalidArgument);
}

TEST_F(LedgerTest, ListsNewestFirstWithFilters) {
  const Ledger l = ledger();
  const RunRecord parent = run(l, 1000, "");
  const RunRecord a = run(l, 1001, "a", parent.id), b = run(l, 1002, "b", parent.id);
  RunRecord other = run(l, 2000, "a");
  other.state = RunState::kSucceeded;
  ASSERT_TRUE(l.update_run(other).ok());
  const auto ids = [&](const RunFilter& filter) {
    std::vector<std::string> found;
    const std::vector<RunRecord> records = *l.list_runs(filter);
    for (const RunRecord& record : records) found.push_back(record.id);
    return found;
  };
  EXPECT_THAT(ids({}), ElementsAre(other.id, b.id, a.id, parent.id));
  RunFilter filter;
  filter.scenario = "a";
  EXPECT_THAT(ids(filter), ElementsAre(other.id, a.id));
  filter.limit = 1;
  EXPECT_THAT(ids(filter), ElementsAre(other.id));
  filter = {};
  filter.parent_id = parent.id;
  EXPECT_THAT(ids(filter), ElementsAre(b.id, a.id));
  filter = {};
  filter.parents_only = true;
  EXPECT_THAT(ids(filter), ElementsAre(other.id, parent.id));
  filter = {};
  filter.state = RunState::kSucceeded;
  EXPECT_THAT(ids(filter), ElementsAre(other.id));
  filter = {};
  filter.since_micros = 1'002'000;
  EXPECT_THAT(ids(filter), ElementsAre(other.id, b.id));
  filter = {};
  filter.feature = "features/none.dsl";
  EXPECT_THAT(ids(filter), IsEmpty());

  ASSERT_TRUE(os::write_file_atomic(l.run_folder(b.id) + "/run.json", "{\"format\":1,").ok());
  std::vector<Status> problems;
  EXPECT_EQ(l.list_runs({}, &problems)->size(), 3u);
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_THAT(problems[0].message(), HasSubstr(b.id));
}

TEST_F(LedgerTest, FindsByPrefixSuffixAndLast) {
  const Ledger l = ledger();
  EXPECT_EQ(l.find_run("last").status().kind(), "ledger.none");
  const RunRecord parent = run(l, 1'700'000'000'000, "");
  const RunRecord child = run(l, 1'700'000'000'001, "a", parent.id);
  EXPECT_EQ(*l.find_run("last"), parent.id);
  EXPECT_EQ(*l.find_run(child.id), child.id);
  EXPECT_EQ(*l.find_run(child.id.substr(child.id.size() - 6)), child.id);
  const Status both = l.find_run(parent.id.substr(0, 8)).status();
  EXPECT_EQ(both.code(), Code::kInvalidArgument);
  EXPECT_EQ(both.details().size(), 2u);
  EXPECT_EQ(l.find_run("018").status().code(), Code::kNotFound);
  EXPECT_EQ(l.find_run("ffffffff").status().code(), Code::kNotFound);
}

TEST_F(LedgerTest, OneRunAtATime) {
  const Ledger l = ledger();
  const os::FileLock lock = std::move(l.lock_for_run("runi run a.dsl")).value();
  const Status second = l.lock_for_run("runi run b.dsl").status();
  EXPECT_EQ(second.kind(), "lock.held");
  EXPECT_THAT(second.to_string(), HasSubstr("runi run a.dsl"));
}

TEST_F(LedgerTest, FinishWritesOneTerminalEvent) {
  const Ledger l = ledger();
  RunRecord record = run(l, 1000);
  ASSERT_TRUE(l.append_lineage(event_of(record, EventType::kStart)).ok());
  EXPECT_FALSE(l.finish_run(&record, event_of(record, EventType::kComplete)).ok());  // still says running
  record.state = RunState::kSucceeded;
  EXPECT_FALSE(l.finish_run(&record, event_of(record, EventType::kStart)).ok());
  ASSERT_TRUE(l.finish_run(&record, event_of(record, EventType::kComplete)).ok());
  ASSERT_TRUE(l.finish_run(&record, event_of(record, EventType::kFail)).ok());
  EXPECT_THAT(events(l, record.id), ElementsAre(EventType::kStart, EventType::kComplete));
  EXPECT_GT(l.load_run(record.id)->ended_micros, 0);
  EXPECT_THAT(*l.sweep_killed_runs(everyone_is_dead()), IsEmpty());
}

TEST_F(LedgerTest, SweepAbortsKilledRunsOnce) {
  const Ledger l = ledger();
  const RunRecord killed = run(l, 1000);
  ASSERT_TRUE(l.append_lineage(event_of(killed, EventType::kStart)).ok());
  EXPECT_THAT(*l.sweep_killed_runs(), IsEmpty());  // this process lives
  const auto swept = l.sweep_killed_runs(everyone_is_dead());
  ASSERT_TRUE(swept.ok()) << swept.status().to_string();
  ASSERT_EQ(swept->size(), 1u);
  EXPECT_EQ(swept->front().state, RunState::kAborted);
  EXPECT_EQ(l.load_run(killed.id)->state, RunState::kAborted);
  EXPECT_EQ(l.load_run(killed.id)->ended_micros, 2'000'000'000'000'000);
  EXPECT_THAT(*l.sweep_killed_runs(everyone_is_dead()), IsEmpty());
  EXPECT_THAT(events(l, killed.id), ElementsAre(EventType::kStart, EventType::kAbort));
  const std::string abort = read_event_lines(l.lineage_file(killed.id))->back();
  EXPECT_THAT(abort, HasSubstr("/data/in.csv"));  // what START said is said again
  EXPECT_THAT(abort, HasSubstr("without a word"));
}

TEST_F(LedgerTest, SweepHonoursATerminalEventThatWasWritten) {
  const Ledger l = ledger();
  const RunRecord record = run(l, 1000);
  ASSERT_TRUE(l.append_lineage(event_of(record, EventType::kStart)).ok());
  ASSERT_TRUE(l.append_lineage(event_of(record, EventType::kComplete)).ok());  // killed before its record said so
  EXPECT_EQ(l.sweep_killed_runs(everyone_is_dead())->at(0).state, RunState::kSucceeded);
  EXPECT_THAT(events(l, record.id), ElementsAre(EventType::kStart, EventType::kComplete));
}

TEST_F(LedgerTest, SweepOfARunKilledBeforeItsStartEventWritesBoth) {
  const Ledger l = ledger();
  const RunRecord record = run(l, 1000);
  // Torn in the middle of START.
  ASSERT_TRUE(os::write_file_atomic(l.lineage_file(record.id), "{\"eventType\":\"STA").ok());
  EXPECT_EQ(l.sweep_killed_runs(everyone_is_dead())->size(), 1u);
  EXPECT_THAT(events(l, record.id), ElementsAre(EventType::kStart, EventType::kAbort));
}

TEST_F(LedgerTest, ARunKilledBehindItsOwnLastEventIsToldAsThatEventSays) {
  const Ledger l = ledger();
  const RunRecord interrupted = run(l, 1000);
  ASSERT_TRUE(l.append_lineage(event_of(interrupted, EventType::kStart)).ok());
  LineageEvent abort = event_of(interrupted, EventType::kAbort);
  abort.error_message = "interrupted";
  ASSERT_TRUE(l.append_lineage(abort).ok());
  const RunRecord failed = run(l, 2000);
  ASSERT_TRUE(l.append_lineage(event_of(failed, EventType::kStart)).ok());
  LineageEvent fail = event_of(failed, EventType::kFail);
  fail.error_message = "the disk is full";
  ASSERT_TRUE(l.append_lineage(fail).ok());

  ASSERT_EQ(l.sweep_killed_runs(everyone_is_dead())->size(), 2u);
  RunRecord swept = *l.load_run(interrupted.id);
  EXPECT_EQ(swept.state, RunState::kInterrupted);
  EXPECT_EQ(swept.reason, "interrupted");
  EXPECT_EQ(swept.error_kind, "run.interrupted");
  EXPECT_EQ(swept.exit_code, 130);
  EXPECT_THAT(events(l, interrupted.id), ElementsAre(EventType::kStart, EventType::kAbort));
  swept = *l.load_run(failed.id);
  EXPECT_EQ(swept.state, RunState::kFailed);
  EXPECT_EQ(swept.reason, "the disk is full");
}

// A sweep that is killed between event and record leaves an ABORT too, which is not the run's own.
TEST_F(LedgerTest, AnAbortOfAnEarlierSweepIsNoInterruption) {
  const Ledger l = ledger();
  const RunRecord killed = run(l, 1000);
  ASSERT_TRUE(l.append_lineage(event_of(killed, EventType::kStart)).ok());
  LineageEvent abort = event_of(killed, EventType::kAbort);
  abort.error_message = fmt::format("its process ({}) ended without a word", killed.process.pid);
  ASSERT_TRUE(l.append_lineage(abort).ok());
  EXPECT_EQ(l.sweep_killed_runs(everyone_is_dead())->at(0).state, RunState::kAborted);
}

TEST_F(LedgerTest, ManySweepsAtATimeWriteOneAbort) {
  const Ledger l = ledger();
  std::vector<RunRecord> killed;
  for (int i = 0; i < 5; ++i) {
    killed.push_back(run(l, 1000 + i));
    ASSERT_TRUE(l.append_lineage(event_of(killed.back(), EventType::kStart)).ok());
  }
  std::vector<std::thread> threads;
  std::atomic<size_t> swept{0};
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { swept += l.sweep_killed_runs(everyone_is_dead())->size(); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(swept, 5u);
  for (const RunRecord& record : killed) {
    EXPECT_THAT(events(l, record.id), ElementsAre(EventType::kStart, EventType::kAbort));
  }
}

TEST_F(LedgerTest, SweepFindsARealKilledProcessAndItsScratch) {
  const Ledger l = ledger();
  const pid_t pid = ::fork();
  if (pid == 0) {
    RunRecord record;
    record.id = id_at(1000);
    record.feature = "f";
    (void)l.create_run(record);
    (void)os::make_directories(l.temp_root() + "/" + record.id + "-spill/x");
    ::_exit(0);
  }
  ASSERT_EQ(::waitpid(pid, nullptr, 0), pid);
  const RunRecord alive = run(l, 2000);
  ASSERT_TRUE(os::make_directories(l.temp_root() + "/" + alive.id).ok());
  const auto swept = l.sweep_killed_runs();
  ASSERT_TRUE(swept.ok()) << swept.status().to_string();
  ASSERT_EQ(swept->size(), 1u);
  EXPECT_EQ(swept->front().id, id_at(1000));
  EXPECT_THAT(*os::list_directory(l.temp_root()), ElementsAre(alive.id));
}

// It may hold the room that settling needs.
TEST_F(LedgerTest, ScratchOfADeadRunGoesEvenWhereTheRunCannotBeSettled) {
  const Ledger l = ledger();
  const RunRecord dead = run(l, 1000);
  ASSERT_TRUE(os::make_directories(l.lineage_file(dead.id)).ok());  // a folder where a file belongs
  ASSERT_TRUE(os::make_directories(l.temp_root() + "/" + dead.id + "-spill").ok());
  EXPECT_FALSE(l.sweep_killed_runs(everyone_is_dead()).ok());
  EXPECT_THAT(*os::list_directory(l.temp_root()), IsEmpty());
}

TEST_F(LedgerTest, ARunKilledAfterItPublishedIsKnownToHavePublished) {
  const Ledger l = ledger();
  int64_t millis = 1000;
  for (const char* point : {"recorded", "record retired", "synced:0"}) {
    const std::string id = id_at(++millis);
    const pid_t pid = ::fork();
    if (pid == 0) {
      RunRecord record;
      record.id = id;
      (void)l.create_run(record);
      auto outputs = OutputSet::begin(l.root(), id, [&](const std::string& at) {
        if (at == point) ::_exit(0);
      });
      (void)outputs->open(folder_.file("out"));
      (void)outputs->publish();
      ::_exit(1);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    ASSERT_EQ(status, 0);
    ASSERT_TRUE(complete_or_discard_torn_publish(l.root()).ok());
    ASSERT_EQ(l.sweep_killed_runs()->size(), 1u);
    const bool published = std::string_view(point) != "synced:0";
    EXPECT_EQ(l.was_published(id), published) << point;
    EXPECT_EQ(l.load_run(id)->labels.contains("published"), published) << point;
    EXPECT_EQ(l.load_run(id)->state, RunState::kAborted);
    EXPECT_EQ(os::exists(folder_.file("out")), published);
    ASSERT_TRUE(os::remove_file(folder_.file("out")).ok());
  }
}

TEST_F(LedgerTest, SweepSettlesTheOthersBeforeItTellsOfADamagedRecord) {
  const Ledger l = ledger();
  const RunRecord damaged = run(l, 1000), good = run(l, 1001);
  ASSERT_TRUE(os::write_file_atomic(l.run_folder(damaged.id) + "/run.json", "rubbish").ok());
  const Status status = l.sweep_killed_runs(everyone_is_dead()).status();
  EXPECT_EQ(status.code(), Code::kDataLoss);
  EXPECT_THAT(status.to_string(), HasSubstr(damaged.id));
  EXPECT_EQ(l.load_run(good.id)->state, RunState::kAborted);
}

TEST_F(LedgerTest, AppendCutsATornLineOff) {
  const std::string path = folder_.file("lineage.ndjson");
  ASSERT_TRUE(append_event_line(path, "{\"a\":1}").ok());
  {
    const os::Fd fd = std::move(os::open_file(path, os::OpenMode::kAppend)).value();
    ASSERT_TRUE(os::write_all(fd, std::string(100'000, 'x')).ok());
  }
  EXPECT_THAT(*read_event_lines(path), ElementsAre("{\"a\":1}"));
  ASSERT_TRUE(append_event_line(path, "{\"b\":2}").ok());
  EXPECT_EQ(*os::read_file(path), "{\"a\":1}\n{\"b\":2}\n");
  EXPECT_THAT(*read_event_lines(folder_.file("none")), IsEmpty());
}

}  // namespace
}  // namespace runink::ledger
