#include "plane/enter_plane.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <vector>

#include "client/cli/invocation.h"
#include "platform/os/fd.h"
#include "platform/os/file.h"

namespace runink::plane {

namespace {

char** g_arguments = nullptr;
os::Fd g_folder;  // where the command was typed: --project has led elsewhere since, and is in the arguments

}  // namespace

void remember_arguments(char** argv) {
  g_arguments = argv;
  g_folder = os::Fd(::open(".", O_PATH | O_DIRECTORY | O_CLOEXEC), ".");
}

Result<int> enter_plane(cli::Invocation& invocation) {
  // Installed, it lies in libexec beside bin; as built, in the folder beside that of runi.
  const std::string self = RUNINK_TRY(os::canonical_path("/proc/self/exe"));
  const std::string folder = os::folder_of(self);
  const std::vector<std::string> places = {folder + "/../libexec/runink/runi-server",
                                           folder + "/../runi-server/runi-server"};
  RUNINK_RETURN_IF_ERROR(invocation.console().flush());
  if (::fchdir(g_folder.get()) != 0) return from_errno(errno, "return to the folder that the command was typed in");
  for (const std::string& place : places) {
    if (!os::exists(place)) continue;
    ::execv(place.c_str(), g_arguments);
    return from_errno(errno, "run " + place);
  }
  return not_found("runi-server is not installed beside {}", self)
      .with_hint("it carries out `runi server` and `runi barn`: install Runink whole");
}

}  // namespace runink::plane
