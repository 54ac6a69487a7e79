// runi completion bash|zsh|fish, and the hidden `runi __complete KIND` that the scripts ask for values that change.
#include "base/text.h"
#include "client/cli/commands/all.h"
#include "client/cli/feature.h"
#include "client/cli/generate.h"
#include "client/cli/invocation.h"
#include "client/local/history.h"
#include "data/dsl/gherkin.h"

namespace runink::cli {
namespace {

void print_scenarios(Console& console, const std::string& root, const std::string& feature) {
  Result<SourceTextPtr> source = read_feature(root, feature);
  Diagnostics ignored;
  if (!source.ok()) return;
  std::optional<dsl::Document> document = dsl::parse_feature(*source, &ignored);
  if (!document || !document->feature) return;
  for (const dsl::Scenario& scenario : document->feature->scenarios) console.out(escape_control(scenario.name) + "\n");
  for (const dsl::Rule& rule : document->feature->rules) {
    for (const dsl::Scenario& scenario : rule.scenarios) console.out(escape_control(scenario.name) + "\n");
  }
}

Result<int> run_completion(Invocation& invocation) {
  const std::string& shell = invocation.text("SHELL");
  const Command& root = invocation.root();
  invocation.console().out(shell == "bash"  ? bash_completion(root)
                           : shell == "zsh" ? zsh_completion(root)
                                            : fish_completion(root));
  return kExitDone;
}

// Values for one word, or nothing at all: completion never complains.
Result<int> run_complete(Invocation& invocation) {
  Result<local::Project> project = local::Project::find(".");
  if (!project.ok()) return kExitDone;
  if (invocation.text("KIND") == "runs") {
    Result<ledger::Ledger> ledger = ledger::Ledger::open_existing(project->root());
    if (!ledger.ok()) return kExitDone;
    ledger::RunFilter filter;
    filter.limit = 50;
    Result<std::vector<ledger::RunRecord>> runs = ledger->list_runs(filter);
    if (!runs.ok()) return kExitDone;
    invocation.console().out("last\n");
    for (const ledger::RunRecord& run : *runs) invocation.console().out(run.id + "\n");
    return kExitDone;
  }
  Result<std::vector<std::string>> features = feature_files(project->root());
  if (!features.ok()) return kExitDone;
  for (const std::string& feature : *features) print_scenarios(invocation.console(), project->root(), feature);
  return kExitDone;
}

}  // namespace

Command completion_command() {
  return {.name = "completion",
          .group = "the program",
          .summary = "print the completion script of a shell",
          .description =
              "An installed Runink has its scripts in the standard places already; this is for a runi run from "
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
