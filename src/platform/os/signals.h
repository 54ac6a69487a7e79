// Signals of the whole process, set up once by a program's main.
#pragma once

#include "base/stop.h"

namespace runink::os {

// SIGINT, SIGTERM and SIGHUP request the flag; a second one ends the process at once with exit code 130, except that a
// closed terminal may say SIGHUP several times (the kernel, the shell). Where SIGHUP is ignored (nohup) it stays so. SIGPIPE
// is ignored, so that a closed pipe is an error of write. Children spawned by os::Child have these at their defaults again.
// `flag` must live until the process ends. Later calls change the flag.
void install_stop_signals(StopFlag* flag);

// The signal that requested the stop, 0 if none did.
int stop_signal();

// Only SIGPIPE.
void ignore_broken_pipes();

}  // namespace runink::os
