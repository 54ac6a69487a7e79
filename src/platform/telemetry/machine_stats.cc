#include "platform/telemetry/machine_stats.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string_view>

namespace runink::telemetry {
namespace {

std::string read_whole(const char* path) {
  std::string text;
  FILE* const file = std::fopen(path, "re");
  if (file == nullptr) return text;
  char bytes[4096];
  for (size_t n = 0; (n = std::fread(bytes, 1, sizeof bytes, file)) > 0;) text.append(bytes, n);
  std::fclose(file);
  return text;
}

uint64_t count_fds() {
  DIR* const folder = ::opendir("/proc/self/fd");
  if (folder == nullptr) return 0;
  uint64_t count = 0;
  while (::readdir(folder) != nullptr) ++count;
  ::closedir(folder);
  return count > 3 ? count - 3 : 0;  // without ".", "..", and the folder's own
}

}  // namespace

ProcessStats process_stats() {
  ProcessStats out;
  // proc(5): the name, in parentheses, may hold anything; fields are counted behind it, the first one there is the
  // third.
  const std::string stat = read_whole("/proc/self/stat");
  const size_t name_end = stat.rfind(')');
  if (name_end != std::string::npos) {
    const char* at = stat.c_str() + name_end + 1;
    uint64_t fields[25] = {};
    at += *at == ' ' ? 1 : 0;
    while (*at != '\0' && *at != ' ') ++at;  // the state, a letter
    for (int field = 4; field < 25; ++field) {
      char* end = nullptr;
      fields[field] = std::strtoull(at, &end, 10);
      if (end == at) break;
      at = end;
    }
    const auto ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
    out.cpu_seconds = static_cast<double>(fields[14] + fields[15]) / ticks;
    out.threads = fields[20];
    out.virtual_bytes = fields[23];
    out.resident_bytes = fields[24] * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    // The start is given in ticks after boot.
    timespec now{}, since_boot{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    ::clock_gettime(CLOCK_BOOTTIME, &since_boot);
    const auto seconds = [](const timespec& t) {
      return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) * 1e-9;
    };
    out.start_unix_seconds = seconds(now) - seconds(since_boot) + static_cast<double>(fields[22]) / ticks;
  }
  out.open_fds = count_fds();
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) out.max_fds = limit.rlim_cur;
  return out;
}

std::optional<DiskStats> disk_stats(const std::string& path) {
  struct statvfs stats {};
  if (::statvfs(path.c_str(), &stats) != 0) return std::nullopt;
  return DiskStats{uint64_t{stats.f_bavail} * stats.f_frsize, uint64_t{stats.f_blocks} * stats.f_frsize};
}

}  // namespace runink::telemetry
