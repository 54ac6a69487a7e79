#include "worker/sandbox/operations.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "worker/sandbox/seccomp.h"

namespace runink::sandbox {
namespace {

constexpr uint64_t kNamespaces =
    CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP;
constexpr uint64_t kSharedMemoryBytes = 64u << 20;

struct Device {
  const char* name;
  uint32_t minor;
};
constexpr Device kDevices[] = {{"null", 3}, {"zero", 5}, {"full", 7}, {"random", 8}, {"urandom", 9}};
constexpr uint32_t kMemoryMajor = 1;

class Planner {
 public:
  Planner(const model::SliceSpec& spec, const HostFacts& facts) : spec_(spec), facts_(facts) {}

  Result<Operations> plan() {
    if (facts_.cores_reach_handler) {
      return failed_precondition("start a slice: a crash in it would run this host's handler of core dumps")
          .with_hint(
              "kernel.core_pattern is a pipe, and the hard limit of core dumps is 0, which does not stop it and "
              "cannot be set to 1: raise it (ulimit -Hc unlimited as root), or change kernel.core_pattern");
    }
    if (spec_.resources.any() && !facts_.root) {
      return permission_denied("start a slice limited to {}: control groups take root", limits_text())
          .with_hint("start it as root, or without the limit; a slice that could not hold it is not started");
    }
    RUNINK_RETURN_IF_ERROR(add_sources());
    add_launcher();
    add_root();
    add_etc();
    add_devices();
    add_mounts();
    add_secrets();
    add_end_of_init();
    add_program();
    add_missing();
    return std::move(out_);
  }

 private:
  Operation& add(Place place, Action action, std::string says) {
    return out_.list.emplace_back(Operation{.place = place, .action = action, .says = std::move(says)});
  }
  Operation& init(Action action, std::string says, std::string path = {}) {
    Operation& operation = add(Place::kInit, action, std::move(says));
    operation.path = std::move(path);
    return operation;
  }

  // With every folder above it, each once.
  void make_folder(const std::string& path, uint64_t mode = 0755) {
    if (path.empty() || !made_.insert(path).second) return;
    if (const size_t slash = path.rfind('/'); slash != std::string::npos) make_folder(path.substr(0, slash));
    init(Action::kMakeFolder, fmt::format("make the folder /{}", shown(path)), path).number = mode;
  }
  void make_file(const std::string& path, std::string text, const char* what) {
    if (const size_t slash = path.rfind('/'); slash != std::string::npos) make_folder(path.substr(0, slash));
    init(Action::kMakeFile, fmt::format("write /{}, {}", shown(path), what), path).text = std::move(text);
  }
  void make_link(const std::string& path, const std::string& target) {
    if (const size_t slash = path.rfind('/'); slash != std::string::npos) make_folder(path.substr(0, slash));
    init(Action::kMakeLink, fmt::format("link /{} to {}", shown(path), shown(target)), path).text = target;
  }
  void mount_tmpfs(const std::string& path, uint64_t bytes, uint64_t mode, std::string_view flags) {
    make_folder(path);
    Operation& operation =
        init(Action::kMountTmpfs,
             fmt::format("mount an empty tmpfs at /{}, {}, at most {}", path, flags, human_bytes(bytes)), path);
    operation.number = bytes;
    operation.second = mode;
  }
  void attach(int source, const std::string& path) {
    const MountSource& from = out_.sources[static_cast<size_t>(source)];
    if (from.folder) {
      make_folder(path);
    } else {
      make_file(path, "", "to mount on");
    }
    init(Action::kAttach, fmt::format("mount /{} {}", shown(path), from.writable ? "writable" : "read-only"), path)
        .source = source;
  }
  static std::string shown(const std::string& path) { return escape_control(path); }

  int add_source(MountSource source) {
    out_.sources.push_back(std::move(source));
    return static_cast<int>(out_.sources.size()) - 1;
  }

  // In the order in which they are opened: what is declared first, since that is what is most likely to be wrong.
  Status add_sources() {
    for (size_t i = 0; i < spec_.mounts.size(); ++i) {
      const model::SliceMount& mount = spec_.mounts[i];
      const HostEntry& entry = facts_.mounts.at(i);
      MountSource source{.path = mount.source,
                         .folder = entry.kind != HostEntry::Kind::kFile,
                         .writable = mount.writable,
                         .owner = entry.owner,
                         .group = entry.group};
      source.as_owner = facts_.root && entry.owner != 0;
      const bool there = entry.kind == HostEntry::Kind::kFile || entry.kind == HostEntry::Kind::kFolder;
      if (facts_.root && there && mount.writable && (entry.owner == 0 || entry.group == 0)) {
        return permission_denied("mount {} writable at {}: it belongs to {}, and a slice does not write as root",
                                 shown(mount.source), shown(mount.target), entry.owner == 0 ? "root" : "the group root")
            .with_hint(fmt::format(
                "a program it left there could run as root on this host; give {} to the user the slice is to act as "
                "(chown UID:GID), or mount it read-only",
                shown(mount.source)));
      }
      mount_sources_.push_back(add_source(std::move(source)));
    }
    for (const HostEntry& entry : facts_.root_parts) {
      if (entry.kind == HostEntry::Kind::kLink) continue;
      part_sources_.emplace_back(entry.path,
                                 add_source({.path = entry.path, .folder = entry.kind == HostEntry::Kind::kFolder}));
    }
    for (const Device& device : kDevices) {
      device_sources_.push_back(add_source({.path = std::string("/dev/") + device.name,
                                            .folder = false,
                                            .device = true,
                                            .device_major = kMemoryMajor,
                                            .device_minor = device.minor}));
    }
    return {};
  }
  std::string source_says(const MountSource& source) const {
    if (source.device) {
      return fmt::format("open {}, a character device {}:{}", source.path, source.device_major, source.device_minor);
    }
    std::string says = fmt::format("open {}, through no symbolic link", shown(source.path));
    if (source.as_owner) says += fmt::format("; the slice acts on it as its owner, {}:{}", source.owner, source.group);
    return says;
  }

  std::string limits_text() const {
    std::vector<std::string> parts;
    if (spec_.resources.cpus) parts.push_back(fmt::format("{} processors", *spec_.resources.cpus));
    if (spec_.resources.memory_bytes) parts.push_back(human_bytes(*spec_.resources.memory_bytes) + " of memory");
    if (spec_.resources.processes) parts.push_back(fmt::format("{} processes", *spec_.resources.processes));
    return join(parts, ", ");
  }

  void add_launcher() {
    add(Place::kLauncher, Action::kCheckStreams, "see that input, output and error are open, and no folders");
    if (spec_.resources.any()) {
      add(Place::kLauncher, Action::kMakeGroup, "make a control group that is limited to " + limits_text());
    }
    if (facts_.root) {
      add(Place::kLauncher, Action::kPickIds,
          fmt::format("pick {} users and groups that no other slice has, and never 0", model::kSliceIds));
    }
    for (size_t i = 0; i < out_.sources.size(); ++i) {
      add(Place::kLauncher, Action::kOpenSource, source_says(out_.sources[i])).source = static_cast<int>(i);
    }
    add(Place::kLauncher, Action::kClone,
        "make process 1 in its own user, mount, pid, network, IPC, UTS and cgroup namespaces")
        .number = kNamespaces;
    if (spec_.resources.any()) {
      add(Place::kLauncher, Action::kEnterGroup, "move it into the group, unless it was born there (cgroup v2)");
    }
    add(Place::kLauncher, Action::kForgetOomProtection, "let it not be spared when memory runs out");
    add(Place::kLauncher, Action::kMapIds,
        facts_.root ? "map the slice's users and groups to them, and read the maps back"
                    : fmt::format("map the slice's user {} and group {} to your own, {} and {}, and read the maps back",
                                  spec_.user, spec_.group, facts_.uid, facts_.gid));
  }

  void add_root() {
    if (facts_.root) init(Action::kBecomeRoot, "drop all groups, and become the slice's own root");
    init(Action::kTieToLauncher, "end with the process that started it, and let nobody look into it");
    init(Action::kPrivateMounts, "make all mounts private");
    if (!facts_.root) {
      for (size_t i = 0; i < out_.sources.size(); ++i) {
        init(Action::kCloneSource,
             fmt::format("clone the mount of {}, the same as was opened", shown(out_.sources[i].path)))
            .source = static_cast<int>(i);
      }
    }
    init(Action::kMountRoot, "mount an empty tmpfs as the slice's root");
    for (const HostEntry& entry : facts_.root_parts) {
      if (entry.path.starts_with("/etc/") || entry.kind != HostEntry::Kind::kLink) continue;
      make_link(entry.path.substr(1), entry.link_target);
    }
    for (const auto& [path, source] : part_sources_) attach(source, path.substr(1));
    make_folder("proc");
    init(Action::kMountProc, "mount /proc with the slice's own processes only (subset=pid, hidepid=2)", "proc");
    mount_tmpfs("tmp", spec_.scratch_bytes, 01777, "nosuid, nodev");
    make_folder("run");
  }

  void add_etc() {
    std::string users = "root:x:0:0:root:/tmp:/bin/sh\n";
    std::string groups = "root:x:0:\n";
    if (spec_.user != 0 && spec_.user != 65534) {
      users += fmt::format("slice:x:{}:{}:slice:/tmp:/bin/sh\n", spec_.user, spec_.group);
    }
    users += "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
    if (spec_.group != 0 && spec_.group != 65534) groups += fmt::format("slice:x:{}:\n", spec_.group);
    groups += "nogroup:x:65534:\n";
    make_file("etc/passwd", users, "made up");
    make_file("etc/group", groups, "made up");
    make_file("etc/hosts", fmt::format("127.0.0.1 localhost {0}\n::1 localhost {0}\n", spec_.host_name), "made up");
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
    for (size_t i = 0; i < device_sources_.size(); ++i)
      attach(device_sources_[i], std::string("dev/") + kDevices[i].name);
    make_link("dev/fd", "/proc/self/fd");
    make_link("dev/stdin", "/proc/self/fd/0");
    make_link("dev/stdout", "/proc/self/fd/1");
    make_link("dev/stderr", "/proc/self/fd/2");
    mount_tmpfs("dev/shm", kSharedMemoryBytes, 01777, "nosuid, nodev, noexec");
    init(Action::kProtect, "make /dev read-only", "dev");
  }

  void add_mounts() {
    for (size_t i = 0; i < spec_.mounts.size(); ++i) attach(mount_sources_[i], spec_.mounts[i].target.substr(1));
  }

  void add_secrets() {
    if (spec_.secrets.empty()) return;
    make_folder("run/secrets");
    init(Action::kMountRamfs, "mount a ramfs at /run/secrets: memory that is never swapped", "run/secrets");
    for (size_t i = 0; i < spec_.secrets.size(); ++i) {
      const std::string& name = spec_.secrets[i].name;
      init(Action::kWriteSecret, fmt::format("write the secret /run/secrets/{}, for user {} only", name, spec_.user),
           "run/secrets/" + name)
          .number = i;
    }
    init(Action::kProtect, "make /run/secrets read-only", "run/secrets");
  }

  void add_end_of_init() {
    init(Action::kProtect, "make the slice's root read-only");
    init(Action::kPivot, "make it /, and detach the host's root");
    init(Action::kSetHostName, fmt::format("call the host \"{}\"", spec_.host_name)).text = spec_.host_name;
    init(Action::kRaiseLoopback, "bring loopback up; there is no other network");
    init(Action::kStartProgram,
         "make the process of the program; stay as process 1: reap, pass signals on, no descriptors");
  }

  Operation& program(Action action, std::string says) { return add(Place::kProgram, action, std::move(says)); }
  void limit(int resource, const char* name, uint64_t most) {
    Operation& operation =
        program(Action::kLimit, fmt::format("limit {} to {}, or less where the caller has less", name, most));
    operation.number = static_cast<uint64_t>(resource);
    operation.second = most;
  }

  void add_program() {
    program(Action::kNewSession, "start a session of its own, without a terminal");
    program(Action::kNewKeyring, "join a new, empty session keyring");
    program(Action::kSetMask, "set the umask to 077").number = 077;
    // 1 and not 0: a core_pattern that is a pipe runs its handler at 0; the kernel takes 1 for "none at all".
    program(Action::kForbidCores, "limit core dumps (CORE) to 1, which is none, not even to a handler");
    limit(RLIMIT_NOFILE, "open files (NOFILE)", 65536);
    limit(RLIMIT_NPROC, "processes of its user (NPROC)", 4096);
    limit(RLIMIT_MEMLOCK, "locked memory (MEMLOCK)", 8u << 20);
    program(Action::kLockSecurebits, "lock the secure bits: root inside is a user like any other");
    program(Action::kDropBounding, "empty the bounding and ambient sets of capabilities");
    Operation& user = program(Action::kBecomeUser, fmt::format("become user {} and group {}", spec_.user, spec_.group));
    user.number = spec_.user;
    user.second = spec_.group;
    program(Action::kDropCapabilities, "drop all capabilities");
    program(Action::kNoNewPrivileges, "set no_new_privs");
    program(Action::kEnterFolder,
            fmt::format("enter {}, and see that it lies in the slice", shown(spec_.working_directory)))
        .path = spec_.working_directory;
    program(Action::kOpenProgram, fmt::format("open {}", shown(spec_.argv[0])));
    program(Action::kFilterCalls, "filter system calls: an allow-list, the last privilege to go");
    program(Action::kCloseDescriptors, "close every descriptor but 0, 1 and 2");
    program(Action::kExecute, fmt::format("execute {}", shown(spec_.argv[0])));
    add_candidates();
  }

  void add_candidates() {
    const std::string& name = spec_.argv[0];
    if (name.find('/') != std::string::npos) {
      out_.program_candidates = {name};
      return;
    }
    for (const auto& [variable, value] : spec_.environment) {
      if (variable != "PATH") continue;
      for (const std::string_view folder : split(value, ':')) {
        if (!folder.empty() && folder[0] == '/') out_.program_candidates.push_back(std::string(folder) + "/" + name);
      }
    }
  }

  void add_missing() {
    if (facts_.root) return;
    out_.missing_guarantees = {fmt::format("it acts on what is mounted as you, user {}", facts_.uid),
                               "on the host its processes are yours, and count as yours",
                               "it keeps your supplementary groups"};
  }

  const model::SliceSpec& spec_;
  const HostFacts& facts_;
  Operations out_;
  std::vector<int> mount_sources_, device_sources_;
  std::vector<std::pair<std::string, int>> part_sources_;
  std::set<std::string> made_;
};

const char* heading(Place place) {
  switch (place) {
    case Place::kLauncher:
      return "on the host";
    case Place::kInit:
      return "process 1 of the slice";
    case Place::kProgram:
      return "the process that becomes the program";
  }
  return "";
}

}  // namespace

Result<Operations> plan_operations(const model::SliceSpec& spec, const HostFacts& facts) {
  RUNINK_RETURN_IF_ERROR(model::validate(spec));
  return Planner(spec, facts).plan();
}

std::string explain(const Operations& operations) {
  std::string out;
  const Operation* before = nullptr;
  size_t number = 0;
  for (const Operation& operation : operations.list) {
    if (before == nullptr || before->place != operation.place) out += fmt::format("{}:\n", heading(operation.place));
    out += fmt::format("{:4}  {}\n", ++number, operation.says);
    if (operation.action == Action::kFilterCalls) {
      const std::string rules = describe_default_filter();
      for (const std::string_view line : split(rules, '\n')) {
        if (!line.empty()) out += fmt::format("        {}\n", line);
      }
    }
    before = &operation;
  }
  if (!operations.missing_guarantees.empty()) {
    out += "weaker than a slice that root starts:\n";
    for (const std::string& sentence : operations.missing_guarantees) out += fmt::format("      {}\n", sentence);
  }
  return out;
}

}  // namespace runink::sandbox
