// Whole runs through the embedded runner: what a record says, what annotations do, what resume does again.

#include "client/local/runner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "base/text.h"
#include "client/local/project_in_test.h"
#include "client/local/program_files.h"
#include "client/local/resume.h"

namespace runink::local {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kContract =
    "contract C { int64 a [[required, range(0, 10)]]; string b [[required, length(1, 3)]]; }\n";

struct Ran {
  RunOutcome outcome;
  std::vector<std::string> notes;
  const Status& status() const { return outcome.status; }
};

class RunnerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::signal(SIGPIPE, SIG_IGN);  // as runi does: steps may end before they have read all
    p_.write("contracts/c.contract", kContract);
    p_.write("data/in.ndjson", "{\"a\":1,\"b\":\"x\"}\n{\"a\":2,\"b\":\"y\"}\n{\"a\":3,\"b\":\"z\"}\n");
  }
  Ran run(const std::string& feature, RunOptions options = {}) {
    p_.write("features/f.dsl", feature);
    return go(std::move(options));
  }
  Ran go(RunOptions options = {}) {
    Ran out;
    options.feature = "features/f.dsl";
    if (options.threads == 0) options.threads = 2;
    options.on_note = [&](const std::string& note) { out.notes.push_back(note); };
    auto outcome = run_feature(p_.project(), options);
    EXPECT_TRUE(outcome.ok()) << outcome.status().to_string() << "\n" << join(outcome.status().details(), "\n");
    if (outcome.ok()) out.outcome = std::move(*outcome);
    return out;
  }
  TestProject p_;
};

TEST_F(RunnerTest, EachSinkOfRejectedRecordsHasItsOwnCount) {
  p_.write("data/in.ndjson",
           "{\"a\":1,\"b\":\"x\"}\n{\"a\":99,\"b\":\"y\"}\n{\"a\":98,\"b\":\"z\"}\n{\"a\":3,\"b\":\"long\"}\n");
  const Ran done = run(R"(Feature: F
  Scenario: S
    @source("data/in.ndjson") @contract("contracts/c.contract")
    Given rows arrive
    When records are checked against the contract
    Then valid records are written to "out/good.ndjson"
     And records rejected by rule "a.range" are written to "out/range.ndjson"
     And records rejected by rule "b.length" are written to "out/length.ndjson"
     And rejected records go to dead letters to "out/all.ndjson"
)");
  ASSERT_TRUE(done.status().ok()) << done.status().to_string();
  std::map<std::string, uint64_t> rows;
  for (const auto& s : done.outcome.scenarios.at(0).sinks) rows[s.name] = s.rows;
  EXPECT_EQ(rows["good"], 1u);
  EXPECT_EQ(rows["range"], 2u);
  EXPECT_EQ(rows["length"], 1u);
  EXPECT_EQ(rows["all"], 3u);
  const std::string events = p_.read(".runink/runs/" + done.outcome.scenarios[0].id + "/lineage.ndjson");
  EXPECT_THAT(events, HasSubstr("\"rowCount\":2"));
}

// ---- what annotations above a scenario do
// ------------------------------------------------------------------------------

std::string sorting(const std::string& annotations) {
  return "Feature: F\n  " + annotations + R"(
  Scenario: S
    @source("data/in.ndjson") @contract("contracts/c.contract")
    Given rows arrive
    When records are sorted by b
    Then records are written to "out/s.ndjson"
)";
}

TEST_F(RunnerTest, RequiredCpuAndMemoryBoundTheRun) {
  std::string rows;
  for (int i = 0; i < 60'000; ++i) rows += fmt::format("{{\"a\":{},\"b\":\"k{}\"}}\n", i % 10, i % 89);
  p_.write("data/in.ndjson", rows);
  RunOptions options;
  options.threads = 3;
  const Ran free = run(sorting("@wide"), options);
  EXPECT_EQ(free.outcome.scenarios.at(0).threads, 3);
  EXPECT_EQ(free.outcome.scenarios.at(0).spilled_bytes, 0u);
  const std::string whole = p_.read("out/s.ndjson");

  options.compile.strict = true;  // nothing is without effect
  const Ran bound = run(sorting("@requires(cpu=2.5, memory=\"1Mi\")"), options);
  ASSERT_TRUE(bound.status().ok()) << bound.status().to_string();
  EXPECT_EQ(bound.outcome.scenarios.at(0).threads, 2);
  EXPECT_GT(bound.outcome.scenarios.at(0).spilled_bytes, 0u);
  EXPECT_EQ(p_.read("out/s.ndjson"), whole);

  options.memory_budget_bytes = 1 << 20;  // the smaller of both counts
  EXPECT_GT(run(sorting("@requires(memory=\"1Gi\")"), options).outcome.scenarios.at(0).spilled_bytes, 0u);
  options.threads = 1;
  EXPECT_EQ(run(sorting("@requires(cpu=8)"), options).outcome.scenarios.at(0).threads, 1);
}

TEST_F(RunnerTest, ATimeoutEndsTheWholeScenario) {
  const Ran done = run(R"(Feature: F
  @timeout("150ms") @retry(1)
  Scenario: S
    @source(exec="sleep 600", format="ndjson") @contract("contracts/c.contract")
    Given rows arrive
    Then records are written to "out/s.ndjson"
    Notifications:
      - file:told.ndjson on failure
)");
  EXPECT_EQ(done.status().code(), Code::kDeadlineExceeded);
  EXPECT_EQ(done.status().kind(), "scenario.timeout");
  ASSERT_EQ(done.outcome.scenarios.size(), 2u);  // a run that took too long is one that failed
  EXPECT_EQ(done.outcome.scenarios[1].state, ledger::RunState::kFailed);
  EXPECT_EQ(done.outcome.scenarios[1].exit_code, 124);
  EXPECT_EQ(done.outcome.parent.exit_code, 124);
  EXPECT_FALSE(p_.exists("out/s.ndjson"));
  EXPECT_THAT(p_.read("told.ndjson"), HasSubstr("@timeout of 150 ms"));
}

TEST_F(RunnerTest, NoTimeoutNoEnd) { EXPECT_TRUE(run(sorting("@timeout(\"10m\")")).status().ok()); }

// Fails as long as the file `attempts` has fewer than `failures` lines.
std::string flaky(int failures, const std::string& then) {
  return fmt::format("echo x >> attempts; [ $(wc -l < attempts) -gt {} ] || {{ echo not yet >&2; exit 3; }}\n{}\n",
                     failures, then);
}

std::string retried(int times) {
  return fmt::format(R"(Feature: F
  @retry({})
  Scenario: S
    @source(exec="sh flaky.sh", format="ndjson") @contract("contracts/c.contract")
    Given rows arrive
    Then records are written to "out/s.ndjson"
    Notifications:
      - file:told.ndjson always
)",
                     times);
}

TEST_F(RunnerTest, AScenarioThatFailsIsRunAgain) {
  p_.write("flaky.sh", flaky(1, "cat data/in.ndjson"));
  const Ran done = run(retried(2));
  ASSERT_TRUE(done.status().ok()) << done.status().to_string();
  ASSERT_EQ(done.outcome.scenarios.size(), 2u);
  EXPECT_EQ(done.outcome.scenarios[0].state, ledger::RunState::kFailed);
  EXPECT_EQ(done.outcome.scenarios[1].state, ledger::RunState::kSucceeded);
  EXPECT_EQ(done.outcome.parent.records_in, 3u);
  EXPECT_EQ(p_.read("out/s.ndjson"), p_.read("data/in.ndjson"));
  EXPECT_THAT(join(done.notes, "\n"), HasSubstr("running it again (1 of 2)"));
  // Who is told of failures is told of the last one only.
  const std::string told = p_.read("told.ndjson");
  EXPECT_THAT(split(told, '\n'), testing::SizeIs(2));
  EXPECT_THAT(p_.read("told.ndjson"), HasSubstr("\"succeeded\""));
}

TEST_F(RunnerTest, RetriesEnd) {
  p_.write("flaky.sh", flaky(5, "cat data/in.ndjson"));
  const Ran done = run(retried(1));
  EXPECT_FALSE(done.status().ok());
  EXPECT_EQ(done.outcome.scenarios.size(), 2u);
  EXPECT_EQ(p_.read("attempts"), "x\nx\n");
  EXPECT_THAT(p_.read("told.ndjson"), HasSubstr("\"failed\""));
}

TEST_F(RunnerTest, RulesThatDoNotHoldAreNotTriedAgain) {
  p_.write("flaky.sh", "cat data/in.ndjson\n");
  const Ran done = run(retried(3) + "    Assertions:\n      - at least 4 records are processed\n");
  EXPECT_EQ(done.status().kind(), "data.wrong");
  EXPECT_EQ(done.outcome.scenarios.size(), 1u);
}

std::string with_step(int times) {
  return fmt::format(R"(Feature: F
  Scenario: S
    @source("data/in.ndjson") @contract("contracts/c.contract")
    Given rows arrive
    @exec("sh flaky.sh") @retry({})
    When somebody looks again
    Then records are written to "out/s.ndjson"
)",
                     times);
}

TEST_F(RunnerTest, AStepThatFailsIsSentAllRecordsAgain) {
  std::string rows;
  for (int i = 0; i < 50'000; ++i) rows += fmt::format("{{\"a\":{},\"b\":\"k{}\"}}\n", i % 10, i % 89);
  p_.write("data/in.ndjson", rows);
  for (const char* reads : {"", "head -c 1000 > /dev/null; ", "cat > /dev/null; "}) {
    p_.write("attempts", "");
    p_.write("flaky.sh", "if [ ! -s attempts ]; then " + std::string(reads) + "echo x >> attempts; exit 3; fi; cat\n");
    const Ran done = run(with_step(1));
    ASSERT_TRUE(done.status().ok()) << reads << done.status().to_string();
    EXPECT_EQ(done.outcome.scenarios.size(), 1u);
    EXPECT_EQ(p_.read("out/s.ndjson"), rows) << reads;
    EXPECT_THAT(join(done.notes, "\n"), HasSubstr("failed and was run again (1 of 1)"));
  }
}

TEST_F(RunnerTest, RetriesOfAStepEnd) {
  p_.write("flaky.sh", flaky(9, "cat"));
  const Ran done = run(with_step(2));
  EXPECT_EQ(done.status().kind(), "step.failed") << done.status().to_string();
  EXPECT_EQ(p_.read("attempts"), "x\nx\nx\n");
  EXPECT_FALSE(p_.exists("out/s.ndjson"));
}

// ---- resume
// ----------------------------------------------------------------------------------------------------------------

constexpr const char* kTwo = R"(Feature: F
  Scenario: First
    @source("data/in.ndjson") @contract("contracts/c.contract")
    Given rows arrive
    Then records are written to "out/first.ndjson"
    @sink("out/log.ndjson", mode="append")
    Then records are written
  Scenario: Second
    Given the output of scenario "First"
    @exec("sh late.sh")
    When somebody looks again
    Then records are written to "out/second.ndjson"
)";

class ResumeTest : public RunnerTest {
 protected:
  void SetUp() override {
    RunnerTest::SetUp();
    p_.write("late.sh", "[ -e ready ] || exit 1; cat\n");
    const Ran failed = run(kTwo);
    ASSERT_FALSE(failed.status().ok());
    ASSERT_EQ(failed.outcome.scenarios.at(0).state, ledger::RunState::kSucceeded);
    first_ = failed.outcome.parent.id;
    rows_ = p_.read("data/in.ndjson");
    p_.write("ready", "");
  }
  Ran resume() {
    RunOptions options;
    options.resume_of = first_;
    Ran done = go(options);
    EXPECT_TRUE(done.status().ok()) << done.status().to_string();
    EXPECT_EQ(p_.read("out/first.ndjson"), rows_);
    EXPECT_EQ(p_.read("out/second.ndjson"), rows_);
    return done;
  }
  std::string first_, rows_;
};

TEST_F(ResumeTest, CompleteScenariosAreLeftOut) {
  const Ran done = resume();
  EXPECT_THAT(done.outcome.skipped, ElementsAre("First"));
  EXPECT_EQ(p_.read("out/log.ndjson"), rows_);
  EXPECT_THAT(join(done.notes, "\n"), Not(HasSubstr("runs again")));
}

TEST_F(ResumeTest, OutputsThatAreGoneAreMadeAgain) {
  std::filesystem::remove(p_.root() + "/out/first.ndjson");
  std::filesystem::remove(p_.root() + "/out/log.ndjson");
  const Ran done = resume();
  EXPECT_TRUE(done.outcome.skipped.empty());
  EXPECT_EQ(p_.read("out/log.ndjson"), rows_);
  EXPECT_THAT(join(done.notes, "\n"), HasSubstr("scenario \"First\" was complete and runs again: "));
  EXPECT_THAT(join(done.notes, "\n"), HasSubstr("/out/first.ndjson is not there any more"));
}

TEST_F(ResumeTest, OutputsThatHaveChangedAreMadeAgain) {
  p_.write("out/first.ndjson", rows_.substr(1));
  EXPECT_THAT(join(resume().notes, "\n"), HasSubstr("/out/first.ndjson has changed since it was published"));
}

TEST_F(ResumeTest, WhatOthersAppendIsNoChange) {
  p_.write("out/log.ndjson", rows_ + "{}\n");
  EXPECT_THAT(resume().outcome.skipped, ElementsAre("First"));
}

TEST_F(ResumeTest, AProgramThatHasChangedIsRefused) {
  p_.write("late.sh", "cat\n");
  RunOptions options;
  options.feature = "features/f.dsl";
  options.resume_of = first_;
  const Status status = run_feature(p_.project(), options).status();
  EXPECT_EQ(status.kind(), "resume.changed");
  EXPECT_THAT(status.message(), HasSubstr("or what its programs are made of"));
  EXPECT_EQ(p_.read("out/log.ndjson"), rows_);
}

TEST_F(RunnerTest, ProgramsAreMadeOfTheFilesThatTheyName) {
  for (const std::string file : {"steps/a.sh", "tools/b.py", "tools/c.jq", "out/seen.txt", ".runink/x.sh", "tools/unnamed.py"}) p_.write(file, "");
  p_.write("features/p.dsl", R"(Feature: P
  Scenario: S
    @source("data/in.ndjson") @contract("contracts/c.contract")
    Given rows arrive
    @exec("sh -c 'sh steps/a.sh | python3 ./tools/b.py --filter=tools/c.jq | tee out/seen.txt'")
    When something happens
    @exec("sh .runink/x.sh tools ../outside.sh out/seen.txt")
    And something else happens
    Then records are written to "out/p.ndjson"
)");
  Diagnostics diagnostics;
  const auto plan = p_.project().compile("features/p.dsl", {}, &diagnostics);
  ASSERT_TRUE(plan.ok()) << plan.status().to_string();
  EXPECT_THAT(program_files(*plan, p_.root()), ElementsAre("steps/a.sh", "tools/b.py", "tools/c.jq"));
}

TEST_F(RunnerTest, LargeFilesAreToldBySizeAndTime) {
  const auto hash = [&] { return p_.project().hash_files({"tools/big.bin", "tools/a.sh"}).value(); };
  p_.write("tools/a.sh", "x");
  p_.write("tools/big.bin", std::string(5 << 20, 'x'));
  const std::string before = hash();
  EXPECT_EQ(hash(), before);
  p_.write("tools/big.bin", std::string((5 << 20) + 1, 'x'));
  const std::string larger = hash();
  EXPECT_NE(larger, before);
  p_.write("tools/a.sh", "y");
  EXPECT_NE(hash(), larger);
}

TEST_F(ResumeTest, RowsThatAreGoneAreMadeAgain) {
  std::filesystem::remove_all(p_.root() + "/.runink/spool");
  const Ran done = resume();
  EXPECT_TRUE(done.outcome.skipped.empty());
  EXPECT_THAT(join(done.notes, "\n"), HasSubstr("the rows that \"Second\" reads of it are not kept any more"));
}

TEST_F(ResumeTest, ARunThatBeganAnewDoesNotGoOnFromTheOneBefore) {
  StopFlag stop;
  stop.request();
  RunOptions options;
  options.restart_of = first_;
  options.stop = &stop;
  const Ran again = go(options);
  ASSERT_EQ(again.status().kind(), "run.interrupted");
  first_ = again.outcome.parent.id;
  const Ran done = resume();
  EXPECT_TRUE(done.outcome.skipped.empty());
  EXPECT_THAT(join(done.notes, "\n"), Not(HasSubstr("was complete")));
}

TEST_F(ResumeTest, ARunThatIsCompleteGoesOnWhereAnOutputIsGone) {
  const std::string second = resume().outcome.parent.id;
  auto ledger = ledger::Ledger::open_existing(p_.root()).value();
  EXPECT_TRUE(*outputs_are_there(ledger, second));
  std::filesystem::remove(p_.root() + "/out/first.ndjson");
  EXPECT_FALSE(*outputs_are_there(ledger, second));
  first_ = second;
  const Ran done = resume();
  EXPECT_THAT(done.outcome.skipped, ElementsAre("Second"));
}

// ---- notifications
// -----------------------------------------------------------------------------------------------------------

std::string notifying(const std::string& assertion) {
  return R"(Feature: F
  Scenario: S
    @source("data/in.ndjson") @contract("contracts/c.contract")
    Given rows arrive
    Then records are written to "out/s.ndjson"
    Notifications:
      - stderr always
      - file:told/failure.ndjson
      - file:told/success.ndjson on success
      - exec:sh told.sh on failure
      exec: sh told.sh ok on success
    Assertions:
      - )" +
         assertion + "\n";
}

TEST_F(RunnerTest, NotificationsOfSuccess) {
  p_.write("told.sh", "cat > told.$1\n");
  testing::internal::CaptureStderr();
  const Ran done = run(notifying("at least 3 records are processed"));
  const std::string error = testing::internal::GetCapturedStderr();
  ASSERT_TRUE(done.status().ok()) << done.status().to_string();
  EXPECT_EQ(error, "notification: scenario \"S\" succeeded: all is well\n");
  EXPECT_FALSE(p_.exists("told/failure.ndjson"));
  EXPECT_FALSE(p_.exists("told."));
  const std::string message = p_.read("told/success.ndjson");
  EXPECT_EQ(p_.read("told.ok"), message);
  EXPECT_THAT(message, HasSubstr("\"run\":\"" + done.outcome.scenarios.at(0).id + "\""));
  EXPECT_THAT(message,
              HasSubstr("\"state\":\"succeeded\",\"records\":3,\"valid\":3,\"rejected\":0,\"reason\":\"\"}\n"));
  run(notifying("at least 3 records are processed"));
  const std::string told = p_.read("told/success.ndjson");
  EXPECT_THAT(split(told, '\n'), testing::SizeIs(3));  // one line a run
}

TEST_F(RunnerTest, NotificationsOfFailure) {
  p_.write("told.sh", "cat > told.$1\n");
  testing::internal::CaptureStderr();
  const Ran done = run(notifying("at least 4 records are processed"));
  const std::string error = testing::internal::GetCapturedStderr();
  EXPECT_EQ(done.status().kind(), "data.wrong");
  EXPECT_THAT(error, HasSubstr("notification: scenario \"S\" failed: "));
  EXPECT_FALSE(p_.exists("told/success.ndjson"));
  EXPECT_FALSE(p_.exists("told.ok"));
  EXPECT_THAT(p_.read("told/failure.ndjson"), HasSubstr("\"state\":\"failed\""));
  EXPECT_EQ(p_.read("told."), p_.read("told/failure.ndjson"));
}

TEST_F(RunnerTest, ANotificationThatCannotBeSentIsSaidAndNothingMore) {
  p_.write("told.sh", "exit 7\n");
  p_.write("told", "a file where a folder should be");
  testing::internal::CaptureStderr();
  const Ran done = run(notifying("at least 3 records are processed"));
  testing::internal::GetCapturedStderr();
  EXPECT_TRUE(done.status().ok()) << done.status().to_string();
  const std::string notes = join(done.notes, "\n");
  EXPECT_THAT(notes, HasSubstr("notification file:told/success.ndjson was not sent: "));
  EXPECT_THAT(notes, HasSubstr("notification exec:sh told.sh ok was not sent: "));
}

}  // namespace
}  // namespace runink::local
