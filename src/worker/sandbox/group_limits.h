// From what a slice may use of its node to what its control group is told.
#pragma once

#include <optional>
#include <vector>

#include "base/status.h"
#include "model/slice_resources.h"
#include "worker/sandbox/cgroup.h"

namespace runink::sandbox {

Result<CgroupLimits> limits_of(const model::SliceResources& resources);

// Gives the group all these limits, or none can be relied on: then the group is to be removed. `devices`: what the
// slice may open, if that is limited. With a limit of memory and none of swap there is no swap, where the kernel counts
// that: it would be a way around the limit. What was set comes back.
Result<CgroupLimits> limit_group(const model::SliceResources& resources, std::optional<std::vector<DeviceRule>> devices,
                                 Cgroup* group);

}  // namespace runink::sandbox
