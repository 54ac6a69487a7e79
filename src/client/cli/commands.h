// The command tree of `runi`, made of the functions in commands/ (one file each).
#pragma once

#include "client/cli/command.h"

namespace runink::cli {

// The tree with all commands of this module. apps/plane appends those that start or open a plane.
Command command_tree();

}  // namespace runink::cli
