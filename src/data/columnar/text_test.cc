#include "data/columnar/text.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "data/columnar/test_data.h"

namespace runink::columnar {
namespace {

constexpr auto kOk = TextError::kOk;
constexpr auto kMalformed = TextError::kMalformed;
constexpr auto kOutOfRange = TextError::kOutOfRange;
constexpr auto kInexact = TextError::kInexact;

TEST(Integers, read_the_whole_range) {
  const std::pair<const char*, int64_t> good[] = {{"0", 0}, {"-0", 0}, {"7", 7}, {"-7", -7}, {"12345678", 12345678},
      {"123456789", 123456789}, {"1234567890123456", 1234567890123456}, {"12345678901234567", 12345678901234567},
      {"9223372036854775807", INT64_MAX}, {"-9223372036854775808", INT64_MIN}, {"007", 7},
      {"0000000000000000000000000000000000000012", 12}, {"-00000000000000000000", 0}};
  for (const auto& [text, expected] : good) {
    int64_t value = 99;
    EXPECT_EQ(parse_int64(text, &value), kOk) << text;
    EXPECT_EQ(value, expected) << text;
  }
  int64_t value = 0;
  for (const char* text : {"", "-", "+1", " 1", "1 ", "1.0", "1e2", "0x1", "--1", "1-", "a", "12345678a", "1234567890123456x",
                           "123456789012345678901234567890x", "1/", "1:", "\xC2\xB2"}) {
    EXPECT_EQ(parse_int64(text, &value), kMalformed) << text;
  }
  for (const char* text : {"9223372036854775808", "-9223372036854775809", "18446744073709551616", "99999999999999999999",
                           "123456789012345678901234567890"}) {
    EXPECT_EQ(parse_int64(text, &value), kOutOfRange) << text;
  }
  uint64_t big = 0;
  EXPECT_EQ(parse_uint64("18446744073709551615", &big), kOk);
  EXPECT_EQ(big, UINT64_MAX);
  EXPECT_EQ(parse_uint64("18446744073709551616", &big), kOutOfRange);
  EXPECT_EQ(parse_uint64("-1", &big), kMalformed);
}

TEST(Integers, every_byte_that_is_no_digit_is_refused_at_every_place) {
  for (size_t length = 1; length <= 20; ++length) {
    for (size_t at = 0; at < length; ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        if ((byte >= '0' && byte <= '9') || (at == 0 && byte == '-' && length > 1)) continue;
        std::string text(length, '1');
        text[at] = static_cast<char>(byte);
        int64_t value = 0;
        ASSERT_EQ(parse_int64(text, &value), kMalformed) << length << " " << at << " " << byte;
      }
    }
  }
}

TEST(Integers, written_and_read_back) {
  std::mt19937_64 random(3);
  for (int i = 0; i < 20000; ++i) {
    const auto value = static_cast<int64_t>(random() >> (random() % 64)) * (random() % 2 == 0 ? 1 : -1);
    std::string text;
    append_int64(text, value);
    ASSERT_EQ(text, std::to_string(value));
    int64_t back = 0;
    ASSERT_EQ(parse_int64(text, &back), kOk);
    ASSERT_EQ(back, value);
  }
  for (int digits = 0; digits < 20; ++digits) {
    uint64_t power = 1;
    for (int i = 0; i < digits; ++i) power *= 10;
    for (uint64_t value : {power - 1, power, power + 1}) {
      std::string text;
      append_uint64(text, value);
      EXPECT_EQ(text, std::to_string(value));
    }
  }
  std::string text;
  append_int64(text, INT64_MIN);
  append_uint64(text, UINT64_MAX);
  EXPECT_EQ(text, "-922337203685477580818446744073709551615");
}

TEST(Doubles, forms) {
  double value = 0;
  for (const char* text : {"", "-", ".", "-.", "e5", "1e", "1e+", "+1", " 1", "1 ", "1.2.3", "0x10", "1_000", "1,5", "nan",
                           "inf", "-inf", "Infinity", "1e5.5", "1f"}) {
    EXPECT_EQ(parse_double(text, &value), kMalformed) << text;
  }
  EXPECT_EQ(parse_double("5.", &value), kOk);
  EXPECT_EQ(parse_double("-.5", &value), kOk);
  EXPECT_EQ(value, -0.5);
  EXPECT_EQ(parse_double("-0", &value), kOk);
  EXPECT_TRUE(std::signbit(value));
  EXPECT_EQ(parse_double("1e99999999999999999999", &value), kOutOfRange);
  EXPECT_EQ(parse_double("1e-99999999999999999999", &value), kOk);
  EXPECT_EQ(value, 0);
  EXPECT_EQ(parse_double("0e99999999999999999999", &value), kOk);
  EXPECT_EQ(value, 0);
  EXPECT_EQ(parse_double("NaN", &value, true), kOk);
  EXPECT_TRUE(std::isnan(value));
  EXPECT_EQ(parse_double("-Infinity", &value, true), kOk);
  EXPECT_EQ(value, -INFINITY);
  EXPECT_EQ(parse_double("1e400", &value, true), kOutOfRange);
}

TEST(Doubles, written_and_read_back) {
  std::mt19937_64 random(4);
  for (int i = 0; i < 20000; ++i) {
    const double value = std::bit_cast<double>(random());
    if (!std::isfinite(value)) continue;
    std::string text;
    append_double(text, value);
    double back = 0;
    ASSERT_EQ(parse_double(text, &back), kOk) << text;
    ASSERT_EQ(std::bit_cast<uint64_t>(back), std::bit_cast<uint64_t>(value)) << text;
    const float narrow = std::bit_cast<float>(static_cast<uint32_t>(random()));
    if (!std::isfinite(narrow)) continue;
    text.clear();
    append_float(text, narrow);
    float narrow_back = 0;
    ASSERT_EQ(parse_float(text, &narrow_back), kOk) << text;
    ASSERT_EQ(std::bit_cast<uint32_t>(narrow_back), std::bit_cast<uint32_t>(narrow)) << text;
    ASSERT_LE(text.size(), 32u);
  }
}

TEST(Doubles, floats_round_once) {
  // Rounded to double first, this text lies exactly between two floats and would go to the even one.
  float value = 0;
  EXPECT_EQ(parse_float("1.00000017881393432617187499", &value), kOk);
  EXPECT_EQ(value, 1.00000011920928955078125f);
  EXPECT_EQ(parse_float("3.5e38", &value), kOutOfRange);
  EXPECT_EQ(parse_float("1e-60", &value), kOk);
  EXPECT_EQ(value, 0.0f);
}

TEST(Decimals, are_exact) {
  int128 value = 0;
  EXPECT_EQ(parse_decimal("12.34", 12, 2, &value), kOk);
  EXPECT_EQ(static_cast<int64_t>(value), 1234);
  EXPECT_EQ(parse_decimal("12.345", 12, 2, &value), kInexact);
  EXPECT_EQ(parse_decimal("12.3400", 12, 2, &value), kOk);
  EXPECT_EQ(parse_decimal("99999999999.99", 12, 2, &value), kOutOfRange);
  EXPECT_EQ(parse_decimal("1e999999999999", 38, 0, &value), kOutOfRange);
  EXPECT_EQ(parse_decimal("1e-999999999999", 38, 38, &value), kInexact);
  EXPECT_EQ(parse_decimal("1,5", 12, 2, &value), kMalformed);
  EXPECT_EQ(parse_decimal("", 12, 2, &value), kMalformed);
  std::string text;
  append_decimal(text, -5, 2);
  text += ' ';
  append_decimal(text, 0, 3);
  text += ' ';
  append_decimal(text, 123456, 3);
  text += ' ';
  append_decimal(text, -(static_cast<int128>(1) << 126), 38);
  EXPECT_EQ(text, "-0.05 0.000 123.456 -0.85070591730234615865843651857942052864");
}

TEST(Booleans, only_true_and_false) {
  bool value = false;
  EXPECT_EQ(parse_bool("TRUE", &value), kOk);
  EXPECT_TRUE(value);
  EXPECT_EQ(parse_bool("False", &value), kOk);
  EXPECT_FALSE(value);
  for (const char* text : {"", "1", "yes", "t", "truee", "tru", "\x54\x12\x15\x05"}) EXPECT_EQ(parse_bool(text, &value), kMalformed);
}

TEST(Dates, iso) {
  int32_t days = 0;
  EXPECT_EQ(parse_date("1970-01-01", &days), kOk);
  EXPECT_EQ(days, 0);
  EXPECT_EQ(parse_date("2000-02-29", &days), kOk);
  EXPECT_EQ(parse_date("1900-02-29", &days), kOutOfRange);
  EXPECT_EQ(parse_date("2023-02-30", &days), kOutOfRange);
  EXPECT_EQ(parse_date("2023-13-01", &days), kOutOfRange);
  EXPECT_EQ(parse_date("2023-00-01", &days), kOutOfRange);
  EXPECT_EQ(parse_date("2023-01-00", &days), kOutOfRange);
  EXPECT_EQ(parse_date("0000-01-01", &days), kOutOfRange);
  for (const char* text : {"", "2023-1-1", "2023/01/01", "2023-01-01 ", "20230101", "+2023-01-1", "2023-01-0a"}) {
    EXPECT_EQ(parse_date(text, &days), kMalformed) << text;
  }
}

TEST(Dates, every_day_of_ten_thousand_years_there_and_back) {
  const int32_t first = days_from_civil(1, 1, 1), last = days_from_civil(9999, 12, 31);
  EXPECT_EQ(first, -719162);
  EXPECT_EQ(last, 2932896);
  char text[16];
  for (int32_t day = first; day <= last; day += day % 7 == 0 ? 1 : 3) {
    int32_t back = 0;
    ASSERT_EQ(parse_date({text, static_cast<size_t>(write_date(text, day) - text)}, &back), kOk);
    ASSERT_EQ(back, day);
    const CivilDate civil = civil_from_days(day);
    ASSERT_EQ(days_from_civil(civil.year, civil.month, civil.day), day);
    ASSERT_LE(civil.day, days_in_month(civil.year, civil.month));
  }
}

TEST(Times, iso) {
  int64_t micros = 0;
  EXPECT_EQ(parse_time("18:20", &micros), kOk);
  EXPECT_EQ(micros, 66000000000);
  EXPECT_EQ(parse_time("23:59:59.999999", &micros), kOk);
  EXPECT_EQ(micros, 86399999999);
  EXPECT_EQ(parse_time("00:00:00.5", &micros), kOk);
  EXPECT_EQ(micros, 500000);
  EXPECT_EQ(parse_time("00:00:00.123456789", &micros), kInexact);
  EXPECT_EQ(parse_time("00:00:00.123456000", &micros), kOk);
  EXPECT_EQ(parse_time("24:00", &micros), kOutOfRange);
  EXPECT_EQ(parse_time("12:60", &micros), kOutOfRange);
  EXPECT_EQ(parse_time("12:00:60", &micros), kOutOfRange);
  for (const char* text : {"", "1:00", "12", "12:0", "12:00:", "12:00:0", "12:00:00.", "12:00:00.1234567890", "12:00Z"}) {
    EXPECT_EQ(parse_time(text, &micros), kMalformed) << text;
  }
}

TEST(Timestamps, iso) {
  int64_t micros = 0;
  const auto good = [&](const char* text) {
    EXPECT_EQ(parse_timestamp(text, &micros), kOk) << text;
    return micros;
  };
  constexpr int64_t kMoment = 979150800000000;
  for (const char* text : {"2001-01-10T18:20:00Z", "2001-01-10T18:20Z", "2001-01-10 18:20:00", "2001-01-10t18:20:00z",
                           "2001-01-10T19:20:00+01:00", "2001-01-10T19:20:00+01", "2001-01-10T19:20:00+0100",
                           "2001-01-10T13:50:00-04:30", "2001-01-10T18:20:00.000000Z", "2001-01-10T18:20:00,0"}) {
    EXPECT_EQ(good(text), kMoment) << text;
  }
  EXPECT_EQ(good("2001-01-10"), kMoment - 66000000000);
  EXPECT_EQ(good("1969-12-31T23:59:59.999999Z"), -1);
  EXPECT_EQ(good("0001-01-01T00:00:00Z"), -62135596800000000);
  for (const char* text : {"", "2001-01-10T", "2001-01-10T18", "2001-01-10X18:20:00", "2001-01-10T18:20:00 Z",
                           "2001-01-10T18:20:00ZZ", "2001-01-10T18:20:00+1", "2001-01-10T18:20:00+01:0",
                           "2001-01-10T18:20:00+01:000", "2001-01-10  18:20"}) {
    EXPECT_EQ(parse_timestamp(text, &micros), kMalformed) << text;
  }
  EXPECT_EQ(parse_timestamp("2001-01-10T18:20:00+24:00", &micros), kOutOfRange);
  EXPECT_EQ(parse_timestamp("2001-02-29T18:20:00", &micros), kOutOfRange);
  EXPECT_EQ(parse_timestamp("2001-01-10T18:20:00.1234567Z", &micros), kInexact);
}

TEST(Timestamps, are_in_the_zone_only_when_they_name_none) {
  const auto zone = TimeZone::find("+05:30");
  ASSERT_TRUE(zone.ok());
  int64_t micros = 0;
  EXPECT_EQ(parse_timestamp("2001-01-10T18:20:00", &micros, zone->get()), kOk);
  EXPECT_EQ(micros, 979150800000000 - 19800000000);
  EXPECT_EQ(parse_timestamp("2001-01-10T18:20:00Z", &micros, zone->get()), kOk);
  EXPECT_EQ(micros, 979150800000000);
}

TEST(Timestamps, are_written_with_microseconds_only_when_there_are) {
  std::string text;
  append_timestamp(text, 979150800000000);
  text += ' ';
  append_timestamp(text, 979150800000010);
  text += ' ';
  append_timestamp(text, -1);
  EXPECT_EQ(text, "2001-01-10T18:20:00Z 2001-01-10T18:20:00.000010Z 1969-12-31T23:59:59.999999Z");
  // No value misprints or overruns, however far away.
  char out[64];
  for (int64_t value : {INT64_MIN, INT64_MAX}) EXPECT_LE(write_timestamp(out, value) - out, 30);
}

TEST(Durations, both_forms) {
  int64_t micros = 0;
  const std::pair<const char*, int64_t> good[] = {
      {"P1DT2H", 93600000000}, {"PT0S", 0}, {"P2W", 1209600000000}, {"PT1.5S", 1500000}, {"-PT0.000001S", -1},
      {"PT0.5H", 1800000000}, {"2h30m", 9000000000}, {"90s", 90000000}, {"1.5h", 5400000000}, {"250ms", 250000},
      {"10us", 10}, {"7d", 604800000000}, {"-1d12h", -129600000000}, {"0s", 0}, {"1h1ms", 3600001000},
      {"PT9223372036854.775807S", INT64_MAX}, {"-PT9223372036854.775808S", INT64_MIN}};
  for (const auto& [text, expected] : good) {
    EXPECT_EQ(parse_duration(text, &micros), kOk) << text;
    EXPECT_EQ(micros, expected) << text;
  }
  for (const char* text : {"", "-", "P", "PT", "P1DT", "P1Y", "P1M", "PT1H1D", "PT1S1M", "1", "h", "30m2h", "1h1h", "1 h", "PT1.S",
                           "PT1.5M1S", "+1h", "1.5", "P1.5", "T1H", "1H"}) {
    EXPECT_EQ(parse_duration(text, &micros), kMalformed) << text;
  }
  EXPECT_EQ(parse_duration("PT0.0000001S", &micros), kInexact);
  EXPECT_EQ(parse_duration("0.5us", &micros), kInexact);
  EXPECT_EQ(parse_duration("99999999999999999999999999999999999999999999999w", &micros), kOutOfRange);
  EXPECT_EQ(parse_duration("PT9223372036854.775808S", &micros), kOutOfRange);
}

TEST(Durations, written_and_read_back) {
  std::mt19937_64 random(6);
  for (int i = 0; i < 5000; ++i) {
    const auto value = static_cast<int64_t>(random() >> (random() % 64)) * (random() % 2 == 0 ? 1 : -1);
    std::string text;
    append_duration(text, value);
    int64_t back = 0;
    ASSERT_EQ(parse_duration(text, &back), kOk) << text;
    ASSERT_EQ(back, value) << text;
  }
  std::string text;
  append_duration(text, 95400000000);
  append_duration(text, -500000);
  append_duration(text, 86400000000);
  append_duration(text, INT64_MIN);
  EXPECT_EQ(text, "P1DT2H30M-PT0.5SP1D-P106751991DT4H54.775808S");
}

TEST(Uuids, read_and_written) {
  uint8_t bytes[16];
  EXPECT_EQ(parse_uuid("00112233-4455-6677-8899-AaBbCcDdEeFf", bytes), kOk);
  std::string text;
  append_uuid(text, bytes);
  EXPECT_EQ(text, "00112233-4455-6677-8899-aabbccddeeff");
  for (const char* bad : {"", "00112233445566778899aabbccddeeff", "00112233-4455-6677-8899-aabbccddeefg",
                          "{0112233-4455-6677-8899-aabbccddeeff", "001122334-455-6677-8899-aabbccddeeff"}) {
    EXPECT_EQ(parse_uuid(bad, bytes), kMalformed) << bad;
  }
}

TEST(Base64, rfc_4648_vectors) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    std::string out;
    append_base64(out, bytes);
    EXPECT_EQ(out, text);
    EXPECT_EQ(parse_base64(text, &out), kOk);
    EXPECT_EQ(out, bytes);
  }
  std::string out;
  for (const char* text : {"Z", "Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zm 9v", "Zg==Zg==", "Zm9v\n"}) {
    EXPECT_EQ(parse_base64(text, &out), kMalformed) << text;
  }
}

TEST(Json, is_checked) {
  for (const char* text : {"null", " [1, -0.5e+3, \"\\u00e9\\ud83d\\ude00\"] ", "{}", "{\"a\":{\"b\":[]}}", "0", "\"\""}) {
    EXPECT_TRUE(is_valid_json(text)) << text;
  }
  for (const char* text : {"", "nul", "01", "1.", ".5", "+1", "[1,]", "{\"a\"}", "{\"a\":1,}", "{a:1}", "'a'", "\"\\x\"",
                           "\"\\ud800\"", "\"\\udc00\"", "\"\n\"", "[", "]", "{", "\"", "1 2", "\"\xFF\"", "NaN", "--1"}) {
    EXPECT_FALSE(is_valid_json(text)) << text;
  }
  EXPECT_TRUE(is_valid_json(std::string(500, '[') + std::string(500, ']')));
  EXPECT_FALSE(is_valid_json(std::string(100000, '[')));
  EXPECT_FALSE(is_valid_json(std::string(600, '[') + std::string(600, ']')));
}

TEST(Json, values_of_types) {
  const auto roundtrip = [](const char* json, const DataType& type) -> std::string {
    Value value;
    const TextError error = parse_json_value(json, type, &value);
    return error == kOk ? value_to_json(type, value) : error == kMalformed ? "malformed" : error == kInexact ? "inexact" : "range";
  };
  const auto address = DataType::structure({{"city", TypeId::kString, true, {}, {}}, {"zip", TypeId::kInt32, true, {}, {}}});
  EXPECT_EQ(roundtrip("[1, null, 3]", DataType::list(TypeId::kInt8)), "[1,null,3]");
  EXPECT_EQ(roundtrip("[1, 300]", DataType::list(TypeId::kInt8)), "range");
  EXPECT_EQ(roundtrip("[]", DataType::list(TypeId::kInt8)), "[]");
  EXPECT_EQ(roundtrip("[1,]", DataType::list(TypeId::kInt8)), "malformed");
  EXPECT_EQ(roundtrip(R"([{"zip": 5, "city": "a"}, {}])", DataType::list(address)),
            R"([{"city":"a","zip":5},{"city":null,"zip":null}])");
  EXPECT_EQ(roundtrip(R"({"zip":1,"zip":2})", address), "malformed");
  EXPECT_EQ(roundtrip(R"({"street":1})", address), "malformed");
  EXPECT_EQ(roundtrip("12.345", DataType::decimal(12, 2)), "inexact");
  EXPECT_EQ(roundtrip("\"12\"", TypeId::kInt32), "malformed");
  EXPECT_EQ(roundtrip("12", TypeId::kString), "malformed");
  EXPECT_EQ(roundtrip("1e400", TypeId::kFloat64), "range");
  EXPECT_EQ(roundtrip(" {\"a\": [1]} ", TypeId::kJson), "{\"a\": [1]}");
  EXPECT_EQ(roundtrip("null", TypeId::kJson), "null");
  EXPECT_EQ(roundtrip("null", TypeId::kInt32), "null");
  EXPECT_EQ(roundtrip("\"2001-01-10\"", TypeId::kDate), "\"2001-01-10\"");
  EXPECT_EQ(roundtrip("\"b\"", DataType::enumeration({"a", "b"})), "\"b\"");
  EXPECT_EQ(roundtrip("\"c\"", DataType::enumeration({"a", "b"})), "range");
  EXPECT_EQ(roundtrip("true", TypeId::kBool), "true");
  EXPECT_EQ(roundtrip("\"true\"", TypeId::kBool), "malformed");
}

TEST(FieldText, reads_and_writes_in_the_form_of_the_field) {
  const Field field{"date", TypeId::kTimestamp, true, "%Y/%m/%d %H:%M", "+01:00"};
  const auto text = FieldText::make(field);
  ASSERT_TRUE(text.ok()) << text.status().to_string();
  ColumnBuilder builder(field.type);
  EXPECT_EQ(text->append_parsed("2001/01/10 19:20", builder), kOk);
  EXPECT_EQ(text->append_parsed("2001-01-10T19:20", builder), kMalformed);
  EXPECT_EQ(text->append_parsed("2001/02/30 19:20", builder), kOutOfRange);
  builder.append_null();
  const Column column = builder.finish();
  ASSERT_EQ(column.length, 2);
  EXPECT_EQ(column.data<int64_t>()[0], 979150800000000);
  std::string out;
  text->append_plain(column, 0, out);
  text->append_plain(column, 1, out);
  text->append_json(column, 0, out);
  text->append_json(column, 1, out);
  EXPECT_EQ(out, "2001/01/10 19:20\"2001/01/10 19:20\"null");
  out.clear();
  append_value_text(column, 0, field, out);
  append_value_text(column, 1, field, out);
  EXPECT_EQ(out, "2001/01/10 19:20null");
}

TEST(FieldText, every_type_reads_what_it_writes_into_a_column) {
  const Batch batch = sample_batch(71, 400, 0.0);
  for (size_t c = 0; c < batch.columns.size(); ++c) {
    const DataType& type = batch.schema->field(c).type;
    if (type.id() == TypeId::kNull) continue;
    const FieldText text(type);
    for (int64_t row = 0; row < batch.rows; ++row) {
      const Column& column = batch.columns[c];
      const Value value = value_at(column, row);
      if (value.data.index() == 4 && !std::isfinite(value.as_double())) continue;
      ColumnBuilder plain(type), json(type);
      std::string shown, quoted;
      text.append_plain(column, row, shown);
      text.append_json(column, row, quoted);
      ASSERT_TRUE(is_valid_json(quoted)) << quoted;
      ASSERT_EQ(text.append_parsed(shown, plain), kOk) << type.to_string() << " " << shown;
      ASSERT_EQ(text.append_json_parsed(quoted, json), kOk) << type.to_string() << " " << quoted;
      EXPECT_EQ(compare_values(value_at(plain.finish(), 0), value), 0) << type.to_string() << " " << shown;
      EXPECT_EQ(compare_values(value_at(json.finish(), 0), value), 0) << type.to_string() << " " << quoted;
    }
  }
}

TEST(FieldText, integers_outside_their_type_are_refused) {
  const std::pair<TypeId, std::pair<const char*, const char*>> limits[] = {
      {TypeId::kInt8, {"-128", "128"}}, {TypeId::kInt16, {"-32768", "32768"}}, {TypeId::kInt32, {"-2147483648", "2147483648"}},
      {TypeId::kInt64, {"-9223372036854775808", "9223372036854775808"}}, {TypeId::kUInt8, {"255", "256"}},
      {TypeId::kUInt16, {"65535", "65536"}}, {TypeId::kUInt32, {"4294967295", "4294967296"}},
      {TypeId::kUInt64, {"18446744073709551615", "18446744073709551616"}}, {TypeId::kUInt32, {"0", "-1"}}};
  for (const auto& [type, texts] : limits) {
    const FieldText text{DataType(type)};
    ColumnBuilder builder{DataType(type)};
    EXPECT_EQ(text.append_parsed(texts.first, builder), kOk);
    EXPECT_EQ(text.append_parsed(texts.second, builder), kOutOfRange) << texts.second;
    EXPECT_EQ(value_to_display(type, value_at(builder.finish(), 0)), texts.first);
  }
}

TEST(FieldText, errors_say_what_the_text_is_not) {
  const auto message = [](const Field& field, const char* text) {
    const auto made = FieldText::make(field);
    return made->parse(text).status().to_string();
  };
  EXPECT_EQ(message({"x", TypeId::kFloat64, true, {}, {}}, "1e400"), "\"1e400\" is outside float64");
  EXPECT_EQ(message({"x", TypeId::kInt32, true, {}, {}}, "abc"), "\"abc\" is not an int32");
  EXPECT_EQ(message({"x", TypeId::kInt8, true, {}, {}}, "128"), "\"128\" is outside int8");
  EXPECT_EQ(message({"x", TypeId::kUInt8, true, {}, {}}, "-1"), "\"-1\" is outside uint8");
  EXPECT_EQ(message({"x", DataType::decimal(12, 2), true, {}, {}}, "1.005"), "\"1.005\" has more digits than decimal(12,2) keeps");
  EXPECT_EQ(message({"x", TypeId::kDate, true, "%d.%m.%Y", {}}, "1.1.2001"),
            "\"1.1.2001\" is not a date in the form \"%d.%m.%Y\"");
  EXPECT_EQ(message({"x", TypeId::kInt32, true, {}, {}}, ""), "\"\" is not an int32");
}

TEST(FieldText, refuses_formats_and_zones_where_they_mean_nothing) {
  EXPECT_FALSE(FieldText::make({"x", TypeId::kInt32, true, "%Y", {}}).ok());
  EXPECT_FALSE(FieldText::make({"x", TypeId::kDate, true, {}, "Europe/Berlin"}).ok());
  EXPECT_FALSE(FieldText::make({"x", TypeId::kTimestamp, true, {}, "Nowhere/Atall"}).ok());
  EXPECT_FALSE(FieldText::make({"x", TypeId::kDate, true, "%Y", {}}).ok());
}

}  // namespace
}  // namespace runink::columnar
