// The control group of one slice that has limits: made before it, removed after it.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/slice_spec.h"
#include "worker/sandbox/cgroup.h"

namespace runink::sandbox {

// Move-only. Root only. The destructor removes the group, which then must be empty.
class SliceGroup {
 public:
  // A group below /runink/exec with all these limits, or an error and no group. Removes groups there that launchers
  // left which were killed. Needs cpus, memory_bytes or processes; with neither there is nothing to make a group for.
  static Result<SliceGroup> make(const model::SliceResources& resources);

  SliceGroup() = default;
  SliceGroup(SliceGroup&&) noexcept = default;
  SliceGroup& operator=(SliceGroup&& other) noexcept;
  ~SliceGroup();

  bool exists() const { return group_ != nullptr; }
  // For CLONE_INTO_CGROUP; -1 where the process is to be moved by attach() while it waits (cgroup v1), or without a
  // group.
  int clone_descriptor() const { return group_ ? group_->clone_descriptor() : -1; }
  Status attach(pid_t pid);

  // A sentence for each limit that the slice ran into.
  std::vector<std::string> limits_hit() const;

 private:
  void remove();

  std::unique_ptr<CgroupBackend> backend_;
  std::unique_ptr<Cgroup> group_;
  CgroupLimits limits_;
};

}  // namespace runink::sandbox
