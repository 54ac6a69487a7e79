// runi contract history NAME
#include <fmt/format.h>

#include "base/nearest.h"
#include "base/text.h"
#include "client/cli/commands/contract.h"
#include "client/cli/invocation.h"
#include "client/cli/project.h"
#include "data/contract/diff.h"
#include "data/contract/history.h"

namespace runink::cli {
namespace {

// A name that was never released: say which were.
Status unknown_name(const contract::History& history, const std::string& name) {
  std::vector<std::string> names = RUNINK_TRY(history.names());
  Status status = not_found("no version of {} was released", escape_control(name));
  if (names.empty()) return std::move(status).with_hint("release one with: runi contract release FILE");
  std::vector<std::string> near = nearest(name, names, 1);
  if (!near.empty()) return std::move(status).with_hint(fmt::format("did you mean {}?", near[0]));
  return std::move(status).with_hint("released contracts: " + join(names, ", "));
}

Result<int> run(Invocation& invocation) {
  config::ProjectConfig project = RUNINK_TRY(find_project());
  contract::History history(project.root);
  std::vector<std::string> names = {invocation.text("NAME")};
  if (!invocation.given("NAME")) names = RUNINK_TRY(history.names());

  Table table({{"contract", "CONTRACT"},
               {"version", "VERSION"},
               {"changes", "CHANGES"},
               {"impact", "BREAKS"},
               {"hash", "HASH", true},
               {"file", "FILE", true}});
  for (const std::string& name : names) {
    std::vector<contract::ReleasedVersion> versions = RUNINK_TRY(history.versions(name));
    if (versions.empty()) return unknown_name(history, name);
    contract::ContractPtr before;
    for (const contract::ReleasedVersion& released : versions) {
      contract::ContractPtr contract = RUNINK_TRY(history.load(name, released.version));
      contract::ContractDiff diff;
      if (before) diff = contract::diff_contracts(*before, *contract);
      std::vector<std::string> breaks;
      if (diff.breaks_readers()) breaks.push_back("readers");
      if (diff.breaks_writers()) breaks.push_back("writers");
      table.add({name, released.version.to_string(), before ? Cell(static_cast<uint64_t>(diff.changes.size())) : Cell(),
                 Cell::list(breaks), contract->hash, released.path});
      before = contract;
    }
  }
  table.set_empty_note("nothing was released yet; release a contract with: runi contract release FILE");
  RUNINK_RETURN_IF_ERROR(invocation.print(table));
  return kExitDone;
}

}  // namespace

Command contract_history_command() {
  return {.name = "history",
          .summary = "list released versions",
          .description =
              "Versions of one contract, or of all, oldest first, each with how many changes it brought and whom they "
              "break. `runi contract diff Flight@1.0.0 Flight@1.1.0` shows the changes themselves.",
          .positionals = {{.name = "NAME", .help = "name of the contract", .optional = true}},
          .lists = true,
          .examples = {{"runi contract history Flight", "Releases of one contract."}},
          .run = run};
}

}  // namespace runink::cli
