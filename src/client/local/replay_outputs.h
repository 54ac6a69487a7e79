// The outputs that dead letters are to be added to: whether they are what the scenario left, and who has read them.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "data/ledger/ledger.h"
#include "data/plan/plan.h"

namespace runink::local {

// Refuses where an output of the scenario is not there (a file of the letters alone would look like all of it), or is not
// what the newest run or replay of the scenario has published. kFailedPrecondition, with what to do.
Status check_outputs_are_there(const ledger::Ledger& ledger, const plan::Plan& plan, const plan::ScenarioPlan& scenario,
                               const std::string& project_root);

// Scenarios of the plan that read what this one gives, by its name or by a file that it writes, and those that read
// theirs: what they have written knows nothing of records added since. In the order of the plan.
std::vector<std::string> stale_readers(const plan::Plan& plan, const plan::ScenarioPlan& scenario,
                                       const std::string& project_root);

}  // namespace runink::local
