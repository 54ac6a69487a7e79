// What this machine gives to this process. All of it is read from the kernel; nothing is cached except the boot id.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace runink::os {

// Processors this process may use: the smaller of its affinity mask and the quota of its cgroup and that cgroup's
// parents (version 1 and 2), rounded up; at least 1.
int usable_cpu_count();

// The smallest memory limit of the process's cgroup and its parents, in bytes; nullopt where there is none.
std::optional<uint64_t> memory_limit_bytes();
uint64_t physical_memory_bytes();

std::string host_name();
std::string user_name();  // of the effective user; its number where it has no name
std::string boot_id();    // empty where the kernel does not say

struct ResourceUse {
  double user_seconds = 0, system_seconds = 0;  // processor time
  uint64_t peak_rss_bytes = 0;                  // largest resident set (for children: of the largest one)
};
ResourceUse own_resources();       // its memory since exec, without that of children
ResourceUse children_resources();  // those that have been waited for

int64_t monotonic_nanos();

}  // namespace runink::os
