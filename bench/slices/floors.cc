#include "floors.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <thread>
#include <vector>

#include "platform/os/fd.h"
#include "platform/os/file.h"
#include "stopwatch.h"

namespace runink::bench {
namespace {

constexpr uint64_t kAll =
    CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

bool make_namespaces() {
  clone_args arguments = {};
  arguments.flags = kAll;
  arguments.exit_signal = SIGCHLD;
  const long pid = ::syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == 0) ::_exit(0);
  return pid > 0 && ::waitpid(static_cast<pid_t>(pid), nullptr, 0) == pid;
}

bool spawn(const std::string& program) {
  static posix_spawn_file_actions_t actions = [] {
    posix_spawn_file_actions_t made;
    ::posix_spawn_file_actions_init(&made);
    ::posix_spawn_file_actions_addopen(&made, 1, "/dev/null", O_WRONLY, 0);
    return made;
  }();
  char* const arguments[] = {const_cast<char*>(program.c_str()), nullptr};
  pid_t pid = 0;
  if (::posix_spawn(&pid, program.c_str(), &actions, nullptr, arguments, environ) != 0) return false;
  int status = 0;
  return ::waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

// In processes and not threads, which would copy and lock each other's memory.
Result<double> per_second(int64_t nanos, const std::function<bool()>& once) {
  os::Pipe counts = RUNINK_TRY(os::make_pipe("counts"));
  const unsigned processes = std::max(1u, std::thread::hardware_concurrency());
  const int64_t end = now_nanos() + nanos;
  for (unsigned i = 0; i < processes; ++i) {
    const pid_t pid = ::fork();
    if (pid < 0) return from_errno(errno, "fork");
    if (pid > 0) continue;
    uint64_t done = 0;
    while (now_nanos() < end) {
      if (!once()) ::_exit(1);
      ++done;
    }
    ::_exit(os::write_all(counts.write, {reinterpret_cast<const char*>(&done), sizeof done}).ok() ? 0 : 1);
  }
  counts.write.reset();
  uint64_t total = 0, one = 0;
  while (RUNINK_TRY(os::read_full(counts.read, &one, sizeof one)) == sizeof one) total += one;
  bool good = true;
  for (unsigned i = 0; i < processes; ++i) {
    int status = 0;
    good = ::wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 && good;
  }
  if (!good) return internal_error("a floor could not be measured: this host refused what it takes");
  return static_cast<double>(total) / (static_cast<double>(nanos) * 1e-9);
}

}  // namespace

Result<double> namespaces_per_second(int64_t nanos) { return per_second(nanos, make_namespaces); }

Result<double> spawns_per_second(const std::string& program, int64_t nanos) {
  return per_second(nanos, [&program] { return spawn(program); });
}

}  // namespace runink::bench
