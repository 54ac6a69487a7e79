#include "platform/os/signals.h"

#include <signal.h>
#include <unistd.h>

namespace runink::os {

namespace {

std::atomic<StopFlag*> stop_flag{nullptr};
std::atomic<int> first_signal{0};
static_assert(std::atomic<StopFlag*>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

void on_stop_signal(int signal) {
  int none = 0;
  if (!first_signal.compare_exchange_strong(none, signal) && signal != SIGHUP) ::_exit(130);
  if (StopFlag* flag = stop_flag.load()) flag->request();
}

}  // namespace

void ignore_broken_pipes() {
  struct sigaction action = {};
  action.sa_handler = SIG_IGN;
  (void)::sigaction(SIGPIPE, &action, nullptr);
}

void install_stop_signals(StopFlag* flag) {
  stop_flag.store(flag);
  first_signal.store(0);
  struct sigaction action = {};
  action.sa_handler = on_stop_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = 0;  // not SA_RESTART: a blocked wait should come back; reads and writes go on after EINTR
  (void)::sigaction(SIGINT, &action, nullptr);
  (void)::sigaction(SIGTERM, &action, nullptr);
  struct sigaction hang_up = {};
  const bool ignored = ::sigaction(SIGHUP, nullptr, &hang_up) == 0 && hang_up.sa_handler == SIG_IGN;
  if (!ignored) (void)::sigaction(SIGHUP, &action, nullptr);
  ignore_broken_pipes();
}

int stop_signal() { return first_signal.load(); }

}  // namespace runink::os
