#include "data/expr/test_records.h"

#include "data/columnar/text.h"

namespace runink::expr {

using columnar::Batch;
using columnar::DataType;
using columnar::Field;
using columnar::TypeId;
using columnar::Value;

namespace {

Value parsed(const DataType& type, std::string_view text) {
  Result<Value> value = columnar::FieldText(type).parse(text);
  RUNINK_CHECK(value.ok());
  return *value;
}

const std::vector<Field>& fields() {
  static const std::vector<Field> list = {
      {"n", TypeId::kInt64, false},
      {"code", TypeId::kString, false},
      {"small", TypeId::kInt8},
      {"delay", TypeId::kInt32},
      {"distance", TypeId::kInt64},
      {"big", TypeId::kUInt64},
      {"ratio", TypeId::kFloat64},
      {"half", TypeId::kFloat32},
      {"fare", DataType::decimal(12, 2)},
      {"huge", DataType::decimal(38, 4)},
      {"late", TypeId::kBool},
      {"origin", TypeId::kString},
      {"destination", TypeId::kString},
      {"billing.city", TypeId::kString},
      {"odd name", TypeId::kString},
      {"cabin", DataType::enumeration({"economy", "business", "first", "N/A"})},
      {"date", TypeId::kTimestamp},
      {"day", TypeId::kDate},
      {"at", TypeId::kTime},
      {"taxi", TypeId::kDuration},
      {"id", TypeId::kUuid},
      {"payload", TypeId::kJson},
      {"raw", TypeId::kBytes},
      {"tags", DataType::list(TypeId::kString)},
      {"scores", DataType::list(TypeId::kInt32)},
  };
  return list;
}

using Row = std::vector<Value>;

Row plain_row() {
  return {int64_t{2},
          std::string("AB-1234"),
          int64_t{7},
          int64_t{15},
          int64_t{1200},
          uint64_t{18446744073709551615ULL},
          0.5,
          1.5,
          columnar::int128{12345},
          columnar::int128{10000},
          true,
          std::string("SFO"),
          std::string("JFK"),
          std::string("Zürich"),
          std::string("x"),
          int64_t{1},
          parsed(TypeId::kTimestamp, "2001-01-10T18:20:30.25Z"),
          parsed(TypeId::kDate, "2024-02-29"),
          parsed(TypeId::kTime, "18:20:30"),
          parsed(TypeId::kDuration, "2h30m"),
          parsed(TypeId::kUuid, "123e4567-e89b-12d3-a456-426614174000"),
          std::string("{\"a\": {\"b\": [1, 2.50, \"x\\u00e9\"]}, \"n\": null, \"t\": true}"),
          std::string("\x00\xffz", 3),
          std::vector<Value>{std::string("red"), Value(), std::string("blue")},
          std::vector<Value>{int64_t{3}, int64_t{1}, int64_t{2}}};
}

Row null_row() {
  Row row(fields().size());
  row[0] = int64_t{0};
  row[1] = std::string();
  return row;
}

Row edge_row() {
  return {int64_t{-1},
          std::string("é"),
          int64_t{-128},
          int64_t{2147483647},
          int64_t{9223372036854775807},
          uint64_t{0},
          1e308,
          -3.25,
          -columnar::int128{999999999999},
          columnar::int128{0},
          false,
          std::string(),
          std::string(" Ab "),
          std::string("New York"),
          std::string("a,b,,c"),
          int64_t{3},
          parsed(TypeId::kTimestamp, "9999-12-31T23:59:59.999999Z"),
          parsed(TypeId::kDate, "0001-01-01"),
          parsed(TypeId::kTime, "00:00"),
          int64_t{-1},
          parsed(TypeId::kUuid, "00000000-0000-0000-0000-000000000000"),
          std::string("[]"),
          std::string("abc"),
          std::vector<Value>{},
          std::vector<Value>{Value()}};
}

}  // namespace

const Batch& test_records() {
  static const Batch batch = columnar::make_batch(fields(), {plain_row(), null_row(), edge_row()});
  return batch;
}

const Batch& test_group() {
  static const Batch batch = columnar::make_batch(
      {{"route", TypeId::kString},
       {"delay", TypeId::kInt32},
       {"distance", TypeId::kInt64},
       {"fare", DataType::decimal(12, 2)},
       {"ratio", TypeId::kFloat64},
       {"late", TypeId::kBool},
       {"date", TypeId::kTimestamp},
       {"taxi", TypeId::kDuration},
       {"cabin", DataType::enumeration({"economy", "business"})},
       {"none", TypeId::kInt32}},
      {{std::string("SFO-JFK"), int64_t{10}, int64_t{9223372036854775807}, columnar::int128{1000}, 0.1, true,
        parsed(TypeId::kTimestamp, "2024-01-01"), parsed(TypeId::kDuration, "10m"), int64_t{0}, Value()},
       {std::string("LAX-JFK"), int64_t{-5}, int64_t{1}, columnar::int128{2001}, 0.2, false,
        parsed(TypeId::kTimestamp, "2024-02-28"), parsed(TypeId::kDuration, "5m"), int64_t{1}, Value()},
       {Value(), Value(), Value(), Value(), Value(), Value(), Value(), Value(), Value(), Value()},
       {std::string("SFO-JFK"), int64_t{40}, int64_t{1}, columnar::int128{3000}, 0.3, true,
        parsed(TypeId::kTimestamp, "2023-06-01"), parsed(TypeId::kDuration, "1h"), int64_t{0}, Value()},
       {std::string("ATL-ORD"), int64_t{15}, int64_t{-9223372036854775807}, columnar::int128{50}, 1e16, true,
        parsed(TypeId::kTimestamp, "2024-02-29T12:00"), parsed(TypeId::kDuration, "1us"), int64_t{0}, Value()},
       {std::string("SFO-JFK"), int64_t{15}, int64_t{0}, columnar::int128{0}, -1e16, false,
        parsed(TypeId::kTimestamp, "2024-01-15"), parsed(TypeId::kDuration, "0s"), int64_t{1}, Value()}});
  return batch;
}

Scope test_scope() { return Scope(test_records().schema); }

EvalContext test_context() {
  EvalContext context;
  context.now_micros = 1709294400000000;
  context.key = "a key for tests";
  return context;
}

std::string show(const columnar::Column& column, int64_t row) {
  if (column.is_null(row)) return "null";
  std::string out;
  columnar::FieldText(column.type).append_json(column, row, out);
  return out;
}

SourceTextPtr source_of(std::string text) { return std::make_shared<SourceText>("case", std::move(text)); }

}  // namespace runink::expr
