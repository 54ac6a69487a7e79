// The store of all logs: what slices write, and what a disk that is full does to it.
#include "worker/agent/log_store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>

#include "base/text.h"
#include "platform/os/file.h"
#include "platform/os/temp.h"
#include "worker/agent/log_reader.h"

namespace runink::agent {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kSecond = 1'000'000'000;

// Goes on only when it is told to.
class ManualClock : public Clock {
 public:
  int64_t unix_micros() const override { return 1'700'000'000'000'000 + nanos_ / 1000; }
  int64_t steady_nanos() const override { return 1000 * kSecond + nanos_; }
  void pass(int64_t nanos) { nanos_ += nanos; }

 private:
  std::atomic<int64_t> nanos_{0};
};

class Collector : public LogForwarder {
 public:
  void offer(const LogOrigin& origin, const LogLine& line) override {
    const std::lock_guard lock(mutex_);
    lines_.push_back(origin.herd + "/" + origin.slice + " " + line.text);
  }
  std::vector<std::string> lines() const {
    const std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> lines_;
};

class LogStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    options_.folder = temp_.path() + "/logs";
    options_.keep_free_bytes = 0;  // this disk is the tester's
    options_.forwarder = &collector_;
    options_.clock = &clock_;
  }
  void open() {
    store_.reset();
    auto store = LogStore::open(options_);
    ASSERT_TRUE(store.ok()) << store.status().to_string();
    store_ = std::move(*store);
  }
  std::vector<LogLine> lines(const std::string& slice) {
    EXPECT_TRUE(store_->flush(10 * kSecond));
    auto reader = LogReader::open(store_->folder_of(slice));
    if (!reader.ok()) return {};
    std::vector<LogLine> all;
    while (true) {
      auto some = reader->next();
      EXPECT_TRUE(some.ok()) << some.status().to_string();
      if (!some.ok() || some->empty()) return all;
      all.insert(all.end(), some->begin(), some->end());
    }
  }
  std::vector<std::string> texts(const std::string& slice) {
    std::vector<std::string> out;
    for (const LogLine& line : lines(slice)) out.push_back(std::string(stream_name(line.stream)) + ": " + line.text);
    return out;
  }

  os::TempFolder temp_ = *os::TempFolder::create("");
  ManualClock clock_;
  Collector collector_;
  LogStore::Options options_;
  std::unique_ptr<LogStore> store_;
};

TEST_F(LogStoreTest, KeepsWhatSlicesWrite) {
  open();
  ASSERT_TRUE(store_->begin({"s1", "etl"}).ok());
  ASSERT_TRUE(store_->begin({"s2", "web"}).ok());
  EXPECT_EQ(store_->write("s1", LogStream::kOutput, "one\ntw"), 0);
  store_->write("s1", LogStream::kError, "oops\n");
  store_->write("s2", LogStream::kOutput, "other\n");
  store_->write("s1", LogStream::kOutput, "o\nthree");
  store_->note("s1", "killed: out of memory");
  store_->end("s1");
  store_->write("s1", LogStream::kOutput, "too late\n");
  store_->write("s9", LogStream::kOutput, "unknown\n");
  EXPECT_THAT(texts("s1"), ElementsAre("stdout: one", "stderr: oops", "stdout: two", "runink: killed: out of memory",
                                       "stdout: three"));
  EXPECT_THAT(texts("s2"), ElementsAre("stdout: other"));
  EXPECT_THAT(texts("s9"), IsEmpty());
  EXPECT_THAT(collector_.lines(), ElementsAre("etl/s1 one", "etl/s1 oops", "web/s2 other", "etl/s1 two",
                                              "etl/s1 killed: out of memory", "etl/s1 three"));
  EXPECT_EQ(store_->counters().lines, 6u);
  EXPECT_EQ(store_->counters().stored_bytes, *os::tree_bytes(options_.folder));
}

TEST_F(LogStoreTest, NamesThatLeadElsewhereAreRefused) {
  open();
  for (const char* name : {"", ".", "..", "../x", "a/b", "a b", ".hidden", "ü"}) {
    EXPECT_EQ(store_->begin({name, "h"}).code(), Code::kInvalidArgument) << name;
    EXPECT_EQ(store_->remove(name).code(), Code::kInvalidArgument) << name;
  }
}

TEST_F(LogStoreTest, GoesOnAfterARestart) {
  open();
  ASSERT_TRUE(store_->begin({"s1", "h"}).ok());
  store_->write("s1", LogStream::kOutput, "before\n");
  open();
  EXPECT_EQ(store_->counters().stored_logs, 1u);
  ASSERT_TRUE(store_->begin({"s1", "h"}).ok());
  store_->write("s1", LogStream::kOutput, "after\n");
  EXPECT_THAT(texts("s1"), ElementsAre("stdout: before", "stdout: after"));
  EXPECT_EQ(store_->counters().stored_bytes, *os::tree_bytes(options_.folder));
}

TEST_F(LogStoreTest, AFloodIsDroppedCountedAndTold) {
  options_.bytes_per_second = 100'000;
  options_.burst_bytes = 100'000;
  open();
  ASSERT_TRUE(store_->begin({"flood", "h"}).ok());
  ASSERT_TRUE(store_->begin({"quiet", "h"}).ok());
  const std::string line(99, 'x');
  std::string megabyte;
  while (megabyte.size() < 1'000'000) megabyte += line + "\n";
  int64_t pause = 0;
  for (int i = 0; i < 10; ++i) pause = store_->write("flood", LogStream::kOutput, megabyte);
  EXPECT_GT(pause, 0);
  EXPECT_EQ(store_->write("quiet", LogStream::kOutput, "I am here\n"), 0);
  clock_.pass(10 * kSecond);
  store_->write("flood", LogStream::kOutput, "the end\n");
  store_->end("flood");
  EXPECT_THAT(texts("quiet"), ElementsAre("stdout: I am here"));

  const auto read = lines("flood");
  uint64_t kept = 0, dropped = 0, dropped_bytes = 0;
  for (const LogLine& one : read) {
    kept += one.stream == LogStream::kOutput ? 1 : 0;
    dropped += one.dropped_lines;
    dropped_bytes += one.dropped_bytes;
  }
  EXPECT_EQ(kept + dropped, 100'001u);
  EXPECT_EQ(dropped_bytes, dropped * line.size());
  EXPECT_LT(kept, 1000u);
  EXPECT_EQ(store_->counters().dropped.rate, dropped);
  EXPECT_EQ(read.back().text, "the end");
  EXPECT_THAT(read[read.size() - 2].text, HasSubstr("the slice wrote more than 100000 bytes a second"));
  EXPECT_THAT(collector_.lines(), Contains(HasSubstr("were dropped: the slice wrote more than")));
}

TEST_F(LogStoreTest, WhatWasDroppedIsToldAlsoToASliceThatThenIsQuiet) {
  options_.bytes_per_second = 1000;
  options_.burst_bytes = 1000;
  options_.tell_nanos = kSecond / 100;
  open();
  ASSERT_TRUE(store_->begin({"s", "h"}).ok());
  std::string much(200'000, 'x');
  for (size_t at = 999; at < much.size(); at += 1000) much[at] = '\n';
  store_->write("s", LogStream::kOutput, much);
  clock_.pass(kSecond);
  // The writer looks by itself; nothing more is written.
  const int64_t end = system_clock().steady_nanos() + 20 * kSecond;
  while (system_clock().steady_nanos() < end) {
    const auto read = lines("s");
    if (!read.empty() && read.back().dropped_lines > 0) return;
    ::usleep(10'000);
  }
  FAIL() << "nobody was told";
}

TEST_F(LogStoreTest, AllLogsTogetherHaveTheirMost) {
  options_.most_bytes = 100'000;
  options_.files = {20'000, 2};
  open();
  const std::string line(1000, 'x');
  for (int slice = 0; slice < 20; ++slice) {
    const std::string name = "s" + std::to_string(slice);
    ASSERT_TRUE(store_->begin({name, "h"}).ok());
    for (int i = 0; i < 10; ++i) store_->write(name, LogStream::kOutput, line + "\n");
    store_->end(name);
    ASSERT_TRUE(store_->flush(10 * kSecond));
    clock_.pass(kSecond);
    EXPECT_LE(*os::tree_bytes(options_.folder), 100'000u);
  }
  EXPECT_THAT(texts("s0"), IsEmpty());
  EXPECT_EQ(texts("s19").size(), 10u);
  EXPECT_EQ(store_->counters().stored_bytes, *os::tree_bytes(options_.folder));
  EXPECT_EQ(store_->counters().dropped.disk, 0u);
  // Of slices that run, the oldest lines go.
  for (int slice = 0; slice < 10; ++slice) {
    const std::string name = "r" + std::to_string(slice);
    ASSERT_TRUE(store_->begin({name, "h"}).ok());
    for (int i = 0; i < 35; ++i) store_->write(name, LogStream::kOutput, line + "\n");
    ASSERT_TRUE(store_->flush(10 * kSecond));
  }
  EXPECT_LE(*os::tree_bytes(options_.folder), 200'000u);
  EXPECT_EQ(store_->counters().stored_bytes, *os::tree_bytes(options_.folder));
}

TEST_F(LogStoreTest, OnlySoManyLogsOfEndedSlicesAreKept) {
  options_.most_ended = 3;
  open();
  for (int slice = 0; slice < 10; ++slice) {
    const std::string name = "s" + std::to_string(slice);
    ASSERT_TRUE(store_->begin({name, "h"}).ok());
    store_->write(name, LogStream::kOutput, "x\n");
    store_->end(name);
    ASSERT_TRUE(store_->flush(10 * kSecond));
    clock_.pass(kSecond);
  }
  EXPECT_THAT(*os::list_directory(options_.folder), ElementsAre("s7", "s8", "s9"));
}

TEST_F(LogStoreTest, ALogIsRemovedOnceItsSliceHasEnded) {
  open();
  ASSERT_TRUE(store_->begin({"s", "h"}).ok());
  store_->write("s", LogStream::kOutput, "x\n");
  EXPECT_EQ(store_->remove("s").code(), Code::kFailedPrecondition);
  store_->end("s");
  EXPECT_TRUE(store_->remove("s").ok());
  EXPECT_FALSE(os::exists(store_->folder_of("s")));
  EXPECT_TRUE(store_->remove("s").ok());
  EXPECT_EQ(store_->counters().stored_bytes, 0u);
}

TEST_F(LogStoreTest, LeavesSpaceToOthers) {
  options_.keep_free_bytes = UINT64_MAX;
  open();
  ASSERT_TRUE(store_->begin({"s", "h"}).ok());
  store_->write("s", LogStream::kOutput, "x\n");
  EXPECT_THAT(texts("s"), IsEmpty());
  EXPECT_TRUE(store_->counters().disk_full);
  EXPECT_EQ(store_->counters().dropped.disk, 1u);
  EXPECT_THAT(collector_.lines(), ElementsAre("h/s x"));  // which has nothing to do with the disk
}

// A disk that is really full: a small tmpfs of the test's own.
TEST_F(LogStoreTest, AFullDiskIsSurvivedAndTold) {
  const std::string disk = temp_.path() + "/disk";
  ASSERT_TRUE(os::make_directories(disk).ok());
  // In a mount namespace of this thread's and those it makes: nothing is left however the test ends.
  if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      ::mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=200k") != 0) {
    GTEST_SKIP() << "this takes the right to mount";
  }
  options_.folder = disk + "/logs";
  options_.files = {64'000, 10};
  const std::string own = temp_.path() + "/own.log";
  auto log = telemetry::Log::to_file(own, {});
  options_.log = log->get();
  open();
  ASSERT_TRUE(store_->begin({"s", "h"}).ok());
  const std::string line(1000, 'x');
  for (int i = 0; i < 500; ++i) {
    store_->write("s", LogStream::kOutput, line + "\n");
    ASSERT_TRUE(store_->flush(10 * kSecond));
  }
  EXPECT_TRUE(store_->counters().disk_full);
  const uint64_t dropped = store_->counters().dropped.disk;
  EXPECT_GT(dropped, 100u);
  EXPECT_EQ(store_->counters().lines + dropped, 500u);
  // Space: it goes on by itself, and says what is missing.
  ASSERT_TRUE(os::remove_file(store_->folder_of("s") + "/1.jsonl").ok());
  clock_.pass(2 * kSecond);
  store_->write("s", LogStream::kOutput, "again\n");
  ASSERT_TRUE(store_->flush(10 * kSecond));
  clock_.pass(2 * kSecond);
  store_->write("s", LogStream::kOutput, "and again\n");
  const auto read = lines("s");
  EXPECT_FALSE(store_->counters().disk_full);
  EXPECT_THAT(read, Contains(AllOf(Field(&LogLine::dropped_lines, dropped),
                                   Field(&LogLine::text, HasSubstr("the disk of the logs was full or too slow")))));
  EXPECT_EQ(read.back().text, "and again");
  EXPECT_THAT(read, Contains(Field(&LogLine::text, "again")));  // behind a line that the disk took in part
  store_.reset();
  EXPECT_TRUE((*log)->flush(10 * kSecond));
  EXPECT_THAT(*os::read_file(own), AllOf(HasSubstr("agent.logs.not_written"), HasSubstr("agent.logs.written_again")));
  EXPECT_EQ(::umount2(disk.c_str(), MNT_DETACH), 0);
}

// A file that cannot even be opened until somebody reads it: a disk that does not answer.
TEST_F(LogStoreTest, NobodyWaitsForASlowDisk) {
  options_.queue_bytes = 100'000;
  open();
  const std::string fifo = store_->folder_of("slow") + "/1.jsonl";
  ASSERT_TRUE(os::make_directories(store_->folder_of("slow")).ok());
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  ASSERT_TRUE(store_->begin({"slow", "h"}).ok());
  const std::string line(1000, 'x');
  for (int i = 0; i < 200; ++i) store_->write("slow", LogStream::kOutput, line + "\n");
  EXPECT_FALSE(store_->flush(1));
  const uint64_t dropped = store_->counters().dropped.queue;
  EXPECT_GT(dropped, 150u);  // a slice has a quarter of the queue; one batch is under way
  ASSERT_TRUE(store_->begin({"other", "h"}).ok());
  store_->write("other", LogStream::kOutput, "has its part of the queue\n");
  EXPECT_EQ(store_->counters().dropped.queue, dropped);

  std::string read;
  std::thread reader([&] {
    const auto file = os::open_file(fifo);
    char buffer[65536];
    for (auto got = os::read_some(*file, buffer, sizeof buffer); got.ok() && *got > 0;
         got = os::read_some(*file, buffer, sizeof buffer)) {
      read.append(buffer, *got);
    }
  });
  store_->end("slow");
  EXPECT_TRUE(store_->flush(10 * kSecond));
  reader.join();  // the log was closed
  uint64_t kept = 0, told = 0;
  for (const std::string_view one : split(read, '\n')) {
    const auto parsed = parse_log_line(one);
    if (!parsed) continue;
    told += parsed->dropped_lines;
    kept += parsed->stream == LogStream::kOutput ? 1 : 0;
  }
  EXPECT_EQ(kept, 200 - dropped);
  EXPECT_EQ(told, dropped);
  EXPECT_THAT(texts("other"), ElementsAre("stdout: has its part of the queue"));
}

TEST_F(LogStoreTest, ManyWritersAtOnce) {
  options_.clock = nullptr;
  options_.queue_bytes = 64 << 20;
  open();
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([&, writer] {
      for (int slice = 0; slice < 20; ++slice) {
        const std::string name = fmt::format("w{}-{}", writer, slice);
        EXPECT_TRUE(store_->begin({name, "h"}).ok());
        for (int i = 0; i < 50; ++i) store_->write(name, LogStream::kOutput, fmt::format("line {}\n", i));
        store_->end(name);
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  for (int writer = 0; writer < 4; ++writer) {
    for (int slice = 0; slice < 20; ++slice) {
      const auto read = texts(fmt::format("w{}-{}", writer, slice));
      ASSERT_EQ(read.size(), 50u);
      EXPECT_EQ(read[49], "stdout: line 49");
    }
  }
}

}  // namespace
}  // namespace runink::agent
