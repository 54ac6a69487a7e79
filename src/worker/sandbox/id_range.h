// A range of host users and groups that one slice has alone, as long as it runs.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "platform/os/fd.h"

namespace runink::sandbox {

class IdRanges;

inline constexpr uint32_t kFirstSliceId = 0x7000'0000;  // of the first range; below are users of the host

// 64 Ki ids from a part of the id space that login.defs, systemd-homed, systemd-nspawn and subuid ranges leave alone.
// Held by a lock on a file in /run/runink/ids that the kernel drops when the last process that has it ends, however it
// ends. What a slice writes on the host bears its owner's id and never one of these, so a range can be used again at
// once.
class IdRange {
 public:
  IdRange() = default;
  IdRange(IdRange&& other) noexcept;
  IdRange& operator=(IdRange&& other) noexcept;
  ~IdRange();

  uint32_t first() const { return first_; }
  // -1 for none. A process that keeps a copy keeps the range.
  int lock() const { return lock_.get(); }
  // From now on only processes with a copy keep it, and this object, which IdRanges do not hand it out beside.
  void leave_to_copies() { lock_.reset(); }

 private:
  friend class IdRanges;

  IdRanges* from_ = nullptr;
  uint32_t slot_ = 0, first_ = 0;
  os::Fd lock_;
};

// Hands them out. Root only. It remembers which it has handed out itself, so that it need not try their locks; it must
// outlive them.
class IdRanges {
 public:
  Result<IdRange> take();

 private:
  friend class IdRange;

  std::vector<bool> taken_;
};

}  // namespace runink::sandbox
