// The project that a command works in, found from the working directory (which --project changes before).
#pragma once

#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "base/status.h"
#include "client/cli/invocation.h"
#include "data/contract/contract.h"
#include "platform/config/project_config.h"

namespace runink::cli {

// The nearest folder upwards with a runink.toml, with its settings. kNotFound where there is none.
Result<config::ProjectConfig> find_project();
// The same, but where there is none the working directory with default settings: for commands that need no project.
Result<config::ProjectConfig> find_project_or_here();

// A path as the user typed it (relative to the working directory), as seen from the project's root: "features/x.dsl".
// A path outside the project is kInvalidArgument of kind "usage".
Result<std::string> path_in_project(const std::string& project_root, const std::string& path);

// The contract that the words mean: a file ("contracts/flight.contract", with #Name where it declares several), or a
// released version ("Flight@1.2.0"; "Flight@" is the highest). Warnings of the text go to standard error.
Result<contract::ContractPtr> load_contract_words(Invocation& invocation, const std::string& words);

// All contract files of the project, as typed paths from the working directory; contracts/history is left out.
Result<std::vector<std::string>> contract_files(const std::string& project_root);

// To the file of --out, refusing to replace one that is there unless --force (kAlreadyExists); to standard output where
// --out is not given. Commands with these flags declare them by out_flags().
Status write_output(Invocation& invocation, std::string_view text);
std::vector<Flag> out_flags();

}  // namespace runink::cli
