// A range of host users and groups that one slice has alone, as long as it runs.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "platform/os/fd.h"

namespace runink::sandbox {

// 64 Ki ids from a part of the id space that login.defs, systemd-homed, systemd-nspawn and subuid ranges leave alone.
// Taken by a lock on a file in /run/runink/ids that the kernel drops when its holder ends, however it ends. What a
// slice writes on the host bears its owner's id and never one of these, so a range can be used again at once.
class IdRange {
 public:
  static Result<IdRange> take();  // root only

  IdRange() = default;
  uint32_t first() const { return first_; }
  // -1 for none. A process that keeps a copy keeps the range.
  int lock() const { return lock_.get(); }

 private:
  uint32_t first_ = 0;
  os::Fd lock_;
};

}  // namespace runink::sandbox
