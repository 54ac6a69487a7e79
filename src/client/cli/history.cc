#include "client/cli/history.h"

namespace runink::cli {

Result<PastRuns> open_past_runs(Invocation& invocation) {
  local::Project project = RUNINK_TRY(local::Project::find("."));
  std::vector<std::string> notes;
  Result<ledger::Ledger> ledger = local::open_ledger_to_read(project, &notes);
  for (const std::string& note : notes) invocation.console().say(note);
  if (!ledger.ok()) {
    Status status = std::move(ledger).status();
    if (status.kind() == "ledger.none") return std::move(status).with_hint("start a first run with: runi run FEATURE");
    return status;
  }
  return PastRuns{std::move(project), std::move(*ledger)};
}

Positional run_positional(bool optional) {
  return {.name = "RUN",
          .help = optional ? "id of a run, its last characters, or last; last when left out"
                           : "id of a run, its last characters, or last",
          .completion = Completion::kRun,
          .optional = optional};
}

Cell state_cell(ledger::RunState state) {
  Cell cell{ledger::run_state_name(state)};
  switch (state) {
    case ledger::RunState::kSucceeded:
      return std::move(cell).styled(Style::kGreen);
    case ledger::RunState::kRunning:
      return std::move(cell).styled(Style::kBlue);
    default:
      return std::move(cell).styled(Style::kRed);
  }
}

std::string short_id(const std::string& id) { return id.size() <= 12 ? id : id.substr(id.size() - 12); }

}  // namespace runink::cli
