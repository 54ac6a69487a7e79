#include "data/plan/fusion.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace runink::plan {
namespace {

Operator make(OperatorId id, Parameters parameters, std::vector<OperatorId> inputs, double cpu = 0) {
  Operator op;
  op.id = id;
  op.parameters = std::move(parameters);
  op.name = "op" + std::to_string(id);
  for (const OperatorId i : inputs) op.inputs.push_back({i, 0});
  op.needs.cpu = cpu;
  return op;
}

// Every operator in one stage; stages form no circle; a stage's operators want the same; steps stand alone.
void check(const ScenarioPlan& scenario, const std::vector<Stage>& stages) {
  std::vector<int> stage_of(scenario.operators.size(), -1);
  for (const Stage& s : stages) {
    for (const OperatorId id : s.operators) {
      ASSERT_EQ(stage_of[id], -1);
      stage_of[id] = static_cast<int>(s.id);
      EXPECT_EQ(scenario.operators[id].needs, s.needs);
      if (std::holds_alternative<Program>(scenario.operators[id].parameters)) {
        EXPECT_EQ(s.operators.size(), 1u);
        EXPECT_TRUE(s.own_process);
      }
    }
  }
  for (const int s : stage_of) ASSERT_GE(s, 0);
  // Kahn: all stages can be put in an order.
  std::set<uint32_t> done;
  for (size_t round = 0; round <= stages.size(); ++round) {
    for (const Stage& s : stages) {
      bool ready = true;
      for (const uint32_t from : s.reads_from) ready = ready && done.count(from) != 0;
      if (ready) done.insert(s.id);
    }
  }
  EXPECT_EQ(done.size(), stages.size());
}

TEST(Fusion, NeighboursWithTheSameNeedsAreOneStage) {
  ScenarioPlan s;
  s.operators = {make(0, Source{}, {}), make(1, Limit{}, {0}), make(2, Source{}, {}), make(3, Union{}, {1, 2}),
                 make(4, Sink{}, {3})};
  const auto stages = fuse(s);
  ASSERT_EQ(stages.size(), 1u);
  EXPECT_EQ(stages[0].operators.size(), 5u);
}

TEST(Fusion, OtherNeedsAndCustomStepsMakeStagesAndSayWhy) {
  ScenarioPlan s;
  s.operators = {make(0, Source{}, {}), make(1, Program{}, {0}), make(2, Limit{}, {1}), make(3, Limit{}, {2}, 4)};
  const auto stages = fuse(s);
  ASSERT_EQ(stages.size(), 4u);
  EXPECT_EQ(stages[1].why, "a custom step runs in a process of its own");
  EXPECT_EQ(stages[2].why, "its records come from the custom step op1");
  EXPECT_EQ(stages[3].why, "it needs cpu 4, and op2 needs nothing in particular");
}

TEST(Fusion, AStageNeverWaitsForItself) {
  // 0 feeds a step and, beside it, the union that also reads the step: one stage for 0 and 2 would be a circle.
  ScenarioPlan s;
  s.operators = {make(0, Source{}, {}), make(1, Program{}, {0}), make(2, Union{}, {0, 1})};
  const auto stages = fuse(s);
  check(s, stages);
  EXPECT_EQ(stages.size(), 3u);
}

TEST(Fusion, HoldsForRandomGraphs) {
  std::mt19937 random(20240601);
  for (int round = 0; round < 300; ++round) {
    ScenarioPlan s;
    const OperatorId count = 2 + random() % 14;
    for (OperatorId id = 0; id < count; ++id) {
      const bool source = id == 0 || random() % 6 == 0;
      std::vector<OperatorId> inputs;
      if (!source) inputs.push_back(random() % id);
      if (!source && random() % 4 == 0) inputs.push_back(random() % id);
      Parameters p = source ? Parameters(Source{}) : random() % 5 == 0 ? Parameters(Program{}) : Parameters(Union{});
      s.operators.push_back(make(id, std::move(p), inputs, random() % 4 == 0 ? 2 : 0));
    }
    check(s, fuse(s));
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace runink::plan
