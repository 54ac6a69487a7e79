// One function per command; each is defined in the file of its name.
#pragma once

#include "client/cli/command.h"

namespace runink::cli {

// The program itself.
Command completion_command();  // completion.cc
Command help_command();        // help_command.cc
Command complete_command();    // completion.cc; hidden
Command generate_command();    // generate_command.cc; hidden

}  // namespace runink::cli
