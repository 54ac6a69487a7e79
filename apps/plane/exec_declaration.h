// `runi exec`: declared here, so that the one tree that help, completion and the reference come from has it; carried
// out by apps/runi.
#pragma once

#include "client/cli/command.h"

namespace runink::plane {

cli::Command exec_command(cli::RunFunction run);

}  // namespace runink::plane
