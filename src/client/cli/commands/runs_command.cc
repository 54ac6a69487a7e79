// runi runs
#include <algorithm>

#include "base/clock.h"
#include "base/text.h"
#include "client/cli/commands/all.h"
#include "client/cli/history.h"
#include "client/cli/project.h"

namespace runink::cli {
namespace {

double seconds_of(const ledger::RunRecord& run) {
  return run.ended_micros > 0 ? static_cast<double>(run.ended_micros - run.started_micros) / 1e6 : 0;
}

Result<int> run(Invocation& invocation) {
  PastRuns past = RUNINK_TRY(open_past_runs(invocation));
  ledger::RunFilter filter;
  filter.parents_only = !invocation.enabled("scenarios");
  filter.limit = static_cast<size_t>(std::max<int64_t>(0, invocation.integer("limit")));
  if (invocation.given("state")) filter.state = ledger::parse_run_state(invocation.text("state"));
  if (invocation.given("FEATURE"))
    filter.feature = RUNINK_TRY(path_in_project(past.project.root(), invocation.text("FEATURE")));
  if (invocation.given("since")) {
    filter.since_micros = system_clock().unix_micros() - invocation.duration_micros("since");
  }
  std::vector<Status> problems;
  Table table({{"id", "RUN"},
               {"state", "STATE"},
               {"feature", "FEATURE"},
               {"scenario", "SCENARIO", filter.parents_only},
               {"started", "STARTED"},
               {"seconds", "TOOK"},
               {"records_in", "IN"},
               {"records_valid", "VALID", true},
               {"records_written", "OUT"},
               {"records_rejected", "REJECTED"},
               {"bytes_in", "READ", true},
               {"bytes_out", "WRITTEN", true},
               {"peak_memory_bytes", "MEMORY", true},
               {"exit_code", "EXIT", true},
               {"reason", "REASON", true},
               {"parent_id", "PARENT", true},
               {"command", "COMMAND", true}});
  for (const ledger::RunRecord& run : RUNINK_TRY(past.ledger.list_runs(filter, &problems))) {
    table.add({invocation.output_form() == OutputForm::kTable ? Cell(run.id).shown_as(short_id(run.id)) : Cell(run.id),
               state_cell(run.state), run.feature, run.scenario, Cell::time(run.started_micros),
               run.ended_micros > 0 ? Cell::seconds(seconds_of(run)) : Cell(), Cell::count(run.records_in),
               Cell::count(run.records_valid), Cell::count(run.records_written), Cell::count(run.records_rejected),
               Cell::bytes(run.bytes_in),
               Cell::bytes(run.bytes_out), Cell::bytes(run.peak_memory_bytes),
               run.exit_code >= 0 ? Cell(run.exit_code) : Cell(), run.reason, run.parent_id, run.command});
  }
  table.set_empty_note("no runs match; start one with: runi run FEATURE");
  RUNINK_RETURN_IF_ERROR(invocation.print(table));
  for (const Status& problem : problems) invocation.console().warn(problem.to_string());
  return kExitDone;
}

}  // namespace

Command runs_command() {
  return {.name = "runs",
          .group = "runs",
          .summary = "list runs, newest first",
          .description = "Each line is the run of a feature; --scenarios lists the runs of its scenarios too.",
          .positionals = {{.name = "FEATURE",
                           .help = "only runs of this feature",
                           .completion = Completion::kFeature,
                           .optional = true}},
          .flags = {{.name = "scenarios", .letter = 's', .help = "also the runs of single scenarios"},
                    {.name = "state",
                     .type = ValueType::kText,
                     .value_name = "STATE",
                     .help = "only runs in this state",
                     .choices = {"running", "succeeded", "failed", "interrupted", "aborted", "cancelled"}},
                    {.name = "since",
                     .type = ValueType::kDuration,
                     .value_name = "TIME",
                     .help = "only runs that began within this time"},
                    {.name = "limit",
                     .letter = 'n',
                     .type = ValueType::kInteger,
                     .value_name = "N",
                     .help = "at most so many; 0 is all",
                     .default_value = "20"}},
          .lists = true,
          .examples = {{"runi runs", "The last twenty."},
                       {"runi runs --state failed --since 7d", "What failed this week?"}},
          .run = run};
}

}  // namespace runink::cli
