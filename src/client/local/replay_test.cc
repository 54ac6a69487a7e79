#include "client/local/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/local/golden_letter.h"
#include "client/local/project_in_test.h"

namespace runink::local {
namespace {

using ::testing::HasSubstr;

std::string contract(const std::string& range) {
  return "contract Order { string id [[required]]; int32 items [[required, range(" + range + ")]]; string name [[pii]]; }\n";
}

class ReplayLetters : public ::testing::Test {
 protected:
  void make_project(const std::string& source, const std::string& records, const std::string& more = "", const std::string& sink = "out/orders.csv") {
    p_.write("contracts/order.contract", contract("1, 100"));
    p_.write(source, records);
    p_.write("features/orders.dsl", "Feature: Orders\n  Scenario: Clean\n    @source(\"" + source +
                                        "\")\n    @contract(\"contracts/order.contract\")\n    Given orders arrive\n"
                                        "    When records are checked against the contract\n" + more + "    @sink(\"" + sink +
                                        "\")\n    Then valid records are written\n    @sink(\"out/rejected.ndjson\")\n"
                                        "     And rejected records go to dead letters\n    Assertions:\n      - at least 2 records are processed\n");
    p_.run("features/orders.dsl");
  }
  std::vector<ReplayResult> replay(ReplayOptions options = {}) {
    auto results = replay_dead_letters(p_.project(), options);
    EXPECT_TRUE(results.ok()) << results.status().to_string();
    return results.ok() ? std::move(*results) : std::vector<ReplayResult>();
  }
  TestProject p_;
};

constexpr const char* kThree = "{\"id\":\"a\",\"items\":1,\"name\":\"Ada\"}\n{\"id\":\"b\",\"items\":500,\"name\":\"Ben\"}\n{\"id\":\"c\",\"items\":5000,\"name\":\"Cleo\"}\n";

TEST_F(ReplayLetters, WhatPassesNowIsAddedOnce) {
  make_project("data/orders.ndjson", kThree);
  const std::string before = p_.read("out/orders.csv"), rejected = p_.read("out/rejected.ndjson");
  EXPECT_EQ(before, "id,items,name\na,1,****\n");

  auto results = replay();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_TRUE(results[0].status.ok()) << results[0].status.to_string();
  EXPECT_EQ(results[0].rejected, 2u);
  EXPECT_EQ(p_.read("out/orders.csv"), before);

  p_.write("contracts/order.contract", contract("1, 1000"));
  results = replay();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].letters, 2u);
  EXPECT_EQ(results[0].accepted, 1u);
  EXPECT_EQ(results[0].rejected, 1u);
  EXPECT_EQ(p_.read("out/orders.csv"), before + "b,500,****\n");
  EXPECT_EQ(p_.read("out/rejected.ndjson"), rejected);

  results = replay();
  ASSERT_EQ(results.size(), 1u);  // the third is pending still
  EXPECT_EQ(results[0].letters, 1u);
  EXPECT_EQ(results[0].rejected, 1u);
  EXPECT_EQ(p_.read("out/orders.csv"), before + "b,500,****\n");

  p_.write("contracts/order.contract", contract("1, 10000"));
  EXPECT_EQ(replay()[0].accepted, 1u);
  EXPECT_EQ(p_.read("out/orders.csv"), before + "b,500,****\nc,5000,****\n");
  EXPECT_TRUE(replay().empty());
  EXPECT_EQ(p_.read("out/orders.csv"), before + "b,500,****\nc,5000,****\n");
}

TEST_F(ReplayLetters, CsvLettersAreReadUnderTheirHeader) {
  make_project("data/orders.csv", "name,items,id\nAda,1,a\n\"Ben\nB.\",500,b\n");
  p_.write("contracts/order.contract", contract("1, 1000"));
  const auto results = replay();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_TRUE(results[0].status.ok()) << results[0].status.to_string();
  EXPECT_EQ(results[0].accepted, 1u);
  EXPECT_EQ(p_.read("out/orders.csv"), "id,items,name\na,1,****\nb,500,****\n");
}

// As a run writes it.
void make_arrow(const TestProject& p, const std::string& path) {
  p.write("made/rows.ndjson", "{\"id\":\"a\",\"items\":1,\"name\":\"Ada\"}\n{\"id\":\"b\",\"items\":500,\"name\":\"Ben\"}\n"
                              "{\"id\":\"c\",\"items\":3000000000,\"name\":null}\n");
  p.write("contracts/made.contract", "contract Made { string id; int64 items; string name; }");
  p.write("features/made.dsl", "Feature: Made\n  Scenario: S\n    Given rows arrive from \"made/rows.ndjson\" with contract "
                               "\"contracts/made.contract\"\n    Then records are written to \"" + path + "\"\n");
  p.run("features/made.dsl");
}

TEST_F(ReplayLetters, LettersOfArrowFilesHoldTheirRows) {
  make_arrow(p_, "made/orders.arrow");
  make_project("data/orders.arrow", p_.read("made/orders.arrow"));
  EXPECT_THAT(p_.read("out/rejected.ndjson"), HasSubstr("\"offset\":1,\"line\":2"));
  EXPECT_THAT(p_.read("out/rejected.ndjson"), HasSubstr("field items: 3000000000 does not fit int32\""));
  p_.write("contracts/order.contract", contract("1, 1000"));
  const auto results = replay();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_TRUE(results[0].status.ok()) << results[0].status.to_string();
  EXPECT_EQ(results[0].accepted, 1u);
  EXPECT_EQ(results[0].rejected, 1u);
  EXPECT_EQ(p_.read("out/orders.csv"), "id,items,name\na,1,****\nb,500,****\n");
}

TEST_F(ReplayLetters, LettersOfArrowFilesThatAStepHasChangedAreRefused) {
  make_arrow(p_, "made/orders.arrow");
  make_project("data/orders.arrow", p_.read("made/orders.arrow"), "    And field items is set to items + 1\n    And field x is set to 1 / (items - 2)\n");
  const auto results = replay();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_THAT(results[0].status.message(), HasSubstr("may hold items as a step has changed it"));
}

TEST_F(ReplayLetters, WhatAFilterDropsIsDoneWith) {
  make_project("data/orders.ndjson", kThree, "     And records where items > 1000 are dropped as \"too many\"\n");
  p_.write("contracts/order.contract", contract("1, 10000"));
  const auto results = replay();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].accepted, 1u);
  EXPECT_EQ(results[0].dropped, 1u);
  EXPECT_TRUE(replay().empty());
}

TEST_F(ReplayLetters, OnlyTheLettersChosen) {
  make_project("data/orders.ndjson", std::string(kThree) + "{\"items\":4}\n");
  p_.write("contracts/order.contract", contract("1, 10000"));
  ReplayOptions options;
  options.filter.rule = "id.required";
  EXPECT_EQ(replay(options)[0].rejected, 1u);
  options.filter.rule = "items.range";
  EXPECT_EQ(replay(options)[0].accepted, 2u);
}

TEST_F(ReplayLetters, LeavesARunAndItsLineage) {
  make_project("data/orders.ndjson", kThree);
  p_.write("contracts/order.contract", contract("1, 10000"));
  const auto results = replay();
  ASSERT_EQ(results.size(), 1u);
  auto ledger = ledger::Ledger::open_existing(p_.root());
  ASSERT_TRUE(ledger.ok());
  auto run = ledger->load_run(results[0].run_id);
  ASSERT_TRUE(run.ok());
  EXPECT_EQ(run->state, ledger::RunState::kSucceeded);
  EXPECT_EQ(run->labels["replay"], "data/orders.ndjson");
  EXPECT_EQ(run->records_valid, 2u);
  EXPECT_THAT(p_.read(".runink/runs/" + results[0].run_id + "/lineage.ndjson"), HasSubstr("\"COMPLETE\""));
}

TEST_F(ReplayLetters, WhatDependsOnAllRecordsIsRefused) {
  make_project("data/orders.ndjson", kThree, "     And records are grouped by id, computing:\n       | n | count() |\n");
  p_.write("contracts/order.contract", contract("1, 10000"));
  const auto results = replay();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_THAT(results[0].status.to_string(), HasSubstr("depends on all records"));
  EXPECT_EQ(replay().size(), 1u);
}

TEST_F(ReplayLetters, ASortedOutputIsRefused) {
  make_project("data/orders.ndjson", kThree, "     And records are sorted by items descending\n");
  const std::string before = p_.read("out/orders.csv");
  p_.write("contracts/order.contract", contract("1, 10000"));
  const auto results = replay();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_THAT(results[0].status.to_string(), HasSubstr("has an order, and letters would be added behind all of it"));
  EXPECT_EQ(p_.read("out/orders.csv"), before);
}

TEST_F(ReplayLetters, AnOutputThatIsNotWhatWasWrittenIsRefused) {
  make_project("data/orders.ndjson", kThree);
  p_.write("contracts/order.contract", contract("1, 1000"));
  const std::string before = p_.read("out/orders.csv");
  std::filesystem::remove(p_.root() + "/out/orders.csv");
  EXPECT_THAT(replay().at(0).status.to_string(), HasSubstr("out/orders.csv is not there, and a file of the letters alone"));
  EXPECT_FALSE(p_.exists("out/orders.csv"));
  p_.write("out/orders.csv", "id,items,name\n");
  EXPECT_THAT(replay().at(0).status.to_string(), HasSubstr("out/orders.csv has changed since it was published by run"));

  p_.run("features/orders.dsl");  // as the hint says
  EXPECT_EQ(p_.read("out/orders.csv"), before + "b,500,****\n");
  std::filesystem::remove(p_.root() + "/out/rejected.ndjson");  // nothing is added to that
  p_.write("contracts/order.contract", contract("1, 10000"));
  for (const auto& result : replay()) EXPECT_TRUE(result.status.ok()) << result.status.to_string();
}

TEST_F(ReplayLetters, ScenariosThatHaveReadTheOutputAreNamed) {
  make_project("data/orders.ndjson", kThree);
  p_.write("contracts/count.contract", "contract Count { int64 count; }\n");
  p_.write("features/orders.dsl", p_.read("features/orders.dsl") + R"(
  Scenario: Count
    Given the output of scenario "Clean"
    When records are counted
    Then the result is written to "out/count.ndjson"
  Scenario: Other
    @source("data/orders.ndjson") @contract("contracts/order.contract")
    Given orders arrive
    Then records are written to "out/other.ndjson"
  Scenario: By file
    @source("out/count.ndjson") @contract("contracts/count.contract")
    Given counts arrive
    Then records are written to "out/copy.ndjson"
)");
  p_.run("features/orders.dsl");
  ReplayOptions options;
  options.filter.scenario = "Clean";
  for (const auto& result : replay(options)) EXPECT_TRUE(result.stale.empty()) << "nothing was added";
  p_.write("contracts/order.contract", contract("1, 1000"));
  const auto results = replay(options);
  ASSERT_EQ(results.size(), 1u);
  ASSERT_TRUE(results[0].status.ok()) << results[0].status.to_string();
  EXPECT_EQ(results[0].stale, (std::vector<std::string>{"Count", "By file"}));
}

// ---- rules that compare records
// ----------------------------------------------------------------------------------------

class ReplayUnique : public ReplayLetters {
 protected:
  static std::string keyed(const std::string& range) {
    return "contract Order { string id [[required, key]]; int32 items [[required, range(" + range +
           ")]]; string name; }\n";
  }
  // a twice; b refused and then valid; c refused twice; d valid.
  void SetUp() override {
    p_.write("contracts/order.contract", keyed("1, 100"));
    p_.write("data/orders.ndjson",
             "{\"id\":\"a\",\"items\":1}\n{\"id\":\"b\",\"items\":500}\n{\"id\":\"a\",\"items\":2}\n"
             "{\"id\":\"b\",\"items\":3}\n{\"id\":\"c\",\"items\":500}\n{\"id\":\"c\",\"items\":600}\n{\"id\":\"d\","
             "\"items\":4}\n");
    p_.write("features/orders.dsl", R"(Feature: Orders
  Scenario: Clean
    @source("data/orders.ndjson") @contract("contracts/order.contract")
    Given orders arrive
    When records are checked against the contract
     And only fields id and items are kept
    Then valid records are written to "out/orders.csv"
)");
    p_.run("features/orders.dsl");
    before_ = p_.read("out/orders.csv");
    ASSERT_EQ(before_, "id,items\na,1\nb,3\nd,4\n");
  }
  std::string refused() {
    const auto results = replay();
    EXPECT_EQ(results.size(), 1u);
    EXPECT_EQ(p_.read("out/orders.csv"), before_);
    return results.empty() ? "" : results[0].status.to_string();
  }
  std::string before_;
};

TEST_F(ReplayUnique, LettersAreComparedWithWhatWasWritten) {
  p_.write("contracts/order.contract", keyed("1, 1000"));
  auto results = replay();
  ASSERT_EQ(results.size(), 1u);
  ASSERT_TRUE(results[0].status.ok()) << results[0].status.to_string();
  EXPECT_EQ(results[0].letters, 4u);
  EXPECT_EQ(results[0].accepted, 1u);  // the first c
  EXPECT_EQ(results[0].rejected, 3u);  // the second a, the first b, the second c
  EXPECT_EQ(results[0].reasons["key"], 3u);
  EXPECT_EQ(p_.read("out/orders.csv"), before_ + "c,500\n");
  const auto run = ledger::Ledger::open_existing(p_.root())->load_run(results[0].run_id);
  EXPECT_EQ(run->records_in, 4u);
  EXPECT_EQ(run->sinks.at(0).rows, 1u);

  // What a replay has added counts the next time.
  results = replay();
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].letters, 3u);
  EXPECT_EQ(results[0].rejected, 3u) << results[0].status.to_string();
  EXPECT_EQ(p_.read("out/orders.csv"), before_ + "c,500\n");
}

TEST_F(ReplayUnique, ASourceThatHasChangedIsRefused) {
  p_.write("contracts/order.contract", keyed("1, 1000"));
  p_.write("data/orders.ndjson", p_.read("data/orders.ndjson") + "{\"id\":\"e\",\"items\":5}\n");
  EXPECT_THAT(refused(), HasSubstr("data/orders.ndjson has changed since run "));
}

TEST_F(ReplayUnique, RulesThatWouldRefuseWhatWasWrittenAreRefused) {
  p_.write("contracts/order.contract", keyed("2, 1000"));
  EXPECT_THAT(refused(), HasSubstr("1 of them would be rejected"));
}

TEST_F(ReplayUnique, AFilterThatWouldDropWhatWasWrittenIsRefused) {
  p_.write("contracts/order.contract", keyed("1, 1000"));
  std::string feature = p_.read("features/orders.dsl");
  feature.replace(feature.find("     And only"), 0, "     And records where items > 3 are kept\n");
  p_.write("features/orders.dsl", feature);
  EXPECT_THAT(refused(), HasSubstr("out/orders.csv holds 3 records and would hold 1"));
}

TEST_F(ReplayUnique, LettersOfEarlierRunsAreRefused) {
  p_.write("data/orders.ndjson", "{\"id\":\"a\",\"items\":700}\n{\"id\":\"z\",\"items\":1}\n");
  p_.run("features/orders.dsl");
  before_ = p_.read("out/orders.csv");
  EXPECT_THAT(refused(), HasSubstr("is of an earlier run"));
}

TEST_F(ReplayUnique, DuplicatesOfWhatWasWrittenAreDropped) {
  p_.write("contracts/order.contract", contract("1, 100"));
  std::string feature = p_.read("features/orders.dsl");
  feature.replace(feature.find("     And only"), 0, "     And duplicates by id are dropped\n");
  p_.write("features/orders.dsl", feature);
  p_.run("features/orders.dsl");
  ASSERT_EQ(p_.read("out/orders.csv"), before_);
  p_.write("contracts/order.contract", contract("1, 1000"));
  ReplayOptions options;
  options.filter.run_id = std::filesystem::directory_iterator(p_.root() + "/.runink/dead-letters")->path().filename();
  for (const auto& run : std::filesystem::directory_iterator(p_.root() + "/.runink/dead-letters")) {
    options.filter.run_id = std::max(options.filter.run_id, run.path().filename().string());  // the newest
  }
  const auto results = replay(options);
  ASSERT_EQ(results.size(), 1u);
  ASSERT_TRUE(results[0].status.ok()) << results[0].status.to_string();
  EXPECT_EQ(results[0].accepted, 1u);
  EXPECT_EQ(results[0].dropped, 2u);
  EXPECT_EQ(p_.read("out/orders.csv"), before_ + "c,500\n");
}

TEST_F(ReplayLetters, ALetterBecomesAGoldenCase) {
  make_project("data/orders.csv", "name,items,id\nAda,1,a\n\"Ben\nB.\",500,b\n");
  std::string id;
  ASSERT_TRUE(ledger::DeadLetterStore(p_.root() + "/.runink").for_each({}, [&](const ledger::DeadLetter& letter) {
    id = letter.id;
    return true;
  }).ok());
  auto letter = ledger::DeadLetterStore(p_.root() + "/.runink").find(id);
  ASSERT_TRUE(letter.ok());
  auto made = golden_case_of_letter(p_.project(), *letter, "", {});
  ASSERT_TRUE(made.ok()) << made.status().to_string();
  EXPECT_EQ(made->folder, "golden/orders/clean/" + id.substr(0, 8));
  EXPECT_TRUE(made->rejected);
  EXPECT_EQ(p_.read(made->folder + "/input/orders.csv"), "name,items,id\n\"Ben\nB.\",500,b\n");
  EXPECT_THAT(p_.read(made->folder + "/rejected.ndjson"), HasSubstr("items.range"));
  EXPECT_EQ(p_.read(made->folder + "/expected/orders.csv"), "id,items,name\n");
  auto tested = run_golden_cases(p_.project(), {"features/orders.dsl"}, {}, {});
  ASSERT_TRUE(tested.ok());
  EXPECT_EQ(tested->passed, 1u);
  EXPECT_EQ(golden_case_of_letter(p_.project(), *letter, "", {}).status().code(), Code::kAlreadyExists);

  p_.write("contracts/order.contract", contract("1, 1000"));
  EXPECT_EQ(run_golden_cases(p_.project(), {"features/orders.dsl"}, {}, {})->failed, 1u);
}

}  // namespace
}  // namespace runink::local
