#include "data/contract/canonical.h"

#include <gtest/gtest.h>

#include "data/contract/parse.h"

namespace runink::contract {
namespace {

ContractPtr make(const std::string& text) {
  auto contract = parse_contract_text(text);
  EXPECT_TRUE(contract.ok()) << text << "\n" << contract.status().to_string();
  return contract.ok() ? *contract : nullptr;
}

constexpr const char* kBase =
    "[[version(\"1.0.0\"), owner(\"a\"), classification(\"internal\")]]\n"
    "contract Base {\n"
    "  int32 delay [[required, range(-10, 10), unit(\"minutes\")]];\n"
    "  string name [[pattern(\"[a-z]+\"), description(\"who\")]];\n"
    "  enum(a, b) kind;\n"
    "  string who [[pii, access(\"hr\"), mask(\"last4\")]];\n"
    "  check c: delay > 0;\n"
    "  quality q: count() > 1;\n"
    "}\n";

std::string changed(std::string from, std::string to) {
  std::string text = kBase;
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Canonical, ParsesToItself) {
  const auto first = make(kBase);
  const auto second = make(canonical_text(*first));
  EXPECT_EQ(canonical_text(*first), canonical_text(*second));
  EXPECT_EQ(first->hash, second->hash);
}

TEST(Canonical, HashIgnoresWhatDoesNotDecideOverData) {
  const std::string hash = make(kBase)->hash;
  EXPECT_EQ(hash.size(), 64u);
  EXPECT_EQ(make(changed("1.0.0", "7.1.2"))->hash, hash);
  EXPECT_EQ(make(changed("owner(\"a\")", "owner(\"b\"), tags(\"x\"), description(\"y\"), max_records(5)"))->hash, hash);
  EXPECT_EQ(make(changed("contract Base", "contract Other"))->hash, hash);
  EXPECT_EQ(make(changed("minutes", "hours"))->hash, hash);
  EXPECT_EQ(make(changed("description(\"who\")", "lineage(\"crm\"), glossary(\"g\"), tags(\"t\")"))->hash, hash);
  EXPECT_EQ(make(changed("  int32 delay", "  // a comment ; with \"signs\"\n /* and */ int32    delay"))->hash, hash);
  EXPECT_EQ(make(changed("delay > 0",
                         "(delay)>0 // why"
                         "\n"))
                ->hash,
            hash);
  EXPECT_EQ(make(changed("required, range(-10, 10)", "max(10), required, min(-10)"))->hash, hash);
  EXPECT_EQ(make(changed("check c:", "check c:\n"))->hash, hash);
}

TEST(Canonical, HashCoversWhatDoes) {
  const std::string hash = make(kBase)->hash;
  const std::pair<const char*, const char*> changes[] = {
      {"int32 delay", "int64 delay"},
      {"range(-10, 10)", "range(-10, 11)"},
      {"required, range", "range"},
      {"[a-z]+", "[a-z]*"},
      {"enum(a, b)", "enum(b, a)"},
      {"enum(a, b)", "enum(a, b, c)"},
      {"pii, access", "access"},
      {"access(\"hr\")", "access(\"it\")"},
      {"last4", "last3"},
      {"delay > 0", "delay >= 0"},
      {"check c", "check d"},
      {"count() > 1", "count() > 2"},
      {"count() > 1;", "count() > 1 [[severity(\"warn\")]];"},
      {"internal", "public"},
      {"string name", "string nome"},
      {"required, range", "required, unique, range"},
      {"required, range", "required, default(1), range"},
      {"required, range", "required, coerce, range"},
      {"classification", "open, classification"},
      {"pii,", "pii(\"name\"),"},
  };
  std::vector<std::string> hashes = {hash};
  for (const auto& [from, to] : changes) hashes.push_back(make(changed(from, to))->hash);
  for (size_t i = 0; i < hashes.size(); ++i) {
    for (size_t j = 0; j < i; ++j) EXPECT_NE(hashes[i], hashes[j]) << i << " " << j;
  }
  // The order of columns counts.
  EXPECT_NE(make("contract C { int32 a; int32 b; }")->hash, make("contract C { int32 b; int32 a; }")->hash);
}

TEST(Canonical, TheOrderOfRulesAndAllowedValuesMeansNothing) {
  EXPECT_EQ(make("contract C { int32 a; check x: a > 1; check y: a > 2; }")->hash,
            make("contract C { int32 a; check y: a > 2; check x: a > 1; }")->hash);
  EXPECT_EQ(make("contract C { string a [[one_of(\"x\", \"y\")]]; }")->hash,
            make("contract C { string a [[one_of(\"y\", \"x\")]]; }")->hash);
  EXPECT_EQ(make("contract C { string a [[access(\"x\", \"y\")]]; }")->hash,
            make("contract C { string a [[access(\"y\", \"x\")]]; }")->hash);
}

TEST(Canonical, StructsAndImportsLeaveNoTrace) {
  EXPECT_EQ(
      make("struct A { string city [[required]]; struct { int32 x; } in; } contract C { A billing; list<A> more; }")
          ->hash,
      make("contract C { string billing.city [[required]]; int32 billing.in.x;"
           " list<struct { string city [[required]]; struct { int32 x; } in; }> more; }")
          ->hash);
}

TEST(Canonical, TextSurvivesQuoting) {
  for (const std::string& text :
       {std::string("plain"), std::string("a\"b"), std::string("\\"), std::string("\\d+\\."), std::string("\\\\n"),
        std::string("a\\\"b"), std::string("tab\there\nline\r"), std::string("\x01\x7f\xc2\x85 end"),
        std::string("ü\\ü\\"), std::string("\\u0041 \\/ \\t")}) {
    const auto contract = make("contract C { string a [[description(" + quote_text(text) + ")]]; }");
    ASSERT_NE(contract, nullptr);
    EXPECT_EQ(contract->fields[0].description, text) << quote_text(text);
  }
  EXPECT_EQ(quote_text("[A-Z]\\d+"), "\"[A-Z]\\d+\"");
}

TEST(Canonical, NamesWithOtherCharactersStandInBackquotes) {
  EXPECT_EQ(name_text("billing.city"), "billing.city");
  EXPECT_EQ(name_text("First name.2nd"), "`First name`.`2nd`");
}

}  // namespace
}  // namespace runink::contract
