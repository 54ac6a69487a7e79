// A caller's side of an agent's socket (agent_protocol.h). Calls wait for their answers, at most for as long as they
// are told. Threads: one at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "worker/agent/agent_protocol.h"
#include "worker/launcher/protocol.h"
#include "worker/wire/framing.h"

namespace runink::agent {

class AgentClient {
 public:
  // The agent that serves this user: his own, else root's. nullopt: there is none, or none that serves him. `where` is
  // the path of its socket if it is to be that one (kUnavailable: none listens there), or "none". Only an agent that
  // root or this user runs is believed.
  static Result<std::optional<AgentClient>> find(const std::string& where);

  const Welcome& welcome() const { return welcome_; }
  const std::string& path() const { return path_; }
  int descriptor() const { return channel_.descriptor(); }  // for poll: an answer may be there

  // Wipes the request's secrets. Descriptors as AskType::kExec has them. kStarted or the refusal is an answer.
  Status exec(launcher::LaunchRequest request, bool detached, std::span<const int> descriptors);
  Status signal(int signal);

  Status ask(AskType type, std::string_view body);
  // nullopt: none yet. A refusal is the error. kUnavailable: the agent has gone.
  Result<std::optional<wire::Message>> answer(int64_t timeout_micros);
  // Asks, and waits for an answer of that type.
  Result<wire::Message> call(AskType type, std::string_view body, AnswerType expected,
                             int64_t timeout_micros = 60'000'000);

 private:
  static Result<AgentClient> connect(const std::string& path);

  wire::Channel channel_;
  Welcome welcome_;
  std::string path_;
};

}  // namespace runink::agent
