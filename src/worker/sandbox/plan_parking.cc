// What every slice of a class has: its namespaces, its root, the users in it, and a process that has nothing left to
// give up and waits to be told what to execute.
#include <sched.h>
#include <sys/resource.h>

#include <vector>

#include "worker/sandbox/plan_writer.h"

namespace runink::sandbox {
namespace {

// A process is born in its own users and processes; the others it makes itself, so that its launcher does not wait for
// them (a network namespace alone takes half a millisecond).
constexpr uint64_t kBornIn = CLONE_NEWUSER | CLONE_NEWPID;
constexpr uint64_t kMadeInside = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
constexpr uint64_t kSharedMemoryBytes = 64u << 20;


class ParkingPlanner : PlanWriter {
 public:
  ParkingPlanner(const ParkingClass& parking, const HostFacts& facts)
      : PlanWriter(Phase::kPark), parking_(parking), facts_(facts) {}

  Result<Operations> plan() {
    if (facts_.cores_reach_handler) {
      return failed_precondition("start a slice: a crash in it would run this host's handler of core dumps")
          .with_hint(
              "kernel.core_pattern is a pipe, and the hard limit of core dumps is 0, which does not stop it and "
              "cannot be set to 1: raise it (ulimit -Hc unlimited as root), or change kernel.core_pattern");
    }
    RUNINK_RETURN_IF_ERROR(add_sources());
    add_launcher();
    add_beginning();
    add_root();
    add_etc();
    add_devices();
    for (size_t i = 0; i < mount_sources_.size(); ++i) attach(mount_sources_[i], parking_.mounts[i].target.substr(1));
    add_end_of_init();
    add_program();
    add_missing();
    return std::move(out_);
  }

 private:
  // In the order in which they are opened: what is declared first, since that is what is most likely to be wrong.
  Status add_sources() {
    for (size_t i = 0; i < parking_.mounts.size(); ++i) {
      mount_sources_.push_back(
          add_source(RUNINK_TRY(source_of(parking_.mounts[i], std::nullopt, facts_.mounts.at(i), facts_.root))));
    }
    for (const HostEntry& entry : facts_.root_parts) {
      if (entry.kind == HostEntry::Kind::kLink) continue;
      part_sources_.emplace_back(entry.path,
                                 add_source({.path = entry.path, .folder = entry.kind == HostEntry::Kind::kFolder}));
    }
    for (const OwnDevice& device : kOwnDevices) add_device(device);
    if (parking_.terminal) add_device(kOwnTerminal);
    return {};
  }

  void add_device(const OwnDevice& device) {
    const int source = add_source({.path = std::string("/dev/") + device.name,
                                   .folder = false,
                                   .device = true,
                                   .device_major = device.major,
                                   .device_minor = device.minor});
    device_sources_.emplace_back(std::string("dev/") + device.name, source);
  }

  void add_launcher() {
    if (parking_.limited) {
      add(Place::kLauncher, Action::kMakeGroup, fmt::format("make a control group in that of the herd {}", parking_.herd));
    }
    if (facts_.root) {
      add(Place::kLauncher, Action::kPickIds,
          fmt::format("pick {} users and groups that no other slice has, and never 0", model::kSliceIds));
    }
    open_sources();
    add(Place::kLauncher, Action::kClone,
        parking_.limited ? "make process 1 in its own user and pid namespaces, and in the group (cgroup v2)"
                         : "make process 1 in its own user and pid namespaces")
        .number = kBornIn;
    add(Place::kLauncher, Action::kForgetOomProtection, "let it not be spared when memory runs out");
    add(Place::kLauncher, Action::kMapIds,
        facts_.root
            ? "map the slice's users and groups to them, and read the maps back"
            : fmt::format("map the slice's user {} and group {} to your own, {} and {}, and read the maps back",
                          parking_.user, parking_.group, facts_.uid, facts_.gid));
  }

  void add_beginning() {
    if (facts_.root) init(Action::kBecomeRoot, "drop all groups, and become the slice's own root");
    init(Action::kTieToLauncher, "end with the process that started it, and let nobody look into it");
    if (parking_.limited) init(Action::kEnterGroup, "enter the group, unless born there (cgroup v1)");
    init(Action::kUnshare, "make its own mount, network, IPC, UTS and cgroup namespaces").number = kMadeInside;
    init(Action::kPrivateMounts, "make all mounts private");
    if (facts_.root) return;
    for (size_t i = 0; i < out_.sources.size(); ++i) {
      init(Action::kCloneSource,
           fmt::format("clone the mount of {}, the same as was opened", shown(out_.sources[i].path)))
          .source = static_cast<int>(i);
    }
  }

  void add_root() {
    init(Action::kMountRoot, "mount an empty tmpfs as the slice's root");
    for (const HostEntry& entry : facts_.root_parts) {
      if (entry.path.starts_with("/etc/") || entry.kind != HostEntry::Kind::kLink) continue;
      make_link(entry.path.substr(1), entry.link_target);
    }
    for (const auto& [path, source] : part_sources_) attach(source, path.substr(1));
    make_folder("proc");
    init(Action::kMountProc, "mount /proc with the slice's own processes only (subset=pid, hidepid=2)", "proc");
    mount_tmpfs("tmp", kUsualScratch, 01777, "nosuid, nodev");
    make_folder("run");
  }

  void add_etc() {
    std::string users = "root:x:0:0:root:/tmp:/bin/sh\n";
    std::string groups = "root:x:0:\n";
    if (parking_.user != 0 && parking_.user != 65534) {
      users += fmt::format("slice:x:{}:{}:slice:/tmp:/bin/sh\n", parking_.user, parking_.group);
    }
    users += "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
    if (parking_.group != 0 && parking_.group != 65534) groups += fmt::format("slice:x:{}:\n", parking_.group);
    groups += "nogroup:x:65534:\n";
    make_file("etc/passwd", users, "made up");
    make_file("etc/group", groups, "made up");
    make_file("etc/hosts", hosts_file(kUsualHostName), "made up");
    make_file("etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n", "made up");
    for (const HostEntry& entry : facts_.root_parts) {
      // A link out of /usr would point at nothing here.
      if (entry.path != "/etc/localtime" || entry.kind != HostEntry::Kind::kLink) continue;
      if (entry.link_target.find("/usr/share/zoneinfo/") != 0) continue;
      make_link("etc/localtime", entry.link_target);
    }
  }

  void add_devices() {
    mount_tmpfs("dev", 64u << 10, 0755, "nosuid, noexec");
    for (const auto& [path, source] : device_sources_) attach(source, path);
    make_link("dev/fd", "/proc/self/fd");
    make_link("dev/stdin", "/proc/self/fd/0");
    make_link("dev/stdout", "/proc/self/fd/1");
    make_link("dev/stderr", "/proc/self/fd/2");
    mount_tmpfs("dev/shm", kSharedMemoryBytes, 01777, "nosuid, nodev, noexec");
    if (parking_.terminal) {
      make_folder("dev/pts");
      init(Action::kMountTerminals, "mount terminals of its own (a new devpts) at /dev/pts", "dev/pts");
      make_link("dev/ptmx", "pts/ptmx");
    }
    init(Action::kProtect, "make /dev read-only", "dev");
  }

  void add_end_of_init() {
    init(Action::kProtect, "make the slice's root read-only");
    init(Action::kPivot, "make it /, and detach the host's root");
    init(Action::kSetHostName, fmt::format("call the host \"{}\"", kUsualHostName)).text = kUsualHostName;
    init(Action::kRaiseLoopback, "bring loopback up");
    add_limits();
    init(Action::kStartProgram, "make the process of the program; stay as process 1: reap, pass signals on");
  }

  void limit(int resource, const char* name, uint64_t most) {
    Operation& operation =
        init(Action::kLimit, fmt::format("limit {} to {}, or less where the caller has less", name, most));
    operation.number = static_cast<uint64_t>(resource);
    operation.second = most;
  }

  // Of process 1, from which every process of the slice has them.
  void add_limits() {
    init(Action::kResetSignals, "let every signal do what it does by default");
    init(Action::kNewKeyring, "join a new, empty session keyring");
    // 1 and not 0: a core_pattern that is a pipe runs its handler at 0; the kernel takes 1 for "none at all".
    init(Action::kForbidCores, "limit core dumps (CORE) to 1, which is none, not even to a handler");
    limit(RLIMIT_NOFILE, "open files (NOFILE)", 65536);
    limit(RLIMIT_NPROC, "processes of its user (NPROC)", 4096);
    limit(RLIMIT_MEMLOCK, "locked memory (MEMLOCK)", 8u << 20);
    init(Action::kLockSecurebits, "lock the secure bits: root inside is a user like any other");
    init(Action::kDropBounding, "empty the bounding and ambient sets of capabilities");
  }

  void add_program() {
    program(Action::kNewSession, "start a session of its own, without a terminal");
    program(Action::kSetMask, "set the umask to 077").number = 077;
    Operation& user =
        program(Action::kBecomeUser, fmt::format("become user {} and group {}", parking_.user, parking_.group));
    user.number = parking_.user;
    user.second = parking_.group;
    program(Action::kDropCapabilities, "drop all capabilities");
    program(Action::kNoNewPrivileges, "set no_new_privs");
    program(Action::kFilterCalls, "filter system calls by an allow-list");
    add_fence();
  }

  // The second fence behind the mounts, where this kernel has it: it asks where a file lies, whatever it is reached by.
  // It is closed when the slice is started, with what that adds (plan_start.cc).
  void add_fence() {
    if (facts_.landlock_abi == 0) return;
    program(Action::kMakeFence,
            fmt::format("prepare Landlock, ABI {}: what it is allowed is all it may do with files", facts_.landlock_abi))
        .number = static_cast<uint64_t>(facts_.landlock_abi);
    allow("", kGrantRead | kGrantExecute, "read and execute what lies below /");
    allow("proc", kGrantWrite, "write below /proc");
    allow("tmp", kGrantWrite, "write below /tmp");
    allow("dev", kGrantWrite | kGrantDevice, "write to, and control, the devices below /dev");
  }

  void add_missing() {
    if (facts_.root) return;
    out_.missing_guarantees = {fmt::format("it acts on what is mounted as you, user {}", facts_.uid),
                               "on the host its processes are yours, and count as yours",
                               "it keeps your supplementary groups"};
  }

  const ParkingClass& parking_;
  const HostFacts& facts_;
  std::vector<int> mount_sources_;
  std::vector<std::pair<std::string, int>> part_sources_, device_sources_;
};

}  // namespace

ParkingClass class_of(const model::SliceSpec& spec, const HostFacts& facts) {
  ParkingClass parking{.herd = spec.herd,
                       .user = spec.user,
                       .group = spec.group,
                       .limited = spec.resources.any() || !spec.devices.empty() || spec.gpus.any(),
                       .terminal = spec.terminal.has_value()};
  for (const std::string& herd : facts.limited_herds) parking.limited = parking.limited || herd == spec.herd;
  if (!facts.root) parking.mounts = spec.mounts;
  return parking;
}

Result<Operations> plan_parking(const ParkingClass& parking, const HostFacts& facts) {
  return ParkingPlanner(parking, facts).plan();
}

}  // namespace runink::sandbox
