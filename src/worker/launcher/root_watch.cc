#include "worker/launcher/root_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <set>

#include "platform/os/file.h"

namespace runink::launcher {

void RootWatch::open(const std::vector<std::string>& parts) {
  os::Fd names(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC), "inotify");
  if (!names.valid()) return;
  std::set<std::string> folders;
  for (const std::string& part : parts) folders.insert(os::folder_of(part));
  constexpr uint32_t kReplaced = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF;
  for (const std::string& folder : folders) {
    const bool there = ::inotify_add_watch(names.get(), folder.c_str(), kReplaced | IN_ONLYDIR) >= 0;
    // What is not there comes with an entry in the folder above it, which is watched if that has a part.
    if (!there && errno != ENOENT) return;
  }
  names_ = std::move(names);
  mounts_ = os::Fd(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC), "mounts");
}

void RootWatch::notice() {
  changed_ = true;
  alignas(inotify_event) char events[4096];
  while (::read(names_.get(), events, sizeof events) > 0) {
  }
}

}  // namespace runink::launcher
