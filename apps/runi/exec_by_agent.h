// `runi exec` where an agent runs: it starts the slice.
#pragma once

#include <optional>

#include "client/cli/invocation.h"
#include "model/slice_spec.h"
#include "worker/sandbox/slice_end.h"

namespace runink {

// nullopt: no agent serves this user, and none is needed. Else how the slice ended, or why it could not be started. One
// that is to run on by itself (--detach) has its id printed, and counts as ended well. Wipes the secrets, if it is not
// nullopt.
std::optional<Result<sandbox::SliceEnd>> exec_by_agent(cli::Invocation& invocation, model::SliceSpec* spec);

}  // namespace runink
