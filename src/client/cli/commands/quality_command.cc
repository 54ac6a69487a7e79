// runi quality [RUN]
#include "client/cli/commands/all.h"
#include "client/cli/history.h"

namespace runink::cli {
namespace {

void add_results(Table* table, const ledger::RunRecord& run, const char* kind,
                 const std::vector<ledger::CheckResult>& results) {
  for (const ledger::CheckResult& check : results) {
    Cell result = check.passed               ? Cell("holds").styled(Style::kGreen)
                  : check.severity == "warn" ? Cell("warns").styled(Style::kYellow)
                                             : Cell("fails").styled(Style::kRed);
    table->add({check.name, std::move(result), kind, run.scenario, check.expression, check.actual, check.expected,
                check.severity, check.location, run.id});
  }
}

Result<int> run(Invocation& invocation) {
  PastRuns past = RUNINK_TRY(open_past_runs(invocation));
  local::RunFamily family =
      RUNINK_TRY(local::load_family(past.ledger, invocation.given("RUN") ? invocation.text("RUN") : "last"));
  Table table({{"name", "NAME"},
               {"result", "RESULT"},
               {"kind", "KIND"},
               {"scenario", "SCENARIO"},
               {"expression", "RULE"},
               {"actual", "FOUND"},
               {"expected", "EXPECTED", true},
               {"severity", "SEVERITY", true},
               {"location", "WRITTEN AT", true},
               {"run", "RUN", true}});
  std::vector<ledger::RunRecord> runs = family.children;
  runs.insert(runs.begin(), family.run);
  for (const ledger::RunRecord& run : runs) {
    add_results(&table, run, "assertion", run.assertions);
    add_results(&table, run, "quality", run.quality);
  }
  table.set_empty_note("this run had no assertions and no quality rules");
  RUNINK_RETURN_IF_ERROR(invocation.print(table));
  return kExitDone;
}

}  // namespace

Command quality_command() {
  return {
      .name = "quality",
      .group = "runs",
      .summary = "show the assertions and quality rules of a run",
      .description = "Each with whether it held and what was found. A quality rule of severity warn never stops a run.",
      .positionals = {run_positional(true)},
      .lists = true,
      .examples = {{"runi quality", "Of the last run."}, {"runi quality last -o json", "For programs."}},
      .run = run};
}

}  // namespace runink::cli
