#include "client/local/text_diff.h"

#include <gtest/gtest.h>

namespace runink::local {
namespace {

std::string diff(std::string_view before, std::string_view after, size_t max_lines = 60) {
  return unified_diff(before, after, {"a", "b", 1, max_lines});
}

TEST(TextDiff, EqualTextsHaveNone) {
  EXPECT_EQ(diff("", ""), "");
  EXPECT_EQ(diff("x\ny\n", "x\ny\n"), "");
  EXPECT_EQ(diff("x\ny", "x\ny\n"), "");
}

TEST(TextDiff, ShowsWhatChangedWithItsPlace) {
  EXPECT_EQ(diff("1\n2\n3\n4\n5\n", "1\n2\nthree\n4\n5\n"), "--- a\n+++ b\n@@ -2,3 +2,3 @@\n 2\n-3\n+three\n 4\n");
  EXPECT_EQ(diff("", "new\n"), "--- a\n+++ b\n@@ -0,0 +1,1 @@\n+new\n");
  EXPECT_EQ(diff("gone\nstays\n", "stays\n"), "--- a\n+++ b\n@@ -1,2 +1,1 @@\n-gone\n stays\n");
}

TEST(TextDiff, FarChangesAreSeveralHunks) {
  EXPECT_EQ(diff("a\n1\n2\n3\n4\n5\nb\n", "A\n1\n2\n3\n4\n5\nB\n"),
            "--- a\n+++ b\n@@ -1,2 +1,2 @@\n-a\n+A\n 1\n@@ -6,2 +6,2 @@\n 5\n-b\n+B\n");
}

TEST(TextDiff, IsBoundedAndSafeToPrint) {
  std::string many;
  for (int i = 0; i < 5000; ++i) many += "line\x1b[2J\n";
  const std::string text = diff("", many, 3);
  EXPECT_NE(text.find("… and 4,997 more lines\n"), std::string::npos) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace runink::local
