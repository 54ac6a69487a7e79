// Errors of a run, shown with the line of the feature that they are about, as the compiler shows its own.
#pragma once

#include <string>
#include <string_view>

#include "base/diagnostic.h"
#include "base/status.h"

namespace runink::local {

// The same error with `place` in front of its message and that line, underlined, as its first detail. Where the line (or
// one of the annotations right above it) holds `words`, they are what is underlined. Unchanged where the feature cannot
// be read, has changed meanwhile, or the error has a place already.
Status at_place(Status status, const Location& place, const std::string& project_root, std::string_view words = {});

}  // namespace runink::local
