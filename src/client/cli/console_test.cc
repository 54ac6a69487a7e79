#include "client/cli/console.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>

#include "base/diagnostic.h"
#include "client/cli/captured_console.h"
#include "client/cli/exit_code.h"
#include "client/cli/invocation.h"
#include "client/cli/program.h"

namespace runink::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Console, ErrorsTellMessageContextHelpAndKind) {
  CapturedConsole captured;
  captured.console().print_error(not_found("no file data/x.csv")
                                     .with_context("open source data/x.csv")
                                     .with_context("run scenario \"Clean\"")
                                     .with_kind("source.missing")
                                     .with_hint("sources are paths from the project's folder"));
  EXPECT_EQ(captured.err(),
            "error: no file data/x.csv\n"
            "  while: open source data/x.csv\n"
            "  while: run scenario \"Clean\"\n"
            "  help: sources are paths from the project's folder\n"
            "  kind: source.missing\n");
  EXPECT_EQ(captured.out(), "");
}

TEST(Console, DiagnosticsAreToldOnce) {
  SourceText text("f.dsl", "When x\n");
  Diagnostics diagnostics;
  diagnostics.error(text, {5, 1}, "dsl.unknown_sentence", "no sentence matches \"x\"");
  CapturedConsole captured;
  captured.console().print_error(diagnostics.to_status());
  std::string said = captured.err();
  EXPECT_THAT(said, HasSubstr("f.dsl:1:6: error: no sentence matches \"x\""));
  EXPECT_EQ(said.find("no sentence"), said.rfind("no sentence"));
}

TEST(Console, ControlBytesOfMessagesAreEscaped) {
  CapturedConsole captured;
  captured.console().print_error(not_found("no file \x1b]0;evil\x07").with_context("open \x1b[2J"));
  captured.console().warn("golden/f/x\x1b[31mPWN\x07 belongs to no scenario\nof features/f.dsl");
  EXPECT_THAT(captured.err(), Not(HasSubstr("\x1b")));
  EXPECT_THAT(captured.err(), HasSubstr("\\u001b[31mPWN\\u0007 belongs to no scenario\n  of features/f.dsl"));
}

TEST(Console, QuietKeepsWarnings) {
  CapturedConsole captured;
  captured.console().set_quiet(true);
  captured.console().say("running on this machine");
  captured.console().warn("12 records rejected");
  EXPECT_EQ(captured.err(), "warning: 12 records rejected\n");
}

TEST(Console, ColourOnlyWhereWanted) {
  CapturedConsole captured;
  EXPECT_EQ(captured.console().out_styled(Style::kRed, "x"), "x");
  captured.console().set_colour("always");
  EXPECT_EQ(captured.console().out_styled(Style::kRed, "x"), "\x1b[31mx\x1b[0m");
  captured.console().set_colour("never");
  EXPECT_EQ(captured.console().err_styled(Style::kRed, "x"), "x");
}

TEST(Console, FullDiskIsAnError) {
  std::FILE* full = std::fopen("/dev/full", "w");
  if (!full) GTEST_SKIP() << "no /dev/full here";
  Console console(full, stderr);
  console.out("something");
  EXPECT_EQ(console.flush().code(), Code::kResourceExhausted);
  std::fclose(full);
}

Result<int> throws(Invocation&) { throw std::runtime_error("out of luck"); }

TEST(Program, AnExceptionIsSaidToBeABug) {
  Command root{.name = "runi", .summary = "x", .subcommands = {{.name = "boom", .summary = "x", .run = throws}}};
  CapturedConsole captured;
  EXPECT_EQ(run_program(root, {"boom"}, captured.console()), kExitFailed);
  EXPECT_THAT(captured.err(), HasSubstr("error: out of luck\n  help: this is a bug in runi"));
}

TEST(ExitCode, FollowsKindThenCode) {
  EXPECT_EQ(exit_code(Status()), 0);
  EXPECT_EQ(exit_code(invalid_argument("x")), 1);
  EXPECT_EQ(exit_code(invalid_argument("x").with_kind("usage")), 2);
  EXPECT_EQ(exit_code(failed_precondition("x").with_kind("data.wrong")), 3);
  EXPECT_EQ(exit_code(failed_precondition("x").with_kind("data.wrong.assertion")), 3);
  EXPECT_EQ(exit_code(failed_precondition("x").with_kind("data.wrongly")), 1);
  EXPECT_EQ(exit_code(unavailable("x")), 4);
  EXPECT_EQ(exit_code(permission_denied("x")), 5);
  EXPECT_EQ(exit_code(not_found("x")), 6);
  EXPECT_EQ(exit_code(already_exists("x")), 7);
  for (const char* kind : {"source.program", "sink.closed", "step.died"})
    EXPECT_EQ(exit_code(aborted("x").with_kind(kind)), 1) << kind;
  EXPECT_EQ(exit_code(aborted("x")), 7);
  EXPECT_EQ(exit_code(deadline_exceeded("x")), 124);
  EXPECT_EQ(exit_code(cancelled("x")), 130);
  EXPECT_EQ(exit_code(aborted("x").with_kind("run.interrupted")), 130);
  EXPECT_EQ(exit_code(internal_error("x")), 1);
}

}  // namespace
}  // namespace runink::cli
