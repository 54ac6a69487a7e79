// A slice run as a command of a terminal or script: the caller's streams, the caller's signals, a time limit.
#pragma once

#include "base/status.h"
#include "model/slice_spec.h"
#include "worker/sandbox/launch.h"
#include "worker/sandbox/operations.h"

namespace runink::sandbox {

struct ForegroundEnd {
  SliceEnd end;
  bool timed_out = false;  // the time limit ended it
};

// Runs the slice until it ends. SIGINT, SIGTERM, SIGHUP and SIGQUIT of this process go to the program, which then has
// the grace period before all of the slice is killed; a second of them kills it at once. SIGUSR1 and SIGUSR2 are passed
// on and mean nothing here. At the time limit the program gets SIGTERM, and the grace period.
//
// Blocks these signals in the calling thread while it runs, which has to be the only thread that could take them.
// Wipes the specification's secrets once the slice has them.
Result<ForegroundEnd> run_in_foreground(model::SliceSpec* spec, const Operations& operations,
                                        const SliceStreams& streams = {});

}  // namespace runink::sandbox
