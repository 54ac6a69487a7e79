#include "data/dsl/gherkin.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "data/dsl/gherkin_dialects.h"
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

std::string outline_of(std::string name, std::string text) {
  auto source = std::make_shared<const SourceText>(std::move(name), std::move(text));
  Diagnostics diagnostics;
  const auto document = parse_feature(source, &diagnostics);
  EXPECT_EQ(document.has_value(), !diagnostics.has_errors());
  return (document ? dump_outline(*document) : "refused\n") + diagnostics.render();
}

std::optional<Document> parse(std::string text, Diagnostics* diagnostics) {
  return parse_feature(std::make_shared<const SourceText>("x.dsl", std::move(text)), diagnostics);
}

// The line of the first error, 0 if the text is accepted.
uint32_t refused_at(std::string text) {
  Diagnostics diagnostics;
  if (parse(std::move(text), &diagnostics)) return 0;
  for (const auto& d : diagnostics.list()) {
    if (d.severity == Severity::kError) return d.location.line;
  }
  ADD_FAILURE() << "refused without an error";
  return 0;
}

// Each testdata/gherkin/NAME.dsl has its tree and diagnostics in NAME.txt. RUNINK_REWRITE=1 writes them anew.
TEST(GherkinCases, TreesAndDiagnostics) {
  std::vector<fs::path> cases;
  for (const auto& entry : fs::directory_iterator("testdata/gherkin")) {
    if (entry.path().extension() == ".dsl") cases.push_back(entry.path());
  }
  std::sort(cases.begin(), cases.end());
  ASSERT_GE(cases.size(), 8u);
  for (const auto& path : cases) {
    const std::string got = outline_of(path.filename(), read_file(path));
    auto expected_path = path;
    expected_path.replace_extension(".txt");
    if (std::getenv("RUNINK_REWRITE") != nullptr) std::ofstream(expected_path, std::ios::binary) << got;
    EXPECT_EQ(got, read_file(expected_path)) << path;
  }
}

TEST(Gherkin, EmptyTextHasNoFeature) {
  for (const char* text : {"", "\n", "  ", "# only a comment\n\n"}) {
    Diagnostics diagnostics;
    const auto document = parse(text, &diagnostics);
    ASSERT_TRUE(document) << text;
    EXPECT_FALSE(document->feature);
  }
}

TEST(Gherkin, SpansPointIntoTheText) {
  Diagnostics diagnostics;
  const auto document = parse("Feature: f\n  Scenario: s\n    Given  records é | are “there”  \n", &diagnostics);
  ASSERT_TRUE(document);
  const Step& step = document->feature->scenarios[0].steps[0];
  const std::string& text = document->source->text();
  EXPECT_EQ(text.substr(step.text_span.offset, step.text_span.length), step.text);
  EXPECT_EQ(step.text, "records é | are “there”");
  EXPECT_EQ(text.substr(step.place.span.offset, step.place.span.length), "Given  records é | are “there”");
  EXPECT_EQ(document->location(step.place).to_string(), "x.dsl:3:5");
}

TEST(Gherkin, DocumentMayBeMoved) {
  Diagnostics diagnostics;
  auto document = parse("Feature: short\n  Scenario: s\n    Given x\n", &diagnostics);
  ASSERT_TRUE(document);
  const Document moved = std::move(*document);
  document.reset();
  EXPECT_EQ(moved.feature->name, "short");
  EXPECT_EQ(moved.feature->scenarios[0].steps[0].text, "x");
}

constexpr const char* kHead = "Feature: f\n  Scenario: s\n";

TEST(GherkinAnnotations, TypedArguments) {
  Diagnostics diagnostics;
  const auto document =
      parse(std::string(kHead) +
                "    @requires(\"a b\", 2, cpu=-2.5, memory=512Mi,\n       label=[x, \"y\", [1]], big=1e3)\n"
                "    Given x\n",
            &diagnostics);
  ASSERT_TRUE(document) << diagnostics.render();
  const Step& step = document->feature->scenarios[0].steps[0];
  ASSERT_EQ(step.annotations.size(), 1u);
  const Annotation& a = step.annotations[0];
  EXPECT_EQ(a.name, "requires");
  EXPECT_EQ(a.positional_count(), 2u);
  EXPECT_EQ(a.positional(0)->kind, Literal::Kind::kString);
  EXPECT_EQ(a.positional(0)->text, "a b");
  EXPECT_EQ(a.positional(1)->integer, 2);
  EXPECT_EQ(a.positional(2), nullptr);
  EXPECT_EQ(a.find("cpu")->kind, Literal::Kind::kNumber);
  EXPECT_EQ(a.find("cpu")->number, -2.5);
  EXPECT_FALSE(a.find("cpu")->integer);
  EXPECT_EQ(a.find("memory")->kind, Literal::Kind::kWord);
  EXPECT_EQ(a.find("label")->items.size(), 3u);
  EXPECT_EQ(a.find("label")->items[2].items[0].integer, 1);
  EXPECT_EQ(a.find("big")->number, 1000.0);
  EXPECT_EQ(a.find("nothing"), nullptr);
  EXPECT_EQ(to_text(a), "@requires(\"a b\", 2, cpu=-2.5, memory=512Mi, label=[x, \"y\", [1]], big=1e3)");
  EXPECT_EQ(a.find("label")->place.line, 4u);
}

TEST(GherkinAnnotations, OnlyAnnotationsMayStandBeforeAStep) {
  EXPECT_EQ(refused_at(std::string(kHead) + "    @source(\"a\")\n    @checkpoint\n    Given x\n"), 0u);
  EXPECT_EQ(refused_at(std::string(kHead) + "    @source(\"a\") @smoke\n    Given x\n"), 4u);
  EXPECT_EQ(refused_at(std::string(kHead) + "    @smoke\n    Given x\n"), 4u);
  EXPECT_EQ(refused_at(std::string(kHead) + "    @retry\n    Given x\n"), 4u);
  EXPECT_EQ(refused_at(std::string(kHead) + "    Given x\n    @source(\"a\")\n      | a table |\n"), 5u);
}

TEST(GherkinAnnotations, MalformedOnesAreRefused) {
  for (const char* text : {"@source(", "@source(\"a)", "@source(a b)", "@source(a@b)", "@source(a #b)", "@source(=)",
                           "@source(a,)", "@source(k=1, k=2)", "@source(k=1, 2)", "@source(a)b", "@source(a) b",
                           "@source([a)", "@source(1e999)", "@source([[[[[[[[[[1]]]]]]]]]])", "@source(\"a\"#)"}) {
    EXPECT_EQ(refused_at(std::string("Feature: f\n") + text + "\nScenario: s\n"), 2u) << text;
  }
}

TEST(GherkinAnnotations, OfOverlongTextAreRefused) {
  EXPECT_EQ(refused_at("Feature: f\n@source(" + std::string(100'000, 'a') + ")\nScenario: s\n"), 2u);
  std::string many = "Feature: f\n@source(a";
  for (int i = 0; i < 1000; ++i) many += ",a";
  EXPECT_EQ(refused_at(many + ")\nScenario: s\n"), 2u);
}

TEST(GherkinSections, AfterTheLastStep) {
  EXPECT_EQ(refused_at(std::string(kHead) + "    Given x\n  Assertions:\n    - a\n    k: v\n"), 0u);
  // Refused at the header, where the official parser refuses.
  EXPECT_EQ(refused_at(std::string(kHead) + "    Given x\n  Assertions:\n    - a\n    nonsense\n"), 4u);
  EXPECT_EQ(refused_at(std::string(kHead) + "    Given x\n  Assertions:\n    - a\n    Then y\n"), 4u);
  EXPECT_EQ(refused_at(std::string(kHead) + "    Given x\n  Assertions:\n    - a\n    @sink(b)\n    Then y\n"), 4u);
  EXPECT_EQ(refused_at("Feature: f\n  Background:\n    Given x\n  Assertions:\n    - a\n"), 4u);
  EXPECT_EQ(refused_at(std::string(kHead) + "    Given x\n  Assertions: all\n    - a\n"), 4u);
  EXPECT_EQ(refused_at(std::string(kHead) + "    Given x\n  Assertions:\n    - a\n  Feature: g\n"), 6u);
}

TEST(GherkinSections, InADescriptionThatDoesNotParseStaysDescription) {
  Diagnostics diagnostics;
  const auto document = parse("Feature: f\n  Why.\n  Metadata:\n    herd: x\n    and prose\n", &diagnostics);
  ASSERT_TRUE(document);
  EXPECT_TRUE(document->feature->sections.empty());
  EXPECT_EQ(document->feature->description, "  Why.\n  Metadata:\n    herd: x\n    and prose");
  ASSERT_EQ(diagnostics.list().size(), 1u);
  EXPECT_EQ(diagnostics.list()[0].severity, Severity::kWarning);
  EXPECT_EQ(diagnostics.list()[0].location.line, 5u);
}

TEST(Gherkin, RefusesWhatIsNotUtf8AtItsLine) {
  EXPECT_EQ(refused_at("Feature: f\n\n  Scenario: \xff\n"), 3u);
  EXPECT_EQ(refused_at("Feature: f\n  \xed\xa0\x80\n"), 2u);
}

TEST(Gherkin, GivesUpAfterTenErrors) {
  std::string text = std::string(kHead) + "    Given x\n";
  for (int i = 0; i < 1000; ++i) text += "nonsense\n";
  Diagnostics diagnostics;
  EXPECT_FALSE(parse(text, &diagnostics));
  EXPECT_EQ(diagnostics.error_count(), 10u);
}

TEST(Gherkin, NotesAreBounded) {
  std::string text = "Feature: f\n";
  for (int i = 0; i < 1000; ++i) text += "@unknown(x)\nScenario: s\nMetadata:\nnonsense\n";
  Diagnostics diagnostics;
  EXPECT_TRUE(parse(text, &diagnostics));
  EXPECT_EQ(diagnostics.list().size(), 200u);
}

TEST(Gherkin, EveryKeywordOfEveryLanguage) {
  for (const auto& code : dialect_codes()) {
    const Dialect& dialect = *find_dialect(code);
    std::string text = "# language: " + code + "\n" + std::string(dialect.feature[0]) + ": f\n";
    for (const auto word : dialect.scenario) text += std::string(word) + ": s\n";
    text += std::string(dialect.scenario_outline[0]) + ": o\n";
    for (const auto& keyword : dialect.steps) text += std::string(keyword.text) + "x\n";
    Diagnostics diagnostics;
    const auto document = parse(text, &diagnostics);
    ASSERT_TRUE(document) << code << diagnostics.render();
    EXPECT_EQ(document->feature->scenarios.size(), dialect.scenario.size() + 1) << code;
    EXPECT_EQ(document->feature->scenarios.back().steps.size(), dialect.steps.size()) << code;
  }
  EXPECT_EQ(dialect_codes().size(), 80u);
}

TEST(Gherkin, LongTextsOfEveryKindAreParsedWhole) {
  constexpr int kCount = 100'000;
  const auto repeat = [](std::string text, const char* line) {
    for (int i = 0; i < kCount; ++i) text += line;
    return text;
  };
  EXPECT_EQ(refused_at(repeat(kHead, "    Given a step\n")), 0u);
  EXPECT_EQ(refused_at(repeat(kHead, "    @source(\"a\")\n    Given a step\n")), 0u);
  EXPECT_EQ(refused_at(repeat(std::string(kHead) + "Given x\n", "    | a | b |\n")), 0u);
  EXPECT_EQ(refused_at(repeat(kHead, "    a line of description\n")), 0u);
  EXPECT_EQ(refused_at(repeat("Feature: f\n", "  @tag\n") + "Scenario: s\n"), 0u);
  EXPECT_EQ(refused_at(repeat("Feature: f\n", "@tag\nScenario: s\n")), 0u);
  EXPECT_EQ(refused_at(repeat(std::string(kHead) + "Given x\nMetadata:\n", "- item\n")), 0u);
  EXPECT_EQ(refused_at("Feature: f\n@source([" + repeat("", "[") + "\n"), 2u);
  EXPECT_EQ(refused_at("Feature: f\n@source(" + repeat("", "\n") + ")\nScenario: s\n"), 2u);
}

}  // namespace
}  // namespace runink::dsl
