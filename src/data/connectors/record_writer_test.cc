#include "data/connectors/record_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/text.h"
#include "data/columnar/builder.h"
#include "data/columnar/ipc.h"
#include "data/connectors/arrow_source.h"
#include "data/connectors/reading_for_test.h"

namespace runink::connectors {
namespace {

using columnar::Batch;
using columnar::DataType;
using columnar::Field;
using columnar::TypeId;
using columnar::Value;
using testing::HasSubstr;

std::string written(const Batch& batch, WriterOptions options) {
  options.schema = batch.schema;
  auto writer = make_record_writer(options).value();
  columnar::Buffer out;
  EXPECT_TRUE(writer->begin(out).ok());
  const Status status = writer->append(batch, out);
  if (!status.ok()) return status.message();
  EXPECT_TRUE(writer->end(out).ok());
  return std::string(out.view());
}
std::string as(DataFormat format, const Batch& batch) {
  WriterOptions options;
  options.format = format;
  return written(batch, options);
}

std::vector<Field> all_fields() {
  return {make_field("b", TypeId::kBool),
          make_field("i", TypeId::kInt64),
          make_field("u", TypeId::kUInt64),
          make_field("f", TypeId::kFloat64),
          make_field("f32", TypeId::kFloat32),
          make_field("d", DataType::decimal(12, 2)),
          make_field("s", TypeId::kString),
          make_field("y", TypeId::kBytes),
          make_field("j", TypeId::kJson),
          make_field("date", TypeId::kDate),
          make_field("time", TypeId::kTime),
          make_field("ts", TypeId::kTimestamp),
          make_field("tsf", TypeId::kTimestamp, "%Y/%m/%d %H:%M"),
          make_field("dur", TypeId::kDuration),
          make_field("id", TypeId::kUuid),
          make_field("e", DataType::enumeration({"a", "q\"q"})),
          make_field("l", DataType::list(TypeId::kString)),
          make_field("at.x", TypeId::kInt8),
          make_field("at.y", TypeId::kInt8)};
}
std::vector<Value> all_values() {
  return {true,
          int64_t{INT64_MIN},
          uint64_t{UINT64_MAX},
          0.1,
          0.5,
          columnar::int128{-1205},
          std::string("a\"b\\c\n\x01é"),
          std::string("hello"),
          std::string("{\"k\":\n[1]}"),
          int64_t{11000},
          int64_t{3600000000},
          int64_t{979150800000000},
          int64_t{979150800000000},
          int64_t{90000000},
          std::string(16, '\x12'),
          int64_t{1},
          std::vector<Value>{std::string("x"), Value(), std::string("y,\"")},
          int64_t{-1},
          int64_t{2}};
}

TEST(RecordWriter, NdjsonWritesEveryType) {
  const Batch batch = columnar::make_batch(all_fields(), {all_values(), std::vector<Value>(19)});
  EXPECT_EQ(
      as(DataFormat::kNdjson, batch),
      R"({"b":true,"i":-9223372036854775808,"u":18446744073709551615,"f":0.1,"f32":0.5,"d":-12.05,"s":"a\"b\\c\n\u0001é","y":"aGVsbG8=",)"
      R"("j":{"k": [1]},"date":"2000-02-13","time":"01:00:00","ts":"2001-01-10T18:20:00Z","tsf":"2001/01/10 18:20","dur":"PT1M30S",)"
      R"("id":"12121212-1212-1212-1212-121212121212","e":"q\"q","l":["x",null,"y,\""],"at":{"x":-1,"y":2}})"
      "\n"
      R"({"b":null,"i":null,"u":null,"f":null,"f32":null,"d":null,"s":null,"y":null,"j":null,"date":null,"time":null,"ts":null,)"
      R"("tsf":null,"dur":null,"id":null,"e":null,"l":null,"at":{"x":null,"y":null}})"
      "\n");
}

TEST(RecordWriter, CsvWritesEveryType) {
  const Batch batch = columnar::make_batch(all_fields(), {all_values(), std::vector<Value>(19)});
  EXPECT_EQ(as(DataFormat::kCsv, batch),
            "b,i,u,f,f32,d,s,y,j,date,time,ts,tsf,dur,id,e,l,at.x,at.y\n"
            "true,-9223372036854775808,18446744073709551615,0.1,0.5,-12.05,\"a\"\"b\\c\n\x01é\",aGVsbG8=,\"{\"\"k\"\":"
            "\n[1]}\",2000-02-13,01:00:00,"
            "2001-01-10T18:20:00Z,2001/01/10 "
            "18:20,PT1M30S,12121212-1212-1212-1212-121212121212,\"q\"\"q\",\"[\"\"x\"\",null,\"\"y,\\\"\"\"\"]\",-1,2\n"
            ",,,,,,,,,,,,,,,,,,\n");
}

TEST(RecordWriter, WhatIsWrittenReadsBackTheSame) {
  const Batch batch = columnar::make_batch(all_fields(), {all_values(), std::vector<Value>(19), all_values()});
  for (const DataFormat format : {DataFormat::kNdjson, DataFormat::kCsv}) {
    ReaderOptions options = reader_options(all_fields(), format);
    const ReadBack got = read_back(as(format, batch), options);
    EXPECT_EQ(got.error, "");
    EXPECT_TRUE(got.bad.empty()) << (got.bad.empty() ? "" : got.bad[0].message);
    ASSERT_EQ(got.rows.size(), 3u);
    for (size_t row = 0; row < 3; ++row) {
      std::string expected;
      ASSERT_TRUE(append_json_record(batch, static_cast<int64_t>(row), expected).ok());
      // A json value keeps its line break in CSV and loses it in NDJSON; JSON text shows both without.
      EXPECT_EQ(got.rows[row], expected);
    }
  }
}

TEST(RecordWriter, NumbersThatJsonDoesNotHaveAreNull) {
  const Batch batch = columnar::make_batch({make_field("f", TypeId::kFloat64)},
                                           {{std::nan("")}, {std::numeric_limits<double>::infinity()}});
  EXPECT_EQ(as(DataFormat::kNdjson, batch), "{\"f\":null}\n{\"f\":null}\n");
  EXPECT_EQ(as(DataFormat::kCsv, batch), "f\n\n\n");
}

TEST(RecordWriter, VerbatimRowsAreCopiedAndOthersFormatted) {
  ReaderOptions options = reader_options({make_field("a", TypeId::kFloat64), make_field("b", TypeId::kString)});
  const std::string text = "{ \"a\" : 1.50, \"b\":\"\\u0041\" } \r\n{\"b\":\"B\",\"a\":2.50}\n";
  ReadBack got = read_back(text, options);
  ASSERT_EQ(got.batches.size(), 1u);
  Batch batch = got.batches[0];
  columnar::ColumnBuilder late(TypeId::kBool);
  late.append(true);
  late.append_null();
  batch.columns.push_back(late.finish());
  batch.schema = std::make_shared<const columnar::Schema>(std::vector<Field>{
      make_field("a", TypeId::kFloat64), make_field("b", TypeId::kString), make_field("late", TypeId::kBool)});
  WriterOptions writing;
  writing.verbatim_prefix_columns = 2;
  EXPECT_EQ(written(batch, writing),
            "{ \"a\" : 1.50, \"b\":\"\\u0041\" ,\"late\":true}\n{\"a\":2.5,\"b\":\"B\",\"late\":null}\n");
  writing.verbatim_prefix_columns = 0;
  EXPECT_EQ(written(batch, writing), "{\"a\":1.5,\"b\":\"A\",\"late\":true}\n{\"a\":2.5,\"b\":\"B\",\"late\":null}\n");
  // Nothing added: the record as it is.
  writing.verbatim_prefix_columns = 2;
  EXPECT_EQ(written(got.batches[0], writing), "{ \"a\" : 1.50, \"b\":\"\\u0041\" }\n{\"a\":2.5,\"b\":\"B\"}\n");
}

TEST(RecordWriter, VerbatimCsvRows) {
  ReaderOptions options =
      reader_options({make_field("a", TypeId::kFloat64), make_field("b", TypeId::kString)}, DataFormat::kCsv);
  ReadBack got = read_back("a,b\n1.50,\"x\ny\"\n", options);
  Batch batch = got.batches.at(0);
  columnar::ColumnBuilder more(TypeId::kString);
  more.append("m,n");
  batch.columns.push_back(more.finish());
  batch.schema = std::make_shared<const columnar::Schema>(std::vector<Field>{
      make_field("a", TypeId::kFloat64), make_field("b", TypeId::kString), make_field("more", TypeId::kString)});
  WriterOptions writing;
  writing.format = DataFormat::kCsv;
  writing.verbatim_prefix_columns = 2;
  EXPECT_EQ(written(batch, writing), "a,b,more\n1.50,\"x\ny\",\"m,n\"\n");
}

TEST(RecordWriter, AddedFieldsInsideAStructOfTheSourceAreNotPutAfterIt) {
  ReaderOptions options = reader_options({make_field("at.x", TypeId::kInt32)});
  ReadBack got = read_back("{\"at\":{\"x\":1}}\n", options);
  Batch batch = got.batches.at(0);
  columnar::ColumnBuilder more(TypeId::kInt32);
  more.append(int32_t{5});
  batch.columns.push_back(more.finish());
  batch.schema = std::make_shared<const columnar::Schema>(
      std::vector<Field>{make_field("at.x", TypeId::kInt32), make_field("at.y", TypeId::kInt32)});
  WriterOptions writing;
  writing.verbatim_prefix_columns = 1;
  EXPECT_EQ(written(batch, writing), "{\"at\":{\"x\":1,\"y\":5}}\n");
}

TEST(RecordWriter, NamesThatOneObjectCannotHoldAreRefused) {
  const auto refusal = [](const std::vector<std::string>& names) {
    std::vector<Field> fields;
    for (const auto& name : names) fields.push_back(make_field(name, TypeId::kInt32));
    WriterOptions writing;
    writing.schema = std::make_shared<const columnar::Schema>(std::move(fields));
    const auto made = make_record_writer(writing);
    return made.ok() ? std::string() : made.status().message();
  };
  EXPECT_THAT(refusal({"u", "id", "u.id"}), ::testing::StartsWith("fields \"u\" and \"u.id\" cannot both be"));
  EXPECT_THAT(refusal({"a.b.c", "a.b"}), ::testing::StartsWith("fields \"a.b\" and \"a.b.c\" cannot both be"));
  EXPECT_EQ(refusal({"u.a", "u.b", "ux", "v.u"}), "");
}

TEST(RecordWriter, CsvQuotesOnlyWhereNeeded) {
  const auto cell = [](const std::string& text, CsvDialect dialect = {}) {
    WriterOptions options;
    options.format = DataFormat::kCsv;
    dialect.header = false;
    options.csv = dialect;
    return written(columnar::make_batch({make_field("s", TypeId::kString), make_field("t", TypeId::kString)},
                                        {{text, std::string("z")}}),
                   options);
  };
  EXPECT_EQ(cell("plain text"), "plain text,z\n");
  EXPECT_EQ(cell(""), "\"\",z\n");
  EXPECT_EQ(cell("a,b"), "\"a,b\",z\n");
  EXPECT_EQ(cell("a\"b"), "\"a\"\"b\",z\n");
  EXPECT_EQ(cell("a\rb"), "\"a\rb\",z\n");
  EXPECT_EQ(cell(" a"), "\" a\",z\n");
  EXPECT_EQ(cell("=1+1"), "=1+1,z\n");
  EXPECT_EQ(cell(std::string("a\0b", 3)), std::string("\"a\0b\",z\n", 8));
  CsvDialect dialect;
  dialect.escape = '\\';
  EXPECT_EQ(cell("a\"b\\", dialect), "\"a\\\"b\\\\\",z\n");
  dialect = {};
  dialect.crlf = true;
  EXPECT_EQ(cell("a", dialect), "a,z\r\n");
  dialect = {};
  dialect.null_text = "NA";
  EXPECT_EQ(cell("NA", dialect), "\"NA\",z\n");
  dialect = {};
  dialect.comment = '#';
  EXPECT_EQ(cell("#a", dialect), "\"#a\",z\n");
  dialect = {};
  dialect.quote = 0;
  EXPECT_THAT(cell("a,b", dialect), HasSubstr("cannot be written as CSV without quotes"));
}

TEST(RecordWriter, OpenFieldsAreMembersOrColumns) {
  const Batch batch = columnar::make_batch(
      {make_field("a", TypeId::kInt8), make_field("*", TypeId::kJson), make_field("z", TypeId::kString)},
      {{int64_t{1}, std::string("{\"z\":1,\"q\\\"\\u00e9\":{\"x\":[1,\"}\\\"\"]},\"n\":null,\"t\":\"x\\ty\"}"), std::string("own")},
       {int64_t{2}, Value(), Value()},
       {int64_t{3}, std::string("{\"t\":\"\",\"z\":2}"), Value()}});
  EXPECT_EQ(as(DataFormat::kNdjson, batch),
            "{\"a\":1,\"z\":\"own\",\"q\\\"\\u00e9\":{\"x\":[1,\"}\\\"\"]},\"n\":null,\"t\":\"x\\ty\"}\n"
            "{\"a\":2,\"z\":null}\n"
            "{\"a\":3,\"z\":null,\"t\":\"\"}\n");
  WriterOptions csv;
  csv.format = DataFormat::kCsv;
  csv.open_names = {"t", "z", "q\"é", "n"};
  EXPECT_EQ(written(batch, csv),
            "a,z,t,\"q\"\"é\",n\n"
            "1,own,x\ty,\"{\"\"x\"\":[1,\"\"}\\\"\"\"\"]}\",\n"
            "2,,,,\n"
            "3,,\"\",,\n");
  csv.open_names = {"t"};
  EXPECT_THAT(written(batch, csv), HasSubstr("the field \"q\"é\", which the contract does not name, has no column"));
}

// What a custom step answers as this column may be anything.
TEST(RecordWriter, OpenFieldsThatAreNoObjectEnd) {
  for (const char* text : {"", "5", "[1]", "{", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":}", "{\"a\":[", "{\"a\":\"\\", "{a:1}", "\"x\""}) {
    const Batch batch = columnar::make_batch({make_field("i", TypeId::kInt8), make_field("*", TypeId::kJson)},
                                             {{int64_t{1}, std::string(text)}});
    EXPECT_EQ(as(DataFormat::kNdjson, batch), "{\"i\":1}\n") << text;
  }
}

TEST(RecordWriter, LongTextsWithEscapes) {
  std::string text;
  for (int i = 0; i < 100000; ++i) text += i % 17 == 0 ? '"' : i % 13 == 0 ? '\n' : 'x';
  const Batch batch = columnar::make_batch({make_field("s", TypeId::kString)}, {{text}});
  const ReadBack got = read_back(as(DataFormat::kNdjson, batch), reader_options({make_field("s", TypeId::kString)}));
  EXPECT_EQ(got.batches.at(0).columns[0].text(0), text);
}

// ---- Arrow
// -----------------------------------------------------------------------------------------------------------

struct ArrowBack {
  std::vector<std::string> rows, bad;
  std::map<std::string, uint64_t> drift;
  std::string error;
};
ArrowBack read_arrow(const std::string& bytes, const ReaderOptions& options) {
  ArrowBack out;
  auto source = make_memory_arrow_source("test", make_memory_source(bytes), options, std::make_shared<SourceFiles>());
  while (true) {
    auto piece = source->next();
    if (!piece.ok()) {
      out.error = piece.status().to_string();
      return out;
    }
    if (!*piece) return out;
    const ArrowPiece& p = **piece;
    EXPECT_EQ(p.report.undecodable.size(), p.undecodable.size());
    for (const auto& bad : p.undecodable) out.bad.push_back(bad.record + " " + runink::join(bad.values, " "));
    EXPECT_EQ(p.again.records.size(), p.undecodable.size());
    EXPECT_EQ(p.again.rows.rows, static_cast<int64_t>(p.undecodable.size())) << "their other fields";
    for (const auto& [name, count] : p.report.drift) out.drift[name] += count;
    if (!p.batch) continue;
    for (int64_t row = 0; row < p.batch->rows; ++row) {
      std::string json;
      EXPECT_TRUE(append_json_record(*p.batch, row, json).ok());
      out.rows.push_back(json);
    }
  }
}

TEST(ArrowSource, TellsAllThatIsWrongWithARow) {
  const Batch batch = columnar::make_batch(
      {make_field("i", TypeId::kInt64), make_field("j", TypeId::kInt64), make_field("e", TypeId::kString)},
      {{int64_t{1}, int64_t{2}, std::string("x")}, {int64_t{300}, int64_t{-1}, std::string("z")}, {int64_t{3}, int64_t{-1}, std::string("x")}});
  const ArrowBack got = read_arrow(
      as(DataFormat::kArrow, batch),
      reader_options({make_field("i", TypeId::kInt8), make_field("j", TypeId::kUInt8), make_field("e", DataType::enumeration({"x", "y"}))},
                     DataFormat::kArrow));
  EXPECT_THAT(got.rows, testing::ElementsAre(R"({"i":1,"j":2,"e":"x"})"));
  EXPECT_THAT(got.bad, testing::ElementsAre(R"({"i":300,"j":-1,"e":"z"} 300 -1 "z")", R"({"i":3,"j":-1,"e":"x"} -1)"));
}

TEST(ArrowSource, RefusesRowsWithValuesThatNoTextCouldSay) {
  const double nan = std::nan(""), inf = std::numeric_limits<double>::infinity();
  const auto list = [](double x) { return Value(std::vector<Value>{Value(1.0), Value(x)}); };
  const int64_t far = 253402300800000000;
  const Batch batch = columnar::make_batch(
      {make_field("f", TypeId::kFloat32), make_field("t.at", TypeId::kTimestamp), make_field("s", TypeId::kString),
       make_field("l", DataType::list(TypeId::kFloat64)), make_field("x", TypeId::kFloat64), make_field("i", TypeId::kInt64)},
      {{1.5, int64_t{0}, "a", list(2), 1.0, int64_t{1}},
       {nan, far, "b", list(2), 2.0, int64_t{300}},
       {-inf, int64_t{0}, "c", list(nan), 3.0, int64_t{2}},
       {1.5, int64_t{0}, "\xFF", list(2), 4.0, int64_t{2}},
       {1.5, int64_t{0}, "d", list(2), nan, int64_t{3}}});
  ReaderOptions options = reader_options(
      {make_field("f", TypeId::kFloat64), make_field("t.at", TypeId::kTimestamp), make_field("s", TypeId::kString),
       make_field("l", DataType::list(TypeId::kFloat64)), make_field("i", TypeId::kInt8)},
      DataFormat::kArrow);
  const std::string first = R"({"f":1.5,"t":{"at":"1970-01-01T00:00:00Z"},"s":"a","l":[1.0,2.0],"i":1})";
  const std::vector<std::string> bad = {
      R"({"f":"NaN","t":{"at":253402300800000000},"s":"b","l":[1.0,2.0],"x":2.0,"i":300} NaN 253402300800000000 300)",
      R"({"f":"-Infinity","t":{"at":"1970-01-01T00:00:00Z"},"s":"c","l":{"list":[1.0,0.0],"element":"NaN"},"x":3.0,"i":2} -Infinity NaN)",
      R"({"f":1.5,"t":{"at":"1970-01-01T00:00:00Z"},"s":{"base64":"/w=="},"l":[1.0,2.0],"x":4.0,"i":2} {"base64":"/w=="})"};
  const ArrowBack got = read_arrow(as(DataFormat::kArrow, batch), options);
  EXPECT_EQ(got.error, "");
  ASSERT_EQ(got.rows.size(), 2u) << "a column that is not read may hold anything";
  EXPECT_EQ(got.rows[0], first);
  EXPECT_EQ(got.bad, bad);
  options.open = true;
  const ArrowBack open = read_arrow(as(DataFormat::kArrow, batch), options);
  EXPECT_EQ(open.rows.size(), 1u);
  ASSERT_EQ(open.bad.size(), 4u);
  EXPECT_EQ(open.bad[3], R"({"f":1.5,"t":{"at":"1970-01-01T00:00:00Z"},"s":"d","l":[1.0,2.0],"x":"NaN","i":3} NaN of x)");
}

TEST(ArrowSource, ReadsWhatTheWriterWrites) {
  const Batch batch = columnar::make_batch(all_fields(), {all_values(), std::vector<Value>(19)});
  const ArrowBack got = read_arrow(as(DataFormat::kArrow, batch), reader_options(all_fields(), DataFormat::kArrow));
  EXPECT_EQ(got.error, "");
  ASSERT_EQ(got.rows.size(), 2u);
  for (size_t row = 0; row < 2; ++row) {
    std::string expected;
    ASSERT_TRUE(append_json_record(batch, static_cast<int64_t>(row), expected).ok());
    EXPECT_EQ(got.rows[row], expected);
  }
}

TEST(ArrowSource, SeveralWritersMakeOneStream) {
  const Batch batch =
      columnar::make_batch({make_field("e", DataType::enumeration({"x", "y"}))}, {{int64_t{0}}, {int64_t{1}}});
  WriterOptions options;
  options.format = DataFormat::kArrow;
  options.schema = batch.schema;
  auto one = make_record_writer(options).value(), two = make_record_writer(options).value();
  columnar::Buffer out;
  ASSERT_TRUE(one->begin(out).ok());
  ASSERT_TRUE(two->append(batch, out).ok());
  ASSERT_TRUE(one->append(batch, out).ok());
  ASSERT_TRUE(two->append(batch, out).ok());
  ASSERT_TRUE(one->end(out).ok());
  EXPECT_EQ(read_arrow(std::string(out.view()),
                       reader_options({make_field("e", DataType::enumeration({"x", "y"}))}, DataFormat::kArrow))
                .rows.size(),
            6u);
}

TEST(ArrowSource, IntegersFitOneByOne) {
  const Batch batch = columnar::make_batch(
      {make_field("i", TypeId::kInt64), make_field("u", TypeId::kUInt64), make_field("n", TypeId::kInt64)},
      {{int64_t{127}, uint64_t{INT64_MAX}, int64_t{1} << 53},
       {int64_t{128}, uint64_t{0}, int64_t{0}},
       {int64_t{-1}, uint64_t{1} << 63, int64_t{0}},
       {int64_t{-128}, uint64_t{0}, (int64_t{1} << 53) + 1},
       {Value(), Value(), Value()}});
  const ArrowBack got = read_arrow(
      as(DataFormat::kArrow, batch),
      reader_options({make_field("i", TypeId::kInt8), make_field("u", TypeId::kInt64), make_field("n", TypeId::kFloat64)},
                     DataFormat::kArrow));
  EXPECT_THAT(got.rows, testing::ElementsAre(R"({"i":127,"u":9223372036854775807,"n":9007199254740992.0})",
                                             R"({"i":null,"u":null,"n":null})"));
  EXPECT_THAT(got.bad, testing::ElementsAre(R"({"i":128,"u":0,"n":0} 128)", R"({"i":-1,"u":9223372036854775808,"n":0} 9223372036854775808)",
                                            R"({"i":-128,"u":0,"n":9007199254740993} 9007199254740993)"));
}

TEST(ArrowSource, OriginsAreRecordNumbers) {
  std::vector<std::vector<Value>> rows;
  for (int64_t i = 0; i < columnar::kBatchRows + 3; ++i) rows.push_back({i});
  const Batch batch = columnar::make_batch({make_field("i", TypeId::kInt64)}, rows);
  auto source = make_memory_arrow_source("test", make_memory_source(as(DataFormat::kArrow, batch)),
                                         reader_options({make_field("i", TypeId::kInt16)}, DataFormat::kArrow),
                                         std::make_shared<SourceFiles>());
  int64_t seen = 0;
  while (auto piece = *source->next()) {
    ASSERT_TRUE(piece->batch && piece->batch->origin);
    for (int64_t row = 0; row < piece->batch->rows; ++row, ++seen) {
      EXPECT_EQ(piece->batch->origin->position(row), static_cast<uint64_t>(seen));
      EXPECT_EQ(piece->batch->origin->line_number(row), static_cast<uint64_t>(seen) + 1);
      EXPECT_EQ(piece->batch->origin->bytes(row), "");
    }
  }
  EXPECT_EQ(seen, columnar::kBatchRows + 3);
}

TEST(ArrowSource, OpenContractsKeepUnknownColumns) {
  const Batch batch = columnar::make_batch(
      {make_field("a", TypeId::kInt8), make_field("x", DataType::list(TypeId::kInt8)), make_field("at.y", TypeId::kString)},
      {{int64_t{1}, std::vector<Value>{int64_t{2}}, std::string("q\"")}, {Value(), Value(), Value()}});
  ReaderOptions options = reader_options({make_field("a", TypeId::kInt8)}, DataFormat::kArrow);
  options.open = true;
  const ArrowBack got = read_arrow(as(DataFormat::kArrow, batch), options);
  EXPECT_THAT(got.rows, testing::ElementsAre(R"({"a":1,"x":[2],"at":{"y":"q\""}})", R"({"a":null,"x":null,"at":{"y":null}})"));
  EXPECT_TRUE(got.drift.empty());
}

TEST(ArrowSource, CastsWithoutLossAndRefusesOthers) {
  const Batch batch = columnar::make_batch({make_field("i", TypeId::kInt8), make_field("f", TypeId::kFloat32),
                                            make_field("e", TypeId::kString), make_field("extra", TypeId::kBool)},
                                           {{int64_t{5}, 0.5, std::string("x"), true},
                                            {int64_t{6}, 0.25, std::string("unknown"), true},
                                            {Value(), Value(), Value(), Value()}});
  const std::string bytes = as(DataFormat::kArrow, batch);
  const DataType labels = DataType::enumeration({"x", "y"});
  const ArrowBack got =
      read_arrow(bytes, reader_options({make_field("e", labels), make_field("i", TypeId::kInt64),
                                        make_field("f", TypeId::kFloat64), make_field("none", TypeId::kString)},
                                       DataFormat::kArrow));
  EXPECT_THAT(got.rows, testing::ElementsAre(R"({"e":"x","i":5,"f":0.5,"none":null})",
                                             R"({"e":null,"i":null,"f":null,"none":null})"));
  EXPECT_THAT(got.bad, testing::ElementsAre(R"({"i":6,"f":0.25,"e":"unknown","extra":true} "unknown")"));
  EXPECT_EQ(got.drift.at("extra"), 3u);
  EXPECT_THAT(read_arrow(bytes, reader_options({make_field("f", TypeId::kInt32)}, DataFormat::kArrow)).error,
              HasSubstr("float32 in the Arrow schema and int32"));
  EXPECT_THAT(read_arrow(bytes, reader_options({make_field("f", TypeId::kInt32)}, DataFormat::kArrow)).error,
              HasSubstr("column f is"));
  ReaderOptions required = reader_options({make_field("ii", TypeId::kInt8)}, DataFormat::kArrow);
  required.fields[0].required = true;
  EXPECT_THAT(read_arrow(bytes, required).error, HasSubstr("lacks the required column ii"));
  EXPECT_NE(read_arrow(bytes.substr(0, bytes.size() / 2),
                       reader_options({make_field("i", TypeId::kInt8)}, DataFormat::kArrow))
                .error,
            "");
}

}  // namespace
}  // namespace runink::connectors
