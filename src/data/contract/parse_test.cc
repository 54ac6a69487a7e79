#include "data/contract/parse.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <regex>

#include "data/contract/canonical.h"
#include "platform/os/file.h"

namespace runink::contract {
namespace {

std::vector<std::string> files(const std::string& pattern) {
  auto found = os::glob(pattern);
  return found.ok() ? *found : std::vector<std::string>();
}

using testing::HasSubstr;

bool rewriting() { return std::getenv("RUNINK_REWRITE") != nullptr; }

struct Parsed {
  ParsedFile file;
  Diagnostics diagnostics;
};

Parsed parse(const std::string& text, const TextLoader& loader = map_loader({}),
             const std::string& path = "a.contract") {
  Parsed parsed;
  parsed.file = parse_contracts(std::make_shared<SourceText>(path, text), loader, parsed.diagnostics);
  return parsed;
}

// What a person would see, with the stable codes.
std::string describe(const Parsed& parsed) {
  std::string out;
  for (const auto& contract : parsed.file.contracts) {
    out += canonical_text(*contract) + "hash " + contract->hash + "\nschema " + contract->schema->to_string() +
           "\nrules\n";
    for (const auto& rule : contract->rules) out += fmt::format("  {}: {}\n", rule.name, rule.sentence);
    out += "\n";
  }
  for (const auto& diagnostic : parsed.diagnostics.list()) {
    out += fmt::format("[{}]\n{}\n\n", diagnostic.code, diagnostic.render());
  }
  return out;
}

class TextCases : public testing::TestWithParam<std::string> {};

TEST_P(TextCases, AsExpected) {
  const std::string path = GetParam();
  const auto text = os::read_file(path);
  ASSERT_TRUE(text.ok());
  const std::string seen = describe(parse(*text, file_loader(), path));
  const std::string expected_path = path.substr(0, path.rfind('.')) + ".expected";
  if (rewriting()) {
    ASSERT_TRUE(os::write_file_atomic(expected_path, seen).ok());
    return;
  }
  const auto expected = os::read_file(expected_path);
  ASSERT_TRUE(expected.ok()) << "run with RUNINK_REWRITE=1 to make it";
  EXPECT_EQ(seen, *expected);
}

std::vector<std::string> cases() {
  auto good = os::glob("testdata/good/*.contract"), bad = os::glob("testdata/bad/*.contract");
  std::vector<std::string> all = good.ok() ? *good : std::vector<std::string>();
  if (bad.ok()) all.insert(all.end(), bad->begin(), bad->end());
  return all;
}
INSTANTIATE_TEST_SUITE_P(Language, TextCases, testing::ValuesIn(cases()), [](const auto& info) {
  std::string name;
  for (const char c : info.param) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
});

TEST(Cases, ThereAreSome) { EXPECT_GE(cases().size(), 12u); }

// Every code that the module's sources can report occurs in a text case or is named here with the test that has it.
TEST(Cases, EveryDiagnosticHasOne) {
  std::string expected = "[contract.too_large] [contract.too_deep]";  // Bounds.* below
  for (const auto& path : files("testdata/*/*.expected")) expected += *os::read_file(path);
  const std::regex code("\"(contract\\.[a-z_]+)\"");
  size_t seen = 0;
  for (const auto& path : files("*.cc")) {
    if (path.find("_test") != std::string::npos || path.find("_fuzz") != std::string::npos) continue;
    const std::string text = *os::read_file(path);
    for (std::sregex_iterator at(text.begin(), text.end(), code), end; at != end; ++at) {
      ++seen;
      if ((*at)[1] == "contract.bump") continue;  // a Status kind
      EXPECT_THAT(expected, HasSubstr("[" + (*at)[1].str() + "]")) << path;
    }
  }
  EXPECT_GT(seen, 20u);
}

TEST(Parse, ReferencesNameAFileAndAContract) {
  const auto loader = map_loader({{"contracts/one.contract", "contract One { string a; }"},
                                  {"contracts/two.contract", "contract One { string a; } contract Two { string b; }"},
                                  {"contracts/structs.contract", "struct S { string a; }"}});
  EXPECT_EQ((*load_contract("contracts/one.contract", loader))->name, "One");
  EXPECT_EQ((*load_contract("./contracts/one.contract#One", loader))->name, "One");
  EXPECT_EQ((*load_contract("contracts/two.contract#Two", loader))->name, "Two");

  const auto several = load_contract("contracts/two.contract", loader);
  ASSERT_FALSE(several.ok());
  EXPECT_THAT(several.status().to_string(), HasSubstr("declares 2 contracts: One, Two"));
  EXPECT_EQ(several.status().hint(), "say which one: contracts/two.contract#One");
  const auto unknown = load_contract("contracts/two.contract#Tow", loader);
  EXPECT_EQ(unknown.status().code(), Code::kNotFound);
  EXPECT_EQ(unknown.status().hint(), "did you mean contracts/two.contract#Two?");
  EXPECT_THAT(load_contract("contracts/structs.contract", loader).status().to_string(),
              HasSubstr("declares no contract"));
  EXPECT_EQ(load_contract("contracts/none.contract", loader).status().code(), Code::kNotFound);
}

TEST(Parse, ErrorsTravelAsStatusDetails) {
  const auto loaded = load_contract("a.contract", map_loader({{"a.contract", "contract A { int a; strng b; }"}}));
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.status().code(), Code::kInvalidArgument);
  EXPECT_EQ(loaded.status().details().size(), 2u);
  EXPECT_THAT(loaded.status().to_string(), HasSubstr("a.contract:1:14"));
}

TEST(Parse, NamesEveryFileRead) {
  const auto loader = map_loader({{"x/common.contract", "import \"deeper/most.contract\"; struct A { B b; }"},
                                  {"x/deeper/most.contract", "struct B { string c; }"}});
  const auto parsed = parse("import \"common.contract\"; contract C { A a; }", loader, "x/c.contract");
  ASSERT_EQ(parsed.file.contracts.size(), 1u) << parsed.diagnostics.render();
  EXPECT_THAT(parsed.file.contracts[0]->files,
              testing::ElementsAre("x/c.contract", "x/common.contract", "x/deeper/most.contract"));
  EXPECT_EQ(parsed.file.contracts[0]->fields[0].name, "a.b.c");
}

TEST(Parse, AnErrorAnywhereWithholdsEveryContract) {
  const auto parsed = parse("contract A { string a; } contract B { strng b; }");
  EXPECT_TRUE(parsed.file.contracts.empty());
  EXPECT_EQ(parsed.diagnostics.error_count(), 1u);
}

TEST(Parse, StructsPassProtectionOnToTheirMembers) {
  const auto contract = parse_contract_text(
      "struct P { string a; string b [[mask(\"last4\")]]; } "
      "contract C { P p [[pii, access(\"hr\"), mask(\"hash\")]]; }");
  ASSERT_TRUE(contract.ok()) << contract.status().to_string();
  const auto& fields = (*contract)->fields;
  ASSERT_EQ(fields.size(), 2u);
  EXPECT_TRUE(fields[0].pii && fields[1].pii);
  EXPECT_EQ(fields[0].mask, "hash");
  EXPECT_EQ(fields[1].mask, "last4");
  EXPECT_THAT(fields[1].access, testing::ElementsAre("hr"));
}

TEST(Parse, RulesHaveStableNamesAndPlaces) {
  const auto contract = parse_contract_text(
      "contract C { int32 a [[required, range(1, 5)]]; string b [[unique, length(3), pattern(\"x.*\")]]; int8 c [[key, "
      "min(2)]];"
      " list<struct { int32 d [[required]]; }> e; int32 f [[required, default(3)]]; check g: a > c; }");
  ASSERT_TRUE(contract.ok()) << contract.status().to_string();
  std::vector<std::string> names;
  for (const auto& rule : (*contract)->rules) names.push_back(rule.name);
  EXPECT_THAT(names, testing::ElementsAre("record", "a.type", "a.required", "a.range", "b.type", "b.length",
                                          "b.pattern", "c.type", "c.required", "c.min", "e.type", "e.d.required",
                                          "f.type", "check g", "b.unique", "key"));
  EXPECT_EQ((*contract)->type_rule(1), 4);
  EXPECT_EQ((*contract)->required_rule(1), -1);
  EXPECT_EQ((*contract)->required_rule(4), -1);  // a default stands in
  EXPECT_FALSE((*contract)->schema->field(4).nullable);
  ASSERT_EQ((*contract)->unique_sets.size(), 2u);
  EXPECT_THAT((*contract)->unique_sets[1].columns, testing::ElementsAre(2));
}

TEST(Bounds, LargeDeepAndManyAreErrorsNotCrashes) {
  const auto has = [](const Parsed& parsed, const std::string& code) {
    for (const auto& diagnostic : parsed.diagnostics.list()) {
      if (diagnostic.code == code) return true;
    }
    return false;
  };
  EXPECT_TRUE(has(parse(std::string(5 << 20, ' ')), "contract.too_large"));
  std::string deep = "contract D { ";
  for (int i = 0; i < 100000; ++i) deep += "list<";
  EXPECT_TRUE(has(parse(deep), "contract.too_deep"));
  deep = "contract D { ";
  for (int i = 0; i < 100000; ++i) deep += "struct { ";
  EXPECT_TRUE(has(parse(deep), "contract.too_deep"));

  std::string chain = "struct S0 { string a; } ";
  for (int i = 1; i < 100; ++i) chain += fmt::format("struct S{} {{ S{} a; }} ", i, i - 1);
  EXPECT_TRUE(has(parse(chain + "contract C { S99 s; }"), "contract.too_deep"));
  std::string doubling = "struct S0 { string a; string b; } ";
  for (int i = 1; i < 15; ++i) doubling += fmt::format("struct S{} {{ S{} a; S{} b; }} ", i, i - 1, i - 1);
  EXPECT_TRUE(has(parse(doubling + "contract C { S14 s; }"), "contract.too_large"));
  std::string wide = "struct W { ";
  for (int i = 0; i < 4000; ++i) wide += fmt::format("string f{}; ", i);
  wide += "} ";
  for (int i = 0; i < 100; ++i) wide += fmt::format("struct U{} {{ W w; }} ", i);
  EXPECT_TRUE(has(parse(wide), "contract.too_large"));

  std::string files = "struct S { string x; }";
  TextLoader endless = [](const std::string& path) -> Result<std::string> {
    return "import \"x" + path.substr(path.rfind('/') + 1) + "\";";
  };
  EXPECT_TRUE(has(parse("import \"x.contract\"; contract C { string a; }", endless), "contract.import"));
}

TEST(Bounds, ManyErrorsStop) {
  std::string text = "contract C {\n";
  for (int i = 0; i < 10000; ++i) text += "  strng a\n";
  const auto parsed = parse(text + "}");
  EXPECT_TRUE(parsed.diagnostics.has_errors());
  EXPECT_LE(parsed.diagnostics.list().size(), 120u);
}

// The guide's tables are the lists in the source.
TEST(Words, StandInTheGuide) {
  const std::string path = "../../../docs/guide/contracts.md";
  const auto read = os::read_file(path);
  ASSERT_TRUE(read.ok());
  std::string guide = *read;
  const auto cell = [](const std::string& text) {
    std::string out;
    for (const char c : text) out += c == '|' ? "\\|" : std::string(1, c);
    return out;
  };
  const auto put = [&](const std::string& name, const std::string& table) {
    const size_t begin = guide.find("\n", guide.find("<!-- " + name + ": begin")) + 1,
                 end = guide.find("<!-- " + name + ": end");
    ASSERT_NE(end, std::string::npos);
    guide.replace(begin, end - begin, table);
  };
  std::string types = "\n| Type | What it holds |\n|---|---|\n";
  for (const auto& word : type_words()) types += fmt::format("| `{}` | {} |\n", cell(word.use), cell(word.help));
  put("types", types + "\n");
  std::string attributes = "\n| Attribute of a field | What it says |\n|---|---|\n";
  for (const auto& word : field_attributes())
    attributes += fmt::format("| `{}` | {} |\n", cell(word.use), cell(word.help));
  attributes += "\n| Attribute of a contract | What it says |\n|---|---|\n";
  for (const auto& word : contract_attributes())
    attributes += fmt::format("| `{}` | {} |\n", cell(word.use), cell(word.help));
  put("attributes", attributes + "\n");
  if (rewriting()) {
    ASSERT_TRUE(os::write_file_atomic(path, guide).ok());
  }
  EXPECT_EQ(guide, *os::read_file(path)) << "run with RUNINK_REWRITE=1";
}

TEST(Words, HelpNamesEveryAttributeOnce) {
  EXPECT_EQ(type_words().size(), 23u);
  EXPECT_GE(field_attributes().size(), 21u);
  EXPECT_GE(contract_attributes().size(), 7u);
  for (const auto& word : field_attributes()) EXPECT_FALSE(word.help.empty()) << word.name;
}

}  // namespace
}  // namespace runink::contract
