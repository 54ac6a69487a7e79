#include "worker/agent/capture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <set>
#include <thread>

#include "platform/os/file.h"
#include "platform/os/temp.h"
#include "worker/agent/log_reader.h"

namespace runink::agent {
namespace {

using ::testing::ElementsAre;

class CaptureTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = *os::TempFolder::create("");
    open_store({});
  }

  void open_store(LogStore::Options options) {
    store_.reset();
    options.folder = folder_.path() + "/logs";
    auto store = LogStore::open(std::move(options));
    ASSERT_TRUE(store.ok()) << store.status().to_string();
    store_ = std::move(*store);
    ASSERT_TRUE(store_->begin({.slice = "s", .herd = "h"}).ok());
  }

  std::unique_ptr<Capture> capture() {
    auto made = Capture::start(*store_, [this](const std::string& slice) {
      const std::lock_guard lock(mutex_);
      ended_.push_back(slice);
      changed_.notify_all();
    });
    EXPECT_TRUE(made.ok());
    return std::move(*made);
  }

  void wait_for_end() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !ended_.empty(); });
  }

  // What the log has, "out:line" or "err:line", in its order.
  std::vector<std::string> lines() {
    store_->end("s");
    EXPECT_TRUE(store_->flush(60'000'000'000));
    std::vector<std::string> out;
    auto reader = LogReader::open(store_->folder_of("s"));
    if (!reader.ok()) return out;
    for (;;) {
      const auto some = reader->next();
      EXPECT_TRUE(some.ok());
      if (!some.ok() || some->empty()) return out;
      for (const LogLine& line : *some) {
        dropped_ += line.dropped_lines;
        if (line.stream == LogStream::kRunink) continue;
        out.push_back((line.stream == LogStream::kOutput ? "out:" : "err:") + line.text);
      }
    }
  }

  os::TempFolder folder_;
  std::unique_ptr<LogStore> store_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> ended_;
  uint64_t dropped_ = 0;
};

TEST_F(CaptureTest, ReadsBothStreamsToTheirEnds) {
  auto out = *os::make_pipe("out"), err = *os::make_pipe("err");
  const auto reading = capture();
  ASSERT_TRUE(reading->add("s", std::move(out.read), std::move(err.read)).ok());
  ASSERT_TRUE(os::write_all(out.write, "one\ntwo\nthr").ok());
  ASSERT_TRUE(os::write_all(err.write, "bad\n").ok());
  ASSERT_TRUE(os::write_all(out.write, "ee\nwithout an end").ok());
  out.write.reset();
  err.write.reset();
  wait_for_end();
  EXPECT_THAT(lines(),
              testing::UnorderedElementsAre("out:one", "out:two", "out:three", "out:without an end", "err:bad"));
}

// Somebody outside of the slice may have been handed the other end: its agent does not wait for him.
TEST_F(CaptureTest, EndsWithTheSliceThoughThePipeIsOpen) {
  auto out = *os::make_pipe("out");
  const auto reading = capture();
  ASSERT_TRUE(reading->add("s", std::move(out.read), os::Fd()).ok());
  ASSERT_TRUE(os::write_all(out.write, "last\nand a piece").ok());
  reading->finish("s");
  wait_for_end();
  EXPECT_THAT(lines(), ElementsAre("out:last", "out:and a piece"));
}

TEST_F(CaptureTest, WithoutPipesItEndsAtOnce) {
  const auto reading = capture();
  ASSERT_TRUE(reading->add("s", os::Fd(), os::Fd()).ok());
  reading->finish("s");
  wait_for_end();
  EXPECT_THAT(ended_, ElementsAre("s"));
}

// A capture that is gone in the middle, as by a crash, and another that goes on: each line is there.
TEST_F(CaptureTest, NoLineIsLostBetweenTwoAgents) {
  LogStore::Options options;
  options.burst_bytes = 1 << 30;  // lines that are there twice count, too
  options.queue_bytes = 1 << 30;
  open_store(options);
  auto pipe = *os::make_pipe("out");
  constexpr int kLines = 20'000;
  std::thread writer([&pipe] {
    for (int i = 0; i < kLines; ++i) EXPECT_TRUE(os::write_all(pipe.write, std::to_string(i) + "\n").ok());
    pipe.write.reset();
  });
  for (int agents = 0; agents < 20; ++agents) {
    const auto reading = capture();
    ASSERT_TRUE(reading->add("s", *pipe.read.duplicate(), os::Fd()).ok());
    if (agents < 19) {
      std::this_thread::yield();
      continue;
    }
    wait_for_end();
  }
  writer.join();
  std::set<std::string> seen;
  for (std::string& line : lines()) seen.insert(std::move(line));
  EXPECT_EQ(dropped_, 0u);
  EXPECT_EQ(seen.size(), static_cast<size_t>(kLines));
  EXPECT_TRUE(seen.contains("out:0") && seen.contains("out:19999"));
}

TEST_F(CaptureTest, AFloodIsCountedAndWaits) {
  LogStore::Options options;
  options.bytes_per_second = 1 << 20;
  options.burst_bytes = 1 << 16;
  open_store(options);
  auto pipe = *os::make_pipe("out");
  const auto reading = capture();
  ASSERT_TRUE(reading->add("s", std::move(pipe.read), os::Fd()).ok());
  constexpr size_t kLines = 80'000;
  const std::string line(99, 'x');
  for (size_t i = 0; i < kLines; ++i) ASSERT_TRUE(os::write_all(pipe.write, line + "\n").ok());
  pipe.write.reset();
  wait_for_end();
  const size_t kept = lines().size();
  EXPECT_LT(kept, kLines / 2);
  EXPECT_GT(kept, 0u);
  EXPECT_EQ(kept + dropped_, kLines);
}

TEST_F(CaptureTest, ALineWithoutAnEndDoesNotStopTheWriter) {
  auto pipe = *os::make_pipe("out");
  const auto reading = capture();
  ASSERT_TRUE(reading->add("s", std::move(pipe.read), os::Fd()).ok());
  ASSERT_TRUE(os::write_all(pipe.write, std::string(1 << 20, 'y')).ok());
  pipe.write.reset();
  wait_for_end();
  size_t bytes = 0;
  for (const std::string& line : lines()) bytes += line.size() - 4;
  EXPECT_EQ(bytes, size_t{1} << 20);
}

}  // namespace
}  // namespace runink::agent
