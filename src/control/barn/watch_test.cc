#include "control/barn/watch.h"

#include <random>

#include "control/barn/harness_test.h"

namespace runink::barn {
namespace {

using test::Harness;

struct Watched : Harness {
  HubOptions options;
  std::unique_ptr<WatchHub> hub;
  explicit Watched(HubOptions o = {}) : options(o) { hub = std::make_unique<WatchHub>(machine.get(), options); }

  Answer tell(Body body) {
    const Answer answer = run(std::move(body));
    hub->publish(last);
    return answer;
  }
  void set(std::string_view key, std::string_view value) { tell(Put{key, value, {}, false, false, false}); }
  WatchId watch(KeyRange range, Index from = 0) {
    WatchRequest request;
    request.range = std::move(range);
    request.from = from;
    auto id = hub->watch(request, 0);
    EXPECT_TRUE(id.ok()) << id.status().to_string();
    return id.ok() ? *id : 0;
  }
  // "3:a=1,-b 4:c=2 |4"
  std::string fetch(WatchId id, size_t max_bytes = 1 << 20) {
    auto answer = hub->poll(id, max_bytes);
    if (!answer.ok()) return answer.status().kind();
    std::string out;
    for (const auto& change : answer->changes) {
      out += std::to_string(change.index) + ":";
      for (const WatchEvent& event : change.events) {
        EXPECT_EQ(event.item.modify_index, change.index);
        if (&event != &change.events.front()) out += ",";
        out += event.kind == EventKind::kPut ? event.item.key + "=" + event.item.value : "-" + event.item.key;
      }
      out += " ";
    }
    return out + "|" + std::to_string(answer->through) + (answer->more ? "+" : "");
  }
};

TEST(Watch, TellsOfKeysPrefixesAndRanges) {
  Watched w;
  const WatchId key = w.watch(single_key("a")), prefix = w.watch(prefix_range("p/")), range = w.watch({"b", "q"}),
                all = w.watch(whole_range());
  w.set("a", "1");
  w.set("p/x", "2");
  w.set("c", "3");
  w.set("z", "4");
  w.tell(Delete{"a", false});
  EXPECT_EQ(w.hub->take_ready(), (std::vector<WatchId>{key, all, prefix, range}));
  EXPECT_EQ(w.fetch(key), "1:a=1 5:-a |5");
  EXPECT_EQ(w.fetch(prefix), "2:p/x=2 |5");
  EXPECT_EQ(w.fetch(range), "2:p/x=2 3:c=3 |5");
  EXPECT_EQ(w.fetch(all), "1:a=1 2:p/x=2 3:c=3 4:z=4 5:-a |5");
  EXPECT_TRUE(w.hub->take_ready().empty());
  EXPECT_EQ(w.fetch(all), "|5");
}

TEST(Watch, AllEventsOfAnIndexComeTogether) {
  Watched w;
  const WatchId id = w.watch(whole_range());
  Txn txn;
  for (const char* key : {"a", "b", "c"}) txn.then_ops.push_back(Put{key, "1", {}, false, false, false});
  w.tell(txn);
  w.set("d", "2");
  EXPECT_EQ(w.fetch(id, 1), "1:a=1,b=1,c=1 |1+");  // larger than asked for, and whole
  EXPECT_EQ(w.hub->take_ready(), std::vector<WatchId>{id});
  EXPECT_EQ(w.fetch(id, 1), "2:d=2 |2");
}

TEST(Watch, FiltersByKindAndLeavesValuesOut) {
  Watched w;
  WatchRequest request;
  request.puts = false;
  const WatchId deletes = *w.hub->watch(request, 0);
  request.puts = true;
  request.deletes = false;
  request.values = false;
  const WatchId puts = *w.hub->watch(request, 0);
  w.set("a", "1");
  EXPECT_EQ(w.hub->take_ready(), std::vector<WatchId>{puts});
  w.tell(Delete{"a", false});
  EXPECT_EQ(w.fetch(deletes), "2:-a |2");
  EXPECT_EQ(w.fetch(puts), "1:a= |2");
}

TEST(Watch, ResumesFromAnIndexAlsoInANewHub) {
  Watched w;
  for (int i = 1; i <= 6; ++i) w.set("k", std::to_string(i));
  const WatchId id = w.watch(single_key("k"), 4);
  EXPECT_EQ(w.hub->take_ready(), std::vector<WatchId>{id});
  EXPECT_EQ(w.fetch(id), "4:k=4 5:k=5 6:k=6 |6");
  w.reopen();
  w.hub = std::make_unique<WatchHub>(w.machine.get(), w.options);
  const WatchId again = w.watch(single_key("k"), 6);
  w.set("k", "7");
  EXPECT_EQ(w.fetch(again), "6:k=6 7:k=7 |7");
  EXPECT_EQ(w.fetch(w.watch(single_key("k"), 8)), "|7");  // exactly what comes next
}

TEST(Watch, TheCompactedPastIsRefusedWithTheOldest) {
  Watched w;
  for (int i = 1; i <= 6; ++i) w.set("k", std::to_string(i));
  const WatchId behind = w.watch(single_key("k"), 2);
  w.tell(Compact{4});
  WatchRequest request;
  request.from = 4;
  const Status status = w.hub->watch(request, 0).status();
  EXPECT_EQ(status.kind(), "barn.watch.compacted");
  EXPECT_EQ(status.code(), Code::kOutOfRange);
  EXPECT_NE(status.message().find("oldest that can be asked for is 5"), std::string::npos);
  EXPECT_EQ(w.hub->oldest(), 5u);
  EXPECT_EQ(w.fetch(w.watch(whole_range(), 5)), "5:k=5 6:k=6 |7");
  EXPECT_EQ(w.fetch(behind), "barn.watch.compacted");  // it slept too long
  EXPECT_EQ(w.fetch(behind), "barn.watch.unknown");
}

TEST(Watch, WhoHasEverythingIsNotHurtByCompaction) {
  Watched w;
  w.set("other", "1");
  const WatchId id = w.watch(single_key("k"));
  for (int i = 0; i < 5; ++i) w.set("other", "x");
  w.tell(Compact{6});
  EXPECT_EQ(w.fetch(id), "|7");
  w.set("k", "1");
  EXPECT_EQ(w.fetch(id), "8:k=1 |8");
}

TEST(Watch, ALostFutureIsRefused) {
  Watched w;
  for (int i = 1; i <= 3; ++i) w.set("k", "v");
  WatchRequest request;
  request.from = 5;
  EXPECT_EQ(w.hub->watch(request, 0).status().kind(), "barn.watch.lost_future");
  // Known to be committed, though not applied here yet: it waits.
  const WatchId id = *w.hub->watch(request, 4);
  EXPECT_EQ(w.fetch(id), "|4");
  w.set("k", "4");
  EXPECT_TRUE(w.hub->take_ready().empty());
  w.set("k", "5");
  EXPECT_EQ(w.fetch(id), "5:k=5 |5");
  request.from = UINT64_MAX;
  EXPECT_EQ(w.hub->watch(request, 10).status().kind(), "barn.watch.lost_future");
  request.from = 2;
  request.incarnation = 2;
  EXPECT_EQ(w.hub->watch(request, 10).status().kind(), "barn.watch.lost_future");
}

TEST(Watch, BookmarksMoveWithoutEvents) {
  Watched w;
  const WatchId id = w.watch(single_key("k"));
  EXPECT_EQ(*w.hub->bookmark(id), Index{0});
  for (int i = 0; i < 4; ++i) w.set("other", "x");
  EXPECT_EQ(*w.hub->bookmark(id), Index{4});
  w.set("k", "1");
  EXPECT_EQ(*w.hub->bookmark(id), std::nullopt);
  EXPECT_EQ(w.fetch(id), "5:k=1 |5");
  EXPECT_EQ(*w.hub->bookmark(id), Index{5});
}

TEST(Watch, CancelledOnesAreGoneAndThereAreOnlySoMany) {
  Watched w({.watches_max = 3});
  const WatchId a = w.watch(single_key("k")), b = w.watch(prefix_range("k")), c = w.watch({"j", "kz"});
  EXPECT_EQ(w.hub->watch({}, 0).status().code(), Code::kResourceExhausted);
  w.set("k", "1");
  w.hub->cancel(b);
  w.hub->cancel(b);
  EXPECT_EQ(w.hub->take_ready(), (std::vector<WatchId>{a, c}));
  w.hub->cancel(a);
  w.hub->cancel(c);
  EXPECT_EQ(w.hub->watches(), 0u);
  w.set("k", "2");
  EXPECT_TRUE(w.hub->take_ready().empty());
  EXPECT_EQ(w.hub->ring_bytes(), 0u);
  WatchRequest bad;
  bad.range = {"b", "a"};
  EXPECT_EQ(w.hub->watch(bad, 0).status().code(), Code::kInvalidArgument);
}

TEST(Watch, ASleeperCostsTheHubNothingAndMissesNothing) {
  Watched w({.ring_bytes = 2000});
  const WatchId sleeper = w.watch(prefix_range("k"));
  const std::string value(100, 'v');
  size_t most = 0;
  for (int i = 1; i <= 500; ++i) {
    w.set("k" + std::to_string(i), value);
    most = std::max(most, w.hub->ring_bytes());
  }
  EXPECT_LE(most, 2000u);
  EXPECT_EQ(w.hub->take_ready(), std::vector<WatchId>{sleeper});
  Index expected = 1;
  int polls = 0;
  for (bool more = true; more; ++polls) {
    auto answer = w.hub->poll(sleeper, 4000);
    ASSERT_TRUE(answer.ok());
    size_t bytes = 0;
    for (const auto& change : answer->changes) {
      ASSERT_EQ(change.index, expected++);
      ASSERT_EQ(change.events.size(), 1u);
      bytes += change.events[0].item.key.size() + change.events[0].item.value.size();
    }
    EXPECT_LE(bytes, 4000u);
    more = answer->more;
  }
  EXPECT_EQ(expected, 501u);
  EXPECT_GT(polls, 10);
  EXPECT_GE(w.hub->table_reads(), 400u);
}

TEST(Watch, ALookThroughTheTableIsCutIntoPieces) {
  Watched w({.ring_bytes = 1, .scan_bytes = 1000});
  const WatchId id = w.watch(prefix_range("k"));
  w.set("k", "1");
  for (int i = 0; i < 200; ++i) w.set("other", std::string(100, 'x'));
  w.set("k", "2");
  w.set("other", "x");
  std::string seen;
  int polls = 0;
  for (bool more = true; more; ++polls) {
    const auto answer = *w.hub->poll(id);
    for (const auto& change : answer.changes) seen += std::to_string(change.index) + " ";
    more = answer.more;
  }
  EXPECT_EQ(seen, "1 202 ");
  EXPECT_GT(polls, 20);
}

TEST(Watch, GoesOnAfterASnapshotTookThePlaceOfTheState) {
  Watched w;
  const WatchId id = w.watch(whole_range()), late = w.watch(single_key("x"));
  w.set("k", "1");
  EXPECT_EQ(w.fetch(id), "1:k=1 |1");
  // Applied without the hub hearing of it, as when another state is put in place of this one.
  w.put("k", "2");
  w.put("x", "3");
  w.hub->restart();
  EXPECT_EQ(w.fetch(id), "2:k=2 3:x=3 |3");
  EXPECT_EQ(w.fetch(late), "3:x=3 |3");
  w.set("k", "4");
  EXPECT_EQ(w.fetch(id), "4:k=4 |4");
}

// ---- random watchers, awake and asleep, against what really happened

struct Reference {
  struct Change {
    Index index;
    std::vector<WatchEvent> events;
  };
  std::vector<Change> changes;
};

struct Watcher {
  WatchId id = 0;
  WatchRequest request;
  double sleepiness = 0;
  Index next = 0;  // the first index that it has not been told of
  bool announced = false;
};

// What this watcher must be told of indexes first … last.
std::vector<Reference::Change> expected(const Reference& reference, const WatchRequest& request, Index first,
                                        Index last) {
  std::vector<Reference::Change> out;
  for (const auto& change : reference.changes) {
    if (change.index < first || change.index > last) continue;
    Reference::Change kept{change.index, {}};
    for (WatchEvent event : change.events) {
      if (!(event.kind == EventKind::kPut ? request.puts : request.deletes) || !request.range.contains(event.item.key))
        continue;
      if (!request.values) event.item.value.clear();
      kept.events.push_back(std::move(event));
    }
    if (!kept.events.empty()) out.push_back(std::move(kept));
  }
  return out;
}

void run_random(uint64_t seed) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto pick = [&](uint64_t n) { return random() % n; };
  Watched w({.ring_bytes = 500 + pick(3000), .scan_bytes = 500 + pick(5000)});
  Reference reference;
  std::vector<Watcher> watchers;
  const auto key = [&] { return std::string(1, static_cast<char>('a' + pick(4))) + std::to_string(pick(6)); };
  uint64_t delivered = 0, compacted = 0, resumed = 0;
  for (int step = 0; step < 1500; ++step) {
    // Something happens: up to three entries in one call.
    std::vector<raft::Entry> entries;
    std::vector<std::string> texts;
    texts.reserve(64);
    const auto text = [&](std::string s) -> std::string_view { return texts.emplace_back(std::move(s)); };
    for (uint64_t n = 1 + pick(3); n > 0; --n) {
      Command command{static_cast<int64_t>(step), {}, {}};
      const Index index = w.next() + entries.size();
      switch (pick(10)) {
        case 0:
          command.body = Delete{text(key()), false};
          break;
        case 1: {
          Txn txn;
          std::set<std::string> keys;
          for (uint64_t ops = pick(6); ops > 0; --ops) keys.insert(key());
          for (const std::string& k : keys) {
            if (pick(3) == 0) {
              txn.then_ops.push_back(Delete{text(k), false});
            } else {
              txn.then_ops.push_back(Put{text(k), text("t" + std::to_string(index)), {}, false, false, false});
            }
          }
          command.body = txn;
          break;
        }
        case 2: {
          const std::string from = key();
          command.body = DeleteRange{text(from), text(from + "5"), 0};
          break;
        }
        case 3:
          command.body = pick(4) == 0 ? Body(Compact{index > 60 ? index - 1 - pick(60) : 0}) : Body(SessionRegister{});
          break;
        default:
          command.body = Put{text(key()), text(std::string(pick(60), 'v')), {}, false, false, false};
      }
      entries.push_back(test::entry_of(index, command));
    }
    Result<Applied> applied = w.apply(entries);
    ASSERT_TRUE(applied.ok()) << applied.status().to_string();
    for (const auto& record : applied->events->records) {
      Reference::Change change{record.index, {}};
      ASSERT_TRUE(
          for_each_event(applied->events->record(record), [&](const Event& e) {
            KeyValue item{
                std::string(e.key), std::string(e.value), e.create_index, record.index, e.version, e.lease, e.chunk};
            change.events.push_back({e.kind, std::move(item)});
          }).ok());
      reference.changes.push_back(std::move(change));
    }
    w.hub->publish(*applied);
    ASSERT_LE(w.hub->ring_bytes(), w.options.ring_bytes + applied->events->bytes.size());

    // Somebody comes, from now or from some index.
    if (watchers.size() < 12 && pick(10) == 0) {
      Watcher watcher;
      switch (pick(4)) {
        case 0:
          watcher.request.range = single_key(key());
          break;
        case 1:
          watcher.request.range = prefix_range(std::string(1, static_cast<char>('a' + pick(4))));
          break;
        case 2:
          watcher.request.range = {"a3", "c2"};
          break;
        default:
          break;
      }
      watcher.request.puts = pick(5) != 0;
      watcher.request.deletes = pick(5) != 0;
      watcher.request.values = pick(2) == 0;
      watcher.request.from = pick(2) == 0 ? 0 : w.machine->compacted() + 1 + pick(w.next() - w.machine->compacted());
      watcher.sleepiness = pick(3) == 0 ? 0.98 : static_cast<double>(pick(10)) / 10;
      watcher.next = watcher.request.from == 0 ? w.next() : watcher.request.from;
      auto id = w.hub->watch(watcher.request, w.next() - 1);
      ASSERT_TRUE(id.ok()) << id.status().to_string();
      watcher.id = *id;
      watchers.push_back(watcher);
    }

    const std::vector<WatchId> ready = w.hub->take_ready();
    for (Watcher& watcher : watchers) {
      watcher.announced |= std::find(ready.begin(), ready.end(), watcher.id) != ready.end();
      if (static_cast<double>(pick(1000)) < watcher.sleepiness * 1000) continue;
      auto answer = w.hub->poll(watcher.id, pick(2) == 0 ? 1 + pick(500) : 1 << 20);
      if (!answer.ok()) {
        ASSERT_EQ(answer.status().kind(), "barn.watch.compacted");
        ASSERT_LE(watcher.next, w.machine->compacted());
        ++compacted;
        // It comes back from where it can, as a client would after reading the keys.
        watcher.next = watcher.request.from = w.hub->oldest();
        watcher.id = *w.hub->watch(watcher.request, 0);
        watcher.announced = true;  // from the next round's list on
        continue;
      }
      ASSERT_GE(answer->through + 1, watcher.next);
      const auto want = expected(reference, watcher.request, watcher.next, answer->through);
      ASSERT_EQ(answer->changes.size(), want.size());
      for (size_t i = 0; i < want.size(); ++i) {
        ASSERT_EQ(answer->changes[i].index, want[i].index);
        ASSERT_EQ(answer->changes[i].events, want[i].events);
        delivered += want[i].events.size();
      }
      // Who is not announced has nothing to fetch.
      if (!watcher.announced) {
        ASSERT_TRUE(answer->changes.empty()) << watcher.id;
      }
      watcher.announced = answer->more;
      if (!answer->more) {
        ASSERT_GE(answer->through, w.machine->position().index);
      }
      watcher.next = answer->through + 1;
      if (pick(30) == 0) {  // loses its connection, and resumes from its bookmark
        w.hub->cancel(watcher.id);
        watcher.request.from = watcher.next;
        auto again = w.hub->watch(watcher.request, w.next() - 1);
        if (!again.ok()) {
          ASSERT_EQ(again.status().kind(), "barn.watch.compacted");
          watcher.next = watcher.request.from = w.hub->oldest();
          again = w.hub->watch(watcher.request, w.next() - 1);
        }
        watcher.id = *again;
        watcher.announced = true;
        ++resumed;
      }
    }
  }
  EXPECT_GT(delivered, 1000u);
  EXPECT_GT(compacted, 0u);
  EXPECT_GT(resumed, 20u);
}

TEST(Watch, RandomWatchersGetExactlyWhatHappened) {
  for (uint64_t seed = 1; seed <= 8; ++seed) run_random(seed);
}

// Who has not been told that there is something has nothing to fetch.
TEST(Watch, ReadinessIsNeverForgotten) {
  std::mt19937_64 random(11);
  Watched w({.ring_bytes = 300});
  std::vector<WatchId> ids;
  for (char c = 'a'; c < 'e'; ++c) ids.push_back(w.watch(prefix_range(std::string(1, c))));
  std::map<WatchId, int> waiting;
  for (int i = 0; i < 2000; ++i) {
    const char c = static_cast<char>('a' + random() % 4);
    w.set(std::string(1, c), "v");
    ++waiting[ids[static_cast<size_t>(c - 'a')]];
    if (random() % 3 != 0) continue;
    for (const WatchId id : w.hub->take_ready()) {
      const auto answer = *w.hub->poll(id, 200);
      waiting[id] -= static_cast<int>(answer.changes.size());
    }
  }
  for (std::vector<WatchId> ready = w.hub->take_ready(); !ready.empty(); ready = w.hub->take_ready()) {
    for (const WatchId id : ready) waiting[id] -= static_cast<int>(w.hub->poll(id, 200)->changes.size());
  }
  for (const auto& [id, left] : waiting) EXPECT_EQ(left, 0) << id;
}

}  // namespace
}  // namespace runink::barn
