#include "worker/slice/column_bridge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "data/columnar/builder.h"

namespace runink::slice {
namespace {

using columnar::Column;
using columnar::DataType;
using columnar::TypeId;
using columnar::Value;
using testing::HasSubstr;

// Through the ABI and back.
Result<Column> there_and_back(const Column& column, bool nullable = true) {
  ColumnViews views;
  views.add(column);
  return copy_column(views.data()[0], column.type, nullable, column.length, "c");
}

std::string fault(const runink_step_column& column, const DataType& type, int64_t rows, bool nullable = true) {
  auto copied = copy_column(column, type, nullable, rows, "c");
  return copied.ok() ? "" : copied.status().to_string();
}

TEST(ColumnBridge, EveryTypeComesBack) {
  const DataType legs = DataType::list(DataType::structure({{"carrier", TypeId::kString}, {"miles", TypeId::kInt32}}));
  const std::vector<std::pair<DataType, std::vector<Value>>> cases = {
      {TypeId::kBool, {Value(true), Value(), Value(false)}},
      {TypeId::kInt8, {Value(int64_t{-8}), Value()}},
      {TypeId::kUInt64, {Value(uint64_t{1} << 63)}},
      {TypeId::kFloat64, {Value(0.5), Value()}},
      {DataType::decimal(38, 2), {Value(columnar::int128{-12345})}},
      {TypeId::kString, {Value("ü"), Value(), Value("")}},
      {TypeId::kBytes, {Value(std::string("\xFF\0", 2))}},
      {TypeId::kJson, {Value("{\"a\":1}"), Value()}},
      {TypeId::kTimestamp, {Value(int64_t{-1})}},
      {TypeId::kUuid, {Value(std::string(16, '\x07'))}},
      {DataType::enumeration({"a", "b"}), {Value(int64_t{1}), Value()}},
      {DataType::list(TypeId::kString), {Value(std::vector<Value>{Value("x"), Value()}), Value(), Value(std::vector<Value>{})}},
      {legs, {Value(std::vector<Value>{Value(std::vector<Value>{Value("UA"), Value()})})}},
  };
  for (const auto& [type, values] : cases) {
    const Column column = columnar::make_column(type, values);
    const auto back = there_and_back(column);
    ASSERT_TRUE(back.ok()) << type.to_string() << ": " << back.status().to_string();
    for (size_t row = 0; row < values.size(); ++row) {
      EXPECT_EQ(columnar::value_at(*back, static_cast<int64_t>(row)), values[row]) << type.to_string() << " row " << row;
    }
  }
}

TEST(ColumnBridge, ColumnsWithoutRows) {
  for (const DataType& type : {DataType(TypeId::kInt32), DataType(TypeId::kString), DataType::list(TypeId::kString)}) {
    const auto back = there_and_back(columnar::make_column(type, {}));
    EXPECT_TRUE(back.ok()) << back.status().to_string();
  }
}

TEST(ColumnBridge, ANullWhereNoneMayBe) {
  const auto back = there_and_back(columnar::make_column(TypeId::kInt32, {Value(int64_t{1}), Value()}), false);
  ASSERT_FALSE(back.ok());
  EXPECT_THAT(back.status().to_string(), HasSubstr("answer 1 of the batch: c is null"));
}

TEST(ColumnBridge, BrokenOffsets) {
  const char text[] = "abcdef";
  runink_step_column column = {};
  column.length = 2;
  column.values = text;
  column.value_bytes = 6;
  const int32_t descending[] = {0, 4, 2}, beyond[] = {0, 4, 7}, late[] = {1, 2, 3}, splits[] = {0, 1, 2};
  column.offsets = descending;
  EXPECT_THAT(fault(column, TypeId::kString, 2), HasSubstr("descending"));
  column.offsets = beyond;
  EXPECT_THAT(fault(column, TypeId::kString, 2), HasSubstr("beyond"));
  column.offsets = late;
  EXPECT_THAT(fault(column, TypeId::kString, 2), HasSubstr("begin with 0"));
  column.offsets = nullptr;
  EXPECT_THAT(fault(column, TypeId::kString, 2), HasSubstr("no offsets"));
  // One character over two values.
  column.offsets = splits;
  column.values = "\xC3\xBC";
  column.value_bytes = 2;
  EXPECT_THAT(fault(column, TypeId::kString, 2), HasSubstr("not UTF-8"));
  EXPECT_EQ(fault(column, TypeId::kBytes, 2), "");
}

TEST(ColumnBridge, ValuesOutsideTheirType) {
  const auto with = [](const void* values, uint64_t bytes, uint64_t length) {
    runink_step_column column = {};
    column.length = length;
    column.values = values;
    column.value_bytes = bytes;
    return column;
  };
  const int32_t label = 2;
  const uint8_t two = 2;
  const double nan = std::nan("");
  const int64_t day = 86'400'000'000;
  alignas(16) const columnar::int128 hundred = 100;
  EXPECT_THAT(fault(with(&label, 4, 1), DataType::enumeration({"a", "b"}), 1), HasSubstr("no label"));
  EXPECT_THAT(fault(with(&two, 1, 1), TypeId::kBool, 1), HasSubstr("neither 0 nor 1"));
  EXPECT_THAT(fault(with(&nan, 8, 1), TypeId::kFloat64, 1), HasSubstr("not a finite number"));
  EXPECT_THAT(fault(with(&day, 8, 1), TypeId::kTime, 1), HasSubstr("no time of a day"));
  EXPECT_THAT(fault(with(&hundred, 16, 1), DataType::decimal(2, 0), 1), HasSubstr("too many digits"));
  EXPECT_THAT(fault(with(&label, 4, 2), TypeId::kInt32, 2), HasSubstr("fewer values than rows"));
  EXPECT_THAT(fault(with(&label, 4, 1), TypeId::kInt32, 2), HasSubstr("1 values for 2 rows"));
  // Under a null anything may stand.
  runink_step_column null = with(&label, 4, 1);
  const uint8_t none = 0;
  null.validity = &none;
  EXPECT_EQ(fault(null, DataType::enumeration({"a", "b"}), 1), "");
}

}  // namespace
}  // namespace runink::slice
