// Accumulators: results do not depend on how rows are cut into batches, spread over partial states, or spilled.
#include "data/expr/aggregate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "data/columnar/builder.h"
#include "data/columnar/kernels.h"
#include "data/expr/part_masks.h"
#include "data/expr/test_records.h"

namespace runink::expr {
namespace {

using columnar::Batch;
using columnar::Column;
using columnar::ColumnBuilder;
using columnar::DataType;
using columnar::TypeId;
using columnar::Value;

const columnar::SchemaPtr& schema() {
  static const auto s =
      std::make_shared<const columnar::Schema>(std::vector<columnar::Field>{{"key", TypeId::kInt32, false},
                                                                            {"i", TypeId::kInt32},
                                                                            {"l", TypeId::kInt64},
                                                                            {"u", TypeId::kUInt64},
                                                                            {"d", DataType::decimal(38, 2)},
                                                                            {"x", TypeId::kFloat64},
                                                                            {"f", TypeId::kFloat32},
                                                                            {"b", TypeId::kBool},
                                                                            {"s", TypeId::kString},
                                                                            {"t", TypeId::kTimestamp},
                                                                            {"p", TypeId::kDuration},
                                                                            {"g", TypeId::kUuid}});
  return s;
}

constexpr uint32_t kGroups = 7;

Batch random_batch(int64_t rows, uint64_t seed) {
  std::mt19937_64 random(seed);
  columnar::BatchBuilder out(schema());
  for (int64_t r = 0; r < rows; ++r) {
    out.column(0).append_fixed(static_cast<int32_t>(random() % kGroups));
    const auto null = [&](size_t c) {
      if (random() % 8 != 0) return false;
      out.column(c).append_null();
      return true;
    };
    if (!null(1)) out.column(1).append_fixed(static_cast<int32_t>(random() % 2000) - 1000);
    if (!null(2)) out.column(2).append_fixed(static_cast<int64_t>(random() % 4000000000000ULL) - 2000000000000LL);
    if (!null(3)) out.column(3).append_fixed(static_cast<uint64_t>(random() % 1000));
    if (!null(4))
      out.column(4).append_decimal((static_cast<columnar::int128>(random()) << 50) -
                                   (static_cast<columnar::int128>(random()) << 50));
    if (!null(5))
      out.column(5).append_fixed(
          std::ldexp(static_cast<double>(static_cast<int64_t>(random())), static_cast<int>(random() % 60) - 80));
    if (!null(6)) out.column(6).append_fixed(static_cast<float>(random() % 1000) / 7);
    if (!null(7)) out.column(7).append_fixed(static_cast<uint8_t>(random() % 2));
    if (!null(8)) out.column(8).append_text(std::string(random() % 12, static_cast<char>('a' + random() % 3)));
    if (!null(9)) out.column(9).append_fixed(static_cast<int64_t>(random() % 1000000000));
    if (!null(10)) out.column(10).append_fixed(static_cast<int64_t>(random() % 1000000));
    if (!null(11)) out.column(11).append_fixed(static_cast<columnar::int128>(random() % 5));
  }
  return out.finish();
}

AggregateExpr compile(const std::string& text, const std::vector<GroupKey>& keys = {}) {
  Diagnostics diagnostics;
  const auto source = source_of(text);
  const ExprPtr tree = parse(source, {0, text.size()}, diagnostics);
  AggregateExpr out;
  if (tree) out = check_aggregate(tree, source, Scope(schema()), keys, diagnostics);
  EXPECT_TRUE(out.valid()) << diagnostics.render();
  return out;
}

const std::vector<std::string>& every_aggregate() {
  static const std::vector<std::string> list = {"count()",
                                                "count(i)",
                                                "count_if(b)",
                                                "sum(i)",
                                                "sum(l)",
                                                "sum(u)",
                                                "sum(d)",
                                                "sum(x)",
                                                "sum(f)",
                                                "sum(p)",
                                                "avg(i)",
                                                "avg(l)",
                                                "avg(d)",
                                                "avg(x)",
                                                "avg(b)",
                                                "avg(p)",
                                                "min(i)",
                                                "max(i)",
                                                "min(x)",
                                                "max(f)",
                                                "min(s)",
                                                "max(s)",
                                                "min(t)",
                                                "max(d)",
                                                "min(g)",
                                                "max(b)",
                                                "stddev(i)",
                                                "variance(l)",
                                                "stddev(x)",
                                                "stddev(b)",
                                                "stddev(d)",
                                                "quantile(i, 0.9)",
                                                "median(x)",
                                                "quantile(d, 0.25)",
                                                "distinct_count(i)",
                                                "distinct_count(s)",
                                                "distinct_count(x)",
                                                "distinct_count(g)",
                                                "distinct_count(b)",
                                                "first(i)",
                                                "last(i)",
                                                "first(s)",
                                                "last(s)",
                                                "first(g)",
                                                "list(i)",
                                                "list(s)",
                                                "list(g)",
                                                "sum(i + 1)",
                                                "avg(if(b, i, null))"};
  return list;
}

struct Rows {
  Column argument;
  bool has_argument = false;
  std::vector<uint32_t> group;
};

Rows evaluate(const AggregateSpec& spec, const Batch& batch) {
  Rows rows;
  for (int64_t i = 0; i < batch.rows; ++i)
    rows.group.push_back(static_cast<uint32_t>(batch.columns[0].data<int32_t>()[i]));
  if (spec.argument.valid()) {
    std::vector<RowError> errors;
    Evaluator evaluator(spec.argument);
    rows.argument = *evaluator.evaluate(batch, test_context(), errors);
    rows.has_argument = true;
    EXPECT_TRUE(errors.empty());
  }
  return rows;
}

void feed(Accumulator& to, const AggregateSpec& spec, const Batch& batch, int64_t first, int64_t count) {
  const Batch part = columnar::slice(batch, first, count);
  const Rows rows = evaluate(spec, part);
  to.update(rows.group.data(), count, rows.has_argument ? &rows.argument : nullptr);
}

std::vector<std::string> results(Accumulator& a) {
  std::vector<std::string> out;
  const auto column = a.finish(0, kGroups);
  EXPECT_TRUE(column.ok()) << column.status().to_string();
  if (!column.ok()) return out;
  for (int64_t g = 0; g < kGroups; ++g) out.push_back(show(*column, g));
  return out;
}

// Sums of floats in another shape may differ in the last digits.
void expect_near(const std::vector<std::string>& a, const std::vector<std::string>& b, const std::string& what,
                 bool exact) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    if (exact || a[i] == b[i]) {
      EXPECT_EQ(a[i], b[i]) << what;
      continue;
    }
    const double x = std::stod(a[i]), y = std::stod(b[i]);
    EXPECT_LE(std::fabs(x - y), 1e-12 * std::max(std::fabs(x), std::fabs(y))) << what << " " << a[i] << " " << b[i];
  }
}

TEST(Aggregate, BatchesPartsAndSpillsAgree) {
  constexpr int64_t kRows = 3000;
  const Batch batch = random_batch(kRows, 11);
  for (const auto& text : every_aggregate()) {
    const AggregateExpr expr = compile(text);
    ASSERT_EQ(expr.aggregates.size(), 1u) << text;
    const AggregateSpec& spec = expr.aggregates[0];
    auto whole = make_accumulator(spec);
    whole->resize(kGroups);
    feed(*whole, spec, batch, 0, kRows);
    const auto wanted = results(*whole);

    // In batches of odd sizes: the very same.
    auto batches = make_accumulator(spec);
    batches->resize(kGroups);
    for (int64_t at = 0, size = 1; at < kRows; at += size, size = (size * 7 + 3) % 211 + 1)
      feed(*batches, spec, batch, at, std::min(size, kRows - at));
    EXPECT_EQ(results(*batches), wanted) << text;

    // Parts merged in order, under other group numbers.
    const bool rounded = spec.result_type.id() == TypeId::kFloat64 && spec.order_sensitive;
    auto merged = make_accumulator(spec);
    merged->resize(kGroups);
    uint32_t group_of[kGroups];
    for (uint32_t g = 0; g < kGroups; ++g) group_of[g] = g;
    for (int64_t at = 0; at < kRows; at += 1000) {
      auto part = make_accumulator(spec);
      part->resize(kGroups);
      feed(*part, spec, batch, at, 1000);
      merged->merge(*part, group_of);
    }
    expect_near(results(*merged), wanted, text + " merged", !rounded);

    // Written to bytes and read back, as a spill does.
    auto restored = make_accumulator(spec);
    restored->resize(kGroups);
    for (int64_t at = 0; at < kRows; at += 1000) {
      auto part = make_accumulator(spec);
      part->resize(kGroups);
      feed(*part, spec, batch, at, 1000);
      for (uint32_t g = 0; g < kGroups; ++g) {
        std::string bytes;
        part->write(g, bytes);
        bytes += "tail";
        std::string_view in = bytes;
        ASSERT_TRUE(restored->read(g, in).ok()) << text;
        EXPECT_EQ(in, "tail") << text;
      }
    }
    expect_near(results(*restored), wanted, text + " spilled", !rounded);

    // Order does not matter where it says so.
    if (!spec.order_sensitive) {
      std::vector<int32_t> reversed;
      for (int32_t i = kRows - 1; i >= 0; --i) reversed.push_back(i);
      const Batch backwards = columnar::gather(batch, reversed);
      auto other = make_accumulator(spec);
      other->resize(kGroups);
      feed(*other, spec, backwards, 0, kRows);
      EXPECT_EQ(results(*other), wanted) << text << " backwards";
    }
    EXPECT_GT(whole->memory_bytes(), 0u);
    whole->clear();
    EXPECT_EQ(whole->groups(), 0u);
  }
}

TEST(Aggregate, TornBytesAreRefused) {
  const Batch batch = random_batch(50, 3);
  for (const auto& text : every_aggregate()) {
    const AggregateExpr expr = compile(text);
    auto a = make_accumulator(expr.aggregates[0]);
    a->resize(kGroups);
    feed(*a, expr.aggregates[0], batch, 0, 50);
    std::string bytes;
    a->write(0, bytes);
    for (size_t cut = 0; cut < bytes.size(); ++cut) {
      auto b = make_accumulator(expr.aggregates[0]);
      b->resize(1);
      std::string_view in = std::string_view(bytes).substr(0, cut);
      EXPECT_FALSE(b->read(0, in).ok()) << text << " cut at " << cut;
    }
  }
}

TEST(Aggregate, SkippedRowsDoNotCount) {
  const Batch batch = random_batch(500, 5);
  for (const auto& text : every_aggregate()) {
    const AggregateSpec spec = compile(text).aggregates[0];
    std::vector<uint8_t> skip(500), keep(500);
    for (size_t i = 0; i < 500; ++i) {
      skip[i] = i % 3 == 0;
      keep[i] = skip[i] ^ 1;
    }
    const Rows rows = evaluate(spec, batch);
    auto a = make_accumulator(spec), b = make_accumulator(spec);
    a->resize(kGroups);
    b->resize(kGroups);
    a->update(rows.group.data(), 500, rows.has_argument ? &rows.argument : nullptr, skip.data());
    const Batch kept = columnar::filter(batch, keep.data());
    feed(*b, spec, kept, 0, kept.rows);
    EXPECT_EQ(results(*a), results(*b)) << text;
  }
}

TEST(Aggregate, OneGroupAtOnceIsTheSame) {
  const Batch batch = random_batch(700, 9);
  for (const auto& text : every_aggregate()) {
    const AggregateSpec spec = compile(text).aggregates[0];
    const Rows rows = evaluate(spec, batch);
    const std::vector<uint32_t> zeros(700, 0);
    auto a = make_accumulator(spec), b = make_accumulator(spec);
    a->resize(1);
    b->resize(1);
    a->update(zeros.data(), 700, rows.has_argument ? &rows.argument : nullptr);
    b->update_one(0, 700, rows.has_argument ? &rows.argument : nullptr);
    EXPECT_EQ(show(*a->finish(0, 1), 0), show(*b->finish(0, 1), 0)) << text;
  }
}

TEST(Aggregate, SumsOfFloatsLoseNothing) {
  const AggregateSpec spec = compile("sum(x)").aggregates[0];
  auto a = make_accumulator(spec);
  a->resize(1);
  std::vector<Value> values = {Value(1.0)};
  for (int i = 0; i < 1000; ++i) values.push_back(Value(1e-16));
  const Column column = columnar::make_column(TypeId::kFloat64, values);
  a->update_one(0, column.length, &column);
  EXPECT_EQ(a->finish(0, 1)->data<double>()[0], 1.0 + 1e-13);
}

TEST(Aggregate, IntegerSumsAreExactAndOverflowIsAnError) {
  const AggregateSpec spec = compile("sum(l)").aggregates[0];
  auto a = make_accumulator(spec);
  a->resize(1);
  const Column top =
      columnar::make_column(TypeId::kInt64, {Value(INT64_MAX), Value(INT64_MAX), Value(int64_t{-INT64_MAX})});
  a->update_one(0, 3, &top);
  EXPECT_EQ(a->finish(0, 1)->data<int64_t>()[0], INT64_MAX) << "what cancels out is no overflow";
  a->update_one(0, 3, &top);
  // Of that group alone.
  a->resize(3);
  a->update_one(2, 1, &top);
  const auto result = a->finish(0, 3);
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result->is_null(0));
  EXPECT_TRUE(result->is_null(1)) << "of no values";
  EXPECT_EQ(result->data<int64_t>()[2], INT64_MAX);
  ASSERT_EQ(a->errors().size(), 1u);
  EXPECT_EQ(a->errors()[0].row, 0);
  EXPECT_EQ(a->errors()[0].message, "sum(l): the sum is outside int64; sum(cast(x as decimal(38,0))) has more room");
  EXPECT_TRUE(a->finish(1, 2).ok());
  EXPECT_TRUE(a->errors().empty()) << "what the finish before found is forgotten";
}

// Of the values: what the aggregate gives, or "! " and the error; merged from two halves it must be the same.
std::string of_doubles(const std::string& aggregate, const std::vector<double>& values) {
  const AggregateSpec spec = compile(aggregate).aggregates[0];
  std::string out;
  for (const size_t cut : {values.size(), values.size() / 2}) {
    auto a = make_accumulator(spec);
    a->resize(1);
    for (const auto& [from, to] : {std::pair(size_t{0}, cut), std::pair(cut, values.size())}) {
      std::vector<Value> part(values.begin() + static_cast<std::ptrdiff_t>(from),
                              values.begin() + static_cast<std::ptrdiff_t>(to));
      const Column column = columnar::make_column(TypeId::kFloat64, part);
      auto half = make_accumulator(spec);
      half->resize(1);
      half->update_one(0, column.length, &column);
      const uint32_t zero = 0;
      a->merge(*half, &zero);
    }
    const auto result = a->finish(0, 1);
    const std::string shown = a->errors().empty() ? show(*result, 0) : "! " + a->errors()[0].message;
    if (cut == values.size()) {
      out = shown;
    } else {
      EXPECT_EQ(out, shown) << aggregate;
    }
  }
  return out;
}

TEST(Aggregate, FloatsBeyondFloat64AreAnError) {
  const double huge = 1.7e308;
  EXPECT_EQ(of_doubles("sum(x)", {huge, huge}), "! sum(x): the sum is outside float64");
  EXPECT_EQ(of_doubles("sum(x)", {-huge, -huge, 1}), "! sum(x): the sum is outside float64");
  EXPECT_EQ(of_doubles("sum(x)", {huge, huge, -huge}), "1.7e+308") << "what cancels out is no overflow";
  EXPECT_EQ(of_doubles("sum(x)", {huge, huge, -huge, -huge, 1.5, 1}), "2.5");
  EXPECT_EQ(of_doubles("avg(x)", {huge, huge}), "1.7e+308");
  EXPECT_EQ(of_doubles("avg(x)", {huge, 1e308, -huge, 0}), "2.5e+307");
  const std::string squares = ": the squares of what values differ by are outside float64";
  EXPECT_EQ(of_doubles("variance(x)", {huge, -huge}), "! variance(x)" + squares);
  EXPECT_EQ(of_doubles("variance(x)", {1e308, 1e307, 2, 3}), "! variance(x)" + squares);
  EXPECT_EQ(of_doubles("stddev(x)", {1e308, 1e307}), "! stddev(x)" + squares);
  EXPECT_EQ(of_doubles("variance(x)", {1e150, 1e150}), "0.0");
  EXPECT_EQ(of_doubles("median(x)", {-huge, huge}), "0.0");
  EXPECT_EQ(of_doubles("quantile(x, 0.25)", {-1e308, 1.5e308}), "-3.75e+307");
  // Values that are infinite themselves (Arrow can hold them) overflow nothing.
  EXPECT_EQ(of_doubles("sum(x)", {HUGE_VAL, 1}), show(columnar::make_column(TypeId::kFloat64, {Value(HUGE_VAL)}), 0));
  EXPECT_EQ(of_doubles("avg(x)", {HUGE_VAL, 1, 2}),
            show(columnar::make_column(TypeId::kFloat64, {Value(HUGE_VAL)}), 0));
  const std::string nan = show(columnar::make_column(TypeId::kFloat64, {Value(std::nan(""))}), 0);
  EXPECT_EQ(of_doubles("sum(x)", {HUGE_VAL, -HUGE_VAL}), nan);
  EXPECT_EQ(of_doubles("variance(x)", {HUGE_VAL, 1, 2}), nan);
}

TEST(Aggregate, DecimalSumsAreExactBeyond128Bits) {
  const AggregateSpec spec = compile("sum(d)").aggregates[0];
  auto a = make_accumulator(spec);
  a->resize(1);
  columnar::int128 top = 1;
  for (int i = 0; i < 38; ++i) top *= 10;
  top -= 1;
  const Column up = columnar::make_column(DataType::decimal(38, 2), std::vector<Value>(10, Value(top)));
  const Column down = columnar::make_column(DataType::decimal(38, 2), std::vector<Value>(9, Value(-top)));
  a->update_one(0, up.length, &up);
  ASSERT_TRUE(a->finish(0, 1).ok());
  ASSERT_EQ(a->errors().size(), 1u);
  EXPECT_EQ(a->errors()[0].message, "sum(d): the sum is outside decimal(38,2)");
  a->update_one(0, down.length, &down);
  EXPECT_EQ(a->finish(0, 1)->data<columnar::int128>()[0], top);
  EXPECT_TRUE(a->errors().empty());
}

TEST(Aggregate, VarianceOfLargeCloseNumbersIsExact) {
  const AggregateSpec spec = compile("variance(i)").aggregates[0];
  auto a = make_accumulator(spec);
  a->resize(1);
  std::vector<Value> values;
  for (int i = 0; i < 1000; ++i) values.push_back(Value(int64_t{2147483600} + i % 2));
  const Column column = columnar::make_column(TypeId::kInt32, values);
  a->update_one(0, column.length, &column);
  EXPECT_DOUBLE_EQ(a->finish(0, 1)->data<double>()[0], 250.0 / 999.0);
}

TEST(Aggregate, DistinctTreatsZerosAndNaNsAsKeysDo) {
  const AggregateSpec spec = compile("distinct_count(x)").aggregates[0];
  auto a = make_accumulator(spec);
  a->resize(1);
  const Column column = columnar::make_column(
      TypeId::kFloat64, {Value(0.0), Value(-0.0), Value(std::nan("1")), Value(std::nan("2")), Value(1.0)});
  a->update_one(0, column.length, &column);
  EXPECT_EQ(a->finish(0, 1)->data<int64_t>()[0], 3);
}

TEST(Aggregate, ExpressionsOverAggregatesAndKeys) {
  const AggregateExpr expr = compile("key * 10 + sum(i) - sum(i) / count()", {{"key", TypeId::kInt32, false}});
  ASSERT_EQ(expr.aggregates.size(), 2u) << "the same sum is kept once";
  EXPECT_EQ(expr.aggregates[0].text, "sum(i)");
  EXPECT_EQ(expr.aggregates[1].text, "count()");
  EXPECT_EQ(expr.result.columns(), (std::vector<int>{0, 1, 2}));
  EXPECT_EQ(expr.result.type(), DataType(TypeId::kFloat64));
}

TEST(Aggregate, TaintFollowsTheArguments) {
  const std::vector<int> pii = {8};  // s
  EXPECT_EQ(taint(compile("max(s)"), pii), (std::vector<int>{8}));
  EXPECT_EQ(taint(compile("max(mask(s, \"last1\"))"), pii), std::vector<int>());
  EXPECT_EQ(taint(compile("mask(max(s))"), pii), std::vector<int>());
  EXPECT_EQ(taint(compile("mask(max(s), \"first9\")"), pii), std::vector<int>())
      << "the greatest value is one of the field";
  EXPECT_EQ(taint(compile("mask(max(s + repeat(\"x\", 200)), \"first9\")"), pii), (std::vector<int>{8}));
  EXPECT_EQ(taint(compile("max(mask(s + repeat(\"x\", 200), \"first9\"))"), pii), (std::vector<int>{8}));
  EXPECT_EQ(taint(compile("mask(max(s) + repeat(\"x\", 200), \"first9\")"), pii), (std::vector<int>{8}));
  EXPECT_EQ(part_masks(compile("mask(max(s), \"first9\")"), 0).fields, (std::vector<int>{8}));
  EXPECT_EQ(part_masks(compile("max(mask(s, \"first9\"))"), 0).fields, (std::vector<int>{8}));
  EXPECT_EQ(part_masks(compile("mask(max(s) + \"x\", \"first9\")"), 0).computed, (std::vector<int>{8}));
  EXPECT_EQ(taint(compile("sum(i)"), pii), std::vector<int>());
  EXPECT_EQ(taint(compile("count_if(s == \"x\")"), pii), (std::vector<int>{8}));
  EXPECT_EQ(taint(compile("s + \"x\"", {{"s", TypeId::kString, true}}), pii, {{8}}), (std::vector<int>{8}));
}

}  // namespace
}  // namespace runink::expr
