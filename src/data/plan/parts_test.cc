#include "data/plan/parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace runink::plan {
namespace {

using testing::ElementsAre;

Operator make(OperatorId id, Parameters parameters, std::vector<OperatorId> inputs) {
  Operator op;
  op.id = id;
  op.parameters = std::move(parameters);
  op.name = "op" + std::to_string(id);
  for (const OperatorId i : inputs) op.inputs.push_back({i, 0});
  return op;
}

ScenarioPlan scenario(std::vector<Operator> operators) {
  ScenarioPlan s;
  s.operators = std::move(operators);
  return s;
}

std::vector<std::vector<OperatorId>> cut(const ScenarioPlan& s) {
  std::vector<std::vector<OperatorId>> out;
  for (const Part& part : cut_into_parts(s)) out.push_back(part.operators);
  return out;
}

TEST(Parts, WithoutCustomStepsThereIsOne) {
  const auto s = scenario({make(0, Source{}, {}), make(1, Sort{}, {0}), make(2, Sink{}, {1})});
  const auto parts = cut_into_parts(s);
  ASSERT_EQ(parts.size(), 1u);
  EXPECT_EQ(parts[0].scenario.operators.size(), 3u);
  EXPECT_FALSE(parts[0].begins || parts[0].hands_on);
}

TEST(Parts, AChainIsCutBehindEachStep) {
  auto s = scenario({make(0, Source{}, {}), make(1, Program{}, {0}), make(2, Sort{}, {1}), make(3, Program{}, {2}),
                     make(4, Sink{}, {3}), make(5, Sink{.rejected = true}, {})});
  s.valid = {{3, 0}};
  s.qualities = {{.after = 0, .name = "early"}, {.after = 2, .name = "late"}};
  s.assertions = {{.kind = Assertion::Kind::kMinValid}, {.kind = Assertion::Kind::kExpression}};
  const auto parts = cut_into_parts(s);
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_THAT(parts[0].operators, ElementsAre(0, 1, 5));
  EXPECT_THAT(parts[1].operators, ElementsAre(2, 3));
  EXPECT_THAT(parts[2].operators, ElementsAre(4));

  // The first hands on what the step answers; its own operators are as they were.
  EXPECT_EQ(parts[0].hands_on, 6u);
  EXPECT_EQ(parts[0].scenario.operators[6].inputs[0].from, 1u);
  EXPECT_TRUE(std::holds_alternative<Program>(parts[0].scenario.operators[1].parameters));
  EXPECT_TRUE(parts[0].scenario.operators[2].inputs.empty());
  // The next reads it to the end, whoever wants it.
  EXPECT_EQ(parts[1].begins, 1u);
  const auto* input = std::get_if<ScenarioInput>(&parts[1].scenario.operators[1].parameters);
  ASSERT_NE(input, nullptr);
  EXPECT_TRUE(input->to_the_end);
  EXPECT_TRUE(parts[1].scenario.operators[1].inputs.empty());
  EXPECT_TRUE(parts[1].scenario.operators[0].inputs.empty());
  EXPECT_FALSE(parts[2].hands_on);

  // Rules stand where their rows are; assertions that count stand nowhere.
  EXPECT_EQ(parts[0].scenario.qualities.size(), 1u);
  EXPECT_EQ(parts[1].scenario.qualities.size(), 1u);
  EXPECT_EQ(parts[1].scenario.qualities[0].name, "late");
  EXPECT_TRUE(parts[0].scenario.assertions.empty());
  EXPECT_TRUE(parts[0].scenario.valid.empty());
  ASSERT_EQ(parts[1].scenario.assertions.size(), 1u);
  EXPECT_EQ(parts[1].scenario.assertions[0].kind, Assertion::Kind::kExpression);
  EXPECT_EQ(parts[1].scenario.valid.size(), 1u);
}

TEST(Parts, NotWhereRowsAlsoPassTheStepBy) {
  const auto s =
      scenario({make(0, Source{}, {}), make(1, Program{}, {0}), make(2, Join{}, {1, 0}), make(3, Sink{}, {2})});
  EXPECT_THAT(cut(s), ElementsAre(ElementsAre(0, 1, 2, 3)));
}

TEST(Parts, NotWhereAnotherSourceIsReadBehindIt) {
  const auto s = scenario({make(0, Source{}, {}), make(1, Program{}, {0}), make(2, Source{}, {}),
                           make(3, Join{}, {1, 2}), make(4, Sink{}, {3})});
  EXPECT_THAT(cut(s), ElementsAre(ElementsAre(0, 1, 2, 3, 4)));
}

// What runs beside the step may end after it, and its dead letters would come in another order.
TEST(Parts, NotWhereAnotherBranchHoldsRows) {
  const auto s = scenario({make(0, Source{}, {}), make(1, Split{}, {0}), make(2, Program{}, {1}), make(3, Sink{}, {2}),
                           make(4, Sort{}, {1}), make(5, Sink{}, {4})});
  EXPECT_EQ(cut(s).size(), 1u);
  const auto two_steps = scenario({make(0, Source{}, {}), make(1, Program{}, {0}), make(2, Program{}, {0}),
                                   make(3, Sink{}, {1}), make(4, Sink{}, {2})});
  EXPECT_EQ(cut(two_steps).size(), 1u);
}

TEST(Parts, ABranchThatOnlyStreamsIsNoHindrance) {
  const auto s = scenario({make(0, Source{}, {}), make(1, Split{}, {0}), make(2, Program{}, {1}), make(3, Sink{}, {2}),
                           make(4, Filter{}, {1}), make(5, Sink{}, {4})});
  EXPECT_THAT(cut(s), ElementsAre(ElementsAre(0, 1, 2, 4, 5), ElementsAre(3)));
}

// Of any plan: every operator is in one part; rows enter a part by the step alone; ids stay.
TEST(Parts, RandomPlans) {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    ScenarioPlan s;
    const auto count = 2 + random() % 12;
    for (OperatorId id = 0; id < count; ++id) {
      if (id == 0 || random() % 6 == 0) {
        s.operators.push_back(make(id, Source{}, {}));
        continue;
      }
      const auto from = static_cast<OperatorId>(random() % id);
      switch (random() % 5) {
        case 0:
          s.operators.push_back(make(id, Program{}, {from}));
          break;
        case 1:
          s.operators.push_back(make(id, Sort{}, {from}));
          break;
        case 2:
          s.operators.push_back(make(id, Join{}, {from, static_cast<OperatorId>(random() % id)}));
          break;
        default:
          s.operators.push_back(make(id, Filter{}, {from}));
      }
    }
    const auto parts = cut_into_parts(s);
    std::vector<int> part_of(count, -1);
    for (size_t i = 0; i < parts.size(); ++i) {
      for (const OperatorId id : parts[i].operators) {
        ASSERT_EQ(part_of[id], -1);
        part_of[id] = static_cast<int>(i);
      }
    }
    for (const Operator& op : s.operators) {
      const int own = part_of[op.id];
      ASSERT_GE(own, 0);
      ASSERT_EQ(parts[static_cast<size_t>(own)].scenario.operators[op.id].parameters.index(), op.parameters.index());
      if (op.inputs.empty()) {
        ASSERT_EQ(own, 0);
      }
      for (const Input& input : op.inputs) {
        const bool crosses = part_of[input.from] != own;
        ASSERT_EQ(crosses, parts[static_cast<size_t>(own)].begins == input.from);
        if (crosses) {
          ASSERT_EQ(part_of[input.from], own - 1);
        }
      }
    }
  }
}

}  // namespace
}  // namespace runink::plan
