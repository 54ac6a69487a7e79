// Starts a program whose bytes are within this one, from memory that nobody can change.
#pragma once

#include <sys/types.h>

#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace runink::launcher {

// A memfd of these bytes, sealed against every change, executed with `arguments` and no environment as a child of this
// process in a session of its own; OK once it is executed. It gets `socket` as descriptor 3, standard_error as 2 (-1:
// /dev/null), /dev/null as 0 and 1, and nothing else.
Result<pid_t> start_sealed_program(std::span<const char> program, const std::vector<std::string>& arguments, int socket,
                                   int standard_error);

}  // namespace runink::launcher
