// Headers of the project's contracts, for its C++ steps. Internal to compile_steps.
#pragma once

#include <string>

#include "base/status.h"

namespace runink::local {

struct StepHeaders {
  std::string folder;  // .runink/steps/include of the project, as a path that begins with the root given
  std::string hash;    // of all names and texts
};
// Writes what has changed and removes headers of contracts that are gone. Errors of contracts come back whole: all
// diagnostics of all files as details.
Result<StepHeaders> make_step_headers(const std::string& project_root);

}  // namespace runink::local
