// Rules: every kernel at every vector level of this machine against the plain per-row form, and tables against RE2.
#include "data/expr/rules.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "data/columnar/builder.h"

namespace runink::expr {
namespace {

using columnar::Column;
using columnar::ColumnBuilder;
using columnar::DataType;
using columnar::TypeId;
using columnar::Value;

class RestoreLevel {
 public:
  ~RestoreLevel() { force_vector_level(level_); }

 private:
  VectorLevel level_ = vector_level();
};

std::vector<VectorLevel> levels() {
  std::vector<VectorLevel> out;
  for (const VectorLevel level : {VectorLevel::kBaseline, VectorLevel::kAvx2, VectorLevel::kAvx512}) {
    if (level <= best_vector_level()) out.push_back(level);
  }
  return out;
}

const std::vector<int64_t>& sizes() {
  static const std::vector<int64_t> list = {0, 1, 7, 8, 63, 64, 65, 127, 200, 2048, 2049};
  return list;
}

// All levels agree with passes(), and only the asked bit changes.
void expect_same(const RulePtr& rule, const Column& column, const std::string& what) {
  RestoreLevel restore;
  for (const VectorLevel level : levels()) {
    ASSERT_TRUE(force_vector_level(level));
    std::vector<uint8_t> failed(static_cast<size_t>(column.length) + 8, 0x41);
    rule->check(column, failed.data(), 0x08);
    for (int64_t i = 0; i < column.length; ++i) {
      const uint8_t wanted = rule->passes(column, i) ? 0x41 : 0x49;
      ASSERT_EQ(failed[static_cast<size_t>(i)], wanted) << what << " " << rule->text() << " row " << i << " of "
                                                        << column.length << " at " << vector_level_name(level);
    }
    for (size_t i = static_cast<size_t>(column.length); i < failed.size(); ++i)
      ASSERT_EQ(failed[i], 0x41) << "beyond the rows";
  }
}

RulePtr must(Result<RulePtr> rule) {
  EXPECT_TRUE(rule.ok()) << rule.status().to_string();
  return rule.ok() ? *rule : rule_not_null();
}

// Mostly good values, so that fast paths and slow ones both run.
template <typename T>
Column numbers(TypeId id, int64_t rows, double null_share, std::mt19937_64& random) {
  ColumnBuilder out(id);
  std::uniform_real_distribution<double> chance(0, 1);
  for (int64_t i = 0; i < rows; ++i) {
    if (chance(random) < null_share) {
      out.append_null();
      continue;
    }
    T v = static_cast<T>(random() % 100);
    if (chance(random) < 0.02) v = std::numeric_limits<T>::max();
    if (chance(random) < 0.02) v = std::numeric_limits<T>::lowest();
    if (std::is_floating_point_v<T> && chance(random) < 0.02) v = std::numeric_limits<T>::quiet_NaN();
    if (std::is_floating_point_v<T> && chance(random) < 0.02) v = std::numeric_limits<T>::infinity();
    out.append_fixed<T>(v);
  }
  return out.finish();
}

template <typename T>
void check_ranges(TypeId id, std::mt19937_64& random) {
  const auto value = [](int v) {
    return std::is_floating_point_v<T> ? Value(static_cast<double>(v)) : Value(static_cast<int64_t>(v));
  };
  for (const int64_t rows : sizes()) {
    for (const double nulls : {0.0, 0.3}) {
      const Column column = numbers<T>(id, rows, nulls, random);
      expect_same(must(rule_range(id, value(5), value(95))), column, "range");
      expect_same(must(rule_range(id, value(1), std::nullopt)), column, "min");
      expect_same(must(rule_range(id, std::nullopt, value(90))), column, "max");
      expect_same(must(rule_range(id, value(7), value(7))), column, "one value");
    }
  }
}

TEST(Rules, RangesOfEveryType) {
  std::mt19937_64 random(1);
  check_ranges<int8_t>(TypeId::kInt8, random);
  check_ranges<int16_t>(TypeId::kInt16, random);
  check_ranges<int32_t>(TypeId::kInt32, random);
  check_ranges<int64_t>(TypeId::kInt64, random);
  check_ranges<uint8_t>(TypeId::kUInt8, random);
  check_ranges<uint16_t>(TypeId::kUInt16, random);
  check_ranges<uint32_t>(TypeId::kUInt32, random);
  check_ranges<uint64_t>(TypeId::kUInt64, random);
  check_ranges<float>(TypeId::kFloat32, random);
  check_ranges<double>(TypeId::kFloat64, random);
  check_ranges<int32_t>(TypeId::kDate, random);
  check_ranges<int64_t>(TypeId::kTimestamp, random);
  check_ranges<int64_t>(TypeId::kDuration, random);
}

TEST(Rules, RangesIncludeTheirEndsAndNaNIsOutside) {
  const auto rule = must(rule_range(TypeId::kFloat64, Value(0.0), Value(1.0)));
  const Column column =
      columnar::make_column(TypeId::kFloat64, {Value(0.0), Value(1.0), Value(std::nan("")), Value(), Value(1.0000001)});
  std::vector<uint8_t> failed(5, 0);
  rule->check(column, failed.data());
  EXPECT_EQ(failed, (std::vector<uint8_t>{0, 0, 1, 0, 1}));
}

TEST(Rules, DecimalRange) {
  const DataType type = DataType::decimal(12, 2);
  const auto rule = must(rule_range(type, Value(columnar::int128{100}), Value(int64_t{2})));
  EXPECT_EQ(rule->text(), "range(1.00, 2.00)");
  const Column column =
      columnar::make_column(type, {Value(columnar::int128{100}), Value(columnar::int128{200}),
                                   Value(columnar::int128{201}), Value(), Value(columnar::int128{99})});
  std::vector<uint8_t> failed(5, 0);
  rule->check(column, failed.data());
  EXPECT_EQ(failed, (std::vector<uint8_t>{0, 0, 1, 0, 1}));
  expect_same(rule, column, "decimal");
}

TEST(Rules, BoundsBeyondTheType) {
  std::mt19937_64 random(2);
  const Column column = numbers<int8_t>(TypeId::kInt8, 200, 0.1, random);
  expect_same(must(rule_range(TypeId::kInt8, Value(int64_t{-1000}), Value(int64_t{1000}))), column, "wide");
  const auto none = must(rule_range(TypeId::kInt8, Value(int64_t{1000}), std::nullopt));
  for (int64_t i = 0; i < column.length; ++i) EXPECT_EQ(none->passes(column, i), column.is_null(i));
  expect_same(none, column, "unreachable");
}

TEST(Rules, WrongRulesAreRefused) {
  EXPECT_FALSE(rule_range(TypeId::kString, Value(int64_t{1}), std::nullopt).ok());
  EXPECT_FALSE(rule_range(TypeId::kInt32, std::nullopt, std::nullopt).ok());
  EXPECT_FALSE(rule_range(TypeId::kInt32, Value(int64_t{2}), Value(int64_t{1})).ok());
  EXPECT_FALSE(rule_range(TypeId::kInt32, Value(std::string("x")), std::nullopt).ok());
  EXPECT_FALSE(rule_range(TypeId::kFloat64, Value(std::nan("")), std::nullopt).ok());
  EXPECT_FALSE(rule_length(TypeId::kInt32, 1, 2).ok());
  EXPECT_FALSE(rule_length(TypeId::kString, 3, 2).ok());
  EXPECT_FALSE(rule_pattern(TypeId::kInt32, "x").ok());
  EXPECT_FALSE(rule_pattern(TypeId::kString, "[a-").ok());
  EXPECT_FALSE(rule_pattern(TypeId::kString, std::string(5000, 'a')).ok());
  EXPECT_FALSE(rule_one_of(TypeId::kString, {}).ok());
  EXPECT_FALSE(rule_enum(TypeId::kInt32).ok());
  const auto wrong = rule_one_of(DataType::enumeration({"economy", "first"}), {Value(std::string("econmy"))});
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.status().hint(), "did you mean \"economy\"?");
}

TEST(Rules, NotNull) {
  std::mt19937_64 random(3);
  for (const int64_t rows : sizes()) {
    expect_same(rule_not_null(), numbers<int32_t>(TypeId::kInt32, rows, 0.0, random), "all valid");
    expect_same(rule_not_null(), numbers<int32_t>(TypeId::kInt32, rows, 0.4, random), "some null");
    expect_same(rule_not_null(), columnar::make_null_column(TypeId::kString, rows), "all null");
  }
}

// Texts that follow `good` often, and are broken in some way else.
Column texts(int64_t rows, double null_share, double broken_share, const std::vector<std::string>& good,
             std::mt19937_64& random) {
  static const std::vector<std::string> kPieces = {
      "", "a", "A", "é", "漢", "1", "-", " ", "zz", "_", "\n", "Z9", "longer than eight bytes"};
  ColumnBuilder out(TypeId::kString);
  std::uniform_real_distribution<double> chance(0, 1);
  for (int64_t i = 0; i < rows; ++i) {
    if (chance(random) < null_share) {
      out.append_null();
      continue;
    }
    std::string text = good[random() % good.size()];
    if (chance(random) < broken_share) {
      const std::string& piece = kPieces[random() % kPieces.size()];
      switch (random() % 3) {
        case 0:
          text += piece;
          break;
        case 1:
          text = piece;
          break;
        default:
          if (!text.empty()) text[random() % text.size()] = piece.empty() ? 'x' : piece[0] < 0 ? '?' : piece[0];
      }
    }
    out.append_text(text);
  }
  return out.finish();
}

TEST(Rules, Lengths) {
  std::mt19937_64 random(4);
  for (const int64_t rows : sizes()) {
    for (const double broken : {0.0, 0.05, 0.5}) {
      const Column column = texts(rows, 0.1, broken, {"abc", "x", "Zürich", "", "four"}, random);
      expect_same(must(rule_length(TypeId::kString, 1, 4)), column, "length");
      expect_same(must(rule_length(TypeId::kString, std::nullopt, 6)), column, "most");
      expect_same(must(rule_length(TypeId::kString, 3, std::nullopt)), column, "least");
      expect_same(must(rule_length(TypeId::kString, uint64_t{1} << 40, std::nullopt)), column, "never");
    }
  }
  const Column one = columnar::make_column(TypeId::kString, {Value(std::string("Zürich")), Value(std::string("漢字"))});
  EXPECT_TRUE(must(rule_length(TypeId::kString, 6, 6))->passes(one, 0));
  EXPECT_TRUE(must(rule_length(TypeId::kString, 2, 2))->passes(one, 1));
  const Column lists =
      columnar::make_column(DataType::list(TypeId::kInt32),
                            {Value(std::vector<Value>{int64_t{1}, int64_t{2}}), Value(std::vector<Value>{}), Value()});
  const auto rule = must(rule_length(lists.type, 1, 2));
  EXPECT_TRUE(rule->passes(lists, 0));
  EXPECT_FALSE(rule->passes(lists, 1));
  EXPECT_TRUE(rule->passes(lists, 2));
  expect_same(rule, lists, "list");
}

TEST(Rules, MembersOfTexts) {
  std::mt19937_64 random(5);
  const std::vector<Value> few = {Value(std::string("economy")), Value(std::string("business")), Value(std::string("")),
                                  Value(std::string("N/A"))};
  std::vector<Value> many, longer = few;
  for (int i = 0; i < 40; ++i) many.push_back(Value("label" + std::to_string(i)));
  longer.push_back(Value(std::string("longer than eight")));
  for (const int64_t rows : sizes()) {
    const Column column =
        texts(rows, 0.1, 0.1, {"economy", "business", "", "N/A", "label7", "longer than eight", "econom", "businessy"},
              random);
    expect_same(must(rule_one_of(TypeId::kString, few)), column, "few short");
    expect_same(must(rule_one_of(TypeId::kString, many)), column, "many");
    expect_same(must(rule_one_of(TypeId::kString, longer)), column, "long");
  }
  const auto rule = must(rule_one_of(TypeId::kString, few));
  const Column one = columnar::make_column(
      TypeId::kString, {Value(std::string("N/A")), Value(std::string("N/A\0", 4)), Value(std::string())});
  EXPECT_TRUE(rule->passes(one, 0));
  EXPECT_FALSE(rule->passes(one, 1)) << "a NUL behind is another text";
  expect_same(rule, one, "NUL");
}

TEST(Rules, MembersOfNumbers) {
  std::mt19937_64 random(6);
  std::vector<Value> few = {Value(int64_t{3}), Value(int64_t{50}), Value(int64_t{99})}, many;
  for (int64_t i = 0; i < 90; i += 2) many.push_back(Value(i));
  for (const int64_t rows : sizes()) {
    for (const auto& members : {few, many}) {
      expect_same(must(rule_one_of(TypeId::kInt32, members)), numbers<int32_t>(TypeId::kInt32, rows, 0.1, random),
                  "int32");
      expect_same(must(rule_one_of(TypeId::kInt64, members)), numbers<int64_t>(TypeId::kInt64, rows, 0.1, random),
                  "int64");
      expect_same(must(rule_one_of(TypeId::kUInt8, members)), numbers<uint8_t>(TypeId::kUInt8, rows, 0.1, random),
                  "uint8");
      expect_same(must(rule_one_of(TypeId::kFloat64, members)), numbers<double>(TypeId::kFloat64, rows, 0.1, random),
                  "float64");
      expect_same(must(rule_one_of(TypeId::kDate, members)), numbers<int32_t>(TypeId::kDate, rows, 0.1, random),
                  "date");
    }
  }
  const DataType cabin = DataType::enumeration({"economy", "business", "first"});
  ColumnBuilder builder(cabin);
  for (int i = 0; i < 200; ++i) builder.append_fixed(static_cast<int32_t>(i % 5) - 1);  // -1 and 3 are no labels
  const Column column = builder.finish();
  const auto some = must(rule_one_of(cabin, {Value(std::string("first")), Value(int64_t{0})}));
  EXPECT_EQ(some->text(), "one_of(\"first\", \"economy\")");
  expect_same(some, column, "enum members");
  const auto labels = must(rule_enum(cabin));
  expect_same(labels, column, "enum");
  EXPECT_FALSE(labels->passes(column, 0));
  EXPECT_TRUE(labels->passes(column, 1));
  EXPECT_FALSE(labels->passes(column, 4));
}

struct PatternCase {
  const char* pattern;
  const char* method;
  std::vector<std::string> good;
};

const std::vector<PatternCase>& patterns() {
  static const std::vector<PatternCase> list = {
      {"[A-Z0-9]{3}", "classes", {"SFO", "JFK", "A1B"}},
      {"[A-Z]{2}[0-9]{4}", "classes", {"AB1234", "ZZ0000"}},
      {"[a-z]+", "classes", {"a", "abc", "verylongwordindeed"}},
      {"[a-z]*", "classes", {"", "abc"}},
      {"[a-z]{2,5}", "classes", {"ab", "abcde"}},
      {"[0-9]{40}", "classes", {std::string(40, '7')}},
      {"^[A-Z]{3}$", "classes", {"SFO"}},
      {"\\d{4}-\\d{2}-\\d{2}", "classes", {"2024-02-29"}},
      {"[A-Z]{1,3}-?[0-9]+", "classes", {"A-1", "ABC99", "AB-123"}},
      {"[a-zA-Z_]\\w*", "classes", {"name", "_x1"}},
      {"\\w+@\\w+\\.[a-z]{2,3}", "classes", {"jane@example.org"}},
      {"[^,]+", "re2", {"abc", "x y"}},
      {".*", "re2", {"abc", ""}},
      {"(?i)abc", "re2", {"abc", "ABC"}},
      {"a|b|cde", "literals", {"a", "b", "cde"}},
      {"(red|green|blue)", "literals", {"red", "blue"}},
      {"(?:N/A|none)", "literals", {"N/A", "none"}},
      {"(a|b)+", "re2", {"a", "abab"}},
      {"a+a", "re2", {"aa", "aaa"}},
      {"x?y?z", "classes", {"z", "yz", "xyz", "xz"}},
      {"[aeiouAEIOU]{2}[!-~]", "classes", {"aeX"}},
      {"[-+]?[0-9]+(\\.[0-9]+)?", "re2", {"1", "-2.5"}},
      {"[\\]x]{2}", "classes", {"]x"}},
      {"", "classes", {""}},
      {"\xC3\xA9+", "re2", {"\xC3\xA9"}},
      {"a{0}b", "classes", {"b"}},
      {"a+?b", "re2", {"aab"}},
      {"[[:alpha:]]+", "re2", {"abc"}},
      {"\\pL+", "re2", {"abc"}},
      {"a.c", "re2", {"abc"}},
      {"a\\.c", "classes", {"a.c"}},
      {"[A-Z]{3}\\n", "re2", {"ABC\n"}},
  };
  return list;
}

TEST(Rules, PatternsMeanWhatRe2Says) {
  std::mt19937_64 random(7);
  for (const auto& c : patterns()) {
    const auto fast = must(rule_pattern(TypeId::kString, c.pattern));
    const auto slow = must(rule_pattern(TypeId::kString, c.pattern, false));
    for (const auto& good : c.good) {
      const Column one = columnar::make_column(TypeId::kString, {Value(good)});
      EXPECT_TRUE(slow->passes(one, 0)) << c.pattern << " " << good;
    }
    for (const int64_t rows : {1, 64, 65, 400}) {
      for (const double broken : {0.0, 0.02, 0.5}) {
        const Column column = texts(rows, broken == 0 ? 0.0 : 0.1, broken, c.good, random);
        expect_same(fast, column, c.pattern);
        for (int64_t i = 0; i < rows; ++i) {
          ASSERT_EQ(fast->passes(column, i), slow->passes(column, i)) << c.pattern << " on \"" << column.text(i) << '"';
        }
      }
    }
  }
}

TEST(Rules, PatternsTakeTheExpectedWay) {
  for (const auto& c : patterns()) {
    EXPECT_EQ(pattern_method(c.pattern), c.method) << c.pattern;
  }
}

// Patterns made at random of what the simplifier reads, on texts made of the same letters.
TEST(Rules, RandomPatternsMeanWhatRe2Says) {
  std::mt19937_64 random(8);
  static const std::vector<std::string> kAtoms = {"a",   "b", "[ab]",   "[a-c]", "[c-f0-3]", "\\d",   "\\w",
                                                  "\\.", "x", "[a-b-]", "[^a]",  ".",        "(a|b)", "\\s"};
  static const std::vector<std::string> kRepeats = {"",    "",      "",      "?",    "*",  "+",
                                                    "{2}", "{1,3}", "{0,2}", "{2,}", "+?", "{0}"};
  static const char kLetters[] = "abcdefx0123.- \n";
  int simple = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string pattern;
    const int atoms = 1 + static_cast<int>(random() % 4);
    for (int a = 0; a < atoms; ++a) pattern += kAtoms[random() % kAtoms.size()] + kRepeats[random() % kRepeats.size()];
    if (random() % 8 == 0) pattern = "^" + pattern + "$";
    if (random() % 8 == 0) pattern += "|ab";
    const auto fast = must(rule_pattern(TypeId::kString, pattern));
    const auto slow = must(rule_pattern(TypeId::kString, pattern, false));
    simple += pattern_method(pattern) != "re2" ? 1 : 0;
    ColumnBuilder builder(TypeId::kString);
    for (int i = 0; i < 70; ++i) {
      std::string text;
      const size_t length = random() % 6;
      for (size_t k = 0; k < length; ++k) text.push_back(kLetters[random() % (sizeof(kLetters) - 1)]);
      builder.append_text(text);
    }
    const Column column = builder.finish();
    expect_same(fast, column, pattern);
    for (int64_t i = 0; i < column.length; ++i) {
      ASSERT_EQ(fast->passes(column, i), slow->passes(column, i)) << pattern << " on \"" << column.text(i) << '"';
    }
  }
  EXPECT_GT(simple, 500);
}

TEST(Rules, Texts) {
  EXPECT_EQ(must(rule_range(TypeId::kInt32, Value(int64_t{-1440}), Value(int64_t{4320})))->text(),
            "range(-1440, 4320)");
  EXPECT_EQ(must(rule_range(TypeId::kDate, Value(int64_t{0}), std::nullopt))->text(), "min(\"1970-01-01\")");
  EXPECT_EQ(must(rule_length(TypeId::kString, 3, 3))->text(), "length(3)");
  EXPECT_EQ(must(rule_length(TypeId::kString, 1, 40))->text(), "length(1, 40)");
  EXPECT_EQ(must(rule_pattern(TypeId::kString, "[a-z]"))->text(), "pattern(\"[a-z]\")");
  EXPECT_EQ(must(rule_one_of(TypeId::kInt32, {Value(int64_t{1}), Value(int64_t{2})}))->text(), "one_of(1, 2)");
}

}  // namespace
}  // namespace runink::expr
