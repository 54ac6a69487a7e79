#include "worker/agent/agent_client.h"

#include <string.h>
#include <unistd.h>

#include <utility>

#include "base/text.h"
#include "platform/os/machine.h"

namespace runink::agent {
namespace {

constexpr int64_t kGreetingMicros = 10'000'000;

Status agent_gone() {
  return unavailable("the agent has gone")
      .with_hint("its log says why; a slice that was not detached has ended with it");
}

// Who is no reason to look further: nobody is there, or he does not serve this user.
bool is_absent(const Status& status) {
  return status.code() == Code::kNotFound || status.code() == Code::kUnavailable || status.kind() == kKindNotServed ||
         status.code() == Code::kPermissionDenied;
}

}  // namespace

Result<AgentClient> AgentClient::connect(const std::string& path) {
  AgentClient client;
  client.path_ = path;
  client.channel_ = wire::Channel(RUNINK_TRY(wire::connect_to(path)));
  // Whoever else could listen there must not get what a slice is given.
  const wire::Peer peer = RUNINK_TRY(wire::peer_of(client.channel_.descriptor()));
  if (peer.user != 0 && peer.user != ::geteuid()) {
    return permission_denied("the agent at {} is run by user {}, who is neither root nor you", escape_control(path),
                             peer.user);
  }
  const auto greeting = RUNINK_TRY(client.answer(kGreetingMicros));
  if (!greeting) {
    return deadline_exceeded("the agent at {} did not answer in {} s", escape_control(path),
                             kGreetingMicros / 1'000'000)
        .with_hint("without it: RUNINK_AGENT=none");
  }
  if (greeting->type != static_cast<uint16_t>(AnswerType::kWelcome)) {
    return data_loss("the agent at {} began with a message of type {}", escape_control(path), greeting->type);
  }
  client.welcome_ = RUNINK_TRY(decode_welcome(greeting->body));
  if (client.welcome_.version != kAgentProtocolVersion) {
    return failed_precondition("the agent at {} speaks version {} of its protocol, and this program {}",
                               escape_control(path), client.welcome_.version, kAgentProtocolVersion)
        .with_hint("start the agent again with this version of runi");
  }
  return client;
}

Result<std::optional<AgentClient>> AgentClient::find(const std::string& where) {
  if (where == "none") return std::optional<AgentClient>();
  if (!where.empty()) {
    auto client = connect(where);
    if (client.status().code() == Code::kNotFound) {
      return unavailable("no agent listens at {}", escape_control(where));
    }
    return std::optional<AgentClient>(RUNINK_TRY(std::move(client)));
  }
  std::vector<std::string> places = {own_socket_path()};
  if (::geteuid() != 0) places.emplace_back(kRootSocketPath);
  for (const std::string& place : places) {
    if (place.empty()) continue;
    auto client = connect(place);
    if (client.ok()) return std::optional<AgentClient>(std::move(*client));
    if (!is_absent(client.status())) return std::move(client).status();
  }
  return std::optional<AgentClient>();
}

Status AgentClient::exec(launcher::LaunchRequest request, bool detached, std::span<const int> descriptors) {
  std::string body = launcher::encode(request);
  model::wipe_secrets(&request.spec);
  Status sent = channel_.send(static_cast<uint16_t>(AskType::kExec), detached ? kExecDetached : 0, body, descriptors);
  ::explicit_bzero(body.data(), body.size());
  return sent.code() == Code::kUnavailable ? agent_gone() : sent;
}

Status AgentClient::signal(int signal) { return ask(AskType::kSignal, launcher::encode_signal(signal)); }

Status AgentClient::ask(AskType type, std::string_view body) {
  Status sent = channel_.send(static_cast<uint16_t>(type), 0, body);
  return sent.code() == Code::kUnavailable ? agent_gone() : sent;
}

Result<std::optional<wire::Message>> AgentClient::answer(int64_t timeout_micros) {
  auto message = channel_.receive_within(timeout_micros);
  if (!message.ok()) return message.status().code() == Code::kUnavailable ? agent_gone() : message.status();
  if (*message && (*message)->type == static_cast<uint16_t>(AnswerType::kRefused)) {
    return launcher::decode_refusal((*message)->body);
  }
  return message;
}

Result<wire::Message> AgentClient::call(AskType type, std::string_view body, AnswerType expected,
                                        int64_t timeout_micros) {
  RUNINK_RETURN_IF_ERROR(ask(type, body));
  auto message = RUNINK_TRY(answer(timeout_micros));
  if (!message) return deadline_exceeded("the agent did not answer in {} s", timeout_micros / 1'000'000);
  if (message->type == static_cast<uint16_t>(expected)) return std::move(*message);
  return data_loss("the agent answered with a message of type {}, which was not asked for", message->type);
}

}  // namespace runink::agent
