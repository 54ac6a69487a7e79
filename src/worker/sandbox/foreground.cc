#include "worker/sandbox/foreground.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "platform/os/fd.h"
#include "platform/os/machine.h"

namespace runink::sandbox {
namespace {

class TakenSignals {
 public:
  TakenSignals() {
    ::sigemptyset(&set_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2}) ::sigaddset(&set_, signal);
    ::pthread_sigmask(SIG_BLOCK, &set_, &before_);
    fd_ = os::Fd(::signalfd(-1, &set_, SFD_CLOEXEC | SFD_NONBLOCK), "signals");
  }
  ~TakenSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  TakenSignals(const TakenSignals&) = delete;
  TakenSignals& operator=(const TakenSignals&) = delete;

  int descriptor() const { return fd_.get(); }
  // 0 when there is none.
  int next() const {
    signalfd_siginfo info = {};
    return ::read(fd_.get(), &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
  }

 private:
  sigset_t set_, before_;
  os::Fd fd_;
};

class Foreground {
 public:
  Foreground(const model::SliceSpec& spec, Slice slice)
      : slice_(std::move(slice)), grace_nanos_(spec.grace_micros * 1000) {
    if (spec.time_limit_micros > 0) time_limit_ = os::monotonic_nanos() + spec.time_limit_micros * 1000;
  }

  Result<ForegroundEnd> run(const TakenSignals& signals) {
    for (;;) {
      const std::optional<SliceEnd> end = RUNINK_TRY(slice_.wait(0));
      if (end) return ForegroundEnd{*end, timed_out_};
      struct pollfd waiting[] = {{slice_.pid_descriptor(), POLLIN, 0}, {signals.descriptor(), POLLIN, 0}};
      if (::poll(waiting, 2, millis_to_next()) < 0 && errno != EINTR) return from_errno(errno, "wait for a slice");
      while (const int signal = signals.next()) RUNINK_RETURN_IF_ERROR(take(signal));
      RUNINK_RETURN_IF_ERROR(look_at_time());
    }
  }

 private:
  Status take(int signal) {
    const bool asks_to_end = signal != SIGUSR1 && signal != SIGUSR2;
    if (asks_to_end && killed_at_) {
      slice_.kill();
      return {};
    }
    if (asks_to_end) killed_at_ = os::monotonic_nanos() + grace_nanos_;
    return slice_.signal(signal);
  }

  Status look_at_time() {
    const int64_t now = os::monotonic_nanos();
    if (time_limit_ && now >= *time_limit_) {
      timed_out_ = true;
      time_limit_.reset();
      if (!killed_at_) {
        killed_at_ = now + grace_nanos_;
        return slice_.signal(SIGTERM);
      }
    }
    if (killed_at_ && now >= *killed_at_) slice_.kill();
    return {};
  }

  int millis_to_next() const {
    int64_t next = INT64_MAX;
    if (time_limit_) next = std::min(next, *time_limit_);
    if (killed_at_) next = std::min(next, *killed_at_);
    if (next == INT64_MAX) return -1;
    return static_cast<int>(std::clamp<int64_t>((next - os::monotonic_nanos() + 999'999) / 1'000'000, 1, 60'000));
  }

  Slice slice_;
  const int64_t grace_nanos_;
  std::optional<int64_t> time_limit_, killed_at_;  // monotonic nanoseconds
  bool timed_out_ = false;
};

}  // namespace

Result<ForegroundEnd> run_in_foreground(model::SliceSpec* spec, const Operations& operations,
                                        const SliceStreams& streams) {
  const TakenSignals signals;
  if (signals.descriptor() < 0) return from_errno(errno, "take the signals of a slice");
  Result<Slice> slice = Slice::start(*spec, operations, streams);
  model::wipe_secrets(spec);
  RUNINK_RETURN_IF_ERROR(slice.status());
  return Foreground(*spec, std::move(*slice)).run(signals);
}

}  // namespace runink::sandbox
