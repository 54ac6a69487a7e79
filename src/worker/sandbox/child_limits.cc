// What holds for every process of the slice, since process 1 does it to itself before it makes any.
#include <errno.h>
#include <linux/keyctl.h>
#include <linux/securebits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "worker/sandbox/child.h"
#include "worker/sandbox/raw_calls.h"

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

int reset_signals() noexcept {
  for (int signal = 1; signal < 65; ++signal) {
    struct sigaction action = {};
    action.sa_handler = SIG_DFL;
    (void)::sigaction(signal, &action, nullptr);  // some cannot be set, and are at their default
  }
  return 0;
}

}  // namespace

int hold_to_limits(const Operation& operation) noexcept {
  switch (operation.action) {
    case Action::kResetSignals:
      return reset_signals();
    case Action::kNewKeyring:
      return new_keyring();
    case Action::kForbidCores:
      return forbid_cores();
    case Action::kLimit:
      return limit(operation);
    case Action::kLockSecurebits:
      return lock_securebits();
    case Action::kDropBounding:
      return drop_bounding();
    default:
      return ENOSYS;  // not an operation of process 1: a bug of the plan, told like any other failure
  }
}

}  // namespace runink::sandbox
