// Everything that is made from the command tree for use outside the program. All functions are pure: same tree, same
// text.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "client/cli/command.h"

namespace runink::cli {

// Completion scripts. Static, so that pressing TAB starts nothing, except for values that change (runs, scenarios),
// which they ask of the hidden command `runi __complete KIND`.
std::string bash_completion(const Command& root);
std::string zsh_completion(const Command& root);
std::string fish_completion(const Command& root);

// Manual pages in mdoc: {"runi.1", text} and one per shown top-level command, {"runi-run.1", text}; a command's
// subcommands are sections of its page.
std::vector<std::pair<std::string, std::string>> man_pages(const Command& root);

// The whole reference in Markdown: docs/reference/cli.md.
std::string markdown_reference(const Command& root);

}  // namespace runink::cli
