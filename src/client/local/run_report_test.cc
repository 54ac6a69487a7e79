// What a run says of itself: its counts, the places of its errors, and what is not as it was.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/text.h"
#include "client/local/project_in_test.h"

namespace runink::local {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RunReport : public ::testing::Test {
 protected:
  void SetUp() override {
    p_.write("contracts/c.contract", "contract C { int64 a; }\n");
    p_.write("data/in.ndjson", "{\"a\":1}\n{\"a\":2}\n{\"a\":\"x\"}\n{\"a\":3}\n");
  }
  RunOutcome run(const std::string& feature, std::vector<std::string>* notes = nullptr) {
    p_.write("features/f.dsl", feature);
    RunOptions options;
    options.feature = "features/f.dsl";
    options.threads = 1;
    options.on_note = [&](const std::string& note) {
      if (notes != nullptr) notes->push_back(note);
    };
    auto outcome = run_feature(p_.project(), options);
    EXPECT_TRUE(outcome.ok()) << outcome.status().to_string() << join(outcome.status().details(), "\n");
    return outcome.ok() ? std::move(*outcome) : RunOutcome();
  }
  TestProject p_;
};

constexpr const char* kPlain = R"(Feature: F
  Scenario: S
    @source("data/in.ndjson") @contract("contracts/c.contract")
    Given rows arrive
    Then records are written to "out/s.ndjson"
)";

TEST_F(RunReport, ARunCountsWhatCameFromOutsideOnce) {
  const RunOutcome done = run(R"(Feature: F
  Scenario: S
    @source("data/in.ndjson") @contract("contracts/c.contract")
    Given rows arrive
    Then records are written to "out/s.ndjson"
  Scenario: T
    Given the output of scenario "S"
    When records where a < 3 are kept
    Then records are written to "out/t.ndjson"
)");
  ASSERT_TRUE(done.status.ok()) << done.status.to_string();
  EXPECT_EQ(done.parent.records_in, 4u);
  EXPECT_EQ(done.parent.records_written, 5u);
  EXPECT_EQ(done.parent.records_rejected, 1u);
  EXPECT_EQ(done.scenarios.at(1).records_in, 3u);
  EXPECT_EQ(done.scenarios.at(1).records_written, 2u);
}

TEST_F(RunReport, WhatBranchesWriteIsValid) {
  const RunOutcome done = run(R"(Feature: F
  Scenario: S
    @source("data/in.ndjson") @contract("contracts/c.contract")
    Given rows arrive
    When records are split by condition:
      | small | a < 2     |
      | big   | otherwise |
    Then records of branch "small" are written to "out/small.ndjson"
     And records of branch "big" are written to "out/big.ndjson"
)");
  ASSERT_TRUE(done.status.ok()) << done.status.to_string();
  EXPECT_EQ(done.scenarios.at(0).records_valid, 3u);
  EXPECT_EQ(done.parent.records_written, 3u);
}

TEST_F(RunReport, ASourceThatIsNotThereIsShownInTheFeature) {
  p_.write("data/in_2025.ndjson", "");
  fs::remove(p_.root() + "/data/in.ndjson");
  RunOutcome done = run(kPlain);
  EXPECT_EQ(done.status.code(), Code::kNotFound);
  EXPECT_EQ(done.status.message(), "features/f.dsl:3:14: there is no data/in.ndjson");
  ASSERT_EQ(done.status.details().size(), 1u);
  EXPECT_THAT(done.status.details()[0], HasSubstr("     3 |     @source(\"data/in.ndjson\") @contract"));
  EXPECT_THAT(done.status.details()[0], HasSubstr("help: data holds in_2025.ndjson"));
  p_.write("data/in.nd.json", "");
  done = run(kPlain);
  EXPECT_THAT(done.status.details().at(0), HasSubstr("help: did you mean data/in.nd.json?"));
}

TEST_F(RunReport, AFeatureThatIsNotThereHasNearNames) {
  p_.write("features/orders.dsl", kPlain);
  RunOptions options;
  options.feature = "features/order.dsl";
  const Status status = run_feature(p_.project(), options).status();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_EQ(status.message(), "there is no features/order.dsl");
  EXPECT_EQ(status.hint(), "did you mean features/orders.dsl?");
}

TEST_F(RunReport, AKeyThatIsGoneIsSaid) {
  std::vector<std::string> notes;
  run(kPlain, &notes);
  EXPECT_THAT(notes, IsEmpty());
  fs::remove(p_.root() + "/.runink/key");
  run(kPlain, &notes);
  EXPECT_THAT(notes, ElementsAre(HasSubstr(".runink/key is gone")));
  run(kPlain, &notes);
  EXPECT_EQ(notes.size(), 1u);
}

TEST_F(RunReport, OnlyThisMachineIsKnown) {
  EXPECT_TRUE(p_.project().check_context("").ok());
  EXPECT_TRUE(p_.project().check_context("local").ok());
  p_.write("runink.toml", "context = \"cluster7\"\n");
  const Project elsewhere = Project::find(p_.root()).value();
  EXPECT_EQ(elsewhere.check_context("").code(), Code::kUnavailable);
  EXPECT_THAT(elsewhere.check_context("").message(), HasSubstr("\"cluster7\": no cluster is known here yet"));
  EXPECT_TRUE(elsewhere.check_context("local").ok());
  EXPECT_EQ(p_.project().check_context("x").code(), Code::kUnavailable);
}

}  // namespace
}  // namespace runink::local
