// runi contract: the group; each verb is a file contract_VERB.cc.
#include "client/cli/commands/contract.h"

#include "client/cli/commands/all.h"

namespace runink::cli {

Positional contract_positional() {
  return {.name = "CONTRACT",
          .help = "contract file (with #Name where it declares several), or a release such as Flight@1.2.0",
          .completion = Completion::kContract};
}

std::string place_of(const contract::Contract& contract) {
  return contract.files.empty() ? contract.location.file : contract.files[0];
}

Command contract_command() {
  return {.name = "contract",
          .group = "contracts",
          .summary = "check, compare, release and exchange contracts",
          .description =
              "A contract says what the data must look like: columns with types and rules, checks on each row, quality "
              "rules on the whole. Its hash covers exactly what decides which data is valid and who may see it.",
          .subcommands = {contract_check_command(), contract_diff_command(), contract_release_command(),
                          contract_hash_command(), contract_infer_command(), contract_gen_command(),
                          contract_import_command(), contract_export_command(), contract_catalog_command(),
                          contract_history_command(), contract_redact_command()}};
}

}  // namespace runink::cli
