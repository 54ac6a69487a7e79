#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::os {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(GlobMatchTest, Components) {
  EXPECT_TRUE(glob_match("*.csv", "a.csv"));
  EXPECT_TRUE(glob_match("*.csv", "ü.csv"));
  EXPECT_FALSE(glob_match("*.csv", ".csv"));
  EXPECT_FALSE(glob_match("*.csv", "d/a.csv"));
  EXPECT_TRUE(glob_match("?.csv", "ü.csv"));
  EXPECT_FALSE(glob_match("?.csv", "ab.csv"));
  EXPECT_TRUE(glob_match("[a-c]x", "bx"));
  EXPECT_FALSE(glob_match("[!a-c]x", "bx"));
  EXPECT_TRUE(glob_match("[]]x", "]x"));
  EXPECT_TRUE(glob_match("[x", "[x"));
  EXPECT_TRUE(glob_match("a*b*c", "aXXbYYbZc"));
  EXPECT_FALSE(glob_match("a*b*c", "aXXbYYbZ"));
  EXPECT_TRUE(glob_match("**/x", "x"));
  EXPECT_TRUE(glob_match("**/x", "a/b/x"));
  EXPECT_TRUE(glob_match("a/**", "a/b/c"));
  EXPECT_FALSE(glob_match("a/**/x", "a/.b/x"));
  EXPECT_FALSE(glob_match("/a", "a"));
}

TEST(GlobMatchTest, ManyStarsTakeNoLong) {
  const std::string pattern = "*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b";
  EXPECT_FALSE(glob_match(pattern, std::string(250, 'a')));
}

class GlobTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::move(TempFolder::create("")).value();
    for (const char* name : {"d/b.csv", "d/a.csv", "d/c.txt", "d/.hidden.csv", "d/e/f/g.csv", "h.csv"}) {
      ASSERT_TRUE(make_directories(folder_of(folder_.file(name))).ok());
      ASSERT_TRUE(write_file_atomic(folder_.file(name), "x").ok());
    }
  }
  std::vector<std::string> found(const std::string& pattern) {
    auto paths = glob(folder_.file(pattern));
    EXPECT_TRUE(paths.ok()) << paths.status().to_string();
    std::vector<std::string> names;
    for (const std::string& path : *paths) names.push_back(path.substr(folder_.path().size() + 1));
    return names;
  }
  TempFolder folder_;
};

TEST_F(GlobTest, SortedAndComplete) {
  EXPECT_THAT(found("d/*.csv"), ElementsAre("d/a.csv", "d/b.csv"));
  EXPECT_THAT(found("*/[bc].*"), ElementsAre("d/b.csv", "d/c.txt"));
  EXPECT_THAT(found("**/*.csv"), ElementsAre("d/a.csv", "d/b.csv", "d/e/f/g.csv", "h.csv"));
  EXPECT_THAT(found("**/**/g.csv"), ElementsAre("d/e/f/g.csv"));
  EXPECT_THAT(found("d/**"), ElementsAre("d/a.csv", "d/b.csv", "d/c.txt", "d/e/f/g.csv"));
  EXPECT_THAT(found("d/.*.csv"), ElementsAre("d/.hidden.csv"));
  EXPECT_THAT(found("h.csv"), ElementsAre("h.csv"));
  EXPECT_THAT(found("none.csv"), IsEmpty());
  EXPECT_THAT(found("none/*.csv"), IsEmpty());
  EXPECT_THAT(found("h.csv/*"), IsEmpty());
}

TEST_F(GlobTest, LinksInACircleEnd) {
  ASSERT_EQ(::symlink("..", folder_.file("d/up").c_str()), 0);
  EXPECT_THAT(found("**/h.csv"), ElementsAre("h.csv"));
  EXPECT_THAT(found("d/up/*.csv"), ElementsAre("d/up/h.csv"));
}

TEST_F(GlobTest, TheLimitIsTold) {
  EXPECT_EQ(glob(folder_.file("d/*.csv"), 1).status().code(), Code::kResourceExhausted);
}

}  // namespace
}  // namespace runink::os
