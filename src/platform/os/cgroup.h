// Limits of the cgroup a process is in, of version 2 and 1. Private to platform/os.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace runink::os {

struct CgroupLimits {
  std::optional<double> cpus;             // quota / period
  std::optional<uint64_t> memory_bytes;
};

// The smallest limits from the process's cgroup up to the root that it sees. Arguments are the texts of
// /proc/self/cgroup and /proc/self/mountinfo; `file_root` stands before every path read (for tests).
CgroupLimits read_cgroup_limits(std::string_view cgroup_text, std::string_view mountinfo_text,
                                const std::string& file_root = "");

}  // namespace runink::os
