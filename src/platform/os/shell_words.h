// Splitting a command line into words, as a shell does, without a shell.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace runink::os {

// White space separates; '…' is literal; "…" knows \" \\ \$ \` and \newline; a backslash outside takes the next
// character literally. Nothing is expanded: `$HOME`, `*`, `|`, `>`, `;`, `&` and backquotes outside quotes are refused with a hint
// that an explicit  sh -c '…'  is needed. Errors: kInvalidArgument with the byte column (from 1).
Result<std::vector<std::string>> split_command(std::string_view command);

// The inverse, for messages: quotes a word where a shell needs it.
std::string quote_word(std::string_view word);
std::string join_command(const std::vector<std::string>& words);

}  // namespace runink::os
