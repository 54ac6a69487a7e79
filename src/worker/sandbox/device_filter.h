// Which device nodes the processes of a cgroup v2 group may open: a BPF program attached to the group, as v2 has no
// device controller. Private to worker/sandbox.
#pragma once

#include <linux/bpf.h>

#include <vector>

#include "base/status.h"
#include "platform/os/fd.h"
#include "worker/sandbox/cgroup.h"

namespace runink::sandbox {

// The program's instructions: 1 (allowed) where one rule covers the whole request, else 0.
std::vector<bpf_insn> device_program(const std::vector<DeviceRule>& rules);

// Loads the program and attaches it to the group; programs of groups above are asked too. `replaced` is detached, so
// that there is no moment without one. The program lives as long as the group.
Result<os::Fd> attach_device_filter(int group, const std::vector<DeviceRule>& rules, const os::Fd& replaced);

}  // namespace runink::sandbox
