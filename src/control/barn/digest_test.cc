#include "control/barn/digest.h"

#include "control/barn/harness_test.h"
#include "control/barn/scrub.h"

namespace runink::barn {
namespace {

using test::contents;
using test::Harness;

TEST(DigestTrail, KeepsTheNewestMultiples) {
  DigestTrail trail(10, 3);
  for (Index i = 1; i <= 57; ++i) trail.applied(i, {i, 0});
  EXPECT_EQ(trail.newest(10), (std::vector<DigestPoint>{{30, {30, 0}}, {40, {40, 0}}, {50, {50, 0}}}));
  EXPECT_EQ(trail.newest(1), (std::vector<DigestPoint>{{50, {50, 0}}}));
  EXPECT_EQ(trail.at(40), (Digest{40, 0}));
  EXPECT_FALSE(trail.at(41));
  EXPECT_FALSE(trail.at(20));
  trail.clear();
  EXPECT_TRUE(trail.newest(10).empty());
}

TEST(DigestTrail, FindsTheFirstIndexThatDiffers) {
  DigestTrail a(10, 5), b(10, 5);
  for (Index i = 1; i <= 50; ++i) a.applied(i, {i, 0});
  for (Index i = 1; i <= 80; ++i) b.applied(i, {i, i >= 35 ? 1u : 0u});
  EXPECT_EQ(a.difference(b.newest(100)), Index{40});  // what both still have: 40 and 50
  EXPECT_EQ(b.difference(a.newest(100)), Index{40});
  EXPECT_EQ(a.difference(b.newest(2)), std::nullopt);
  EXPECT_EQ(a.difference(a.newest(100)), std::nullopt);
}

TEST(DigestTrail, ReplicasThatDivergedDifferFromThereOn) {
  Harness a({.digest_every = 4}), b({.digest_every = 4});
  for (Index i = 1; i <= 30; ++i) {
    const std::string value = std::to_string(i);
    Put put{"k", value, {}, false, false, false};
    ASSERT_TRUE(a.apply({test::entry_of(i, {1, {}, put})}).ok());
    if (i == 14) put.value = "other";
    ASSERT_TRUE(b.apply({test::entry_of(i, {1, {}, put})}).ok());
  }
  EXPECT_EQ(a.machine->trail().difference(b.machine->trail().newest(100)), Index{16});
  EXPECT_EQ(to_string(Digest{0x1234, 0xabcd}), "0000000000001234000000000000abcd");
}

// ---- scrub

void fill(Harness& h) {
  for (int i = 0; i < 200; ++i) h.put("k" + std::to_string(i), std::string(static_cast<size_t>(i % 50), 'v'));
  h.run(LeaseGrant{10'000'000});
  h.run(SessionRegister{});
}

ScrubResult finish(Scrub& scrub, uint64_t slice) {
  int steps = 0;
  while (true) {
    const Result<bool> done = scrub.step(slice);
    EXPECT_TRUE(done.ok());
    if (!done.ok() || *done || ++steps > 100'000) return scrub.result();
  }
}

TEST(Scrub, BeginsAtItsMarkAndIsTheSameOnAllReplicas) {
  constexpr MachineOptions kOptions{.scrub_range_bytes = 2000};
  Harness a(kOptions), b(kOptions);
  EXPECT_EQ(a.machine->scrub(), nullptr);
  fill(a);
  // The other replica gets the mark in the middle of a larger piece.
  fill(b);
  const raft::Entry before = test::entry_of(a.next(), {5, {}, Delete{"k3", false}});
  const Index at = a.next() + 1;
  const raft::Entry marker = test::entry_of(at, {5, {}, ScrubMark{77}});
  const raft::Entry behind = test::entry_of(at + 1, {5, {}, Delete{"k1", false}});
  ASSERT_TRUE(a.apply({before}).ok());
  ASSERT_TRUE(a.apply({marker}).ok());
  ASSERT_TRUE(b.apply({before, marker, behind}).ok());
  const size_t at_mark = contents(a.store).size();
  ASSERT_NE(a.machine->scrub(), nullptr);
  EXPECT_EQ(a.machine->scrub()->position().index, at);
  const ScrubResult one = finish(*a.machine->scrub(), 100);
  ASSERT_TRUE(a.apply({behind}).ok());
  b.put("k2", "changes while it is scrubbed");
  const ScrubResult two = finish(*b.machine->scrub(), UINT64_MAX);
  EXPECT_EQ(one.id, 77u);
  EXPECT_EQ(one.position, two.position);
  EXPECT_GT(one.ranges.size(), 5u);
  EXPECT_EQ(one.ranges, two.ranges);
  EXPECT_EQ(one.total, two.total);
  EXPECT_EQ(first_difference(one, two), std::nullopt);
  uint64_t records = 0;
  for (const ScrubRange& range : one.ranges) records += range.records;
  EXPECT_EQ(records, at_mark);
}

TEST(Scrub, FindsOneFlippedBitAnywhere) {
  constexpr MachineOptions kOptions{.scrub_range_bytes = 1000};
  Harness h(kOptions);
  fill(h);
  h.run(ScrubMark{1});
  const ScrubResult good = finish(*h.machine->scrub(), 4096);
  const auto all = contents(h.store);
  for (size_t i = 0; i < all.size(); i += 7) {
    const auto& [key, value] = all[i];
    if (value.empty()) continue;
    const auto copy = h.store.copy();
    ASSERT_TRUE(copy->damage(key, value.size() / 2, 1));
    Scrub scrub(1, h.machine->position(), copy->view(), 1000);
    const ScrubResult bad = finish(scrub, 4096);
    EXPECT_NE(bad.total, good.total) << key;
    const auto range = first_difference(good, bad);
    ASSERT_TRUE(range);
    EXPECT_LE(key, good.ranges[*range].last_key);
    if (*range == 0) continue;
    EXPECT_GT(key, good.ranges[*range - 1].last_key);
  }
}

TEST(Scrub, FindsMissingAndAdditionalRecords) {
  Harness h;
  fill(h);
  Scrub whole(1, h.machine->position(), h.store.view(), 1000);
  const ScrubResult good = finish(whole, 4096);
  const auto copy = h.store.copy();
  WriteBatch batch;
  batch.remove("kk199");
  ASSERT_TRUE(copy->apply(batch).ok());
  Scrub missing(1, h.machine->position(), copy->view(), 1000);
  EXPECT_TRUE(first_difference(good, finish(missing, 4096)));
  batch.clear();
  std::string value;
  ASSERT_TRUE(*h.store.get("kk199", &value));
  batch.put("kk199", value);
  batch.put("zzz", "");
  ASSERT_TRUE(copy->apply(batch).ok());
  batch.remove("zzz");
  ASSERT_TRUE(copy->apply(batch).ok());
  Scrub same(1, h.machine->position(), copy->view(), 1000);
  EXPECT_FALSE(first_difference(good, finish(same, 4096)));
  batch.clear();
  batch.put("zzz", "");
  ASSERT_TRUE(copy->apply(batch).ok());
  Scrub additional(1, h.machine->position(), copy->view(), 1000);
  EXPECT_TRUE(first_difference(good, finish(additional, 4096)));
}

TEST(Scrub, FindsAValueUnderAnotherKey) {
  Harness h;
  fill(h);
  const auto copy = h.store.copy();
  std::string value;
  ASSERT_TRUE(*copy->get("kk150", &value));
  WriteBatch batch;
  batch.remove("kk150");
  batch.put("kk15/", value);  // stands at the same place in the order
  ASSERT_TRUE(copy->apply(batch).ok());
  Scrub good(1, h.machine->position(), h.store.view()), bad(1, h.machine->position(), copy->view());
  EXPECT_TRUE(first_difference(finish(good, 4096), finish(bad, 4096)));
}

TEST(Scrub, AnEmptyStoreHasNoRanges) {
  MemoryStore store;
  Scrub scrub(1, {}, store.view());
  EXPECT_TRUE(*scrub.step(1));
  EXPECT_TRUE(scrub.result().ranges.empty());
}

}  // namespace
}  // namespace runink::barn
