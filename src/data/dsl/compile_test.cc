// Cases of the compiler: testdata/compile/*.dsl, each a small project in one file:
//
//   --- file: contracts/flight.contract     a project file
//   --- schema: data/airports.csv           what infer_schema says: `name: type` per line
//   --- options: strict allow_unenforced    for the cases that follow (an empty list resets)
//   --- steps: Score Clean                  known C++ steps
//   --- case: name                          a feature; what comes of it is in the .txt of the same name
//   --- lint: name                          the same, linted
//   --- json: name                          the same, as JSON
//
// RUNINK_REWRITE=1 writes the .txt files anew.
#include "data/dsl/compile.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "base/text.h"
#include "data/dsl/diff.h"
#include "data/dsl/lint.h"
#include "data/plan/describe.h"
#include "data/plan/fusion.h"
#include "data/plan/render.h"
#include "data/plan/to_json.h"

namespace runink::dsl {
namespace {

using ::testing::HasSubstr;

std::string read_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

columnar::Schema parse_schema(std::string_view text) {
  std::vector<columnar::Field> fields;
  for (const auto line : split(text, '\n')) {
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    auto type = expr::parse_type(trim(line.substr(colon + 1)));
    RUNINK_CHECK(type.ok());
    fields.push_back({std::string(trim(line.substr(0, colon))), *type});
  }
  return columnar::Schema(std::move(fields));
}

struct Case {
  std::string kind, name, feature;
  CompileEnvironment environment;
};

struct Project {
  std::vector<std::pair<std::string, std::string>> files;
  std::map<std::string, columnar::Schema> schemas;
};

std::vector<Case> read_cases(const std::filesystem::path& path) {
  std::vector<Case> out;
  auto project = std::make_shared<Project>();
  CompileEnvironment environment;
  environment.project_root = "/project";
  std::string kind, name, body;
  const auto flush = [&] {
    if (kind == "file")
      project->files.emplace_back(name, body);
    else if (kind == "schema")
      project->schemas[name] = parse_schema(body);
    else if (kind == "case" || kind == "lint" || kind == "json")
      out.push_back({kind, name, body, environment});
    body.clear();
  };
  const std::string whole = read_file(path);
  for (const auto line : split(whole, '\n')) {
    if (line.substr(0, 4) != "--- ") {
      body += line;
      body += '\n';
      continue;
    }
    flush();
    const size_t colon = line.find(':');
    kind = std::string(line.substr(4, colon - 4));
    name = std::string(trim(line.substr(colon + 1)));
    const auto has = [&](std::string_view word) { return name.find(word) != std::string::npos; };
    if (kind == "options") {
      environment.strict = has("strict");
      environment.allow_unenforced = has("allow_unenforced");
      environment.cluster = has("cluster");
    }
    if (kind == "steps") {
      environment.known_steps.emplace();
      for (const auto s : split(name, ' ')) environment.known_steps->emplace_back(s);
    }
  }
  flush();
  for (Case& c : out) {
    c.environment.load = [project](const std::string& file) -> Result<std::string> {
      for (const auto& [known, text] : project->files) {
        if (known == file) return text;
      }
      return not_found("there is no file {}", file);
    };
    c.environment.infer_schema = [project](const plan::Source& source) -> Result<columnar::Schema> {
      const auto it = project->schemas.find(source.locator);
      if (it == project->schemas.end()) return not_found("there is no file {}", source.locator);
      return it->second;
    };
  }
  return out;
}

// Hashes of contracts are the contract module's business.
std::string without_hashes(std::string text, const plan::Plan& plan) {
  for (const auto& c : plan.contracts) {
    for (const std::string& hash : {c->hash, c->hash.substr(0, 12)}) {
      for (size_t at; (at = text.find(hash)) != std::string::npos;) text.replace(at, hash.size(), "HASH");
    }
  }
  return text;
}

std::string outcome(const Case& c) {
  Diagnostics diagnostics;
  auto source = std::make_shared<const SourceText>("features/case.dsl", c.feature);
  const auto document = parse_feature(source, &diagnostics);
  if (!document) return diagnostics.render();
  const auto plan = compile(*document, c.environment, &diagnostics);
  EXPECT_EQ(plan.has_value(), !diagnostics.has_errors()) << c.name;
  if (c.kind == "lint") lint(*document, plan ? &*plan : nullptr, &diagnostics);
  std::string out;
  for (const auto& d : diagnostics.list()) out += "[" + d.code + "] " + d.render() + "\n";
  if (c.kind == "lint" || !plan) return out;
  return out + without_hashes(c.kind == "json" ? plan::to_json(*plan) + "\n" : plan::render_text(*plan), *plan);
}

TEST(Compile, Cases) {
  const bool rewrite = std::getenv("RUNINK_REWRITE") != nullptr;
  size_t files = 0;
  for (const auto& entry : std::filesystem::directory_iterator("testdata/compile")) {
    if (entry.path().extension() != ".dsl") continue;
    ++files;
    std::string actual;
    std::set<std::string> names;
    for (const Case& c : read_cases(entry.path())) {
      EXPECT_TRUE(names.insert(c.name).second) << entry.path() << ": two cases called " << c.name;
      actual += "--- " + c.kind + ": " + c.name + "\n" + outcome(c);
    }
    const std::filesystem::path expected = std::filesystem::path(entry.path()).replace_extension(".txt");
    if (rewrite) std::ofstream(expected, std::ios::binary) << actual;
    EXPECT_EQ(read_file(expected), actual) << entry.path() << " (RUNINK_REWRITE=1 writes it anew)";
  }
  EXPECT_GE(files, 3u);
}

// Every diagnostic that the compiler can make stands in some case.
TEST(Compile, EveryDiagnosticHasACase) {
  std::set<std::string> shown;
  for (const auto& entry : std::filesystem::directory_iterator("testdata/compile")) {
    if (entry.path().extension() != ".txt") continue;
    const std::string text = read_file(entry.path());
    for (size_t at = 0; (at = text.find('[', at)) != std::string::npos; ++at) {
      if (at == 0 || text[at - 1] == '\n') shown.insert(text.substr(at + 1, text.find(']', at) - at - 1));
    }
  }
  std::set<std::string> known;
  for (const auto& entry : std::filesystem::directory_iterator(".")) {
    const std::string file = entry.path().filename();
    if (entry.path().extension() != ".cc" || file.find("gherkin") == 0 || file.find("_test") != std::string::npos ||
        file.find("_fuzz") != std::string::npos || file.find("format") == 0) {
      continue;
    }
    const std::string text = read_file(entry.path());
    for (const std::string prefix : {"\"dsl.", "\"lint."}) {
      for (size_t at = 0; (at = text.find(prefix, at)) != std::string::npos; ++at) {
        const std::string code = text.substr(at + 1, text.find('"', at + 1) - at - 1);
        known.insert(code);
      }
    }
  }
  // Said by the parser; named in lint_rules() for people. dsl.too_large has tests of its own below.
  for (const char* other : {"dsl.unknown_annotation", "dsl.bare_annotation", "dsl.too_large"}) known.erase(other);
  EXPECT_GT(known.size(), 30u);
  for (const auto& code : known) EXPECT_TRUE(shown.count(code) != 0) << "no case shows " << code;
}

// ---- one fact each --------------------------------------------------------------------------------------------------

constexpr const char* kContract =
    "[[version(\"1.0.0\")]] contract Flight {\n"
    "  int32 delay [[required]];\n  string origin [[required]];\n  string passport [[pii, mask(\"last4\")]];\n}\n";

CompileEnvironment simple_environment() {
  CompileEnvironment environment;
  environment.load = contract::map_loader({{"c.contract", kContract}});
  return environment;
}

plan::Plan compiled(const std::string& body, const CompileEnvironment& environment = simple_environment()) {
  Diagnostics diagnostics;
  auto plan = compile_feature(std::make_shared<const SourceText>("f.dsl", body), environment, &diagnostics);
  EXPECT_TRUE(plan.ok()) << diagnostics.render();
  return plan.ok() ? std::move(*plan) : plan::Plan{};
}

std::string errors_of(const std::string& body, const CompileEnvironment& environment = simple_environment()) {
  Diagnostics diagnostics;
  auto plan = compile_feature(std::make_shared<const SourceText>("f.dsl", body), environment, &diagnostics);
  EXPECT_FALSE(plan.ok());
  return diagnostics.render();
}

const std::string kHead =
    "Feature: F\n  Scenario: S\n    @source(\"in.ndjson\") @contract(\"c.contract\")\n    Given records arrive\n";

TEST(Compile, ASentenceThatIsTooLongIsNoUnknownOne) {
  std::string nots;
  for (int i = 0; i < 5000; ++i) nots += "not ";
  const std::string said = errors_of(kHead + "    When field \"x\" is set to " + nots + "true\n    Then records are passed on\n");
  EXPECT_THAT(said, HasSubstr("a sentence has at most 16384 bytes, this one has 20"));
  EXPECT_THAT(said, ::testing::Not(HasSubstr("no sentence matches")));
}

TEST(Compile, SpokenLanguageAndKeywordsMakeNoDifference) {
  const auto one = compiled(
      kHead +
      "    When records are checked against the contract\n    @sink(\"o.ndjson\")\n    Then the result is written\n");
  const auto two = compiled(
      "# language: fr\nFonctionnalité: F\n  Scénario: S\n    @source(\"in.ndjson\") @contract(\"c.contract\")\n    * "
      "records arrive\n"
      "    Et que each record is validated against its contract\n    @sink(\"o.ndjson\")\n    Mais records are "
      "saved\n");
  EXPECT_EQ(plan::compare(plan::shape_of(one), plan::shape_of(two)).size(), 0u);
}

TEST(Compile, MasksFollowTheValueAndNotTheName) {
  const auto plan = compiled(
      kHead +
      "    When field \"id\" is set to passport\n    And field \"tail\" is set to mask(passport, \"last4\")\n"
      "    And field \"long\" is set to length(passport) > 5\n    @sink(\"o.ndjson\")\n    Then records are written\n");
  const auto& sink = std::get<plan::Sink>(plan.scenarios.at(0).operators.back().parameters);
  EXPECT_EQ(sink.masks, (std::vector<std::string>{"", "", "last4", "last4", "", "all"}));
  EXPECT_EQ(sink.verbatim_columns, 0u) << "a masked field must never leave as raw bytes";
}

TEST(Compile, VerbatimCopiesNeedAllFieldsOfTheSourceInOrder) {
  const auto sink_of = [&](const std::string& steps, const std::string& file = "o.ndjson") {
    CompileEnvironment environment;
    environment.load = contract::map_loader({{"c.contract", "contract C { int32 a; int32 b; }"}});
    const auto plan =
        compiled(kHead + steps + "    @sink(\"" + file + "\")\n    Then records are written\n", environment);
    return std::get<plan::Sink>(plan.scenarios.at(0).operators.back().parameters).verbatim_columns;
  };
  EXPECT_EQ(sink_of(""), 2u);
  EXPECT_EQ(sink_of("    When records where a > 1 are kept\n    And field \"c\" is set to a + b\n"), 2u);
  EXPECT_EQ(sink_of("    When field \"a\" is set to a + 1\n"), 0u);
  EXPECT_EQ(sink_of("    When only fields b and a are kept\n"), 0u);
  EXPECT_EQ(sink_of("    When field a is dropped\n"), 0u);
  EXPECT_EQ(sink_of("    When field a is renamed to x\n"), 0u);
  EXPECT_EQ(sink_of("", "o.csv"), 0u);
}

TEST(Compile, StagesSplitAtCustomStepsAndAtOtherNeeds) {
  const auto plan = compiled(
      kHead +
      "    When records where delay > 1 are kept\n    @exec(\"./score\")\n    And records are scored\n"
      "    And the first 5 records are kept\n    @requires(cpu=4)\n    And records are sorted by delay\n"
      "    @sink(\"o.ndjson\")\n    Then records are written\n    And rejected records are written to \"r.ndjson\"\n");
  const auto stages = plan::fuse(plan.scenarios.at(0));
  std::vector<std::string> names;
  for (const auto& s : stages) names.push_back(s.name);
  EXPECT_EQ(names, (std::vector<std::string>{"stage 1", "score", "stage 3", "stage 4", "stage 5"}));
  size_t operators = 0;
  for (const auto& s : stages) {
    operators += s.operators.size();
    for (const uint32_t from : s.reads_from) EXPECT_LT(from, s.id);
  }
  EXPECT_EQ(operators, plan.scenarios[0].operators.size());
}

TEST(Compile, EveryNumberOfErrorsIsReportedUpToALimit) {
  std::string body = kHead;
  for (int i = 0; i < 5; ++i) body += "    When records where dealy > " + std::to_string(i) + " are kept\n";
  const std::string text = errors_of(body + "    @sink(\"o.ndjson\")\n    Then records are written\n");
  size_t count = 0;
  for (size_t at = 0; (at = text.find("dealy >", at)) != std::string::npos; ++at) ++count;
  EXPECT_GE(count, 5u);
  std::string many = kHead;
  for (int i = 0; i < 1500; ++i) many += "    When records are zapped\n";
  Diagnostics diagnostics;
  EXPECT_FALSE(
      compile_feature(std::make_shared<const SourceText>("f.dsl", many), simple_environment(), &diagnostics).ok());
  EXPECT_EQ(diagnostics.error_count(), 100u);
}

double seconds_to_compile(const std::string& body, std::string* errors) {
  const auto start = std::chrono::steady_clock::now();
  Diagnostics diagnostics;
  auto plan = compile_feature(std::make_shared<const SourceText>("f.dsl", body), simple_environment(), &diagnostics);
  *errors = plan.ok() ? "" : diagnostics.render();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TEST(Compile, AMillionStepsAreRefusedClearly) {
  std::string errors;
  std::string one = kHead;
  for (int i = 0; i < 1'000'000; ++i) one += "When field \"a\" is set to 1\n";
  seconds_to_compile(one, &errors);
  EXPECT_THAT(errors, HasSubstr("has 1,000,001 steps; 2,000 are the most"));

  std::string outline =
      "Feature: F\n  Scenario Outline: S <n>\n    @source(\"<n>.ndjson\") @contract(\"c.contract\")\n    Given records "
      "arrive\n";
  for (int i = 0; i < 100; ++i) outline += "    When records where delay > 0 are kept\n";
  outline += "    Examples:\n      | n |\n";
  for (int i = 0; i < 10'000; ++i) outline += "      | " + std::to_string(i) + " |\n";
  seconds_to_compile(outline, &errors);
  EXPECT_THAT(errors, HasSubstr("1,010,000 steps in 10,000 scenarios"));
}

TEST(Compile, WidePlansAreRefusedBeforeTheyFillMemory) {
  std::string errors;
  std::string body = kHead;
  for (int i = 0; i < 1900; ++i) body += "    When field \"f" + std::to_string(i) + "\" is set to delay\n";
  body += "    @sink(\"o.ndjson\")\n    Then records are written\n";
  seconds_to_compile(body, &errors);
  EXPECT_THAT(errors, HasSubstr("more than one plan can follow"));
}

TEST(Compile, LongChainsOfScenariosAreOrdered) {
  std::string body = "Feature: F\n";
  for (int i = 2000; i > 0; --i) {
    body += fmt::format(
        "  Scenario: S{}\n    Given the output of scenario \"S{}\"\n    When records where delay > {} are kept\n", i,
        i - 1, i);
  }
  body += "  Scenario: S0\n    @source(\"in.ndjson\") @contract(\"c.contract\")\n    Given records arrive\n";
  const auto plan = compiled(body);
  ASSERT_EQ(plan.scenarios.size(), 2001u);
  EXPECT_EQ(plan.scenarios.front().name, "S0");
  EXPECT_EQ(plan.scenarios.back().name, "S2000");
}

TEST(Compile, DiffIsByMeaning) {
  const auto environment = simple_environment();
  const auto diff = [&](const std::string& a, const std::string& b) {
    auto changes = diff_features(std::make_shared<const SourceText>("a.dsl", a), environment,
                                 std::make_shared<const SourceText>("b.dsl", b), environment);
    EXPECT_TRUE(changes.ok()) << changes.status().to_string();
    return changes.ok() ? plan::render_changes(*changes) : "";
  };
  const std::string tail = "    @sink(\"o.ndjson\")\n    Then records are written\n";
  EXPECT_EQ(diff(kHead + "    When records where delay > 1 are kept\n" + tail,
                 "# words\n" + kHead + "    And only records where  delay>1  remain\n" + tail),
            "no difference in meaning\n");
  EXPECT_EQ(
      diff(kHead + tail, kHead + "    When field passport is dropped\n" + tail),
      "scenario \"S\"\n  meaning         now: fields delay, origin\n  breaks readers  o.ndjson loses field passport\n");
}

TEST(Compile, APlanReadsBackFromItsJson) {
  const auto plan =
      compiled(kHead + "    When records are checked against the contract\n    And records are counted by origin\n" +
               "    @sink(\"o.csv\")\n    Then the result is written\n");
  const auto shape = plan::shape_from_json(plan::to_json(plan));
  ASSERT_TRUE(shape.ok());
  EXPECT_TRUE(plan::compare(*shape, plan::shape_of(plan)).empty());
  EXPECT_FALSE(plan::shape_from_json("[]").ok());
  EXPECT_FALSE(plan::shape_from_json("{\"format\": 99}").ok());
  EXPECT_FALSE(plan::shape_from_json("{").ok());
}

}  // namespace
}  // namespace runink::dsl
