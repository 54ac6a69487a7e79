#include "client/cli/program.h"

#include <fmt/format.h>

#include <exception>
#include <filesystem>

#include "client/cli/exit_code.h"
#include "client/cli/help.h"
#include "client/cli/parse.h"
#include "platform/os/shell_words.h"

namespace runink::cli {
namespace {

// The one place where an exception of a library that slipped through is turned into a Status. It is a bug of ours, and
// is said to be one.
Result<int> run_command(Invocation& invocation) {
  try {
    return invocation.command().run(invocation);
  } catch (const std::exception& error) {
    return internal_error("{}", error.what())
        .with_hint("this is a bug in runi; please report it with the command that you typed");
  }
}

// --project is as if the command had been typed in that folder: every relative path starts there.
Status enter_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::current_path(folder, error);
  return error ? from_errno(error.value(), "enter the folder of --project, " + folder) : Status();
}

int finish(Console& console, Result<int> result) {
  if (!result.ok()) console.flush().ok();  // what was printed stays before the error that followed it
  // A reader that has seen enough (`runi runs | head -1`) is nothing to complain about.
  if (!result.ok() && result.status().kind() == "output.closed") return kExitFailed;
  if (!result.ok()) {
    console.print_error(result.status());
    return exit_code(result.status());
  }
  Status flushed = console.flush();
  if (flushed.ok()) return *result;
  if (flushed.kind() != "output.closed") console.print_error(flushed);
  return *result == kExitDone ? kExitFailed : *result;
}

}  // namespace

const char* version() { return RUNINK_VERSION; }

int run_program(const Command& root, const std::vector<std::string>& arguments, Console& console) {
  Result<ParseOutcome> parsed = parse_arguments(root, arguments);
  if (!parsed.ok()) return finish(console, parsed.status());
  ParseOutcome& outcome = *parsed;
  console.set_colour(outcome.values["color"].texts.at(0));
  console.set_quiet(outcome.values["quiet"].given);
  switch (outcome.kind) {
    case ParseOutcome::Kind::kHelp:
      console.out(help_text(*outcome.command, outcome.path, {console.out_width(), console.out_colour()}));
      return finish(console, kExitDone);
    case ParseOutcome::Kind::kVersion:
      console.out(fmt::format("{} {}\n", root.name, version()));
      return finish(console, kExitDone);
    case ParseOutcome::Kind::kRun:
      break;
  }
  if (const ParsedValues& project = outcome.values["project"]; project.given) {
    Status entered = enter_folder(project.texts[0]);
    if (!entered.ok()) return finish(console, entered);
  }
  std::vector<std::string> typed = arguments;
  typed.insert(typed.begin(), root.name);
  Invocation invocation(root, *outcome.command, outcome.path, std::move(outcome.values), os::join_command(typed),
                        console);
  return finish(console, run_command(invocation));
}

}  // namespace runink::cli
