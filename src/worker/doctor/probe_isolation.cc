#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "worker/doctor/doctor.h"
#include "worker/doctor/probe_child.h"
#include "worker/sandbox/landlock.h"
#include "worker/sandbox/seccomp.h"

namespace runink::doctor {
namespace {

struct Namespace {
  const char* name;  // as in user.max_<name>_namespaces
  uint64_t flag;
};
constexpr Namespace kNamespaces[] = {{"user", CLONE_NEWUSER},    {"mnt", CLONE_NEWNS},  {"pid", CLONE_NEWPID},
                                     {"net", CLONE_NEWNET},      {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS},
                                     {"cgroup", CLONE_NEWCGROUP}};
constexpr uint64_t kAll =
    CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;

// Why a namespace is refused, as far as the host's settings tell.
std::string namespace_advice(const std::string& name) {
  const std::string most = "/proc/sys/user/max_" + name + "_namespaces";
  if (kernel_setting(most) == "0") return fmt::format("sysctl -w user.max_{}_namespaces=15000", name);
  if (kernel_setting("/proc/sys/user/max_user_namespaces") == "0") return "sysctl -w user.max_user_namespaces=15000";
  if (::geteuid() == 0) return "the kernel lacks it, or this is a container that keeps it from you: run on the host";
  if (kernel_setting("/proc/sys/kernel/unprivileged_userns_clone") == "0") {
    return "sysctl -w kernel.unprivileged_userns_clone=1, or start slices as root";
  }
  if (kernel_setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1") {
    return "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile that allows runi userns";
  }
  return "start slices as root";
}

Finding one_namespace(const Namespace& one) {
  // An ordinary user may make the others only inside of a user namespace.
  ChildOptions options;
  options.namespaces = one.flag | (::geteuid() == 0 ? 0 : CLONE_NEWUSER);
  const auto steps = in_child(options, [](Steps* out) { (*out)[0] = 0; });
  const std::string check = fmt::format("namespace {}", one.name);
  if (steps.ok()) return {check, Verdict::kGood, "made", ""};
  return {check, Verdict::kBad, steps.status().to_string(), namespace_advice(one.name)};
}

int result_of(int result) { return result == 0 ? 0 : errno; }

// What process 1 of a slice mounts, in the same kind of namespaces.
void mount_everything(Steps* steps) {
  Steps& s = *steps;
  s[0] = result_of(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr));
  if (s[0] == 0) s[0] = result_of(::mount("tmpfs", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=0755"));
  if (s[0] != 0) return;
  for (const char* folder : {"/tmp/proc", "/tmp/pts", "/tmp/ram", "/tmp/old"}) (void)::mkdir(folder, 0755);
  s[1] = result_of(::mount("proc", "/tmp/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "subset=pid,hidepid=2"));
  s[2] = result_of(::mount("devpts", "/tmp/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666"));
  s[3] = result_of(::mount("ramfs", "/tmp/ram", "ramfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700"));
  s[4] = ::chdir("/tmp") == 0 ? result_of(static_cast<int>(::syscall(SYS_pivot_root, ".", "old"))) : errno;
  if (s[4] == 0) s[4] = result_of(::umount2("/old", MNT_DETACH));
}

void probe_mounts(Findings* findings) {
  ChildOptions options;
  options.namespaces = kAll;
  const auto steps = in_child(options, mount_everything);
  if (!steps.ok()) {
    findings->push_back({"all namespaces", Verdict::kBad, steps.status().to_string(), namespace_advice("user")});
    return;
  }
  findings->push_back({"all namespaces", Verdict::kGood, "made at once; ids mapped, and read back", ""});
  const auto add = [&](const char* check, int error, const char* good, const char* advice) {
    if (error < 0) return;
    findings->push_back({check, error == 0 ? Verdict::kGood : Verdict::kBad,
                         error == 0 ? good : fmt::format("refused: {}", std::strerror(error)),
                         error == 0 ? "" : advice});
  };
  const char* const masked =
      "a container that masks parts of /proc keeps others from mounting it: run on the host, or unmask it";
  add("mount tmpfs", (*steps)[0], "mounted", "the kernel needs tmpfs (CONFIG_TMPFS)");
  add("mount proc", (*steps)[1], "of the slice's own processes only", masked);
  add("mount devpts", (*steps)[2], "terminals of its own: -t works", "-t is refused; the kernel needs devpts");
  add("mount ramfs", (*steps)[3], "memory that is never swapped, for secrets", "--secret is refused");
  add("pivot_root", (*steps)[4], "the host's root is left behind",
      "not possible on an initramfs: boot from a file system");
}

Finding system_calls() {
  constexpr const char* kCheck = "system calls";
  if (const Status probed = sandbox::probe_seccomp(); !probed.ok()) {
    return {kCheck, Verdict::kBad, probed.to_string(), probed.hint()};
  }
  const sandbox::SeccompFilter& filter = sandbox::default_filter();
  const auto steps = in_child({}, [&](Steps* out) {
    (*out)[0] = result_of(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    if ((*out)[0] == 0) (*out)[0] = sandbox::install_filter(filter);
    if ((*out)[0] != 0) return;
    (*out)[1] = ::mount("none", "/nowhere", "tmpfs", 0, nullptr) == 0 ? 0 : errno;
    (*out)[2] = ::syscall(SYS_clone3, nullptr, 0) == 0 ? 0 : errno;
    (*out)[3] = ::syscall(SYS_getppid) >= 0 ? 0 : errno;
  });
  if (!steps.ok()) return {kCheck, Verdict::kBad, steps.status().to_string(), ""};
  if ((*steps)[0] != 0) return {kCheck, Verdict::kBad, fmt::format("no filter: {}", std::strerror((*steps)[0])), ""};
  if ((*steps)[1] != EPERM || (*steps)[2] != ENOSYS || (*steps)[3] != 0) {
    return {kCheck, Verdict::kBad, "a filter is loaded and does not hold",
            "the kernel's seccomp is broken: another kernel"};
  }
  return {kCheck, Verdict::kGood, "an allow-list is loaded, and holds", ""};
}

Finding second_fence() {
  constexpr const char* kCheck = "landlock";
  const int abi = sandbox::landlock_abi();
  const std::string says = sandbox::describe_landlock(abi);
  if (abi == 0) {
    return {kCheck, Verdict::kNote, says, "a second fence behind the mounts, which hold without it"};
  }
  const auto steps = in_child({}, [&](Steps* out) {
    const int rules = sandbox::make_ruleset(abi, false);
    (*out)[0] = rules < 0 ? -rules : result_of(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    if ((*out)[0] == 0) (*out)[0] = sandbox::restrict_self(rules);
    if ((*out)[0] == 0) (*out)[1] = ::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0 ? 0 : errno;
  });
  if (steps.ok() && (*steps)[0] == 0 && (*steps)[1] == EACCES) return {kCheck, Verdict::kGood, says + "; tried", ""};
  return {kCheck, Verdict::kNote, says + "; it does not hold here",
          "a second fence behind the mounts, which hold without it"};
}

}  // namespace

void probe_isolation(Findings* findings) {
  for (const Namespace& one : kNamespaces) findings->push_back(one_namespace(one));
  probe_mounts(findings);
  findings->push_back(system_calls());
  findings->push_back(second_fence());
}

}  // namespace runink::doctor
