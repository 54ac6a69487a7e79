// Rows that operators hold, against what the standard library says.
#include "data/engine/held_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <unordered_map>

#include "data/columnar/builder.h"
#include "data/engine/key_table.h"
#include "data/engine/partitions.h"
#include "platform/os/temp.h"

namespace runink::engine {
namespace {

using columnar::TypeId;
using columnar::Value;

struct Row {
  std::optional<int64_t> key;
  std::string text;
  int64_t number;
};

SchemaPtr schema() {
  static const SchemaPtr s = std::make_shared<columnar::Schema>(std::vector<columnar::Field>{
      {"key", TypeId::kInt64, true, "", ""}, {"text", TypeId::kString, false, "", ""}, {"number", TypeId::kInt64, false, "", ""}});
  return s;
}

std::vector<Row> random_rows(size_t count, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<Row> rows;
  for (size_t i = 0; i < count; ++i) {
    Row row;
    if (random() % 10 != 0) row.key = static_cast<int64_t>(random() % 50) - 25;
    row.text.assign(random() % 40, static_cast<char>('a' + random() % 3));
    row.number = static_cast<int64_t>(i);
    rows.push_back(std::move(row));
  }
  return rows;
}

Batch batch_of(const std::vector<Row>& rows, size_t first, size_t count) {
  columnar::BatchBuilder builder(schema());
  for (size_t i = first; i < first + count; ++i) {
    builder.append_row({rows[i].key ? Value(*rows[i].key) : Value(), Value(rows[i].text), Value(rows[i].number)});
  }
  return builder.finish();
}

std::vector<int64_t> numbers(const BatchList::Next& next) {
  std::vector<int64_t> out;
  for (;;) {
    auto batch = next();
    EXPECT_TRUE(batch.ok()) << batch.status().to_string();
    if (!batch.ok() || !batch->has_value()) return out;
    for (int64_t r = 0; r < (*batch)->rows; ++r) out.push_back((*batch)->columns[2].data<int64_t>()[r]);
  }
}

class Sorting : public testing::TestWithParam<uint64_t> {};

TEST_P(Sorting, IsStableAndPutsNullsLastWhateverTheMemory) {
  auto folder = os::TempFolder::create("");
  ASSERT_TRUE(folder.ok());
  const auto rows = random_rows(20'000, 7);
  for (bool descending : {false, true}) {
    for (std::optional<uint64_t> keep : {std::optional<uint64_t>(), std::optional<uint64_t>(37), std::optional<uint64_t>(0)}) {
      ExternalSorter sorter(folder->path(), schema(), {{0, descending}, {1, false}}, GetParam(), keep);
      std::mt19937_64 random(3);
      for (size_t at = 0; at < rows.size();) {
        const size_t count = std::min<size_t>(1 + random() % 700, rows.size() - at);
        ASSERT_TRUE(sorter.add(batch_of(rows, at, count)).ok());
        at += count;
      }
      std::vector<const Row*> expected;
      for (const auto& r : rows) expected.push_back(&r);
      std::stable_sort(expected.begin(), expected.end(), [&](const Row* a, const Row* b) {
        if (a->key.has_value() != b->key.has_value()) return a->key.has_value();
        if (a->key && *a->key != *b->key) return descending ? *a->key > *b->key : *a->key < *b->key;
        return a->text < b->text;
      });
      if (keep) expected.resize(*keep);
      auto next = sorter.finish();
      ASSERT_TRUE(next.ok()) << next.status().to_string();
      const auto got = numbers(*next);
      ASSERT_EQ(got.size(), expected.size());
      for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], expected[i]->number) << "place " << i;
      if (GetParam() < (1 << 20) && !keep) EXPECT_GT(sorter.spilled_bytes(), 0u);
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Memory, Sorting, testing::Values(256 << 10, 1 << 20, 1 << 30));

TEST(RowQueue, KeepsOrderInMemoryAndOnDisk) {
  auto folder = os::TempFolder::create("");
  ASSERT_TRUE(folder.ok());
  const auto rows = random_rows(5'000, 11);
  for (uint64_t memory : {uint64_t{1}, uint64_t{200} << 10, uint64_t{1} << 30}) {
    RowQueue queue(folder->path(), schema(), memory);
    for (size_t at = 0; at < rows.size(); at += 500) ASSERT_TRUE(queue.add(batch_of(rows, at, 500)).ok());
    ASSERT_TRUE(queue.finish().ok());
    EXPECT_EQ(queue.spilled_bytes() > 0, memory < (1u << 30));
    const auto got = numbers(queue.read());
    ASSERT_EQ(got.size(), rows.size());
    for (size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i], static_cast<int64_t>(i));
  }
}

TEST(Partitions, EveryRowIsInThePartitionOfItsHash) {
  auto folder = os::TempFolder::create("");
  ASSERT_TRUE(folder.ok());
  const auto rows = random_rows(3'000, 5);
  Partitions partitions(folder->path(), schema(), 1, 64 << 10);
  std::mt19937_64 random(9);
  std::vector<uint64_t> hashes(rows.size());
  for (auto& h : hashes) h = random();
  for (size_t at = 0; at < rows.size(); at += 250) ASSERT_TRUE(partitions.add(batch_of(rows, at, 250), hashes.data() + at).ok());
  ASSERT_TRUE(partitions.finish().ok());
  size_t seen = 0;
  for (size_t p = 0; p < kPartitions; ++p) {
    if (partitions.empty(p)) continue;
    int64_t last = -1;
    for (int64_t n : numbers(partitions.read(p))) {
      EXPECT_EQ(partition_of(hashes[static_cast<size_t>(n)], 1), p);
      EXPECT_GT(n, last) << "order within a partition";
      last = n;
      ++seen;
    }
  }
  EXPECT_EQ(seen, rows.size());
}

TEST(KeyTable, AgreesWithAnUnorderedMapAlsoWhenHashesCollide) {
  for (uint64_t mask : {UINT64_MAX, uint64_t{0xFF00000000000003}, uint64_t{0}}) {
    KeyTable table;
    std::unordered_map<std::string, uint32_t> expected;
    std::mt19937_64 random(1);
    const size_t count = mask == 0 ? 300 : 20'000;
    for (size_t i = 0; i < count; ++i) {
      const std::string key(random() % 12, static_cast<char>('a' + random() % 26));
      const uint64_t hash = std::hash<std::string>()(key) & mask;
      EXPECT_EQ(table.find(hash, key) != KeyTable::kAbsent, expected.contains(key));
      bool inserted = false;
      const uint32_t number = table.insert(hash, key, &inserted);
      const auto [it, fresh] = expected.emplace(key, static_cast<uint32_t>(expected.size()));
      ASSERT_EQ(inserted, fresh);
      ASSERT_EQ(number, it->second);
      ASSERT_EQ(table.key(number), key);
    }
    EXPECT_EQ(table.size(), expected.size());
  }
}

}  // namespace
}  // namespace runink::engine
