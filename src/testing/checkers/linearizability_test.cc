// The checker on histories made by hand, against a second opinion that tries every order, and on histories of a
// register that is linearizable by construction, as they are and spoilt.
#include "testing/checkers/linearizability.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "testing/checkers/models.h"

namespace runink::testing {
namespace {

using Kind = OperationKind;

Operation make(Kind kind, Time start, Time end, const char* key = "k") {
  Operation o;
  o.kind = kind;
  o.start = start;
  o.end = end;
  o.key = key;
  return o;
}
Operation write(Time start, Time end, const char* value, const char* key = "k") {
  Operation o = make(Kind::kWrite, start, end, key);
  o.argument = value;
  return o;
}
Operation read(Time start, Time end, const char* value, const char* key = "k") {
  Operation o = make(Kind::kRead, start, end, key);
  if (value != nullptr) o.result = value;
  return o;
}
Operation cas(Time start, Time end, const char* from, const char* to, bool took_place) {
  Operation o = make(Kind::kCompareAndSet, start, end);
  if (from != nullptr) o.expected = from;
  o.argument = to;
  o.took_place = took_place;
  return o;
}
Operation remove(Time start, Time end, bool took_place) {
  Operation o = make(Kind::kDelete, start, end);
  o.took_place = took_place;
  return o;
}
Operation with_token(Kind kind, Time start, Time end, uint64_t token, bool took_place = true) {
  Operation o = make(kind, start, end);
  o.token = token;
  o.took_place = took_place;
  return o;
}

TEST(Registers, GoodOnes) {
  EXPECT_TRUE(check_registers({}).good());
  EXPECT_TRUE(check_registers({read(1, 2, nullptr)}).good());
  EXPECT_TRUE(check_registers({write(1, 2, "a"), read(3, 4, "a")}).good());
  // Concurrent: the read may come before or after.
  EXPECT_TRUE(check_registers({write(1, 5, "a"), read(2, 3, "a"), read(4, 6, "a")}).good());
  EXPECT_TRUE(check_registers({write(1, 5, "a"), read(2, 3, nullptr)}).good());
  // Ends and starts at one moment are concurrent.
  EXPECT_TRUE(check_registers({write(1, 5, "a"), read(5, 6, nullptr)}).good());
  // An unknown one that took effect late, and one that never did.
  EXPECT_TRUE(check_registers({write(1, kOpen, "a"), read(2, 3, nullptr), read(9, 10, "a")}).good());
  EXPECT_TRUE(check_registers({write(1, kOpen, "a"), read(2, 3, nullptr), read(9, 10, nullptr)}).good());
  // An unknown one that nobody read explains why a comparison failed.
  EXPECT_TRUE(check_registers({write(1, 2, "a"), write(3, kOpen, "b"), cas(4, 5, "a", "c", false)}).good());
  EXPECT_TRUE(check_registers({cas(1, 2, nullptr, "a", true), cas(3, 4, "a", "b", true), cas(3, 4, "a", "c", false),
                               read(5, 6, "b")})
                  .good());
  EXPECT_TRUE(check_registers({write(1, 2, "a"), remove(3, 4, true), remove(5, 6, false), read(7, 8, nullptr)}).good());
  EXPECT_TRUE(check_registers({write(1, 2, "a"), make(Kind::kDelete, 3, kOpen), read(5, 6, nullptr)}).good());
}

TEST(Registers, BadOnes) {
  const std::vector<std::pair<const char*, History>> bad = {
      {"never written", {read(1, 2, "a")}},
      {"stale", {write(1, 2, "a"), write(3, 4, "b"), read(5, 6, "a")}},
      {"lost", {write(1, 2, "a"), read(3, 4, nullptr)}},
      {"read too early", {read(1, 2, "a"), write(3, 4, "a")}},
      {"new then old", {write(1, 10, "a"), read(2, 3, "a"), read(4, 5, nullptr)}},
      {"an unknown one cannot be taken back",
       {write(1, 2, "x"), write(3, kOpen, "a"), read(4, 5, "a"), read(6, 7, "x")}},
      {"two exchanges of one value", {write(1, 2, "a"), cas(3, 6, "a", "b", true), cas(4, 7, "a", "c", true)}},
      {"failed although equal", {write(1, 2, "a"), cas(3, 4, "a", "b", false)}},
      {"an exchange that did not stay", {write(1, 2, "a"), cas(3, 4, "a", "b", true), read(5, 6, "a")}},
      {"deleted nothing", {write(1, 2, "a"), remove(3, 4, false)}},
      {"deleted twice", {write(1, 2, "a"), remove(3, 4, true), remove(5, 6, true)}},
      {"two readers disagree about the order",
       {write(1, 9, "a"), write(1, 9, "b"), read(2, 3, "a"), read(4, 5, "b"), read(6, 7, "a")}},
  };
  for (const auto& [why, history] : bad) {
    const Verdict verdict = check_registers(history);
    EXPECT_EQ(verdict.outcome, Verdict::Outcome::kBad) << why;
    EXPECT_EQ(verdict.key, "k");
  }
}

TEST(Registers, KeysAreCheckedEachForItselfAndTheBadOneIsNamed) {
  const Verdict verdict = check_registers({write(1, 2, "a", "x"), read(3, 4, "a", "x"), write(1, 2, "a", "y"),
                                           write(3, 4, "b", "y"), read(5, 6, "a", "y")});
  EXPECT_EQ(verdict.key, "y");
  EXPECT_EQ(verdict.explanation,
            "key \"y\" is not linearizable: of 3 operations with a known answer, 2 can be put in order:\n"
            "  client 0 [1, 2] write \"y\" = \"a\"\n"
            "  client 0 [3, 4] write \"y\" = \"b\"\n"
            "then the value is \"b\", and none of these can come next:\n"
            "  client 0 [5, 6] read \"y\" -> \"a\"\n");
}

TEST(Registers, TheLimitIsSaid) {
  History history;
  for (int i = 0; i < 24; ++i) history.push_back(write(1, 100, std::to_string(i).c_str()));
  history.push_back(read(50, 60, "never"));
  EXPECT_EQ(check_registers(history, {1000}).outcome, Verdict::Outcome::kGaveUp);
}

TEST(Locks, GoodOnes) {
  EXPECT_TRUE(check_locks({with_token(Kind::kAcquire, 1, 2, 5), with_token(Kind::kAcquire, 3, 4, 0, false),
                           with_token(Kind::kRelease, 5, 6, 5), with_token(Kind::kAcquire, 7, 8, 6)})
                  .good());
  // A lease that may have ended.
  EXPECT_TRUE(check_locks({with_token(Kind::kAcquire, 1, 2, 5), with_token(Kind::kExpire, 10, kOpen, 5),
                           with_token(Kind::kAcquire, 11, 12, 6)})
                  .good());
  // An acquisition that nobody heard the answer of, and its end.
  EXPECT_TRUE(check_locks({with_token(Kind::kAcquire, 1, kOpen, 0), with_token(Kind::kAcquire, 3, 4, 0, false),
                           with_token(Kind::kExpire, 5, kOpen, 0), with_token(Kind::kAcquire, 7, 8, 6)})
                  .good());
  EXPECT_TRUE(check_locks({with_token(Kind::kUse, 1, 2, 5), with_token(Kind::kUse, 3, 4, 7),
                           with_token(Kind::kUse, 5, 6, 5, false)})
                  .good());
}

TEST(Locks, BadOnes) {
  const std::vector<std::pair<const char*, History>> bad = {
      {"two holders", {with_token(Kind::kAcquire, 1, 2, 5), with_token(Kind::kAcquire, 3, 4, 6)}},
      {"a lease cannot have ended yet",
       {with_token(Kind::kAcquire, 1, 2, 5), with_token(Kind::kExpire, 10, kOpen, 5),
        with_token(Kind::kAcquire, 3, 4, 6)}},
      {"a token again",
       {with_token(Kind::kAcquire, 1, 2, 5), with_token(Kind::kRelease, 3, 4, 5), with_token(Kind::kAcquire, 5, 6, 5)}},
      {"a smaller token",
       {with_token(Kind::kAcquire, 1, 2, 5), with_token(Kind::kRelease, 3, 4, 5), with_token(Kind::kAcquire, 5, 6, 4)}},
      {"refused although free", {with_token(Kind::kAcquire, 1, 2, 0, false)}},
      {"released by somebody else", {with_token(Kind::kAcquire, 1, 2, 5), with_token(Kind::kRelease, 3, 4, 4)}},
      {"an old token was accepted", {with_token(Kind::kUse, 1, 2, 7), with_token(Kind::kUse, 3, 4, 5)}},
      {"a new token was refused", {with_token(Kind::kUse, 1, 2, 5), with_token(Kind::kUse, 3, 4, 7, false)}},
  };
  for (const auto& [why, history] : bad) EXPECT_EQ(check_locks(history).outcome, Verdict::Outcome::kBad) << why;
}

// The second opinion: tries every order, and every subset of the open ones; no cache, no shortcut.
bool any_order(const RegisterModel& model, const History& history, uint32_t placed, RegisterModel::State state) {
  bool all = true;
  Time bound = kOpen;
  for (size_t i = 0; i < history.size(); ++i) {
    if ((placed >> i & 1u) != 0 || history[i].open()) continue;
    all = false;
    bound = std::min(bound, history[i].end);
  }
  if (all) return true;
  for (size_t i = 0; i < history.size(); ++i) {
    if ((placed >> i & 1u) != 0 || history[i].start > bound) continue;
    const auto after = model.step(state, history[i]);
    if (after && any_order(model, history, placed | 1u << i, *after)) return true;
  }
  return false;
}
bool second_opinion(const History& history) {
  std::vector<const Operation*> operations;
  for (const Operation& o : history) operations.push_back(&o);
  return any_order(RegisterModel(operations), history, 0, 0);
}

TEST(Registers, AgreesWithTryingEveryOrder) {
  std::mt19937 random(7);
  const char* const values[] = {nullptr, "a", "b"};
  size_t good = 0, bad = 0;
  for (int round = 0; round < 20000; ++round) {
    History history;
    for (size_t i = 1 + random() % 7; i > 0; --i) {
      const Time start = random() % 12, end = random() % 5 == 0 ? kOpen : start + random() % 6;
      switch (random() % 5) {
        case 0:
        case 1:
          history.push_back(read(start, end, values[random() % 3]));
          break;
        case 2:
          history.push_back(write(start, end, values[1 + random() % 2]));
          break;
        case 3:
          history.push_back(cas(start, end, values[random() % 3], values[1 + random() % 2], random() % 2 == 0));
          break;
        default:
          history.push_back(remove(start, end, random() % 2 == 0));
          break;
      }
    }
    const bool expected = second_opinion(history);
    ++(expected ? good : bad);
    const Verdict verdict = check_registers(history);
    if (verdict.good() != expected) {
      for (const Operation& o : history) ADD_FAILURE() << describe(o);
      FAIL() << "round " << round << ": trying every order says " << (expected ? "good" : "bad") << "\n"
             << verdict.explanation;
    }
  }
  EXPECT_GT(good, 1000u);
  EXPECT_GT(bad, 1000u);
}

// Clients against registers that are linearizable by construction: each operation takes effect at one moment between
// its start and its end; some answers are lost.
History correct_history(uint32_t seed, size_t operations, size_t keys, size_t clients, double lost) {
  std::mt19937 random(seed);
  std::map<std::string, std::string> store;
  struct Client {
    Time free = 0;
  };
  std::vector<Client> all(clients);
  struct Planned {
    Time effect;
    Operation operation;
    bool happens;
  };
  std::vector<Planned> plan;
  uint64_t client_id = clients;
  std::vector<uint64_t> ids(clients);
  for (size_t c = 0; c < clients; ++c) ids[c] = c;
  for (size_t n = 0; n < operations; ++n) {
    const size_t c = n % clients;
    Operation o = make(static_cast<Kind>(random() % 4), all[c].free + 1 + static_cast<Time>(random() % 20), 0);
    o.key = "key " + std::to_string(random() % keys);
    o.client = ids[c];
    const Time effect = o.start + static_cast<Time>(random() % 40);
    o.end = effect + static_cast<Time>(random() % 40);
    if (o.kind == Kind::kWrite || o.kind == Kind::kCompareAndSet) o.argument = "v" + std::to_string(n);
    all[c].free = o.end;
    const bool unknown = static_cast<double>(random() % 10000) < lost * 10000;
    plan.push_back({effect, o, !unknown || random() % 2 == 0});
    if (unknown) {
      plan.back().operation.end = kOpen;
      ids[c] = client_id++;
    }
  }
  std::vector<size_t> order(plan.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return plan[a].effect < plan[b].effect; });
  History history;
  for (size_t i : order) {
    Operation& o = plan[i].operation;
    const auto present = store.find(o.key);
    const std::optional<std::string> value = present == store.end() ? std::nullopt : std::optional(present->second);
    if (o.kind == Kind::kCompareAndSet && random() % 4 != 0) o.expected = value;
    if (plan[i].happens) {
      if (o.kind == Kind::kRead) o.result = value;
      if (o.kind == Kind::kWrite) store[o.key] = *o.argument;
      if (o.kind == Kind::kDelete) o.took_place = store.erase(o.key) > 0;
      if (o.kind == Kind::kCompareAndSet) {
        o.took_place = o.expected == value;
        if (o.took_place) store[o.key] = *o.argument;
      }
    }
    history.push_back(o);
  }
  return history;
}

TEST(Registers, ACorrectStorePassesAndASpoiltHistoryDoesNot) {
  std::mt19937 random(3);
  for (uint32_t seed = 1; seed <= 30; ++seed) {
    History history = correct_history(seed, 600, 3, 6, 0.02);
    const Verdict verdict = check_registers(history);
    ASSERT_TRUE(verdict.good()) << "seed " << seed << "\n" << verdict.explanation;
    // A read that gives what was overwritten long ago, or what somebody will write much later.
    std::vector<size_t> reads;
    for (size_t i = 0; i < history.size(); ++i) {
      if (history[i].kind == Kind::kRead && !history[i].open()) reads.push_back(i);
    }
    Operation& spoilt = history[reads[random() % reads.size()]];
    std::vector<std::string> far;
    for (const Operation& o : history) {
      if (o.kind == Kind::kWrite && !o.open() && o.key == spoilt.key &&
          (o.end + 1000 < spoilt.start || o.start > spoilt.end + 1000))
        far.push_back(*o.argument);
    }
    ASSERT_FALSE(far.empty());
    spoilt.result = far[random() % far.size()];
    const Verdict after = check_registers(history);
    EXPECT_EQ(after.outcome, Verdict::Outcome::kBad) << "seed " << seed << ", " << describe(spoilt);
    EXPECT_EQ(after.key, spoilt.key);
  }
}

TEST(Registers, AHundredThousandOperationsOverAHundredKeys) {
  const Verdict verdict = check_registers(correct_history(99, 100'000, 100, 20, 0.005));
  EXPECT_TRUE(verdict.good()) << verdict.explanation;
}

}  // namespace
}  // namespace runink::testing
