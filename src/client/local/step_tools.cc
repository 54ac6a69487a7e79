// Where the programs and headers for C++ steps are, relative to this program.
#include <filesystem>

#include "client/local/compile_steps.h"

namespace runink::local {

namespace fs = std::filesystem;

namespace {

fs::path own_folder() {
  std::error_code error;
  return fs::read_symlink("/proc/self/exe", error).parent_path();
}

}  // namespace

Result<std::string> find_step_sdk() {
  std::error_code error;
  // PREFIX/bin/runi finds PREFIX/include; a program of a build folder, however deep, finds the build folder's.
  fs::path folder = own_folder();
  for (int up = 0; up < 6 && folder.has_relative_path(); ++up, folder = folder.parent_path()) {
    const fs::path include = folder / "include";
    if (fs::exists(include / "runink/step/step.h", error)) return include.string();
  }
  return not_found("the step SDK (include/runink/step/step.h) is not above {}", own_folder().string())
      .with_hint("install Runink whole: cmake --install BUILD --prefix PREFIX");
}

Result<std::string> find_runi_slice() {
  std::error_code error;
  const fs::path self = own_folder();
  for (const fs::path& candidate : {self / "runi-slice", self / "../libexec/runink/runi-slice", self / "../runi-slice/runi-slice"}) {
    if (fs::exists(candidate, error)) return candidate.lexically_normal().string();
  }
  return not_found("the program runi-slice, which runs C++ steps, is not beside {}", self.string())
      .with_hint("install Runink whole: cmake --install BUILD --prefix PREFIX");
}

}  // namespace runink::local
