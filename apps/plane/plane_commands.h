// The commands that start or open the control plane, declared once: `runi` shows, completes and parses them, and then
// becomes runi-server, which carries them out (enter_plane.h). So gRPC and RocksDB are loaded by those commands only.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "client/cli/command.h"

namespace runink::plane {

// What carries a command out, by its path below `runi` ("server", "barn status").
using RunOf = std::function<cli::RunFunction(const std::string& path)>;

std::vector<cli::Command> plane_commands(const RunOf& run);

}  // namespace runink::plane
