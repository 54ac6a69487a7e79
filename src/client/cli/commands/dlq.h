// The commands about dead letters, one file each.
#pragma once

#include <vector>

#include "client/cli/command.h"
#include "client/cli/invocation.h"
#include "client/local/history.h"

namespace runink::cli {

Command dlq_list_command();
Command dlq_show_command();

// --scenario, --rule, --field: which letters; and the filter they make, with RUN where it is given.
std::vector<Flag> letter_flags();
Result<ledger::DeadLetterFilter> letter_filter(Invocation& invocation, const ledger::Ledger& ledger);

}  // namespace runink::cli
