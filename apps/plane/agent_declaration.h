// `runi agent` and `runi slice`: declared here, so that the one tree that help, completion and the reference come from
// has them; carried out by apps/runi.
#pragma once

#include "client/cli/command.h"
#include "plane/plane_commands.h"

namespace runink::plane {

cli::Command agent_command(const RunOf& run);
cli::Command slice_command(const RunOf& run);

// --agent PATH, of every command that asks one.
cli::Flag agent_flag();

}  // namespace runink::plane
