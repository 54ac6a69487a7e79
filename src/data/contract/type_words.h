// The names of types. Internal to this module.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/columnar/type.h"

namespace runink::contract {

// Types of one word, without parameters.
const std::vector<std::pair<const char*, columnar::TypeId>>& plain_types();
// What other systems call our types ("varchar": "string"), for help only; empty when the word is not known.
std::string known_elsewhere(std::string_view name);
// Words that a struct cannot be named by.
bool is_reserved_word(std::string_view name);

}  // namespace runink::contract
