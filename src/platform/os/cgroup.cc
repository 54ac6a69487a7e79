#include "platform/os/cgroup.h"

#include <algorithm>
#include <charconv>
#include <vector>

#include "base/text.h"
#include "platform/os/file.h"

namespace runink::os {

namespace {

// The kernel's "no limit" in version 1 is LONG_MAX rounded down to a page.
constexpr uint64_t kNoLimitV1 = uint64_t{1} << 60;

struct Mount {
  std::string root, point, type, options;
};

// "36 35 98:0 /root /point rw,noatime shared:1 - cgroup2 cgroup2 rw,nsdelegate"; spaces in paths are \040.
std::vector<Mount> cgroup_mounts(std::string_view text) {
  std::vector<Mount> mounts;
  for (const std::string_view line : split(text, '\n')) {
    const size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    const auto front = split(line.substr(0, dash), ' ');
    const auto back = split(line.substr(dash + 3), ' ');
    if (front.size() < 5 || back.size() < 3 || !back[0].starts_with("cgroup")) continue;
    mounts.push_back({std::string(front[3]), std::string(front[4]), std::string(back[0]), std::string(back[2])});
  }
  return mounts;
}

bool has_word(std::string_view list, std::string_view word) {
  const auto words = split(list, ',');
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::optional<uint64_t> read_number(const std::string& path) {
  const auto text = read_file(path, 4096);
  if (!text.ok()) return std::nullopt;
  const std::string_view word = trim(*text);
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size()) return std::nullopt;  // "max", "-1"
  return value;
}

template <typename T>
void lower(std::optional<T>* limit, std::optional<T> other) {
  if (other && (!*limit || *other < **limit)) *limit = other;
}

void read_folder_v2(const std::string& folder, CgroupLimits* limits) {
  lower(&limits->memory_bytes, read_number(folder + "/memory.max"));
  const auto text = read_file(folder + "/cpu.max", 4096);  // "150000 100000" or "max 100000"
  if (!text.ok()) return;
  const auto words = split(trim(*text), ' ');
  double quota = 0, period = 0;
  if (words.size() != 2) return;
  const auto parsed = [](std::string_view word, double* value) {
    return std::from_chars(word.data(), word.data() + word.size(), *value).ec == std::errc();
  };
  if (parsed(words[0], &quota) && parsed(words[1], &period) && period > 0) {
    lower<double>(&limits->cpus, quota / period);
  }
}

void read_folder_v1(const std::string& folder, bool cpu, bool memory, CgroupLimits* limits) {
  if (memory) {
    const auto bytes = read_number(folder + "/memory.limit_in_bytes");
    if (bytes && *bytes < kNoLimitV1) lower(&limits->memory_bytes, bytes);
  }
  if (cpu) {
    const auto quota = read_number(folder + "/cpu.cfs_quota_us"), period = read_number(folder + "/cpu.cfs_period_us");
    if (quota && period && *period > 0) {
      lower<double>(&limits->cpus, static_cast<double>(*quota) / static_cast<double>(*period));
    }
  }
}

}  // namespace

CgroupLimits read_cgroup_limits(std::string_view cgroup_text, std::string_view mountinfo_text,
                                const std::string& file_root) {
  CgroupLimits limits;
  const std::vector<Mount> mounts = cgroup_mounts(mountinfo_text);
  for (const std::string_view line : split(cgroup_text, '\n')) {  // "4:cpu,cpuacct:/a/b" or "0::/a/b"
    const size_t first = line.find(':');
    const size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    const std::string_view controllers = line.substr(first + 1, second - first - 1);
    const std::string_view path = line.substr(second + 1);
    const bool v2 = controllers.empty();
    const bool cpu = has_word(controllers, "cpu"), memory = has_word(controllers, "memory");
    if (!v2 && !cpu && !memory) continue;
    for (const Mount& mount : mounts) {
      if (v2 != (mount.type == "cgroup2")) continue;
      if (!v2 && !(cpu && has_word(mount.options, "cpu")) && !(memory && has_word(mount.options, "memory"))) continue;
      // What the mount shows begins at mount.root; a path outside it (another namespace) leaves the mount point itself.
      std::string_view inside = path;
      if (mount.root != "/") {
        if (inside.starts_with(mount.root)) inside.remove_prefix(mount.root.size());
        else inside = "";
      }
      if (inside.starts_with("/..")) inside = "";
      const std::string top = file_root + mount.point;
      std::string folder = normalize_path(top + "/" + std::string(inside));
      for (int levels = 0; levels < 64; ++levels) {
        if (v2) read_folder_v2(folder, &limits);
        else read_folder_v1(folder, cpu, memory, &limits);
        if (folder.size() <= top.size()) break;
        folder = folder_of(folder);
      }
    }
  }
  return limits;
}

}  // namespace runink::os
