#include "worker/slice/stage_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "worker/slice/letter_stream.h"

namespace runink::slice {
namespace {

using columnar::DataType;
using columnar::TypeId;

StageStart some_start() {
  StageStart start;
  start.bundle.feature_path = "features/f.dsl";
  start.bundle.feature_text = "Feature: F\n";
  start.bundle.files = {{"contracts/c.contract", "contract C { int64 id; }"}};
  start.bundle.inferred = {
      {"in.csv", columnar::Schema({{"a", TypeId::kString, false, "%Y", "Europe/Berlin"},
                                   {"b", DataType::decimal(10, 3)},
                                   {"c", DataType::enumeration({"x", "y"})},
                                   {"d", DataType::list(DataType::structure({{"e", TypeId::kInt8}}))}})}};
  start.scenario = "S";
  start.outputs = {"", "sink"};
  start.inlet = StreamKind::kRing;
  start.threads = 3;
  start.now_micros = -5;
  start.key = std::string(32, '\x01');
  return start;
}

TEST(StageProtocol, WorkArrivesWhole) {
  const StageStart start = some_start();
  const auto back = decode_start(encode(start));
  ASSERT_TRUE(back.ok()) << back.status().to_string();
  EXPECT_EQ(back->bundle.inferred[0].schema, start.bundle.inferred[0].schema);
  EXPECT_EQ(back->bundle.files[0].text, start.bundle.files[0].text);
  EXPECT_EQ(back->outputs, start.outputs);
  EXPECT_EQ(back->inlet, StreamKind::kRing);
  EXPECT_EQ(back->now_micros, -5);
  EXPECT_EQ(back->key, start.key);
}

TEST(StageProtocol, AReportArrivesWhole) {
  StageEnd end;
  end.status =
      aborted("it failed").with_kind("a.kind").with_hint("do this").with_context("step \"x\"").with_detail("a line");
  engine::OperatorReport op;
  op.id = 4;
  op.name = "check";
  op.rows_out = {7, 8};
  op.dropped = {{"late", 3}};
  end.report.operators = {op};
  end.report.balances = {{4, "check", "in = out", 1, 2}};
  end.report.rules = {{.name = "r", .passed = true, .is_assertion = true, .location = {"f.dsl", 3, 4}}};
  end.report.drift = {{"x", 9}};
  end.report.rejected_by_rule = {{"id.required", 2}};
  end.report.notes = {"note"};
  const auto back = decode_end(encode(end));
  ASSERT_TRUE(back.ok()) << back.status().to_string();
  EXPECT_EQ(back->status.to_string(), end.status.to_string());
  EXPECT_EQ(back->status.kind(), "a.kind");
  EXPECT_EQ(back->status.hint(), "do this");
  EXPECT_EQ(back->status.details(), end.status.details());
  EXPECT_EQ(back->report.operators[0].rows_out, op.rows_out);
  EXPECT_EQ(back->report.operators[0].dropped, op.dropped);
  EXPECT_EQ(back->report.balances[0].right, 2u);
  EXPECT_EQ(back->report.rules[0].location.to_string(), "f.dsl:3:4");
  EXPECT_EQ(back->report.drift, end.report.drift);
  EXPECT_EQ(back->report.rejected_by_rule, end.report.rejected_by_rule);
}

// Whatever arrives: a value or an error, never a crash.
TEST(StageProtocol, CutAndChangedBytes) {
  StageEnd end;
  end.report.operators.resize(3);
  end.report.rules.resize(2);
  const std::vector<std::string> bodies = {
      encode(some_start()), encode(end), encode(StageAsk{.what = Ask::kEndSink, .failure = aborted("x")}),
      encode(StageAnswer{.names = {"a", "b"}, .crlf = true}), encode(StageSamples{1, {"{}"}})};
  std::mt19937 random(5);
  for (const std::string& body : bodies) {
    for (int round = 0; round < 2000; ++round) {
      std::string changed = body.substr(0, random() % 4 == 0 ? random() % (body.size() + 1) : body.size());
      for (size_t i = 0; i < random() % 4 && !changed.empty(); ++i)
        changed[random() % changed.size()] = static_cast<char>(random());
      (void)status_of(decode_start(changed));
      (void)status_of(decode_end(changed));
      (void)status_of(decode_ask(changed));
      (void)status_of(decode_answer(changed));
      (void)status_of(decode_samples(changed));
    }
    EXPECT_FALSE(decode_progress(body + "x").ok());
  }
}

// ---- dead letters

struct Letters {
  std::vector<std::string> seen;
  LetterReader reader{{.source =
                           [this](uint32_t number, std::string_view name) {
                             seen.push_back(fmt::format("source {} {}", number, name));
                             return Status();
                           },
                       .letter =
                           [this](uint32_t op, const engine::RejectedRecord& r) {
                             seen.push_back(fmt::format("{} {} {} {} {} {}", op,
                                                        r.source == engine::kNoSource ? -1 : static_cast<int>(r.source),
                                                        r.offset, r.line, r.bytes, (*r.rules)[0].message));
                             return Status();
                           }}};
};

std::string letters_in_pieces(size_t piece, std::vector<std::string>* pieces) {
  std::string all;
  LetterWriter writer(
      piece,
      [&](std::string_view bytes) {
        EXPECT_LE(bytes.size(), piece);
        pieces->emplace_back(bytes);
        all += bytes;
        return Status();
      },
      [](uint32_t source) { return "file" + std::to_string(source); });
  const std::vector<engine::RejectedRecord::Rule> rules = {{"id.type", "id", "no number", "words"}};
  engine::RejectedRecord record;
  record.rules = &rules;
  record.bytes = "{\"id\":\"x\"}";
  for (const uint32_t source : {1u, 0u, engine::kNoSource}) {
    record.source = source;
    record.offset = source == engine::kNoSource ? -1 : 40;
    EXPECT_TRUE(writer.add(2, record).ok());
  }
  EXPECT_TRUE(writer.flush().ok());
  return all;
}

TEST(LetterStream, LettersArriveWithTheirSources) {
  for (const size_t piece : {size_t{1}, size_t{7}, size_t{4096}}) {
    std::vector<std::string> pieces;
    letters_in_pieces(piece, &pieces);
    Letters letters;
    for (const auto& p : pieces) ASSERT_TRUE(letters.reader.add(p).ok());
    EXPECT_TRUE(letters.reader.between_letters());
    EXPECT_THAT(letters.seen,
                testing::ElementsAre("source 0 file0", "source 1 file1", "2 1 40 0 {\"id\":\"x\"} no number",
                                     "2 0 40 0 {\"id\":\"x\"} no number", "2 -1 -1 0 {\"id\":\"x\"} no number"));
  }
}

TEST(LetterStream, ChangedBytesAreAnErrorOrOtherLetters) {
  std::vector<std::string> pieces;
  const std::string all = letters_in_pieces(4096, &pieces);
  std::mt19937 random(3);
  size_t refused = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string changed = all;
    changed[random() % changed.size()] = static_cast<char>(random());
    Letters letters;
    // The handler above looks at the first rule.
    LetterReader reader({.source = [](uint32_t, std::string_view) { return Status(); },
                         .letter = [](uint32_t, const engine::RejectedRecord&) { return Status(); }});
    refused += !reader.add(changed).ok() || !reader.between_letters();
  }
  EXPECT_GT(refused, 1000u);
}

}  // namespace
}  // namespace runink::slice
