// runi contract hash CONTRACT…
#include "client/cli/commands/contract.h"
#include "client/cli/invocation.h"
#include "client/cli/project.h"
#include "data/contract/canonical.h"

namespace runink::cli {
namespace {

Result<int> run(Invocation& invocation) {
  Table table({{"hash", "HASH"}, {"contract", "CONTRACT"}, {"version", "VERSION"}, {"path", "FILE", true}});
  for (const std::string& words : invocation.texts("CONTRACT")) {
    contract::ContractPtr contract = RUNINK_TRY(load_contract_words(invocation, words));
    if (invocation.enabled("text")) {
      invocation.console().out(contract::hashed_text(*contract));
      continue;
    }
    table.add({contract->hash, contract->name, contract->version_text(), place_of(*contract)});
  }
  if (!invocation.enabled("text")) RUNINK_RETURN_IF_ERROR(invocation.print(table));
  return kExitDone;
}

}  // namespace

Command contract_hash_command() {
  Positional contract = contract_positional();
  contract.repeated = true;
  return {
      .name = "hash",
      .summary = "print the hash of a contract",
      .description =
          "The hash is SHA-256 over columns, order, types, rules, checks, pii, access, mask and classification; not "
          "over comments, spacing, version, owner, description or tags. Runs, dead letters and lineage name the "
          "contract they used by it.",
      .positionals = {contract},
      .flags = {{.name = "text", .help = "print the text that is hashed instead"}},
      .lists = true,
      .examples = {{"runi contract hash contracts/flight.contract", "One hash."},
                   {"runi contract hash -o name contracts/*.contract", "Only the hashes."}},
      .run = run};
}

}  // namespace runink::cli
