// runi contract catalog
#include "client/cli/commands/contract.h"
#include "client/cli/invocation.h"
#include "client/cli/project.h"
#include "data/contract/history.h"

namespace runink::cli {
namespace {

Result<int> run(Invocation& invocation) {
  config::ProjectConfig project = RUNINK_TRY(find_project());
  Table table({{"contract", "CONTRACT"},
               {"version", "VERSION"},
               {"released", "RELEASED"},
               {"fields", "FIELDS"},
               {"rules", "RULES"},
               {"qualities", "QUALITY"},
               {"pii", "PII"},
               {"classification", "CLASS"},
               {"owner", "OWNER"},
               {"path", "FILE"},
               {"hash", "HASH", true},
               {"tags", "TAGS", true},
               {"description", "DESCRIPTION", true},
               {"glossary", "GLOSSARY", true},
               {"error", "ERROR", true}});
  bool broken = false;
  for (const contract::CatalogEntry& entry : RUNINK_TRY(contract::catalog(project.root))) {
    std::vector<std::string> glossary;
    for (const auto& term : entry.glossary) glossary.push_back(term.field + ": " + term.glossary);
    table.add({entry.name, entry.version, entry.released, Cell(static_cast<uint64_t>(entry.fields)),
               Cell(static_cast<uint64_t>(entry.rules)), Cell(static_cast<uint64_t>(entry.qualities)),
               Cell::list(entry.pii_fields), entry.classification, entry.owner, entry.path, entry.hash,
               Cell::list(entry.tags), entry.description, Cell::list(glossary), entry.error});
    if (entry.error.empty()) continue;
    broken = true;
    invocation.console().warn(entry.path + " is left out of the counts: " + entry.error);
  }
  table.set_empty_note("no contracts in " + project.root + "/contracts");
  RUNINK_RETURN_IF_ERROR(invocation.print(table));
  return broken ? kExitFailed : kExitDone;
}

}  // namespace

Command contract_catalog_command() {
  return {
      .name = "catalog",
      .summary = "list the contracts of this project",
      .description =
          "Every contract below contracts/, with its owner, classification, personal data and releases. Exit code 1 "
          "when one of them does not parse.",
      .lists = true,
      .examples = {{"runi contract catalog", "All contracts of the project."},
                   {"runi contract catalog -o json", "The same with hashes, tags and glossary, for programs."}},
      .run = run};
}

}  // namespace runink::cli
