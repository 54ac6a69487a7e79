#include "data/dsl/format.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "data/dsl/gherkin.h"
#include "data/dsl/gherkin_dump.h"

namespace runink::dsl {
namespace {

namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

std::optional<std::string> format(std::string text) {
  Diagnostics diagnostics;
  auto formatted = format_feature(std::make_shared<const SourceText>("x.dsl", std::move(text)), &diagnostics);
  EXPECT_EQ(formatted.has_value(), !diagnostics.has_errors());
  return formatted;
}

std::string tree(std::string text) {
  Diagnostics diagnostics;
  const auto document = parse_feature(std::make_shared<const SourceText>("x.dsl", std::move(text)), &diagnostics);
  return document ? dump_json(*document, DumpPlaces::kNo) : "refused";
}

std::vector<fs::path> cases_in(const fs::path& folder) {
  std::vector<fs::path> cases;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".dsl") cases.push_back(entry.path());
  }
  std::sort(cases.begin(), cases.end());
  return cases;
}

// testdata/format/NAME.dsl is laid out as NAME.txt. RUNINK_REWRITE=1 writes them anew.
TEST(FormatFeature, Cases) {
  const auto cases = cases_in("testdata/format");
  ASSERT_FALSE(cases.empty());
  for (const auto& path : cases) {
    const auto formatted = format(read_file(path));
    ASSERT_TRUE(formatted) << path;
    auto expected_path = path;
    expected_path.replace_extension(".txt");
    if (std::getenv("RUNINK_REWRITE") != nullptr) std::ofstream(expected_path, std::ios::binary) << *formatted;
    EXPECT_EQ(*formatted, read_file(expected_path)) << path;
  }
}

TEST(FormatFeature, IsIdempotentAndKeepsTheTree) {
  size_t formatted_count = 0;
  for (const auto& folder : {"testdata/gherkin", "testdata/format"}) {
    for (const auto& path : cases_in(folder)) {
      const std::string text = read_file(path);
      const std::string before = tree(text);
      if (before == "refused") continue;
      const auto once = format(text);
      ASSERT_TRUE(once) << path;
      EXPECT_EQ(tree(*once), before) << path;
      EXPECT_EQ(format(*once), once) << path;
      ++formatted_count;
    }
  }
  EXPECT_GE(formatted_count, 6u);
}

TEST(FormatFeature, LeavesAGoodFileAsItIs) {
  const std::string text = read_file("testdata/gherkin/punctuality.dsl");
  EXPECT_EQ(format(text), text);
}

TEST(FormatFeature, EmptyTexts) {
  EXPECT_EQ(format(""), "");
  EXPECT_EQ(format("\n\n"), "");
  EXPECT_EQ(format("\n  # only\n\n\n # comments\n\n"), "# only\n\n# comments\n");
}

TEST(FormatFeature, AKeywordAloneInADescriptionKeepsItsSpace) {
  // "Given " ends the section; "Given" would be a line of it that is no item.
  EXPECT_EQ(format("Feature: f\nAssertions:\n- one\nGiven \n"), "Feature: f\n  Assertions:\n    - one\n  Given \n");
}

TEST(FormatFeature, ACarriageReturnInADocStringIsText) {
  const std::string text = "Feature: f\n\n  Scenario: s\n    Given x\n      \"\"\"\n      a\r\r\n      \"\"\"\n";
  EXPECT_EQ(format(text), text);
}

TEST(FormatFeature, RefusesWhatDoesNotParse) {
  Diagnostics diagnostics;
  EXPECT_FALSE(format_feature(std::make_shared<const SourceText>("x.dsl", "Scenario: s\n"), &diagnostics));
  EXPECT_TRUE(diagnostics.has_errors());
}

}  // namespace
}  // namespace runink::dsl
