#include "worker/sandbox/group_limits.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>

#include "base/text.h"
#include "platform/os/file.h"

namespace runink::sandbox {
namespace {

Result<IoLimit> io_limit(const model::SliceIoLimit& limit) {
  const std::string shown = escape_control(limit.device);
  struct stat info = {};
  if (::stat(limit.device.c_str(), &info) != 0) {
    return from_errno(errno, fmt::format("limit the I/O of {}", shown)).with_hint("lsblk lists the disks of this host");
  }
  if (!S_ISBLK(info.st_mode)) {
    return failed_precondition("limit the I/O of {}: it is no block device", shown)
        .with_kind("sandbox.limit")
        .with_hint("lsblk lists the disks of this host");
  }
  const uint32_t major = ::major(info.st_rdev), minor = ::minor(info.st_rdev);
  if (os::exists(fmt::format("/sys/dev/block/{}:{}/partition", major, minor))) {
    return failed_precondition("limit the I/O of {}: it is a partition, and the kernel limits whole disks only", shown)
        .with_kind("sandbox.limit")
        .with_hint("name the disk that it is on");
  }
  return IoLimit{.major = major,
                 .minor = minor,
                 .read_bytes_per_second = limit.read_bytes_per_second,
                 .write_bytes_per_second = limit.write_bytes_per_second,
                 .read_operations_per_second = limit.read_operations_per_second,
                 .write_operations_per_second = limit.write_operations_per_second};
}

}  // namespace

Result<CgroupLimits> limits_of(const model::SliceResources& resources) {
  CgroupLimits limits;
  limits.cpus = resources.cpus;
  limits.cpu_weight = resources.cpu_weight;
  limits.memory_bytes = resources.memory_bytes;
  limits.memory_high_bytes = resources.memory_high_bytes;
  limits.swap_bytes = resources.swap_bytes;
  limits.processes = resources.processes;
  limits.cpu_set = resources.cpu_set;
  limits.memory_nodes = resources.memory_nodes;
  for (const model::SliceIoLimit& limit : resources.io) limits.io.push_back(RUNINK_TRY(io_limit(limit)));
  return limits;
}

Result<CgroupLimits> limit_group(const model::SliceResources& resources, std::optional<std::vector<DeviceRule>> devices,
                                 Cgroup* group) {
  CgroupLimits limits = RUNINK_TRY(limits_of(resources));
  limits.devices = std::move(devices);
  if (limits.memory_bytes && !limits.swap_bytes) {
    limits.swap_bytes = 0;
    if (group->set_limits(limits).ok()) return limits;
    limits.swap_bytes.reset();
  }
  RUNINK_RETURN_IF_ERROR(group->set_limits(limits));
  return limits;
}

}  // namespace runink::sandbox
