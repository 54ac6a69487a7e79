#include "peer_commands.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/text.h"
#include "oci_filter.h"
#include "platform/os/file.h"
#include "worker/sandbox/seccomp.h"

namespace runink::sandbox::peers {
namespace {

namespace fs = std::filesystem;

constexpr int kFirstFile = 20;  // numbers of descriptors that bubblewrap reads from

// What a slice can have and these commands do not say.
Status check(const model::SliceSpec& spec, const Operations& operations) {
  if (!spec.secrets.empty()) return unimplemented("a peer's slice with secrets");
  if (spec.resources.any()) return unimplemented("a peer's slice with limits of a control group");
  for (const Operation& operation : operations.list) {
    switch (operation.action) {
      case Action::kConnectNetwork:
      case Action::kMountTerminals:
      case Action::kAttachPart:
      case Action::kResize:
      case Action::kTakeGpus:
        return unimplemented("a peer's slice that is to {}", operation.says);
      default:
        break;
    }
  }
  return {};
}

// Where a file or folder is made only so that something can be mounted on it.
bool is_mount_point(const Operation& operation) {
  return operation.action == Action::kMakeFile && operation.text.empty();
}

class Bubblewrap {
 public:
  Bubblewrap(const model::SliceSpec& spec, const Operations& operations, std::string folder)
      : spec_(spec), operations_(operations), folder_(std::move(folder)) {}

  Result<PeerCommand> make() {
    add({"bwrap", "--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--cap-drop", "ALL",
         "--clearenv"});
    add({"--uid", std::to_string(spec_.user), "--gid", std::to_string(spec_.group)});
    for (const auto& [name, value] : spec_.environment) add({"--setenv", name, value});
    for (const Operation& operation : operations_.list) RUNINK_RETURN_IF_ERROR(translate(operation));
    // Last: what a slice makes writable once more is not to be written here again.
    for (const std::string& path : protected_) add({"--remount-ro", path});
    const auto& program = default_filter().program;
    add({"--seccomp", RUNINK_TRY(file("filter", {reinterpret_cast<const char*>(program.data()),
                                                 program.size() * sizeof program[0]}))});
    add({"--chdir", spec_.working_directory, "--"});
    add(spec_.argv);
    return std::move(out_);
  }

 private:
  void add(const std::vector<std::string>& words) { out_.argv.insert(out_.argv.end(), words.begin(), words.end()); }

  // The number of the descriptor by which the command reads it.
  Result<std::string> file(const std::string& name, const std::string& bytes) {
    const std::string path = fmt::format("{}/{}-{}", folder_, out_.files.size(), name);
    RUNINK_RETURN_IF_ERROR(os::write_file_atomic(path, bytes));
    const int number = kFirstFile + static_cast<int>(out_.files.size());
    out_.files.emplace_back(path, number);
    return std::to_string(number);
  }

  // In bubblewrap's order, which is the order of its arguments.
  Status translate(const Operation& operation) {
    const std::string path = "/" + operation.path;
    switch (operation.action) {
      case Action::kMakeFolder:
        add({"--perms", fmt::format("{:o}", operation.number), "--dir", path});
        return {};
      case Action::kMakeLink:
        add({"--symlink", operation.text, path});
        return {};
      case Action::kMakeFile:
      case Action::kRewriteFile:
        if (is_mount_point(operation)) return {};
        add({"--perms", "644", "--file", RUNINK_TRY(file(fs::path(path).filename(), operation.text)), path});
        return {};
      case Action::kMountTmpfs:
        add({"--perms", fmt::format("{:o}", operation.second), "--size", std::to_string(operation.number), "--tmpfs",
             path});
        return {};
      case Action::kMountProc:
        add({"--proc", path});
        return {};
      case Action::kAttach: {
        const MountSource& source = operations_.sources[static_cast<size_t>(operation.source)];
        add({source.device ? "--dev-bind" : source.writable ? "--bind" : "--ro-bind", source.path, path});
        return {};
      }
      case Action::kProtect:
        if (std::find(protected_.begin(), protected_.end(), path) == protected_.end()) protected_.push_back(path);
        return {};
      case Action::kSetHostName:
        add({"--hostname", operation.text});
        return {};
      default:
        return {};
    }
  }

  const model::SliceSpec& spec_;
  const Operations& operations_;
  const std::string folder_;
  std::vector<std::string> protected_;
  PeerCommand out_;
};

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string list_of(const std::vector<std::string>& texts) {
  std::vector<std::string> all;
  for (const std::string& text : texts) all.push_back(quoted(text));
  return "[" + join(all, ",") + "]";
}

// What of a slice's limits an OCI runtime sets by name.
const char* rlimit_name(uint64_t resource) {
  switch (resource) {
    case RLIMIT_NOFILE:
      return "RLIMIT_NOFILE";
    case RLIMIT_NPROC:
      return "RLIMIT_NPROC";
    case RLIMIT_MEMLOCK:
      return "RLIMIT_MEMLOCK";
    default:
      return nullptr;
  }
}

class Bundle {
 public:
  Bundle(const model::SliceSpec& spec, const Operations& operations, const BundleOptions& options, std::string folder)
      : spec_(spec), operations_(operations), options_(options), folder_(std::move(folder)) {}

  Status write() {
    fs::create_directory(folder_ + "/rootfs");
    for (const Operation& operation : operations_.list) {
      if (in_devices(operation.path)) continue;  // the runtime's own, with the same devices
      RUNINK_RETURN_IF_ERROR(translate(operation));
    }
    return os::write_file_atomic(folder_ + "/config.json", config());
  }

 private:
  static bool in_devices(const std::string& path) { return path.starts_with("dev/") && path != "dev/shm"; }
  std::string at(const Operation& operation) const { return folder_ + "/rootfs/" + operation.path; }

  void mount(const std::string& path, const char* type, const std::string& source,
             const std::vector<std::string>& options) {
    mounts_.push_back(fmt::format(R"({{"destination":{},"type":"{}","source":{},"options":{}}})", quoted("/" + path),
                                  type, quoted(source), list_of(options)));
  }

  Status translate(const Operation& operation) {
    switch (operation.action) {
      case Action::kMakeFolder:
        fs::create_directories(at(operation));
        fs::permissions(at(operation), static_cast<fs::perms>(operation.number));
        return {};
      case Action::kMakeLink:
        fs::create_symlink(operation.text, at(operation));
        return {};
      case Action::kMakeFile:
      case Action::kRewriteFile:
        return os::write_file_atomic(at(operation), operation.text);
      case Action::kMountTmpfs: {
        std::vector<std::string> options = {"nosuid", "noexec", fmt::format("mode={:o}", operation.second),
                                            fmt::format("size={}", operation.number)};
        if (operation.path == "tmp") options[1] = "nodev";
        if (operation.path == "dev") options.push_back("ro");
        fs::permissions(at(operation), static_cast<fs::perms>(operation.second));  // runc takes it from the folder
        mount(operation.path, "tmpfs", "tmpfs", options);
        return {};
      }
      case Action::kMountProc:
        mount(operation.path, "proc", "proc", {"nosuid", "nodev", "noexec", "subset=pid", "hidepid=2"});
        return {};
      case Action::kAttach: {
        const MountSource& source = operations_.sources[static_cast<size_t>(operation.source)];
        mount(operation.path, "bind", source.path, {"rbind", source.writable ? "rw" : "ro", "nosuid", "nodev"});
        return {};
      }
      case Action::kLimit:
        return add_limit(operation);
      case Action::kForbidCores:
        rlimits_.push_back(R"({"type":"RLIMIT_CORE","soft":1,"hard":1})");
        return {};
      default:
        return {};
    }
  }

  // Lowers only, as a slice does: the runtime's own process has no right to raise one.
  Status add_limit(const Operation& operation) {
    const char* name = rlimit_name(operation.number);
    if (name == nullptr) return {};
    struct rlimit now = {};
    if (::getrlimit(static_cast<__rlimit_resource>(operation.number), &now) != 0) return from_errno(errno, "getrlimit");
    const uint64_t most = std::min<uint64_t>(now.rlim_max, operation.second);
    rlimits_.push_back(
        fmt::format(R"({{"type":"{}","soft":{},"hard":{}}})", name, std::min<uint64_t>(now.rlim_cur, most), most));
    return {};
  }

  std::string config() const {
    std::vector<std::string> environment;
    for (const auto& [name, value] : spec_.environment) environment.push_back(name + "=" + value);
    const std::string ids =
        fmt::format(R"([{{"containerID":0,"hostID":{},"size":{}}}])", options_.first_id, model::kSliceIds);
    return fmt::format(
        R"({{"ociVersion":"1.0.2",
"process":{{"terminal":false,"user":{{"uid":{},"gid":{},"umask":63}},"args":{},"env":{},"cwd":{},
"capabilities":{{"bounding":[],"effective":[],"permitted":[],"inheritable":[],"ambient":[]}},
"rlimits":[{}],"noNewPrivileges":true}},
"root":{{"path":"rootfs","readonly":true}},"hostname":{},
"mounts":[{}],
"linux":{{"cgroupsPath":{},"resources":{{"devices":[{{"allow":false,"access":"rwm"}}]}},
"uidMappings":{},"gidMappings":{},
"namespaces":[{{"type":"user"}},{{"type":"pid"}},{{"type":"network"}},{{"type":"ipc"}},{{"type":"uts"}},{{"type":"mount"}},{{"type":"cgroup"}}],
"maskedPaths":["/proc/acpi","/proc/asound","/proc/kcore","/proc/keys","/proc/latency_stats","/proc/timer_list","/proc/timer_stats","/proc/sched_debug","/proc/scsi"],
"readonlyPaths":["/proc/bus","/proc/fs","/proc/irq","/proc/sys","/proc/sysrq-trigger"],
"seccomp":{}}}}}
)",
        spec_.user, spec_.group, list_of(spec_.argv), list_of(environment), quoted(spec_.working_directory),
        join(rlimits_, ","), quoted(spec_.host_name), join(mounts_, ",\n"), quoted(options_.cgroup), ids, ids,
        oci_seccomp_json());
  }

  const model::SliceSpec& spec_;
  const Operations& operations_;
  const BundleOptions& options_;
  const std::string folder_;
  std::vector<std::string> mounts_, rlimits_;
};

}  // namespace

Result<PeerCommand> bubblewrap_command(const model::SliceSpec& spec, const Operations& operations,
                                       const std::string& folder) {
  RUNINK_RETURN_IF_ERROR(check(spec, operations));
  return Bubblewrap(spec, operations, folder).make();
}

uint32_t ids_of_this_process() { return 0x6000'0000 + static_cast<uint32_t>(::getpid()) % 0xfff * model::kSliceIds; }

Status write_bundle(const model::SliceSpec& spec, const Operations& operations, const BundleOptions& options,
                    const std::string& folder) {
  RUNINK_RETURN_IF_ERROR(check(spec, operations));
  try {
    return Bundle(spec, operations, options, folder).write();
  } catch (const fs::filesystem_error& error) {
    return internal_error("write a bundle: {}", error.what());
  }
}

PeerCommand bundle_command(const std::string& runtime, const std::string& bundle, const std::string& state,
                           const std::string& id) {
  return {{runtime, "--root", state, "run", "--bundle", bundle, id}, {}};
}

}  // namespace runink::sandbox::peers
