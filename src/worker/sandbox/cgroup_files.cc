#include "worker/sandbox/cgroup_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "base/text.h"
#include "platform/os/machine.h"

namespace runink::sandbox {
namespace {

constexpr size_t kControlFileLimit = 1u << 20;
constexpr int kDepthLimit = 16;

// mountinfo writes space, tab, newline and backslash as \ooo.
std::string unescape_octal(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out.push_back(static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0')));
      i += 3;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

template <typename Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Result<std::string> read_at(int folder, const std::string& folder_path, const char* file) {
  std::string path = folder_path + "/" + file;
  os::Fd fd(::openat(folder, file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), path);
  if (!fd) return from_errno(errno, "open " + path);
  std::string text;
  char buffer[4096];
  for (;;) {
    ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == ENODEV) return not_found("read {}: the group was removed", path);
    if (got < 0) return from_errno(errno, "read " + path);
    if (got == 0) return text;
    text.append(buffer, static_cast<size_t>(got));
    if (text.size() > kControlFileLimit)
      return resource_exhausted("{} is larger than {} bytes", path, kControlFileLimit);
  }
}

Result<std::vector<std::string>> folders_in(int folder, const std::string& path) {
  int again = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* listing = again >= 0 ? ::fdopendir(again) : nullptr;
  if (listing == nullptr) {
    int failed = errno;
    if (again >= 0) ::close(again);
    return from_errno(failed, "list " + path);
  }
  std::vector<std::string> names;
  while (dirent* entry = ::readdir(listing)) {
    std::string name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") names.push_back(std::move(name));
  }
  ::closedir(listing);
  std::sort(names.begin(), names.end());
  return names;
}

Status collect_processes(int folder, const std::string& path, int depth, std::vector<pid_t>* out) {
  std::string text = RUNINK_TRY(read_at(folder, path, "cgroup.procs"));
  for (std::string_view line : split(text, '\n')) {
    if (line.empty()) continue;
    std::optional<pid_t> pid = parse_number<pid_t>(line);
    if (!pid) return internal_error("{}/cgroup.procs: '{}' is not a process number", path, line);
    if (*pid == 0) {
      return failed_precondition("{}/cgroup.procs holds a process of a pid namespace that this process cannot see",
                                 path)
          .with_hint("run the launcher in the host's pid namespace");
    }
    out->push_back(*pid);
  }
  if (depth == 0) return resource_exhausted("{}: groups lie deeper than {}", path, kDepthLimit);
  for (const std::string& name : RUNINK_TRY(folders_in(folder, path))) {
    std::string below = path + "/" + name;
    os::Fd fd(::openat(folder, name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW), below);
    if (!fd && errno == ENOENT) continue;
    if (!fd) return from_errno(errno, "open " + below);
    Status collected = collect_processes(fd.get(), below, depth - 1, out);
    if (!collected.ok() && collected.code() != Code::kNotFound) return collected;
  }
  return {};
}

}  // namespace

std::vector<CgroupMount> parse_cgroup_mounts(std::string_view mountinfo) {
  std::vector<CgroupMount> mounts;
  for (std::string_view line : split(mountinfo, '\n')) {
    // 31 23 0:28 ROOT MOUNT_POINT OPTIONS [optional fields] - TYPE SOURCE SUPER_OPTIONS
    size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    std::vector<std::string_view> before = split(line.substr(0, dash), ' ');
    std::vector<std::string_view> after = split(line.substr(dash + 3), ' ');
    if (before.size() < 6 || after.size() < 3 || (after[0] != "cgroup" && after[0] != "cgroup2")) continue;
    CgroupMount mount;
    mount.v2 = after[0] == "cgroup2";
    mount.mount_root = unescape_octal(before[3]);
    mount.mount_point = unescape_octal(before[4]);
    if (!mount.v2) {
      for (std::string_view option : split(after[2], ',')) {
        bool named = option.find('=') != std::string_view::npos;  // name=systemd: a hierarchy without controllers
        if (option != "rw" && option != "ro" && !named) mount.controllers.emplace_back(option);
      }
      if (mount.controllers.empty()) continue;
    }
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

std::optional<std::string> group_in(std::string_view proc_cgroup, std::string_view controller) {
  for (std::string_view line : split(proc_cgroup, '\n')) {
    // 4:cpu,cpuacct:/path   or   0::/path
    size_t first = line.find(':');
    size_t second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) continue;
    std::string_view names = line.substr(first + 1, second - first - 1);
    bool found = false;
    if (controller.empty()) {
      found = names.empty();
    } else {
      for (std::string_view name : split(names, ',')) found = found || name == controller;
    }
    if (found) return std::string(line.substr(second + 1));
  }
  return std::nullopt;
}

Result<std::string> base_folder(const CgroupMount& mount, std::string_view own_group, const std::string& base) {
  std::string_view relative = base;
  if (relative.starts_with('/')) relative.remove_prefix(1);
  for (std::string_view part : split(relative, '/')) RUNINK_RETURN_IF_ERROR(check_group_name(std::string(part)));
  std::string folder = mount.mount_point;
  if (!base.starts_with('/')) {
    // In a container the mount shows only a part of the hierarchy, and /proc may name groups from the top of it.
    if (mount.mount_root != "/" && own_group.starts_with(mount.mount_root))
      own_group.remove_prefix(mount.mount_root.size());
    if (own_group != "/" && !own_group.empty())
      folder += (own_group.starts_with('/') ? "" : "/") + std::string(own_group);
  }
  return folder + "/" + std::string(relative);
}

Status check_group_name(const std::string& name) {
  bool fine = !name.empty() && name.size() <= 128 && name[0] != '.';
  for (char c : name) {
    fine = fine && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                    c == '_' || c == '.');
  }
  if (!fine) {
    return invalid_argument(
        "'{}' cannot name a control group: 1 to 128 letters, digits, '-', '_' and '.', no '.' first",
        escape_control(name));
  }
  return {};
}

Status check_group_path(const std::string& path) {
  size_t slash = path.find('/');
  RUNINK_RETURN_IF_ERROR(check_group_name(path.substr(0, slash)));
  return slash == std::string::npos ? Status() : check_group_name(path.substr(slash + 1));
}

bool carries(const std::vector<std::string>& controllers, std::string_view controller) {
  return std::find(controllers.begin(), controllers.end(), controller) != controllers.end();
}

std::function<bool(std::string_view)> keeps_bytes(uint64_t bytes) {
  constexpr uint64_t kLargestPage = 65'536;
  return [bytes](std::string_view text) {
    std::optional<uint64_t> kept = parse_number<uint64_t>(text);
    return kept && *kept <= bytes && bytes - *kept < kLargestPage;
  };
}

std::function<bool(std::string_view)> keeps_numbers(const std::vector<uint32_t>& numbers) {
  return [wanted = number_list(numbers)](std::string_view text) {
    std::optional<std::vector<uint32_t>> kept = parse_number_list(text);
    return kept && number_list(*kept) == wanted;
  };
}

Result<CgroupFolder> CgroupFolder::open(std::string path) {
  CgroupFolder folder;
  int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return from_errno(errno, "open control group " + path);
  folder.descriptor_ = os::Fd(fd, std::move(path));
  return folder;
}

bool CgroupFolder::has(const char* file) const { return ::faccessat(descriptor(), file, F_OK, 0) == 0; }

bool CgroupFolder::is_in_place() const {
  struct stat mine = {}, there = {};
  return ::fstat(descriptor(), &mine) == 0 && ::lstat(path().c_str(), &there) == 0 && mine.st_dev == there.st_dev &&
         mine.st_ino == there.st_ino;
}

Result<std::string> CgroupFolder::read(const char* file) const { return read_at(descriptor(), path(), file); }

Status CgroupFolder::write(const char* file, std::string_view value) const {
  std::string where = path() + "/" + file;
  auto failed = [&](int error) {
    return from_errno(error, fmt::format("write '{}' to {}", value, where)).with_kind("sandbox.limit");
  };
  os::Fd fd(::openat(descriptor(), file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW), where);
  if (!fd) return failed(errno);
  ssize_t done;
  do {
    done = ::write(fd.get(), value.data(), value.size());
  } while (done < 0 && errno == EINTR);
  if (done < 0) return failed(errno);
  if (static_cast<size_t>(done) != value.size()) return failed(EIO);
  return {};
}

Result<os::Fd> CgroupFolder::open_to_write(const char* file) const {
  std::string where = path() + "/" + file;
  os::Fd fd(::openat(descriptor(), file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW), where);
  if (!fd) return from_errno(errno, "open " + where).with_kind("sandbox.limit");
  return fd;
}

Status CgroupFolder::write_verified(const char* file, const std::string& value,
                                    const std::function<bool(std::string_view)>& accept) const {
  RUNINK_RETURN_IF_ERROR(write(file, value));
  std::string text = RUNINK_TRY(read(file));
  std::string_view now = trim(text);
  if (accept ? accept(now) : now == value) return {};
  return failed_precondition("{}/{}: '{}' was written, but the kernel keeps '{}'", path(), file, value, now)
      .with_kind("sandbox.limit");
}

Result<uint64_t> CgroupFolder::read_number(const char* file) const {
  std::string text = RUNINK_TRY(read(file));
  std::optional<uint64_t> number = parse_number<uint64_t>(trim(text));
  if (!number) return internal_error("{}/{}: '{}' is not a number", path(), file, trim(text));
  return *number;
}

Result<std::map<std::string, uint64_t>> CgroupFolder::read_table(const char* file) const {
  std::string text = RUNINK_TRY(read(file));
  std::map<std::string, uint64_t> table;
  for (std::string_view line : split(text, '\n')) {
    size_t space = line.rfind(' ');
    if (space == std::string_view::npos) continue;
    std::optional<uint64_t> number = parse_number<uint64_t>(line.substr(space + 1));
    if (number) table[std::string(line.substr(0, space))] = *number;
  }
  return table;
}

Result<std::vector<pid_t>> CgroupFolder::processes() const {
  std::vector<pid_t> out;
  RUNINK_RETURN_IF_ERROR(collect_processes(descriptor(), path(), kDepthLimit, &out));
  std::sort(out.begin(), out.end());
  return out;
}

Result<std::vector<std::string>> CgroupFolder::groups_below() const { return folders_in(descriptor(), path()); }

Status make_group_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) != 0) return from_errno(errno, "make control group " + path);
  return {};
}

Status remove_group_folder(const std::string& path, int64_t timeout_micros) {
  bool removed = RUNINK_TRY(wait_until(timeout_micros, [&]() -> Result<bool> {
    if (::rmdir(path.c_str()) == 0 || errno == ENOENT) return true;
    if (errno == EBUSY) return false;
    return from_errno(errno, "remove control group " + path);
  }));
  if (removed) return {};
  size_t processes = 0, groups = 0;
  Result<CgroupFolder> folder = CgroupFolder::open(path);
  if (folder.ok()) {
    Result<std::vector<pid_t>> members = folder->processes();
    Result<std::vector<std::string>> below = folder->groups_below();
    processes = members.ok() ? members->size() : 0;
    groups = below.ok() ? below->size() : 0;
  }
  return deadline_exceeded("remove control group {}: still busy, with {} processes and {} groups in it", path,
                           processes, groups);
}

std::string number_list(std::vector<uint32_t> numbers) {
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  std::string out;
  for (size_t i = 0; i < numbers.size();) {
    size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    out += (out.empty() ? "" : ",") + std::to_string(numbers[i]);
    if (last > i) out += "-" + std::to_string(numbers[last]);
    i = last + 1;
  }
  return out;
}

std::optional<std::vector<uint32_t>> parse_number_list(std::string_view text) {
  std::vector<uint32_t> numbers;
  if (trim(text).empty()) return numbers;
  for (std::string_view part : split(trim(text), ',')) {
    size_t dash = part.find('-');
    std::optional<uint32_t> first = parse_number<uint32_t>(part.substr(0, dash));
    std::optional<uint32_t> last =
        dash == std::string_view::npos ? first : parse_number<uint32_t>(part.substr(dash + 1));
    if (!first || !last || *last < *first || *last - *first > 65535) return std::nullopt;
    for (uint32_t number = *first; number <= *last; ++number) numbers.push_back(number);
  }
  return numbers;
}

Result<bool> wait_until(int64_t timeout_micros, const std::function<Result<bool>()>& done) {
  int64_t end = os::monotonic_nanos() + timeout_micros * 1000;
  int64_t pause = 200'000;  // nanoseconds
  for (;;) {
    if (RUNINK_TRY(done())) return true;
    int64_t left = end - os::monotonic_nanos();
    if (left <= 0) return false;
    timespec time = {0, std::min(left, pause)};
    ::nanosleep(&time, nullptr);
    pause = std::min<int64_t>(pause * 2, 20'000'000);
  }
}

Status kill_members(const CgroupFolder& folder, const std::vector<pid_t>& members) {
  std::vector<std::pair<pid_t, os::Fd>> held;
  for (pid_t pid : members) {
    os::Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)), "process " + std::to_string(pid));
    if (fd) held.emplace_back(pid, std::move(fd));
  }
  // Once the descriptors are open a second look says which numbers still are the group's: those descriptors are right.
  std::vector<pid_t> still = RUNINK_TRY(folder.processes());
  for (const auto& [pid, fd] : held) {
    if (!std::binary_search(still.begin(), still.end(), pid)) continue;
    if (::syscall(SYS_pidfd_send_signal, fd.get(), SIGKILL, nullptr, 0) != 0 && errno != ESRCH) {
      return from_errno(errno, fmt::format("kill process {} of {}", pid, folder.path()));
    }
  }
  return {};
}

}  // namespace runink::sandbox
