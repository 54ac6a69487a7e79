// Paths as a specification may hold them; text only, nothing is looked at.
#pragma once

#include <string>

namespace runink::model {

// A path that begins with "/" and holds no empty part, no "." and no "..".
bool is_plain_absolute(const std::string& path);
// Whether `path` is `folder` or lies below it; both plain and absolute.
bool is_within(const std::string& path, const std::string& folder);

}  // namespace runink::model
