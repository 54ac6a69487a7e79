// One run of the program: parse, run the command, print what went wrong, return the exit code.
#pragma once

#include <string>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/console.h"

namespace runink::cli {

// The version of this build, "0.1.0".
const char* version();

// `arguments` without the program's name. Never throws; what a library threw becomes an error that is printed.
int run_program(const Command& root, const std::vector<std::string>& arguments, Console& console);

}  // namespace runink::cli
