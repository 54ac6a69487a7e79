// What the slices of a pipeline are to be: which program, which files, which limits.
#pragma once

#include <string>

#include "base/status.h"
#include "client/local/step_process.h"
#include "data/plan/parts.h"
#include "model/slice_spec.h"

namespace runink::isolate {

// Of a part: it executes `runi_slice` (a path of the host), which serves; nothing else of the host is in it. What the
// scenario and its steps ask for (@requires) limits it where this process is root: cpu, and memory with a share on top
// for the program itself, since what they ask for bounds what operators hold.
Result<model::SliceSpec> stage_spec(const plan::Part& part, const std::string& runi_slice);

// Of a custom step: its command, where the files of the project that the command names (all of steps/, if one of them
// lies there), or a C++ step's library, are mounted read-only at their own paths. What it asks for limits it where this
// process is root.
Result<model::SliceSpec> step_spec(const plan::Operator& op, const local::StepCommand& command,
                                   const std::string& project_root, const std::string& runi_slice);

}  // namespace runink::isolate
