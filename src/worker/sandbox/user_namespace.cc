#include "worker/sandbox/user_namespace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/vfs.h>
#include <sys/wait.h>

#include <cerrno>
#include <sstream>

#include "platform/os/file.h"
#include "worker/sandbox/raw_calls.h"

namespace runink::sandbox {
namespace {

// /proc, known to be a procfs: a write meant for a map must not reach a file that somebody put in its place.
Result<os::Fd> open_proc() {
  os::Fd proc(::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC), "/proc");
  if (!proc.valid()) return from_errno(errno, "open /proc");
  struct statfs info = {};
  if (::fstatfs(proc.get(), &info) != 0) return from_errno(errno, "look at /proc");
  if (info.f_type != PROC_SUPER_MAGIC) return failed_precondition("/proc of this host is not a procfs");
  return proc;
}

Result<os::Fd> open_in(const os::Fd& proc, pid_t pid, const char* name, uint64_t flags) {
  const std::string path = fmt::format("{}/{}", pid, name);
  os::Fd file(raw::openat2(proc.get(), path.c_str(), flags | O_CLOEXEC,
                           RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV),
              "/proc/" + path);
  if (!file.valid()) return from_errno(errno, "open /proc/" + path);
  return file;
}

Status write_in(const os::Fd& proc, pid_t pid, const char* name, const std::string& text) {
  const os::Fd file = RUNINK_TRY(open_in(proc, pid, name, O_WRONLY));
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return from_errno(errno, fmt::format("write \"{}\" to {}", text, file.path()));
  }
  return {};
}

Status write_map(const os::Fd& proc, pid_t pid, const char* name, const std::vector<IdMap>& maps) {
  std::string lines;
  for (const IdMap& map : maps) lines += fmt::format("{} {} {}\n", map.inside, map.outside, map.count);
  RUNINK_RETURN_IF_ERROR(write_in(proc, pid, name, lines));
  const os::Fd file = RUNINK_TRY(open_in(proc, pid, name, O_RDONLY));
  char text[1024] = {};
  (void)RUNINK_TRY(os::read_full(file, text, sizeof text - 1));
  std::istringstream words(text);
  bool whole = true;
  for (const IdMap& map : maps) {
    IdMap read;
    words >> read.inside >> read.outside >> read.count;
    whole = whole && static_cast<bool>(words) && read.inside == map.inside && read.outside == map.outside &&
            read.count == map.count;
  }
  std::string more;
  if (whole && !(words >> more)) return {};
  return internal_error("{} is not what was written: \"{}\"", file.path(), text);
}

Status map_all_ids(pid_t pid, const std::vector<IdMap>& users, const std::vector<IdMap>& groups, bool deny_setgroups) {
  const os::Fd proc = RUNINK_TRY(open_proc());
  if (deny_setgroups) RUNINK_RETURN_IF_ERROR(write_in(proc, pid, "setgroups", "deny"));
  RUNINK_RETURN_IF_ERROR(write_map(proc, pid, "gid_map", groups));
  return write_map(proc, pid, "uid_map", users);
}

}  // namespace

Status map_ids(pid_t pid, const IdMap& users, const IdMap& groups, bool deny_setgroups) {
  return map_all_ids(pid, {users}, {groups}, deny_setgroups);
}

Status forget_oom_protection(pid_t pid) {
  const os::Fd proc = RUNINK_TRY(open_proc());
  const os::Fd file = RUNINK_TRY(open_in(proc, pid, "oom_score_adj", O_RDONLY));
  char first = 0;
  if (RUNINK_TRY(os::read_full(file, &first, 1)) != 1 || first != '-') return {};
  return write_in(proc, pid, "oom_score_adj", "0");
}

Result<os::Fd> make_user_namespace(const std::vector<IdMap>& users, const std::vector<IdMap>& groups) {
  clone_args arguments = {};
  arguments.flags = CLONE_NEWUSER;
  arguments.exit_signal = SIGCHLD;
  const pid_t parent = ::getpid();
  const pid_t pid = static_cast<pid_t>(raw::clone3(&arguments));
  if (pid == 0) {
    (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(1);
    for (;;) ::pause();  // until it is killed, a moment later
  }
  if (pid < 0) return from_errno(errno, "make a user namespace for an id-mapped mount");
  Status mapped = map_all_ids(pid, users, groups, false);
  os::Fd name_space(::open(fmt::format("/proc/{}/ns/user", pid).c_str(), O_RDONLY | O_CLOEXEC), "user namespace");
  const int error = errno;
  ::kill(pid, SIGKILL);
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  RUNINK_RETURN_IF_ERROR(std::move(mapped));
  if (!name_space.valid()) return from_errno(error, "open a user namespace for an id-mapped mount");
  return name_space;
}

}  // namespace runink::sandbox
