// Notifications of a scenario: a line to standard error, appended to a file, or given to a program.
#pragma once

#include <string>

#include "base/status.h"
#include "data/ledger/run_record.h"
#include "data/plan/plan.h"

namespace runink::local {

// Sends those of the scenario's notifications whose `when` ("success", "failure", "always") fits the record's state.
// A notification that cannot be sent is a note for the caller, never a reason for the run to fail.
std::vector<std::string> send_notifications(const plan::ScenarioPlan& scenario, const ledger::RunRecord& record,
                                            const std::string& project_root);

}  // namespace runink::local
