#include "data/columnar/builder.h"

#include <gtest/gtest.h>

#include "data/columnar/test_data.h"

namespace runink::columnar {
namespace {

TEST(ColumnBuilder, holds_every_type_of_value) {
  const Batch batch = sample_batch(1, 300);
  std::mt19937_64 random(1);
  for (int64_t i = 0; i < batch.rows; ++i) {
    for (size_t c = 0; c < batch.columns.size(); ++c) {
      const Value value = sample_value(batch.schema->field(c).type, 0.2, random);
      EXPECT_EQ(compare_values(value_at(batch.columns[c], i), value), 0) << batch.schema->field(c).name << " row " << i;
    }
  }
}

TEST(ColumnBuilder, appends_by_the_kind_of_the_value) {
  ColumnBuilder texts(TypeId::kString);
  texts.append("one");
  texts.append(std::string("two"));
  texts.append(std::string_view());
  const Column column = texts.finish();
  EXPECT_EQ(column.length, 3);
  EXPECT_EQ(column.text(1), "two");
  EXPECT_EQ(column.text(2), "");
  EXPECT_EQ(column.validity, nullptr);

  ColumnBuilder numbers(TypeId::kUInt16);
  numbers.append(7);
  numbers.append(65535u);
  EXPECT_EQ(numbers.finish().data<uint16_t>()[1], 65535);

  ColumnBuilder cabins(DataType::enumeration({"a", "b"}));
  cabins.append("b");
  cabins.append(0);
  const Column cabin = cabins.finish();
  EXPECT_EQ(cabin.data<int32_t>()[0], 1);
  EXPECT_EQ(cabin.data<int32_t>()[1], 0);
}

TEST(ColumnBuilder, keeps_validity_over_growth) {
  ColumnBuilder builder(TypeId::kInt32);
  for (int i = 0; i < 1000; ++i) {
    if (i % 3 == 2) builder.append_null();
    else builder.append(i);
  }
  const Column column = builder.finish();
  EXPECT_EQ(column.null_count(), 333);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(column.is_null(i), i % 3 == 2) << i;
    if (column.is_valid(i)) {
      ASSERT_EQ(column.data<int32_t>()[i], i);
    }
  }
}

TEST(ColumnBuilder, is_empty_and_usable_after_finish) {
  ColumnBuilder builder(TypeId::kString, 10);
  builder.append_null();
  builder.append("x");
  EXPECT_EQ(builder.finish().null_count(), 1);
  EXPECT_EQ(builder.length(), 0);
  builder.append("y");
  const Column second = builder.finish();
  EXPECT_EQ(second.length, 1);
  EXPECT_EQ(second.validity, nullptr);
  EXPECT_EQ(second.text(0), "y");
  const Column empty = builder.finish();
  EXPECT_EQ(empty.length, 0);
  EXPECT_EQ(empty.offset_data()[0], 0);
}

TEST(ColumnBuilder, truncates_text_lists_and_validity) {
  ColumnBuilder builder(DataType::list(TypeId::kString));
  builder.append_value(std::vector<Value>{"a", Value()});
  builder.append_null();
  builder.append_value(std::vector<Value>{"b"});
  builder.child().append("never closed");
  builder.truncate(1);
  EXPECT_EQ(builder.null_count(), 0);
  builder.append_value(std::vector<Value>{"c"});
  const Column column = builder.finish();
  EXPECT_EQ(column.length, 2);
  EXPECT_EQ(value_to_json(column.type, value_at(column, 0)), R"(["a",null])");
  EXPECT_EQ(value_to_json(column.type, value_at(column, 1)), R"(["c"])");
}

TEST(ColumnBuilder, writes_text_in_place) {
  ColumnBuilder builder(TypeId::kString);
  char* room = builder.reserve_text(100);
  std::memcpy(room, "hello", 5);
  builder.commit_text(5);
  builder.append("!");
  const Column column = builder.finish();
  EXPECT_EQ(column.text(0), "hello");
  EXPECT_EQ(column.text(1), "!");
}

TEST(ColumnBuilder, copies_rows_of_another_column) {
  const Batch batch = sample_batch(2, 50);
  BatchBuilder builder(batch.schema);
  for (size_t c = 0; c < batch.columns.size(); ++c) {
    for (int64_t i = 0; i < 20; ++i) builder.column(c).append_from(batch.columns[c], i);
    builder.column(c).append_rows(batch.columns[c], 20, 30);
  }
  EXPECT_EQ(difference(batch, builder.finish()), "");
}

TEST(ColumnBuilder, takes_fixed_rows_in_one_piece) {
  const Column column = make_column(TypeId::kInt64, {1, 2, 3, 4});
  ColumnBuilder builder(TypeId::kInt64);
  builder.append(9);
  builder.append_rows(column, 1, 2);
  const Column out = builder.finish();
  EXPECT_EQ(out.length, 3);
  EXPECT_EQ(out.data<int64_t>()[2], 3);
}

TEST(ColumnBuilderDeath, refuses_what_the_type_does_not_hold) {
  ColumnBuilder narrow(TypeId::kInt8);
  EXPECT_DEATH(narrow.append(128), "");
  EXPECT_DEATH(narrow.append("x"), "");
  ColumnBuilder cabins(DataType::enumeration({"a"}));
  EXPECT_DEATH(cabins.append("b"), "");
  EXPECT_DEATH(cabins.append(1), "");
}

TEST(Value, compares_with_null_last_and_nan_after_numbers) {
  EXPECT_GT(compare_values(Value(), Value(1)), 0);
  EXPECT_EQ(compare_values(Value(), Value()), 0);
  EXPECT_GT(compare_values(Value(std::nan("")), Value(INFINITY)), 0);
  EXPECT_EQ(compare_values(Value(-0.0), Value(0.0)), 0);
  EXPECT_LT(compare_values(Value("a"), Value("b")), 0);
  EXPECT_LT(compare_values(Value(std::vector<Value>{1}), Value(std::vector<Value>{1, 0})), 0);
}

TEST(Value, shows_json_and_display_text) {
  EXPECT_EQ(value_to_json(TypeId::kString, Value("a\"b\n")), R"("a\"b\n")");
  EXPECT_EQ(value_to_display(TypeId::kString, Value("a\"b")), "a\"b");
  EXPECT_EQ(value_to_display(TypeId::kString, Value()), "null");
  EXPECT_EQ(value_to_json(TypeId::kFloat64, Value(std::nan(""))), "null");
  EXPECT_EQ(value_to_json(DataType::decimal(12, 2), Value(int128{-5})), "-0.05");
  EXPECT_EQ(value_to_json(TypeId::kTimestamp, Value(int64_t{979150800000000})), R"("2001-01-10T18:20:00Z")");
  EXPECT_EQ(value_to_json(TypeId::kBytes, Value("\xFF")), R"("/w==")");
  EXPECT_EQ(value_to_json(TypeId::kJson, Value("{\"a\": 1}")), "{\"a\": 1}");
  EXPECT_EQ(value_to_json(DataType::enumeration({"x", "N/A"}), Value(1)), R"("N/A")");
}

}  // namespace
}  // namespace runink::columnar
