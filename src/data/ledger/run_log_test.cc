#include "data/ledger/run_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::ledger {
namespace {

using ::testing::IsEmpty;

class FixedClock final : public Clock {
 public:
  int64_t unix_micros() const override { return 1'700'000'000'000'000; }
  int64_t steady_nanos() const override { return 0; }
};

class RunLogTest : public ::testing::Test {
 protected:
  void SetUp() override { folder_ = std::move(os::TempFolder::create("")).value(); }
  std::string path() const { return folder_.file("log.ndjson"); }
  FixedClock clock_;
  os::TempFolder folder_;
};

TEST_F(RunLogTest, WritesLinesThatReadBack) {
  const auto log = std::move(RunLog::open(path(), clock_)).value();
  log->write(LogLevel::kWarning, "check", "odd \"text\"\n\x1b[31m");
  log->write(LogLevel::kInfo, "", "done");
  EXPECT_TRUE(log->status().ok());
  EXPECT_EQ(os::file_info(path())->permissions, 0600u);
  EXPECT_EQ(*os::read_file(path()),
            "{\"time\":\"2023-11-14T22:13:20Z\",\"level\":\"warning\",\"step\":\"check\",\"message\":\"odd "
            "\\\"text\\\"\\n\\u001b[31m\"}\n{\"time\":\"2023-11-14T22:13:20Z\",\"level\":\"info\",\"message\":\"done\"}\n");
  const auto lines = *tail_log(path(), 0);
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].level, LogLevel::kWarning);
  EXPECT_EQ(lines[0].step, "check");
  EXPECT_EQ(lines[0].message, "odd \"text\"\n\x1b[31m");
  EXPECT_EQ(lines[0].time_micros, 1'700'000'000'000'000);
  EXPECT_EQ(tail_log(path(), 0, LogLevel::kWarning)->size(), 1u);
  EXPECT_THAT(*tail_log(folder_.file("none"), 5), IsEmpty());
}

TEST_F(RunLogTest, TailReadsFromTheEndAcrossPieces) {
  {
    const auto log = std::move(RunLog::open(path(), clock_)).value();
    for (int i = 0; i < 3000; ++i) log->write(LogLevel::kInfo, "", fmt::format("{} {}", i, std::string(i % 400, 'x')));
  }
  for (const size_t count : {size_t{1}, size_t{2}, size_t{999}, size_t{3000}, size_t{5000}}) {
    const auto lines = *tail_log(path(), count);
    const size_t expected = std::min<size_t>(count, 3000);
    ASSERT_EQ(lines.size(), expected);
    for (size_t i = 0; i < expected; ++i) {
      ASSERT_TRUE(lines[i].message.starts_with(fmt::format("{} ", 3000 - expected + i)));
    }
  }
  // A line being written, and rubbish in between, are left out.
  const os::Fd fd = std::move(os::open_file(path(), os::OpenMode::kAppend)).value();
  ASSERT_TRUE(os::write_all(fd, "rubbish\n[]\n{\"time\":\"2023").ok());
  EXPECT_TRUE(tail_log(path(), 1)->front().message.starts_with("2999 "));
}

TEST_F(RunLogTest, FollowsWholeLinesOnly) {
  const auto log = std::move(RunLog::open(path(), clock_)).value();
  uint64_t offset = 0;
  log->write(LogLevel::kInfo, "", "one");
  EXPECT_EQ(read_log_from(path(), &offset)->size(), 1u);
  EXPECT_THAT(*read_log_from(path(), &offset), IsEmpty());
  const os::Fd fd = std::move(os::open_file(path(), os::OpenMode::kAppend)).value();
  ASSERT_TRUE(os::write_all(fd, "{\"time\":\"2023-11-14T22:13:20Z\",\"level\":\"info\",").ok());
  EXPECT_THAT(*read_log_from(path(), &offset), IsEmpty());
  ASSERT_TRUE(os::write_all(fd, "\"message\":\"two\"}\n").ok());
  const auto lines = *read_log_from(path(), &offset);
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].message, "two");
}

TEST_F(RunLogTest, ThreadsDoNotMixLines) {
  const auto log = std::move(RunLog::open(path(), clock_)).value();
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&log, t] {
      for (int i = 0; i < 200; ++i) log->write(LogLevel::kInfo, fmt::format("t{}", t), "message");
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(tail_log(path(), 0)->size(), 800u);
}

}  // namespace
}  // namespace runink::ledger
