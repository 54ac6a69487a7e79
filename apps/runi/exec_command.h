// What `runi exec` does; its declaration is in apps/plane.
#pragma once

#include "client/cli/invocation.h"

namespace runink {

Result<int> run_exec(cli::Invocation& invocation);

}  // namespace runink
