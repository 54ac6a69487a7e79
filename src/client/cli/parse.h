// From an argument vector to an Invocation, by the command tree.
//
// Accepted: `--flag value`, `--flag=value`, `-f value`, `-fvalue`, `-abc` (switches together), `--` (what follows is
// positional), `-` (a positional). Flags may stand before, between and behind positionals, also before the name of a
// subcommand when they are global. No abbreviation of names: a script must not change its meaning when a flag is added.
//
// Our own rather than CLI11: CLI11 would have to be told the same tree again, has no near-miss suggestion, and its
// exceptions carry less than our errors say (docs/decisions/0006).
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "client/cli/command.h"
#include "client/cli/invocation.h"

namespace runink::cli {

struct ParseOutcome {
  enum class Kind { kRun, kHelp, kVersion } kind = Kind::kRun;
  const Command* command = nullptr;            // the one named, or the root
  std::string path;                            // "runi contract check"
  std::map<std::string, ParsedValues> values;  // with defaults filled in
};

// `arguments` without the program's name. Errors are kInvalidArgument of kind "usage", with a hint; a help flag wins
// over every error behind it.
Result<ParseOutcome> parse_arguments(const Command& root, const std::vector<std::string>& arguments);

// Checks one value against its declaration (type, choices). The message names `what` ("--memory").
Status check_value(ValueType type, const std::vector<std::string>& choices, std::string_view value,
                   std::string_view what);
// For kPercent: "2%" is 0.02.
bool parse_percent(std::string_view text, double* share);

}  // namespace runink::cli
