#include "data/columnar/kernels.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "data/columnar/builder.h"
#include "data/columnar/test_data.h"
#include "data/columnar/value.h"

namespace runink::columnar {
namespace {

// The same choice made value by value.
Batch chosen(const Batch& batch, const std::vector<int32_t>& rows) {
  BatchBuilder builder(batch.schema);
  for (int32_t row : rows) {
    for (size_t c = 0; c < batch.columns.size(); ++c) {
      builder.column(c).append_value(row < 0 ? Value() : value_at(batch.columns[c], row));
    }
  }
  return builder.finish();
}

RowOriginPtr chunk_origin(const std::string& text, const std::vector<std::string>& records) {
  auto chunk = std::make_shared<InputChunk>();
  auto bytes = std::make_shared<std::string>(text + std::string(64, '\0'));
  chunk->source = 3;
  chunk->position = 1000;
  chunk->first_line = 11;
  chunk->bytes = std::string_view(*bytes).substr(0, text.size());
  chunk->owner = bytes;
  auto origin = std::make_shared<RowOrigin>();
  origin->chunk = chunk;
  uint32_t line = 0;
  for (const auto& record : records) {
    origin->offset.push_back(static_cast<uint32_t>(text.find(record)));
    origin->length.push_back(static_cast<uint32_t>(record.size()));
    origin->line.push_back(line++);
    origin->verbatim.push_back(static_cast<uint8_t>(line % 2));
  }
  return origin;
}

TEST(Gather, agrees_with_choosing_value_by_value) {
  std::mt19937_64 random(5);
  const Batch batch = sample_batch(5, 200);
  for (int round = 0; round < 20; ++round) {
    std::vector<int32_t> rows(random() % 300);
    for (auto& row : rows) row = static_cast<int32_t>(random() % 200);
    EXPECT_EQ(difference(gather(batch, rows), chosen(batch, rows)), "");
  }
}

TEST(Gather, of_a_contiguous_run_is_a_slice) {
  const Batch batch = sample_batch(6, 100);
  for (int first : {0, 1, 7, 8, 13, 99}) {
    for (int count : {1, 5, 8, 60}) {
      if (first + count > 100) continue;
      std::vector<int32_t> rows;
      for (int i = 0; i < count; ++i) rows.push_back(first + i);
      EXPECT_EQ(difference(slice(batch, first, count), chosen(batch, rows)), "") << first << " " << count;
      EXPECT_EQ(difference(gather(batch, rows), chosen(batch, rows)), "");
    }
  }
  EXPECT_EQ(slice(batch, 50, 0).rows, 0);
}

TEST(Gather, or_null_gives_null_for_minus_one) {
  const Batch batch = sample_batch(7, 40);
  const std::vector<int32_t> rows = {3, -1, 3, 39, -1, 0};
  const Batch expected = chosen(batch, rows);
  for (size_t c = 0; c < batch.columns.size(); ++c) {
    const Column out = gather_or_null(batch.columns[c], rows);
    for (int64_t i = 0; i < out.length; ++i) {
      EXPECT_EQ(compare_rows(out, i, expected.columns[c], i), 0) << batch.schema->field(c).name << " " << i;
    }
  }
  const Column empty = make_column(TypeId::kString, {});
  EXPECT_EQ(gather_or_null(empty, std::vector<int32_t>{-1, -1}).null_count(), 2);
  // Every row is long: the text of nulls must not be copied from one of them.
  const Column longs = make_column(TypeId::kString, {std::string(1000, 'x'), std::string(1001, 'y')});
  const Column out = gather_or_null(longs, std::vector<int32_t>{-1, 1, -1});
  EXPECT_EQ(out.null_count(), 2);
  EXPECT_EQ(out.values->size(), 1001u);
}

TEST(Gather, fits_counts_text_and_elements) {
  const Column text = make_column(TypeId::kString, {"12345", "", "1"});
  const std::vector<int32_t> rows = {0, 1, 0, 2, -1, 0};
  EXPECT_EQ(gather_fits({&text, 1}, rows, 11), 5u);
  EXPECT_EQ(gather_fits({&text, 1}, rows, 100), 6u);
  EXPECT_EQ(gather_fits({&text, 1}, rows, 1), 1u);  // always at least one
  const Column list = make_column(DataType::list(TypeId::kString), {Value(std::vector<Value>{"1234", "5678"})});
  EXPECT_EQ(gather_fits({&list, 1}, std::vector<int32_t>{0, 0, 0}, 25), 2u);
}

TEST(Gather, takes_the_origin_along) {
  const std::string text = "first\nsecond\nthird\n";
  Batch batch = make_batch({{"n", TypeId::kInt32}}, {{1}, {2}, {3}});
  batch.origin = chunk_origin(text, {"first", "second", "third"});
  const Batch out = gather(batch, std::vector<int32_t>{2, 0});
  EXPECT_EQ(out.origin->bytes(0), "third");
  EXPECT_EQ(out.origin->position(0), 1013u);
  EXPECT_EQ(out.origin->line_number(0), 13u);
  EXPECT_EQ(out.origin->verbatim, (std::vector<uint8_t>{1, 1}));
  const Batch kept = materialise_origin(out);
  EXPECT_EQ(kept.origin->chunk, nullptr);
  const Batch again = gather(kept, std::vector<int32_t>{1, 1, 0});
  EXPECT_EQ(again.origin->bytes(0), "first");
  EXPECT_EQ(again.origin->bytes(1), "first");
  EXPECT_EQ(again.origin->bytes(2), "third");
  EXPECT_EQ(again.origin->line_number(2), 13u);
  EXPECT_EQ(again.origin->source(0), 3u);
}

TEST(Masks, agree_with_one_by_one) {
  std::mt19937_64 random(9);
  for (int64_t length : {0, 1, 7, 8, 9, 63, 64, 65, 1000}) {
    for (int density : {0, 1, 5, 10}) {
      std::vector<uint8_t> mask(static_cast<size_t>(length));
      for (auto& m : mask) m = static_cast<int>(random() % 10) < density ? static_cast<uint8_t>(random() % 255 + 1) : 0;
      std::vector<int32_t> expected;
      for (int64_t i = 0; i < length; ++i) {
        if (mask[static_cast<size_t>(i)] != 0) expected.push_back(static_cast<int32_t>(i));
      }
      EXPECT_EQ(rows_of_mask(mask.data(), length), expected);
      EXPECT_EQ(count_mask(mask.data(), length), static_cast<int64_t>(expected.size()));
      std::vector<uint8_t> bits(bitmap_bytes(length) + 1, 0xAA), bytes(mask.size());
      bytes_to_bits(mask.data(), length, bits.data());
      EXPECT_EQ(count_bits(bits.data(), length), static_cast<int64_t>(expected.size()));
      bits_to_bytes(bits.data(), length, bytes.data());
      for (size_t i = 0; i < mask.size(); ++i) ASSERT_EQ(bytes[i], mask[i] != 0) << i;
      if (length % 8 != 0) {
        EXPECT_EQ(bits[static_cast<size_t>(length / 8)] >> (length % 8), 0);
      }
    }
  }
}

TEST(Filter, shares_the_batch_when_all_rows_stay) {
  const Batch batch = sample_batch(11, 30);
  std::vector<uint8_t> all(30, 1);
  EXPECT_EQ(filter(batch, all.data()).columns[4].values, batch.columns[4].values);
  all[7] = 0;
  EXPECT_EQ(filter(batch, all.data()).rows, 29);
  std::fill(all.begin(), all.end(), 0);
  EXPECT_EQ(filter(batch, all.data()).rows, 0);
}

TEST(Validity, and_or_not) {
  const Column a = make_column(TypeId::kInt8, {1, Value(), 1, Value(), 1});
  const Column b = make_column(TypeId::kInt8, {1, 1, Value(), Value(), 1});
  const auto bits = [](const BufferPtr& buffer) {
    std::string out;
    for (int64_t i = 0; i < 5; ++i) out += !buffer || get_bit(buffer->data(), i) ? '1' : '0';
    return out;
  };
  EXPECT_EQ(bits(and_validity(a.validity, b.validity, 5)), "10001");
  EXPECT_EQ(bits(or_validity(a.validity, b.validity, 5)), "11101");
  EXPECT_EQ(and_validity(nullptr, b.validity, 5), b.validity);
  EXPECT_EQ(and_validity(nullptr, nullptr, 5), nullptr);
  EXPECT_EQ(or_validity(a.validity, nullptr, 5), nullptr);
  EXPECT_EQ(bits(not_bitmap(a.validity, 5)), "01010");
  EXPECT_EQ(not_bitmap(a.validity, 5)->data()[0] >> 5, 0);
  EXPECT_EQ(bits(not_bitmap(nullptr, 5)), "00000");
  const uint8_t bytes[] = {1, 0, 1, 1, 1};
  EXPECT_EQ(bits(validity_from_bytes(bytes, 5)), "10111");
  const uint8_t ones[] = {1, 1};
  EXPECT_EQ(validity_from_bytes(ones, 2), nullptr);
}

TEST(Concat, puts_rows_one_after_the_other) {
  const Batch a = sample_batch(21, 13), b = sample_batch(22, 16), c = sample_batch(23, 21, 0), d = sample_batch(24, 0);
  const Batch parts[] = {a, b, d, c};
  const auto whole = concat(std::span<const Batch>(parts));
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(whole->rows, 50);
  EXPECT_EQ(difference(slice(*whole, 0, 13), a), "");
  EXPECT_EQ(difference(slice(*whole, 13, 16), b), "");
  EXPECT_EQ(difference(slice(*whole, 29, 21), c), "");
}

TEST(Concat, joins_origins) {
  Batch a = make_batch({{"n", TypeId::kInt32}}, {{1}, {2}});
  Batch b = make_batch({{"n", TypeId::kInt32}}, {{3}});
  a.origin = chunk_origin("x\nyy\n", {"x", "yy"});
  b.origin = chunk_origin("zzz\n", {"zzz"});
  const Batch apart[] = {a, b};
  const auto kept = concat(std::span<const Batch>(apart));
  ASSERT_TRUE(kept.ok());
  EXPECT_EQ(kept->origin->chunk, nullptr);
  EXPECT_EQ(kept->origin->bytes(1), "yy");
  EXPECT_EQ(kept->origin->bytes(2), "zzz");
  EXPECT_EQ(kept->origin->line_number(1), 12u);
  EXPECT_EQ(kept->origin->verbatim, (std::vector<uint8_t>{1, 0, 1}));
  const Batch halves[] = {slice(a, 0, 1), slice(a, 1, 1)};
  const auto together = concat(std::span<const Batch>(halves));
  ASSERT_TRUE(together.ok());
  EXPECT_EQ(together->origin->chunk, a.origin->chunk);
  EXPECT_EQ(together->origin->bytes(1), "yy");
  b.origin = nullptr;
  const Batch mixed[] = {a, b};
  EXPECT_EQ(concat(std::span<const Batch>(mixed))->origin, nullptr);
}

TEST(Concat, refuses_more_text_than_a_column_holds) {
  Column big = make_column(TypeId::kString, {"x"});
  // Only the offsets are looked at before the refusal; nobody makes a gigabyte here.
  big.offsets->as<int32_t>()[1] = 1 << 30;
  const Column two[] = {big, big};
  EXPECT_EQ(concat(std::span<const Column>(two)).status().code(), Code::kResourceExhausted);
}

TEST(Origin, kept_form_shares_the_bytes_of_rows_that_a_join_repeats) {
  const RowOriginPtr origin = chunk_origin("abcdef\n", {"abcdef"});
  const RowOriginPtr repeated = gather_origin(origin, std::vector<int32_t>(1000, 0));
  const RowOriginPtr kept = materialise_origin(repeated);
  EXPECT_EQ(kept->kept.size(), 6u);
  EXPECT_EQ(kept->bytes(999), "abcdef");
  EXPECT_EQ(materialise_origin(kept), kept);
  EXPECT_EQ(materialise_origin(origin, false)->line_number(0), 0u);
  EXPECT_EQ(materialise_origin(RowOriginPtr()), nullptr);
}

TEST(CompareRows, agrees_with_comparing_values) {
  const Batch batch = sample_batch(31, 60);
  for (size_t c = 0; c < batch.columns.size(); ++c) {
    const Column& column = batch.columns[c];
    for (int64_t i = 0; i < column.length; ++i) {
      for (int64_t j = 0; j < column.length; ++j) {
        const int sign = compare_values(value_at(column, i), value_at(column, j));
        const int got = compare_rows(column, i, column, j);
        ASSERT_EQ(got > 0, sign > 0) << batch.schema->field(c).name;
        ASSERT_EQ(got < 0, sign < 0) << batch.schema->field(c).name;
        ASSERT_EQ(equal_rows(column, i, column, j), sign == 0);
      }
    }
  }
}

}  // namespace
}  // namespace runink::columnar
