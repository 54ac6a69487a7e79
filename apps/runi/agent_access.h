// How a command finds the agent it asks. Shared by the commands of apps/runi.
#pragma once

#include <optional>
#include <string>

#include "client/cli/invocation.h"
#include "worker/agent/agent_client.h"

namespace runink {

// What --agent says, else $RUNINK_AGENT; "" where neither does.
std::string agent_place(const cli::Invocation& invocation);
// nullopt: none serves this user, or --agent is "none".
Result<std::optional<agent::AgentClient>> find_agent(const cli::Invocation& invocation);
// kUnavailable where there is none.
Result<agent::AgentClient> need_agent(const cli::Invocation& invocation);

}  // namespace runink
