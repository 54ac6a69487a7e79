// The cgroup v1 backend: a folder in each controller's hierarchy. Private to worker/sandbox; see cgroup.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "worker/sandbox/cgroup.h"
#include "worker/sandbox/cgroup_files.h"

namespace runink::sandbox {

// `proc_cgroup`: /proc/self/cgroup. Every v1 hierarchy of a controller that slices use is taken; freezer, by which a
// group is killed, must be among them.
Result<std::unique_ptr<CgroupBackend>> open_cgroups_v1(const std::vector<CgroupMount>& mounts,
                                                       std::string_view proc_cgroup, const std::string& base);

}  // namespace runink::sandbox
