// A shared object of custom steps: loaded, its ABI version checked, its contracts understood.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "data/contract/contract.h"
#include "runink/step/abi.h"

namespace runink::slice {

// One step of a library. Pointers hold until the process ends: a library is never unloaded.
struct LoadedStep {
  std::string name;
  std::string library;  // path as given
  const runink_step_entry* entry = nullptr;
  contract::ContractPtr input, output;
};

// All steps of a library. Loading runs its static constructors. Errors: kNotFound for a missing file; kFailedPrecondition
// with a hint for what is no step library, was built for another ABI version, or holds broken or doubled steps.
Result<std::vector<LoadedStep>> load_steps(const std::string& path);
// One of them; kNotFound names what there is.
Result<LoadedStep> load_step(const std::string& path, std::string_view name);

// Letters, digits, `_`, `-`, `.`, beginning with a letter: a step's name is also the name of a file.
bool is_step_name(std::string_view name);

}  // namespace runink::slice
