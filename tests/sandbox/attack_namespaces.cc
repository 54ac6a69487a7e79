// New namespaces, mounts, other roots and other privileges from inside (L07, L18, L19).
#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "attack.h"

namespace {

struct Flag {
  const char* name;
  unsigned long value;
};
constexpr Flag kFlags[] = {{"user", CLONE_NEWUSER},     {"mount", CLONE_NEWNS}, {"pid", CLONE_NEWPID},
                           {"net", CLONE_NEWNET},       {"ipc", CLONE_NEWIPC},  {"uts", CLONE_NEWUTS},
                           {"cgroup", CLONE_NEWCGROUP}, {"time", CLONE_NEWTIME}};

void bury(long pid) {
  kill(static_cast<pid_t>(pid), SIGKILL);
  waitpid(static_cast<pid_t>(pid), nullptr, __WALL);
}

// In a process of its own, since one that succeeds changes what the next may do.
bool in_child(bool (*attack)(unsigned long), unsigned long argument) {
  const pid_t pid = fork();
  if (pid == 0) _exit(attack(argument) ? 1 : 0);
  int status = 0;
  waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

bool by_unshare(unsigned long flag) { return unshare(static_cast<int>(flag)) == 0; }
bool by_user_then(unsigned long flag) { return unshare(static_cast<int>(CLONE_NEWUSER | flag)) == 0; }
bool by_clone(unsigned long flag) {
  if (flag == CLONE_NEWTIME) return false;  // not a flag of clone
  const long pid = syscall(SYS_clone, flag | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (pid == 0) _exit(0);
  if (pid > 0) bury(pid);
  return pid > 0;
}
bool by_clone3(unsigned long flag) {
  clone_args arguments = {};
  arguments.flags = flag;
  arguments.exit_signal = SIGCHLD;
  const long pid = syscall(SYS_clone3, &arguments, sizeof arguments);
  if (pid == 0) _exit(0);
  if (pid > 0) bury(pid);
  return pid > 0;
}
bool by_setns(unsigned long flag) {
  for (const char* name : {"user", "mnt", "pid", "net", "ipc", "uts", "cgroup"}) {
    for (const char* of : {"/proc/self/ns/", "/proc/1/ns/"}) {
      const int fd = open((std::string(of) + name).c_str(), O_RDONLY | O_CLOEXEC);
      if (fd >= 0 && setns(fd, static_cast<int>(flag)) == 0) return true;
    }
  }
  return false;
}

bool mounts(unsigned long) {
  return mount("none", "/tmp", "tmpfs", 0, nullptr) == 0 || mount("/usr", "/tmp", nullptr, MS_BIND, nullptr) == 0 ||
         mount("none", "/tmp", "cgroup", 0, "memory") == 0 || mount("none", "/tmp", "proc", 0, nullptr) == 0 ||
         mount(nullptr, "/", nullptr, MS_REMOUNT | MS_BIND, nullptr) == 0;
}
bool unmounts(unsigned long) {
  return umount2("/proc", MNT_DETACH) == 0 || umount2("/tmp", MNT_DETACH) == 0 || umount2("/dev/null", MNT_DETACH) == 0;
}
bool new_mounts(unsigned long) {
  return syscall(SYS_fsopen, "tmpfs", 0) >= 0 || syscall(SYS_open_tree, AT_FDCWD, "/usr", 1) >= 0;
}
bool other_root(unsigned long) { return chroot("/tmp") == 0 || syscall(SYS_pivot_root, "/tmp", "/tmp") == 0; }
bool host_name(unsigned long) { return sethostname("taken", 5) == 0; }
bool keys(unsigned long) {
  return syscall(SYS_add_key, "user", "runink", "x", 1, KEY_SPEC_SESSION_KEYRING) >= 0 ||
         syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0) >= 0;
}
bool traces(unsigned long) { return ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0; }
bool raises(unsigned long) {
  if (getuid() != 0 && (setgid(0) == 0 || setuid(0) == 0)) return true;
  return prctl(PR_CAPBSET_READ, 21) == 1 || prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 10, 0, 0) == 0 ||
         prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
}

}  // namespace

int main() {
  refuse_to_be_host_root();
  for (const Flag& flag : kFlags) {
    attempt(std::string("unshare ") + flag.name, in_child(by_unshare, flag.value));
    attempt(std::string("unshare user, ") + flag.name, in_child(by_user_then, flag.value));
    attempt(std::string("clone ") + flag.name, in_child(by_clone, flag.value));
    attempt(std::string("clone3 ") + flag.name, in_child(by_clone3, flag.value));
  }
  attempt("setns", in_child(by_setns, 0));
  attempt("mount", in_child(mounts, 0));
  attempt("umount", in_child(unmounts, 0));
  attempt("fsopen, open_tree", in_child(new_mounts, 0));
  attempt("chroot, pivot_root", in_child(other_root, 0));
  attempt("sethostname", in_child(host_name, 0));
  attempt("keys", in_child(keys, 0));
  attempt("ptrace", in_child(traces, 0));
  attempt("root, capabilities, new privileges", in_child(raises, 0));
  return verdict();
}
