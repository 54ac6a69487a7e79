// Help text from the command tree.
#pragma once

#include <string>

#include "client/cli/command.h"

namespace runink::cli {

struct HelpStyle {
  int width = 80;
  bool colour = false;
};

// "Usage: …" in one line: "runi contract check [flags] CONTRACT…".
std::string usage_line(const Command& command, const std::string& path);
// The whole help of a command, or of the program where `command` is the root.
std::string help_text(const Command& command, const std::string& path, const HelpStyle& style);

// "-m, --memory SIZE"
std::string flag_heading(const Flag& flag);
// "CONTRACT…", "[RUN]"
std::string positional_heading(const Positional& positional);

}  // namespace runink::cli
