#include "client/cli/project.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "data/contract/history.h"
#include "data/contract/parse.h"
#include "platform/os/file.h"
#include "platform/os/terminal_text.h"

namespace runink::cli {
namespace {

// "Flight@1.2.0" where no file has that name.
bool is_release_words(const std::string& words, std::string* name, std::string* version) {
  size_t at = words.rfind('@');
  if (at == std::string::npos || at == 0 || words.find('/') != std::string::npos || os::exists(words)) return false;
  *name = words.substr(0, at);
  *version = words.substr(at + 1);
  return true;
}

Result<contract::ContractPtr> load_release(const std::string& name, const std::string& version_text) {
  config::ProjectConfig project = RUNINK_TRY(find_project());
  contract::History history(project.root);
  if (version_text.empty()) return history.load_highest(name);
  contract::Version version;
  if (!contract::Version::parse(version_text, &version)) {
    return invalid_argument("\"{}\" is not a version such as 1.2.0", escape_control(version_text))
        .with_kind(kKindUsage);
  }
  return history.load(name, version);
}

}  // namespace

Result<config::ProjectConfig> find_project() {
  return config::load_project_config(RUNINK_TRY(config::find_project_root(".")));
}

Result<config::ProjectConfig> find_project_or_here() {
  Result<std::string> root = config::find_project_root(".");
  if (root.ok()) return config::load_project_config(*root);
  if (root.status().kind() != "project.not_found") return std::move(root).status();
  return config::load_project_config(RUNINK_TRY(os::working_directory()));
}

Result<std::string> path_in_project(const std::string& project_root, const std::string& path) {
  std::string absolute = RUNINK_TRY(os::absolute_path(path));
  std::string root = RUNINK_TRY(os::canonical_path(project_root));
  if (root == "/") return absolute.substr(1);
  if (!absolute.starts_with(root + "/")) {
    return invalid_argument("{} lies outside the project {}", escape_control(path), escape_control(root))
        .with_kind(kKindUsage)
        .with_hint("files of a run belong to one project: the folder with runink.toml");
  }
  return absolute.substr(root.size() + 1);
}

Result<contract::ContractPtr> load_contract_words(Invocation& invocation, const std::string& words) {
  std::string name, version;
  if (is_release_words(words, &name, &version)) return load_release(name, version);
  Diagnostics warnings;
  Result<contract::ContractPtr> loaded = contract::load_contract(words, contract::file_loader(), &warnings);
  invocation.console().err(warnings.render());
  return loaded;
}

Result<std::vector<std::string>> contract_files(const std::string& project_root) {
  std::vector<std::string> out;
  const std::string here = RUNINK_TRY(os::working_directory());
  for (const char* pattern : {"/contracts/*.contract", "/contracts/**/*.contract"}) {
    for (std::string& path : RUNINK_TRY(os::glob(project_root + pattern))) {
      if (path.starts_with(project_root + "/contracts/history/")) continue;
      if (path.starts_with(here + "/")) path = path.substr(here.size() + 1);
      if (std::find(out.begin(), out.end(), path) == out.end()) out.push_back(std::move(path));
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

Status write_output(Invocation& invocation, std::string_view text) {
  if (!invocation.given("out")) {
    invocation.console().out(invocation.console().out_is_terminal() ? os::terminal_text(text) : text);
    return {};
  }
  const std::string& path = invocation.text("out");
  if (!invocation.enabled("force") && os::exists(path)) {
    return already_exists("{} is there already", escape_control(path)).with_hint("--force replaces it");
  }
  RUNINK_RETURN_IF_ERROR(os::write_file_atomic(path, text));
  invocation.console().say("wrote " + escape_control(path));
  return {};
}

std::vector<Flag> out_flags() {
  return {{.name = "out",
           .letter = 'O',
           .type = ValueType::kText,
           .value_name = "FILE",
           .help = "write to this file instead of standard output",
           .completion = Completion::kFile},
          {.name = "force", .letter = 'f', .help = "replace the file of --out where it is there already"}};
}

}  // namespace runink::cli
