// runi contract check [CONTRACT…]
#include <fmt/format.h>

#include "base/text.h"
#include "client/cli/commands/contract.h"
#include "client/cli/invocation.h"
#include "client/cli/project.h"
#include "data/contract/parse.h"
#include "platform/os/file.h"

namespace runink::cli {
namespace {

// All contracts of a file; problems are printed, and counted in `failed`.
std::vector<contract::ContractPtr> check_file(Console& console, const std::string& path, size_t* failed) {
  Result<std::string> text = os::read_file(path);
  if (!text.ok()) {
    console.print_error(text.status());
    ++*failed;
    return {};
  }
  Diagnostics diagnostics;
  auto source = std::make_shared<const SourceText>(path, std::move(*text));
  contract::ParsedFile parsed = contract::parse_contracts(source, contract::file_loader(), diagnostics);
  console.err(diagnostics.render());
  if (diagnostics.has_errors()) ++*failed;
  return parsed.contracts;
}

Result<int> run(Invocation& invocation) {
  std::vector<std::string> words = invocation.texts("CONTRACT");
  if (words.empty()) {
    words = RUNINK_TRY(contract_files(RUNINK_TRY(find_project()).root));
    if (words.empty()) return not_found("this project has no contracts").with_hint("write one into contracts/, or: runi contract infer FILE");
  }
  Table table({{"contract", "CONTRACT"},
               {"version", "VERSION"},
               {"fields", "FIELDS"},
               {"rules", "RULES"},
               {"qualities", "QUALITY"},
               {"file", "FILE"},
               {"hash", "HASH", true}});
  size_t failed = 0;
  for (const std::string& path : words) {
    contract::ContractReference reference = contract::split_reference(path);
    for (const contract::ContractPtr& contract : check_file(invocation.console(), reference.path, &failed)) {
      if (!reference.name.empty() && contract->name != reference.name) continue;
      table.add({contract->name, contract->version_text(), Cell(static_cast<uint64_t>(contract->fields.size())),
                 Cell(static_cast<uint64_t>(contract->rules.size())), Cell(static_cast<uint64_t>(contract->qualities.size())),
                 reference.path, contract->hash});
    }
  }
  if (!table.rows().empty()) RUNINK_RETURN_IF_ERROR(invocation.print(table));
  if (failed > 0) return failed_precondition("{} of {} files do not hold", failed, words.size());
  return kExitDone;
}

}  // namespace

Command contract_check_command() {
  Positional contract = contract_positional();
  contract.optional = contract.repeated = true;
  contract.help = "contract files; all of the project when none is given";
  return {.name = "check",
          .summary = "say whether contracts are well written",
          .description = "Parses and checks contracts, and says for each problem where it is and what to do.",
          .positionals = {contract},
          .lists = true,
          .examples = {{"runi contract check", "All contracts of the project."},
                       {"runi contract check contracts/flight.contract", "One of them."}},
          .run = run};
}

}  // namespace runink::cli
