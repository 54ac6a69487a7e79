// What `runi slice …` and `runi agent status` do; their declarations are in apps/plane.
#pragma once

#include "client/cli/invocation.h"

namespace runink {

Result<int> run_slice_list(cli::Invocation& invocation);
Result<int> run_slice_logs(cli::Invocation& invocation);
Result<int> run_slice_metrics(cli::Invocation& invocation);
Result<int> run_slice_kill(cli::Invocation& invocation);
Result<int> run_agent_status(cli::Invocation& invocation);

}  // namespace runink
