// What the process that becomes the program does: a session of its own, limits, privileges given up for good, the
// program executed.
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/securebits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "worker/sandbox/child.h"
#include "worker/sandbox/raw_calls.h"
#include "worker/sandbox/slice_terminal.h"

namespace runink::sandbox {
namespace {

int result_of(long returned) noexcept { return returned == 0 ? 0 : errno; }

int new_keyring() noexcept {
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) >= 0) return 0;
  return errno == ENOSYS ? 0 : errno;  // a kernel without keys has none to inherit
}

// Lowers only: to raise a limit would need a right that even root need not have.
int limit(const Operation& operation) noexcept {
  const auto resource = static_cast<__rlimit_resource>(operation.number);
  struct rlimit now = {};
  if (::getrlimit(resource, &now) != 0) return errno;
  const rlim_t most = operation.second;
  const rlim_t hard = now.rlim_max < most ? now.rlim_max : most;
  const rlim_t soft = now.rlim_cur < hard ? now.rlim_cur : hard;
  const struct rlimit then = {soft, hard};
  return result_of(::setrlimit(resource, &then));
}

// Exactly 1, also where the caller's is 0; a hard limit of 0 stays, where it does what is wanted (host_facts.h).
int forbid_cores() noexcept {
  struct rlimit now = {};
  if (::getrlimit(RLIMIT_CORE, &now) != 0) return errno;
  if (now.rlim_max == 0) return 0;
  const struct rlimit then = {1, 1};
  return result_of(::setrlimit(RLIMIT_CORE, &then));
}

int lock_securebits() noexcept {
  constexpr unsigned long kBits = SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
                                  SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
                                  SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED;
  return result_of(::prctl(PR_SET_SECUREBITS, kBits));
}

// A capability that this kernel does not know is none to drop.
int drop_bounding() noexcept {
  for (unsigned long capability = 0; capability < 64; ++capability) {
    if (::prctl(PR_CAPBSET_DROP, capability) != 0 && errno != EINVAL) return errno;
  }
  return result_of(::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
}

// The ids an ordinary user's slice has already are the only ones there are.
int become_user(const Operation& operation) noexcept {
  const auto user = static_cast<uint32_t>(operation.number), group = static_cast<uint32_t>(operation.second);
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
int open_program(const ChildContext& context, ProgramState* state) noexcept {
  int worst = ENOENT;
  for (const std::string& candidate : context.program->candidates) {
    const int fd = raw::openat2(AT_FDCWD, candidate.c_str(), O_PATH | O_CLOEXEC, RESOLVE_NO_MAGICLINKS);
    int error = fd < 0 ? errno : check_program(fd);
    if (error == 0) {
      state->program = fd;
      state->path = candidate.c_str();
      break;
    }
    if (fd >= 0) ::close(fd);
    if (error != ENOENT && error != ENOTDIR) worst = error;
  }
  if (state->program < 0) return worst;
  char begin[2] = {};
  const int fd = ::open(state->path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd >= 0) {
    state->script = ::read(fd, begin, 2) == 2 && begin[0] == '#' && begin[1] == '!';
    ::close(fd);
  }
  return 0;
}

// Puts the streams in place, and marks all else to be closed by the kernel when the program is executed: until then the
// start pipe is needed, to tell of a failure. Its number is above all of the streams' (kAboveStreams).
int close_descriptors(const ChildContext& context, ProgramState* state) noexcept {
  const auto count = static_cast<int>(context.stream_count);
  // First all out of the way of each other.
  state->program = ::fcntl(state->program, F_DUPFD_CLOEXEC, kAboveStreams);
  if (state->program < 0) return errno;
  int from[kAboveStreams];
  for (int i = 0; i < count; ++i) {
    const int stream = i < 3 && state->terminal >= 0 ? state->terminal : context.streams[i];
    from[i] = ::fcntl(stream, F_DUPFD_CLOEXEC, kAboveStreams);
    if (from[i] < 0) return errno;
  }
  for (int i = 0; i < count; ++i) {
    if (::dup2(from[i], i) < 0) return errno;
  }
  return result_of(::close_range(static_cast<unsigned>(count), ~0U, CLOSE_RANGE_CLOEXEC));
}

int reset_signals() noexcept {
  for (int signal = 1; signal < 65; ++signal) {
    struct sigaction action = {};
    action.sa_handler = SIG_DFL;
    (void)::sigaction(signal, &action, nullptr);  // some cannot be set, and are at their default
  }
  return 0;
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (const std::string& text : texts) out.push_back(const_cast<char*>(text.c_str()));
  out.push_back(nullptr);
  return out;
}

int execute(const ChildContext& context, const ProgramState& state) noexcept {
  const std::vector<char*> argv = pointers_to(context.program->argv);
  const std::vector<char*> environment = pointers_to(context.program->environment);
  sigset_t none;
  ::sigemptyset(&none);
  if (::sigprocmask(SIG_SETMASK, &none, nullptr) != 0) return errno;
  // A script is executed by its name, which its interpreter opens; of a descriptor it would find nothing but a closed
  // one.
  if (state.script) {
    ::execve(state.path, argv.data(), environment.data());
  } else {
    ::syscall(SYS_execveat, state.program, "", argv.data(), environment.data(), 0x1000);  // AT_EMPTY_PATH
  }
  return errno;
}

int open_terminal(const ChildContext& context, const Operation& operation, ProgramState* state) noexcept {
  if (context.stream_count == 0) return EBADF;
  const model::SliceTerminal size = {static_cast<uint16_t>(operation.number), static_cast<uint16_t>(operation.second)};
  state->terminal = open_slice_terminal(size, context.streams[0]);
  return state->terminal < 0 ? -state->terminal : 0;
}

}  // namespace

int become_program(const ChildContext& context, const Operation& operation, ProgramState* state) noexcept {
  switch (operation.action) {
    case Action::kNewSession:
      return ::setsid() >= 0 ? 0 : errno;
    case Action::kResetSignals:
      return reset_signals();
    case Action::kOpenTerminal:
      return open_terminal(context, operation, state);
    case Action::kTakeTerminal:
      return take_slice_terminal(state->terminal);
    case Action::kNewKeyring:
      return new_keyring();
    case Action::kSetMask:
      ::umask(static_cast<mode_t>(operation.number));
      return 0;
    case Action::kForbidCores:
      return forbid_cores();
    case Action::kLimit:
      return limit(operation);
    case Action::kLockSecurebits:
      return lock_securebits();
    case Action::kDropBounding:
      return drop_bounding();
    case Action::kBecomeUser:
      return become_user(operation);
    case Action::kDropCapabilities:
      return result_of(raw::set_capabilities(0));
    case Action::kNoNewPrivileges:
      return result_of(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    case Action::kEnterFolder:
      return enter_folder(operation.path.c_str());
    case Action::kOpenProgram:
      return open_program(context, state);
    case Action::kMakeFence:
    case Action::kAllowPath:
    case Action::kAllowStreams:
    case Action::kEnterFence:
      return put_up_fence(context, operation, state);
    case Action::kFilterCalls:
      return install_filter(default_filter());
    case Action::kCloseDescriptors:
      return close_descriptors(context, state);
    case Action::kExecute:
      return execute(context, *state);
    default:
      return ENOSYS;  // not an operation of the program: a bug of the plan
  }
}

}  // namespace runink::sandbox
