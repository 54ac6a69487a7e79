// Runs scenarios in slices: each stage of a pipeline in one of its own, custom steps in others, joined by descriptors.
//
// This process, the runner, opens every input and output that the plan names and hands the descriptors over, writes
// dead letters and the ledger, and publishes. A slice sees nothing of the project and has no network.
// docs/internals/slice-engine.md
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "client/local/scenario_runner.h"

namespace runink::isolate {

// `runi_slice`: the program of the slices; empty: found where runi is installed (kNotFound where it is not).
Result<std::unique_ptr<local::ScenarioRunner>> make_runner(std::function<void(const std::string&)> note,
                                                           std::string runi_slice = {});

// Why this host cannot run slices at all; empty if it can. Starts one.
std::string why_no_slices();

}  // namespace runink::isolate
