#include "data/engine/merge_reports.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runink::engine {
namespace {

using testing::HasSubstr;

plan::Operator make(plan::OperatorId id, plan::Parameters parameters, std::vector<plan::OperatorId> inputs) {
  plan::Operator op;
  op.id = id;
  op.parameters = std::move(parameters);
  op.name = "op" + std::to_string(id);
  for (const plan::OperatorId i : inputs) op.inputs.push_back({i, 0});
  return op;
}

OperatorReport counted(plan::OperatorId id, uint64_t in, uint64_t out) {
  OperatorReport report;
  report.id = id;
  report.rows_in = in;
  report.rows_out = {out};
  return report;
}

// source → step → filter → sink, cut behind the step: 10 records, 1 rejected before it, 2 behind it.
struct TwoParts {
  plan::ScenarioPlan scenario;
  std::vector<plan::Part> parts;
  std::vector<ExecutionReport> reports;

  TwoParts() {
    scenario.name = "S";
    scenario.operators = {make(0, plan::Source{}, {}), make(1, plan::Program{}, {0}), make(2, plan::Filter{}, {1}),
                          make(3, plan::Sink{}, {2})};
    scenario.valid = {{2, 0}};
    plan::Assertion most;
    most.kind = plan::Assertion::Kind::kMaxRejected;
    most.number = 3;
    most.text = "at most 3";
    scenario.assertions = {most};
    scenario.qualities = {{.after = 0, .name = "first"}, {.after = 2, .name = "second", .warn_only = true}};
    parts = plan::cut_into_parts(scenario);
    ExecutionReport first, second;
    first.operators = {counted(0, 0, 9), counted(1, 9, 9), counted(2, 0, 0), counted(3, 0, 0), counted(4, 9, 0)};
    first.records_read = 10;
    first.records_rejected = 1;
    first.drift = {{"x", 2}};
    first.rejected_by_rule = {{"r", 1}};
    first.rules = {{.name = "first", .passed = true}};
    first.balances = {{0, "op0", "a", 1, 1}, {4, "hand on", "b", 9, 9}};
    second.operators = {counted(0, 0, 0), counted(1, 0, 9), counted(2, 9, 7), counted(3, 7, 0)};
    second.records_read = 9;
    second.records_rejected = 2;
    second.rejected_by_rule = {{"r", 2}};
    second.rules = {{.name = "second", .passed = false}};
    reports = {first, second};
  }
  Result<ExecutionReport> merge(bool balanced = true) { return merge_reports(scenario, parts, reports, balanced); }
  std::string fault() {
    const auto merged = merge();
    return merged.ok() ? "" : merged.status().kind() + " " + merged.status().to_string();
  }
};

TEST(MergeReports, PartsAreOneAgain) {
  TwoParts t;
  ASSERT_EQ(t.parts.size(), 2u);
  const auto merged = t.merge();
  ASSERT_TRUE(merged.ok()) << merged.status().to_string();
  ASSERT_EQ(merged->operators.size(), 4u);
  EXPECT_EQ(merged->operators[1].rows_in, 9u);
  EXPECT_EQ(merged->operators[2].rows_out[0], 7u);
  EXPECT_EQ(merged->operators[2].kind, std::string("filter"));
  EXPECT_EQ(merged->records_read, 10u);
  EXPECT_EQ(merged->records_rejected, 3u);
  EXPECT_EQ(merged->records_valid, 7u);
  EXPECT_EQ(merged->rejected_by_rule.at("r"), 3u);
  EXPECT_EQ(merged->drift.at("x"), 2u);
  ASSERT_EQ(merged->balances.size(), 1u);
  // Data-set rules, then assertions, judged by the counts of the whole.
  ASSERT_EQ(merged->rules.size(), 3u);
  EXPECT_EQ(merged->rules[0].name, "first");
  EXPECT_TRUE(merged->rules[1].warn_only);
  EXPECT_TRUE(merged->rules[2].passed);
  EXPECT_EQ(merged->rules[2].actual, "3 rejected records");
}

TEST(MergeReports, RowsLostBetweenPartsAreNoticed) {
  TwoParts t;
  t.reports[1].operators[1].rows_out = {8};
  EXPECT_THAT(t.fault(), HasSubstr("run.balance"));
}

TEST(MergeReports, WhatDoesNotFitThePlanIsNotBelieved) {
  TwoParts left_out;
  left_out.reports[1].operators.pop_back();
  EXPECT_THAT(left_out.fault(), HasSubstr("leaves out \"op3\""));
  TwoParts twice;
  twice.reports[0].operators.push_back(counted(0, 0, 9));
  EXPECT_THAT(twice.fault(), HasSubstr("names an operator twice"));
  TwoParts branches;
  branches.reports[1].operators[2].rows_out = {1, 2, 3};
  EXPECT_THAT(branches.fault(), HasSubstr("other branches"));
  TwoParts foreign;
  foreign.reports[0].operators.push_back(counted(77, 1, 1));
  EXPECT_TRUE(foreign.merge().ok());
  TwoParts no_rule;
  no_rule.reports[1].rules.clear();
  EXPECT_THAT(no_rule.fault(), HasSubstr("leaves out the rule second"));
  TwoParts unbalanced;
  unbalanced.reports[0].balances[0].right = 2;
  EXPECT_THAT(unbalanced.fault(), HasSubstr("does not balance"));
}

// A run that failed: what is known is kept, and nothing need be whole.
TEST(MergeReports, AFailedRunKeepsWhatIsKnown) {
  TwoParts t;
  t.reports[1] = {};
  const auto merged = t.merge(false);
  ASSERT_TRUE(merged.ok()) << merged.status().to_string();
  EXPECT_EQ(merged->operators.size(), 4u);
  EXPECT_EQ(merged->operators[0].rows_out[0], 9u);
  EXPECT_EQ(merged->records_rejected, 1u);
}

}  // namespace
}  // namespace runink::engine
