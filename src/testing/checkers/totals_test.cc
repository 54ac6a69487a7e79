#include "testing/checkers/totals.h"

#include <gtest/gtest.h>

namespace runink::testing {
namespace {

TEST(Sets, GoodOnes) {
  const std::vector<SetAdd> adds = {{1, 1, 2}, {2, 3, kOpen}, {3, 3, kOpen}, {4, 5, 6, true}, {5, 8, 12}};
  EXPECT_TRUE(check_set(adds, {{3, 4, {1}}, {7, 8, {1, 2}}, {9, 10, {2, 1, 5}}, {13, 14, {1, 2, 5}}}).empty());
}

TEST(Sets, BadOnes) {
  const std::vector<SetAdd> adds = {{1, 1, 2}, {2, 3, kOpen}, {4, 5, 6, true}, {5, 8, 12}};
  EXPECT_EQ(check_set(adds, {{3, 4, {}}}),
            std::vector<std::string>{"element 1 was acknowledged at 2, the read [3, 4] lacks it"});
  EXPECT_EQ(check_set(adds, {{3, 4, {1, 9}}}),
            std::vector<std::string>{"element 9 was never added, the read [3, 4] has it"});
  EXPECT_EQ(check_set(adds, {{7, 8, {1, 4}}}),
            std::vector<std::string>{"element 4 was refused, the read [7, 8] has it"});
  EXPECT_EQ(check_set(adds, {{3, 4, {1, 1}}}), std::vector<std::string>{"element 1 is twice in the read [3, 4]"});
  EXPECT_EQ(check_set(adds, {{3, 4, {1, 2}}, {5, 6, {1}}}),
            std::vector<std::string>{"element 2 was read by 4, the read [5, 6] lacks it"});
  EXPECT_EQ(check_set(adds, {{3, 4, {1, 5}}}),
            std::vector<std::string>{"element 5 was added from 8 on, the read [3, 4] has it"});
  EXPECT_EQ(check_set({{1, 1, 2}, {1, 3, 4}}, {}).size(), 1u);
}

TEST(Counters, MustLieBetweenWhatIsCertainAndWhatIsPossible) {
  const std::vector<CounterAdd> adds = {{5, 1, 2}, {3, 3, kOpen}, {-1, 4, 9}};
  for (int64_t value : {4, 5, 7, 8}) EXPECT_TRUE(check_counter(adds, {{5, 6, value}}).empty()) << value;
  for (int64_t value : {3, 9}) EXPECT_EQ(check_counter(adds, {{5, 6, value}}).size(), 1u) << value;
  EXPECT_EQ(check_counter(adds, {{10, 11, 5}}), std::vector<std::string>{});
  EXPECT_EQ(check_counter(adds, {{10, 11, 8}}),
            std::vector<std::string>{"the read [10, 11] gave 8, between 4 and 7 would be right"});
}

}  // namespace
}  // namespace runink::testing
