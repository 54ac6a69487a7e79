#include "data/dsl/bundle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/plan/to_json.h"

namespace runink::dsl {
namespace {

using testing::HasSubstr;

constexpr const char* kFeature = R"(Feature: F
  Scenario: Clean
    @source("in.ndjson")
    @contract("row.contract")
    Given rows arrive
    When records are checked against the contract
    @sink("out/clean.ndjson")
    Then valid records are written

  Scenario: Count
    Given the output of scenario "Clean"
    When records are grouped by kind, computing:
      | rows | count() |
    @sink("out/counts.csv")
    Then the result is written

  Scenario: Apart
    @source("other.csv")
    Given others arrive
    @sink("out/other.csv")
    Then the result is written
)";

struct Recorded {
  std::shared_ptr<Bundle> bundle = std::make_shared<Bundle>();
  std::optional<plan::Plan> plan;
  int reads = 0;

  Recorded() {
    CompileEnvironment environment;
    environment.load = [this](const std::string& path) -> Result<std::string> {
      ++reads;
      if (path == "row.contract") return std::string("contract Row { int64 id [[required]]; enum(good, bad) kind; }\n");
      return not_found("{}", path);
    };
    environment.infer_schema = [](const plan::Source&) -> Result<columnar::Schema> {
      return columnar::Schema({{"name", columnar::TypeId::kString}, {"price", columnar::DataType::decimal(8, 2)}});
    };
    bundle->feature_path = "f.dsl";
    bundle->feature_text = kFeature;
    Diagnostics diagnostics;
    auto compiled =
        compile_feature(std::make_shared<SourceText>("f.dsl", kFeature), recording(environment, bundle), &diagnostics);
    EXPECT_TRUE(compiled.ok()) << compiled.status().to_string();
    if (compiled.ok()) plan = std::move(*compiled);
  }
};

TEST(Bundle, MakesTheSamePlanWithoutTheFiles) {
  Recorded made;
  ASSERT_TRUE(made.plan.has_value());
  const auto again = compile_bundle(*made.bundle, "");
  ASSERT_TRUE(again.ok()) << again.status().to_string();
  EXPECT_EQ(plan::to_json(*again), plan::to_json(*made.plan));
  EXPECT_EQ(made.bundle->inferred.size(), 1u);
}

TEST(Bundle, HasWhatOneScenarioNeedsAndNothingElse) {
  Recorded made;
  ASSERT_TRUE(made.plan.has_value());
  const auto count = compile_bundle(*made.bundle, "Count");
  ASSERT_TRUE(count.ok()) << count.status().to_string();
  EXPECT_EQ(count->scenarios.size(), 2u);
  EXPECT_EQ(plan::to_json(*count->scenario("Count")), plan::to_json(*made.plan->scenario("Count")));
  const auto apart = compile_bundle(*made.bundle, "Apart");
  ASSERT_TRUE(apart.ok()) << apart.status().to_string();
  ASSERT_EQ(apart->scenarios.size(), 1u);
  EXPECT_EQ(plan::to_json(apart->scenarios[0]), plan::to_json(*made.plan->scenario("Apart")));
}

TEST(Bundle, OneThatIsNotWholeSaysSo) {
  Recorded made;
  Bundle cut = *made.bundle;
  cut.files.clear();
  const auto plan = compile_bundle(cut, "");
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.status().code(), Code::kDataLoss);
  EXPECT_THAT(plan.status().to_string(), HasSubstr("the bundle of f.dsl does not compile"));
}

}  // namespace
}  // namespace runink::dsl
