// What commands share that read feature files.
#pragma once

#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "base/status.h"
#include "client/cli/invocation.h"

namespace runink::cli {

// "FEATURE", with its help and completion.
Positional feature_positional();
// --strict and --allow-unenforced.
std::vector<Flag> compile_flags();
// --context, for commands that run pipelines. See local::Project::check_context.
Flag context_flag();

// All feature files of the project (features/**/*.dsl), as seen from its root, sorted.
Result<std::vector<std::string>> feature_files(const std::string& project_root);
// The words of a repeated FEATURE as paths from the project's root; all features of the project where none was typed.
Result<std::vector<std::string>> chosen_features(Invocation& invocation, const std::string& project_root);

// A feature's text under the path by which the project knows it.
Result<SourceTextPtr> read_feature(const std::string& project_root, const std::string& path_in_project);

}  // namespace runink::cli
