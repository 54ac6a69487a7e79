#include "client/local/pattern_text.h"

#include <gtest/gtest.h>

#include <set>

#include "data/columnar/builder.h"
#include "data/expr/rules.h"

namespace runink::local {
namespace {

expr::RulePtr rule_of(const std::string& pattern) {
  auto rule = expr::rule_pattern(columnar::TypeId::kString, pattern);
  EXPECT_TRUE(rule.ok()) << pattern;
  return rule.ok() ? *rule : nullptr;
}
bool matches(const expr::RulePtr& rule, const std::string& text) {
  return rule != nullptr && rule->passes(columnar::make_column(columnar::TypeId::kString, {columnar::Value(text)}), 0);
}

const char* const kPatterns[] = {
    "[A-Z0-9]{3}",
    "O-[0-9]{4}",
    "[a-z0-9][a-z0-9+.-]+",
    "(cat|dog|bird)s?",
    "a*b+c?",
    "\\d{4}-\\d{2}-\\d{2}",
    "[^a-z]{2,5}",
    "\\w+@\\w+\\.(com|org)",
    "(?i)hello",
    "(?:x|y){2,3}z",
    "(?P<year>[12][0-9]{3})",
    "\\x41\\x{1F600}",
    "[[:upper:]][[:lower:]]*",
    "\\p{Lu}\\p{Ll}+",
    "\\Qa.b*\\E!",
    "^anchored$",
    ".",
    "[\\]\\[^-]+",
    "[a\\-z]{3}",
    "é[à-ü]+",
    "x{0}",
    "(a|)",
    "\\S\\s\\S",
    "[\\d\\s]{4}",
    "{literal}",
    "\\D\\W",
};

TEST(PatternText, TextsMatchTheirPattern) {
  for (const std::string pattern : kPatterns) {
    auto made = PatternText::parse(pattern);
    const expr::RulePtr rule = rule_of(pattern);
    ASSERT_TRUE(made.ok()) << made.status().to_string();
    SynthRandom random(7);
    for (int i = 0; i < 200; ++i) {
      std::string text;
      made->append(random, text);
      ASSERT_TRUE(matches(rule, text)) << pattern << " made " << text;
    }
  }
}

TEST(PatternText, NumberedTextsDifferAndMatch) {
  for (const std::string pattern : kPatterns) {
    auto made = PatternText::parse(pattern);
    const expr::RulePtr rule = rule_of(pattern);
    ASSERT_TRUE(made.ok());
    const auto form = made->form(1000);
    std::set<std::string> seen;
    const uint64_t count = std::min<uint64_t>(form.capacity(), 1000);
    for (uint64_t i = 0; i < count; ++i) {
      std::string text;
      form.append_at(i, text);
      ASSERT_TRUE(matches(rule, text)) << pattern << " made " << text;
      ASSERT_TRUE(seen.insert(text).second) << pattern << " made " << text << " twice";
    }
  }
}

TEST(PatternText, KnowsHowManyThereAre) {
  EXPECT_EQ(PatternText::parse("O-[0-9]{4}")->form(1).capacity(), 10000u);
  EXPECT_EQ(PatternText::parse("[A-Z]{40}")->form(1).capacity(), UINT64_MAX);
  EXPECT_EQ(PatternText::parse("yes|no")->form(10).capacity(), 1u);
  EXPECT_GE(PatternText::parse("[a-z]+")->form(100'000).capacity(), 100'000u);
}

TEST(PatternText, WhatIsNoPatternIsAnError) {
  for (const std::string pattern :
       {"(", ")", "[a", "*a", "a{2,1}", "a{5000}", "\\", "[z-a]", "(?<x", "\\p{Nonsense}", "[[:nope:]]", "(?=a)"}) {
    EXPECT_FALSE(PatternText::parse(pattern).ok()) << pattern;
  }
  EXPECT_FALSE(PatternText::parse(std::string(100'000, '(')).ok());
}

TEST(PatternText, NestedRepetitionsStayBounded) {
  auto made = PatternText::parse("(((a{100}){100}){100}){100}");
  ASSERT_TRUE(made.ok());
  SynthRandom random(1);
  std::string text;
  made->append(random, text);
  EXPECT_LT(text.size(), 1u << 18);
  EXPECT_EQ(made->form(2).capacity(), 1u);
}

}  // namespace
}  // namespace runink::local
