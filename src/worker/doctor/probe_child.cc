#include "worker/doctor/probe_child.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "platform/os/fd.h"
#include "worker/sandbox/user_namespace.h"

namespace runink::doctor {
namespace {

constexpr int kMostMillis = 5000;
// Far from anybody's ids, and from those that slices get.
constexpr uint32_t kProbeIds = 0x6FFF'0000, kProbeIdCount = 1000;

Status map_probe_ids(pid_t pid) {
  const uint32_t user = ::geteuid(), group = ::getegid();
  if (user == 0) {
    const sandbox::IdMap map = {0, kProbeIds, kProbeIdCount};
    return sandbox::map_ids(pid, map, map, false);
  }
  return sandbox::map_ids(pid, {0, user, 1}, {0, group, 1}, true);
}

[[noreturn]] void be_child(const os::Pipe& go, const os::Pipe& answer, bool mapped,
                           const std::function<void(Steps*)>& body) {
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::close(go.write.get());
  char byte = 0;
  if (::read(go.read.get(), &byte, 1) != 1) ::_exit(1);
  if (mapped && (::syscall(SYS_setresgid, 0, 0, 0) != 0 || ::syscall(SYS_setresuid, 0, 0, 0) != 0)) ::_exit(1);
  Steps steps;
  steps.fill(-1);
  body(&steps);
  (void)!::write(answer.write.get(), steps.data(), sizeof steps);
  ::_exit(0);
}

// The child's answer; nothing: it ended without one, or took too long.
std::optional<Steps> wait_for_answer(const os::Fd& from) {
  pollfd ready = {from.get(), POLLIN, 0};
  Steps steps;
  if (::poll(&ready, 1, kMostMillis) <= 0) return std::nullopt;
  if (::read(from.get(), steps.data(), sizeof steps) != static_cast<ssize_t>(sizeof steps)) return std::nullopt;
  return steps;
}

}  // namespace

Result<Steps> in_child(const ChildOptions& options, const std::function<void(Steps*)>& body) {
  os::Pipe go = RUNINK_TRY(os::make_pipe("a probe's start"));
  os::Pipe answer = RUNINK_TRY(os::make_pipe("a probe's answer"));
  const bool mapped = (options.namespaces & CLONE_NEWUSER) != 0;
  const auto pid = static_cast<pid_t>(::syscall(SYS_clone, options.namespaces | SIGCHLD, 0, 0, 0, 0));
  if (pid == 0) be_child(go, answer, mapped, body);
  if (pid < 0) return from_errno(errno, "make it");
  answer.write.reset();
  Status prepared = mapped ? map_probe_ids(pid) : Status();
  if (prepared.ok() && options.before) prepared = options.before(pid);
  std::optional<Steps> steps;
  if (prepared.ok() && ::write(go.write.get(), "g", 1) == 1) steps = wait_for_answer(answer.read);
  ::kill(pid, SIGKILL);
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  RUNINK_RETURN_IF_ERROR(std::move(prepared));
  if (!steps) return aborted("the probe ended, or hung, without an answer");
  return *steps;
}

std::optional<std::string> kernel_setting(const std::string& path) {
  const os::Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC), path);
  if (!file.valid()) return std::nullopt;
  char text[4096];
  const ssize_t got = ::read(file.get(), text, sizeof text);
  if (got < 0) return std::nullopt;
  return std::string(trim(std::string_view(text, static_cast<size_t>(got))));
}

}  // namespace runink::doctor
