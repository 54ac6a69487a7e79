// The report of a scenario whose parts (data/plan/parts.h) ran apart, as if it had run in one piece.
#pragma once

#include <vector>

#include "base/status.h"
#include "data/engine/execution.h"
#include "data/plan/parts.h"

namespace runink::engine {

// `reports[i]` is that of `parts[i]`, by ids of the whole; it may come from a process that nobody trusts, so whatever
// does not fit the plan is an error (kInternal, kind "run.balance"). With `balanced` (every part has run to its end)
// the edges between parts are checked, too: what a step answered is what the next part received.
Result<ExecutionReport> merge_reports(const plan::ScenarioPlan& scenario, const std::vector<plan::Part>& parts,
                                      std::vector<ExecutionReport> reports, bool balanced);

}  // namespace runink::engine
