// The cgroup v2 backend: one folder for all controllers. Private to worker/sandbox; see cgroup.h.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "worker/sandbox/cgroup.h"
#include "worker/sandbox/cgroup_files.h"

namespace runink::sandbox {

// Those that groups of this hierarchy can have; one on a hybrid host has none.
Result<std::vector<std::string>> controllers_v2(const CgroupMount& mount);

// Enables what there is of cpu, cpuset, io, memory and pids on the way down to the base. Without any of them groups
// still kill, freeze, take processes at birth, control devices and count processor time.
Result<std::unique_ptr<CgroupBackend>> open_cgroups_v2(const CgroupMount& mount, std::string_view proc_cgroup,
                                                       const std::string& base);

}  // namespace runink::sandbox
