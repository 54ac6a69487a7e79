// The signals of somebody who waits for a slice in the foreground: taken as they come, instead of being acted upon.
#pragma once

#include <signal.h>

#include "platform/os/fd.h"

namespace runink::sandbox {

// SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH and SIGCONT, blocked in this thread until the
// destructor, which puts the mask back. It has to be the only thread that could take them.
class TakenSignals {
 public:
  TakenSignals();
  ~TakenSignals();
  TakenSignals(const TakenSignals&) = delete;
  TakenSignals& operator=(const TakenSignals&) = delete;

  int descriptor() const { return descriptor_.get(); }  // for poll; -1 with errno: they cannot be taken
  int next() const;                                     // 0 when there is none

 private:
  sigset_t set_, before_;
  os::Fd descriptor_;
};

}  // namespace runink::sandbox
