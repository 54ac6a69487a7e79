// The difference of two texts, line by line, as `diff -u` shows it, safe to print to a terminal.
#pragma once

#include <string>
#include <string_view>

namespace runink::local {

struct DiffOptions {
  std::string before_name, after_name;  // for the two header lines
  size_t context = 2;                   // equal lines shown around a difference
  size_t max_lines = 60;                // of the result; what is more is counted
};

// "" when the texts are equal. A last line without a line break counts as a line; that alone is no difference.
std::string unified_diff(std::string_view before, std::string_view after, const DiffOptions& options);

}  // namespace runink::local
