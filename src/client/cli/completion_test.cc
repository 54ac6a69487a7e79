// The completion scripts, loaded in the real shells.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/text.h"
#include "client/cli/generate.h"
#include "client/cli/sample_tree.h"
#include "client/cli/tool_in_test.h"

namespace runink::cli {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> out;
  for (std::string_view line : split(text, '\n')) {
    if (!line.empty()) out.emplace_back(line);
  }
  return out;
}

class Shell {
 public:
  Shell() {
    // A runi that answers __complete, as the script will ask.
    folder_.write("runi",
                  "#!/bin/sh\n[ \"$1 $2\" = \"__complete runs\" ] && printf '0193-aa\\n0193-bb\\n'\n"
                  "[ \"$1 $2\" = \"__complete scenarios\" ] && printf 'Clean the feed\\nOther\\n'\nexit 0\n");
    folder_.write("f.dsl", "");
    folder_.write("x.contract", "");
    folder_.write("y.csv", "");
    output_of("chmod +x " + folder_.file("runi") + "; mkdir " + folder_.file("sub"));
  }
  const TestFolder& folder() const { return folder_; }

 private:
  TestFolder folder_;
};

class Bash : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_tool("bash")) GTEST_SKIP() << "bash is not installed";
    shell_.folder().write("c.bash", bash_completion(testing_tree::sample_tree()));
  }
  // What TAB would offer after these words, the last one being typed.
  std::vector<std::string> offered(const std::string& words) {
    shell_.folder().write("t.bash",
                          "source ./c.bash\nCOMP_WORDS=(" + words +
                              ")\nCOMP_CWORD=$((${#COMP_WORDS[@]}-1))\n_runi\nprintf '%s\\n' \"${COMPREPLY[@]}\"\n");
    return lines_of(output_of("cd " + shell_.folder().path() + " && PATH=$PWD:$PATH bash --norc t.bash 2>&1"));
  }
  Shell shell_;
};

TEST_F(Bash, Commands) {
  EXPECT_THAT(offered("runi ''"), UnorderedElementsAre("run", "contract", "runs", "show"));
  EXPECT_THAT(offered("runi ru"), UnorderedElementsAre("run", "runs"));
  EXPECT_THAT(offered("runi contract ''"), UnorderedElementsAre("check", "release"));
  EXPECT_THAT(offered("runi -q contract c"), ElementsAre("check"));
}

TEST_F(Bash, FlagsAndTheirValues) {
  EXPECT_THAT(offered("runi run --m"), UnorderedElementsAre("--memory", "--mode"));
  EXPECT_THAT(offered("runi run --mode ''"), UnorderedElementsAre("replace", "append", "fail"));
  EXPECT_THAT(offered("runi run --mode = a"), ElementsAre("append"));
  EXPECT_THAT(offered("runi runs -o j"), ElementsAre("json"));
  EXPECT_THAT(offered("runi --color ''"), UnorderedElementsAre("auto", "always", "never"));
  EXPECT_THAT(offered("runi contract check --data y"), ElementsAre("y.csv"));
}

TEST_F(Bash, Positionals) {
  EXPECT_THAT(offered("runi run ''"), UnorderedElementsAre("f.dsl", "sub"));
  EXPECT_THAT(offered("runi run --memory 1Mi f.dsl ''"), UnorderedElementsAre("f.dsl", "sub"));
  EXPECT_THAT(offered("runi contract check x"), ElementsAre("x.contract"));
  EXPECT_THAT(offered("runi show ''"), UnorderedElementsAre("0193-aa", "0193-bb"));
  EXPECT_THAT(offered("runi show 0193-aa ''"), IsEmpty());
  EXPECT_THAT(offered("runi run -s C"), ElementsAre("Clean\\ the\\ feed"));
}

class Fish : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_tool("fish")) GTEST_SKIP() << "fish is not installed";
    shell_.folder().write("c.fish", fish_completion(testing_tree::sample_tree()));
  }
  std::vector<std::string> offered(const std::string& line) {
    std::string said = output_of("cd " + shell_.folder().path() +
                                 " && HOME=$PWD PATH=$PWD:$PATH fish --no-config -c 'source c.fish; complete -C \"" +
                                 line + "\"' 2>&1");
    std::vector<std::string> out;
    for (const std::string& text : lines_of(said)) out.push_back(text.substr(0, text.find('\t')));
    return out;
  }
  Shell shell_;
};

TEST_F(Fish, CompletesCommandsFlagsAndValues) {
  EXPECT_THAT(offered("runi ru"), UnorderedElementsAre("run", "runs"));
  EXPECT_THAT(offered("runi contract "), UnorderedElementsAre("check", "release"));
  EXPECT_THAT(offered("runi run --m"), UnorderedElementsAre("--memory", "--mode"));
  EXPECT_THAT(offered("runi run --mode "), UnorderedElementsAre("replace", "append", "fail"));
  EXPECT_THAT(offered("runi show "), UnorderedElementsAre("0193-aa", "0193-bb"));
  std::vector<std::string> features = offered("runi run ");
  EXPECT_THAT(features, Contains("f.dsl"));
}

class Zsh : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_tool("zsh")) GTEST_SKIP() << "zsh is not installed";
    shell_.folder().write("_runi", zsh_completion(testing_tree::sample_tree()));
  }
  // zsh completes only on a terminal: its own zpty gives it one. `compadd`, through which every match goes, is replaced
  // by one that prints them, and a mark is printed once completion has ended: nothing depends on how fast zsh draws.
  std::vector<std::string> offered(const std::string& line) {
    shell_.folder().write("setup.zsh", R"zsh(
PS1=
unsetopt zle_bracketed_paste
autoload -Uz compinit
fpath=($PWD $fpath)
compinit -D -u
compadd() {
  if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
    local -a __matches
    builtin compadd -O __matches "$@"
    (( $#__matches )) && print -l -- "MATCH:"${^__matches}
  fi
  builtin compadd "$@"
}
print_end() { print MATCHES''DONE }
on_tab() { comppostfuncs=(print_end); _main_complete }
zle -C tab list-choices on_tab
bindkey '^I' tab
print RE''ADY
)zsh");
    shell_.folder().write("t.zsh", R"zsh(
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "source $PWD/setup.zsh"
zpty -r z buffer '*READY*'
zpty -n -w z ")zsh" + line + R"zsh("$'\t'
zpty -r z buffer '*MATCHESDONE*'
print -r -- "$buffer"
zpty -d z
)zsh");
    std::vector<std::string> out;
    for (std::string text :
         lines_of(output_of("cd " + shell_.folder().path() +
                            " && HOME=$PWD PATH=$PWD:$PATH TERM=dumb timeout 60 zsh -f t.zsh 2>&1"))) {
      while (!text.empty() && text.back() == '\r') text.pop_back();
      size_t at = text.rfind("MATCH:");
      if (at != std::string::npos) out.push_back(text.substr(at + 6));
    }
    return out;
  }
  Shell shell_;
};

TEST_F(Zsh, CompletesCommandsFlagsAndValues) {
  EXPECT_THAT(offered("runi "), UnorderedElementsAre("run", "contract", "runs", "show"));
  EXPECT_THAT(offered("runi contract "), UnorderedElementsAre("check", "release"));
  EXPECT_THAT(offered("runi run --m"), UnorderedElementsAre("--memory", "--mode"));
  EXPECT_THAT(offered("runi run --mode "), UnorderedElementsAre("replace", "append", "fail"));
  EXPECT_THAT(offered("runi show "), UnorderedElementsAre("0193-aa", "0193-bb"));
  EXPECT_THAT(offered("runi contract check "), Contains("x.contract"));
}

}  // namespace
}  // namespace runink::cli
