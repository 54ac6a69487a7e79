// runi status [RUN]
#include <fmt/format.h>

#include "base/text.h"
#include "client/cli/commands/all.h"
#include "client/cli/history.h"
#include "platform/os/file.h"
#include "platform/os/terminal_text.h"

namespace runink::cli {
namespace {

using ledger::RunRecord;

// Everything of one run as one object, for programs.
Status print_for_programs(Invocation& invocation, const local::RunFamily& family) {
  std::string text = "[\n" + ledger::to_json(family.run);
  for (const RunRecord& child : family.children) text += ",\n" + ledger::to_json(child);
  text += "]\n";
  invocation.console().out(invocation.console().out_is_terminal() ? os::terminal_text(text) : text);
  return {};
}

void print_heading(Console& console, std::string_view text) {
  console.out("\n" + console.out_styled(Style::kBold, text) + "\n");
}

Status print_run(Invocation& invocation, const RunRecord& run) {
  std::vector<Field> fields = {{"run", "run", run.id}, {"state", "state", state_cell(run.state)}};
  if (!run.scenario.empty()) fields.push_back({"scenario", "scenario", run.scenario});
  fields.push_back({"feature", "feature", run.feature});
  fields.push_back({"started", "started", Cell::time(run.started_micros)});
  if (run.ended_micros > 0) {
    fields.push_back({"took", "took", Cell::seconds(static_cast<double>(run.ended_micros - run.started_micros) / 1e6)});
  }
  // What is valid is said of each scenario: over all of them a record would count once per scenario.
  const bool whole = run.scenario.empty();
  fields.push_back({"in", whole ? "records read" : "records in", Cell::count(run.records_in)});
  if (!whole) fields.push_back({"valid", "valid", Cell::count(run.records_valid)});
  fields.push_back({"written", "written", Cell::count(run.records_written)});
  fields.push_back({"rejected", "rejected", Cell::count(run.records_rejected)});
  if (run.bytes_in > 0) fields.push_back({"read", "read", Cell::bytes(run.bytes_in)});
  if (run.spilled_bytes > 0) fields.push_back({"spilled", "spilled", Cell::bytes(run.spilled_bytes)});
  if (!run.reason.empty()) fields.push_back({"reason", "reason", run.reason});
  return render_fields(fields, OutputForm::kTable, invocation.console());
}

// The operator's own equations. That of its edge ("rows sent by … = rows received") is only worth a look when it fails.
std::string own_balance(const ledger::OperatorCount& op) {
  if (op.balanced) {
    size_t end = op.balance.starts_with("rows sent by") ? op.balance.find("; ") : std::string::npos;
    if (end != std::string::npos) return op.balance.substr(end + 2);
  }
  return op.balance;
}

Status print_operators(Invocation& invocation, const RunRecord& run) {
  if (run.operators.empty()) return {};
  bool timed = false, spilled = false;
  for (const ledger::OperatorCount& op : run.operators) {
    timed |= op.seconds > 0;
    spilled |= op.spilled_bytes > 0;
  }
  Table table({{"step", "STEP"},
               {"kind", "KIND"},
               {"seconds", "CPU", !timed},
               {"spilled", "SPILLED", !spilled},
               {"balance", "BALANCE"}});
  for (const ledger::OperatorCount& op : run.operators) {
    Cell balance = Cell(own_balance(op));
    table.add({op.name, op.kind, Cell::seconds(op.seconds), Cell::bytes(op.spilled_bytes),
               op.balanced ? std::move(balance) : std::move(balance).styled(Style::kRed)});
  }
  invocation.console().out("\n");
  return render(table, OutputForm::kTable, invocation.console());
}

Status print_checks(Invocation& invocation, const RunRecord& run) {
  Table table({{"result", "RESULT"}, {"rule", "RULE"}, {"found", "FOUND"}});
  for (const auto* list : {&run.assertions, &run.quality}) {
    for (const ledger::CheckResult& check : *list) {
      Cell result = check.passed               ? Cell("holds").styled(Style::kGreen)
                    : check.severity == "warn" ? Cell("warns").styled(Style::kYellow)
                                               : Cell("fails").styled(Style::kRed);
      table.add({std::move(result), check.expression.empty() ? check.name : check.expression, check.actual});
    }
  }
  if (table.rows().empty()) return {};
  invocation.console().out("\n");
  return render(table, OutputForm::kTable, invocation.console());
}

Status print_outputs(Invocation& invocation, const RunRecord& run, const std::string& root) {
  if (run.sinks.empty()) return {};
  Table table(
      {{"output", "OUTPUT"}, {"kind", "KIND"}, {"rows", "ROWS"}, {"bytes", "BYTES"}, {"published", "PUBLISHED"}});
  for (const ledger::SinkResult& sink : run.sinks) {
    const bool inside = sink.path.starts_with(root + "/");
    table.add({inside ? sink.path.substr(root.size() + 1) : sink.path, sink.kind, Cell::count(sink.rows),
               Cell::bytes(sink.bytes), sink.published});
  }
  invocation.console().out("\n");
  return render(table, OutputForm::kTable, invocation.console());
}

Status print_whole_run(Invocation& invocation, const RunRecord& run, const std::string& root) {
  RUNINK_RETURN_IF_ERROR(print_run(invocation, run));
  for (const ledger::RejectReason& reason : run.reject_reasons) {
    invocation.console().out(fmt::format("  rejected {:>8}  {}  {}\n", human_count(reason.records),
                                         escape_control(reason.rule), escape_control(reason.message)));
  }
  for (const auto& [field, records] : run.drift) {
    invocation.console().out(fmt::format("  drift: field {} in {} records is in no contract\n", escape_control(field),
                                         human_count(records)));
  }
  RUNINK_RETURN_IF_ERROR(print_operators(invocation, run));
  RUNINK_RETURN_IF_ERROR(print_checks(invocation, run));
  return print_outputs(invocation, run, root);
}

Result<int> print_one(Invocation& invocation, const std::string& words) {
  PastRuns past = RUNINK_TRY(open_past_runs(invocation));
  local::RunFamily family = RUNINK_TRY(local::load_family(past.ledger, words));
  if (invocation.text("output") == "json") {
    RUNINK_RETURN_IF_ERROR(print_for_programs(invocation, family));
    return kExitDone;
  }
  RUNINK_RETURN_IF_ERROR(print_whole_run(invocation, family.run, past.project.root()));
  for (const RunRecord& child : family.children) {
    print_heading(invocation.console(), "Scenario: " + escape_control(child.scenario));
    RUNINK_RETURN_IF_ERROR(print_whole_run(invocation, child, past.project.root()));
  }
  return kExitDone;
}

// This project at a glance.
Result<int> print_overview(Invocation& invocation) {
  Result<PastRuns> past = open_past_runs(invocation);
  if (!past.ok() && past.status().kind() != "ledger.none") return std::move(past).status();
  local::Project project = RUNINK_TRY(local::Project::find("."));
  std::vector<Field> fields = {{"project", "project", project.config().name},
                               {"where", "where", "this machine, " + project.root()},
                               {"herd", "herd", project.config().herd}};
  if (past.ok()) {
    const ledger::Ledger& ledger = past->ledger;
    uint64_t runs = 0, running = 0;
    std::string last;
    Cell last_state;
    ledger::RunFilter filter;
    filter.parents_only = true;
    for (const RunRecord& run : RUNINK_TRY(ledger.list_runs(filter))) {
      if (runs++ == 0) {
        last = run.feature + ", " + Cell::time(run.started_micros).for_people() + ", " +
               std::string(ledger::run_state_name(run.state));
      }
      running += run.state == ledger::RunState::kRunning;
    }
    uint64_t letters = 0;
    for (const auto& file : RUNINK_TRY(ledger::DeadLetterStore(ledger.root()).files())) letters += file.summary.letters;
    fields.push_back({"runs", "runs", Cell::count(runs)});
    fields.push_back({"running", "running now", Cell::count(running)});
    if (!last.empty()) fields.push_back({"last", "last run", last});
    fields.push_back({"dead_letters", "dead letters", Cell::count(letters)});
    fields.push_back({"ledger_bytes", "ledger", Cell::bytes(RUNINK_TRY(os::tree_bytes(ledger.root())))});
  } else {
    fields.push_back({"runs", "runs", Cell::count(0)});
  }
  const OutputForm form = invocation.text("output") == "json" ? OutputForm::kJson : OutputForm::kTable;
  RUNINK_RETURN_IF_ERROR(render_fields(fields, form, invocation.console()));
  return kExitDone;
}

Result<int> run(Invocation& invocation) {
  return invocation.given("RUN") ? print_one(invocation, invocation.text("RUN")) : print_overview(invocation);
}

}  // namespace

Command status_command() {
  Positional which = run_positional(true);
  which.help = "id of a run, its last characters, or last; without it, the project at a glance";
  return {.name = "status",
          .group = "runs",
          .summary = "show one run in full, or the project at a glance",
          .description =
              "Of a run: its state, counts with every operator's balance, reasons of rejection, assertions and quality "
              "rules, and "
              "what it wrote. -o json gives the records of the run and its scenarios whole.",
          .positionals = {which},
          .flags = {{.name = "output",
                     .letter = 'o',
                     .type = ValueType::kText,
                     .value_name = "FORM",
                     .help = "form",
                     .default_value = "text",
                     .choices = {"text", "json"}}},
          .examples = {{"runi status", "How is this project doing?"}, {"runi status last", "How did the last run go?"}},
          .run = run};
}

}  // namespace runink::cli
