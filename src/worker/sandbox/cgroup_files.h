// What both backends read and write: mounted hierarchies, folders of groups, control files. Private to worker/sandbox.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "platform/os/fd.h"

namespace runink::sandbox {

// One mounted hierarchy. `controllers` of a v1 one are its mount options; of v2 they are in its cgroup.controllers.
struct CgroupMount {
  bool v2 = false;
  std::string mount_point;
  std::string mount_root;  // which group of the hierarchy is mounted there; "/" but in a container
  std::vector<std::string> controllers;
};
std::vector<CgroupMount> parse_cgroup_mounts(std::string_view mountinfo);
// The group that /proc/PID/cgroup names for a v1 controller, or for "" in the v2 hierarchy.
std::optional<std::string> group_in(std::string_view proc_cgroup, std::string_view controller);
// The folder, below the mount point, of a base as open_cgroups takes it.
Result<std::string> base_folder(const CgroupMount& mount, std::string_view own_group, const std::string& base);

Status check_group_name(const std::string& name);  // one part
Status check_group_path(const std::string& path);  // "herd" or "herd/slice"

bool carries(const std::vector<std::string>& controllers, std::string_view controller);

// One folder of one hierarchy. Files are opened through its descriptor, so that it stays the same group whatever
// happens to the path.
class CgroupFolder {
 public:
  static Result<CgroupFolder> open(std::string path);
  CgroupFolder() = default;

  const std::string& path() const { return descriptor_.path(); }
  int descriptor() const { return descriptor_.get(); }
  bool has(const char* file) const;
  bool is_in_place() const;  // its path leads to this same folder
  Result<std::string> read(const char* file) const;
  Status write(const char* file, std::string_view value) const;  // one write(2): a control file takes a value whole
  Result<os::Fd> open_to_write(const char* file) const;  // for somebody else to write to
  // Writes, reads back and compares; `accept` decides, where the kernel rounds.
  Status write_verified(const char* file, const std::string& value,
                        const std::function<bool(std::string_view)>& accept = nullptr) const;
  Result<uint64_t> read_number(const char* file) const;
  // "name value" lines. A name that occurs twice keeps the last.
  Result<std::map<std::string, uint64_t>> read_table(const char* file) const;

  Result<std::vector<pid_t>> processes() const;           // here and below
  Result<std::vector<std::string>> groups_below() const;  // directly, sorted

 private:
  os::Fd descriptor_;
};

// mkdir; kAlreadyExists where it is.
Status make_group_folder(const std::string& path);
// rmdir, tried again while the kernel says busy; a folder that is gone is OK.
Status remove_group_folder(const std::string& path, int64_t timeout_micros);

// "0-3,7" as the kernel writes sets of numbers; sorted, without repeats.
std::string number_list(std::vector<uint32_t> numbers);
std::optional<std::vector<uint32_t>> parse_number_list(std::string_view text);

// Whether a control file keeps this many bytes: the kernel rounds down to whole pages.
std::function<bool(std::string_view)> keeps_bytes(uint64_t bytes);
// Whether it keeps these numbers, however it writes them.
std::function<bool(std::string_view)> keeps_numbers(const std::vector<uint32_t>& numbers);

// Calls `done` again and again, with growing pauses of at most 20 ms, until it says true or an error, or time is up
// (then false).
Result<bool> wait_until(int64_t timeout_micros, const std::function<Result<bool>()>& done);

// SIGKILL to those of `members` that are still in the folder: by descriptor, so that a number used again is not hit.
Status kill_members(const CgroupFolder& folder, const std::vector<pid_t>& members);

}  // namespace runink::sandbox
