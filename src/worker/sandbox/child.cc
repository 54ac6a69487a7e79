#include "worker/sandbox/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/sandbox/raw_calls.h"

namespace runink::sandbox {
namespace {

[[noreturn]] void fail(const ChildContext& context, size_t operation, int error) noexcept {
  const StartFailure failure = {static_cast<uint32_t>(operation), error};
  // A write this short is whole or not at all; where nobody reads any more, there is nobody to tell.
  (void)!::write(context.start_write, &failure, sizeof failure);
  ::_exit(1);
}

// Walks the operations of one place from `first` on; gives the index behind the last.
template <typename State, typename Do>
size_t walk(const ChildContext& context, size_t first, Place place, State* state, Do perform) noexcept {
  const auto& list = context.operations->list;
  size_t i = first;
  for (; i < list.size(); ++i) {
    if (list[i].place < place) continue;
    if (list[i].place > place || list[i].action == Action::kStartProgram) break;
    if (const int error = perform(context, list[i], state); error != 0) fail(context, i, error);
  }
  return i;
}

[[noreturn]] void run_program(const ChildContext& context, size_t first) noexcept {
  ::close(context.end_write);
  ProgramState state;
  walk(context, first, Place::kProgram, &state, become_program);
  ::_exit(1);  // not reached: the last operation executes the program, or fails
}

// Ends what is left of the slice by returning: when process 1 ends, the kernel kills all others.
void serve_as_init(const ChildContext& context, pid_t program) noexcept {
  sigset_t all;
  ::sigfillset(&all);
  for (;;) {
    const int signal = ::sigwaitinfo(&all, nullptr);
    if (signal < 0) continue;
    if (signal != SIGCHLD) {
      // To the whole group, as a terminal does; the program leads it.
      if (::kill(-program, signal) != 0) (void)::kill(program, signal);
      continue;
    }
    int status = 0;
    for (pid_t ended; (ended = ::waitpid(-1, &status, WNOHANG | __WALL)) > 0;) {
      if (ended != program) continue;
      const ProgramEnd end = {status};
      (void)!::write(context.end_write, &end, sizeof end);
      return;
    }
  }
}

}  // namespace

void run_child(const ChildContext& context) noexcept {
  ::close(context.go_write);
  char go = 0;
  ssize_t n;
  while ((n = ::read(context.go_read, &go, 1)) < 0 && errno == EINTR) {
  }
  if (n != 1) ::_exit(1);

  SetupState setup;
  const size_t start = walk(context, 0, Place::kInit, &setup, set_up);
  // A plain clone rather than fork(): handlers of pthread_atfork are not for this process.
  const pid_t program = static_cast<pid_t>(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr));
  if (program == 0) run_program(context, start + 1);
  if (program < 0) fail(context, start, errno);

  // What process 1 keeps: the right to signal the program, one pipe, and the lock of its ids. Its memory is a copy of
  // the launcher's, which nobody can look into (Action::kTieToLauncher), and which it has no secret in that the program
  // has not.
  ::close(context.start_write);
  constexpr int kEnd = 3, kLock = 4;
  const int end = ::fcntl(context.end_write, F_DUPFD_CLOEXEC, kLock + 1);  // out of the way of each other
  const int lock = context.ids_lock < 0 ? -1 : ::fcntl(context.ids_lock, F_DUPFD_CLOEXEC, kLock + 1);
  if (end < 0 || ::dup2(end, kEnd) < 0) ::_exit(1);
  if (context.ids_lock >= 0 && (lock < 0 || ::dup2(lock, kLock) < 0)) ::_exit(1);
  (void)::close_range(lock < 0 ? kLock : kLock + 1, ~0U, 0);
  for (int fd = 0; fd < kEnd; ++fd) ::close(fd);
  (void)::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  (void)raw::set_capabilities(uint64_t{1} << CAP_KILL);
  ChildContext last = context;
  last.end_write = kEnd;
  serve_as_init(last, program);
  ::_exit(0);
}

}  // namespace runink::sandbox
