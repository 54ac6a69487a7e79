// Plans and reports as OpenLineage data sets.
#pragma once

#include <vector>

#include "client/local/local_io.h"
#include "client/local/project.h"
#include "data/engine/execution.h"
#include "data/ledger/openlineage.h"
#include "data/plan/plan.h"

namespace runink::local {

// Job, namespace, inputs and outputs of a scenario, without run id, type and time. With `report`, statistics and quality
// results too. `revealed`: the sinks were given pii unmasked.
ledger::LineageEvent scenario_event(const Project& project, const plan::Plan& plan, const plan::ScenarioPlan& scenario,
                                    const engine::ExecutionReport* report, const std::vector<SinkState>& sinks, bool revealed);
// Of the parent run.
ledger::LineageEvent feature_event(const Project& project, const plan::Plan& plan);

}  // namespace runink::local
