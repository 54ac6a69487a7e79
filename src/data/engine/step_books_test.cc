// What is kept for a custom step: rows sent, refusals, answers and letters on their way.
#include "data/engine/step_books.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <thread>

#include "data/columnar/builder.h"
#include "data/engine/answer_queue.h"
#include "platform/os/temp.h"

namespace runink::engine {
namespace {

using columnar::Value;
using testing::ElementsAre;
using testing::HasSubstr;

SchemaPtr schema() {
  static const SchemaPtr s = std::make_shared<const columnar::Schema>(
      std::vector<columnar::Field>{{"n", columnar::TypeId::kInt64}, {"text", columnar::TypeId::kString}});
  return s;
}

// Rows numbered from `first`; read from a chunk, or computed.
Batch rows(int64_t first, int64_t count, bool computed) {
  columnar::BatchBuilder builder(schema());
  auto bytes = std::make_shared<std::string>();
  auto origin = std::make_shared<columnar::RowOrigin>();
  for (int64_t r = 0; r < count; ++r) {
    const std::string line = fmt::format("{{\"n\":{}}}", first + r);
    builder.append_row({Value(first + r), Value(fmt::format("row {}", first + r))});
    origin->offset.push_back(static_cast<uint32_t>(bytes->size()));
    origin->length.push_back(static_cast<uint32_t>(line.size()));
    origin->line.push_back(static_cast<uint32_t>(r));
    *bytes += line + "\n";
  }
  Batch batch = builder.finish();
  if (computed) return batch;
  auto chunk = std::make_shared<columnar::InputChunk>();
  chunk->source = 7;
  chunk->position = static_cast<uint64_t>(first) * 100;
  chunk->first_line = static_cast<uint64_t>(first) + 1;
  chunk->bytes = *bytes;
  chunk->owner = bytes;
  origin->chunk = std::move(chunk);
  batch.origin = std::move(origin);
  return batch;
}

class Held : public testing::Test {
 protected:
  Held() : folder_(std::move(os::TempFolder::create("")).value()) {
    op_.id = 3;
    op_.name = "score";
  }
  os::TempFolder folder_;
  plan::Operator op_;
};

// Against a list of numbers, for any memory: every row asked for comes once, with its bytes and place.
TEST_F(Held, SentRowsAreThereUntilTheyAreSettled) {
  for (uint64_t memory : {uint64_t{1}, uint64_t{3000}, uint64_t{1} << 30}) {
    std::mt19937_64 random(memory);
    SentRows sent(folder_.path(), schema(), memory);
    uint64_t seen = 0, asked = 0;
    while (sent.settled() < 20'000) {
      if (random() % 3 != 0 && sent.end() < 20'000) {
        const auto count = static_cast<int64_t>(1 + random() % 300);
        ASSERT_TRUE(sent.add(rows(static_cast<int64_t>(sent.end()), count, random() % 4 == 0)).ok());
        continue;
      }
      if (sent.settled() == sent.end()) continue;
      const uint64_t before = sent.settled() + 1 + random() % (sent.end() - sent.settled());
      std::set<uint64_t> some;
      for (uint64_t i = random() % 5; i > 0; --i) some.insert(sent.settled() + random() % (before - sent.settled()));
      const std::vector<uint64_t> wanted(some.begin(), some.end());
      asked += wanted.size();
      const Status status = sent.settle(before, wanted, [&](const Batch& batch, int64_t row, size_t index) -> Status {
        ++seen;
        const auto number = static_cast<int64_t>(wanted[index]);
        if (batch.origin) {
          EXPECT_EQ(batch.origin->bytes(row), fmt::format("{{\"n\":{}}}", number));
          EXPECT_EQ(batch.origin->source(row), 7u);
          EXPECT_EQ(batch.origin->line_number(row), static_cast<uint64_t>(number) + 1);
        } else {
          EXPECT_EQ(columnar::value_at(batch.columns.at(0), row), Value(number));
        }
        return {};
      });
      ASSERT_TRUE(status.ok()) << status.to_string();
      ASSERT_EQ(sent.settled(), before);
    }
    EXPECT_EQ(seen, asked);
    EXPECT_EQ(sent.spilled_bytes() > 0, memory < (1u << 30));
  }
}

TEST_F(Held, WholeRowsCanBeReadAgain) {
  for (uint64_t memory : {uint64_t{1}, uint64_t{1} << 30}) {
    SentRows sent(folder_.path(), schema(), memory, true);
    for (int64_t i = 0; i < 10; ++i) ASSERT_TRUE(sent.add(rows(i * 100, 100, i % 2 == 0)).ok());
    for (int pass = 0; pass < 2; ++pass) {
      auto next = sent.reread();
      int64_t number = 0;
      for (;;) {
        auto batch = next();
        ASSERT_TRUE(batch.ok()) << batch.status().to_string();
        if (!batch->has_value()) break;
        for (int64_t r = 0; r < (*batch)->rows; ++r)
          EXPECT_EQ(columnar::value_at((*batch)->columns[0], r), Value(number++));
      }
      EXPECT_EQ(number, 1000);
    }
  }
}

TEST_F(Held, LettersKeepTheirOrder) {
  LetterQueue queue(folder_.path());
  for (int pass = 0; pass < 2; ++pass) {
    const std::vector<RejectedRecord::Rule> rules = {{"a.range", "a", "too large"}, {"step", "", "no"}};
    for (uint32_t i = 0; i < 30'000; ++i) {
      RejectedRecord record;
      const std::string bytes(i % 200, static_cast<char>('a' + i % 26));
      record.source = i % 3;
      record.offset = i;
      record.line = i + 1;
      record.bytes = bytes;
      record.rules = &rules;
      ASSERT_TRUE(queue.add(i % 5, record).ok());
    }
    EXPECT_EQ(queue.size(), 30'000u);
    uint32_t i = 0;
    const Status status = queue.drain([&](uint32_t op, const RejectedRecord& record) -> Status {
      EXPECT_EQ(op, i % 5);
      EXPECT_EQ(record.offset, i);
      EXPECT_EQ(record.bytes, std::string(i % 200, static_cast<char>('a' + i % 26)));
      EXPECT_EQ(record.rules->size(), 2u);
      EXPECT_EQ(record.rules->front().message, "too large");
      ++i;
      return {};
    });
    EXPECT_TRUE(status.ok()) << status.to_string();
    EXPECT_EQ(i, 30'000u);
    EXPECT_EQ(queue.size(), 0u);
  }
}

class Books : public Held {
 protected:
  std::unique_ptr<StepBooks> books(uint64_t memory = 1, bool again = false) {
    return std::make_unique<StepBooks>(
        op_, schema(), folder_.path(), memory, again, false,
        [](const Batch& batch, int64_t row, std::vector<RejectedRecord::Rule> rules) {
          PendingReject reject;
          reject.origin = batch.origin;
          reject.row = row;
          reject.rules = std::move(rules);
          return reject;
        },
        progress_);
  }
  static std::vector<std::string> letters(StepBooks& books) {
    std::vector<std::string> out;
    const Status status = books.letters().drain([&](uint32_t, const RejectedRecord& record) -> Status {
      out.push_back(fmt::format("{} {}", record.bytes, record.rules->front().message));
      return {};
    });
    EXPECT_TRUE(status.ok());
    return out;
  }
  std::atomic<uint64_t> progress_{0};
};

TEST_F(Books, RefusedRecordsBecomeLettersInTheirOrder) {
  for (bool marks : {false, true}) {
    auto b = books();
    ASSERT_TRUE(b->sent(rows(0, 10, false)).ok());
    ASSERT_TRUE(b->refused({{7, false, "seven"}, {2, false, ""}}).ok());
    if (marks) ASSERT_TRUE(b->settled(5).ok());
    ASSERT_TRUE(b->sent(rows(10, 10, false)).ok());
    ASSERT_TRUE(b->refused({{12, true, "even"}, {6, false, "six"}}).ok());
    ASSERT_TRUE(b->answered(16).ok());
    ASSERT_TRUE(b->ended().ok());
    EXPECT_THAT(letters(*b), ElementsAre("{\"n\":2} refused by the step", "{\"n\":6} six", "{\"n\":7} seven"));
    EXPECT_EQ(b->rejected(), 3u);
    EXPECT_EQ(b->dropped().at("even"), 1u);
  }
  EXPECT_EQ(progress_, 6u);
}

TEST_F(Books, WhatIsSettledIsForgotten) {
  auto b = books(20'000);
  for (int64_t i = 0; i < 1000; ++i) {  // far more than the memory, nothing of it on disk
    ASSERT_TRUE(b->sent(rows(i * 100, 100, false)).ok());
    if (i % 2 == 0) {
      ASSERT_TRUE(b->settled(static_cast<uint64_t>(i) * 100 + 100).ok());
      ASSERT_TRUE(b->answered(100).ok());
    } else {
      ASSERT_TRUE(b->refused({{static_cast<uint64_t>(i) * 100, true, ""}}).ok());
      ASSERT_TRUE(b->answered(99).ok());  // as many as were sent
    }
  }
  EXPECT_EQ(b->spilled_bytes(), 0u);
  ASSERT_TRUE(b->ended().ok());
  EXPECT_EQ(b->dropped().at("dropped by the step"), 500u);
}

TEST_F(Books, MoreRefusalsThanFitMemory) {
  auto b = books();
  std::string expected;
  for (int64_t i = 0; i < 100; ++i) ASSERT_TRUE(b->sent(rows(i * 2000, 2000, i % 2 == 0)).ok());
  std::vector<uint64_t> records(200'000);
  for (uint64_t i = 0; i < records.size(); ++i) records[i] = i;
  std::shuffle(records.begin(), records.end(), std::mt19937_64(5));
  records.resize(150'000);
  for (size_t at = 0; at < records.size(); at += 1000) {
    std::vector<StepRefusal> some;
    for (size_t i = at; i < at + 1000; ++i)
      some.push_back({records[i], records[i] % 2 == 0, std::to_string(records[i])});
    ASSERT_TRUE(b->refused(std::move(some)).ok());
  }
  ASSERT_TRUE(b->settled(1000).ok());
  ASSERT_TRUE(b->ended().ok());
  std::sort(records.begin(), records.end());
  const auto got = letters(*b);
  size_t at = 0;
  for (uint64_t record : records) {
    if (record % 2 == 0) continue;
    ASSERT_LT(at, got.size());
    ASSERT_THAT(got[at++], testing::EndsWith(" " + std::to_string(record)));
  }
  EXPECT_EQ(at, got.size());
}

TEST_F(Books, WhatCannotBe) {
  const auto with_ten = [&] {
    auto b = books();
    EXPECT_TRUE(b->sent(rows(0, 10, false)).ok());
    return b;
  };
  auto twice = with_ten();
  EXPECT_TRUE(twice->refused({{4, true, ""}, {4, false, ""}}).ok());
  EXPECT_THAT(twice->ended().to_string(), HasSubstr("step \"score\" said twice what became of record 4"));
  EXPECT_THAT(with_ten()->refused({{10, true, ""}}).to_string(),
              HasSubstr("refused record 10, and was sent 10, counted from 0"));
  EXPECT_THAT(with_ten()->settled(11).to_string(), HasSubstr("says that 11 records are settled, and was sent 10"));
  auto late = with_ten();
  EXPECT_TRUE(late->settled(6).ok());
  EXPECT_THAT(late->refused({{5, true, ""}}).to_string(),
              HasSubstr("refused record 5, when every record before 6 had been"));
  auto even = with_ten();
  EXPECT_TRUE(even->answered(10).ok());
  EXPECT_THAT(even->refused({{5, true, ""}}).to_string(),
              HasSubstr("refused record 5, when every record before 10 had been"));
}

TEST_F(Books, AStepThatMayBeRunAgainSettlesNothingBeforeItsEnd) {
  auto b = books(1, true);
  ASSERT_TRUE(b->sent(rows(0, 10, false)).ok());
  ASSERT_TRUE(b->refused({{1, false, "one"}}).ok());
  ASSERT_TRUE(b->settled(5).ok());
  b->begin_again();
  ASSERT_TRUE(b->refused({{2, false, "two"}}).ok());
  ASSERT_TRUE(b->answered(9).ok());
  ASSERT_TRUE(b->ended().ok());
  EXPECT_THAT(letters(*b), ElementsAre("{\"n\":2} two"));
}

TEST_F(Held, AnswersAreSpooledThenStreamed) {
  AnswerQueue queue(folder_.path(), schema(), 1, 1);
  for (int64_t i = 0; i < 5; ++i) ASSERT_TRUE(queue.put(rows(i, 1, true)).ok());
  std::atomic<int64_t> put{5};
  ASSERT_TRUE(queue.stream().ok());
  std::thread reader([&] {
    for (; put < 1000; ++put) EXPECT_TRUE(queue.put(rows(put, 1, true)).ok());
    queue.end({});
  });
  for (int64_t i = 0; i < 1000; ++i) {
    auto batch = queue.take();
    ASSERT_TRUE(batch.ok() && batch->has_value());
    EXPECT_EQ(columnar::value_at((*batch)->columns[0], 0), Value(i));
    EXPECT_LE(put, std::max<int64_t>(5, i + 2) + 1) << "the queue is short";
  }
  EXPECT_FALSE(queue.take().value().has_value());
  reader.join();
  EXPECT_GT(queue.spilled_bytes(), 0u);
}

TEST_F(Held, NobodyWaitsForAQueueThatWasStopped) {
  AnswerQueue queue(folder_.path(), schema(), 1, 1);
  ASSERT_TRUE(queue.stream().ok());
  std::thread taker([&] { EXPECT_EQ(queue.take().status().kind(), "run.stopped"); });
  queue.stop();
  taker.join();
  for (int64_t i = 0; i < 100; ++i) EXPECT_TRUE(queue.put(rows(i, 1, true)).ok());
  queue.end(aborted("why"));
  EXPECT_EQ(queue.status().message(), "why");
}

}  // namespace
}  // namespace runink::engine
