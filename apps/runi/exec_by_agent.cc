#include "exec_by_agent.h"

#include <unistd.h>

#include <utility>

#include "agent_access.h"
#include "base/text.h"
#include "worker/agent/agent_foreground.h"
#include "worker/sandbox/host_facts.h"
#include "worker/sandbox/operations.h"

namespace runink {
namespace {

using sandbox::SliceEnd;

// An agent of an ordinary user makes what that user can make.
Status say_what_is_missing(cli::Invocation& invocation, const agent::AgentClient& agent, const model::SliceSpec& spec) {
  if (agent.welcome().user == 0) return {};
  const auto operations = RUNINK_TRY(sandbox::plan_operations(spec, sandbox::gather_host_facts(spec)));
  if (!operations.missing_guarantees.empty()) {
    invocation.console().say("note: this slice is weaker than one that root starts: " +
                             join(operations.missing_guarantees, "; "));
  }
  return {};
}

Result<SliceEnd> detach(cli::Invocation& invocation, agent::AgentClient& agent, launcher::LaunchRequest request) {
  RUNINK_RETURN_IF_ERROR(agent.exec(std::move(request), true, {}));
  const auto message = RUNINK_TRY(agent.answer(-1));
  if (message->type == static_cast<uint16_t>(agent::AnswerType::kEnded)) {
    const agent::EndedAnswer ended = RUNINK_TRY(agent::decode_ended_answer(message->body));
    return cancelled("start a slice: {}", agent::reason_sentence(ended.reason));
  }
  invocation.console().out(RUNINK_TRY(agent::decode_started_answer(message->body)).id + "\n");
  RUNINK_RETURN_IF_ERROR(invocation.console().flush());
  return SliceEnd{.exited = true};
}

Result<SliceEnd> attach(cli::Invocation& invocation, agent::AgentClient& agent, launcher::LaunchRequest request) {
  RUNINK_RETURN_IF_ERROR(invocation.console().flush());  // what follows on the streams is the command's
  const int streams[] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
  agent::EndedAnswer ended = RUNINK_TRY(agent::run_in_foreground(agent, std::move(request), streams));
  if (!ended.end.exited && ended.end.signal == 0) {
    return unavailable("the slice was ended: {}", agent::reason_sentence(ended.reason));
  }
  return std::move(ended.end);
}

Result<SliceEnd> exec(cli::Invocation& invocation, agent::AgentClient& agent, model::SliceSpec* spec) {
  Status missing = say_what_is_missing(invocation, agent, *spec);
  launcher::LaunchRequest request{.spec = *spec};
  model::wipe_secrets(spec);
  if (!missing.ok()) {
    model::wipe_secrets(&request.spec);
    return missing;
  }
  return invocation.enabled("detach") ? detach(invocation, agent, std::move(request))
                                      : attach(invocation, agent, std::move(request));
}

}  // namespace

std::optional<Result<SliceEnd>> exec_by_agent(cli::Invocation& invocation, model::SliceSpec* spec) {
  auto found = find_agent(invocation);
  if (found.ok() && !*found && !invocation.enabled("detach")) return std::nullopt;
  if (found.ok() && *found) return exec(invocation, **found, spec);
  model::wipe_secrets(spec);
  if (!found.ok()) return std::move(found).status();
  return unavailable("start a slice that runs on by itself: no agent serves you on this machine")
      .with_hint("start one: runi agent --local; or ask root's to allow you: --allow-user");
}

}  // namespace runink
