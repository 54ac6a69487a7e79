#include "worker/agent/agent_foreground.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "worker/sandbox/taken_signals.h"
#include "worker/sandbox/terminal_relay.h"

namespace runink::agent {
namespace {

class Foreground {
 public:
  Foreground(AgentClient& agent, const sandbox::TakenSignals& signals) : agent_(agent), signals_(signals) {}

  Result<EndedAnswer> run(launcher::LaunchRequest request, std::vector<int> streams) {
    const bool terminal = request.spec.terminal.has_value();
    const int input = streams[0], output = streams[1];
    if (terminal) {
      RUNINK_RETURN_IF_ERROR(terminal_.prepare());
      std::fill_n(streams.begin(), 3, terminal_.slice_end());
    }
    RUNINK_RETURN_IF_ERROR(agent_.exec(std::move(request), false, streams));
    for (;;) {
      const std::optional<wire::Message> message = RUNINK_TRY(agent_.answer(0));
      if (!message) {
        RUNINK_RETURN_IF_ERROR(wait());
      } else if (message->type == static_cast<uint16_t>(AnswerType::kStarted)) {
        if (terminal) RUNINK_RETURN_IF_ERROR(terminal_.begin(input, output));
      } else if (message->type == static_cast<uint16_t>(AnswerType::kEnded)) {
        EndedAnswer ended = RUNINK_TRY(decode_ended_answer(message->body));
        terminal_.finish(signals_.descriptor());
        return ended;
      } else {
        return data_loss("the agent answered with a message of type {}, which was not asked for", message->type);
      }
    }
  }

 private:
  Status wait() {
    sandbox::TerminalRelay::Waits terminal = terminal_.wait_for();
    struct pollfd waiting[] = {
        {agent_.descriptor(), POLLIN, 0}, {signals_.descriptor(), POLLIN, 0}, terminal[0], terminal[1], terminal[2]};
    if (::poll(waiting, std::size(waiting), -1) < 0 && errno != EINTR) return from_errno(errno, "wait for a slice");
    std::copy_n(waiting + 2, terminal.size(), terminal.begin());
    terminal_.move(terminal);
    while (const int signal = signals_.next()) RUNINK_RETURN_IF_ERROR(take(signal));
    return {};
  }

  Status take(int signal) {
    if (signal == SIGWINCH) terminal_.resize();
    if (signal == SIGCONT) terminal_.resume();
    if (signal == SIGWINCH || signal == SIGCONT) return {};
    return agent_.signal(signal);
  }

  AgentClient& agent_;
  const sandbox::TakenSignals& signals_;
  sandbox::TerminalRelay terminal_;
};

}  // namespace

Result<EndedAnswer> run_in_foreground(AgentClient& agent, launcher::LaunchRequest request,
                                      std::span<const int> streams) {
  const sandbox::TakenSignals signals;
  if (signals.descriptor() < 0) return from_errno(errno, "take the signals of a slice");
  request.program_descriptors = static_cast<uint32_t>(streams.size() - 3);
  return Foreground(agent, signals).run(std::move(request), std::vector<int>(streams.begin(), streams.end()));
}

}  // namespace runink::agent
