#include "platform/os/machine.h"

#include <pwd.h>
#include <sched.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <vector>

#include "base/text.h"
#include "platform/os/cgroup.h"
#include "platform/os/file.h"

namespace runink::os {

namespace {

CgroupLimits own_limits() {
  const auto cgroup = read_file("/proc/self/cgroup"), mounts = read_file("/proc/self/mountinfo");
  if (!cgroup.ok() || !mounts.ok()) return {};
  return read_cgroup_limits(*cgroup, *mounts);
}

int affinity_count() {
  // The mask may be larger than cpu_set_t on big machines.
  for (int most = 1024; most <= 1 << 20; most *= 4) {
    cpu_set_t* set = CPU_ALLOC(most);
    if (set == nullptr) break;
    const size_t size = CPU_ALLOC_SIZE(most);
    CPU_ZERO_S(size, set);
    const bool read = ::sched_getaffinity(0, size, set) == 0;
    const int count = read ? CPU_COUNT_S(size, set) : 0;
    CPU_FREE(set);
    if (read) return count;
  }
  return static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
}

ResourceUse resources_of(int who) {
  struct rusage usage = {};
  (void)::getrusage(who, &usage);
  return {static_cast<double>(usage.ru_utime.tv_sec) + static_cast<double>(usage.ru_utime.tv_usec) / 1e6,
          static_cast<double>(usage.ru_stime.tv_sec) + static_cast<double>(usage.ru_stime.tv_usec) / 1e6,
          static_cast<uint64_t>(usage.ru_maxrss) * 1024};
}

}  // namespace

int usable_cpu_count() {
  int count = std::max(1, affinity_count());
  if (const auto cpus = own_limits().cpus) count = std::min(count, std::max(1, static_cast<int>(std::ceil(*cpus))));
  return count;
}

std::optional<uint64_t> memory_limit_bytes() { return own_limits().memory_bytes; }

uint64_t physical_memory_bytes() {
  const long pages = ::sysconf(_SC_PHYS_PAGES), size = ::sysconf(_SC_PAGESIZE);
  return pages > 0 && size > 0 ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(size) : 0;
}

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "";
}

std::string user_name() {
  struct passwd entry, *found = nullptr;
  std::vector<char> buffer(16384);
  if (::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr) {
    return found->pw_name;
  }
  return std::to_string(::geteuid());
}

std::string boot_id() {
  static const std::string id = [] {
    const auto text = read_file("/proc/sys/kernel/random/boot_id", 4096);
    return text.ok() ? std::string(trim(*text)) : std::string();
  }();
  return id;
}

ResourceUse own_resources() {
  ResourceUse use = resources_of(RUSAGE_SELF);
  // The kernel's ru_maxrss outlives exec: it would be that of a larger process which started this one.
  const auto status = read_file("/proc/self/status", 1 << 20);
  if (!status.ok()) return use;
  for (std::string_view line : split(*status, '\n')) {
    constexpr std::string_view kKey = "VmHWM:";
    if (!line.starts_with(kKey)) continue;
    line = trim(line.substr(kKey.size()));
    uint64_t kib = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), kib);
    if (error == std::errc() && kib > 0) use.peak_rss_bytes = kib * 1024;
    break;
  }
  return use;
}
ResourceUse children_resources() { return resources_of(RUSAGE_CHILDREN); }

int64_t monotonic_nanos() {
  struct timespec t = {};
  (void)::clock_gettime(CLOCK_MONOTONIC, &t);
  return int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
}

}  // namespace runink::os
