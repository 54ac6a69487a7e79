// System calls that no step needs and that kernels were broken by (L07), and ways round a filter (L08). A call counts
// as reached when the kernel looked at its arguments at all: any answer but EPERM, ENOSYS and death.
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "attack.h"

namespace {

struct Call {
  const char* name;
  long number;
  long arguments[4];
};

// With arguments that change nothing where they get through.
constexpr Call kCalls[] = {
    {"io_uring_setup", SYS_io_uring_setup, {0, 0, 0, 0}},
    {"io_uring_enter", SYS_io_uring_enter, {-1, 0, 0, 0}},
    {"io_uring_register", SYS_io_uring_register, {-1, 0, 0, 0}},
    {"bpf", SYS_bpf, {-1, 0, 0, 0}},
    {"userfaultfd", SYS_userfaultfd, {1 /* user mode only */, 0, 0, 0}},
    {"keyctl", SYS_keyctl, {0, -3, 0, 0}},
    {"add_key", SYS_add_key, {0, 0, 0, 0}},
    {"request_key", SYS_request_key, {0, 0, 0, 0}},
    {"perf_event_open", SYS_perf_event_open, {0, 0, -1, -1}},
    {"ptrace", SYS_ptrace, {0x4200 /* SETOPTIONS */, 0, 0, 0}},
    {"process_vm_readv", SYS_process_vm_readv, {0, 0, 0, 0}},
    {"process_vm_writev", SYS_process_vm_writev, {0, 0, 0, 0}},
    {"kcmp", SYS_kcmp, {0, 0, 0, 0}},
    {"mount", SYS_mount, {0, 0, 0, 0}},
    {"umount2", SYS_umount2, {0, 0, 0, 0}},
    {"fsopen", SYS_fsopen, {0, 0, 0, 0}},
    {"fsconfig", SYS_fsconfig, {-1, 0, 0, 0}},
    {"fsmount", SYS_fsmount, {-1, 0, 0, 0}},
    {"fspick", SYS_fspick, {-1, 0, 0, 0}},
    {"open_tree", SYS_open_tree, {-1, 0, 0, 0}},
    {"move_mount", SYS_move_mount, {-1, 0, -1, 0}},
    {"mount_setattr", SYS_mount_setattr, {-1, 0, 0, 0}},
    {"setns", SYS_setns, {-1, 0, 0, 0}},
    {"clone3", SYS_clone3, {0, 0, 0, 0}},
    {"pivot_root", SYS_pivot_root, {0, 0, 0, 0}},
    {"chroot", SYS_chroot, {0, 0, 0, 0}},
    {"kexec_load", SYS_kexec_load, {0, 0, 0, 0}},
    {"kexec_file_load", SYS_kexec_file_load, {-1, -1, 0, 0}},
    {"init_module", SYS_init_module, {0, 0, 0, 0}},
    {"finit_module", SYS_finit_module, {-1, 0, 0, 0}},
    {"delete_module", SYS_delete_module, {0, 0, 0, 0}},
    {"swapon", SYS_swapon, {0, 0, 0, 0}},
    {"swapoff", SYS_swapoff, {0, 0, 0, 0}},
    {"reboot", SYS_reboot, {0, 0, 0, 0}},
    {"settimeofday", SYS_settimeofday, {1, 1, 0, 0}},
    {"clock_settime", SYS_clock_settime, {0, 0, 0, 0}},
    {"adjtimex", SYS_adjtimex, {0, 0, 0, 0}},
    {"syslog", SYS_syslog, {10, 0, 0, 0}},
    {"quotactl", SYS_quotactl, {-1, 0, 0, 0}},
    {"acct", SYS_acct, {1, 0, 0, 0}},
    {"personality without random addresses", SYS_personality, {0x0040000, 0, 0, 0}},
    {"open_by_handle_at", SYS_open_by_handle_at, {-1, 0, 0, 0}},
    {"name_to_handle_at", SYS_name_to_handle_at, {-1, 0, 0, 0}},
    {"fanotify_init", SYS_fanotify_init, {-1, 0, 0, 0}},
    {"lookup_dcookie", 212, {0, 0, 0, 0}},
    {"vhangup", SYS_vhangup, {0, 0, 0, 0}},
    {"memfd_secret", SYS_memfd_secret, {-1, 0, 0, 0}},
    {"pidfd_getfd", SYS_pidfd_getfd, {-1, 0, 0, 0}},
    {"a call that has no number yet", 600, {0, 0, 0, 0}},
#ifdef __x86_64__
    {"iopl", SYS_iopl, {3, 0, 0, 0}},
    {"ioperm", SYS_ioperm, {0x80, 1, 1, 0}},
    {"modify_ldt", SYS_modify_ldt, {0, 0, 0, 0}},
#endif
};

// In a process of its own: it may be killed.
bool reached_in_child(const std::function<bool()>& body) {
  const pid_t pid = fork();
  if (pid == 0) {
    const struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    _exit(body() ? 1 : 0);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

bool looks_at_arguments(const Call& call) {
  errno = 0;
  const long answer =
      syscall(call.number, call.arguments[0], call.arguments[1], call.arguments[2], call.arguments[3], 0, 0);
  return answer >= 0 || (errno != EPERM && errno != ENOSYS);
}

#ifdef __x86_64__
// getpid by the numbers of a 32-bit program.
bool by_interrupt() {
  long answer = 20;
  asm volatile("int $0x80" : "+a"(answer) : : "memory", "r8", "r9", "r10", "r11");
  return answer == getpid();
}
bool by_x32() { return syscall(0x40000000 | SYS_getpid) == getpid(); }
#endif

// More filters only take more away.
bool by_another_filter() {
  sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  sock_fprog program = {1, &allow};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0) return false;
  return unshare(CLONE_NEWUSER) == 0;
}

// A process that answers another one's calls.
bool listens() {
  sock_filter notify = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
  sock_fprog program = {1, &notify};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 8 /* NEW_LISTENER */, &program) >= 0;
}

}  // namespace

int main() {
  refuse_to_be_host_root();
  for (const Call& call : kCalls) {
    attempt(call.name, reached_in_child([&call] { return looks_at_arguments(call); }));
  }
#ifdef __x86_64__
  attempt("a call by int 0x80", reached_in_child(by_interrupt));
  attempt("a call by x32's numbers", reached_in_child(by_x32));
#endif
  attempt("another filter on top", reached_in_child(by_another_filter));
  attempt("a listener for calls", reached_in_child(listens));
  return verdict();
}
