// A slice run as a command of a terminal or script: the caller's streams, the caller's signals.
#pragma once

#include "base/status.h"
#include "worker/launcher/launcher_client.h"

namespace runink::launcher {

// Runs the slice until it ends, and says how. SIGINT, SIGTERM, SIGHUP and SIGQUIT of this process go to the program,
// which then has the grace period before all of the slice is killed; a second of them kills it at once. SIGUSR1 and
// SIGUSR2 are passed on and mean nothing here. At the time limit the program gets SIGTERM, and the grace period. What
// the caller types and the slice prints is relayed where the slice has a terminal of its own
// (sandbox/terminal_relay.h).
//
// Blocks these signals in the calling thread while it runs, which has to be the only thread that could take them.
// Wipes the specification's secrets once the launcher has them.
Result<sandbox::SliceEnd> run_in_foreground(LauncherClient* launcher, model::SliceSpec* spec,
                                            const LaunchDescriptors& descriptors = {});

}  // namespace runink::launcher
