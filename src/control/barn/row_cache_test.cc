#include "control/barn/row_cache.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace runink::barn {
namespace {

TEST(RowCache, KnowsWhatItWasToldAndForgetsTheOldest) {
  RowCache cache(1000);
  EXPECT_EQ(cache.find("a"), nullptr);
  cache.set("a", "1");
  cache.set("b", std::nullopt);
  ASSERT_NE(cache.find("a"), nullptr);
  EXPECT_EQ(*cache.find("a"), "1");
  EXPECT_EQ(*cache.find("b"), std::nullopt);
  cache.set("a", std::nullopt);
  EXPECT_EQ(*cache.find("a"), std::nullopt);
  for (int i = 0; i < 8; ++i) {
    cache.set("x" + std::to_string(i), "y");
    (void)cache.find("b");  // in use all the time
  }
  EXPECT_EQ(cache.find("a"), nullptr);
  EXPECT_NE(cache.find("b"), nullptr);
  EXPECT_LE(cache.bytes(), 1000u);
}

TEST(RowCache, ALargeRowIsNotKept) {
  RowCache cache(64 << 10);
  cache.set("a", "1");
  cache.set("a", std::string(5000, 'x'));
  EXPECT_EQ(cache.find("a"), nullptr);
  cache.set("b", std::string(5000, 'x'));
  EXPECT_EQ(cache.find("b"), nullptr);
  EXPECT_EQ(cache.bytes(), 0u);
}

TEST(RowCache, NeverSaysAnythingElseThanAMapDoes) {
  for (const size_t bytes : {size_t{0}, size_t{300}, size_t{3000}, size_t{30000}, size_t{1} << 20}) {
    RowCache cache(bytes);
    std::map<std::string, std::optional<std::string>> truth;
    std::mt19937 random(7);
    for (int i = 0; i < 20000; ++i) {
      const std::string key = "key" + std::to_string(random() % 400);
      if (random() % 2 == 0) {
        std::optional<std::string> value;
        if (random() % 3 != 0) value = std::string(random() % 60, 'v') + std::to_string(i);
        cache.set(key, value ? std::optional<std::string_view>(*value) : std::nullopt);
        truth[key] = value;
      } else if (const auto* known = cache.find(key)) {
        ASSERT_EQ(*known, truth.at(key));
      } else if (bytes == size_t{1} << 20) {
        ASSERT_FALSE(truth.contains(key)) << "it had room, and forgot " << key;
      }
      ASSERT_LE(cache.bytes(), bytes);
    }
  }
}

}  // namespace
}  // namespace runink::barn
