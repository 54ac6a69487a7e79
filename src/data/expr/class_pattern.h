// Regular expressions that are only sequences of byte classes, or alternatives of plain texts. Internal.
#pragma once

#include <bitset>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace runink::expr {

struct ClassItem {
  std::bitset<256> bytes;
  int64_t least = 1, most = 1;  // most -1: no limit
};

struct SimplePattern {
  std::vector<ClassItem> items;       // a sequence; matching greedily from the left is exact
  std::vector<std::string> literals;  // or alternatives; not both
};

// The pattern in that form if it has it and means the same to RE2 as a match of the whole text; nothing otherwise.
std::optional<SimplePattern> simplify_pattern(std::string_view pattern);

}  // namespace runink::expr
