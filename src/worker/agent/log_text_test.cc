// Lines, rates, and files of logs: all but the store that puts them together.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "base/clock.h"
#include "base/text.h"
#include "platform/os/file.h"
#include "platform/os/temp.h"
#include "worker/agent/log_files.h"
#include "worker/agent/log_rate.h"
#include "worker/agent/log_reader.h"
#include "worker/agent/log_record.h"
#include "worker/agent/log_splitter.h"

namespace runink::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

std::vector<std::string> split_lines(LineSplitter& splitter, std::string_view bytes, bool finish = false) {
  std::vector<std::string> out;
  const LineSplitter::Take take = [&](std::string_view text, bool continues) {
    out.push_back(std::string(text) + (continues ? "…" : "|"));
  };
  splitter.feed(bytes, take);
  if (finish) splitter.finish(take);
  return out;
}

TEST(LineSplitter, CutsAtLineEnds) {
  LineSplitter splitter;
  EXPECT_THAT(split_lines(splitter, "one\ntw"), ElementsAre("one|"));
  EXPECT_THAT(split_lines(splitter, "o\n\nthree\r\nfour"), ElementsAre("two|", "|", "three|"));
  EXPECT_THAT(split_lines(splitter, "", true), ElementsAre("four|"));
  EXPECT_THAT(split_lines(splitter, "", true), ElementsAre());
}

TEST(LineSplitter, ALongLineComesInPieces) {
  LineSplitter splitter;
  const std::string longest(kMostLineBytes, 'a');
  EXPECT_THAT(split_lines(splitter, longest + "\n"), ElementsAre(longest + "|"));
  EXPECT_THAT(split_lines(splitter, longest + "b\n"), ElementsAre(longest + "…", "b|"));
  EXPECT_THAT(split_lines(splitter, longest + longest + "b", true), ElementsAre(longest + "…", longest + "…", "b|"));
  // Not within a letter: "é" has two bytes, the first of which would just fit.
  const std::string before(kMostLineBytes - 1, 'a');
  EXPECT_THAT(split_lines(splitter, before + "é\n"), ElementsAre(before + "…", "é|"));
  // What never ends is not kept.
  for (int i = 0; i < 100; ++i) {
    splitter.feed(longest, [](auto, auto) {});
    EXPECT_LE(splitter.held(), kMostLineBytes);
  }
}

TEST(LineSplitter, HoweverItIsFedTheBytesAreTheSame) {
  std::mt19937 random(7);
  std::string text;
  for (int i = 0; i < 200; ++i) text += std::string(random() % (i % 10 == 0 ? 40'000 : 100), 'x') + "\n";
  for (int round = 0; round < 20; ++round) {
    LineSplitter splitter;
    std::string again;
    const LineSplitter::Take take = [&](std::string_view piece, bool continues) {
      EXPECT_LE(piece.size(), kMostLineBytes);
      again += piece;
      if (!continues) again += "\n";
    };
    for (size_t at = 0; at < text.size();) {
      const size_t size = std::min<size_t>(1 + random() % 70'000, text.size() - at);
      splitter.feed(std::string_view(text).substr(at, size), take);
      at += size;
    }
    splitter.finish(take);
    ASSERT_EQ(again, text);
  }
}

TEST(LogRate, ABurstThenTheLastingRate) {
  constexpr int64_t kSecond = 1'000'000'000;
  constexpr size_t kLine = 1000 - LogRate::kLineCost;
  LogRate rate(10'000, 50'000);
  int kept = 0;
  for (int i = 0; i < 100; ++i) kept += rate.admit(kLine, 0) ? 1 : 0;
  EXPECT_EQ(kept, 50);
  for (int i = 0; i < 100; ++i) kept += rate.admit(kLine, kSecond) ? 1 : 0;
  EXPECT_EQ(kept, 60);
  // A quiet while gives the burst back, and no more.
  for (int i = 0; i < 100; ++i) kept += rate.admit(kLine, 100 * kSecond) ? 1 : 0;
  EXPECT_EQ(kept, 110);
  // A clock that goes back gives nothing.
  EXPECT_FALSE(rate.admit(kLine, 50 * kSecond));
}

TEST(LogRate, WhoGoesOnNeverthelessIsLeftUnread) {
  LogRate rate(1000, 1000);
  EXPECT_EQ(rate.pause_nanos(), 0);
  (void)rate.admit(1000, 0);
  EXPECT_EQ(rate.pause_nanos(), 0);  // dropped, but not worth a pause
  (void)rate.admit(100'000, 0);
  // 101,256 bytes of which 16,000 were granted; 16,000 more come each second.
  EXPECT_NEAR(static_cast<double>(rate.pause_nanos()), 85'256e9 / 16'000, 1e6);
  (void)rate.admit(0, rate.pause_nanos() + 1'000'000'000);
  EXPECT_EQ(rate.pause_nanos(), 0);
}

TEST(LogRecord, IsReadBackAsItWas) {
  LogLine line;
  ASSERT_TRUE(parse_utc("2026-11-21T19:55:00.123456Z", &line.unix_micros));
  line.stream = LogStream::kError;
  line.text = "a \"quote\", a \\, \x01 and é";
  line.continues = true;
  const std::string json = log_line_json({"s1", "etl"}, line);
  EXPECT_EQ(json,
            "{\"time\":\"2026-11-21T19:55:00.123456Z\",\"slice\":\"s1\",\"herd\":\"etl\",\"stream\":\"stderr\","
            "\"line\":\"a \\\"quote\\\", a \\\\, \\u0001 and é\",\"continues\":true}\n");
  const auto read = parse_log_line(json);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->unix_micros, line.unix_micros);
  EXPECT_EQ(read->stream, line.stream);
  EXPECT_EQ(read->text, line.text);
  EXPECT_TRUE(read->continues);

  LogLine dropped;
  dropped.stream = LogStream::kRunink;
  dropped.dropped_lines = 5;
  dropped.dropped_bytes = 99;
  const auto told = parse_log_line(log_line_json({"s1", "etl"}, dropped));
  ASSERT_TRUE(told);
  EXPECT_EQ(told->dropped_lines, 5u);
  EXPECT_EQ(told->dropped_bytes, 99u);
  // Every byte there is, whatever it is worth as text.
  LogLine bytes;
  for (int c = 0; c < 256; ++c) bytes.text.push_back(static_cast<char>(c));
  EXPECT_TRUE(parse_log_line(log_line_json({"s", "h"}, bytes)));
}

TEST(LogRecord, WhatIsNoneIsNone) {
  const std::string json = log_line_json({"s1", "etl"}, {1, LogStream::kOutput, "text", false, 0, 0});
  for (size_t size = 0; size + 2 < json.size(); ++size) EXPECT_FALSE(parse_log_line(json.substr(0, size)));
  for (const char* other : {"", "null", "[]", "{}", R"({"time":1,"stream":"stdout","line":"x"})",
                            R"({"time":"2026-11-21T19:55:00Z","stream":"other","line":"x"})",
                            R"({"time":"yesterday","stream":"stdout","line":"x"})"}) {
    EXPECT_FALSE(parse_log_line(other)) << other;
  }
}

class LogFilesTest : public testing::Test {
 protected:
  static std::string line(int number) {
    LogLine line;
    line.text = "line " + std::to_string(number);
    return log_line_json({"s", "h"}, line);
  }
  LogFiles open(LogFiles::Limits limits = {1000, 3}) {
    auto files = LogFiles::open(folder_, limits);
    EXPECT_TRUE(files.ok()) << files.status().to_string();
    return std::move(*files);
  }
  static std::vector<std::string> texts(LogReader& reader, size_t most = 1000) {
    std::vector<std::string> out;
    const auto lines = reader.next(most);
    EXPECT_TRUE(lines.ok()) << lines.status().to_string();
    for (const LogLine& line : *lines) out.push_back(line.text);
    return out;
  }
  os::TempFolder temp_ = *os::TempFolder::create("");
  std::string folder_ = temp_.path() + "/log";
};

TEST_F(LogFilesTest, NeverTakeMoreThanTheirMost) {
  LogFiles files = open();
  for (int i = 0; i < 500; ++i) {
    ASSERT_TRUE(files.append(line(i)).ok());
    EXPECT_LE(*os::tree_bytes(folder_), 3000u);
    EXPECT_EQ(files.bytes(), *os::tree_bytes(folder_));
  }
  EXPECT_THAT(*log_file_numbers(folder_), SizeIs(3));
  EXPECT_EQ(os::file_info(log_file_path(folder_, log_file_numbers(folder_)->back()))->permissions, 0600u);
  auto reader = LogReader::open(folder_);
  ASSERT_TRUE(reader.ok());
  const auto read = texts(*reader);
  ASSERT_FALSE(read.empty());
  EXPECT_EQ(read.back(), "line 499");
  for (size_t i = 0; i < read.size(); ++i) EXPECT_EQ(read[i], "line " + std::to_string(500 - read.size() + i));
}

TEST_F(LogFilesTest, GoOnAfterARestartAndSkipACutLine) {
  ASSERT_TRUE(open().append(line(1)).ok());
  {
    auto cut = os::open_file(log_file_path(folder_, 1), os::OpenMode::kAppend);
    ASSERT_TRUE(os::write_all(*cut, line(2).substr(0, 20)).ok());
  }
  LogFiles files = open();
  ASSERT_TRUE(files.append(line(3)).ok());
  auto reader = LogReader::open(folder_);
  EXPECT_THAT(texts(*reader), ElementsAre("line 1", "line 3"));
  // And without a cut line in the same file.
  files = open();
  ASSERT_TRUE(files.append(line(4)).ok());
  EXPECT_THAT(*log_file_numbers(folder_), ElementsAre(1, 2));
  EXPECT_THAT(texts(*reader), ElementsAre("line 4"));
}

TEST_F(LogFilesTest, AReaderFollows) {
  LogFiles files = open({2000, 10});
  auto reader = LogReader::open(folder_);
  EXPECT_THAT(texts(*reader), ElementsAre());
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(files.append(line(i)).ok());
    EXPECT_THAT(texts(*reader), ElementsAre("line " + std::to_string(i)));
  }
  EXPECT_THAT(*log_file_numbers(folder_), SizeIs(testing::Gt(2u)));
  // In small helpings, and from a line that is there in part.
  auto again = LogReader::open(folder_);
  int at = 0;
  for (auto some = texts(*again, 7); !some.empty(); some = texts(*again, 7)) {
    EXPECT_LE(some.size(), 7u);
    for (const std::string& text : some) EXPECT_EQ(text, "line " + std::to_string(at++));
  }
  EXPECT_EQ(at, 60);
  auto raw = os::open_file(log_file_path(folder_, log_file_numbers(folder_)->back()), os::OpenMode::kAppend);
  const std::string last = line(60);
  ASSERT_TRUE(os::write_all(*raw, last.substr(0, 30)).ok());
  EXPECT_THAT(texts(*again), ElementsAre());
  ASSERT_TRUE(os::write_all(*raw, last.substr(30)).ok());
  EXPECT_THAT(texts(*again), ElementsAre("line 60"));
}

TEST_F(LogFilesTest, AReaderThatIsTooSlowIsTold) {
  LogFiles files = open();
  ASSERT_TRUE(files.append(line(0)).ok());
  auto reader = LogReader::open(folder_);
  EXPECT_THAT(texts(*reader), ElementsAre("line 0"));
  for (int i = 1; i < 500; ++i) ASSERT_TRUE(files.append(line(i)).ok());
  // What is left of the file that it has open it still gets.
  const auto read = texts(*reader);
  const auto missing = std::find_if(read.begin(), read.end(), [](const std::string& text) {
    return text.find("lines are missing here") != std::string::npos;
  });
  ASSERT_NE(missing, read.end());
  EXPECT_EQ(read.back(), "line 499");
}

TEST_F(LogFilesTest, AReaderBeginsAtTheLastLines) {
  LogFiles files = open({1000, 5});
  for (int i = 0; i < 40; ++i) ASSERT_TRUE(files.append(line(i)).ok());
  for (const uint64_t count : {0, 1, 5, 20, 33}) {
    auto reader = LogReader::open(folder_, count);
    ASSERT_TRUE(reader.ok());
    const auto read = texts(*reader);
    ASSERT_EQ(read.size(), count);
    if (count == 0) continue;
    EXPECT_EQ(read.front(), "line " + std::to_string(40 - count));
  }
  auto all = LogReader::open(folder_, 1000);
  auto whole = LogReader::open(folder_);
  EXPECT_EQ(texts(*all), texts(*whole));
  EXPECT_EQ(LogReader::open(folder_ + "-none").status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace runink::agent
