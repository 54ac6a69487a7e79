// Rules of uniqueness against a model of them: with one and several fields, in memory and on disk, by any number of
// threads.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

#include "base/text.h"
#include "client/local/project_in_test.h"

namespace runink::local {
namespace {

struct Row {
  int i;
  std::optional<int> a, b;
  bool good;  // for the rules before
};

struct Outcome {
  std::vector<int> stay;
  std::map<std::string, uint64_t> broken;  // letters by rule
  bool operator==(const Outcome&) const = default;
};
void PrintTo(const Outcome& outcome, std::ostream* out) {
  *out << outcome.stay.size() << " stay";
  for (const auto& [rule, records] : outcome.broken) *out << ", " << rule << " " << records;
}

// A record stays if no value of its was taken by an earlier one that stayed, and no rule before refuses it; a letter names
// all rules that it breaks.
Outcome model(const std::vector<Row>& rows) {
  Outcome out;
  std::set<int> a, b;
  for (const Row& row : rows) {
    const bool same_a = row.a && a.contains(*row.a), same_b = row.b && b.contains(*row.b);
    if (same_a) ++out.broken["a.unique"];
    if (same_b) ++out.broken["b.unique"];
    if (same_a || same_b || !row.good) continue;
    if (row.a) a.insert(*row.a);
    if (row.b) b.insert(*row.b);
    out.stay.push_back(row.i);
  }
  return out;
}

class UniqueTest : public ::testing::Test {
 protected:
  Outcome run(const std::string& fields, uint64_t memory, uint32_t threads) {
    p_.write("contracts/t.contract", "contract T { int32 i [[min(0)]]; " + fields + " }");
    p_.write("features/f.dsl", R"(Feature: F
  Scenario: S
    @source("data/t.ndjson") @contract("contracts/t.contract")
    Given rows arrive
    When records are checked against the contract
     And only field i is kept
    Then valid records are written to "out/o.csv"
)");
    RunOptions options;
    options.feature = "features/f.dsl";
    options.threads = threads;
    options.memory_budget_bytes = memory;
    const auto outcome = run_feature(p_.project(), options);
    EXPECT_TRUE(outcome.ok() && outcome->status.ok()) << (outcome.ok() ? outcome->status : outcome.status()).to_string();
    Outcome out;
    if (!outcome.ok() || outcome->scenarios.empty()) return out;
    const auto& record = outcome->scenarios[0];
    spilled_ = record.spilled_bytes;
    for (const auto& reason : record.reject_reasons) {
      if (reason.rule != "i.min") out.broken[reason.rule] = reason.records;
    }
    const std::string text = p_.read("out/o.csv");
    for (const auto line : split(text, '\n')) {
      if (!line.empty() && line != "i") out.stay.push_back(std::stoi(std::string(line)));
    }
    return out;
  }
  void write(const std::vector<Row>& rows) {
    std::string text;
    const auto value = [](const std::optional<int>& v) { return v ? std::to_string(*v) : std::string("null"); };
    for (const Row& row : rows) {
      text += fmt::format("{{\"i\":{},\"a\":{},\"b\":{}}}\n", row.good ? row.i : -row.i - 1, value(row.a), value(row.b));
    }
    p_.write("data/t.ndjson", text);
  }
  TestProject p_;
  uint64_t spilled_ = 0;
};

constexpr const char* kFields = "int32 a [[unique]]; int32 b [[unique]];";
constexpr const char* kOtherOrder = "int32 b [[unique]]; int32 a [[unique]];";

TEST_F(UniqueTest, WhatARecordRefusedHadIsFree) {
  const std::vector<Row> rows = {{1, 1, 1, true}, {2, 2, 1, true}, {3, 2, 2, true}, {4, {}, 2, true}, {5, 2, 3, true}, {6, {}, 3, true}};
  write(rows);
  const Outcome wanted = model(rows);
  ASSERT_EQ(wanted.stay, (std::vector<int>{1, 3, 6}));
  EXPECT_EQ(run(kFields, 0, 1), wanted);
  EXPECT_EQ(run(kOtherOrder, 0, 1), wanted);
}

TEST_F(UniqueTest, TheSameInMemoryAndOnDisk) {
  std::mt19937 random(7);
  std::vector<Row> rows;
  for (int i = 0; i < 40'000; ++i) {
    const auto value = [&](unsigned most) { return random() % 50 == 0 ? std::optional<int>() : std::optional<int>(random() % most); };
    rows.push_back({i, value(20'000), value(30'000), random() % 20 != 0});
  }
  write(rows);
  const Outcome wanted = model(rows);
  for (const char* fields : {kFields, kOtherOrder}) {
    EXPECT_EQ(run(fields, 256 << 20, 3), wanted) << fields;
    EXPECT_EQ(spilled_, 0u);
  }
  // Letters of records that the check refuses name these rules only where the value is known in memory.
  std::erase_if(rows, [](const Row& row) { return !row.good; });
  write(rows);
  const Outcome of_good = model(rows);
  for (const char* fields : {kFields, kOtherOrder}) {
    EXPECT_EQ(run(fields, 256 << 20, 1), of_good) << fields;
    EXPECT_EQ(run(fields, 1 << 20, 3), of_good) << fields;
    EXPECT_GT(spilled_, 0u);
  }
}

// A chain: each record has a value in common with the one before, so every second one stays.
TEST_F(UniqueTest, ChainsAreFollowedToTheirEnd) {
  std::vector<Row> rows;
  for (int i = 0; i < 40'000; ++i) rows.push_back({i, (i + 1) / 2, i / 2 + 100'000, true});
  write(rows);
  const Outcome wanted = model(rows);
  ASSERT_EQ(wanted.stay.size(), 20'000u);
  EXPECT_EQ(run(kFields, 256 << 20, 3), wanted);
  EXPECT_EQ(run(kFields, 1 << 20, 3), wanted);
  EXPECT_GT(spilled_, 0u);
}

TEST_F(UniqueTest, OneFieldAlone) {
  std::mt19937 random(8);
  std::vector<Row> rows;
  for (int i = 0; i < 40'000; ++i) rows.push_back({i, static_cast<int>(random() % 30'000), {}, true});
  write(rows);
  const Outcome wanted = model(rows);
  EXPECT_EQ(run("int32 a [[unique]];", 256 << 20, 1), wanted);
  EXPECT_EQ(run("int32 a [[unique]];", 1 << 20, 3), wanted);
  EXPECT_GT(spilled_, 0u);
}

}  // namespace
}  // namespace runink::local
