#include "worker/sandbox/cgroup.h"

#include "platform/os/file.h"
#include "worker/sandbox/cgroup_files.h"
#include "worker/sandbox/cgroup_v1.h"
#include "worker/sandbox/cgroup_v2.h"

namespace runink::sandbox {

Status validate(const CgroupLimits& limits) {
  if (limits.cpus && !(*limits.cpus >= 0.01 && *limits.cpus <= 100'000)) {
    return invalid_argument("a limit of {} processors: 0.01 is the least the kernel counts", *limits.cpus);
  }
  if (limits.cpu_weight && (*limits.cpu_weight < 1 || *limits.cpu_weight > 10'000)) {
    return invalid_argument("a processor weight of {}: it is between 1 and 10000", *limits.cpu_weight);
  }
  // Far above any machine, and what the kernel takes as "no limit" at all.
  constexpr uint64_t kMostBytes = 1ull << 60;
  auto check_bytes = [&](const char* what, const std::optional<uint64_t>& bytes, uint64_t least) -> Status {
    if (!bytes || (*bytes >= least && *bytes <= kMostBytes)) return {};
    return invalid_argument("a {} limit of {} bytes: it is between {} and {}", what, *bytes, least, kMostBytes);
  };
  RUNINK_RETURN_IF_ERROR(check_bytes("memory", limits.memory_bytes, 1u << 20));
  RUNINK_RETURN_IF_ERROR(check_bytes("memory.high", limits.memory_high_bytes, 1u << 20));
  RUNINK_RETURN_IF_ERROR(check_bytes("swap", limits.swap_bytes, 0));
  if (limits.swap_bytes && !limits.memory_bytes) return invalid_argument("a swap limit without a memory limit");
  if (limits.memory_high_bytes && limits.memory_bytes && *limits.memory_high_bytes > *limits.memory_bytes) {
    return invalid_argument("a high mark of {} bytes above the memory limit of {}", *limits.memory_high_bytes,
                            *limits.memory_bytes);
  }
  if (limits.processes && (*limits.processes < 1 || *limits.processes > 4'194'304)) {
    return invalid_argument("a limit of {} processes: it is between 1 and 4194304", *limits.processes);
  }
  for (const IoLimit& io : limits.io) {
    bool any = false;
    for (const auto& value : {io.read_bytes_per_second, io.write_bytes_per_second, io.read_operations_per_second,
                              io.write_operations_per_second}) {
      if (value && *value == 0) return invalid_argument("an I/O limit of 0 for device {}:{}", io.major, io.minor);
      any = any || value.has_value();
    }
    if (!any) return invalid_argument("device {}:{} is named in the I/O limits without a limit", io.major, io.minor);
  }
  if (limits.devices) {
    for (const DeviceRule& rule : *limits.devices) {
      if (rule.type != 'c' && rule.type != 'b')
        return invalid_argument("a device of type '{}': it is c or b", rule.type);
      if (!rule.read && !rule.write && !rule.make_node)
        return invalid_argument("a device is named that may not be used");
    }
  }
  return {};
}

CgroupLimits left_out(const CgroupLimits& before, const CgroupLimits& after) {
  CgroupLimits out;
  const auto take = [](const auto& was, const auto& is, auto* left) {
    if (was && !is) *left = was;
  };
  take(before.cpus, after.cpus, &out.cpus);
  take(before.cpu_weight, after.cpu_weight, &out.cpu_weight);
  take(before.memory_bytes, after.memory_bytes, &out.memory_bytes);
  take(before.memory_high_bytes, after.memory_high_bytes, &out.memory_high_bytes);
  // With memory comes swap, also where it is not said (group_limits.h).
  if (out.memory_bytes) out.swap_bytes = before.swap_bytes.value_or(0);
  take(before.processes, after.processes, &out.processes);
  if (after.cpu_set.empty()) out.cpu_set = before.cpu_set;
  if (after.memory_nodes.empty()) out.memory_nodes = before.memory_nodes;
  for (const IoLimit& was : before.io) {
    IoLimit left{.major = was.major, .minor = was.minor};
    const IoLimit none = left, *is = &none;
    for (const IoLimit& now : after.io) {
      if (now.major == was.major && now.minor == was.minor) is = &now;
    }
    take(was.read_bytes_per_second, is->read_bytes_per_second, &left.read_bytes_per_second);
    take(was.write_bytes_per_second, is->write_bytes_per_second, &left.write_bytes_per_second);
    take(was.read_operations_per_second, is->read_operations_per_second, &left.read_operations_per_second);
    take(was.write_operations_per_second, is->write_operations_per_second, &left.write_operations_per_second);
    if (left.read_bytes_per_second || left.write_bytes_per_second || left.read_operations_per_second ||
        left.write_operations_per_second) {
      out.io.push_back(left);
    }
  }
  return out;
}

std::vector<std::string> describe_herd(const HerdEvents& herd, const CgroupLimits& limits, CgroupEvents* events) {
  std::vector<std::string> lines;
  const bool own_memory = limits.memory_bytes && (events->out_of_memory > 0 || events->filled);
  if (events->out_of_memory_kills > 0 && !own_memory && herd.limits.memory_bytes && herd.out_of_memory > 0) {
    lines.push_back(fmt::format(
        "out of memory of its herd: the kernel killed {} process(es) when all slices of {} reached {} bytes together",
        events->out_of_memory_kills, herd.herd, *herd.limits.memory_bytes));
    events->out_of_memory_kills = 0;
  }
  if (events->refused_processes > 0 && !limits.processes && herd.limits.processes) {
    lines.push_back(fmt::format("out of processes of its herd: {} fork(s) were refused when all slices of {} had {}",
                                events->refused_processes, herd.herd, *herd.limits.processes));
    events->refused_processes = 0;
  }
  return lines;
}

std::vector<std::string> describe(const CgroupEvents& events, const CgroupLimits& limits) {
  std::vector<std::string> lines;
  auto of = [](const auto& limit) { return limit ? fmt::format(" of {}", *limit) : std::string(); };
  if (events.out_of_memory_kills > 0) {
    lines.push_back(fmt::format("out of memory: the kernel killed {} process(es) at the memory limit{}{}",
                                events.out_of_memory_kills, of(limits.memory_bytes),
                                limits.memory_bytes ? " bytes" : ""));
  } else if (events.memory_limit_hits > 0) {
    lines.push_back(fmt::format("short of memory: the memory limit{}{} was reached {} times; nothing was killed",
                                of(limits.memory_bytes), limits.memory_bytes ? " bytes" : "",
                                events.memory_limit_hits));
  }
  if (events.memory_high_hits > 0) {
    lines.push_back(fmt::format("slowed: memory was above the high mark{}{} {} times", of(limits.memory_high_bytes),
                                limits.memory_high_bytes ? " bytes" : "", events.memory_high_hits));
  }
  if (events.refused_processes > 0) {
    lines.push_back(fmt::format("out of processes: {} fork(s) were refused at the limit{}", events.refused_processes,
                                of(limits.processes)));
  }
  if (events.throttled_periods > 0) {
    lines.push_back(fmt::format("throttled: stopped for {:.1f} s in {} periods at the processor limit{}",
                                events.throttled_seconds, events.throttled_periods, of(limits.cpus)));
  }
  return lines;
}

Result<std::unique_ptr<CgroupBackend>> open_cgroups(const std::string& base, std::optional<CgroupVersion> version) {
  std::string mountinfo =
      RUNINK_TRY_CONTEXT(os::read_file("/proc/self/mountinfo"), "find the control groups of this host");
  std::string own = RUNINK_TRY_CONTEXT(os::read_file("/proc/self/cgroup"), "find the control group of this process");
  std::vector<CgroupMount> mounts = parse_cgroup_mounts(mountinfo);
  std::vector<std::string> v1;
  const CgroupMount* v2 = nullptr;
  for (const CgroupMount& mount : mounts) {
    if (mount.v2 && v2 == nullptr) v2 = &mount;
    v1.insert(v1.end(), mount.controllers.begin(), mount.controllers.end());
  }
  auto lacks = [](const std::vector<std::string>& controllers) {
    std::string missing;
    for (const char* needed : {"cpu", "memory", "pids"}) {
      bool found = false;
      for (const std::string& controller : controllers) found = found || controller == needed;
      if (!found) missing += (missing.empty() ? "" : ", ") + std::string(needed);
    }
    return missing;
  };
  std::vector<std::string> v2_controllers;
  if (v2 != nullptr) v2_controllers = RUNINK_TRY(controllers_v2(*v2));
  if (version == CgroupVersion::kV2 && v2 == nullptr) {
    return failed_precondition("no cgroup v2 hierarchy is mounted here")
        .with_hint("mount -t cgroup2 none /sys/fs/cgroup");
  }
  if (version == CgroupVersion::kV2 || (!version && v2 != nullptr && lacks(v2_controllers).empty())) {
    return open_cgroups_v2(*v2, own, base);
  }
  if (version == CgroupVersion::kV1 || lacks(v1).empty()) return open_cgroups_v1(mounts, own, base);
  return failed_precondition("no cgroup hierarchy here has the controllers that limits need: v2 lacks {}; v1 lacks {}",
                             v2 == nullptr ? "everything (not mounted)" : lacks(v2_controllers), lacks(v1))
      .with_kind("sandbox.limit")
      .with_hint("boot with systemd.unified_cgroup_hierarchy=1, or mount the controllers");
}

}  // namespace runink::sandbox
