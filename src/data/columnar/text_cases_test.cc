// What Python's decimal, float, datetime and zoneinfo say about the same texts; see testdata/make_text_cases.py.
#include <gtest/gtest.h>

#include <bit>
#include <charconv>
#include <fstream>
#include <map>

#include "base/text.h"
#include "data/columnar/text.h"

namespace runink::columnar {
namespace {

struct Case {
  int line;
  std::vector<std::string> parts;
};

std::vector<Case> cases_of(std::string_view kind) {
  std::ifstream in("testdata/text_cases.tsv");
  std::vector<Case> cases;
  std::string line;
  for (int number = 1; std::getline(in, line); ++number) {
    Case c{number, {}};
    for (std::string_view part : split(line, '\t')) c.parts.emplace_back(part);
    if (c.parts[0] == kind) cases.push_back(std::move(c));
  }
  EXPECT_GT(cases.size(), 50u) << kind;
  return cases;
}

std::string error_name(TextError error) {
  switch (error) {
    case TextError::kOk: return "ok";
    case TextError::kMalformed: return "malformed";
    case TextError::kOutOfRange: return "range";
    case TextError::kInexact: return "inexact";
  }
  return "";
}

uint64_t bits_of(const std::string& hex) {
  uint64_t bits = 0;
  std::from_chars(hex.data(), hex.data() + hex.size(), bits, 16);
  return bits;
}

TEST(TextCases, decimals_are_those_of_python) {
  for (const auto& c : cases_of("decimal")) {
    int128 value = 0;
    const TextError error = parse_decimal(c.parts[1], std::stoi(c.parts[2]), std::stoi(c.parts[3]), &value);
    std::string got = error_name(error);
    if (error == TextError::kOk) {
      got.clear();
      append_decimal(got, value, 0);
    }
    EXPECT_EQ(got, c.parts[4]) << "line " << c.line << ": " << c.parts[1] << " " << c.parts[2] << "," << c.parts[3];
  }
}

TEST(TextCases, doubles_are_those_of_python) {
  for (const auto& c : cases_of("double")) {
    double value = 0;
    const TextError error = parse_double(c.parts[1], &value);
    if (c.parts[2] == "range") {
      EXPECT_EQ(error, TextError::kOutOfRange) << "line " << c.line << ": " << c.parts[1];
    } else {
      EXPECT_EQ(error, TextError::kOk) << "line " << c.line << ": " << c.parts[1];
      EXPECT_EQ(std::bit_cast<uint64_t>(value), bits_of(c.parts[2])) << "line " << c.line << ": " << c.parts[1];
    }
  }
}

TEST(TextCases, doubles_are_shown_as_python_shows_them) {
  for (const auto& c : cases_of("show_double")) {
    std::string text;
    append_double(text, std::bit_cast<double>(bits_of(c.parts[1])));
    EXPECT_EQ(text, c.parts[2]) << "line " << c.line;
  }
}

TEST(TextCases, formats_are_those_of_strftime) {
  for (const auto& c : cases_of("write_format")) {
    const auto format = TimeFormat::make(c.parts[1], TypeId::kTimestamp);
    ASSERT_TRUE(format.ok()) << format.status().to_string();
    std::string text;
    format->append(text, std::stoll(c.parts[2]));
    EXPECT_EQ(text, c.parts[3]) << "line " << c.line << ": " << c.parts[1];
  }
  for (const auto& c : cases_of("read_format")) {
    const auto format = TimeFormat::make(c.parts[1], TypeId::kTimestamp);
    ASSERT_TRUE(format.ok());
    int64_t micros = 0;
    EXPECT_EQ(format->parse(c.parts[2], &micros), TextError::kOk) << "line " << c.line << ": " << c.parts[2];
    EXPECT_EQ(micros, std::stoll(c.parts[3])) << "line " << c.line << ": " << c.parts[1] << " " << c.parts[2];
  }
}

TEST(TextCases, zones_are_those_of_python) {
  if (!TimeZone::find("Europe/Berlin").ok()) GTEST_SKIP() << "no time zones on this machine (package tzdata)";
  for (const auto& c : cases_of("zone_to_utc")) {
    const auto zone = TimeZone::find(c.parts[1]);
    ASSERT_TRUE(zone.ok()) << zone.status().to_string();
    EXPECT_EQ((*zone)->to_utc_micros(std::stoll(c.parts[2])), std::stoll(c.parts[3]))
        << "line " << c.line << ": " << c.parts[1] << " " << c.parts[2];
  }
  for (const auto& c : cases_of("zone_offset")) {
    const auto zone = TimeZone::find(c.parts[1]);
    ASSERT_TRUE(zone.ok());
    const int64_t when = std::stoll(c.parts[2]);
    EXPECT_EQ((*zone)->offset_at(when), std::stoll(c.parts[3])) << "line " << c.line << ": " << c.parts[1];
    EXPECT_EQ((*zone)->abbreviation_at(when), c.parts[4]) << "line " << c.line << ": " << c.parts[1];
  }
}

}  // namespace
}  // namespace runink::columnar
