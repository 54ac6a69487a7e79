// runi contract release CONTRACT…
#include <fmt/format.h>

#include "base/text.h"
#include "client/cli/commands/contract.h"
#include "client/cli/invocation.h"
#include "client/cli/project.h"
#include "data/contract/history.h"

namespace runink::cli {
namespace {

Result<int> run(Invocation& invocation) {
  config::ProjectConfig project = RUNINK_TRY(find_project());
  contract::History history(project.root);
  Table table(
      {{"contract", "CONTRACT"}, {"version", "VERSION"}, {"state", "STATE"}, {"changes", "CHANGES"}, {"file", "FILE"}});
  for (const std::string& words : invocation.texts("CONTRACT")) {
    contract::ContractPtr contract = RUNINK_TRY(load_contract_words(invocation, words));
    contract::History::Release release = RUNINK_TRY_CONTEXT(
        history.release(*contract), fmt::format("release {} {}", contract->name, contract->version_text()));
    table.add({contract->name, contract->version_text(), release.already_there ? "was released before" : "released",
               Cell(static_cast<uint64_t>(release.diff.changes.size())),
               RUNINK_TRY(path_in_project(project.root, release.path))});
  }
  RUNINK_RETURN_IF_ERROR(invocation.print(table));
  return kExitDone;
}

}  // namespace

Command contract_release_command() {
  Positional contract = contract_positional();
  contract.repeated = true;
  return {
      .name = "release",
      .summary = "store the canonical text of a version with the project",
      .description =
          "Writes contracts/history/NAME/VERSION.contract. A release is never changed: the same version again is "
          "fine only with the same text. A version must be higher than the last by at least as much as its "
          "changes ask for: a breaking change needs a new major version.",
      .positionals = {contract},
      .lists = true,
      .examples = {{"runi contract release contracts/flight.contract", "Release the version that the file states."}},
      .run = run};
}

}  // namespace runink::cli
