#include "worker/launcher/foreground.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "platform/os/fd.h"
#include "platform/os/machine.h"
#include "worker/sandbox/taken_signals.h"
#include "worker/sandbox/terminal_relay.h"

namespace runink::launcher {
namespace {

constexpr uint64_t kSlice = 1;

class Foreground {
 public:
  Foreground(LauncherClient* launcher, const model::SliceSpec& spec, const sandbox::TakenSignals& signals)
      : launcher_(*launcher), signals_(signals), grace_nanos_(spec.grace_micros * 1000) {}

  Result<sandbox::SliceEnd> run(model::SliceSpec* spec, LaunchDescriptors descriptors) {
    const bool terminal = spec->terminal.has_value();
    const int input = descriptors.input, output = descriptors.output;
    if (terminal) {
      RUNINK_RETURN_IF_ERROR(terminal_.prepare());
      descriptors.input = descriptors.output = descriptors.error = terminal_.slice_end();
    }
    LaunchRequest request{.spec = *spec};
    model::wipe_secrets(spec);
    RUNINK_RETURN_IF_ERROR(launcher_.launch(kSlice, std::move(request), descriptors));
    for (;;) {
      std::optional<LauncherEvent> event = RUNINK_TRY(launcher_.next_event(0));
      if (!event) {
        RUNINK_RETURN_IF_ERROR(wait());
      } else if (event->kind == LauncherEvent::Kind::kRefused) {
        return std::move(event->refused);
      } else if (event->kind == LauncherEvent::Kind::kStarted) {
        if (terminal) RUNINK_RETURN_IF_ERROR(terminal_.begin(input, output));
      } else if (event->kind == LauncherEvent::Kind::kEnded) {
        terminal_.finish(signals_.descriptor());
        return std::move(event->end);
      }
    }
  }

 private:
  Status wait() {
    sandbox::TerminalRelay::Waits terminal = terminal_.wait_for();
    const short launcher = static_cast<short>(POLLIN | (launcher_.wants_to_write() ? POLLOUT : 0));
    struct pollfd waiting[] = {{launcher_.descriptor(), launcher, 0},
                               {signals_.descriptor(), POLLIN, 0},
                               terminal[0],
                               terminal[1],
                               terminal[2]};
    if (::poll(waiting, std::size(waiting), millis_to_kill()) < 0 && errno != EINTR) {
      return from_errno(errno, "wait for a slice");
    }
    std::copy_n(waiting + 2, terminal.size(), terminal.begin());
    terminal_.move(terminal);
    RUNINK_RETURN_IF_ERROR(launcher_.flush());
    while (const int signal = signals_.next()) RUNINK_RETURN_IF_ERROR(take(signal));
    if (killed_at_ && os::monotonic_nanos() >= *killed_at_) return kill();
    return {};
  }

  Status take(int signal) {
    if (signal == SIGWINCH) terminal_.resize();
    if (signal == SIGCONT) terminal_.resume();
    if (signal == SIGWINCH || signal == SIGCONT) return {};
    const bool asks_to_end = signal != SIGUSR1 && signal != SIGUSR2;
    if (asks_to_end && killed_at_) return kill();
    if (asks_to_end) killed_at_ = os::monotonic_nanos() + grace_nanos_;
    return launcher_.signal(kSlice, signal);
  }

  Status kill() {
    killed_at_ = INT64_MAX;  // once is enough
    return launcher_.kill(kSlice);
  }

  int millis_to_kill() const {
    if (!killed_at_ || *killed_at_ == INT64_MAX) return -1;
    return static_cast<int>(
        std::clamp<int64_t>((*killed_at_ - os::monotonic_nanos() + 999'999) / 1'000'000, 1, 60'000));
  }

  LauncherClient& launcher_;
  const sandbox::TakenSignals& signals_;
  sandbox::TerminalRelay terminal_;
  const int64_t grace_nanos_;
  std::optional<int64_t> killed_at_;  // monotonic nanoseconds
};

}  // namespace

Result<sandbox::SliceEnd> run_in_foreground(LauncherClient* launcher, model::SliceSpec* spec,
                                            const LaunchDescriptors& descriptors) {
  const sandbox::TakenSignals signals;
  if (signals.descriptor() < 0) return from_errno(errno, "take the signals of a slice");
  return Foreground(launcher, *spec, signals).run(spec, descriptors);
}

}  // namespace runink::launcher
