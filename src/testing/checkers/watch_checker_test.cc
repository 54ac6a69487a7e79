#include "testing/checkers/watch_checker.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace runink::testing {
namespace {

const std::vector<Change> kLog = {{1, "a", "1"}, {2, "b", "1"},          {2, "c", "1"},
                                  {3, "a", "2"}, {4, "a", std::nullopt}, {5, "z", "1"}};

std::vector<std::string> broken(const std::vector<Watch>& watches) {
  std::set<std::string> out;
  for (const WatchFault& fault : check_watches(kLog, watches)) out.insert(name(fault.promise));
  return {out.begin(), out.end()};
}
using Names = std::vector<std::string>;
WatchMessage message(std::vector<Change> changes) { return {std::move(changes), std::nullopt, std::nullopt}; }
WatchMessage bookmark(uint64_t revision) { return {{}, revision, std::nullopt}; }
WatchMessage compacted(uint64_t revision) { return {{}, std::nullopt, revision}; }
const WatchRequest kAll{"", "", 1};

TEST(Watches, GoodOnes) {
  EXPECT_EQ(broken({{kAll, {message(kLog)}, {}, 5}}), Names{});
  EXPECT_EQ(
      broken({{kAll,
               {message({kLog[0]}), message({kLog[2], kLog[1], kLog[3]}), bookmark(3), message({kLog[4], kLog[5]})},
               {},
               5}}),
      Names{});
  EXPECT_EQ(broken({{{"a", "b", 2}, {message({kLog[3]}), bookmark(3), message({kLog[4]}), bookmark(9)}, {}, 9}}),
            Names{});
  EXPECT_EQ(broken({{{"a", "b", 1, true, false}, {message({kLog[0], kLog[3]})}, {}, 5}}), Names{});
  // Broken off anywhere, and gone on with; behind a bookmark too.
  EXPECT_EQ(
      broken({{kAll, {message({kLog[0]})}}, {{"", "", 2}, {message({kLog[1], kLog[2], kLog[3]}), bookmark(3)}, 0, 3}}),
      Names{});
  EXPECT_EQ(broken({{{"a", "b", 1}, {message({kLog[0]}), bookmark(2)}},
                    {{"a", "b", 3}, {message({kLog[3], kLog[4]})}, 0, 5}}),
            Names{});
  // What is gone is said, and that is all.
  EXPECT_EQ(broken({{kAll, {compacted(2)}, {}, 5}}), Names{});
}

TEST(Watches, EachPromiseCanBeBroken) {
  EXPECT_EQ(broken({{kAll, {message({kLog[0], kLog[3], kLog[1], kLog[2]})}}}), (Names{"ordered", "reliable"}));
  EXPECT_EQ(broken({{{"a", "b", 1}, {message({kLog[0], kLog[0]})}}}), Names{"unique"});
  EXPECT_EQ(broken({{kAll, {message({kLog[0], kLog[3]})}}}), Names{"reliable"});
  EXPECT_EQ(broken({{kAll, {message({kLog[0]})}, {}, 2}}), Names{"reliable"});
  EXPECT_EQ(broken({{kAll, {message({kLog[0], kLog[1]})}}}), Names{"atomic"});
  EXPECT_EQ(broken({{kAll, {message({kLog[0], kLog[1]}), message({kLog[2]})}}}), Names{"atomic"});
  EXPECT_EQ(broken({{kAll, {message({kLog[0], kLog[1]}), message({kLog[3]})}}}), Names{"atomic"});
  EXPECT_EQ(broken({{kAll, {message({kLog[0]})}}, {{"", "", 3}, {message({kLog[3]})}, 0}}), Names{"resumable"});
  EXPECT_EQ(broken({{{"", "", 4}, {compacted(2)}}}), Names{"resumable"});
  EXPECT_EQ(broken({{kAll, {message({kLog[0]}), bookmark(2)}}}), Names{"bookmarkable"});
  EXPECT_EQ(broken({{{"a", "b", 1}, {bookmark(1)}}}), Names{"bookmarkable"});
  EXPECT_EQ(broken({{kAll, {message({kLog[0]})}}, {{"", "", 2}, {message({kLog[1], kLog[2]}), bookmark(3)}, 0}}),
            Names{"bookmarkable"});
  EXPECT_EQ(broken({{{"a", "b", 1}, {message({kLog[0]}), bookmark(4), message({kLog[3]})}}}), Names{"bookmarkable"});
  EXPECT_EQ(broken({{{"a", "b", 1}, {message({kLog[0], kLog[1]})}}}), Names{"filtered"});
  EXPECT_EQ(broken({{{"a", "b", 2}, {message({kLog[0]})}}}), Names{"filtered"});
  EXPECT_EQ(broken({{{"a", "b", 1}, {message({{1, "a", "wrong"}})}}}), (Names{"atomic", "filtered"}));
  EXPECT_EQ(broken({{kAll, {message({kLog[0]}), compacted(1), message({kLog[1], kLog[2]})}}}),
            (Names{"reliable", "resumable"}));
}

TEST(Watches, AnythingTakenOutOfALongWatchIsMissed) {
  std::mt19937 random(11);
  std::vector<Change> log;
  for (uint64_t revision = 1; revision <= 500; ++revision) {
    for (size_t n = 1 + random() % 2, k = random() % 10; n > 0; --n) {
      log.push_back({revision, "k" + std::to_string((k + n) % 10),
                     random() % 5 == 0 ? std::nullopt : std::optional(std::to_string(random()))});
    }
  }
  Watch whole{{"k2", "k7", 1}};
  for (const Change& c : log) {
    if (c.key < "k2" || c.key >= "k7") continue;
    if (whole.messages.empty() || whole.messages.back().changes.back().revision != c.revision)
      whole.messages.push_back({});
    whole.messages.back().changes.push_back(c);
  }
  whole.complete_through = 500;
  EXPECT_TRUE(check_watches(log, {whole}).empty());
  for (int round = 0; round < 100; ++round) {
    Watch spoilt = whole;
    spoilt.messages.erase(spoilt.messages.begin() + static_cast<std::ptrdiff_t>(random() % spoilt.messages.size()));
    EXPECT_FALSE(check_watches(log, {spoilt}).empty());
  }
}

}  // namespace
}  // namespace runink::testing
