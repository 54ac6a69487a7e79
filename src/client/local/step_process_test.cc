// Custom steps as real processes: those that behave, and every way not to.
#include "client/local/step_process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/text.h"
#include "client/local/step_test.h"
#include "data/columnar/builder.h"
#include "platform/os/machine.h"
#include "platform/os/signals.h"

namespace runink::local {
namespace {

using columnar::Batch;
using columnar::TypeId;
using columnar::Value;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

columnar::SchemaPtr record_schema() {
  columnar::Field id{"id", TypeId::kInt64}, text{"text", TypeId::kString};
  id.nullable = false;
  return std::make_shared<const columnar::Schema>(std::vector<columnar::Field>{id, text});
}

// `batches` batches of 1000 records with `text_bytes` bytes of text each.
std::vector<Batch> records(int batches, size_t text_bytes = 1) {
  std::vector<Batch> out;
  const auto schema = record_schema();
  int64_t id = 0;
  for (int b = 0; b < batches; ++b) {
    columnar::BatchBuilder builder(schema);
    for (int r = 0; r < 1000; ++r) builder.append_row({Value(id++), Value(std::string(text_bytes, 'x'))});
    out.push_back(builder.finish());
  }
  return out;
}

class StepProcess : public testing::Test {
 protected:
  void SetUp() override { os::ignore_broken_pipes(); }
  void TearDown() override {
    // Orphans have become children of this process: those that ended are reaped, and none may still run.
    pid_t pid;
    while ((pid = ::waitpid(-1, nullptr, WNOHANG)) > 0) {
    }
    EXPECT_EQ(pid, -1) << "a process was left behind";
    EXPECT_EQ(errno, ECHILD);
  }

  StepRun run(const std::string& mode, const std::vector<Batch>& sent, int64_t timeout_micros = 60'000'000) {
    plan::Operator op;
    op.name = "score";
    op.schema = record_schema();
    plan::Program program;
    program.name = "score";
    program.argv = {RUNINK_STEP_TEST_PROGRAM, mode};
    program.timeout_micros = timeout_micros;
    op.parameters = program;
    StepOptions options;
    options.project_root = "/";
    const int64_t begin = os::monotonic_nanos();
    StepRun done = run_step_process(op, record_schema(), options, sent);
    EXPECT_LT(os::monotonic_nanos() - begin, 30'000'000'000) << "it must be noticed, not waited for";
    return done;
  }
  // The step fails, with these words, its name and its last words.
  void expect_failure(const std::string& mode, const std::string& words, const std::vector<Batch>& sent,
                      int64_t timeout_micros = 60'000'000) {
    const StepRun done = run(mode, sent, timeout_micros);
    ASSERT_FALSE(done.status.ok()) << mode << " was taken for a success";
    EXPECT_THAT(done.text(), AllOf(HasSubstr("step \"score\""), HasSubstr(words), HasSubstr("stderr of \"score\": I am " + mode)));
  }
};

TEST_F(StepProcess, AnswersInOrder) {
  const StepRun done = run("echoes", records(5));
  ASSERT_TRUE(done.status.ok()) << done.text();
  EXPECT_EQ(done.rows(), 5000);
  EXPECT_EQ(columnar::value_at(done.answers.back().columns[0], done.answers.back().rows - 1), Value(int64_t{4999}));
}

TEST_F(StepProcess, RejectsAndDrops) {
  const StepRun done = run("mixes", records(1));
  ASSERT_TRUE(done.status.ok()) << done.text();
  EXPECT_EQ(done.rows(), 334);
  ASSERT_EQ(done.refusals.size(), 666u);
  EXPECT_EQ(done.refusals[0].record, 1u);
  EXPECT_FALSE(done.refusals[0].dropped);
  EXPECT_EQ(done.refusals[0].reason, "odd");
  EXPECT_TRUE(done.refusals[1].dropped);
}

TEST_F(StepProcess, NoRecordsAtAll) { EXPECT_TRUE(run("echoes", {}).status.ok()); }

// More than the pipes hold, in either direction.
TEST_F(StepProcess, PipesThatAreFull) {
  EXPECT_EQ(run("holds_all", records(5, 1000)).rows(), 5000);
  const StepRun done = run("chatters", records(3, 1000));
  ASSERT_TRUE(done.status.ok()) << done.text();
  EXPECT_EQ(done.rows(), 3000);
}

TEST_F(StepProcess, Crashes) {
  expect_failure("crashes", "failed: killed by signal 11 (SIGSEGV)", records(5, 1000));
  EXPECT_THAT(run("crashes", records(1)).text(), HasSubstr("here it comes"));
  expect_failure("crashes_in_a_record", "failed: killed by signal 6 (SIGABRT)", records(1));
}

TEST_F(StepProcess, ExitsWithACode) {
  expect_failure("exits_3", "failed: exit code 3", records(1));
  expect_failure("exits_3", "failed: exit code 3", records(10, 1000));  // while it is being sent more
}

TEST_F(StepProcess, HangsPastItsTimeout) {
  expect_failure("never_reads", "made no progress for 300 ms", records(5, 1000), 300'000);
  expect_failure("never_reads", "made no progress for 300 ms", records(1), 300'000);  // all fits the pipe
  expect_failure("never_ends", "made no progress for 300 ms", records(1), 300'000);
  expect_failure("closes_and_stays", "made no progress for 300 ms", records(1), 300'000);
}

TEST_F(StepProcess, StopsReading) { expect_failure("stops_reading", "before it had read all of it", records(10, 1000)); }

TEST_F(StepProcess, EndsWithoutReading) {
  // What fits the pipe may be sent before or after its end: two faults, either is told.
  const StepRun small = run("exits_at_once", records(1));
  EXPECT_THAT(small.text(), testing::AnyOf(HasSubstr("was sent 1000 records, and answered 0"), HasSubstr("before it had read all of")));
  expect_failure("exits_at_once", "before it had read all of", records(10, 1000));
}

TEST_F(StepProcess, LeavesAChildBehind) {
  expect_failure("leaves_a_child", "left 1 process behind", records(1));
  expect_failure("leaves_a_hidden_child", "left 1 process behind", records(1));
}

TEST_F(StepProcess, WritesRubbish) {
  expect_failure("writes_rubbish", "wrote what is not a record of its output: line 2", records(1));
  expect_failure("omits_a_field", "without the required field \"id\"", records(1));
}

TEST_F(StepProcess, AnswersTooManyOrTooFew) {
  expect_failure("answers_twice", "answered more records than it was sent", records(1));
  expect_failure("answers_for_ever", "answered more records than it was sent", records(3, 1000));
  expect_failure("forgets_one", "was sent 1000 records, and answered 999, rejected 0 and dropped 0", records(1));
}

TEST_F(StepProcess, SaysWhatIsSettled) {
  const StepRun done = run("marks", records(1));
  ASSERT_TRUE(done.status.ok()) << done.text();
  EXPECT_TRUE(done.ended_well);
  EXPECT_THAT(done.marks, testing::ElementsAre(250, 500, 750, 1000));
  expect_failure("takes_its_mark_back", "line 2 on descriptor 3 says that 1 records are settled, after it had said 2", records(1));
}

// A step that cannot go on because nobody takes its answers is not to blame.
TEST_F(StepProcess, IsNotToBlameForASlowReader) {
  plan::Operator op;
  op.name = "score";
  op.schema = record_schema();
  plan::Program program;
  program.argv = {RUNINK_STEP_TEST_PROGRAM, "echoes"};
  program.timeout_micros = 200'000;
  op.parameters = program;
  StepOptions options;
  options.project_root = "/";
  auto process = start_step_process(op, record_schema(), options);
  ASSERT_TRUE(process.ok()) << process.status().to_string();
  StepRun reports;
  (*process)->listen(reports);
  std::mutex mutex;
  std::condition_variable changed;
  bool over = false;
  Status sending;
  std::thread sender([&] {
    for (const auto& batch : records(20, 1000)) {
      if (sending = (*process)->send(batch); !sending.ok()) break;
    }
    if (sending.ok()) sending = (*process)->close_input();
    std::lock_guard lock(mutex);
    over = true;
    changed.notify_all();
  });
  {
    std::unique_lock lock(mutex);
    EXPECT_FALSE(changed.wait_for(lock, std::chrono::milliseconds(800), [&] { return over; })) << sending.to_string();
  }
  int64_t rows = 0;
  for (;;) {
    auto batch = (*process)->receive();
    ASSERT_TRUE(batch.ok()) << batch.status().to_string();
    if (!batch->has_value()) break;
    rows += (*batch)->rows;
  }
  sender.join();
  EXPECT_TRUE(sending.ok()) << sending.to_string();
  EXPECT_EQ(rows, 20'000);
}

// What it may not say about single records is the engine's to know: see step_books_test.
TEST_F(StepProcess, RefusesWhatItMayNot) {
  expect_failure("refuses_for_ever", "refused more records than it was sent", records(1));
  expect_failure("reports_rubbish", "line 1 on descriptor 3 is not", records(1));
}

TEST_F(StepProcess, IsStopped) {
  StopFlag stop;
  stop.request();
  plan::Operator op;
  op.name = "score";
  op.schema = record_schema();
  plan::Program program;
  program.argv = {RUNINK_STEP_TEST_PROGRAM, "never_reads"};
  op.parameters = program;
  StepOptions options;
  options.project_root = "/";
  options.stop = &stop;
  EXPECT_EQ(run_step_process(op, record_schema(), options, records(5, 1000)).status.kind(), "run.interrupted");
}

TEST_F(StepProcess, AProgramThatIsNotThere) {
  plan::Operator op;
  op.name = "score";
  op.schema = record_schema();
  plan::Program program;
  program.argv = {"./no-such-program"};
  op.parameters = program;
  StepOptions options;
  options.project_root = "/";
  const StepRun done = run_step_process(op, record_schema(), options, {});
  EXPECT_EQ(done.status.code(), Code::kNotFound);
  EXPECT_THAT(done.text(), HasSubstr("start step \"score\""));
}

}  // namespace
}  // namespace runink::local
