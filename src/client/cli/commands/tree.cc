// Which commands there are, in the order in which help lists them.
#include "client/cli/commands.h"
#include "client/cli/commands/all.h"

namespace runink::cli {

Command command_tree() {
  Command root;
  root.name = "runi";
  root.summary = "governed data pipelines: contracts, features, runs";
  root.description =
      "A contract says what data must look like, a feature says what happens to it; runi checks, runs and tests both, "
      "on this machine, with nothing started beforehand.\n"
      "\n"
      "Bad records never stop a run: they are set aside as dead letters with their original bytes and the reason. "
      "Every "
      "run leaves its lineage, quality results and counts behind in the project's .runink folder.";
  root.flags = {{.name = "version", .help = "print the version and exit"}};
  root.subcommands = {
      // project
      init_command(), doctor_command(), fmt_command(), lint_command(), steps_command(), plan_command(),
      compile_command(), run_command(), watch_command(), test_command(), synth_command(), diff_command(), gc_command(),
      // contracts
      contract_command(),
      // runs
      runs_command(), status_command(), logs_command(), cancel_command(), resume_command(), restart_command(),
      lineage_command(), dlq_command(), quality_command(), show_command(),
      // the program
      completion_command(), help_command(), complete_command(), generate_command()};
  root.examples = {{"runi init shop", "Make a project that works."},
                   {"runi run features/orders.dsl", "Run a feature."}};
  return root;
}

}  // namespace runink::cli
