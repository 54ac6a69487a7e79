// Whether the parts of the host that every slice's root is made of may have been replaced: what is parked shows them as
// they were. Told by the kernel (inotify for the folders they lie in, the table of mounts for what is mounted on them),
// so that a start need not look at each.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "platform/os/fd.h"

namespace runink::launcher {

class RootWatch {
 public:
  // Where a watch cannot be had, may_have_changed() is always true.
  void open(const std::vector<std::string>& parts);

  // For epoll: names for input, mounts for EPOLLPRI. -1: none.
  int names() const { return names_.get(); }
  int mounts() const { return mounts_.get(); }

  // One of them was readable.
  void notice();
  bool may_have_changed() const { return changed_ || !names_.valid() || !mounts_.valid(); }
  // It was looked at what there is.
  void seen() { changed_ = false; }

 private:
  os::Fd names_, mounts_;
  bool changed_ = true;
};

}  // namespace runink::launcher
