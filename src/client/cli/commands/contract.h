// What the contract commands share.
#pragma once

#include <string>

#include "client/cli/command.h"
#include "data/contract/contract.h"

namespace runink::cli {

Command contract_check_command();
Command contract_diff_command();
Command contract_release_command();
Command contract_hash_command();
Command contract_infer_command();
Command contract_gen_command();
Command contract_import_command();
Command contract_export_command();
Command contract_catalog_command();
Command contract_history_command();
Command contract_redact_command();

// "CONTRACT", with its help and completion.
Positional contract_positional();
// The file a contract was read from, as the user knows it.
std::string place_of(const contract::Contract& contract);

}  // namespace runink::cli
