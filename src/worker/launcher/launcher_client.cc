#include "worker/launcher/launcher_client.h"

#include <errno.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "worker/launcher/start_program.h"

namespace runink::launcher {
namespace {

constexpr int64_t kGreetingMicros = 10'000'000;

Status launcher_gone() {
  return unavailable("the launcher of slices has ended").with_hint("its slices have ended with it");
}

Result<LauncherEvent> event_of(wire::Message* message) {
  LauncherEvent event{.slice = message->subject};
  switch (static_cast<MessageType>(message->type)) {
    case MessageType::kStarted:
      event.kind = LauncherEvent::Kind::kStarted;
      event.started = RUNINK_TRY(decode_started(message->body));
      if (!message->descriptors.empty()) event.control = std::move(message->descriptors.front());
      return event;
    case MessageType::kRefused:
      event.kind = LauncherEvent::Kind::kRefused;
      event.refused = decode_refusal(message->body);
      return event;
    case MessageType::kEnded:
      event.kind = LauncherEvent::Kind::kEnded;
      event.end = RUNINK_TRY(decode_end(message->body));
      return event;
    case MessageType::kPool:
      event.kind = LauncherEvent::Kind::kPool;
      event.pool = RUNINK_TRY(decode_pool(message->body));
      return event;
    case MessageType::kHerds:
      event.kind = LauncherEvent::Kind::kHerds;
      event.herds = RUNINK_TRY(decode_herd_states(message->body));
      return event;
    default:
      return data_loss("the launcher sent a message of type {}, which is unknown here", message->type);
  }
}

}  // namespace

Result<LauncherClient> LauncherClient::start(const LauncherOptions& options) {
  auto [mine, its] = RUNINK_TRY(wire::Channel::make_pair());
  LauncherClient client;
  client.outlives_ = !options.listen_path.empty();
  std::vector<std::string> arguments = {"runi-launcher", "--sealed"};
  if (client.outlives_) {
    arguments.insert(arguments.end(),
                     {"--listen", options.listen_path, "--outlive-micros", std::to_string(options.outlive_micros)});
  }
  client.channel_ = std::move(mine);
  client.child_ = RUNINK_TRY_CONTEXT(
      start_sealed_program(options.program, arguments, its.descriptor(), client.outlives_ ? -1 : STDERR_FILENO),
      "start the launcher of slices");
  its.close();
  RUNINK_RETURN_IF_ERROR(client.greet());
  return client;
}

Result<LauncherClient> LauncherClient::connect(const std::string& path) {
  LauncherClient client;
  client.outlives_ = true;
  client.channel_ = wire::Channel(RUNINK_TRY(wire::connect_to(path)));
  RUNINK_RETURN_IF_ERROR(client.greet());
  return client;
}

LauncherClient::LauncherClient(LauncherClient&& other) noexcept { *this = std::move(other); }

LauncherClient& LauncherClient::operator=(LauncherClient&& other) noexcept {
  if (this == &other) return *this;
  finish();
  channel_ = std::move(other.channel_);
  ready_ = other.ready_;
  child_ = std::exchange(other.child_, -1);
  outlives_ = other.outlives_;
  events_ = std::move(other.events_);
  return *this;
}

LauncherClient::~LauncherClient() { finish(); }

void LauncherClient::finish() {
  channel_.close();
  if (child_ > 0) {
    // One that outlives its owner may have ended before; else it is somebody else's to wait for.
    while (::waitpid(child_, nullptr, outlives_ ? WNOHANG : 0) < 0 && errno == EINTR) {
    }
  }
  child_ = -1;
}

// The launcher speaks first, so that what does not work there is known here at once.
Status LauncherClient::greet() {
  auto first = channel_.receive_within(kGreetingMicros);
  if (!first.ok() && first.status().code() == Code::kUnavailable) return launcher_gone();
  std::optional<wire::Message> message = RUNINK_TRY(std::move(first));
  if (!message) return deadline_exceeded("the launcher of slices did not answer in {} s", kGreetingMicros / 1'000'000);
  if (message->type == static_cast<uint16_t>(MessageType::kRefused)) return decode_refusal(message->body);
  if (message->type != static_cast<uint16_t>(MessageType::kReady)) {
    return data_loss("the launcher of slices began with a message of type {}", message->type);
  }
  ready_ = RUNINK_TRY(decode_ready(message->body));
  if (ready_.version == kProtocolVersion) return {};
  return failed_precondition("the launcher of slices speaks version {} of its protocol, and this program {}",
                             ready_.version, kProtocolVersion)
      .with_hint("it was started by another version of runi: end its slices first");
}

Status LauncherClient::send(MessageType type, uint64_t subject, std::string_view body,
                            std::span<const int> descriptors) {
  Status sent = channel_.send(static_cast<uint16_t>(type), subject, body, descriptors);
  return sent.code() == Code::kUnavailable ? launcher_gone() : sent;
}

Status LauncherClient::launch(uint64_t slice, LaunchRequest request, const LaunchDescriptors& descriptors) {
  request.program_descriptors = static_cast<uint32_t>(descriptors.more.size());
  request.kept_descriptors = static_cast<uint32_t>(descriptors.kept.size());
  std::vector<int> all = {descriptors.input, descriptors.output, descriptors.error};
  all.insert(all.end(), descriptors.more.begin(), descriptors.more.end());
  all.insert(all.end(), descriptors.kept.begin(), descriptors.kept.end());
  std::string body = encode(request);
  model::wipe_secrets(&request.spec);
  Status sent = send(MessageType::kLaunch, slice, body, all);
  ::explicit_bzero(body.data(), body.size());
  return sent;
}

Status LauncherClient::signal(uint64_t slice, int signal) {
  return send(MessageType::kSignal, slice, encode_signal(signal));
}
Status LauncherClient::kill(uint64_t slice) { return send(MessageType::kKill, slice); }
Status LauncherClient::keep_parked(const PoolRequest& request) {
  return send(MessageType::kKeepParked, 0, encode(request));
}
Status LauncherClient::limit_herds(const std::vector<model::HerdLimit>& limits) {
  return send(MessageType::kLimitHerds, 0, encode(limits));
}
Status LauncherClient::forget(uint64_t slice) { return send(MessageType::kForget, slice); }
Status LauncherClient::stop() { return send(MessageType::kStop, 0); }

Result<LauncherState> LauncherClient::list(int64_t timeout_micros) {
  const int64_t deadline = os::monotonic_nanos() + timeout_micros * 1000;
  RUNINK_RETURN_IF_ERROR(send(MessageType::kList, 0));
  LauncherState state;
  for (;;) {
    const int64_t left = deadline - os::monotonic_nanos();
    auto received = channel_.receive_within(left > 0 ? left / 1000 : 0);
    if (!received.ok() && received.status().code() == Code::kUnavailable) return launcher_gone();
    std::optional<wire::Message> message = RUNINK_TRY(std::move(received));
    if (!message) return deadline_exceeded("the launcher of slices did not say which it has");
    switch (static_cast<MessageType>(message->type)) {
      case MessageType::kSlice:
        state.slices.push_back({.slice = message->subject,
                                .record = RUNINK_TRY(decode_record(message->body)),
                                .kept = std::move(message->descriptors)});
        break;
      case MessageType::kListEnd:
        state.counters = RUNINK_TRY(decode_counters(message->body));
        return state;
      default:
        events_.push_back(RUNINK_TRY(event_of(&*message)));
    }
  }
}

Result<std::optional<LauncherEvent>> LauncherClient::next_event(int64_t timeout_micros) {
  if (!events_.empty()) {
    LauncherEvent event = std::move(events_.front());
    events_.pop_front();
    return std::optional<LauncherEvent>(std::move(event));
  }
  auto received = channel_.receive_within(timeout_micros);
  if (!received.ok() && received.status().code() == Code::kUnavailable) return launcher_gone();
  std::optional<wire::Message> message = RUNINK_TRY(std::move(received));
  if (!message) return std::optional<LauncherEvent>();
  return std::optional<LauncherEvent>(RUNINK_TRY(event_of(&*message)));
}

}  // namespace runink::launcher
