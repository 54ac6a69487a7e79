#include "worker/launcher/pools.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runink::launcher {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

bool any(uint64_t) { return true; }

PoolKey key(const char* herd) { return {.parking = {.herd = herd, .user = 1000, .group = 1000}}; }

void add_ready(Pools* pools, const PoolKey& of, uint64_t seat) {
  pools->began(of);
  pools->ready(of, seat);
}

TEST(Pools, AreFilledUpToWhatIsWanted) {
  Pools pools(2);
  EXPECT_FALSE(pools.next_missing(0));
  EXPECT_THAT(*pools.want(key("a"), {}, 3), IsEmpty());
  EXPECT_TRUE(pools.urgent(0));
  pools.began(key("a"));
  pools.began(key("a"));
  EXPECT_FALSE(pools.next_missing(0)) << "two at once are enough";
  pools.ready(key("a"), 10);
  EXPECT_FALSE(pools.urgent(0));
  ASSERT_TRUE(pools.next_missing(0));
  pools.began(*pools.next_missing(0));
  pools.ready(key("a"), 11);
  pools.ready(key("a"), 12);
  EXPECT_FALSE(pools.next_missing(0));
  EXPECT_EQ(pools.count_ready(), 3u);
}

TEST(Pools, TheEmptiestIsFilledFirst) {
  Pools pools(2);
  (void)pools.want(key("a"), {}, 4);
  (void)pools.want(key("b"), {}, 4);
  add_ready(&pools, key("a"), 10);
  EXPECT_EQ(pools.next_missing(0)->parking.herd, "b");
}

TEST(Pools, WhatIsNotWantedRunsOutOfNothing) {
  Pools pools(2);
  EXPECT_GT(pools.least_ready(), 1e9);
  (void)pools.want(key("a"), {}, 4);
  EXPECT_EQ(pools.least_ready(), 0);
  (void)pools.want(key("b"), {}, 4);
  add_ready(&pools, key("a"), 10);
  add_ready(&pools, key("a"), 11);
  add_ready(&pools, key("b"), 12);
  EXPECT_EQ(pools.least_ready(), 1);
  (void)pools.want(key("b"), {}, 0);
  EXPECT_EQ(pools.least_ready(), 2);
}

TEST(Pools, OneThatWillNotDoStays) {
  Pools pools(2);
  (void)pools.want(key("a"), {}, 2);
  add_ready(&pools, key("a"), 10);
  add_ready(&pools, key("a"), 11);
  EXPECT_TRUE(pools.recycled(key("a"), 12));
  const auto taken = pools.take(key("a"), true, [](uint64_t seat) { return seat == 10; });
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->seat, 10u);
  EXPECT_FALSE(taken->recycled);
  EXPECT_FALSE(pools.take(key("a"), true, [](uint64_t) { return false; }));
  EXPECT_EQ(pools.count_ready(), 2u);
}

TEST(Pools, AUsedOneIsOnlyForThoseWhoAskForIt) {
  Pools pools(2);
  EXPECT_FALSE(pools.take(key("a"), true, any));
  (void)pools.want(key("a"), {}, 1);
  add_ready(&pools, key("a"), 10);
  EXPECT_TRUE(pools.recycled(key("a"), 11));
  EXPECT_FALSE(pools.take(key("b"), true, any)) << "of another herd";
  auto taken = pools.take(key("a"), false, any);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->seat, 10u);
  EXPECT_FALSE(taken->recycled);
  EXPECT_FALSE(pools.take(key("a"), false, any));
  taken = pools.take(key("a"), true, any);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->seat, 11u);
  EXPECT_TRUE(taken->recycled);
}

TEST(Pools, UsedOnesAreNotKeptWithoutEnd) {
  Pools pools(2);
  uint64_t seat = 1;
  while (pools.recycled(key("a"), seat)) ++seat;
  EXPECT_EQ(seat, Pools::kMostRecycled + 1);
}

TEST(Pools, FewerAreWanted) {
  Pools pools(2);
  (void)pools.want(key("a"), {}, 3);
  for (const uint64_t seat : {10, 11, 12}) add_ready(&pools, key("a"), seat);
  EXPECT_THAT(*pools.want(key("a"), {}, 1), ElementsAre(12, 11));
  EXPECT_TRUE(pools.recycled(key("a"), 13));
  EXPECT_THAT(*pools.want(key("a"), {}, 0), ElementsAre(10, 13));
  EXPECT_EQ(pools.count_ready(), 0u);
  EXPECT_FALSE(pools.next_missing(0));
}

TEST(Pools, MoreThanAllTogetherMayAreRefused) {
  Pools pools(2);
  ASSERT_TRUE(pools.want(key("a"), {}, Pools::kMostReady).ok());
  EXPECT_EQ(pools.want(key("b"), {}, 1).status().code(), Code::kInvalidArgument);
  ASSERT_TRUE(pools.want(key("a"), {}, Pools::kMostReady - 1).ok());
  EXPECT_TRUE(pools.want(key("b"), {}, 1).ok());
}

// What cannot be parked is tried again, less and less often.
TEST(Pools, FailuresWait) {
  Pools pools(2);
  (void)pools.want(key("a"), {}, 1);
  int64_t now = 1, waited = 0;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(pools.next_missing(now));
    pools.began(key("a"));
    pools.failed(key("a"), not_found("no /usr"), now);
    EXPECT_FALSE(pools.next_missing(now));
    const int64_t next = pools.next_attempt_nanos();
    EXPECT_GE(next - now, waited);
    waited = next - now;
    now = next;
  }
  EXPECT_LE(waited, 10'000'000'000);
  EXPECT_EQ(pools.find(key("a"))->failed.message(), "no /usr");
  pools.began(key("a"));
  pools.ready(key("a"), 5);
  EXPECT_TRUE(pools.find(key("a"))->failed.ok());
}

TEST(Pools, ThoseThatEndedAreForgotten) {
  Pools pools(2);
  (void)pools.want(key("a"), {}, 2);
  add_ready(&pools, key("a"), 10);
  add_ready(&pools, key("a"), 11);
  EXPECT_TRUE(pools.remove(key("a"), 10));
  EXPECT_FALSE(pools.remove(key("a"), 10));
  EXPECT_THAT(pools.take_all(), ElementsAre(11));
  EXPECT_TRUE(pools.next_missing(0));
}

}  // namespace
}  // namespace runink::launcher
