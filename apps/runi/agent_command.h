// What `runi agent` does; its declaration is in apps/plane.
#pragma once

#include "client/cli/invocation.h"

namespace runink {

Result<int> run_agent(cli::Invocation& invocation);

}  // namespace runink
