#include "data/ledger/dead_letters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/id.h"
#include "base/text.h"
#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::ledger {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

std::string run_id(int number) { return make_uuid_v7(1000 + number, {}); }

class DeadLetterTest : public ::testing::Test {
 protected:
  void SetUp() override { folder_ = std::move(os::TempFolder::create("")).value(); }
  DeadLetterStore store() const { return DeadLetterStore(folder_.path()); }

  DeadLetterOrigin origin(int run = 0) const {
    return {run_id(run), "features/a.dsl", "Clean the feed", "check", "Flight", "abcd", 1'700'000'000'000'000};
  }

  // Writes one letter per record, at offsets 0, 100, 200, …, breaking "range delay" or, every third, also "required".
  void write(int run, const std::vector<std::string>& records, const std::string& name = "rejected") {
    DeadLetterWriter writer = std::move(store().create(origin(run), name)).value();
    const BrokenRuleView rules[] = {{"range", "delay", "9999 is too much"}, {"required", "origin", ""}};
    for (size_t i = 0; i < records.size(); ++i) {
      ASSERT_TRUE(writer.append({records[i], "data/x.ndjson", static_cast<int64_t>(i) * 100, static_cast<int64_t>(i) + 1, rules,
                                 i % 3 == 2 ? 2u : 1u}).ok());
    }
    ASSERT_TRUE(writer.finish().ok());
  }

  std::vector<std::string> pending(const DeadLetterFilter& filter = {}) const {
    std::vector<std::string> records;
    EXPECT_TRUE(store().for_each_pending(filter, [&](const DeadLetter& l) { return records.push_back(l.record), true; }).ok());
    return records;
  }

  os::TempFolder folder_;
};

TEST_F(DeadLetterTest, EveryByteComesBack) {
  std::vector<std::string> records = {"", "{\"a\":1}", "tab\t\"quote\\\"", std::string("nul\0x", 5), "line\nend\r\n", "ü€😀",
                                      "\xFF\xFE", "\xED\xA0\x80 lone surrogate", std::string(300'000, 'x')};
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  records.push_back(all);
  for (int c = 0; c < 256; ++c) records.push_back(std::string(1, static_cast<char>(c)));
  write(0, records);
  DeadLetterReader reader = std::move(DeadLetterReader::open(store().files()->front().path)).value();
  for (const std::string& record : records) {
    const auto letter = reader.next();
    ASSERT_TRUE(letter.ok()) << letter.status().to_string();
    ASSERT_TRUE(letter->has_value());
    ASSERT_EQ((*letter)->record, record);
  }
  EXPECT_FALSE(reader.next()->has_value());
}

TEST_F(DeadLetterTest, ALetterTellsWhereItCameFromAndWhy) {
  std::string line;
  DeadLetterOrigin o = origin();
  o.scenario = "odd \"name\" \xFF";
  const BrokenRuleView rules[] = {{"range", "delay", "too \"much\"\n"}, {"distinct_airports", "", "origin = destination"}};
  DeadLetterEncoder(o).encode({"{}", "data/\"x\".csv", 123, 7, rules, 2}, "step 2", &line);
  EXPECT_EQ(line.back(), '\n');
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const DeadLetter letter = std::move(parse_dead_letter(trim(line), "f")).value();
  EXPECT_EQ(letter.run_id, run_id(0));
  EXPECT_EQ(letter.feature, "features/a.dsl");
  EXPECT_EQ(letter.scenario, "odd \"name\" \xEF\xBF\xBD");
  EXPECT_EQ(letter.step, "step 2");
  EXPECT_EQ(letter.contract, "Flight");
  EXPECT_EQ(letter.contract_hash, "abcd");
  EXPECT_EQ(letter.source, "data/\"x\".csv");
  EXPECT_EQ(letter.offset, 123);
  EXPECT_EQ(letter.line, 7);
  EXPECT_EQ(letter.time_micros, 1'700'000'000'000'000);
  ASSERT_EQ(letter.rules.size(), 2u);
  EXPECT_EQ(letter.rules[0].message, "too \"much\"\n");
  EXPECT_EQ(letter.rules[1].field, "");
  EXPECT_EQ(letter.rules[0].words, "");
  EXPECT_TRUE(letter.pii.empty());
}

TEST_F(DeadLetterTest, ALetterKeepsTheWordsOfAStepApartAndNamesWhatIsToBeMasked) {
  std::string line;
  DeadLetterOrigin o = origin();
  o.pii = {"who", "a.\"b\""};
  const BrokenRuleView rules[] = {{"step", "", "refused by the step", "no \"Ann\""}, {"a.range", "a", "a is ****"}};
  DeadLetterEncoder(o).encode({"{}", "", -1, 0, rules, 2}, "step 2", &line);
  const DeadLetter letter = std::move(parse_dead_letter(trim(line), "f")).value();
  ASSERT_EQ(letter.rules.size(), 2u);
  EXPECT_EQ(letter.rules[0].message, "refused by the step");
  EXPECT_EQ(letter.rules[0].words, "no \"Ann\"");
  EXPECT_EQ(letter.rules[1].words, "");
  EXPECT_EQ(letter.pii, (std::vector<std::string>{"who", "a.\"b\""}));
}

TEST_F(DeadLetterTest, IdsDependOnTheRecordAndItsPlaceButNotOnTheRun) {
  const auto id = [](const char* feature, const char* source, int64_t offset, const char* record) {
    return dead_letter_id(feature, "s", source, offset, record);
  };
  const std::string base = id("f", "a", 1, "x");
  EXPECT_EQ(base.size(), 32u);
  EXPECT_EQ(base, id("f", "a", 1, "x"));
  for (const std::string& other : {id("g", "a", 1, "x"), id("f", "b", 1, "x"), id("f", "a", 2, "x"), id("f", "a", 1, "y"),
                                   id("f", "a", -1, "x"), dead_letter_id("f", "s2", "a", 1, "x")}) {
    EXPECT_NE(base, other);
  }
  write(0, {"r"});
  write(1, {"r"});
  std::set<std::string> ids;
  ASSERT_TRUE(store().for_each({}, [&](const DeadLetter& l) { return ids.insert(l.id), true; }).ok());
  EXPECT_EQ(ids.size(), 1u);
  EXPECT_EQ(*ids.begin(), dead_letter_id("features/a.dsl", "Clean the feed", "data/x.ndjson", 0, "r"));
}

TEST_F(DeadLetterTest, FilesArePrivateAndCounted) {
  write(0, {"a", "b", "c"}, "out/rejected.ndjson");
  write(0, {"d"}, "out/rejected.ndjson");
  write(1, {"e"});
  const auto files = store().files();
  ASSERT_TRUE(files.ok());
  ASSERT_EQ(files->size(), 3u);
  EXPECT_EQ((*files)[0].run_id, run_id(1));  // newest run first
  EXPECT_EQ(os::file_info((*files)[0].path)->permissions, 0600u);
  EXPECT_EQ(os::file_info(os::folder_of((*files)[0].path))->permissions, 0700u);
  EXPECT_THAT((*files)[1].name, HasSubstr("out-rejected.ndjson"));
  EXPECT_NE((*files)[1].path, (*files)[2].path);
  const auto three = (*files)[1].summary.letters == 3 ? (*files)[1] : (*files)[2];
  EXPECT_THAT(three.summary.by_rule, ElementsAre(Pair("range delay", 3), Pair("required origin", 1)));
  EXPECT_EQ(three.summary.bytes, os::file_info(three.path)->size);
  // Counted anew where the summary is missing, stale or damaged.
  ASSERT_TRUE(os::write_file_atomic(three.path + ".summary", "{\"format\":1,\"bytes\":1}").ok());
  const std::vector<DeadLetterFile> again = *store().files(run_id(0));
  for (const DeadLetterFile& file : again) {
    if (file.path == three.path) {
      EXPECT_EQ(file.summary.by_rule, three.summary.by_rule);
    }
  }
  EXPECT_FALSE(store().create({"../escape", "f", "s", "x", "", "", 0}, "n").ok());
}

TEST_F(DeadLetterTest, FiltersAndFind) {
  write(0, {"a", "b", "c"});
  const auto found = [&](const DeadLetterFilter& filter) {
    std::vector<std::string> records;
    EXPECT_TRUE(store().for_each(filter, [&](const DeadLetter& l) { return records.push_back(l.record), true; }).ok());
    return records;
  };
  DeadLetterFilter filter;
  filter.rule = "required";
  EXPECT_THAT(found(filter), ElementsAre("c"));
  filter.field = "delay";
  EXPECT_THAT(found(filter), IsEmpty());
  filter = {};
  filter.limit = 2;
  EXPECT_THAT(found(filter), ElementsAre("a", "b"));
  filter = {};
  filter.scenario = "other";
  EXPECT_THAT(found(filter), IsEmpty());
  filter = {};
  filter.run_id = run_id(9);
  EXPECT_THAT(found(filter), IsEmpty());

  const std::string id = dead_letter_id("features/a.dsl", "Clean the feed", "data/x.ndjson", 100, "b");
  EXPECT_EQ(store().find(id.substr(0, 8))->record, "b");
  EXPECT_EQ(store().find(id.substr(0, 3)).status().code(), Code::kNotFound);
  EXPECT_EQ(store().find("0000000000000000000").status().code(), Code::kNotFound);
}

TEST_F(DeadLetterTest, TornTailIsTheEndAndDamageInTheMiddleIsTold) {
  write(0, {"a", "b"});
  const std::string path = store().files()->front().path;
  const std::string whole = *os::read_file(path);
  for (size_t cut = whole.find('\n') + 1; cut < whole.size(); ++cut) {
    ASSERT_TRUE(os::truncate_file(std::move(os::open_file(path, os::OpenMode::kReadWrite)).value(), cut).ok());
    ASSERT_TRUE(os::pwrite_all(std::move(os::open_file(path, os::OpenMode::kReadWrite)).value(), whole.substr(0, cut), 0).ok());
    EXPECT_EQ(store().files()->front().summary.letters, 1u) << cut;
  }
  std::string damaged = whole;
  damaged[whole.size() / 4] = '\x01';
  ASSERT_TRUE(os::write_file_atomic(path, damaged, 0600).ok());
  ASSERT_TRUE(os::remove_file(path + ".summary").ok());
  const Status status = store().files().status();
  EXPECT_EQ(status.code(), Code::kDataLoss);
  EXPECT_THAT(status.message(), HasSubstr(path + ":1"));
  for (const char* line : {"", "{}", "{\"v\":1}", "{\"v\":2,\"id\":\"x\"}", "{\"v\":1,\"id\":\"0123456789abcdef0123456789abcdef\"}",
                           "{\"v\":1,\"id\":\"0123456789abcdef0123456789abcdef\",\"record_base64\":\"?\"}"}) {
    EXPECT_FALSE(parse_dead_letter(line, "f").ok()) << line;
  }
}

TEST_F(DeadLetterTest, EncodedInParallelWrittenInOrder) {
  DeadLetterWriter writer = std::move(store().create(origin(), "x")).value();
  const BrokenRuleView rule = {"range", "delay", "m"};
  std::string expected;
  uint64_t total = 0;
  for (int batch = 0; batch < 20; ++batch) {
    DeadLetterEncoder encoder(origin());
    std::string lines;
    for (int i = 0; i < 100; ++i) {
      const std::string record(static_cast<size_t>(batch * 20), 'r');
      encoder.encode({record, "s", batch * 100 + i, 0, &rule, 1}, &lines);
    }
    expected += lines;
    ASSERT_TRUE(writer.append_encoded(lines, 100).ok());
    writer.count_rule("range", "delay", 100);
    total += 100;
  }
  ASSERT_TRUE(writer.finish().ok());
  EXPECT_EQ(*os::read_file(writer.path()), expected);
  const DeadLetterSummary summary = store().files()->front().summary;
  EXPECT_EQ(summary.letters, total);
  EXPECT_EQ(summary.bytes, expected.size());
  EXPECT_EQ(summary.by_rule.at("range delay"), total);
}

TEST_F(DeadLetterTest, ReplayHasNothingToDoWhenRepeated) {
  write(0, {"a", "b", "c"});
  write(1, {"a", "b", "c"});  // the same input again: the same letters
  EXPECT_THAT(pending(), ElementsAre("a", "b", "c"));

  const ReplayInput input = std::move(ReplayInput::write(store(), {}, folder_.file("replay.ndjson"))).value();
  EXPECT_EQ(*os::read_file(input.path()), "a\nb\nc\n");
  EXPECT_EQ(os::file_info(input.path())->permissions, 0600u);
  ASSERT_EQ(input.letters(), 3u);
  EXPECT_EQ(*input.letter_of_offset(0), input.letter_at(0));
  EXPECT_EQ(*input.letter_of_offset(2), input.letter_at(1));
  EXPECT_EQ(*input.letter_of_offset(5), input.letter_at(2));
  EXPECT_EQ(input.letter_of_offset(6), nullptr);
  EXPECT_EQ(input.letter_of_offset(-1), nullptr);

  // "a" is accepted now, "b" is dropped by a filter, "c" still breaks its contract.
  ASSERT_TRUE(store().record_replay(run_id(5), {{input.letter_at(0), run_id(5), "accepted", 1},
                                                {input.letter_at(1), run_id(5), "dropped", 1},
                                                {input.letter_at(2), run_id(5), "rejected", 1}}).ok());
  EXPECT_THAT(pending(), ElementsAre("c"));
  EXPECT_EQ(store().replayed()->at(input.letter_at(0)).run_id, run_id(5));
  ASSERT_TRUE(store().record_replay(run_id(6), {{input.letter_at(2), run_id(6), "accepted", 2},
                                                {input.letter_at(0), run_id(6), "rejected", 2}}).ok());
  EXPECT_THAT(pending(), IsEmpty());  // done stays done
  DeadLetterFilter one;
  one.run_id = run_id(0);
  EXPECT_THAT(pending(one), IsEmpty());
}

TEST_F(DeadLetterTest, ReplayInputCarriesTheHeaderOfACsvFile) {
  write(0, {"1,2", "3,\"x\ny\""});
  const ReplayInput input = std::move(ReplayInput::write(store(), {}, folder_.file("replay.csv"), "a,b")).value();
  EXPECT_EQ(*os::read_file(input.path()), "a,b\n1,2\n3,\"x\ny\"\n");
  EXPECT_EQ(input.letter_of_offset(0), nullptr);
  EXPECT_EQ(*input.letter_of_offset(4), input.letter_at(0));
  EXPECT_EQ(*input.letter_of_offset(12), input.letter_at(1));
}

}  // namespace
}  // namespace runink::ledger
