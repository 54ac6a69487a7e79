#include "data/plan/locator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runink::plan {
namespace {

using ::testing::HasSubstr;

LocatorFacts facts(std::string_view text) {
  auto f = locator_facts(text);
  EXPECT_TRUE(f.ok()) << text << ": " << f.status().to_string();
  return f.ok() ? *f : LocatorFacts{};
}

TEST(Locator, TellsFormatCompressionAndStemFromTheName) {
  struct {
    const char *text, *path, *format, *compression, *stem;
  } cases[] = {
      {"data/x.ndjson", "data/x.ndjson", "ndjson", "", "x"},
      {"data/x.JSONL.GZ", "data/x.JSONL.GZ", "ndjson", "gzip", "x"},
      {"x.csv.zst", "x.csv.zst", "csv", "zstd", "x"},
      {"a.b/x.y.tsv", "a.b/x.y.tsv", "csv", "", "x.y"},
      {"file:///srv//x.arrow", "/srv/x.arrow", "arrow", "", "x"},
      {"./data/../x.ipc", "x.ipc", "arrow", "", "x"},
      {"data/x", "data/x", "", "", "x"},
      {"data/x.gz", "data/x.gz", "", "gzip", "x"},
      {"data/.csv", "data/.csv", "", "", ".csv"},
      {"data/x.parquet", "data/x.parquet", "", "", "x.parquet"},
  };
  for (const auto& c : cases) {
    const LocatorFacts f = facts(c.text);
    EXPECT_EQ(f.path, c.path) << c.text;
    EXPECT_EQ(f.format, c.format) << c.text;
    EXPECT_EQ(f.compression, c.compression) << c.text;
    EXPECT_EQ(f.stem, c.stem) << c.text;
  }
  EXPECT_EQ(facts("x.tsv").delimiter, '\t');
  EXPECT_EQ(facts("-").kind, LocatorFacts::Kind::kStandard);
  EXPECT_TRUE(facts("data/2024-*.csv").glob);
  EXPECT_FALSE(facts("data/2024.csv").glob);
}

TEST(Locator, RefusesWhatNothingHereReads) {
  EXPECT_THAT(locator_facts("file://server/x.csv").status().message(), HasSubstr("`server`"));
  EXPECT_THAT(locator_facts("file://x").status().message(), HasSubstr("`x`"));
  EXPECT_THAT(locator_facts("s3://bucket/x.csv").status().message(), HasSubstr("s3://"));
  EXPECT_FALSE(locator_facts("").ok());
  EXPECT_FALSE(locator_facts(std::string_view("a\0b", 3)).ok());
  EXPECT_TRUE(locator_facts("odd name: with//slashes.csv").ok()) << "a colon alone makes no scheme";
  EXPECT_THAT(canonical_format("cvs").status().hint(), HasSubstr("csv"));
  EXPECT_EQ(*canonical_compression("zst"), "zstd");
  EXPECT_FALSE(canonical_compression("bz2").ok());
}

TEST(Locator, NormalPathsAreEqualForOneFile) {
  EXPECT_EQ(normal_path("/p", "a/./b/../c"), "/p/a/c");
  EXPECT_EQ(normal_path("/p", "/x"), "/x");
  EXPECT_EQ(normal_path("", "../x"), "../x");
  EXPECT_EQ(normal_path("/", "../../x"), "/x");
  EXPECT_EQ(normal_path("", ""), ".");
}

TEST(Locator, GlobsMatchAsShellsDo) {
  struct {
    const char *pattern, *path;
    bool matches;
  } cases[] = {
      {"a*.csv", "abc.csv", true}, {"a*.csv", "a/b.csv", false}, {"*/x", "a/x", true},     {"a?c", "abc", true},
      {"a?c", "a/c", false},       {"[a-c]x", "bx", true},       {"[!a-c]x", "bx", false}, {"[!a-c]x", "dx", true},
      {"[]a]x", "]x", true},       {"[ab", "[ab", true},         {"*", "", true},          {"a*b*c", "axxbyyc", true},
      {"a*b*c", "axxbyy", false},  {"**a", "bba", true},         {"a", "b", false},
  };
  for (const auto& c : cases) EXPECT_EQ(glob_matches(c.pattern, c.path), c.matches) << c.pattern << " " << c.path;
  // A pattern that makes backtracking matchers slow.
  std::string pattern, path(5000, 'a');
  for (int i = 0; i < 50; ++i) pattern += "a*";
  EXPECT_FALSE(glob_matches(pattern + "b", path));
}

}  // namespace
}  // namespace runink::plan
