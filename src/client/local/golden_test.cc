#include "client/local/golden.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/local/project_in_test.h"

namespace runink::local {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr const char* kContract = R"(contract Order {
  string id       [[required, pattern("O-[0-9]+")]];
  string customer [[required, pii, mask("first1")]];
  int32  items    [[required, range(1, 100)]];
}
)";
constexpr const char* kFeature = R"(Feature: Orders
  Scenario: Clean orders
    @source("data/orders.ndjson")
    @contract("contracts/order.contract")
    Given orders arrive
    When records are checked against the contract
     And field "double" is set to items * 2
     And field "at" is set to now()
    @sink("out/orders.ndjson")
    Then valid records are written
    Assertions:
      - at least 1000 records are processed
  Scenario: By id
    Given the output of scenario "Clean orders"
    When records are grouped by id, computing:
      | n | sum(items) |
    @sink("out/by_id.csv")
    Then the result is written
)";
constexpr const char* kCase = "golden/orders/clean_orders";

class Golden : public ::testing::Test {
 protected:
  Golden() {
    p_.write("contracts/order.contract", kContract);
    p_.write("features/orders.dsl", kFeature);
  }
  void make_case(const std::string& folder = kCase) {
    p_.write(folder + "/input/orders.ndjson",
             "{\"id\":\"O-1\",\"customer\":\"Ada\",\"items\":2}\n{\"id\":\"O-2\",\"customer\":\"Ben\",\"items\":900}\n");
  }
  GoldenReport test(GoldenOptions options = {}) {
    auto report = run_golden_cases(p_.project(), {"features/orders.dsl"}, options, {});
    EXPECT_TRUE(report.ok()) << report.status().to_string();
    return report.ok() ? std::move(*report) : GoldenReport();
  }
  GoldenReport update() {
    GoldenOptions options;
    options.update = true;
    return test(options);
  }
  TestProject p_;
};

TEST_F(Golden, UpdateWritesWhatATestThenHolds) {
  make_case();
  EXPECT_EQ(test().failed, 1u);
  const GoldenReport updated = update();
  ASSERT_EQ(updated.results.size(), 1u);
  EXPECT_THAT(updated.results[0].written, ElementsAre(std::string(kCase) + "/expected/orders.ndjson", std::string(kCase) + "/rejected.ndjson"));
  EXPECT_EQ(p_.read(std::string(kCase) + "/expected/orders.ndjson"),
            "{\"id\":\"O-1\",\"customer\":\"A**\",\"items\":2,\"double\":4,\"at\":\"2000-01-01T00:00:00Z\"}\n");
  EXPECT_EQ(p_.read(std::string(kCase) + "/rejected.ndjson"),
            "{\"line\":2,\"rules\":[\"items.range\"],\"record\":\"{\\\"id\\\":\\\"O-2\\\",\\\"customer\\\":\\\"B**\\\",\\\"items\\\":900}\"}\n");
  EXPECT_EQ(test().passed, 1u);
  EXPECT_THAT(update().results[0].written, IsEmpty());
  EXPECT_FALSE(p_.exists("out"));
  EXPECT_FALSE(p_.exists(".runink"));
}

TEST_F(Golden, AChangedFeatureShowsAsADiff) {
  make_case();
  update();
  std::string feature = kFeature;
  p_.write("features/orders.dsl", feature.replace(feature.find("items * 2"), 9, "items * 3"));
  const GoldenReport report = test();
  ASSERT_EQ(report.failed, 1u);
  EXPECT_THAT(report.results[0].problem, HasSubstr("--- golden/orders/clean_orders/expected/orders.ndjson\n+++ what came out\n@@ -1,1 +1,1 @@\n"));
  EXPECT_THAT(report.results[0].problem, HasSubstr("\n+{\"id\":\"O-1\",\"customer\":\"A**\",\"items\":2,\"double\":6"));
}

TEST_F(Golden, ADeadLetterThatIsNotExpectedFailsAndIsMasked) {
  make_case();
  update();
  p_.write(std::string(kCase) + "/rejected.ndjson", "");
  const GoldenReport report = test();
  ASSERT_EQ(report.failed, 1u);
  EXPECT_THAT(report.results[0].problem, HasSubstr("items.range"));
  EXPECT_THAT(report.results[0].problem, Not(HasSubstr("Ben")));
}

TEST_F(Golden, ExpectedLettersMayNameOnlyTheirRules) {
  make_case();
  update();
  p_.write(std::string(kCase) + "/rejected.ndjson", "{\"rules\": \"items.range\"}\n");
  EXPECT_EQ(test().passed, 1u);
  p_.write(std::string(kCase) + "/rejected.ndjson", "{\"rules\": [\"id.pattern\"]}\n");
  EXPECT_EQ(test().failed, 1u);
  p_.write(std::string(kCase) + "/rejected.ndjson", "items.range\n");
  EXPECT_THAT(test().results[0].problem, HasSubstr("rejected.ndjson:1: this is no JSON object"));
}

TEST_F(Golden, SettingsFixTimeOrderAndAssertions) {
  make_case();
  p_.write(std::string(kCase) + "/case.toml", "now = \"2026-05-04T03:02:01Z\"\nthreads = 2\n");
  update();
  EXPECT_THAT(p_.read(std::string(kCase) + "/expected/orders.ndjson"), HasSubstr("2026-05-04T03:02:01Z"));
  p_.write(std::string(kCase) + "/case.toml", "assertions = true\n");
  EXPECT_THAT(test().results[0].problem, HasSubstr("at least 1000 records"));
  p_.write(std::string(kCase) + "/case.toml", "assertions = true\nerror = \"at least 1000 records\"\n");
  EXPECT_EQ(test().passed, 1u);
  p_.write(std::string(kCase) + "/case.toml", "nwo = \"2026-05-04T03:02:01Z\"\n");
  EXPECT_THAT(test().results[0].problem, HasSubstr("did you mean \"now\"?"));
}

TEST_F(Golden, FreeOrderComparesSortedLines) {
  p_.write("golden/orders/by_id/input.ndjson", "{\"id\":\"O-1\",\"items\":2}\n{\"id\":\"O-2\",\"items\":3}\n");
  p_.write("golden/orders/by_id/expected/by_id.csv", "id,n\nO-2,3\nO-1,2\n");
  EXPECT_EQ(test().failed, 1u);
  p_.write("golden/orders/by_id/case.toml", "order = \"free\"\n");
  const GoldenReport report = test();
  EXPECT_EQ(report.passed, 1u) << report.results[0].problem;
}

TEST_F(Golden, SeveralCasesOfOneScenarioAndOneThatMatchesNothing) {
  make_case(std::string(kCase) + "/first");
  make_case(std::string(kCase) + "/second");
  make_case("golden/orders/renamed");
  EXPECT_EQ(update().passed, 2u);
  const GoldenReport all = test();
  EXPECT_EQ(all.passed, 2u);
  EXPECT_THAT(all.notes, ElementsAre("golden/orders/renamed belongs to no scenario of features/orders.dsl"));
  GoldenOptions one;
  one.cases = {"second"};
  EXPECT_EQ(test(one).results.size(), 1u);
  one.cases = {"third"};
  EXPECT_EQ(run_golden_cases(p_.project(), {"features/orders.dsl"}, one, {}).status().code(), Code::kNotFound);
}

TEST_F(Golden, WhatBelongsToNothingIsWarnedOf) {
  make_case(std::string(kCase) + "/one");
  update();
  p_.write(std::string(kCase) + "/one/expectd.ndjson", "");
  p_.write(std::string(kCase) + "/one/bogus/x.ndjson", "");
  p_.write(std::string(kCase) + "/one/README.md", "Why this is tested.");
  p_.write(std::string(kCase) + "/stray.csv", "");
  p_.write("golden/ordres/clean_orders/input/orders.ndjson", "");
  const GoldenReport report = test();
  EXPECT_EQ(report.passed, 1u);
  EXPECT_THAT(report.notes,
              ElementsAre("golden/orders/clean_orders/stray.csv is no part of a golden case; docs/guide/testing.md names the parts",
                          "golden/orders/clean_orders/one/bogus is no part of a golden case; docs/guide/testing.md names the parts",
                          "golden/orders/clean_orders/one/expectd.ndjson is no part of a golden case; did you mean expected.ndjson?",
                          "golden/ordres belongs to no feature; did you mean golden/orders?"));
}

TEST_F(Golden, AStepWithoutFilesOfItsOwnIsToldHowToGetThem) {
  make_case();
  update();
  GoldenOptions options;
  options.step = "set double";
  const Status status = run_golden_cases(p_.project(), {"features/orders.dsl"}, options, {}).status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(status.hint(), HasSubstr("golden/orders/clean_orders/steps/set_double/input.ndjson"));
  options.step = "set duoble";
  EXPECT_THAT(run_golden_cases(p_.project(), {"features/orders.dsl"}, options, {}).status().hint(),
              HasSubstr("did you mean \"set double\"?"));
}

TEST_F(Golden, ASinkWithoutAnyExpectationAndAnExpectationWithoutSinkFail) {
  make_case();
  update();
  p_.write(std::string(kCase) + "/expected/old.ndjson", "");
  EXPECT_THAT(test().results[0].problem, HasSubstr("no sink of the scenario has this name; they are orders.ndjson"));
  std::filesystem::remove(p_.root() + "/" + kCase + "/expected/old.ndjson");
  std::filesystem::remove(p_.root() + "/" + kCase + "/expected/orders.ndjson");
  EXPECT_THAT(test().results[0].problem, HasSubstr("orders.ndjson (not there)"));
}

TEST_F(Golden, OnlyStopsAfterAStep) {
  make_case();
  GoldenOptions options;
  options.only = "check";
  const GoldenReport printed = test(options);
  ASSERT_EQ(printed.results.size(), 1u);
  EXPECT_EQ(printed.results[0].printed, "{\"id\":\"O-1\",\"customer\":\"A**\",\"items\":2}\n");
  options.update = true;
  EXPECT_THAT(test(options).results[0].written, ElementsAre(std::string(kCase) + "/steps-out/check_order.ndjson"));
  options.update = false;
  EXPECT_EQ(test(options).passed, 1u);
  options.only = "chekc Order";
  EXPECT_THAT(run_golden_cases(p_.project(), {"features/orders.dsl"}, options, {}).status().hint(), HasSubstr("check Order"));
}

TEST_F(Golden, AStepAloneRunsOnItsOwnFiles) {
  const std::string folder = std::string(kCase) + "/steps/set_double";
  p_.write(folder + "/input.ndjson", "{\"id\":\"O-1\",\"customer\":\"Ada\",\"items\":2}\n{\"id\":\"O-1\",\"customer\":\"Ada\",\"items\":2000000000}\n");
  GoldenOptions options;
  options.step = "set double";
  options.update = true;
  const GoldenReport report = test(options);
  ASSERT_EQ(report.results.size(), 1u);
  EXPECT_EQ(report.results[0].problem, "");
  // int32 times a number is int64: the second one does not overflow.
  EXPECT_THAT(p_.read(folder + "/expected.ndjson"), AllOf(HasSubstr("\"double\":4}"), HasSubstr("\"double\":4000000000}")));
  EXPECT_EQ(test().passed, 1u);
}

TEST_F(Golden, RecordedAnswersStandInForAStep) {
  p_.write("features/orders.dsl", R"(Feature: Steps
  Scenario: Score
    @source("data/orders.ndjson")
    @contract("contracts/order.contract")
    Given orders arrive
    @exec("/nonexistent/score")
    When records are scored
    @sink("out/orders.ndjson")
    Then valid records are written
)");
  p_.write("golden/orders/score/input.ndjson", "{\"id\":\"O-1\",\"customer\":\"Ada\",\"items\":2}\n");
  EXPECT_THAT(test().results[0].problem, HasSubstr("score"));
  p_.write("golden/orders/score/steps/score.ndjson", "{\"id\":\"O-9\",\"customer\":\"Eve\",\"items\":7}\n");
  const GoldenReport report = update();
  EXPECT_EQ(report.passed, 1u) << report.results[0].problem;
  EXPECT_THAT(p_.read("golden/orders/score/expected/orders.ndjson"), HasSubstr("O-9"));
  p_.write("golden/orders/score/steps/socre.ndjson", "");
  EXPECT_THAT(test().results[0].problem, HasSubstr("did you mean score.ndjson?"));
}

TEST_F(Golden, AMissingStandInAndABrokenFeatureAreFailures) {
  p_.write(std::string(kCase) + "/case.toml", "");
  EXPECT_THAT(test().results[0].problem, HasSubstr("nothing stands in for data/orders.ndjson"));
  p_.write("features/orders.dsl", "Feature: Orders\n  Scenario: Clean orders\n    Given nonsense\n");
  const GoldenReport report = test();
  EXPECT_EQ(report.failed, 1u);
  EXPECT_THAT(report.results[0].problem, HasSubstr("features/orders.dsl:3"));
}

TEST_F(Golden, SourcesWithoutContractTakeTheirColumnsFromTheStandIn) {
  p_.write("features/orders.dsl", R"(Feature: Plain
  Scenario: Copy
    @source("data/orders.ndjson")
    Given orders arrive
    When records where n > 1 are kept
    @sink("out/orders.ndjson")
    Then the result is written
)");
  p_.write("golden/orders/copy/input/orders.csv", "n,t\n1,a\n2,b\n");
  EXPECT_EQ(update().failed, 0u);
  EXPECT_EQ(p_.read("golden/orders/copy/expected/orders.ndjson"), "{\"n\":2,\"t\":\"b\"}\n");
}

TEST_F(Golden, WithoutCasesItSaysHowToMakeOne) {
  const Status status = run_golden_cases(p_.project(), {"features/orders.dsl"}, {}, {}).status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(status.hint(), HasSubstr("--update"));
}

}  // namespace
}  // namespace runink::local
