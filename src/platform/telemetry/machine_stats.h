// What the kernel says about this process and a disk, for metrics. Read at every call; what cannot be read is zero.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace runink::telemetry {

struct ProcessStats {
  double cpu_seconds = 0;  // user and system, all threads
  uint64_t resident_bytes = 0, virtual_bytes = 0;
  uint64_t open_fds = 0, max_fds = 0;  // max_fds 0: no limit
  uint64_t threads = 0;
  double start_unix_seconds = 0;
};
ProcessStats process_stats();

struct DiskStats {
  uint64_t free_bytes = 0, size_bytes = 0;  // free: for an ordinary user
};
// Of the file system that this path is on; none: it could not be read.
std::optional<DiskStats> disk_stats(const std::string& path);

}  // namespace runink::telemetry
