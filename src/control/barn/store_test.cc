#include <gtest/gtest.h>

#include <random>

#include "control/barn/harness_test.h"
#include "control/barn/overlay.h"

namespace runink::barn {
namespace {

using test::contents;
using Pairs = std::vector<std::pair<std::string, std::string>>;

void put(MemoryStore& store, std::string_view key, std::string_view value) {
  WriteBatch batch;
  batch.put(key, value);
  ASSERT_TRUE(store.apply(batch).ok());
}

TEST(WriteBatch, IsWalkedInOrder) {
  WriteBatch batch;
  batch.put("a", "1");
  batch.remove("b");
  batch.remove_range("c", "d");
  batch.put("", "");
  std::string seen;
  batch.for_each([&](WriteBatch::Kind kind, std::string_view key, std::string_view value) {
    seen += std::to_string(static_cast<int>(kind)) + std::string(key) + "," + std::string(value) + ";";
  });
  EXPECT_EQ(seen, "1a,1;2b,;3c,d;1,;");
  EXPECT_EQ(batch.count(), 4u);
  batch.clear();
  EXPECT_TRUE(batch.empty());
}

TEST(MemoryStore, AViewStaysAsItWas) {
  MemoryStore store;
  put(store, "ka", "1");
  put(store, "kb", "2");
  auto view = store.view();
  auto walk = store.iterate("", "");
  WriteBatch batch;
  batch.put("ka", "new");
  batch.remove("kb");
  batch.put("kc", "3");
  batch.put("x", "4");
  ASSERT_TRUE(store.apply(batch).ok());
  const Pairs before = {{"ka", "1"}, {"kb", "2"}}, after = {{"ka", "new"}, {"kc", "3"}, {"x", "4"}};
  EXPECT_EQ(contents(*view), before);
  EXPECT_EQ(contents(store), after);
  auto second = store.view();
  put(store, "ka", "newer");
  EXPECT_EQ(contents(*view), before);
  EXPECT_EQ(contents(*second), after);
  std::string value;
  EXPECT_TRUE(*view->get("kb", &value));
  EXPECT_EQ(value, "2");
  EXPECT_FALSE(*view->get("kc", &value));
  EXPECT_FALSE(*store.get("kb", &value));
  view.reset();
  EXPECT_EQ(walk->key(), "ka");
  EXPECT_EQ(walk->value(), "1");
  walk->next();
  EXPECT_EQ(walk->key(), "kb");
  walk->next();
  EXPECT_FALSE(walk->valid());
  walk.reset();
  EXPECT_EQ(contents(*second), after);
}

TEST(MemoryStore, RangesAreHalfOpen) {
  MemoryStore store;
  for (const char* key : {"a", "b", "ba", "c", "da"}) put(store, key, key);
  const auto keys = [&](std::string_view from, std::string_view to) {
    std::string out;
    for (auto at = store.iterate(from, to); at->valid(); at->next()) out += std::string(at->key()) + " ";
    return out;
  };
  EXPECT_EQ(keys("b", "c"), "b ba ");
  EXPECT_EQ(keys("b", "ba"), "b ");
  EXPECT_EQ(keys("", ""), "a b ba c da ");
  EXPECT_EQ(keys("c", "b"), "");
  EXPECT_EQ(keys("b", "b"), "");
  WriteBatch batch;
  batch.remove_range("b", "c");
  batch.put("bb", "again");
  ASSERT_TRUE(store.apply(batch).ok());
  EXPECT_EQ(keys("", ""), "a bb c da ");
}

TEST(MemoryStore, KeepsNothingForViewsThatAreGone) {
  MemoryStore store;
  put(store, "ka", std::string(1000, 'x'));
  const uint64_t before = store.approximate_bytes();
  {
    auto view = store.view();
    put(store, "ka", "1");
    WriteBatch batch;
    batch.remove("ka");
    ASSERT_TRUE(store.apply(batch).ok());
    EXPECT_EQ(contents(*view).size(), 1u);
  }
  EXPECT_EQ(contents(store).size(), 0u);
  EXPECT_EQ(store.approximate_bytes(), 0u);
  put(store, "ka", std::string(1000, 'x'));
  EXPECT_EQ(store.approximate_bytes(), before);
  const auto copy = store.copy();
  EXPECT_EQ(contents(*copy), contents(store));
  EXPECT_EQ(copy->approximate_bytes(), before);
}

// Random batches and views against plain copies of a map.
TEST(MemoryStore, AgreesWithAMapUnderRandomWritesAndViews) {
  std::mt19937_64 random(7);
  MemoryStore store;
  std::map<std::string, std::string> model;
  std::vector<std::pair<std::unique_ptr<StateView>, std::map<std::string, std::string>>> views;
  const auto key = [&] {
    return std::string(1, static_cast<char>('j' + random() % 3)) + std::to_string(random() % 20);
  };
  for (int i = 0; i < 3000; ++i) {
    WriteBatch batch;
    for (uint64_t n = random() % 4; n > 0; --n) {
      const std::string k = key();
      switch (random() % 8) {
        case 0: {
          std::string to = key();
          if (to < k) break;
          batch.remove_range(k, to);
          model.erase(model.lower_bound(k), model.lower_bound(to));
          break;
        }
        case 1:
        case 2:
          batch.remove(k);
          model.erase(k);
          break;
        default:
          batch.put(k, std::to_string(i));
          model[k] = std::to_string(i);
      }
    }
    ASSERT_TRUE(store.apply(batch).ok());
    if (random() % 10 == 0) views.emplace_back(store.view(), model);
    if (!views.empty() && random() % 8 == 0) {
      const size_t at = random() % views.size();
      ASSERT_EQ(contents(*views[at].first), Pairs(views[at].second.begin(), views[at].second.end())) << i;
      views.erase(views.begin() + static_cast<std::ptrdiff_t>(at));
    }
    if (i % 50 != 0) continue;
    ASSERT_EQ(contents(store), Pairs(model.begin(), model.end())) << i;
  }
}

TEST(Overlay, ShowsItsWritesOverTheStore) {
  MemoryStore store;
  put(store, "a", "1");
  put(store, "b", "2");
  put(store, "d", "4");
  Overlay overlay(&store);
  overlay.put("c", "3");
  overlay.remove("b");
  overlay.put("d", "four");
  overlay.remove("e");
  const Pairs expected = {{"a", "1"}, {"c", "3"}, {"d", "four"}};
  EXPECT_EQ(contents(overlay), expected);
  std::string value;
  EXPECT_FALSE(*overlay.get("b", &value));
  EXPECT_TRUE(*overlay.get("d", &value));
  EXPECT_EQ(value, "four");
  WriteBatch batch;
  overlay.flush(batch);
  EXPECT_TRUE(overlay.empty());
  EXPECT_EQ(overlay.bytes(), 0u);
  ASSERT_TRUE(store.apply(batch).ok());
  EXPECT_EQ(contents(store), expected);
}

TEST(Overlay, TakesBackWhatWasDoneSinceTheMark) {
  std::mt19937_64 random(3);
  MemoryStore store;
  for (int i = 0; i < 10; ++i) put(store, "k" + std::to_string(i), "below");
  Overlay overlay(&store);
  const auto change = [&] {
    for (int n = 0; n < 6; ++n) {
      const std::string key = "k" + std::to_string(random() % 15);
      if (random() % 3 == 0) {
        overlay.remove(key);
      } else {
        overlay.put(key, std::string(random() % 9, 'v'));
      }
    }
  };
  for (int i = 0; i < 200; ++i) {
    change();
    const Pairs before = contents(overlay);
    const size_t bytes = overlay.bytes();
    overlay.mark();
    change();
    overlay.rollback();
    ASSERT_EQ(contents(overlay), before);
    ASSERT_EQ(overlay.bytes(), bytes);
    overlay.mark();
    overlay.put("k1", "kept");
    overlay.release();
    std::string value;
    ASSERT_TRUE(*overlay.get("k1", &value));
    ASSERT_EQ(value, "kept");
  }
}

TEST(KeyRange, OfAPrefixHoldsExactlyThoseThatBeginWithIt) {
  EXPECT_EQ(prefix_range("ab"), (KeyRange{"ab", "ac"}));
  EXPECT_EQ(prefix_range("a\xff\xff"), (KeyRange{"a\xff\xff", "b"}));
  EXPECT_EQ(prefix_range("\xff"), (KeyRange{"\xff", ""}));
  EXPECT_EQ(prefix_range(""), whole_range());
  EXPECT_TRUE(single_key("a").contains("a"));
  EXPECT_FALSE(single_key("a").contains(std::string("a\0", 2)));
  EXPECT_FALSE(single_key("a").contains("b"));
}

}  // namespace
}  // namespace runink::barn
