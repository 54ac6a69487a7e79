// runi show RUN [STEP]: a sample of what a step gave.
#include <fmt/format.h>

#include "base/nearest.h"
#include "base/text.h"
#include "client/cli/commands/all.h"
#include "client/cli/history.h"
#include "platform/os/file.h"

namespace runink::cli {
namespace {

// A step whose rows were kept, of one of the runs.
struct KeptStep {
  const ledger::RunRecord* run = nullptr;
  const ledger::OperatorCount* op = nullptr;
  std::string path;
};

std::vector<KeptStep> kept_steps(const ledger::Ledger& ledger, const std::vector<ledger::RunRecord>& runs) {
  std::vector<KeptStep> out;
  for (const ledger::RunRecord& run : runs) {
    for (const ledger::OperatorCount& op : run.operators) {
      std::string path = ledger.run_folder(run.id) + "/samples/" + op.id + ".ndjson";
      if (os::exists(path)) out.push_back({&run, &op, std::move(path)});
    }
  }
  return out;
}

Status unknown_step(const std::vector<KeptStep>& steps, const std::string& words) {
  std::vector<std::string> names;
  for (const KeptStep& step : steps) names.push_back(step.op->name);
  Status status = not_found("no step \"{}\" of this run has a sample", escape_control(words));
  std::vector<std::string> near = nearest(words, names, 1);
  return std::move(status).with_hint(near.empty() ? "runi show RUN lists the steps that have one"
                                                  : "did you mean \"" + near[0] + "\"?");
}

Result<int> list_steps(Invocation& invocation, const std::vector<KeptStep>& steps) {
  Table table({{"step", "STEP"},
               {"kind", "KIND"},
               {"scenario", "SCENARIO"},
               {"rows", "GAVE"},
               {"location", "WRITTEN AT"},
               {"id", "ID", true}});
  for (const KeptStep& step : steps) {
    uint64_t rows = 0;
    for (const ledger::PortCount& port : step.op->ports_out) rows += port.rows;
    table.add({step.op->name, step.op->kind, step.run->scenario, Cell::count(rows), step.op->location, step.op->id});
  }
  table.set_empty_note("no step of this run has a sample");
  RUNINK_RETURN_IF_ERROR(render(table, OutputForm::kTable, invocation.console()));
  return kExitDone;
}

Result<int> run(Invocation& invocation) {
  PastRuns past = RUNINK_TRY(open_past_runs(invocation));
  local::RunFamily family = RUNINK_TRY(local::load_family(past.ledger, invocation.text("RUN")));
  std::vector<ledger::RunRecord> runs = family.children;
  runs.insert(runs.begin(), family.run);
  const std::vector<KeptStep> steps = kept_steps(past.ledger, runs);
  if (!invocation.given("STEP")) return list_steps(invocation, steps);
  const std::string& words = invocation.text("STEP");
  const std::string& scenario = invocation.text("scenario");
  const KeptStep* found = nullptr;
  for (const KeptStep& step : steps) {
    if ((step.op->name != words && step.op->id != words) || (!scenario.empty() && step.run->scenario != scenario))
      continue;
    if (found) {
      return invalid_argument("several scenarios of this run have a step \"{}\"", escape_control(words))
          .with_kind(kKindUsage)
          .with_hint("name one with --scenario \"" + found->run->scenario + "\"");
    }
    found = &step;
  }
  if (!found) return unknown_step(steps, words);
  const std::string text = RUNINK_TRY(os::read_file(found->path, uint64_t{1} << 30));
  if (!invocation.console().out_is_terminal()) {
    invocation.console().out(text);
    return kExitDone;
  }
  for (std::string_view line : split(text, '\n')) {
    if (!line.empty()) invocation.console().out(escape_control(line) + "\n");
  }
  return kExitDone;
}

}  // namespace

Command show_command() {
  return {.name = "show",
          .group = "runs",
          .summary = "show a sample of what a step gave",
          .description =
              "The first records that each step gave, as NDJSON; all of them where the step has @checkpoint. Without "
              "STEP, which steps "
              "there are. Personal data is masked.",
          .positionals = {run_positional(false), {.name = "STEP", .help = "name of the step", .optional = true}},
          .flags = {{.name = "scenario",
                     .letter = 's',
                     .type = ValueType::kText,
                     .value_name = "NAME",
                     .help = "of this scenario, where several have such a step",
                     .completion = Completion::kScenario}},
          .examples = {{"runi show last", "Which steps have a sample?"},
                       {"runi show last check", "What came out of the check?"}},
          .run = run};
}

}  // namespace runink::cli
