// The product's version, as CMake's project() states it (RUNINK_VERSION comes from the build).
#pragma once

namespace runink::local {

inline constexpr const char* kVersion = RUNINK_VERSION;

}  // namespace runink::local
