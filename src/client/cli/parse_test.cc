#include "client/cli/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cli/captured_console.h"
#include "client/cli/sample_tree.h"

namespace runink::cli {
namespace {

using ::testing::HasSubstr;
using testing_tree::last_call;
using testing_tree::sample_tree;

struct Called {
  int code;
  std::string call, out, err;
};

Called call(const std::vector<std::string>& arguments) {
  last_call().clear();
  CapturedConsole captured;
  int code = run_program(sample_tree(), arguments, captured.console());
  return {code, last_call(), captured.out(), captured.err()};
}

TEST(Parse, FlagsMayStandAnywhere) {
  const std::string expected = "runi run [a.dsl] [b.dsl] memory=1048576 threads=4 timeout=0 strict";
  EXPECT_EQ(call({"run", "a.dsl", "b.dsl", "--memory", "1Mi", "--threads=4", "--strict"}).call, expected);
  EXPECT_EQ(call({"run", "--memory=1Mi", "-j4", "a.dsl", "--strict", "b.dsl"}).call, expected);
  EXPECT_EQ(call({"--quiet", "run", "-j", "4", "--strict", "-m=1Mi", "a.dsl", "b.dsl"}).call, expected);
}

TEST(Parse, DefaultsTypesAndRepeats) {
  EXPECT_EQ(call({"run", "a.dsl", "--timeout", "2m", "--set", "a=1", "--set=b=2"}).call,
            "runi run [a.dsl] memory=268435456 threads=-1 timeout=120000000 set=a=1 set=b=2");
}

TEST(Parse, SwitchLettersMayBeJoined) {
  EXPECT_THAT(call({"run", "-qvj2", "a.dsl"}).call, HasSubstr("threads=2 timeout=0 verbose"));
}

TEST(Parse, DoubleDashEndsFlags) {
  EXPECT_THAT(call({"run", "--", "--memory", "-x"}).call, HasSubstr("[--memory] [-x]"));
  EXPECT_THAT(call({"run", "-"}).call, HasSubstr("[-]"));
  EXPECT_THAT(call({"run", "--", "--help"}).call, HasSubstr("[--help]"));
}

// A command's own command line begins at its first word.
TEST(Parse, TheRestIsAnothers) {
  static std::string got;
  const RunFunction run = [](Invocation& invocation) -> Result<int> {
    for (const std::string& word : invocation.texts("COMMAND")) got += "[" + word + "]";
    if (invocation.enabled("keep")) got += " keep";
    return kExitDone;
  };
  const Command tree{.name = "runi",
                     .subcommands = {{.name = "exec",
                                      .summary = "run a command",
                                      .positionals = {{.name = "COMMAND",
                                                       .help = "the command",
                                                       .repeated = true,
                                                       .rest = true}},
                                      .flags = {{.name = "keep", .letter = 'k', .help = "keep it"}},
                                      .run = run}}};
  const auto call = [&](const std::vector<std::string>& arguments) {
    got.clear();
    CapturedConsole captured;
    const int code = run_program(tree, arguments, captured.console());
    return got.empty() ? std::to_string(code) + captured.out() + captured.err() : got;
  };
  EXPECT_EQ(call({"exec", "ls", "-l", "--color", "--", "x"}), "[ls][-l][--color][--][x]");
  EXPECT_EQ(call({"exec", "-k", "ls", "--keep"}), "[ls][--keep] keep");
  EXPECT_EQ(call({"exec", "--", "-k", "--", "ls"}), "[-k][--][ls]");
  EXPECT_EQ(call({"exec", "ls", "--help"}), "[ls][--help]");
  EXPECT_EQ(call({"exec", "ls", "-h"}), "[ls][-h]");
  EXPECT_THAT(call({"exec", "--help", "ls"}), HasSubstr("run a command"));
  // An error before the command is not hidden by its --help.
  EXPECT_THAT(call({"exec", "--nosuch", "ls", "--help"}), HasSubstr("has no flag --nosuch"));
}

TEST(Parse, SubcommandsByTwoWords) {
  EXPECT_EQ(call({"contract", "check", "x.contract"}).call, "runi contract check");
  EXPECT_EQ(call({"__secret"}).call, "runi __secret");
}

// Every error is one of usage, names what is wrong and where help is.
struct Wrong {
  std::vector<std::string> arguments;
  std::string message, hint;
};

class ParseErrors : public ::testing::TestWithParam<Wrong> {};

TEST_P(ParseErrors, SayWhatAndOfferTheNearest) {
  Called called = call(GetParam().arguments);
  EXPECT_EQ(called.code, kExitUsage);
  EXPECT_EQ(called.call, "");
  EXPECT_EQ(called.out, "");
  EXPECT_THAT(called.err, HasSubstr("error: " + GetParam().message));
  EXPECT_THAT(called.err, HasSubstr(GetParam().hint));
  EXPECT_THAT(called.err, HasSubstr("--help"));
}

INSTANTIATE_TEST_SUITE_P(
    All, ParseErrors,
    ::testing::Values(
        Wrong{{"rnu", "a"}, "there is no command \"rnu\" in \"runi\"", "did you mean \"runi run\""},
        Wrong{{"contract", "chekc"}, "there is no command \"chekc\"", "did you mean \"runi contract check\"?"},
        Wrong{{"release"}, "there is no command \"release\"", "did you mean \"runi contract release\"?"},
        Wrong{{"contract"}, "\"runi contract\" needs a subcommand: check, release", ""},
        Wrong{{"run", "a", "--memroy", "1"}, "\"runi run\" has no flag --memroy", "did you mean --memory?"},
        Wrong{{"show", "a", "--memory", "1"}, "\"runi show\" has no flag --memory", "it is a flag of \"runi run\""},
        Wrong{{"run", "a", "-memory", "1"}, "-m: \"emory\" is not a size", ""},
        Wrong{{"run", "a", "-z"}, "\"runi run\" has no flag -z", ""},
        Wrong{{"run"}, "FEATURE is missing: feature file", "usage: runi run [flags] FEATURE…"},
        Wrong{{"show", "1", "2", "3"}, "unexpected argument \"3\": \"runi show\" takes 2", ""},
        Wrong{{"run", "a", "--memory"}, "--memory needs a value: --memory SIZE", ""},
        Wrong{{"run", "a", "--memory", "lots"}, "--memory: \"lots\" is not a size", ""},
        Wrong{{"run", "a", "--threads", "4x"}, "--threads: \"4x\" is not a whole number", ""},
        Wrong{{"run", "a", "--threads", "99999999999999999999"},
              "--threads: \"99999999999999999999\" is not a number of 64 bits",
              ""},
        Wrong{{"run", "a", "--timeout", "soon"}, "--timeout: \"soon\" is not a duration", ""},
        Wrong{{"run", "a", "--mode", "apend"},
              "--mode: \"apend\" is not one of: replace, append, fail",
              "did you mean \"append\"?"},
        Wrong{{"run", "a", "--strict=yes"}, "--strict takes no value, but got \"yes\"", ""},
        Wrong{{"run", "a", "-m", "1", "--memory", "2"}, "--memory is given twice: \"1\" and \"2\"", ""},
        Wrong{{"run", "a", "--\x1b[31m"}, "\"runi run\" has no flag --\\x1b[31m", ""}));

TEST(Parse, HelpWinsOverErrors) {
  Called called = call({"run", "--memroy", "--help"});
  EXPECT_EQ(called.code, 0);
  EXPECT_THAT(called.out, HasSubstr("Usage: runi run [flags] FEATURE…"));
  EXPECT_EQ(called.err, "");
  EXPECT_THAT(call({"contract", "-h"}).out, HasSubstr("Usage: runi contract COMMAND"));
}

TEST(Parse, NothingAtAllIsHelp) { EXPECT_THAT(call({}).out, HasSubstr("Usage: runi")); }

TEST(Parse, Version) {
  EXPECT_THAT(call({"--version"}).out, ::testing::MatchesRegex("runi [0-9]+\\.[0-9]+\\.[0-9]+\n"));
}

TEST(Parse, Percent) {
  double share = 0;
  EXPECT_TRUE(parse_percent("2%", &share));
  EXPECT_DOUBLE_EQ(share, 0.02);
  EXPECT_TRUE(parse_percent("0.5", &share));
  EXPECT_DOUBLE_EQ(share, 0.5);
  for (const char* bad : {"", "%", "2", "101%", "-1%", "nan", "2 %", "x"})
    EXPECT_FALSE(parse_percent(bad, &share)) << bad;
}

}  // namespace
}  // namespace runink::cli
