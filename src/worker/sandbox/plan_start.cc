// What one specification adds to a parked slice of its class: its limits, what it sees of the host, its secrets, its
// program.
#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "worker/sandbox/encrypted_scratch.h"
#include "worker/sandbox/plan_writer.h"

namespace runink::sandbox {
namespace {

class StartPlanner : PlanWriter {
 public:
  StartPlanner(const model::SliceSpec& spec, const HostFacts& facts, Words words)
      : PlanWriter(Phase::kStart), spec_(spec), facts_(facts), words_(words) {
    for (const char* path : {"dev", "etc", "proc", "run", "tmp", "usr"}) has_folder(path);
  }

  Result<Operations> plan() {
    if (spec_.resources.any() && !facts_.root) {
      return permission_denied("start a slice limited to {}: control groups take root",
                               model::describe(spec_.resources))
          .with_hint("start it as root, or without the limit; a slice that could not hold it is not started");
    }
    RUNINK_RETURN_IF_ERROR(check_fits(spec_.resources, facts_.node));
    RUNINK_RETURN_IF_ERROR(check_identity());
    RUNINK_RETURN_IF_ERROR(check_rights());
    RUNINK_RETURN_IF_ERROR(plan_endpoints());
    RUNINK_RETURN_IF_ERROR(add_sources());
    RUNINK_RETURN_IF_ERROR(add_device_sources());
    add_scratch_source();
    add_launcher();
    add_root();
    add_devices();
    add_secrets();
    add_program();
    return std::move(out_);
  }

 private:
  Status check_identity() const {
    if (!spec_.act_as || facts_.root) return {};
    if (*spec_.act_as == model::SliceIdentity{facts_.uid, facts_.gid}) return {};
    return permission_denied("start a slice that acts as {}:{} on mounts: an ordinary user's acts as that user",
                             spec_.act_as->user, spec_.act_as->group)
        .with_hint(fmt::format("you are {}:{}; start it as root to have it act as others", facts_.uid, facts_.gid));
  }

  Status check_rights() const {
    if (facts_.root) return {};
    const char* what = !spec_.devices.empty() || spec_.gpus.any() ? "devices" : "encrypted scratch on disk";
    if (spec_.devices.empty() && !spec_.gpus.any() && spec_.scratch_folder.empty()) return {};
    return permission_denied("start a slice with {}: that takes root", what)
        .with_hint("start it as root, or without; a slice that could not be held to it is not started");
  }

  Status plan_endpoints() {
    if (!spec_.network.any()) return {};
    if (!facts_.root) {
      return permission_denied("start a slice that reaches {}: endpoints take root",
                               to_string(spec_.network.endpoints[0]))
          .with_hint("start it as root, or without --network; links and rules of the host are root's");
    }
    out_.network = RUNINK_TRY(network::plan_network(spec_.network, facts_.network));
    return {};
  }
  void add_network() {
    std::string says = fmt::format("connect its network to the host's, by a veth pair and rules (nf_tables) that let it "
                                   "reach {}, and nothing else",
                                   join(out_.network->says, "; "));
    if (const auto rate = out_.network->bytes_per_second) {
      says += fmt::format("; at most {} a second each way (tbf)", human_bytes(*rate));
    }
    add(Place::kLauncher, Action::kConnectNetwork, std::move(says));
  }

  // Those of an ordinary user are mounted when the slice is parked.
  Status add_sources() {
    if (!facts_.root) return {};
    for (size_t i = 0; i < spec_.mounts.size(); ++i) {
      add_source(RUNINK_TRY(source_of(spec_.mounts[i], spec_.act_as, facts_.mounts.at(i), true)));
    }
    return {};
  }

  Status add_device_sources() {
    for (size_t i = 0; i < spec_.devices.size(); ++i) {
      RUNINK_RETURN_IF_ERROR(grant(facts_.devices.at(i), spec_.devices[i].writable));
    }
    if (!spec_.gpus.any()) return {};
    out_.gpus = RUNINK_TRY(choose_gpus(spec_.gpus, facts_.gpus));
    for (const Gpu& gpu : out_.gpus.gpus) RUNINK_RETURN_IF_ERROR(grant(gpu.device, true));
    for (const DeviceEntry& control : facts_.gpus.controls) RUNINK_RETURN_IF_ERROR(grant(control, true));
    for (auto& [name, value] : gpu_environment(out_.gpus)) {
      const bool given = std::any_of(spec_.environment.begin(), spec_.environment.end(),
                                     [&name = name](const auto& entry) { return entry.first == name; });
      if (!given) out_.environment.emplace_back(std::move(name), std::move(value));
    }
    return {};
  }
  // Once, also where it is asked for by its path and as a part of a GPU: then for both.
  Status grant(const DeviceEntry& device, bool writable) {
    if (device.type == 0) {
      return not_found("start a slice with {}: this host has no such device", shown(device.path))
          .with_hint("it must be a device node itself, and no link to one: realpath says where that leads");
    }
    for (const int source : device_sources_) {
      MountSource& before = out_.sources[static_cast<size_t>(source)];
      if (before.path != device.path) continue;
      before.writable = before.writable || writable;
      return {};
    }
    device_sources_.push_back(add_source({.path = device.path,
                                          .folder = false,
                                          .writable = writable,
                                          .device = true,
                                          .device_major = device.major,
                                          .device_minor = device.minor,
                                          .block = device.type == 'b',
                                          .granted = true}));
    return {};
  }

  void add_scratch_source() {
    if (spec_.scratch_folder.empty()) return;
    MountSource source{.path = spec_.scratch_folder, .writable = true, .scratch_bytes = spec_.scratch_bytes};
    if (spec_.act_as) {
      source.by_specification = true;
      source.user = spec_.act_as->user;
      source.group = spec_.act_as->group;
    }
    scratch_source_ = add_source(std::move(source));
  }

  void add_launcher() {
    add(Place::kLauncher, Action::kCheckStreams, "see that input, output and error are open, and no folders");
    if (spec_.resources.any()) {
      const bool all = words_ == Words::kAll;
      add(Place::kLauncher, Action::kSetLimits,
          all ? fmt::format("limit the group to {}, and read that back", model::describe(spec_.resources)) : "");
    }
    if (!device_sources_.empty()) add_device_rules();
    if (!out_.gpus.gpus.empty()) add_gpus();
    open_sources();
    if (out_.network) add_network();
  }

  // The second fence behind there being no other nodes.
  void add_device_rules() {
    std::vector<DeviceRule> rules;
    const auto allow = [&](char type, uint32_t major, std::optional<uint32_t> minor, bool write) {
      rules.push_back({.type = type, .major = major, .minor = minor, .write = write});
    };
    for (const OwnDevice& device : kOwnDevices) allow('c', device.major, device.minor, true);
    if (spec_.terminal) {
      constexpr uint32_t kTerminals = 136, kMasterMajor = 5, kMasterMinor = 2;
      allow('c', kOwnTerminal.major, kOwnTerminal.minor, true);
      allow('c', kMasterMajor, kMasterMinor, true);
      allow('c', kTerminals, std::nullopt, true);
    }
    std::vector<std::string> names;
    for (const int index : device_sources_) {
      const MountSource& source = out_.sources[static_cast<size_t>(index)];
      allow(source.block ? 'b' : 'c', source.device_major, source.device_minor, source.writable);
      names.push_back(shown(source.path) + (source.writable ? "" : " (to read)"));
    }
    out_.device_rules = std::move(rules);
    add(Place::kLauncher, Action::kSetLimits,
        "let the group open no devices but those that every slice has, and " + join(names, ", "));
  }

  void add_gpus() {
    std::vector<std::string> numbers, variables;
    for (const Gpu& gpu : out_.gpus.gpus) numbers.push_back(std::to_string(gpu.number));
    for (const auto& [name, value] : out_.environment) variables.push_back(fmt::format("{}={}", name, value));
    std::string says = fmt::format("take GPU {}, {}", join(numbers, ", "),
                                   out_.gpus.alone ? "which no other slice has then" : "which others may share");
    if (!variables.empty()) says += "; the program finds " + join(variables, " ");
    add(Place::kLauncher, Action::kTakeGpus, std::move(says));
  }

  // Where the root gets something, it is writable for a moment: nothing but our own processes runs in the slice yet.
  void add_root() {
    const bool renamed = spec_.host_name != kUsualHostName;
    if (spec_.scratch_bytes != kUsualScratch && spec_.scratch_folder.empty()) {
      init(Action::kResize, fmt::format("let /tmp have at most {}", human_bytes(spec_.scratch_bytes)), "tmp").number =
          spec_.scratch_bytes;
    }
    if (renamed) {
      init(Action::kSetHostName, fmt::format("call the host \"{}\"", spec_.host_name)).text = spec_.host_name;
    }
    const bool named = out_.network && !out_.network->names.empty();
    if (!renamed && !named && out_.sources.empty() && spec_.secrets.empty()) return;
    init(Action::kUnprotect, "make the slice's root writable");
    if (renamed || named) {
      const char* says = named ? "write /etc/hosts with the names it may reach" : "write /etc/hosts with that name";
      init(Action::kRewriteFile, says, "etc/hosts").text =
          named ? hosts_file(spec_.host_name, out_.network->names) : hosts_file(spec_.host_name);
    }
    for (size_t i = 0; facts_.root && i < spec_.mounts.size(); ++i) {
      attach(static_cast<int>(i), spec_.mounts[i].target.substr(1));
    }
    if (scratch_source_ >= 0) attach_part(scratch_source_, kScratchPart, "tmp");
    if (!spec_.secrets.empty()) make_folder("run/secrets");
    init(Action::kProtect, "make the slice's root read-only again");
  }

  void add_devices() {
    if (device_sources_.empty()) return;
    init(Action::kUnprotect, "make the slice's root writable");
    init(Action::kUnprotect, "make /dev writable", "dev");
    for (const int source : device_sources_) {
      attach_part(source, kNodePart, out_.sources[static_cast<size_t>(source)].path.substr(1));
    }
    init(Action::kProtect, "make /dev read-only again", "dev");
    init(Action::kProtect, "make the slice's root read-only again");
  }

  void add_secrets() {
    if (spec_.secrets.empty()) return;
    init(Action::kMountRamfs, "mount a ramfs at /run/secrets: memory that is never swapped", "run/secrets");
    for (size_t i = 0; i < spec_.secrets.size(); ++i) {
      const std::string& name = spec_.secrets[i].name;
      Operation& secret =
          init(Action::kWriteSecret, fmt::format("write the secret /run/secrets/{}, for user {} only", name, spec_.user),
               "run/secrets/" + name);
      secret.number = i;
      secret.second = uint64_t{spec_.user} << 32 | spec_.group;
    }
    init(Action::kProtect, "make /run/secrets read-only", "run/secrets");
  }

  void add_program() {
    if (spec_.terminal) {
      Operation& terminal = program(
          Action::kOpenTerminal,
          fmt::format("open a terminal of its own, {} by {}; its other side goes to whoever asked for the slice",
                      spec_.terminal->rows, spec_.terminal->columns));
      terminal.number = spec_.terminal->rows;
      terminal.second = spec_.terminal->columns;
      program(Action::kTakeTerminal, "take it as its session's, and as 0, 1 and 2");
    }
    program(Action::kEnterFolder,
            fmt::format("enter {}, and see that it lies in the slice", shown(spec_.working_directory)))
        .path = spec_.working_directory;
    program(Action::kOpenProgram, fmt::format("open {}", shown(spec_.argv[0])));
    add_fence();
    program(Action::kCloseDescriptors, "close every descriptor but its own: 0, 1, 2 and those that it is handed");
    program(Action::kExecute, fmt::format("execute {}", shown(spec_.argv[0])));
    add_candidates();
  }

  // What every slice of the class may do is in the fence already.
  void add_fence() {
    if (facts_.landlock_abi == 0) return;
    // Not the tmpfs that it was when the slice was parked.
    if (scratch_source_ >= 0) allow("tmp", kGrantWrite, "write below /tmp");
    for (const model::SliceMount& mount : spec_.mounts) {
      if (!mount.writable) continue;
      allow(mount.target.substr(1), kGrantWrite, fmt::format("write below {}", shown(mount.target)));
    }
    program(Action::kAllowStreams, "open its input, output and error again, as they are open already");
    program(Action::kEnterFence, "hold it to that by Landlock");
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

  const model::SliceSpec& spec_;
  const HostFacts& facts_;
  const Words words_;
  std::vector<int> device_sources_;
  int scratch_source_ = -1;
};

}  // namespace

Result<Operations> plan_start(const model::SliceSpec& spec, const HostFacts& facts, Words words) {
  RUNINK_RETURN_IF_ERROR(model::validate(spec));
  return StartPlanner(spec, facts, words).plan();
}

}  // namespace runink::sandbox
