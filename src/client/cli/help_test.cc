// Help as people see it: snapshots in testdata/, rewritten by RUNINK_REWRITE=1.
#include "client/cli/help.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "client/cli/sample_tree.h"

namespace runink::cli {
namespace {

void expect_snapshot(const std::string& name, const std::string& text) {
  const std::string path = "testdata/" + name;
  if (std::getenv("RUNINK_REWRITE")) std::ofstream(path) << text;
  std::ifstream file(path);
  ASSERT_TRUE(file) << path << " is missing; make it with RUNINK_REWRITE=1";
  std::stringstream expected;
  expected << file.rdbuf();
  EXPECT_EQ(text, expected.str());
}

TEST(Help, OfTheProgram) { expect_snapshot("help_program.txt", help_text(testing_tree::sample_tree(), "runi", {})); }

TEST(Help, OfACommand) {
  Command root = testing_tree::sample_tree();
  expect_snapshot("help_run.txt", help_text(*find_subcommand(root, "run"), "runi run", {}));
}

TEST(Help, OfACommandWithSubcommands) {
  Command root = testing_tree::sample_tree();
  expect_snapshot("help_contract.txt", help_text(*find_subcommand(root, "contract"), "runi contract", {}));
}

TEST(Help, HiddenCommandsAreNotShown) {
  EXPECT_EQ(help_text(testing_tree::sample_tree(), "runi", {}).find("__secret"), std::string::npos);
}

TEST(Help, FitsTheTerminal) {
  Command root = testing_tree::sample_tree();
  std::istringstream lines(help_text(*find_subcommand(root, "run"), "runi run", {60, false}));
  for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 62u) << line;
}

TEST(CheckTree, FindsBugsOfDeclarations) {
  Command bad{
      .name = "runi",
      .summary = "x.",
      .positionals = {{.name = "A", .help = "a", .optional = true}, {.name = "B", .help = "b"}},
      .flags = {{.name = "x", .letter = 'h', .help = "clash with help"},
                {.name = "n", .type = ValueType::kInteger, .value_name = "N", .help = "n", .default_value = "many"},
                {.name = "v", .type = ValueType::kText, .help = "no value name"}},
      .run = testing_tree::remember};
  EXPECT_EQ(check_tree(bad).size(), 5u);
  EXPECT_TRUE(check_tree(testing_tree::sample_tree()).empty());
}

}  // namespace
}  // namespace runink::cli
