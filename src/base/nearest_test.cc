#include "base/nearest.h"

#include <gtest/gtest.h>

namespace runink {
namespace {

TEST(Nearest, Distance) {
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("ab", "ba"), 1u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("Delay", "delay"), 0u);
}

TEST(Nearest, OffersOnlyWhatIsNear) {
  const std::vector<std::string> fields = {"date", "delay", "distance"};
  EXPECT_EQ(nearest("dealy", fields), std::vector<std::string>{"delay"});
  EXPECT_TRUE(nearest("passport", fields).empty());
  EXPECT_EQ(nearest_any("zzz", fields, 2).size(), 2u);
}

}  // namespace
}  // namespace runink
