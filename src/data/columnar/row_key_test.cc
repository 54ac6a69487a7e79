#include "data/columnar/row_key.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "data/columnar/builder.h"
#include "data/columnar/kernels.h"
#include "data/columnar/test_data.h"

namespace runink::columnar {
namespace {

int sign(int v) { return (v > 0) - (v < 0); }

TEST(RowKey, orders_every_type_as_rows_compare) {
  const Batch batch = sample_batch(41, 80);
  for (size_t c = 0; c < batch.columns.size(); ++c) {
    for (const bool descending : {false, true}) {
      const Column& column = batch.columns[c];
      const KeyEncoder encoder({{column.type, descending, true}});
      const Column* const columns[] = {&column};
      RowKeys keys;
      encoder.encode(columns, &keys);
      for (int64_t i = 0; i < column.length; ++i) {
        std::string one;
        encoder.append_key(columns, i, one);
        ASSERT_EQ(one, keys[i]) << batch.schema->field(c).name;
        for (int64_t j = 0; j < column.length; ++j) {
          int expected = compare_rows(column, i, column, j);
          if (descending && column.is_valid(i) && column.is_valid(j)) expected = -expected;
          ASSERT_EQ(sign(keys[i].compare(keys[j])), sign(expected))
              << batch.schema->field(c).name << (descending ? " descending " : " ")
              << value_to_json(column.type, value_at(column, i)) << " " << value_to_json(column.type, value_at(column, j));
        }
      }
    }
  }
}

TEST(RowKey, orders_several_columns) {
  const Batch batch = sample_batch(42, 200);
  std::mt19937_64 random(42);
  for (int round = 0; round < 30; ++round) {
    std::vector<KeyPart> parts;
    std::vector<const Column*> columns;
    for (int k = 0; k < 3; ++k) {
      const size_t c = random() % batch.columns.size();
      parts.push_back({batch.columns[c].type, random() % 2 == 0, true});
      columns.push_back(&batch.columns[c]);
    }
    const KeyEncoder encoder(parts);
    RowKeys keys;
    encoder.encode(columns, &keys);
    EXPECT_EQ(keys.fixed_width() != 0, encoder.is_fixed_width());
    for (int pair = 0; pair < 500; ++pair) {
      const auto i = static_cast<int64_t>(random() % 200), j = static_cast<int64_t>(random() % 200);
      int expected = 0;
      for (size_t k = 0; k < 3 && expected == 0; ++k) {
        expected = compare_rows(*columns[k], i, *columns[k], j);
        if (parts[k].descending && columns[k]->is_valid(i) && columns[k]->is_valid(j)) expected = -expected;
      }
      ASSERT_EQ(sign(keys[i].compare(keys[j])), sign(expected));
    }
  }
}

TEST(RowKey, leaves_the_marker_out_where_nothing_is_null) {
  const Column column = make_column(TypeId::kInt32, {3, -1, 2});
  const Column* const columns[] = {&column};
  RowKeys keys;
  KeyEncoder({{TypeId::kInt32, false, false}}).encode(columns, &keys);
  EXPECT_EQ(keys.fixed_width(), 4u);
  EXPECT_LT(keys[1], keys[2]);
  EXPECT_LT(keys[2], keys[0]);
  KeyEncoder({{TypeId::kInt32, false, true}}).encode(columns, &keys);
  EXPECT_EQ(keys.fixed_width(), 5u);
}

TEST(RowKey, text_with_zero_bytes_does_not_run_into_the_next_column) {
  const Column a = make_column(TypeId::kString, {std::string("a\0", 2), "a", ""});
  const Column b = make_column(TypeId::kString, {"b", std::string("\0b", 2), std::string("a\0b", 3)});
  const Column* const columns[] = {&a, &b};
  RowKeys keys;
  KeyEncoder({{TypeId::kString}, {TypeId::kString}}).encode(columns, &keys);
  EXPECT_EQ(std::set<std::string_view>({keys[0], keys[1], keys[2]}).size(), 3u);
}

TEST(HashRows, agrees_with_equality) {
  const Batch batch = sample_batch(43, 150);
  for (size_t c = 0; c < batch.columns.size(); ++c) {
    const Column& column = batch.columns[c];
    const Column* const columns[] = {&column};
    std::vector<uint64_t> hashes(150);
    hash_rows(columns, 150, hashes.data());
    for (int64_t i = 0; i < 150; ++i) {
      for (int64_t j = 0; j < 150; ++j) {
        // A collision of 64-bit hashes among these few values would be a fault of the mixing.
        ASSERT_EQ(hashes[static_cast<size_t>(i)] == hashes[static_cast<size_t>(j)], equal_rows(column, i, column, j))
            << batch.schema->field(c).name << " " << value_to_json(column.type, value_at(column, i)) << " "
            << value_to_json(column.type, value_at(column, j));
      }
    }
  }
}

TEST(HashRows, takes_the_order_of_columns_into_account) {
  const Column a = make_column(TypeId::kInt64, {1, 2}), b = make_column(TypeId::kInt64, {2, 1});
  const Column* const columns[] = {&a, &b};
  uint64_t hashes[2];
  hash_rows(columns, 2, hashes);
  EXPECT_NE(hashes[0], hashes[1]);
}

TEST(HashRows, gives_integers_of_any_width_the_same_hash) {
  const Column narrow = make_column(TypeId::kInt8, {-3, 7}), wide = make_column(TypeId::kInt64, {-3, 7});
  uint64_t a[2], b[2];
  const Column *first[] = {&narrow}, *second[] = {&wide};
  hash_rows(first, 2, a);
  hash_rows(second, 2, b);
  EXPECT_EQ(a[0], b[0]);
  EXPECT_EQ(a[1], b[1]);
}

TEST(HashRows, spreads_consecutive_integers) {
  ColumnBuilder builder(TypeId::kInt64);
  for (int i = 0; i < 100000; ++i) builder.append(i);
  const Column column = builder.finish();
  const Column* const columns[] = {&column};
  std::vector<uint64_t> hashes(100000);
  hash_rows(columns, 100000, hashes.data());
  // Both the low and the high bits are used for buckets.
  std::vector<int> low(256), high(256);
  for (uint64_t h : hashes) ++low[h & 255], ++high[h >> 56];
  for (int i = 0; i < 256; ++i) {
    EXPECT_NEAR(low[static_cast<size_t>(i)], 390, 120);
    EXPECT_NEAR(high[static_cast<size_t>(i)], 390, 120);
  }
}

}  // namespace
}  // namespace runink::columnar
