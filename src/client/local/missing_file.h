// What is said of a file that is not there: what it was called, what is there instead, and where paths begin.
#pragma once

#include <string>

#include "base/status.h"

namespace runink::local {

// kNotFound. `name` is what the user wrote, `path` where that leads to.
Status missing_file(const std::string& name, const std::string& path, const std::string& project_root);

}  // namespace runink::local
