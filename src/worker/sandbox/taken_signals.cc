#include "worker/sandbox/taken_signals.h"

#include <pthread.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace runink::sandbox {

TakenSignals::TakenSignals() {
  ::sigemptyset(&set_);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGCONT}) {
    ::sigaddset(&set_, signal);
  }
  ::pthread_sigmask(SIG_BLOCK, &set_, &before_);
  descriptor_ = os::Fd(::signalfd(-1, &set_, SFD_CLOEXEC | SFD_NONBLOCK), "signals");
}

TakenSignals::~TakenSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

int TakenSignals::next() const {
  signalfd_siginfo info = {};
  return ::read(descriptor_.get(), &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

}  // namespace runink::sandbox
