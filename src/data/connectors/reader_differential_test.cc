// The readers against second opinions on random input: nlohmann/json for what is JSON, a plain character machine for
// CSV, and themselves on every instruction set and with chunks cut everywhere.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "base/text.h"
#include "data/connectors/reading_for_test.h"

namespace runink::connectors {
namespace {

using columnar::DataType;
using columnar::TypeId;

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  size_t below(size_t bound) { return engine_() % bound; }
  bool chance(unsigned percent) { return below(100) < percent; }
  template <typename T, size_t N>
  const T& of(const T (&choices)[N]) {
    return choices[below(N)];
  }

 private:
  std::mt19937_64 engine_;
};

std::string random_json_record(Random& random) {
  const auto space = [&] { return std::string(random.chance(8) ? random.of({" ", "  ", "\t", "\r"}) : ""); };
  static const char* const kNumbers[] = {"0",     "-1",       "42",   "1234", "123456789", "99999999999", "-0", "1.5",
                                         "0.001", "-12.75e3", "7e-2", "1E5",  "01",        "-",           "1.", "300"};
  static const char* const kTexts[] = {"",
                                       "BOS",
                                       "a longer text that does not fit into one vector register at all",
                                       "é€😀",
                                       "q\\\"q",
                                       "\\u00e9",
                                       "\\ud83d\\ude00",
                                       "\\ud83d",
                                       "tab\\t",
                                       "2001/01/10 18:20",
                                       "2001/02/31 18:20",
                                       "1999/12/31 23:59",
                                       "\\x"};
  static const char* const kOthers[] = {"null",
                                        "true",
                                        "false",
                                        "[]",
                                        "[\"a\",\"b\"]",
                                        "[1,2]",
                                        "{}",
                                        "{\"city\":\"Bern\"}",
                                        "{\"city\":null,\"zip\":1}",
                                        "nul",
                                        "[1,",
                                        "{\"a\":[{}]}"};
  const auto quoted = [&](const char* text) { return "\"" + std::string(text) + "\""; };
  std::string out = space() + "{";
  bool first = true;
  const auto member = [&](const std::string& key, const std::string& value) {
    if (!first) out += "," + space();
    first = false;
    out += "\"" + key + "\"" + space() + ":" + space() + value + space();
  };
  const auto any = [&]() -> std::string {
    switch (random.below(3)) {
      case 0:
        return random.of(kNumbers);
      case 1:
        return quoted(random.of(kTexts));
      default:
        return random.of(kOthers);
    }
  };
  struct Typical {
    const char* key;
    const char* value;
  };
  const Typical typical[] = {{"date", "\"2001/01/10 18:20\""},
                             {"delay", "12"},
                             {"ratio", "1.25"},
                             {"origin", "\"BOS\""},
                             {"tags", "[\"x\"]"},
                             {"billing", "{\"city\":\"Bern\"}"},
                             {"ok", "true"}};
  for (const Typical& one : typical) {
    if (random.chance(5)) continue;
    member(one.key, random.chance(10) ? any() : one.value);
    if (random.chance(3)) member(one.key, one.value);
    if (random.chance(5)) member("unknown", any());
  }
  out += "}" + space();
  if (random.chance(8)) {
    for (size_t edits = 1 + random.below(3); edits > 0 && !out.empty(); --edits) {
      const size_t at = random.below(out.size());
      switch (random.below(3)) {
        case 0:
          out[at] = static_cast<char>(random.below(256));
          break;
        case 1:
          out.erase(at, 1 + random.below(4));
          break;
        default:
          out.insert(at, 1, random.of({'"', '\\', '{', '}', ',', '[', '\0', '\x80', ' '}));
      }
    }
    for (char& c : out) {
      if (c == '\n') c = ' ';
    }
  }
  return out;
}

TEST(ReaderDifferential, NdjsonAgreesWithItselfAndWithNlohmann) {
  ReaderOptions options =
      reader_options({make_field("date", TypeId::kTimestamp, "%Y/%m/%d %H:%M"), make_field("delay", TypeId::kInt16),
                      make_field("ratio", TypeId::kFloat64), make_field("origin", TypeId::kString),
                      make_field("tags", DataType::list(TypeId::kString)), make_field("billing.city", TypeId::kString),
                      make_field("ok", TypeId::kBool)});
  const hot::Loops* levels[3];
  const size_t level_count = hot::all_loops(levels, 3);
  size_t rows = 0, bad = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    Random random(seed);
    options.open = random.chance(50);
    options.fields[1].coerce = random.chance(50);
    std::string text;
    for (size_t i = random.below(60); i > 0; --i)
      text += random_json_record(random) + random.of({"\n", "\n", "\n", "\r\n", "\n\n"});
    if (random.chance(20)) text += random_json_record(random);
    const ReadBack general = read_back(text, options, 1 << 19, &no_loops());
    ASSERT_EQ(general.error, "");
    for (size_t i = 0; i < level_count; ++i) {
      ASSERT_TRUE(read_back(text, options, 1 << 19, levels[i]).same_data(general))
          << "seed " << seed << " on " << levels[i]->name;
    }
    for (const size_t chunk : {size_t{1}, 1 + random.below(300)}) {
      ASSERT_TRUE(read_back(text, options, chunk).same_data(general)) << "seed " << seed << " in chunks of " << chunk;
    }
    rows += general.rows.size();
    bad += general.bad.size();
    ASSERT_EQ(general.records, general.rows.size() + general.bad.size());
    for (const std::string& raw : general.raw)
      ASSERT_TRUE(nlohmann::json::accept(raw)) << "seed " << seed << ": " << raw;
    for (const auto& one : general.bad) {
      const bool about_json = one.reason == "syntax" || one.reason == "truncated" || one.reason == "trailing_text" ||
                              one.reason == "lone_surrogate" || one.reason == "control_character" ||
                              one.reason == "invalid_utf8";
      if (about_json) {
        ASSERT_FALSE(nlohmann::json::accept(one.bytes))
            << "seed " << seed << " says " << one.reason << ": " << one.bytes;
      }
    }
    // Every line is somewhere.
    size_t lines = 0;
    for (const std::string_view line : split(text, '\n')) lines += !trim(line).empty();
    ASSERT_EQ(lines, general.records) << "seed " << seed;
  }
  EXPECT_GT(rows, 300u);
  EXPECT_GT(bad, 300u);
}

// RFC 4180 character by character, written apart from the reader: records as cells, or nullopt for one that is broken.
struct PlainCell {
  std::string text;
  bool quoted = false;
};
std::vector<std::optional<std::vector<PlainCell>>> plain_csv(const std::string& text) {
  std::vector<std::optional<std::vector<PlainCell>>> records;
  enum { kStart, kPlain, kInside, kAfter } state = kStart;
  std::vector<PlainCell> cells(1);
  bool broken = false, any = false;
  const auto end_record = [&] {
    if (any) records.push_back(broken ? std::nullopt : std::make_optional(cells));
    cells.assign(1, {});
    broken = any = false;
    state = kStart;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool line_break = c == '\n' || (c == '\r' && i + 1 < text.size() && text[i + 1] == '\n');
    if (state == kInside) {
      if (c == '"' && i + 1 < text.size() && text[i + 1] == '"') {
        cells.back().text += '"';
        ++i;
      } else if (c == '"') {
        state = kAfter;
      } else {
        cells.back().text += c;
      }
      continue;
    }
    if (line_break) {
      if (c == '\r') ++i;
      end_record();
      continue;
    }
    if (c == '\r' && i + 1 == text.size()) continue;
    any = any || c != '\r';
    if (c == ',') {
      cells.emplace_back();
      state = kStart;
    } else if (state == kStart && c == '"') {
      cells.back().quoted = true;
      state = kInside;
    } else if (state == kAfter) {
      broken = true;
    } else {
      if (c == '\r') broken = true;
      cells.back().text += c;
      state = kPlain;
    }
  }
  if (state == kInside) broken = true;
  end_record();
  return records;
}

TEST(ReaderDifferential, CsvAgreesWithItselfAndWithAPlainMachine) {
  const ReaderOptions options = [] {
    ReaderOptions made =
        reader_options({make_field("a", TypeId::kString), make_field("b", TypeId::kString)}, DataFormat::kCsv);
    made.csv.header = false;
    return made;
  }();
  const hot::Loops* levels[3];
  const size_t level_count = hot::all_loops(levels, 3);
  size_t rows = 0, bad = 0;
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    Random random(seed);
    const bool wild = random.chance(50);
    std::string text = "first,line\n";  // so that the file's line ends are known
    for (size_t i = random.below(120); i > 0; --i) {
      if (wild) {
        text += random.of({"a", "bc", ",", ",", "\"", "\"", "\n", "\r\n", "\"\"", "x", "\r"});
      } else {
        text += random.of({"a", "", "\"b\"", "\"c\"\"d\"", "\"e\nf\"", "\"g,h\"", "i\"j"});
        text += i % 2 == 0 ? "," : random.of({"\n", "\r\n"});
      }
    }
    const ReadBack general = read_back(text, options, 1 << 19, &no_loops());
    ASSERT_EQ(general.error, "");
    for (size_t i = 0; i < level_count; ++i) {
      ASSERT_TRUE(read_back(text, options, 1 << 19, levels[i]).same_data(general))
          << "seed " << seed << " on " << levels[i]->name << "\n"
          << text;
    }
    for (const size_t chunk : {size_t{1}, 1 + random.below(200)}) {
      ASSERT_TRUE(read_back(text, options, chunk).same_data(general))
          << "seed " << seed << " in chunks of " << chunk << "\n"
          << text;
    }
    std::vector<std::string> expected;
    size_t expected_bad = 0;
    for (const auto& record : plain_csv(text)) {
      if (!record || record->size() != 2) {
        ++expected_bad;
        continue;
      }
      const auto cell = [&](const PlainCell& one) {
        return one.text.empty() && !one.quoted ? std::string("null") : json_quote(one.text);
      };
      expected.push_back("{\"a\":" + cell((*record)[0]) + ",\"b\":" + cell((*record)[1]) + "}");
    }
    ASSERT_EQ(general.rows, expected) << "seed " << seed << "\n" << text;
    ASSERT_EQ(general.bad.size(), expected_bad) << "seed " << seed << "\n" << text;
    rows += general.rows.size();
    bad += general.bad.size();
  }
  EXPECT_GT(rows, 2000u);
  EXPECT_GT(bad, 500u);
}

// The vector path for borders against the exact machine, on text of any length and alignment.
TEST(ReaderDifferential, CsvBordersAgreeWithTheExactMachine) {
  const hot::Loops* levels[3];
  const size_t level_count = hot::all_loops(levels, 3);
  const CsvDialect dialect;
  size_t decided = 0;
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    Random random(seed);
    std::string text;
    for (size_t i = random.below(200); i > 0; --i)
      text += random.of({"a", "bcdefgh", ",", "\n", "\"x\"", ",\"y\n\"", ",\"\"", "\r\n", "\r", ",\"\"\"\"",
                         random.chance(2) ? "\"" : "z"});
    const size_t size = text.size();
    size_t exact = 0;
    while (exact < size) {
      const CsvRecord record = next_csv_record(std::string_view(text).substr(exact), dialect, false);
      if (record.break_length == 0) break;
      exact += record.length + record.break_length;
    }
    text.append(64, '\n');  // what follows must not count
    for (size_t i = 0; i < level_count; ++i) {
      const size_t border = levels[i]->csv_last_border(text.data(), size, ',', '"');
      if (border == SIZE_MAX) continue;
      ++decided;
      ASSERT_EQ(border, exact) << levels[i]->name << " on\n" << text;
    }
  }
  EXPECT_GT(decided, 1000u);
}

}  // namespace
}  // namespace runink::connectors
