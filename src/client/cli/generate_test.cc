// Man pages are clean by mandoc's own judgement; the reference covers the tree.
#include "client/cli/generate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cli/commands.h"
#include "client/cli/sample_tree.h"
#include "client/cli/tool_in_test.h"

namespace runink::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

void expect_clean_pages(const Command& root) {
  if (!has_tool("mandoc")) GTEST_SKIP() << "mandoc is not installed";
  TestFolder folder;
  for (const auto& [name, text] : man_pages(root)) {
    folder.write(name, text);
    // That runi.1 is not installed while linting runi-run.1 is not a fault of the page.
    std::string said =
        output_of("mandoc -T lint " + folder.file(name) + " 2>&1 | grep -v 'referenced manual not found'");
    EXPECT_EQ(said, "") << text;
  }
}

TEST(ManPages, SampleIsClean) { expect_clean_pages(testing_tree::sample_tree()); }
TEST(ManPages, AllOfRuniAreClean) { expect_clean_pages(command_tree()); }

TEST(ManPages, RenderWhatWasDeclared) {
  if (!has_tool("mandoc")) GTEST_SKIP() << "mandoc is not installed";
  TestFolder folder;
  for (const auto& [name, text] : man_pages(testing_tree::sample_tree())) folder.write(name, text);
  std::string page = output_of("mandoc -T ascii " + folder.file("runi-run.1") + " | col -b");
  EXPECT_THAT(page, HasSubstr("-m, --memory SIZE"));
  EXPECT_THAT(page, HasSubstr("Default: 256Mi."));
  EXPECT_THAT(page, HasSubstr("$ runi run features/flights.dsl"));
  EXPECT_THAT(output_of("mandoc -T ascii " + folder.file("runi-contract.1") + " | col -b"),
              HasSubstr("runi contract check"));
}

TEST(ManPages, OnePerTopCommandAndNoneForHiddenOnes) {
  std::vector<std::string> names;
  for (const auto& [name, text] : man_pages(testing_tree::sample_tree())) names.push_back(name);
  EXPECT_THAT(names, ::testing::ElementsAre("runi.1", "runi-run.1", "runi-contract.1", "runi-runs.1", "runi-show.1"));
}

TEST(Reference, CoversTheTree) {
  std::string text = markdown_reference(testing_tree::sample_tree());
  EXPECT_THAT(text, HasSubstr("\n## runi run\n"));
  EXPECT_THAT(text, HasSubstr("\n### runi contract check\n"));
  EXPECT_THAT(text, HasSubstr("| `-m, --memory SIZE` | memory budget | `256Mi` |"));
  EXPECT_THAT(text, HasSubstr("`table`, `wide`, `json`, `yaml`, `csv`, `name`"));
  EXPECT_THAT(text, Not(HasSubstr("__secret")));
}

}  // namespace
}  // namespace runink::cli
