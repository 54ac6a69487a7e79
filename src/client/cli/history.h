// What the commands about past runs share.
#pragma once

#include <string>

#include "base/status.h"
#include "client/cli/invocation.h"
#include "client/local/history.h"

namespace runink::cli {

struct PastRuns {
  local::Project project;
  ledger::Ledger ledger;
};

// The project of the working directory and its ledger; notes (a killed run was settled) go to standard error. Where
// nothing ever ran: kNotFound with the command to start with.
Result<PastRuns> open_past_runs(Invocation& invocation);

// "RUN", with its help and completion: "last" where it is left out.
Positional run_positional(bool optional);

Cell state_cell(ledger::RunState state);
// UUIDs of version 7 begin with the time, so runs of one moment look alike at the front: people see the last twelve
// characters, and find_run takes them back.
std::string short_id(const std::string& id);

}  // namespace runink::cli
