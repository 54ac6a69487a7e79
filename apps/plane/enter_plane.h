// How `runi` becomes runi-server: by exec(2), with the command as it was typed.
#pragma once

#include "client/cli/command.h"

namespace runink::plane {

// To be called by main() with its own arguments, before any command runs.
void remember_arguments(char** argv);

// A RunFunction: does not return where it works.
Result<int> enter_plane(cli::Invocation& invocation);

}  // namespace runink::plane
