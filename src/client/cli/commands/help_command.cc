// runi help [COMMAND…]
#include <fmt/format.h>

#include "base/nearest.h"
#include "base/text.h"
#include "client/cli/commands/all.h"
#include "client/cli/help.h"
#include "client/cli/invocation.h"

namespace runink::cli {
namespace {

Result<int> run(Invocation& invocation) {
  const Command* command = &invocation.root();
  std::string path = command->name;
  for (const std::string& word : invocation.texts("COMMAND")) {
    const Command* sub = find_subcommand(*command, word);
    if (!sub) {
      std::string message = fmt::format("there is no command \"{}\" in \"{}\"", escape_control(word), path);
      std::vector<std::string> near = nearest(word, subcommand_names(*command), 1);
      if (!near.empty()) message += fmt::format("; did you mean \"{} {}\"?", path, near[0]);
      return invocation.usage_error(message);
    }
    command = sub;
    path += " " + word;
  }
  Console& console = invocation.console();
  console.out(help_text(*command, path, {console.out_width(), console.out_colour()}));
  return kExitDone;
}

}  // namespace

Command help_command() {
  return {.name = "help",
          .group = "the program",
          .summary = "show the help of a command",
          .description = "The same as COMMAND --help.",
          .positionals = {{.name = "COMMAND",
                           .help = "words of the command, as in \"contract check\"",
                           .completion = Completion::kCommand,
                           .optional = true,
                           .repeated = true}},
          .examples = {{"runi help run", "Show what run takes."}},
          .run = run};
}

}  // namespace runink::cli
