#include "worker/agent/parked_classes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runink::agent {
namespace {

using ::testing::IsEmpty;

model::SliceSpec of(const std::string& herd) {
  model::SliceSpec spec;
  spec.argv = {"sh"};
  spec.herd = herd;
  return spec;
}

TEST(ParkedClasses, BeginsWithWhatNeedsNothing) {
  ParkedClasses classes(2, true);
  ASSERT_EQ(classes.all().size(), 1u);
  EXPECT_EQ(classes.all()[0].count, 2u);
  EXPECT_EQ(classes.all()[0].spec.herd, "local");
  EXPECT_THAT(classes.used(of("local")), IsEmpty());
}

// What a request parks has to be what the next slice like it takes.
TEST(ParkedClasses, AsksForTheClassThatWasUsed) {
  ParkedClasses classes(3, true);
  model::SliceSpec spec = of("etl");
  spec.user = 5;
  spec.group = 6;
  spec.resources.memory_bytes = 1 << 30;
  spec.terminal.emplace();
  const auto asked = classes.used(spec);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].count, 3u);
  sandbox::HostFacts facts;
  facts.root = true;
  EXPECT_EQ(sandbox::class_of(asked[0].spec, facts), sandbox::class_of(spec, facts));
  EXPECT_THAT(classes.used(spec), IsEmpty());
  EXPECT_EQ(classes.all().size(), 2u);
}

TEST(ParkedClasses, TheOneThatWasUsedLeastRecentlyGoes) {
  ParkedClasses classes(1, true);
  for (size_t i = 1; i < ParkedClasses::kMostClasses; ++i) {
    EXPECT_EQ(classes.used(of("h" + std::to_string(i))).size(), 1u);
  }
  EXPECT_THAT(classes.used(of("local")), IsEmpty());  // the oldest, used again
  const auto asked = classes.used(of("new"));
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(asked[0].spec.herd, "h1");
  EXPECT_EQ(asked[0].count, 0u);
  EXPECT_EQ(asked[1].spec.herd, "new");
  EXPECT_EQ(classes.all().size(), ParkedClasses::kMostClasses);
}

TEST(ParkedClasses, OfNoneNothingIsAsked) {
  ParkedClasses classes(0, true);
  EXPECT_THAT(classes.all(), IsEmpty());
  EXPECT_THAT(classes.used(of("etl")), IsEmpty());
}

TEST(ParkedClasses, AnOrdinaryUsersMountsAreNotStoodReadyFor) {
  ParkedClasses classes(1, false);
  model::SliceSpec spec = of("etl");
  spec.mounts = {{"/data", "/data"}};
  EXPECT_THAT(classes.used(spec), IsEmpty());
}

TEST(ParkedClasses, TheyAreParkedWithTheLimitsThatWereUsedLast) {
  ParkedClasses classes(1, true);
  model::SliceSpec spec = of("etl");
  spec.resources.memory_bytes = 1 << 30;
  ASSERT_EQ(classes.used(spec).size(), 1u);
  EXPECT_THAT(classes.used(spec), IsEmpty());
  spec.resources.memory_bytes = 1 << 29;
  const auto asked = classes.used(spec);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0].spec.resources, spec.resources);
  EXPECT_EQ(classes.all().size(), 2u);
}

TEST(ParkedClasses, OfALimitedHerdThereIsOneClass) {
  ParkedClasses classes(1, true, {"etl"});
  model::SliceSpec limited = of("etl");
  limited.resources.memory_bytes = 1 << 30;
  const auto asked = classes.used(of("etl"));
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_FALSE(asked[0].spec.resources.any()) << "none of its own";
  ASSERT_EQ(classes.used(limited).size(), 1u);
  EXPECT_EQ(classes.all().size(), 2u) << "that, and the one there is at the beginning";
}

}  // namespace
}  // namespace runink::agent
