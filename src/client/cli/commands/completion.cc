// runi completion bash|zsh|fish, and the hidden `runi __complete KIND` that the scripts ask for values that change.
#include "client/cli/commands/all.h"
#include "client/cli/generate.h"
#include "client/cli/invocation.h"

namespace runink::cli {
namespace {

Result<int> run_completion(Invocation& invocation) {
  const std::string& shell = invocation.text("SHELL");
  const Command& root = invocation.root();
  invocation.console().out(shell == "bash"  ? bash_completion(root)
                           : shell == "zsh" ? zsh_completion(root)
                                            : fish_completion(root));
  return kExitDone;
}

Result<int> run_complete(Invocation&) { return kExitDone; }

}  // namespace

Command completion_command() {
  return {.name = "completion",
          .group = "the program",
          .summary = "print the completion script of a shell",
          .description = "An installed Runink has its scripts in the standard places already; this is for a runi run from "
                         "a build folder, or for a shell that looks elsewhere.",
          .positionals = {{.name = "SHELL", .help = "the shell", .choices = {"bash", "zsh", "fish"}}},
          .examples = {{"source <(runi completion bash)", "Complete runi in this bash."},
                       {"runi completion fish > ~/.config/fish/completions/runi.fish", "Complete runi in every fish."}},
          .run = run_completion};
}

Command complete_command() {
  return {.name = "__complete",
          .group = "the program",
          .summary = "print values for shell completion, one per line",
          .positionals = {{.name = "KIND", .help = "what is completed", .choices = {"runs", "scenarios"}}},
          .run = run_complete,
          .hidden = true};
}

}  // namespace runink::cli
