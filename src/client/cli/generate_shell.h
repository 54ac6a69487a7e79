// What the three completion scripts share: the tree as a flat list, and how dynamic values are asked for.
#pragma once

#include <string>
#include <vector>

#include "client/cli/command.h"

namespace runink::cli {

// A shown command with the words that lead to it: {} for the root, {"contract", "check"}.
struct CommandPath {
  std::vector<std::string> words;
  const Command* command = nullptr;
  std::string joined(std::string_view separator) const;
};
// All shown commands, parents before children.
std::vector<CommandPath> shown_commands(const Command& root);
// Shown flags of a command and the global ones.
std::vector<Flag> completed_flags(const Command& command);

// The KIND of `runi __complete KIND`: "runs", "scenarios"; empty for what a script knows by itself.
std::string_view dynamic_kind(Completion completion);
// "*.dsl" and so on; empty for all files.
std::string_view file_pattern(Completion completion);

}  // namespace runink::cli
