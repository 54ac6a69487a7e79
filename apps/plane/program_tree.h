// The whole tree of `runi`: commands that need nothing running, and those of the control plane.
#pragma once

#include "plane/plane_commands.h"

namespace runink::plane {

cli::Command program_tree(const RunOf& run);

}  // namespace runink::plane
