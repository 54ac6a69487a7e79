#include "client/cli/feature.h"

#include <algorithm>

#include "client/cli/project.h"
#include "client/local/missing_file.h"
#include "platform/os/file.h"

namespace runink::cli {

Positional feature_positional() {
  return {.name = "FEATURE", .help = "feature file", .completion = Completion::kFeature};
}

std::vector<Flag> compile_flags() {
  return {{.name = "strict", .help = "a word without effect on this machine is an error"},
          {.name = "allow-unenforced", .help = "go on although @secret or @network cannot be enforced here"}};
}

Flag context_flag() {
  return {.name = "context",
          .type = ValueType::kText,
          .value_name = "NAME",
          .help = "where to run; local is this machine (default: runink.toml, else local)"};
}

Result<std::vector<std::string>> feature_files(const std::string& project_root) {
  std::vector<std::string> out;
  for (const char* pattern : {"/features/*.dsl", "/features/**/*.dsl"}) {
    for (const std::string& path : RUNINK_TRY(os::glob(project_root + pattern)))
      out.push_back(path.substr(project_root.size() + 1));
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

Result<std::vector<std::string>> chosen_features(Invocation& invocation, const std::string& project_root) {
  if (!invocation.given("FEATURE")) {
    std::vector<std::string> all = RUNINK_TRY(feature_files(project_root));
    if (all.empty())
      return not_found("this project has no features/*.dsl").with_hint("a new project with one: runi init NAME");
    return all;
  }
  std::vector<std::string> out;
  for (const std::string& typed : invocation.texts("FEATURE"))
    out.push_back(RUNINK_TRY(path_in_project(project_root, typed)));
  return out;
}

Result<SourceTextPtr> read_feature(const std::string& project_root, const std::string& path_in_project) {
  const std::string path = os::join_path(project_root, path_in_project);
  Result<std::string> text = os::read_file(path);
  if (!text.ok() && text.status().code() == Code::kNotFound) {
    return local::missing_file(path_in_project, path, project_root);
  }
  if (!text.ok()) return std::move(text).status();
  return SourceTextPtr(std::make_shared<const SourceText>(path_in_project, std::move(*text)));
}

}  // namespace runink::cli
