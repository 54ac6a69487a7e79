// Whether what a feature writes are files of their own, told by what paths lead to and not by how they are written.
//
// The compiler compares names. Links give one file several names, and what links there are shows only when a feature
// runs; so this looks again before anything is written.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "data/plan/plan.h"

namespace runink::local {

// Of these scenarios of the plan, which run together: no sink may lead to a file that its own scenario reads, nor two
// sinks to one file (unless scenarios add to it one after the other). No sink and no notification may lead to the project's
// own files: what the plan was made from, runink.toml, and what lies in .runink/, contracts/, features/, steps/, golden/.
// kInvalidArgument, kind "dsl.sink_conflict", with its place.
Status check_sink_targets(const plan::Plan& plan, const std::vector<const plan::ScenarioPlan*>& scenarios,
                          const std::string& project_root);

}  // namespace runink::local
