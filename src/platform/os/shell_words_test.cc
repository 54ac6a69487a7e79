#include "platform/os/shell_words.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace runink::os {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(ShellWordsTest, Splits) {
  EXPECT_THAT(*split_command("dpkg-query -W  -f='${Package}\\t${Version}\\n'"),
              ElementsAre("dpkg-query", "-W", "-f=${Package}\\t${Version}\\n"));
  EXPECT_THAT(*split_command("a 'b c'd \"e \\\"f\\n\" \\ g ''"), ElementsAre("a", "b cd", "e \"f\\n", " g", ""));
  EXPECT_THAT(*split_command("find . -exec true {} \\;"), ElementsAre("find", ".", "-exec", "true", "{}", ";"));
  EXPECT_THAT(*split_command("a\\\nb a#b x=~"), ElementsAre("ab", "a#b", "x=~"));
  EXPECT_THAT(*split_command("sh -c 'a | b > $HOME'"), ElementsAre("sh", "-c", "a | b > $HOME"));
}

TEST(ShellWordsTest, RefusesWhatNeedsAShell) {
  for (const char* command : {"a | b", "a > b", "echo $HOME", "ls *", "a;b", "a && b", "`a`", "\"$x\"", "~/a", "#a"}) {
    const Status status = split_command(command).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << command;
    EXPECT_THAT(status.hint(), HasSubstr("sh -c")) << command;
  }
  EXPECT_THAT(split_command("a | b").status().message(), HasSubstr("column 3"));
  for (const char* command : {"", "  ", "'a", "\"a", "a\\"}) EXPECT_FALSE(split_command(command).ok()) << command;
  EXPECT_FALSE(split_command(std::string_view("a\0b", 3)).ok());
}

TEST(ShellWordsTest, QuotesSoThatSplittingGivesTheSame) {
  const std::vector<std::string> words = {"a", "", "b c", "it's", "$x", "a\nb", "ü", "--x=1,2"};
  EXPECT_THAT(*split_command(join_command(words)), ::testing::ElementsAreArray(words));
  EXPECT_EQ(quote_word("plain/path-1.csv"), "plain/path-1.csv");
  EXPECT_EQ(quote_word("it's"), "'it'\\''s'");
}

}  // namespace
}  // namespace runink::os
