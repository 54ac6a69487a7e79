#include "platform/telemetry/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "base/text.h"
#include "platform/os/temp.h"

namespace runink::telemetry {
namespace {

using Json = nlohmann::json;

constexpr int64_t kSoon = 10'000'000'000;

class FixedClock final : public Clock {
 public:
  int64_t unix_micros() const override { return micros; }
  int64_t steady_nanos() const override { return nanos; }
  int64_t micros = 1'790'000'000'000'007, nanos = 1;
};

class LogTest : public testing::Test {
 protected:
  std::unique_ptr<Log> open(Log::Options options) {
    options.clock = &clock_;
    auto log = Log::to_file(path_, std::move(options));
    EXPECT_TRUE(log.ok()) << log.status().to_string();
    return std::move(*log);
  }
  std::vector<std::string> lines() {
    std::string text;
    FILE* file = std::fopen(path_.c_str(), "r");
    char bytes[4096];
    for (size_t n = 0; (n = std::fread(bytes, 1, sizeof bytes, file)) > 0;) text.append(bytes, n);
    std::fclose(file);
    std::vector<std::string> out;
    for (const std::string_view line : split(text, '\n')) out.emplace_back(line);
    EXPECT_EQ(out.back(), "");
    out.pop_back();
    return out;
  }
  os::TempFolder folder_ = *os::TempFolder::create("");
  std::string path_ = folder_.path() + "/log";
  FixedClock clock_;
};

TEST_F(LogTest, ALineIsOneJsonObjectWithTimeLevelEventMessageAndFields) {
  Log::Options options;
  options.common = {{"member", "3"}};
  auto log = open(std::move(options));
  log->info("barn.leader.elected", "member 3 leads",
            {{"term", 7u}, {"lag", -2}, {"share", 0.5}, {"ready", true}, {"address", std::string("a:1")}});
  ASSERT_TRUE(log->flush(kSoon));
  const std::vector<std::string> got = lines();
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(
      got[0],
      R"({"time":"2026-09-21T14:13:20.000007Z","level":"info","event":"barn.leader.elected","message":"member 3 leads",)"
      R"("fields":{"member":"3","term":7,"lag":-2,"share":0.5,"ready":true,"address":"a:1"}})");
  EXPECT_EQ(log->counters().lines, 1u);
  EXPECT_EQ(log->counters().bytes, got[0].size() + 1);
}

TEST_F(LogTest, WhatOthersSaidCannotBreakALineOrSteerATerminal) {
  const std::string bad =
      "a\"b\\c\nd\r\x1b[2J\x7f\xc2\x9b"
      "31m\xff\xfe \xe2\x82\xac";
  for (const Log::Form form : {Log::Form::kJson, Log::Form::kText}) {
    ::unlink(path_.c_str());
    Log::Options options;
    options.form = form;
    auto log = open(std::move(options));
    log->error("x\ny", bad, {{"f\n\x1b", bad}, {"none", std::numeric_limits<double>::quiet_NaN()}});
    ASSERT_TRUE(log->flush(kSoon));
    const std::vector<std::string> got = lines();
    ASSERT_EQ(got.size(), 1u);
    for (const char c : got[0]) EXPECT_TRUE(static_cast<uint8_t>(c) >= 0x20 && c != '\x7f') << got[0];
    EXPECT_THAT(got[0], testing::Not(testing::HasSubstr("\xc2\x9b")));
    EXPECT_TRUE(is_valid_utf8(got[0]));
    EXPECT_THAT(got[0], testing::HasSubstr("\xe2\x82\xac"));
    if (form == Log::Form::kText) continue;
    const Json json = Json::parse(got[0]);
    EXPECT_EQ(json["message"],
              "a\"b\\c\nd\r\x1b[2J\x7f\xc2\x9b"
              "31m\xEF\xBF\xBD\xEF\xBF\xBD \xe2\x82\xac");
    EXPECT_TRUE(json["fields"]["none"].is_null());
  }
}

TEST_F(LogTest, TextForPeople) {
  Log::Options options;
  options.form = Log::Form::kText;
  auto log = open(std::move(options));
  log->warning("barn.disk", "little space", {{"free", 5}, {"path", "/a b"}, {"word", "x"}, {"empty", ""}});
  log->debug("barn.detail", "not wanted");
  ASSERT_TRUE(log->flush(kSoon));
  EXPECT_THAT(lines(), testing::ElementsAre("2026-09-21T14:13:20.000007Z warning barn.disk  little space  free=5  "
                                            "path=\"/a b\"  word=x  empty=\"\""));
}

TEST_F(LogTest, EachEventHasItsOwnRateAndTheNextLineSaysHowManyWereLeftOut) {
  Log::Options options;
  options.burst = 2;
  options.per_second = 1;
  auto log = open(std::move(options));
  for (int i = 0; i < 5; ++i) log->info("often", std::to_string(i));
  log->info("seldom", "x");
  clock_.nanos += 1'500'000'000;
  for (int i = 5; i < 7; ++i) log->info("often", std::to_string(i));
  ASSERT_TRUE(log->flush(kSoon));
  std::vector<std::string> messages;
  for (const std::string& line : lines()) messages.push_back(Json::parse(line)["message"]);
  EXPECT_THAT(messages, testing::ElementsAre("0", "1", "x", "5"));
  EXPECT_EQ(Json::parse(lines()[3])["fields"]["suppressed"], 3);
  EXPECT_EQ(log->counters().dropped_often, 4u);
}

TEST_F(LogTest, LinesAreBoundedWhateverIsLogged) {
  Log::Options options;
  options.burst = 1e6;
  auto log = open(std::move(options));
  const std::string large(100'000, 'x'), controls(100'000, '\x01');
  std::vector<std::string> names;
  for (int i = 0; i < 100; ++i) names.push_back("field_" + std::to_string(i));
  std::vector<Field> fields;
  for (const std::string& name : names) fields.emplace_back(name, large);
  log->write(Level::kInfo, "large", large, fields);
  log->write(Level::kInfo, "controls", controls, {});
  log->write(Level::kInfo, "fields", "controls", std::vector<Field>{{"a", controls}, {"b", 1}});
  for (int i = 0; i < 1000; ++i) log->info("event." + std::to_string(i), "events are bounded, too");
  ASSERT_TRUE(log->flush(kSoon));
  const std::vector<std::string> got = lines();
  ASSERT_EQ(got.size(), 1003u);
  for (const std::string& line : got) {
    EXPECT_LT(line.size(), kMaxLineBytes);
    EXPECT_TRUE(Json::accept(line)) << line;
  }
  EXPECT_EQ(Json::parse(got[0])["fields"]["truncated"], true);
  EXPECT_EQ(Json::parse(got[1])["event"], "controls");
  EXPECT_EQ(Json::parse(got[2])["fields"]["b"], 1);
}

TEST_F(LogTest, NobodyWaitsForAReaderThatHasStopped) {
  os::Pipe pipe = *os::make_pipe("log");
  Log::Options options;
  options.burst = 1e6;
  options.queue_bytes = 32 << 10;
  options.close_nanos = 0;
  auto log = Log::to_descriptor(pipe.write.get(), options);
  const std::string text(800, 'x');
  for (int i = 0; i < 1000; ++i) log->info("flood", text);  // 0.8 MB into 64 KiB and a queue
  EXPECT_GT(log->counters().dropped_queue, 500u);
  EXPECT_FALSE(log->flush(0));
  log.reset();  // ends although nobody reads
}

TEST_F(LogTest, AFullQueueIsToldOnceThereIsRoom) {
  os::Pipe pipe = *os::make_pipe("log");
  Log::Options options;
  options.burst = 1e6;
  options.queue_bytes = 16 << 10;
  auto log = Log::to_descriptor(pipe.write.get(), options);
  const std::string text(800, 'x');
  uint64_t sent = 0;
  while (log->counters().dropped_queue < 10) log->info("flood", text, {{"number", sent++}});
  const uint64_t dropped = log->counters().dropped_queue;
  std::string got;
  std::thread reader([&] {
    char bytes[4096];
    for (ssize_t n = 0; (n = ::read(pipe.read.get(), bytes, sizeof bytes)) > 0;)
      got.append(bytes, static_cast<size_t>(n));
  });
  EXPECT_TRUE(log->flush(kSoon));
  log.reset();
  pipe.write.reset();
  reader.join();
  uint64_t lines = 0, told = 0;
  for (const std::string_view line : split(std::string_view(got), '\n')) {
    if (line.empty()) continue;
    const Json json = Json::parse(line);
    if (json["event"] == "log.lost") {
      told += json["fields"]["queue_full"].get<uint64_t>();
    } else {
      ++lines;
    }
  }
  EXPECT_EQ(lines + dropped, sent);
  EXPECT_EQ(told, dropped);
}

TEST_F(LogTest, AFullDiskIsNoErrorForWhoeverLogs) {
  auto full = Log::to_file("/dev/full", {});
  ASSERT_TRUE(full.ok()) << full.status().to_string();
  for (int i = 0; i < 10; ++i) (*full)->info("x", "y");
  EXPECT_TRUE((*full)->flush(kSoon));
  EXPECT_EQ((*full)->counters().dropped_error, 10u);
  EXPECT_EQ((*full)->counters().lines, 0u);
}

TEST_F(LogTest, ThreadsDoNotMixTheirLines) {
  Log::Options options;
  options.burst = 1e6;
  options.queue_bytes = 16 << 20;
  auto log = open(std::move(options));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 500; ++i)
        log->info("t" + std::to_string(t), std::string(static_cast<size_t>(i), 'a'), {{"i", i}});
    });
  }
  for (std::thread& thread : threads) thread.join();
  log.reset();  // writes what is queued
  std::map<std::string, int> next;
  for (const std::string& line : lines()) {
    const Json json = Json::parse(line);
    EXPECT_EQ(json["fields"]["i"], next[json["event"].get<std::string>()]++);
  }
  EXPECT_THAT(next, testing::ElementsAre(testing::Pair("t0", 500), testing::Pair("t1", 500), testing::Pair("t2", 500),
                                         testing::Pair("t3", 500)));
}

TEST_F(LogTest, AFileThatCannotBeOpenedIsNamed) {
  const auto log = Log::to_file(folder_.path() + "/missing/log", {});
  EXPECT_EQ(log.status().code(), Code::kNotFound);
  EXPECT_THAT(log.status().to_string(), testing::HasSubstr("/missing/log"));
}

}  // namespace
}  // namespace runink::telemetry
