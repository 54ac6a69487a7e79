// Where contract texts come from. Internal; the loaders themselves are declared in parse.h.
#pragma once

#include <string>
#include <string_view>

namespace runink::contract {

// The path of an import as the user knows it: relative to the folder of the importing file, normalised.
std::string path_beside(std::string_view importing_file, std::string_view path);

}  // namespace runink::contract
