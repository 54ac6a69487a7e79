// A slice of an agent run as a command of a terminal or script: as sandbox/foreground.h, but the agent starts it, keeps
// its time limit, and ends it should this process go away.
#pragma once

#include <span>

#include "base/status.h"
#include "worker/agent/agent_client.h"

namespace runink::agent {

// Waits until it has ended. Signals are taken and passed on as sandbox::run_in_foreground does. `streams`: this
// process's 0, 1 and 2, which become the slice's own (or are connected to its terminal), then the program's others.
Result<EndedAnswer> run_in_foreground(AgentClient& agent, launcher::LaunchRequest request,
                                      std::span<const int> streams);

}  // namespace runink::agent
