// What the process that becomes the program does: a session of its own, privileges given up for good, the program
// executed.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "worker/sandbox/child.h"
#include "worker/sandbox/raw_calls.h"
#include "worker/sandbox/slice_terminal.h"

namespace runink::sandbox {
namespace {

int result_of(long returned) noexcept { return returned == 0 ? 0 : errno; }

// The ids an ordinary user's slice has already are the only ones there are.
int become_user(const ProgramStep& step) noexcept {
  const auto user = static_cast<uint32_t>(step.number), group = static_cast<uint32_t>(step.second);
  if (raw::set_group(group) != 0) return errno;
  return result_of(raw::set_user(user));
}

// A folder outside the root is seen by the raw call, whose answer then does not begin with "/" ("(unreachable)…"); the
// C library's getcwd would make something up.
int enter_folder(const char* path) noexcept {
  if (::chdir(path) != 0) return errno;
  char where[4096];
  if (::syscall(SYS_getcwd, where, sizeof where) < 0) return errno;
  return where[0] == '/' ? 0 : EXDEV;
}

int check_program(int fd) noexcept {
  struct stat info = {};
  if (::fstat(fd, &info) != 0) return errno;
  if (S_ISDIR(info.st_mode)) return EISDIR;
  if (!S_ISREG(info.st_mode)) return EACCES;
  constexpr int kEmptyPath = 0x1000, kEffective = 0x200;  // AT_EMPTY_PATH, AT_EACCESS
  return result_of(::syscall(SYS_faccessat2, fd, "", X_OK, kEmptyPath | kEffective));
}

// As a shell does: the first that can be executed; else that there is one which cannot, else that there is none.
int open_program(ProgramState* state) noexcept {
  int worst = ENOENT;
  for (const std::string_view candidate : state->order.candidates) {
    const int fd = raw::openat2(AT_FDCWD, candidate.data(), O_PATH | O_CLOEXEC, RESOLVE_NO_MAGICLINKS);
    int error = fd < 0 ? errno : check_program(fd);
    if (error == 0) {
      state->program = fd;
      state->path = candidate.data();
      break;
    }
    if (fd >= 0) ::close(fd);
    if (error != ENOENT && error != ENOTDIR) worst = error;
  }
  return state->program < 0 ? worst : 0;
}

// Puts the streams in place, and marks all else to be closed by the kernel when the program is executed: until then the
// socket is needed, to tell of a failure. Its number is above all of the streams' (kAboveStreams).
int close_descriptors(ProgramState* state) noexcept {
  const std::vector<int>& streams = state->streams;
  const auto count = static_cast<int>(streams.size());
  if (state->program < count) state->program = ::fcntl(state->program, F_DUPFD_CLOEXEC, kAboveStreams);
  if (state->program < 0) return errno;
  // They come with the lowest numbers that are free, which are these unless something else has one of them.
  bool in_place = state->terminal < 0;
  for (int i = 0; i < count; ++i) in_place = in_place && streams[static_cast<size_t>(i)] == i;
  if (in_place) {
    for (int i = 0; i < count; ++i) {
      if (::fcntl(i, F_SETFD, 0) != 0) return errno;
    }
  } else {
    // First all out of the way of each other.
    int from[kAboveStreams];
    for (int i = 0; i < count; ++i) {
      const int stream = i < 3 && state->terminal >= 0 ? state->terminal : streams[static_cast<size_t>(i)];
      from[i] = ::fcntl(stream, F_DUPFD_CLOEXEC, kAboveStreams);
      if (from[i] < 0) return errno;
    }
    for (int i = 0; i < count; ++i) {
      if (::dup2(from[i], i) < 0) return errno;
    }
  }
  return result_of(::close_range(static_cast<unsigned>(count), ~0U, CLOSE_RANGE_CLOEXEC));
}

void point_to(const std::vector<std::string_view>& texts, std::vector<char*>* out) {
  out->clear();
  for (const std::string_view text : texts) out->push_back(const_cast<char*>(text.data()));
  out->push_back(nullptr);
}

int execute(ProgramState* state) noexcept {
  point_to(state->order.argv, &state->arguments);
  point_to(state->order.environment, &state->environment);
  sigset_t none;
  ::sigemptyset(&none);
  if (::sigprocmask(SIG_SETMASK, &none, nullptr) != 0) return errno;
  char** const arguments = state->arguments.data();
  char** const environment = state->environment.data();
  ::syscall(SYS_execveat, state->program, "", arguments, environment, 0x1000);  // AT_EMPTY_PATH
  // A script's interpreter opens it by name, and would find nothing but a closed descriptor: that is said so.
  if (errno == ENOENT) ::execve(state->path, arguments, environment);
  return errno;
}

int open_terminal(const ProgramStep& step, ProgramState* state) noexcept {
  if (state->streams.empty()) return EBADF;
  const model::SliceTerminal size = {static_cast<uint16_t>(step.number), static_cast<uint16_t>(step.second)};
  state->terminal = open_slice_terminal(size, state->streams[0]);
  return state->terminal < 0 ? -state->terminal : 0;
}

}  // namespace

int become_program(const ProgramStep& step, ProgramState* state) noexcept {
  switch (step.action) {
    case Action::kNewSession:
      return ::setsid() >= 0 ? 0 : errno;
    case Action::kOpenTerminal:
      return open_terminal(step, state);
    case Action::kTakeTerminal:
      return take_slice_terminal(state->terminal);
    case Action::kSetMask:
      ::umask(static_cast<mode_t>(step.number));
      return 0;
    case Action::kBecomeUser:
      return become_user(step);
    case Action::kDropCapabilities:
      return result_of(raw::set_capabilities(0));
    case Action::kNoNewPrivileges:
      return result_of(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    case Action::kEnterFolder:
      return enter_folder(step.path.data());
    case Action::kOpenProgram:
      return open_program(state);
    case Action::kMakeFence:
    case Action::kAllowPath:
    case Action::kAllowStreams:
    case Action::kEnterFence:
      return put_up_fence(step, state);
    case Action::kFilterCalls:
      return state->filtered ? 0 : install_filter(default_filter());
    case Action::kCloseDescriptors:
      return close_descriptors(state);
    case Action::kExecute:
      return execute(state);
    default:
      return ENOSYS;  // not an operation of the program: a bug of the plan
  }
}

}  // namespace runink::sandbox
