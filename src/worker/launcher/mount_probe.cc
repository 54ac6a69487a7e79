#include "worker/launcher/mount_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <string_view>

#include "base/text.h"
#include "platform/os/file.h"
#include "worker/sandbox/child.h"

namespace runink::launcher {
namespace {

// Those that ask another program or another host.
constexpr std::string_view kMayNotAnswer[] = {"fuse",     "nfs",    "cifs",     "smb3",   "9p",     "ceph",
                                              "afs",      "gfs2",   "ocfs2",    "lustre", "beegfs", "glusterfs",
                                              "virtiofs", "autofs", "orangefs", "coda"};

// "36 35 98:0 /root /mount options … - TYPE SOURCE …"
bool has_one_that_may_not_answer(std::string_view mountinfo) {
  for (const std::string_view line : split(mountinfo, '\n')) {
    const size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    const std::string_view type = line.substr(dash + 3);
    if (std::any_of(std::begin(kMayNotAnswer), std::end(kMayNotAnswer),
                    [&](std::string_view name) { return type.starts_with(name); })) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::vector<std::string> paths_to_probe(const model::SliceSpec& spec) {
  std::vector<std::string> paths;
  for (const model::SliceMount& mount : spec.mounts) paths.push_back(mount.source);
  if (!spec.scratch_folder.empty()) paths.push_back(spec.scratch_folder);
  if (paths.empty()) return paths;
  const auto mountinfo = os::read_file("/proc/self/mountinfo");
  if (mountinfo.ok() && !has_one_that_may_not_answer(*mountinfo)) paths.clear();
  return paths;
}

Result<MountProbe> start_probe(const std::vector<std::string>& paths) {
  const pid_t pid = ::fork();
  if (pid < 0) return from_errno(errno, "look whether what is mounted answers");
  if (pid == 0) {
    sandbox::close_all_but({});
    for (const std::string& path : paths) {
      struct stat info = {};
      (void)::lstat(path.c_str(), &info);
      (void)::open(path.c_str(), O_PATH | O_CLOEXEC);
    }
    ::_exit(0);
  }
  return MountProbe{pid, os::Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)), "probe")};
}

}  // namespace runink::launcher
