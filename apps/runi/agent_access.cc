#include "agent_access.h"

#include <cstdlib>
#include <utility>

namespace runink {

std::string agent_place(const cli::Invocation& invocation) {
  if (invocation.given("agent")) return invocation.text("agent");
  const char* place = std::getenv("RUNINK_AGENT");
  return place == nullptr ? std::string() : std::string(place);
}

Result<std::optional<agent::AgentClient>> find_agent(const cli::Invocation& invocation) {
  if (invocation.given("agent") && invocation.text("agent").empty()) {
    return invocation.usage_error("--agent is the path of a socket, or none");
  }
  return agent::AgentClient::find(agent_place(invocation));
}

Result<agent::AgentClient> need_agent(const cli::Invocation& invocation) {
  auto found = RUNINK_TRY(find_agent(invocation));
  if (found) return std::move(*found);
  return unavailable("no agent serves you on this machine")
      .with_hint("start one: runi agent --local; or ask root's to allow you: --allow-user");
}

}  // namespace runink
