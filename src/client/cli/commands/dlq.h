// The commands about dead letters, one file each.
#pragma once

#include <functional>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/invocation.h"
#include "client/local/history.h"

namespace runink::cli {

Command dlq_list_command();
Command dlq_show_command();
Command dlq_replay_command();
Command dlq_golden_command();

// --scenario, --rule, --field: which letters.
std::vector<Flag> letter_flags();
ledger::DeadLetterFilter letter_filter(Invocation& invocation);
// Letters that the flags and RUN (a run of a feature stands for those of its scenarios too) choose, at most `limit` (0:
// all).
Status for_each_letter(Invocation& invocation, const ledger::Ledger& ledger, size_t limit,
                       const std::function<void(const ledger::DeadLetter&)>& visit);

}  // namespace runink::cli
