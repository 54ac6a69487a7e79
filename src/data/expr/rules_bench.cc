// How long the rules of a contract take: eight rules over batches of 2,048 rows, in cache and from memory, at every
// vector level of this machine. Prints one JSON line per measurement; times are medians.
//
//   {"bench":"data.check","where":"cache","level":"avx512","vector_bits":512,"ns_per_record":1.7,"ns_per_value":0.21}
//
// The rules: two ranges of int32, two minima of int64, an enum, a length, a pattern of three letters, and required.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "data/columnar/builder.h"
#include "data/expr/rules.h"

namespace runink::expr {
namespace {

using columnar::Column;
using columnar::DataType;
using columnar::TypeId;
using columnar::Value;

constexpr int64_t kRows = 2048;

struct Workload {
  struct Check {
    size_t column;
    RulePtr rule;
  };
  std::vector<Check> checks;
};

const DataType& cabin() {
  static const DataType type = DataType::enumeration({"economy", "business", "first", "N/A"});
  return type;
}

std::vector<Column> make_batch(std::mt19937_64& random) {
  static const char kLetters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  columnar::ColumnBuilder delay(TypeId::kInt32), distance(TypeId::kInt32), id(TypeId::kInt64), seats(TypeId::kInt64),
      cabins(cabin()), carrier(TypeId::kString), origin(TypeId::kString), destination(TypeId::kString);
  for (int64_t i = 0; i < kRows; ++i) {
    delay.append_fixed(static_cast<int32_t>(random() % 2000) - 100);
    distance.append_fixed(static_cast<int32_t>(random() % 3000) + 1);
    id.append_fixed(static_cast<int64_t>(random() >> 2));
    seats.append_fixed(static_cast<int64_t>(random() % 500));
    cabins.append_fixed(static_cast<int32_t>(random() % 4));
    carrier.append_text(random() % 2 != 0 ? "WN" : "United");
    const char code[3] = {kLetters[random() % 26], kLetters[random() % 36], kLetters[random() % 26]};
    origin.append_text({code, 3});
    if (random() % 1000 == 0) {
      destination.append_null();
    } else {
      destination.append_text("SFO");
    }
  }
  std::vector<Column> out;
  for (auto* builder : {&delay, &distance, &id, &seats, &cabins, &carrier, &origin, &destination})
    out.push_back(builder->finish());
  return out;
}

Workload make_rules() {
  Workload w;
  const auto add = [&](size_t column, Result<RulePtr> rule) {
    RUNINK_CHECK(rule.ok());
    w.checks.push_back({column, *rule});
  };
  add(0, rule_range(TypeId::kInt32, Value(int64_t{-1440}), Value(int64_t{4320})));
  add(1, rule_range(TypeId::kInt32, Value(int64_t{1}), Value(int64_t{20000})));
  add(2, rule_range(TypeId::kInt64, Value(int64_t{0}), std::nullopt));
  add(3, rule_range(TypeId::kInt64, Value(int64_t{0}), std::nullopt));
  add(4, rule_enum(cabin()));
  add(5, rule_length(TypeId::kString, 1, 40));
  add(6, rule_pattern(TypeId::kString, "[A-Z0-9]{3}"));
  add(7, rule_not_null());
  return w;
}

double run(const Workload& w, const std::vector<std::vector<Column>>& batches, std::vector<uint8_t>& failed,
           uint64_t* marked) {
  const auto begin = std::chrono::steady_clock::now();
  for (const auto& batch : batches) {
    std::fill(failed.begin(), failed.end(), uint8_t{0});
    for (const auto& check : w.checks) check.rule->check(batch[check.column], failed.data());
    *marked += failed[0];
  }
  const auto end = std::chrono::steady_clock::now();
  return std::chrono::duration<double, std::nano>(end - begin).count() / static_cast<double>(batches.size() * kRows);
}

double median_of(const Workload& w, const std::vector<std::vector<Column>>& batches, int rounds, uint64_t* marked) {
  std::vector<uint8_t> failed(kRows);
  std::vector<double> times;
  for (int r = 0; r < rounds; ++r) times.push_back(run(w, batches, failed, marked));
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

int bench_main() {
  std::mt19937_64 random(42);
  const Workload w = make_rules();
  // In cache: one batch again and again. From memory: far more than the last-level cache is likely to hold.
  std::vector<std::vector<Column>> cached;
  const auto one = make_batch(random);
  for (int i = 0; i < 64; ++i) cached.push_back(one);
  std::vector<std::vector<Column>> memory;
  size_t bytes = 0;
  while (bytes < (size_t{512} << 20)) {
    memory.push_back(make_batch(random));
    for (const auto& column : memory.back()) bytes += column.byte_size();
  }
  uint64_t marked = 0;
  for (const VectorLevel level : {VectorLevel::kBaseline, VectorLevel::kAvx2, VectorLevel::kAvx512}) {
    if (!force_vector_level(level)) continue;
    const auto print = [&](const char* where, double ns) {
      fmt::print(
          "{{\"bench\":\"data.check\",\"where\":\"{}\",\"level\":\"{}\",\"vector_bits\":{},\"rules\":8,\"ns_per_"
          "record\":{:.3f},\"ns_per_value\":{:.4f}}}\n",
          where, vector_level_name(level), vector_level_bits(level), ns, ns / 8);
    };
    print("cache", median_of(w, cached, 201, &marked));
    print("memory", median_of(w, memory, 9, &marked));
    if (std::getenv("RUNINK_BENCH_EACH") != nullptr) {
      for (const auto& check : w.checks) {
        Workload single;
        single.checks.push_back(check);
        fmt::print("  {:<40} {:.3f} ns\n", check.rule->text(), median_of(single, cached, 201, &marked));
      }
    }
  }
  return marked == UINT64_MAX ? 1 : 0;
}

}  // namespace
}  // namespace runink::expr

int main() { return runink::expr::bench_main(); }
