// The real tree of runi: well declared, and told in docs/reference/cli.md as it is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "client/cli/generate.h"
#include "plane/program_tree.h"

namespace runink::cli {
namespace {

Command whole_tree() {
  return plane::program_tree(
      [](const std::string&) -> RunFunction { return [](Invocation&) -> Result<int> { return 0; }; });
}

TEST(Tree, IsWellDeclared) { EXPECT_THAT(check_tree(whole_tree()), ::testing::IsEmpty()); }

TEST(Tree, ReferenceIsUpToDate) {
  const std::string path = "../../docs/reference/cli.md";
  const std::string text = markdown_reference(whole_tree());
  if (std::getenv("RUNINK_REWRITE")) std::ofstream(path) << text;
  std::ifstream file(path);
  std::stringstream stored;
  stored << file.rdbuf();
  EXPECT_TRUE(stored.str() == text) << "docs/reference/cli.md is stale: run ./dev fmt reference";
}

TEST(Tree, EveryShownCommandHasAnExample) {
  for (const Command& command : whole_tree().subcommands) {
    if (command.hidden) continue;
    EXPECT_FALSE(command.examples.empty() && command.subcommands.empty()) << command.name;
    for (const Command& sub : command.subcommands)
      EXPECT_FALSE(sub.examples.empty()) << command.name << " " << sub.name;
  }
}

}  // namespace
}  // namespace runink::cli
