#include "data/dsl/sentence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "base/text.h"

namespace runink::dsl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string name_of(std::string_view text) {
  const auto bound = bind_sentence(text);
  return bound ? bound->sentence->name : "none";
}

TEST(Sentence, EveryExampleBindsToItsOwnSentenceOnly) {
  for (const Sentence& s : sentences()) {
    if (s.name == "step" || s.name == "program") continue;  // worded freely under their annotation
    const std::string text = example_words(s);
    std::set<std::string> names;
    for (const auto& b : bind_all(text)) names.insert(b.sentence->name);
    EXPECT_THAT(names, ElementsAre(s.name)) << text;
  }
}

// Every way to say every sentence, with typical words in its slots, means that sentence and no other.
const char* sample_for(const std::string& kind) {
  if (kind == "noun") return "the late records";
  if (kind == "rest") return "the feed";
  if (kind == "field") return "delay";
  if (kind == "fields") return "delay, \"origin\" and billing.city";
  if (kind == "expression") return "a.b == \"x y\" and (c in (1, 2) or d is null)";
  if (kind == "string") return "\"some words here\"";
  if (kind == "strings") return "\"a\", \"b\"";
  if (kind == "name") return "\"late\"";
  if (kind == "count") return "1,000";
  if (kind == "number") return "1.5";
  if (kind == "percent") return "2.5%";
  if (kind == "type") return "decimal(12, 2)";
  if (kind == "keys") return "delay descending, date";
  if (kind == "pairs") return "a to b, c as d";
  if (kind == "terms") return "route, hour(date) as h";
  ADD_FAILURE() << kind;
  return "";
}

std::vector<std::string> expand(const std::string& p, size_t* at, const std::string& end) {
  std::vector<std::string> out = {""};
  const auto append = [&](const std::vector<std::string>& more) {
    std::vector<std::string> next;
    for (const auto& a : out)
      for (const auto& b : more) next.push_back(a + (a.empty() || b.empty() || a.back() == ' ' ? "" : " ") + b);
    out = next;
  };
  while (*at < p.size() && end.find(p[*at]) == std::string::npos) {
    if (p[*at] == ' ') {
      ++*at;
    } else if (p[*at] == '[' || p[*at] == '(') {
      const bool optional = p[*at] == '[';
      std::vector<std::string> inner;
      do {
        ++*at;
        for (auto& r : expand(p, at, optional ? "|]" : "|)")) inner.push_back(r);
      } while (p[*at] == '|');
      ++*at;
      if (optional) inner.push_back("");
      append(inner);
    } else if (p[*at] == '{') {
      const size_t close = p.find('}', *at);
      const std::string slot = p.substr(*at + 1, close - *at - 1);
      const size_t colon = slot.find(':');
      append({sample_for(colon == std::string::npos ? "noun" : slot.substr(colon + 1))});
      *at = close + 1;
    } else {
      size_t stop = *at;
      while (stop < p.size() && std::string(" [](){}|").find(p[stop]) == std::string::npos) ++stop;
      append({p.substr(*at, stop - *at)});
      *at = stop;
    }
  }
  return out;
}

TEST(Sentence, NoTwoSentencesShareAWording) {
  size_t tried = 0;
  for (const Sentence& s : sentences()) {
    for (const auto& pattern : s.patterns) {
      size_t at = 0;
      for (const auto& text : expand(pattern, &at, "")) {
        ++tried;
        std::set<std::string> names;
        for (const auto& b : bind_all(text)) names.insert(b.sentence->name);
        EXPECT_THAT(names, ElementsAre(s.name)) << text;
      }
    }
  }
  EXPECT_GT(tried, 300u);
}

TEST(Sentence, NoTwoAssertionsShareAWording) {
  for (const AssertionSentence& s : assertion_sentences()) {
    for (const auto& pattern : s.patterns) {
      size_t at = 0;
      for (const auto& text : expand(pattern, &at, "")) {
        const auto bound = bind_assertion(text);
        ASSERT_TRUE(bound) << text;
        EXPECT_EQ(bound->sentence->name, s.name) << text;
      }
    }
  }
}

TEST(Sentence, TheReferenceIsWhatTheRegistrySays) {
  const std::string path = "../../../docs/guide/sentences.md";
  if (std::getenv("RUNINK_REWRITE") != nullptr) std::ofstream(path, std::ios::binary) << sentences_as_markdown();
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  EXPECT_EQ(text.str(), sentences_as_markdown()) << path << " (RUNINK_REWRITE=1 writes it anew)";
  EXPECT_EQ(shown_pattern("{records} are [a:b] sorted by {keys:keys}"), "{records} are [a:b] sorted by {keys}");
}

TEST(Sentence, NamesAreUniqueAndEverythingIsDescribed) {
  std::set<std::string> names;
  for (const Sentence& s : sentences()) {
    EXPECT_TRUE(names.insert(s.name).second) << s.name;
    EXPECT_FALSE(s.help.empty() || s.example.empty() || s.becomes.empty()) << s.name;
    EXPECT_EQ(s.table == Attachment::kNone, s.table_help.empty()) << s.name;
  }
}

TEST(Sentence, CapturesSayWhatWasWrittenAndWhere) {
  const std::string text = "field \"route\" is set to origin + \" is set to \" + destination";
  const auto bound = bind_sentence(text);
  ASSERT_TRUE(bound);
  EXPECT_EQ(bound->find("field")->text, "route");
  const Capture* value = bound->find("value");
  EXPECT_EQ(value->text, "origin + \" is set to \" + destination");
  EXPECT_EQ(text.substr(value->offset, value->length), value->text);
}

TEST(Sentence, ListsSplitAtCommasAndTheLastAnd) {
  const auto bound = bind_sentence("fields a, \"b, c\" and billing.city are dropped");
  ASSERT_TRUE(bound);
  std::vector<std::string> names;
  for (const auto& i : bound->find("fields")->items) names.push_back(i.text);
  EXPECT_THAT(names, ElementsAre("a", "b, c", "billing.city"));

  const auto keys = bind_sentence("records are sorted by delay descending, `first name` keeping the first 1,000");
  ASSERT_TRUE(keys);
  EXPECT_EQ(keys->find("keys")->items[0].second, "desc");
  EXPECT_EQ(keys->find("keys")->items[1].text, "first name");
  EXPECT_EQ(keys->find("count")->count, 1000u);

  const auto terms = bind_sentence("records are grouped by route, hour(x, 1) as h, computing:");
  ASSERT_TRUE(terms);
  EXPECT_EQ(terms->find("keys")->items[1].text, "hour(x, 1)");
  EXPECT_EQ(terms->find("keys")->items[1].second, "h");
}

TEST(Sentence, WordingAndSpacingAreFreeWhereNothingDependsOnThem) {
  EXPECT_EQ(name_of("Records   ARE checked\tagainst their contract"), "check");
  EXPECT_EQ(name_of("each flight is checked against the contract"), "check");
  EXPECT_EQ(name_of("the late flights arrive"), "source");
  EXPECT_EQ(name_of("the passenger's bags are written"), "none");
  EXPECT_EQ(name_of("valid records are written"), "write");
  EXPECT_EQ(name_of("rejected records are written"), "write.rejected");
  EXPECT_EQ(name_of("flights rejected by rules \"a\" and \"b\" go to dead letters"), "write.rejected_by_rule");
  EXPECT_EQ(name_of("records of branch late are written"), "write.branch");
  EXPECT_EQ(name_of("records are joined with airports on origin = airports.iata"), "join.inner");
  EXPECT_EQ(name_of("records are joined with \"x.csv\" as a with contract \"c\" on x = a.y"), "join.inner");
}

TEST(Sentence, NearMissesNameTheCorrectedSentence) {
  EXPECT_EQ(nearest_sentences("records are cheked against the contract")[0],
            "records are checked against the contract");
  EXPECT_EQ(nearest_sentences("field \"route\" is sett to origin")[0], "field \"route\" is set to origin");
  EXPECT_EQ(nearest_sentences("records are sorted delay")[0], "records are sorted by delay");
  EXPECT_EQ(nearest_sentences("anything at all").size(), 3u);
  // A sentence that ends too early is the beginning of one.
  EXPECT_EQ(nearest_sentences("records are checked")[0], "records are checked against the contract");
  EXPECT_EQ(nearest_sentences("flights are chcked against")[0], "flights are checked against the contract");
  EXPECT_EQ(nearest_sentences("records are joined with \"a.csv\"")[0], "records are joined with \"a.csv\" on {condition}");
  EXPECT_EQ(nearest_assertions("at least 10 records are procesed")[0], "at least 10 records are processed");
}

TEST(Sentence, OddTextsNeverMatchAndNeverHang) {
  EXPECT_EQ(name_of(""), "none");
  EXPECT_EQ(name_of("   "), "none");
  EXPECT_EQ(name_of(":"), "none");
  EXPECT_EQ(name_of(std::string(100000, 'a')), "none");
  std::string words;
  for (int i = 0; i < 2500; ++i) words += "on to as ";
  EXPECT_EQ(name_of(words), "none");
  EXPECT_EQ(name_of("records are joined with \"a\" on " + words.substr(0, 16000)), "join.inner");
  EXPECT_EQ(name_of(std::string(8000, '(') + std::string(8000, '"')), "none");
  EXPECT_EQ(name_of(std::string("a\0b", 3)), "none");
  EXPECT_EQ(nearest_sentences(words).size(), 3u);
}

}  // namespace
}  // namespace runink::dsl
