#include "worker/launcher/start_program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string_view>

#include "platform/os/fd.h"
#include "platform/os/file.h"

namespace runink::launcher {
namespace {

constexpr int kSocket = 3;
constexpr unsigned kMayBeExecuted = 0x10;  // MFD_EXEC, which kernels before 6.3 do not know

Result<os::Fd> sealed_copy(std::span<const char> program) {
  int fd = ::memfd_create("runi-launcher", MFD_CLOEXEC | MFD_ALLOW_SEALING | kMayBeExecuted);
  if (fd < 0 && errno == EINVAL) fd = ::memfd_create("runi-launcher", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  os::Fd memory(fd, "the launcher's program");
  if (!memory.valid()) return from_errno(errno, "make memory for the launcher's program");
  RUNINK_RETURN_IF_ERROR(os::write_all(memory, std::string_view(program.data(), program.size())));
  if (::fcntl(memory.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0) {
    return from_errno(errno, "seal the launcher's program");
  }
  return memory;
}

struct Start {
  int program, socket, standard_error, nothing;
  char* const* arguments;
  char* const* environment;
};

// In the child, which has this process's memory until it executes: only system calls. 0, or an errno.
int become(const Start& start) {
  // Out of the way of the numbers to come.
  const int socket = ::fcntl(start.socket, F_DUPFD_CLOEXEC, 10), program = ::fcntl(start.program, F_DUPFD_CLOEXEC, 10);
  const int nothing = ::fcntl(start.nothing, F_DUPFD_CLOEXEC, 10);
  const int error = start.standard_error < 0 ? nothing : ::fcntl(start.standard_error, F_DUPFD_CLOEXEC, 10);
  if (socket < 0 || program < 0 || nothing < 0 || error < 0) return errno;
  if (::setsid() < 0) return errno;
  if (::dup2(nothing, 0) < 0 || ::dup2(nothing, 1) < 0 || ::dup2(error, 2) < 0 || ::dup2(socket, kSocket) < 0) {
    return errno;
  }
  if (::close_range(kSocket + 1, ~0U, CLOSE_RANGE_CLOEXEC) != 0) return errno;
  ::syscall(SYS_execveat, program, "", start.arguments, start.environment, 0x1000);  // AT_EMPTY_PATH
  return errno;
}

}  // namespace

Result<pid_t> start_sealed_program(std::span<const char> program, const std::vector<std::string>& arguments, int socket,
                                   int standard_error) {
  const os::Fd memory = RUNINK_TRY(sealed_copy(program));
  const os::Fd nothing(::open("/dev/null", O_RDWR | O_CLOEXEC), "/dev/null");
  if (!nothing.valid()) return from_errno(errno, "open /dev/null");
  std::vector<char*> words;
  for (const std::string& word : arguments) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  char* const none[] = {nullptr};
  const Start start = {memory.get(), socket, standard_error, nothing.get(), words.data(), none};
  sigset_t all, before;
  ::sigfillset(&all);
  // No handler of this process may run in the child while both share its memory; the launcher sets its own mask.
  ::sigprocmask(SIG_BLOCK, &all, &before);
  volatile int error = 0;
  const pid_t pid = ::vfork();
  if (pid == 0) {
    error = become(start);
    ::_exit(127);
  }
  const int fork_error = errno;
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) return from_errno(fork_error, "make a process");
  if (error == 0) return pid;
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return from_errno(error, "execute it from memory");
}

}  // namespace runink::launcher
