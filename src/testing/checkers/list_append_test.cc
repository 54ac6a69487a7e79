#include "testing/checkers/list_append.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace runink::testing {
namespace {

using Outcome = Transaction::Outcome;
constexpr uint64_t kX = 1, kY = 2, kZ = 3;

ListOperation append(uint64_t list, int64_t element) { return {ListOperation::Kind::kAppend, list, element, {}}; }
ListOperation read(uint64_t list, std::vector<int64_t> elements) {
  return {ListOperation::Kind::kRead, list, 0, std::move(elements)};
}
Transaction transaction(Time start, Time end, std::vector<ListOperation> operations,
                        Outcome outcome = Outcome::kCommitted) {
  return {0, start, end, outcome, std::move(operations)};
}

std::vector<std::string> names(const std::vector<Transaction>& history) {
  std::vector<std::string> out;
  for (const Anomaly& a : check_list_append(history)) out.push_back(name(a));
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}
bool has(const std::vector<std::string>& all, const std::string& one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

TEST(ListAppend, GoodOnes) {
  const std::vector<std::string> none;
  EXPECT_EQ(names({}), none);
  EXPECT_EQ(
      names({transaction(1, 2, {append(kX, 1)}), transaction(3, 4, {read(kX, {1}), append(kX, 2), read(kX, {1, 2})}),
             transaction(5, 6, {read(kX, {1, 2})})}),
      none);
  // Concurrent ones in either order.
  EXPECT_EQ(names({transaction(1, 9, {append(kX, 1)}), transaction(1, 9, {append(kX, 2)}),
                   transaction(10, 11, {read(kX, {2, 1})})}),
            none);
  // An unknown one that happened, one that did not, an aborted one that nobody saw.
  EXPECT_EQ(names({transaction(1, kOpen, {append(kX, 1)}, Outcome::kUnknown),
                   transaction(1, kOpen, {append(kX, 2)}, Outcome::kUnknown),
                   transaction(1, 2, {append(kX, 3)}, Outcome::kAborted), transaction(3, 4, {read(kX, {2})})}),
            none);
  // Committed at the end, and nobody has read since.
  EXPECT_EQ(names({transaction(1, 2, {read(kX, {}), append(kX, 1)}), transaction(3, 4, {append(kX, 2)})}), none);
}

TEST(ListAppend, SingleReads) {
  EXPECT_TRUE(has(names({transaction(1, 2, {append(kX, 1)}), transaction(3, 4, {read(kX, {1, 1})})}), "duplicate"));
  EXPECT_TRUE(has(names({transaction(3, 4, {read(kX, {7})})}), "never appended"));
  EXPECT_TRUE(has(names({transaction(1, 5, {append(kX, 1)}), transaction(1, 5, {append(kX, 2)}),
                         transaction(1, 5, {read(kX, {1, 2})}), transaction(1, 5, {read(kX, {2})})}),
                  "incompatible order"));
  EXPECT_TRUE(has(names({transaction(1, 5, {append(kX, 1), read(kX, {})})}), "internal"));
  EXPECT_TRUE(
      has(names({transaction(1, 2, {append(kX, 1)}), transaction(3, 4, {read(kX, {1}), read(kX, {})})}), "internal"));
  EXPECT_TRUE(has(names({transaction(1, 5, {append(kX, 1)}, Outcome::kAborted), transaction(2, 4, {read(kX, {1})})}),
                  "G1a (dirty read)"));
  EXPECT_TRUE(has(names({transaction(1, 5, {append(kX, 1)}, Outcome::kAborted), transaction(1, 5, {append(kX, 2)}),
                         transaction(6, 7, {read(kX, {1, 2})})}),
                  "dirty update"));
  EXPECT_TRUE(has(names({transaction(1, 5, {append(kX, 1), append(kX, 2)}), transaction(2, 4, {read(kX, {1})}),
                         transaction(6, 7, {read(kX, {1, 2})})}),
                  "G1b"));
}

TEST(ListAppend, Cycles) {
  // Both orders of two appends.
  EXPECT_TRUE(
      has(names({transaction(1, 9, {append(kX, 1), append(kY, 1)}), transaction(1, 9, {append(kX, 2), append(kY, 2)}),
                 transaction(10, 11, {read(kX, {1, 2}), read(kY, {2, 1})})}),
          "G0"));
  // Each has read the other's.
  EXPECT_TRUE(
      has(names({transaction(1, 9, {append(kX, 1), read(kY, {1})}), transaction(1, 9, {append(kY, 1), read(kX, {1})})}),
          "G1c"));
  // One saw the other's first effect and not its second.
  const std::vector<std::string> skew =
      names({transaction(1, 9, {append(kX, 1), append(kY, 1)}), transaction(1, 9, {read(kX, {1}), read(kY, {})}),
             transaction(10, 11, {read(kY, {1})})});
  EXPECT_EQ(skew, std::vector<std::string>{"G-single"});
  // Write skew: each has read what the other was about to change.
  EXPECT_EQ(names({transaction(1, 9, {read(kX, {}), append(kY, 1)}), transaction(1, 9, {read(kY, {}), append(kX, 1)}),
                   transaction(10, 11, {read(kX, {1}), read(kY, {1})})}),
            std::vector<std::string>{"G2"});
  // Both read nothing, both appended.
  EXPECT_TRUE(has(names({transaction(1, 9, {read(kX, {}), append(kX, 1)}),
                         transaction(1, 9, {read(kX, {}), append(kX, 2)}), transaction(10, 11, {read(kX, {1, 2})})}),
                  "lost update"));
}

TEST(ListAppend, RealTime) {
  // A read that lacks what was acknowledged before it began: stale if others see it, lost if nobody ever does.
  EXPECT_TRUE(has(names({transaction(1, 2, {append(kX, 1)}), transaction(3, 4, {read(kX, {})}),
                         transaction(5, 6, {read(kX, {1})})}),
                  "G-single with real time"));
  EXPECT_TRUE(
      has(names({transaction(1, 2, {append(kX, 1)}), transaction(3, 4, {read(kX, {})})}), "G-single with real time"));
  EXPECT_TRUE(has(names({transaction(1, 2, {append(kX, 1)}), transaction(3, 4, {append(kX, 2)}),
                         transaction(5, 6, {read(kX, {2, 1})})}),
                  "G0 with real time"));
  EXPECT_TRUE(
      has(names({transaction(3, 4, {append(kX, 1)}), transaction(1, 2, {read(kX, {1})})}), "G1c with real time"));
}

TEST(ListAppend, ACycleIsTold) {
  const auto anomalies = check_list_append({transaction(1, 2, {append(kX, 1)}), transaction(3, 4, {read(kX, {})})});
  ASSERT_EQ(anomalies.size(), 1u);
  EXPECT_EQ(anomalies[0].text,
            "  client 0 [3, 4] committed: read 1 -> [];\n"
            "    read what was before the append of\n"
            "  client 0 [1, 2] committed: append 1 to 1;\n"
            "    was over before the start of\n"
            "  the first one\n");
}

// A store that takes each transaction whole at one moment; some abort, of some the answer is lost.
std::vector<Transaction> correct_history(uint32_t seed, size_t transactions, uint64_t lists) {
  std::mt19937 random(seed);
  std::map<uint64_t, std::vector<int64_t>> store;
  std::vector<Time> free(10, 0);
  struct Planned {
    Time effect;
    Transaction t;
  };
  std::vector<Planned> plan;
  int64_t element = 0;
  for (size_t n = 0; n < transactions; ++n) {
    Transaction t;
    t.client = n % free.size();
    t.start = free[t.client] + 1 + static_cast<Time>(random() % 10);
    const Time effect = t.start + static_cast<Time>(random() % 20);
    t.end = free[t.client] = effect + static_cast<Time>(random() % 20);
    const uint64_t base = n / 200 * lists;  // lists are left behind, so that they stay short
    for (size_t o = 1 + random() % 4; o > 0; --o) {
      const uint64_t list = base + random() % lists;
      t.operations.push_back(random() % 2 == 0 ? append(list, ++element) : read(list, {}));
    }
    const auto fate = random() % 50;
    t.outcome = fate == 0 ? Outcome::kAborted : fate == 1 ? Outcome::kUnknown : Outcome::kCommitted;
    if (t.outcome == Outcome::kUnknown) t.end = kOpen;
    plan.push_back({effect, t});
  }
  std::stable_sort(plan.begin(), plan.end(), [](const Planned& a, const Planned& b) { return a.effect < b.effect; });
  std::vector<Transaction> history;
  for (Planned& p : plan) {
    const bool happens = p.t.outcome == Outcome::kCommitted || (p.t.outcome == Outcome::kUnknown && random() % 2 == 0);
    for (ListOperation& o : p.t.operations) {
      if (!happens) break;
      if (o.kind == ListOperation::Kind::kAppend) store[o.list].push_back(o.element);
      if (o.kind == ListOperation::Kind::kRead) o.elements = store[o.list];
    }
    history.push_back(p.t);
  }
  return history;
}

TEST(ListAppend, ACorrectStorePasses) {
  for (uint32_t seed = 1; seed <= 20; ++seed) {
    for (const Anomaly& a : check_list_append(correct_history(seed, 1000, 4)))
      ADD_FAILURE() << "seed " << seed << " " << name(a) << "\n" << a.text;
  }
  EXPECT_TRUE(check_list_append(correct_history(77, 50'000, 4)).empty());
}

TEST(ListAppend, ASpoiltHistoryDoesNot) {
  std::mt19937 random(5);
  for (uint32_t seed = 1; seed <= 40; ++seed) {
    std::vector<Transaction> history = correct_history(seed, 400, 3);
    // One read loses the end of what it saw, long after that was acknowledged.
    std::vector<std::pair<size_t, size_t>> reads;
    for (size_t i = 300; i < 400; ++i) {
      std::map<uint64_t, bool> own;
      for (size_t o = 0; o < history[i].operations.size(); ++o) {
        const ListOperation& operation = history[i].operations[o];
        const bool first = !std::exchange(own[operation.list], true);
        if (history[i].outcome == Outcome::kCommitted && first && operation.kind == ListOperation::Kind::kRead &&
            operation.elements.size() > 20)
          reads.emplace_back(i, o);
      }
    }
    ASSERT_FALSE(reads.empty());
    const auto [i, o] = reads[random() % reads.size()];
    history[i].operations[o].elements.resize(history[i].operations[o].elements.size() - 15);
    EXPECT_FALSE(check_list_append(history).empty()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace runink::testing
