#include "data/connectors/ndjson_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/connectors/reading_for_test.h"

namespace runink::connectors {
namespace {

using columnar::DataType;
using columnar::TypeId;
using columnar::Value;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kFlight =
    R"({"date":"2001/01/10 18:20","delay":-8,"distance":1009,"origin":"BOS","destination":"MDW"})";

// Reads the same text on every instruction set, and by the general code alone; all must agree.
ReadBack read_all(const std::string& text, const ReaderOptions& options) {
  const ReadBack general = read_back(text, options, 1 << 19, &no_loops());
  const hot::Loops* levels[3];
  const size_t count = hot::all_loops(levels, 3);
  for (size_t i = 0; i < count; ++i) {
    const ReadBack hot = read_back(text, options, 1 << 19, levels[i]);
    EXPECT_TRUE(hot.same_data(general)) << levels[i]->name << " differs from the general code on\n"
                                        << text.substr(0, 2000);
  }
  return general;
}

// One field `v` of a type, one value; the JSON of the row or "reason:field".
std::string value_of(const DataType& type, const std::string& json, bool coerce = false, const std::string& format = "",
                     const std::string& zone = "") {
  ReaderOptions options = reader_options({make_field("v", type, format, zone)});
  options.fields[0].coerce = coerce;
  // Three times, so that the third is read by the hot loop if it can be.
  const std::string line = "{\"v\":" + json + "}\n";
  const ReadBack got = read_all(line + line + line, options);
  EXPECT_EQ(got.rows.size() + got.bad.size(), 3u);
  if (!got.bad.empty()) return got.bad[0].reason + (got.bad[0].field.empty() ? "" : ":" + got.bad[0].field);
  if (got.rows.empty()) return "nothing";
  EXPECT_EQ(got.rows[0], got.rows[2]);
  return got.rows[0].substr(5, got.rows[0].size() - 6);
}

TEST(NdjsonReader, ReadsTheRecordsOfAContract) {
  const ReadBack got = read_all(std::string(kFlight) + "\n" + kFlight + "\n", flight_options());
  EXPECT_THAT(got.rows, ElementsAre(kFlight, kFlight));
  EXPECT_THAT(got.raw, ElementsAre(kFlight, kFlight));
  EXPECT_THAT(got.verbatim, ElementsAre(true, true));
  EXPECT_THAT(got.lines, ElementsAre(1, 2));
  EXPECT_THAT(got.positions, ElementsAre(0, std::string(kFlight).size() + 1));
  EXPECT_EQ(got.records, 2u);
}

TEST(NdjsonReader, TakesAnyKeyOrderAndSpacing) {
  const std::string text =
      "{\"delay\": 5, \"date\" :\"2001/01/10 18:20\" ,\t\"destination\":\"MDW\",\"origin\":\"BOS\",\"distance\":1}\n"
      "  { \"delay\" : 6 , \"date\":\"2001/01/10 18:21\",\"destination\":\"MDW\",\"origin\":\"BOS\",\"distance\":1 }  "
      "\n";
  const ReadBack got = read_all(text, flight_options());
  ASSERT_EQ(got.rows.size(), 2u);
  EXPECT_EQ(got.rows[0], R"({"date":"2001/01/10 18:20","delay":5,"distance":1,"origin":"BOS","destination":"MDW"})");
  EXPECT_THAT(got.verbatim, ElementsAre(false, false));
}

TEST(NdjsonReader, MissingAndNullFieldsAreNull) {
  const std::string text = "{\"delay\":1}\n{\"delay\":2}\n{\"delay\":3}\n{\"delay\":null,\"origin\":null}\n";
  const ReadBack got = read_all(text, flight_options());
  ASSERT_EQ(got.rows.size(), 4u);
  EXPECT_EQ(got.rows[2], R"({"date":null,"delay":3,"distance":null,"origin":null,"destination":null})");
  EXPECT_EQ(got.rows[3], R"({"date":null,"delay":null,"distance":null,"origin":null,"destination":null})");
}

TEST(NdjsonReader, DefaultsStandForAbsentAndNullAndAreNeverVerbatim) {
  ReaderOptions options = reader_options({make_field("a", TypeId::kInt32), make_field("b", TypeId::kString)});
  options.fields[0].default_value = Value(int64_t{7});
  options.fields[1].default_value = Value(std::string("x"));
  const ReadBack got = read_all("{\"a\":1}\n{\"a\":1}\n{\"a\":null,\"b\":\"y\"}\n{\"a\":null,\"b\":\"y\"}\n", options);
  EXPECT_THAT(got.rows,
              ElementsAre(R"({"a":1,"b":"x"})", R"({"a":1,"b":"x"})", R"({"a":7,"b":"y"})", R"({"a":7,"b":"y"})"));
  EXPECT_THAT(got.verbatim, ElementsAre(false, false, false, false));
}

TEST(NdjsonReader, UnknownFieldsAreDriftCountedOncePerRecord) {
  const std::string line = R"({"delay":1,"gate":"A\"1","nested":{"a":[1,2,{"b":null}]},"gate":2})";
  const ReadBack got = read_all(line + "\n" + line + "\n" + line + "\n", flight_options());
  EXPECT_EQ(got.rows.size(), 3u);
  EXPECT_EQ(got.drift, (std::map<std::string, uint64_t>{{"gate", 3}, {"nested", 3}}));
}

TEST(NdjsonReader, DriftNamesAreBounded) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += "{\"x" + std::to_string(i) + "\":1}\n";
  const ReadBack got = read_back(text, flight_options());
  EXPECT_EQ(got.drift.size(), kMaxDriftNames + 1);
  EXPECT_EQ(got.drift.at("…"), 1000 - kMaxDriftNames);
}

TEST(NdjsonReader, OpenContractsKeepUnknownFields) {
  ReaderOptions options = reader_options({make_field("a", TypeId::kInt32)});
  options.open = true;
  const std::string text = "{\"a\":1,\"b\":[1, 2],\"c\":\"\\u00e9\"}\n{\"a\":2}\n{\"a\":2}\n{\"b\":null,\"a\":3}\n";
  const ReadBack got = read_all(text, options);
  EXPECT_THAT(got.rows,
              ElementsAre(R"({"a":1,"b":[1, 2],"c":"\u00e9"})", R"({"a":2})", R"({"a":2})", R"({"a":3,"b":null})"));
  EXPECT_THAT(got.verbatim, ElementsAre(false, true, true, false));
}

TEST(NdjsonReader, OpenContractsTakeNoNameThatIsInsideAStructOfTheirOwn) {
  ReaderOptions options = reader_options({make_field("a", TypeId::kInt32), make_field("at.city", TypeId::kString)});
  options.open = true;
  const ReadBack got = read_all(R"({"a":1,"at.city":"x","at.zip":1,"a.b":2,"b.a":3,"ab":4})" "\n", options);
  EXPECT_THAT(got.rows, ElementsAre(R"({"a":1,"at":{"city":null},"b.a":3,"ab":4})"));
  EXPECT_EQ(got.drift, (std::map<std::string, uint64_t>{{"a.b", 1}, {"at.city", 1}, {"at.zip", 1}}));
}

TEST(NdjsonReader, OpenContractsTakeNoFieldTwice) {
  ReaderOptions options = reader_options({make_field("a", TypeId::kInt32)});
  options.open = true;
  const ReadBack got = read_all(
      "{\"x\":1,\"x\":2}\n{\"x\":1,\"y\":{},\"\\u0078\":2}\n{\"x\":1,\"y\":2}\n{\"x\":{\"z\":1,\"z\":2},\"z\":3}\n", options);
  EXPECT_THAT(got.rows, ElementsAre(R"({"a":null,"x":1,"y":2})", R"({"a":null,"x":{"z":1,"z":2},"z":3})"));
  ASSERT_EQ(got.bad.size(), 2u);
  EXPECT_EQ(got.bad[0].reason, "duplicate_key");
  EXPECT_EQ(got.bad[1].reason, "duplicate_key");
}

TEST(NdjsonReader, FlattensStructs) {
  const ReaderOptions options =
      reader_options({make_field("id", TypeId::kInt64), make_field("billing.city", TypeId::kString),
                      make_field("billing.geo.lat", TypeId::kFloat64)});
  const std::string line = R"({"id":1,"billing":{"city":"Bern","geo":{"lat":46.5}}})";
  const ReadBack got = read_all(line + "\n" + line + "\n" + R"({"billing":null,"id":2})" + "\n" +
                                    R"({"billing":{"geo":null,"zip":3000},"id":2})" + "\n" + R"({"id":1,"billing":5})" +
                                    "\n" + R"({"id":1,"billing":{},"billing":{}})" + "\n",
                                options);
  EXPECT_THAT(got.rows, ElementsAre(line, line, R"({"id":2,"billing":{"city":null,"geo":{"lat":null}}})",
                                    R"({"id":2,"billing":{"city":null,"geo":{"lat":null}}})"));
  EXPECT_THAT(got.verbatim, ElementsAre(true, true, false, false));
  EXPECT_EQ(got.drift, (std::map<std::string, uint64_t>{{"billing.zip", 1}}));
  ASSERT_EQ(got.bad.size(), 2u);
  EXPECT_EQ(got.bad[0].reason, "wrong_type");
  EXPECT_EQ(got.bad[1].reason, "duplicate_key");
}

TEST(NdjsonReader, Lists) {
  const DataType list = DataType::list(TypeId::kInt32);
  EXPECT_EQ(value_of(list, "[1,2, 3]"), "[1,2,3]");
  EXPECT_EQ(value_of(list, "[]"), "[]");
  EXPECT_EQ(value_of(list, "[1,null]"), "[1,null]");
  EXPECT_EQ(value_of(list, "null"), "null");
  EXPECT_EQ(value_of(list, "[1,\"2\"]"), "wrong_type:v");
  EXPECT_EQ(value_of(list, "[1,\"2\"]", true), "[1,2]");
  EXPECT_EQ(value_of(list, "[5000000000]"), "out_of_range:v");
  EXPECT_EQ(value_of(list, "[1,]"), "syntax:v");
  EXPECT_EQ(value_of(list, "7"), "wrong_type:v");
  const DataType structs =
      DataType::list(DataType::structure({make_field("a", TypeId::kString), make_field("b", TypeId::kBool)}));
  EXPECT_EQ(value_of(structs, R"([{"b":true,"a":"x"},{}])"), R"([{"a":"x","b":true},{"a":null,"b":null}])");
  EXPECT_EQ(value_of(structs, R"([{"a":"x","a":"y"}])"), "duplicate_key:v");
}

TEST(NdjsonReader, ListsAfterABrokenRecordAreWhole) {
  const ReaderOptions options =
      reader_options({make_field("t", DataType::list(TypeId::kInt32)), make_field("n", TypeId::kInt8)});
  const ReadBack got =
      read_all("{\"t\":[1],\"n\":1}\n{\"t\":[2,3],\"n\":300}\n{\"t\":[4],\"n\":4}\n{\"t\":[5,6],\"n\":5}\n", options);
  EXPECT_THAT(got.rows, ElementsAre(R"({"t":[1],"n":1})", R"({"t":[4],"n":4})", R"({"t":[5,6],"n":5})"));
}

TEST(NdjsonReader, Integers) {
  EXPECT_EQ(value_of(TypeId::kInt8, "127"), "127");
  EXPECT_EQ(value_of(TypeId::kInt8, "-128"), "-128");
  EXPECT_EQ(value_of(TypeId::kInt8, "300"), "out_of_range:v");
  EXPECT_EQ(value_of(TypeId::kInt8, "-129"), "out_of_range:v");
  EXPECT_EQ(value_of(TypeId::kInt32, "-0"), "0");
  EXPECT_EQ(value_of(TypeId::kInt32, "2147483647"), "2147483647");
  EXPECT_EQ(value_of(TypeId::kInt32, "2147483648"), "out_of_range:v");
  EXPECT_EQ(value_of(TypeId::kInt64, "9223372036854775807"), "9223372036854775807");
  EXPECT_EQ(value_of(TypeId::kInt64, "-9223372036854775808"), "-9223372036854775808");
  EXPECT_EQ(value_of(TypeId::kInt64, "9223372036854775808"), "out_of_range:v");
  EXPECT_EQ(value_of(TypeId::kInt64, "123456789012345678"), "123456789012345678");
  EXPECT_EQ(value_of(TypeId::kUInt64, "18446744073709551615"), "18446744073709551615");
  EXPECT_EQ(value_of(TypeId::kUInt64, "18446744073709551616"), "out_of_range:v");
  EXPECT_EQ(value_of(TypeId::kUInt64, "-1"), "out_of_range:v");
  EXPECT_EQ(value_of(TypeId::kUInt64, "-0"), "0");
  EXPECT_EQ(value_of(TypeId::kUInt16, "65536"), "out_of_range:v");
  EXPECT_EQ(value_of(TypeId::kInt32, "007"), "syntax:v");
  EXPECT_EQ(value_of(TypeId::kInt32, "+7"), "syntax:v");
  EXPECT_EQ(value_of(TypeId::kInt32, "-"), "syntax:v");
  EXPECT_EQ(value_of(TypeId::kInt32, "1.0"), "wrong_type:v");
  EXPECT_EQ(value_of(TypeId::kInt32, "1e2"), "wrong_type:v");
  EXPECT_EQ(value_of(TypeId::kInt32, "\"12\""), "wrong_type:v");
  EXPECT_EQ(value_of(TypeId::kInt32, "true"), "wrong_type:v");
  EXPECT_EQ(value_of(TypeId::kInt32, "[1]"), "wrong_type:v");
}

TEST(NdjsonReader, CoercedValuesAreNotVerbatim) {
  EXPECT_EQ(value_of(TypeId::kInt32, "12.0", true), "12");
  EXPECT_EQ(value_of(TypeId::kInt32, "12.5", true), "bad_text:v");
  EXPECT_EQ(value_of(TypeId::kInt32, "\" 12 \"", true), "12");
  EXPECT_EQ(value_of(TypeId::kString, "12", true), "\"12\"");
  EXPECT_EQ(value_of(TypeId::kBool, "\"yes\"", true), "true");
  EXPECT_EQ(value_of(TypeId::kBool, "0", true), "false");
  EXPECT_EQ(value_of(TypeId::kTimestamp, "86400.5", true), "\"1970-01-02T00:00:00.500000Z\"");
  EXPECT_EQ(value_of(TypeId::kString, "12"), "wrong_type:v");
  ReaderOptions options = reader_options({make_field("v", TypeId::kInt32)});
  options.fields[0].coerce = true;
  EXPECT_THAT(read_all("{\"v\":\"1\"}\n{\"v\":2}\n{\"v\":3}\n", options).verbatim, ElementsAre(false, true, true));
}

TEST(NdjsonReader, FloatsAndDecimals) {
  EXPECT_EQ(value_of(TypeId::kFloat64, "0.1"), "0.1");
  EXPECT_EQ(value_of(TypeId::kFloat64, "-12.25"), "-12.25");
  EXPECT_EQ(value_of(TypeId::kFloat64, "123456789.123456789"), "123456789.12345679");
  EXPECT_EQ(value_of(TypeId::kFloat64, "5"), "5.0");
  EXPECT_EQ(value_of(TypeId::kFloat64, "-0"), "-0.0");
  EXPECT_EQ(value_of(TypeId::kFloat64, "1e400"), "out_of_range:v");
  EXPECT_EQ(value_of(TypeId::kFloat64, "1e-400"), "0.0");
  EXPECT_EQ(value_of(TypeId::kFloat64, "1."), "syntax:v");
  EXPECT_EQ(value_of(TypeId::kFloat64, ".5"), "syntax:v");
  EXPECT_EQ(value_of(TypeId::kFloat64, "NaN"), "syntax:v");
  EXPECT_EQ(value_of(TypeId::kFloat32, "0.1"), "0.1");
  EXPECT_EQ(value_of(TypeId::kFloat32, "1e39"), "out_of_range:v");
  EXPECT_EQ(value_of(DataType::decimal(12, 2), "12.5"), "12.50");
  EXPECT_EQ(value_of(DataType::decimal(12, 2), "12.505"), "out_of_range:v");
  EXPECT_EQ(value_of(DataType::decimal(4, 2), "100"), "out_of_range:v");
  EXPECT_EQ(value_of(DataType::decimal(4, 2), "\"1\""), "wrong_type:v");
}

TEST(NdjsonReader, Strings) {
  EXPECT_EQ(value_of(TypeId::kString, "\"\""), "\"\"");
  EXPECT_EQ(value_of(TypeId::kString, R"("a\"b\\c\/d\b\f\n\r\t")"), R"("a\"b\\c/d\b\f\n\r\t")");
  EXPECT_EQ(value_of(TypeId::kString, R"("\u0041\u00e9\u20ac\ud83d\ude00")"), "\"Aé€😀\"");
  EXPECT_EQ(value_of(TypeId::kString, R"("\u0000")"), R"("\u0000")");
  EXPECT_EQ(value_of(TypeId::kString, R"("\ud83d")"), "lone_surrogate:v");
  EXPECT_EQ(value_of(TypeId::kString, R"("\ud83dx")"), "lone_surrogate:v");
  EXPECT_EQ(value_of(TypeId::kString, R"("\ud83d\u0041")"), "lone_surrogate:v");
  EXPECT_EQ(value_of(TypeId::kString, R"("\ude00")"), "lone_surrogate:v");
  EXPECT_EQ(value_of(TypeId::kString, R"("\x41")"), "syntax:v");
  EXPECT_EQ(value_of(TypeId::kString, R"("\u00g1")"), "syntax:v");
  EXPECT_EQ(value_of(TypeId::kString, "\"a\tb\""), "control_character:v");
  EXPECT_EQ(value_of(TypeId::kString, std::string("\"a\0b\"", 5)), "control_character:v");
  for (const size_t size : {1u, 15u, 16u, 31u, 32u, 33u, 63u, 64u, 65u, 1000u, 100000u}) {
    const std::string text = "\"" + std::string(size, 'x') + "\"";
    EXPECT_EQ(value_of(TypeId::kString, text), text);
  }
}

TEST(NdjsonReader, OtherTypes) {
  EXPECT_EQ(value_of(TypeId::kBool, "true"), "true");
  EXPECT_EQ(value_of(TypeId::kBool, "false"), "false");
  EXPECT_EQ(value_of(TypeId::kBool, "fals"), "syntax:v");
  EXPECT_EQ(value_of(TypeId::kBool, "1"), "wrong_type:v");
  EXPECT_EQ(value_of(TypeId::kDate, "\"2024-02-29\""), "\"2024-02-29\"");
  EXPECT_EQ(value_of(TypeId::kDate, "\"2023-02-29\""), "out_of_range:v");
  EXPECT_EQ(value_of(TypeId::kDate, "\"1723-12-31\""), "\"1723-12-31\"");
  EXPECT_EQ(value_of(TypeId::kDate, "5"), "wrong_type:v");
  EXPECT_EQ(value_of(TypeId::kTime, "\"18:20:00\""), "\"18:20:00\"");
  EXPECT_EQ(value_of(TypeId::kTime, "\"25:00:00\""), "out_of_range:v");
  EXPECT_EQ(value_of(TypeId::kTimestamp, "\"2001-01-10T18:20:00Z\""), "\"2001-01-10T18:20:00Z\"");
  EXPECT_EQ(value_of(TypeId::kTimestamp, "\"2001-01-10T18:20:00.5+02:00\""), "\"2001-01-10T16:20:00.500000Z\"");
  EXPECT_EQ(value_of(TypeId::kTimestamp, "\"2001-01-10 18h20\""), "bad_text:v");
  EXPECT_EQ(value_of(TypeId::kTimestamp, "\"9999-12-31T23:59:59Z\""), "\"9999-12-31T23:59:59Z\"");
  EXPECT_EQ(value_of(TypeId::kTimestamp, "\"9999-12-31T23:59:59-01:00\""), "out_of_range:v");
  EXPECT_EQ(value_of(TypeId::kTimestamp, "\"0001-01-01T00:00:00+00:01\""), "out_of_range:v");
  EXPECT_EQ(value_of(TypeId::kTimestamp, "\"9999-12-31T20:00:00\"", false, "", "America/New_York"), "out_of_range:v");
  EXPECT_EQ(value_of(TypeId::kTimestamp, "253402300799.999999", true), "\"9999-12-31T23:59:59.999999Z\"");
  EXPECT_EQ(value_of(TypeId::kTimestamp, "253402300800", true), "out_of_range:v");
  EXPECT_EQ(value_of(TypeId::kTimestamp, "\"2001/01/10 18:20\"", false, "%Y/%m/%d %H:%M"), "\"2001/01/10 18:20\"");
  EXPECT_EQ(value_of(TypeId::kTimestamp, "\"2001/02/30 18:20\"", false, "%Y/%m/%d %H:%M"), "out_of_range:v");
  EXPECT_EQ(value_of(TypeId::kTimestamp, "\"2001/1/10 18:20\"", false, "%Y/%m/%d %H:%M"), "bad_text:v");
  EXPECT_EQ(value_of(TypeId::kTimestamp, "\"20010110182059\"", false, "%Y%m%d%H%M%S"), "\"20010110182059\"");
  EXPECT_EQ(value_of(TypeId::kTimestamp, R"("2001\/01\/10 18:20")", false, "%Y/%m/%d %H:%M"), "\"2001/01/10 18:20\"");
  EXPECT_EQ(value_of(TypeId::kTimestamp, "\"2001-07-10 18:20\"", false, "%Y-%m-%d %H:%M", "Europe/Berlin"),
            "\"2001-07-10 18:20\"");
  EXPECT_EQ(value_of(TypeId::kUuid, "\"123E4567-e89b-12d3-a456-426614174000\""),
            "\"123e4567-e89b-12d3-a456-426614174000\"");
  EXPECT_EQ(value_of(TypeId::kUuid, "\"123\""), "bad_text:v");
  EXPECT_EQ(value_of(TypeId::kBytes, "\"aGVsbG8=\""), "\"aGVsbG8=\"");
  EXPECT_EQ(value_of(TypeId::kBytes, "\"aGVsbG8\""), "bad_text:v");
  EXPECT_EQ(value_of(DataType::enumeration({"economy", "N/A"}), "\"N/A\""), "\"N/A\"");
  EXPECT_EQ(value_of(DataType::enumeration({"economy", "N/A"}), "\"first\""), "bad_text:v");
  EXPECT_EQ(value_of(TypeId::kJson, R"({"a": [1, null]})"), R"({"a": [1, null]})");
  EXPECT_EQ(value_of(TypeId::kDuration, "\"2h30m\""), "\"PT2H30M\"");
}

// The whole range of dates and many clock times, read by the hot loops and by the general code.
TEST(NdjsonReader, TimestampsAgreeOverAllYears) {
  const ReaderOptions options =
      reader_options({make_field("v", TypeId::kTimestamp, "%Y-%m-%dT%H:%M:%S"), make_field("d", TypeId::kDate)});
  std::string text, expected;
  char line[128];
  for (int year = 1; year <= 9999; year += year > 1890 && year < 2170 ? 1 : 97) {
    for (int month = 0; month <= 13; ++month) {
      for (const int day : {0, 1, 28, 29, 30, 31, 32}) {
        std::snprintf(line, sizeof line, "{\"v\":\"%04d-%02d-%02dT%02d:%02d:%02d\",\"d\":\"%04d-%02d-%02d\"}\n", year,
                      month, day, (year + day) % 25, (month * 5) % 61, (day * 2) % 61, year, month, day);
        text += line;
      }
    }
  }
  const ReadBack got = read_all(text, options);
  EXPECT_GT(got.rows.size(), 10000u);
  EXPECT_GT(got.bad.size(), 10000u);
  for (size_t i = 0; i < got.rows.size(); ++i) ASSERT_EQ(got.rows[i], got.raw[i]);
}

TEST(NdjsonReader, BrokenRecordsAreSetAsideWithTheReason) {
  const auto reason = [](const std::string& line) {
    const ReadBack got = read_all(std::string(kFlight) + "\n" + line + "\n" + kFlight + "\n", flight_options());
    EXPECT_EQ(got.rows.size(), 2u) << line;
    EXPECT_EQ(got.bad.size(), 1u) << line;
    if (got.bad.empty()) return std::string("none");
    EXPECT_EQ(got.bad[0].bytes, line);
    EXPECT_EQ(got.bad[0].line, 2u);
    EXPECT_EQ(got.bad[0].position, std::string(kFlight).size() + 1);
    return got.bad[0].reason;
  };
  const std::string deep_ok = std::string(127, '[') + std::string(127, ']');
  EXPECT_EQ(reason(R"({"date":"2001/01/10 18:20","delay":-8,"dist)"), "truncated");
  EXPECT_EQ(reason(R"({"delay":1)"), "truncated");
  EXPECT_EQ(reason(R"({)"), "truncated");
  EXPECT_EQ(reason(R"({"delay":1} x)"), "trailing_text");
  EXPECT_EQ(reason(R"({"delay":1}{"delay":2})"), "trailing_text");
  EXPECT_EQ(reason("{\"delay\":1}\r{\"delay\":2}"), "trailing_text");
  EXPECT_EQ(reason(R"([1])"), "not_an_object");
  EXPECT_EQ(reason(R"(7)"), "not_an_object");
  EXPECT_EQ(reason(R"(hello)"), "syntax");
  EXPECT_EQ(reason(R"({"delay" 1})"), "syntax");
  EXPECT_EQ(reason(R"({"delay":1,})"), "syntax");
  EXPECT_EQ(reason(R"({delay:1})"), "syntax");
  EXPECT_EQ(reason(R"({"delay":1,"delay":2})"), "duplicate_key");
  EXPECT_EQ(reason(R"({"delay":1,"d\u0065lay":2})"), "duplicate_key");
  EXPECT_EQ(reason("{\"x\":" + std::string(128, '[') + std::string(128, ']') + "}"), "too_deep");
  EXPECT_EQ(reason("{\"x\":" + std::string(100000, '[')), "too_deep");
  std::string objects;
  for (int i = 0; i < 200; ++i) objects += "{\"a\":";
  EXPECT_EQ(reason(objects), "too_deep");
  EXPECT_EQ(reason("{\"origin\":\"\xFF\"}"), "invalid_utf8");
  EXPECT_EQ(reason("{\"origin\":\"\xED\xA0\x80\"}"), "invalid_utf8");
  EXPECT_EQ(reason("{\"x\":\"\xC3\"}"), "invalid_utf8");
  EXPECT_EQ(reason(std::string("{\"delay\":1}\0", 12)), "trailing_text");
  const ReadBack fine = read_all("{\"x\":" + deep_ok + "}\n", flight_options());
  EXPECT_EQ(fine.rows.size(), 1u);
}

TEST(NdjsonReader, MessagesNameFieldAndValueUnlessHidden) {
  const ReadBack got = read_all("{\"delay\":3000000000}\n", flight_options());
  ASSERT_EQ(got.bad.size(), 1u);
  EXPECT_EQ(got.bad[0].message, "field delay: 3000000000 does not fit int32 (byte 9)");
  EXPECT_EQ(read_all("{\"delay\":{\"name\":\"SECRET\"}}\n", flight_options()).bad[0].message, "field delay: an object is no int32 (byte 9)");
  EXPECT_EQ(read_all("{\"delay\":[\"SECRET\"]}\n", flight_options()).bad[0].message, "field delay: a list is no int32 (byte 9)");
  // A value ends where its own syntax says, whatever follows.
  for (const char* value : {"true", "false", "1.5", "-3e9", "2E+3", "3000000000"}) {
    for (const char* next : {"\"o\":\"SECRET\"", "[\"SECRET\"]", "{\"SECRET\":1}", ":\"SECRET\"", "SECRET", "\\SECRET", "'SECRET'"}) {
      const std::string line = std::string("{\"delay\":") + value + next + "}\n";
      const auto bad = read_back(line, flight_options()).bad;
      ASSERT_EQ(bad.size(), 1u) << line;
      EXPECT_THAT(bad[0].message, testing::StartsWith(std::string("field delay: ") + value + (value[0] == '3' ? " does not fit int32" : " is no int32"))) << line;
      const ReaderOptions dates = reader_options({make_field("d", columnar::DataType::list(TypeId::kDate))});
      const std::string list = std::string("{\"d\":[") + value + next + "]}\n";
      EXPECT_THAT(read_back(list, dates).bad.at(0).message, testing::StartsWith(std::string("field d: ") + value + " is no list")) << list;
    }
  }
  const ReaderOptions at = reader_options({make_field("at.geo.no", TypeId::kInt32), make_field("at.city", TypeId::kString)});
  EXPECT_EQ(read_all("{\"at\":\"Bern\"}\n", at).bad.at(0).message, "field at: \"Bern\" is no struct (byte 6)");
  EXPECT_EQ(read_all("{\"at\":{\"geo\":7}}\n", at).bad.at(0).message, "field at.geo: 7 is no struct (byte 13)");
  UndecodableRecord bad;
  bad.field = 1;
  bad.at = 9;
  bad.reason = Undecodable::kOutOfRange;
  EXPECT_THAT(describe(bad, *flight_options().schema, "{\"delay\":3000000000}", true),
              testing::Not(HasSubstr("3000000000")));
}

TEST(NdjsonReader, BlankLinesCarriageReturnsAndAMissingLastLineBreak) {
  const ReadBack got =
      read_all(std::string("\n  \r\n") + kFlight + "\r\n" + kFlight + "\r\n\n" + kFlight, flight_options());
  EXPECT_THAT(got.rows, ElementsAre(kFlight, kFlight, kFlight));
  EXPECT_THAT(got.raw, ElementsAre(kFlight, kFlight, kFlight));
  EXPECT_THAT(got.lines, ElementsAre(3, 4, 6));
  EXPECT_EQ(got.blank, 3u);
  EXPECT_EQ(got.records, 3u);
  EXPECT_THAT(read_all("", flight_options()).rows, IsEmpty());
  EXPECT_THAT(read_all("\n\n", flight_options()).rows, IsEmpty());
}

TEST(NdjsonReader, ByteOrderMarks) {
  const ReadBack got = read_all(std::string("\xEF\xBB\xBF") + kFlight + "\n", flight_options());
  EXPECT_THAT(got.rows, ElementsAre(kFlight));
  EXPECT_THAT(got.positions, ElementsAre(3));
  EXPECT_THAT(read_back(std::string("\xFF\xFE{\0", 4), flight_options()).error, HasSubstr("UTF-16"));
  EXPECT_THAT(read_back(std::string("\xFE\xFF\0{", 4), flight_options()).error, HasSubstr("UTF-16"));
  EXPECT_THAT(read_back(std::string("\xFF\xFE\0\0", 4), flight_options()).error, HasSubstr("UTF-32"));
}

TEST(NdjsonReader, ALineOfManyMegabytes) {
  const std::string text = "{\"origin\":\"" + std::string(20'000'000, 'x') + "\"}\n" + kFlight + "\n";
  const ReadBack got = read_back(text, flight_options());
  ASSERT_EQ(got.rows.size(), 2u);
  EXPECT_GT(got.rows[0].size(), 20'000'000u);
  EXPECT_EQ(got.rows[1], kFlight);
}

TEST(NdjsonReader, ALineOver100MegabytesAndOneThatIsTooLong) {
  const std::string text = "{\"x\":\"" + std::string(100'000'000, 'x') + "\",\"delay\":4}\n";
  const ReadBack got = read_back(text, flight_options());
  ASSERT_EQ(got.rows.size(), 1u);
  EXPECT_THAT(got.rows[0], HasSubstr("\"delay\":4"));
  const ReadBack over =
      read_back(std::string(kFlight) + "\n" + text.substr(0, 3'000'000), flight_options(), 1 << 16, nullptr, 1'000'000);
  EXPECT_THAT(over.error, HasSubstr("the record at byte 90 is longer than 1000000 bytes"));
}

TEST(NdjsonReader, LongNamesAndWideGapsBetweenValues) {
  const std::string name(31, 'n'), longer(100, 'm');
  const ReaderOptions options = reader_options({make_field(name, TypeId::kInt32), make_field(longer, TypeId::kInt32)});
  std::string text;
  for (const size_t spaces : {0u, 1u, 31u, 32u, 33u, 64u, 200u}) {
    const std::string gap(spaces, ' ');
    for (int i = 0; i < 3; ++i) {
      text += "{\"" + name + "\":1," + gap + "\"" + longer + "\":" + gap + "2}" + gap + "\n";
      // The same but for one byte far into the text between the values.
      text += "{\"" + name + "\":1," + gap + "\"" + longer.substr(1) + "x\":" + gap + "2}" + gap + "\n";
    }
  }
  const ReadBack got = read_all(text, options);
  EXPECT_EQ(got.rows.size(), 42u);
  EXPECT_EQ(std::count(got.verbatim.begin(), got.verbatim.end(), true), 21);
  EXPECT_EQ(got.drift.size(), 1u);
}

TEST(NdjsonReader, UnneededColumnsAreCheckedButEmpty) {
  ReaderOptions options = reader_options(
      {make_field("a", TypeId::kInt8), make_field("b", TypeId::kString), make_field("c", TypeId::kInt8)});
  options.fields[0].needed = options.fields[1].needed = false;
  const ReadBack got = read_all(
      "{\"a\":1,\"b\":\"x\",\"c\":1}\n{\"a\":300,\"b\":\"y\",\"c\":2}\n{\"a\":1,\"b\":\"\\n\",\"c\":3}\n{\"a\":1,\"b\":"
      "\"zz\",\"c\":4}\n",
      options);
  EXPECT_THAT(got.rows, ElementsAre(R"({"a":null,"b":null,"c":1})", R"({"a":null,"b":null,"c":3})",
                                    R"({"a":null,"b":null,"c":4})"));
  EXPECT_EQ(got.bad.size(), 1u);
  EXPECT_THAT(got.verbatim, ElementsAre(true, true, true));
}

TEST(NdjsonReader, FullBatchesAndManyShapes) {
  std::string text;
  std::vector<std::string> expected;
  for (int i = 0; i < 10000; ++i) {
    const std::string n = std::to_string(i % 7 == 0 ? -i : i);
    switch (i % 6) {
      case 0:
        text += "{\"delay\":" + n + "}\n";
        break;
      case 1:
        text += "{\"delay\":" + n + ",\"zzz\":1}\n";
        break;
      case 2:
        text += "{ \"delay\":" + n + "}\r\n";
        break;
      case 3:
        text += "{\"distance\":null,\"delay\":" + n + "}\n";
        break;
      case 4:
        text += "{\"delay\":" + n + ",\"origin\":\"A\\u0042\"}\n";
        break;
      default:
        text += "{\"origin\":\"AB\",\"delay\":" + n + "}\n";
    }
    expected.push_back("{\"date\":null,\"delay\":" + n +
                       ",\"distance\":null,\"origin\":" + (i % 6 >= 4 ? "\"AB\"" : "null") + ",\"destination\":null}");
    if (expected.back().find(":-0,") != std::string::npos)
      expected.back().replace(expected.back().find(":-0,"), 4, ":0,");
  }
  const ReadBack got = read_all(text, flight_options());
  EXPECT_EQ(got.rows, expected);
  for (const auto& batch : got.batches) EXPECT_LE(batch.rows, columnar::kBatchRows);
}

TEST(NdjsonReader, ReadsOnBehindValuesThatAreNotOfTheirType) {
  ReaderOptions options = reader_options(
      {make_field("a", TypeId::kInt32), make_field("b", TypeId::kInt8), make_field("s.x", TypeId::kInt32),
       make_field("s.y", TypeId::kString), make_field("l", DataType::list(TypeId::kInt32)), make_field("t", TypeId::kString)});
  options.fields[5].default_value = Value(std::string("none"));
  const std::string text = R"({"a":1,"b":2,"s":{"x":3,"y":"z"},"l":[4],"t":"u"}
{"a":"x","b":2,"s":{"x":3,"y":"z"},"l":[4],"t":"u"}
{"t":"u","b":300,"a":null,"l":[1,"x","y"],"s":{"x":"x"},"new":1}
{"a":true,"s":[1],"b":1}
{"a":{"deep":[1]},"a":1,"b":2,"b":"x"}
{"a":"x","b":2,"s":{"x":3}} {
{"a":"x","b":"y","t":"u
{"a":1,"s":{},"s":{"x":1}}
{"a":7}
)";
  for (const size_t chunk : {size_t{1} << 19, size_t{80}}) {
    for (const hot::Loops* loops : {static_cast<const hot::Loops*>(nullptr), &no_loops()}) {
      const ReadBack got = read_back(text, options, chunk, loops);
      EXPECT_THAT(got.again,
                  ElementsAre(R"(wrong_type a | {"a":null,"b":2,"s":{"x":3,"y":"z"},"l":[4],"t":"u"})",
                              R"(out_of_range b, wrong_type l, wrong_type s.x | {"a":null,"b":null,"s":{"x":null,"y":null},"l":null,"t":"u"})",
                              R"(wrong_type a, wrong_type s.x | {"a":null,"b":1,"s":{"x":null,"y":null},"l":null,"t":"none"})",
                              R"(wrong_type a, duplicate_key b | {"a":null,"b":2,"s":{"x":null,"y":null},"l":null,"t":"none"})",
                              "wrong_type a, trailing_text", "wrong_type a, wrong_type b, truncated t", "duplicate_key"));
      EXPECT_EQ(got.rows.size(), 2u);
      EXPECT_TRUE(got.drift.empty()) << "of records that are refused nothing is counted";
    }
  }
}

}  // namespace
}  // namespace runink::connectors
