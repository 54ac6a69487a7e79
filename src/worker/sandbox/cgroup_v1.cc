#include "worker/sandbox/cgroup_v1.h"

#include <errno.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.h"
#include "platform/os/file.h"

namespace runink::sandbox {
namespace {

constexpr uint64_t kPeriodMicros = 100'000;
constexpr const char* kControllers[] = {"blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids"};

struct Hierarchy {
  std::vector<std::string> controllers;  // those of ours that are mounted here
  std::string mount_point;
  std::string base;  // folder below it
};

Status missing_controller(std::string_view controller, std::string_view file, std::string_view what) {
  return failed_precondition("{} cannot be limited: cgroup v1 has no controller '{}' mounted here (file {})", what,
                             controller, file)
      .with_kind("sandbox.limit")
      .with_hint(fmt::format("mount it: mkdir /sys/fs/cgroup/{0} && mount -t cgroup -o {0} cgroup /sys/fs/cgroup/{0}",
                             controller));
}

// Whether v1 with these controllers can hold the limits; the error names controller and file.
Status check_limits(const CgroupLimits& limits, const std::vector<std::string>& here) {
  RUNINK_RETURN_IF_ERROR(validate(limits));
  auto need = [&](bool wanted, const char* controller, const char* file, const char* what) -> Status {
    return wanted && !carries(here, controller) ? missing_controller(controller, file, what) : Status();
  };
  RUNINK_RETURN_IF_ERROR(need(limits.cpus.has_value(), "cpu", "cpu.cfs_quota_us", "processor time"));
  RUNINK_RETURN_IF_ERROR(need(limits.cpu_weight.has_value(), "cpu", "cpu.shares", "the processor weight"));
  RUNINK_RETURN_IF_ERROR(need(limits.memory_bytes.has_value(), "memory", "memory.limit_in_bytes", "memory"));
  RUNINK_RETURN_IF_ERROR(need(limits.processes.has_value(), "pids", "pids.max", "the number of processes"));
  bool placed = !limits.cpu_set.empty() || !limits.memory_nodes.empty();
  RUNINK_RETURN_IF_ERROR(need(placed, "cpuset", "cpuset.cpus", "the set of processors"));
  RUNINK_RETURN_IF_ERROR(need(!limits.io.empty(), "blkio", "blkio.throttle.read_bps_device", "input and output"));
  RUNINK_RETURN_IF_ERROR(need(limits.devices.has_value(), "devices", "devices.deny", "access to devices"));
  if (limits.memory_high_bytes) {
    return failed_precondition(
               "memory cannot be held below a high mark: cgroup v1 has no memory.high (controller memory)")
        .with_kind("sandbox.limit")
        .with_hint("limit memory itself, or boot with systemd.unified_cgroup_hierarchy=1");
  }
  for (const IoLimit& limit : limits.io) {
    bool writes = limit.write_bytes_per_second || limit.write_operations_per_second;
    if (!writes || limit.synced_writes_only) continue;
    return failed_precondition(
               "writes to device {}:{} cannot be limited: cgroup v1 (controller blkio, file "
               "blkio.throttle.write_bps_device) lets buffered writes pass by",
               limit.major, limit.minor)
        .with_kind("sandbox.limit")
        .with_hint("say that synchronous writes are enough, or boot with systemd.unified_cgroup_hierarchy=1");
  }
  return {};
}

class GroupV1 : public Cgroup {
 public:
  struct Part {
    std::vector<std::string> controllers;
    CgroupFolder folder;
    std::string path_in_hierarchy_end;  // what the group's path ends with in /proc/PID/cgroup
  };

  GroupV1(std::string name, std::vector<Part> parts) : Cgroup(std::move(name)), parts_(std::move(parts)) {}

  Status set_limits(const CgroupLimits& limits) override {
    std::vector<std::string> here;
    for (const Part& part : parts_) here.insert(here.end(), part.controllers.begin(), part.controllers.end());
    RUNINK_RETURN_IF_ERROR(check_limits(limits, here));
    RUNINK_RETURN_IF_ERROR(set_cpu(limits).with_context("limit processor time (controller cpu)"));
    RUNINK_RETURN_IF_ERROR(set_memory(limits).with_context("limit memory (controller memory)"));
    if (limits.processes) {
      Status set = folder("pids")->write_verified("pids.max", std::to_string(*limits.processes));
      RUNINK_RETURN_IF_ERROR(std::move(set).with_context("limit processes (controller pids)"));
    }
    RUNINK_RETURN_IF_ERROR(set_cpuset(limits).with_context("choose processors (controller cpuset)"));
    for (const IoLimit& limit : limits.io) {
      RUNINK_RETURN_IF_ERROR(set_io(limit).with_context("limit input and output (controller blkio)"));
    }
    if (limits.devices) {
      RUNINK_RETURN_IF_ERROR(set_devices(*limits.devices).with_context("limit devices (controller devices)"));
    }
    return {};
  }

  Status lift_limits(const CgroupLimits& limits) override {
    const auto lift = [&](bool set, const char* controller, const char* file, const std::string& none) {
      return set ? folder(controller)->write(file, none) : Status();
    };
    RUNINK_RETURN_IF_ERROR(lift(limits.cpus.has_value(), "cpu", "cpu.cfs_quota_us", "-1"));
    RUNINK_RETURN_IF_ERROR(lift(limits.cpu_weight.has_value(), "cpu", "cpu.shares", "1024"));
    // Memory with swap first: it is never below memory alone.
    const bool swap = limits.swap_bytes && folder("memory")->has("memory.memsw.limit_in_bytes");
    RUNINK_RETURN_IF_ERROR(lift(swap, "memory", "memory.memsw.limit_in_bytes", "-1"));
    RUNINK_RETURN_IF_ERROR(lift(limits.memory_bytes.has_value(), "memory", "memory.limit_in_bytes", "-1"));
    RUNINK_RETURN_IF_ERROR(lift(limits.processes.has_value(), "pids", "pids.max", "max"));
    RUNINK_RETURN_IF_ERROR(inherit(!limits.cpu_set.empty(), "cpuset.cpus"));
    RUNINK_RETURN_IF_ERROR(inherit(!limits.memory_nodes.empty(), "cpuset.mems"));
    for (const IoLimit& limit : limits.io) {
      const std::string none = fmt::format("{}:{} 0", limit.major, limit.minor);
      const auto lift_io = [&](bool set, const char* file) { return lift(set, "blkio", file, none); };
      RUNINK_RETURN_IF_ERROR(lift_io(limit.read_bytes_per_second.has_value(), "blkio.throttle.read_bps_device"));
      RUNINK_RETURN_IF_ERROR(lift_io(limit.write_bytes_per_second.has_value(), "blkio.throttle.write_bps_device"));
      RUNINK_RETURN_IF_ERROR(lift_io(limit.read_operations_per_second.has_value(), "blkio.throttle.read_iops_device"));
      RUNINK_RETURN_IF_ERROR(
          lift_io(limit.write_operations_per_second.has_value(), "blkio.throttle.write_iops_device"));
    }
    return {};
  }

  bool is_in_place() const override {
    return std::all_of(parts_.begin(), parts_.end(), [](const Part& part) { return part.folder.is_in_place(); });
  }

  int clone_descriptor() const override { return -1; }

  Status attach(pid_t pid) override {
    for (const Part& part : parts_) {
      Status moved = part.folder.write("cgroup.procs", std::to_string(pid));
      if (!moved.ok()) return std::move(moved).with_context(fmt::format("put process {} into its control group", pid));
    }
    return check_member(pid);
  }

  Status check_member(pid_t pid) const override {
    std::string text = RUNINK_TRY(os::read_file("/proc/" + std::to_string(pid) + "/cgroup"));
    for (const Part& part : parts_) {
      std::optional<std::string> group = group_in(text, part.controllers.front());
      if (!group || !group->ends_with(part.path_in_hierarchy_end)) {
        return internal_error("process {} is in group '{}' of {}, not in {}", pid, group.value_or(""),
                              part.controllers.front(), part.folder.path());
      }
    }
    return {};
  }

  Result<std::vector<os::Fd>> open_to_enter() const override {
    std::vector<os::Fd> files;
    for (const Part& part : parts_) files.push_back(RUNINK_TRY(part.folder.open_to_write("cgroup.procs")));
    return files;
  }

  Result<std::vector<pid_t>> processes() const override { return folder("freezer")->processes(); }

  Status kill(int64_t timeout_micros) override {
    Status killed = kill_all(timeout_micros);
    return killed.code() == Code::kNotFound ? Status() : killed;  // a group that is gone has no processes
  }

  Status freeze(int64_t timeout_micros) override {
    const CgroupFolder& freezer = *folder("freezer");
    RUNINK_RETURN_IF_ERROR(freezer.write("freezer.state", "FROZEN"));
    Result<bool> frozen = wait_until(timeout_micros, [&]() -> Result<bool> {
      std::string text = RUNINK_TRY(freezer.read("freezer.state"));
      return trim(text) == "FROZEN";
    });
    if (frozen.ok() && *frozen) return {};
    RUNINK_RETURN_IF_ERROR(thaw());
    if (!frozen.ok()) return frozen.status();
    return deadline_exceeded("freeze control group {}: some process does not stop", freezer.path());
  }

  Status thaw() override { return folder("freezer")->write("freezer.state", "THAWED"); }

  Result<CgroupUsage> usage() const override {
    CgroupUsage usage = RUNINK_TRY(consumed());
    if (const CgroupFolder* memory = folder("memory")) {
      usage.memory_bytes = RUNINK_TRY(memory->read_number("memory.usage_in_bytes"));
      std::map<std::string, uint64_t> table = RUNINK_TRY(memory->read_table("memory.stat"));
      usage.page_faults = table["total_pgfault"];
      usage.major_page_faults = table["total_pgmajfault"];
    }
    if (const CgroupFolder* pids = folder("pids")) usage.processes = RUNINK_TRY(pids->read_number("pids.current"));
    return usage;
  }

  Result<CgroupUsage> consumed() const override {
    CgroupUsage usage;
    if (const CgroupFolder* cpuacct = folder("cpuacct")) {
      usage.user_seconds = RUNINK_TRY(cpuacct->read_number("cpuacct.usage_user")) / 1e9;
      usage.system_seconds = RUNINK_TRY(cpuacct->read_number("cpuacct.usage_sys")) / 1e9;
      usage.cpu_seconds = usage.user_seconds + usage.system_seconds;
    }
    if (const CgroupFolder* memory = folder("memory")) {
      usage.memory_peak_bytes = RUNINK_TRY(memory->read_number("memory.max_usage_in_bytes"));
    }
    if (const CgroupFolder* blkio = folder("blkio")) {
      // "253:0 Read 4096" for each device, then "Total 8192" for all.
      std::string text = RUNINK_TRY(blkio->read("blkio.throttle.io_service_bytes_recursive"));
      usage.io_read_bytes = sum_of(text, "Read");
      usage.io_write_bytes = sum_of(text, "Write");
    }
    return usage;
  }

  Result<CgroupEvents> events() const override {
    CgroupEvents events;
    if (const CgroupFolder* memory = folder("memory")) {
      events.out_of_memory_kills = RUNINK_TRY(memory->read_table("memory.oom_control"))["oom_kill"];
      events.memory_limit_hits = RUNINK_TRY(memory->read_number("memory.failcnt"));
    }
    if (const CgroupFolder* cpu = folder("cpu")) {
      std::map<std::string, uint64_t> table = RUNINK_TRY(cpu->read_table("cpu.stat"));
      events.throttled_periods = table["nr_throttled"];
      events.throttled_seconds = table["throttled_time"] / 1e9;
    }
    if (const CgroupFolder* pids = folder("pids")) {
      events.refused_processes = RUNINK_TRY(pids->read_table("pids.events"))["max"];
    }
    return events;
  }

  // Newer kernels count no failures at the limit of memory with swap, which is reached first where there is to be none.
  // Memory is charged in batches of some pages.
  Result<bool> was_filled() const override {
    const CgroupFolder* memory = folder("memory");
    if (memory == nullptr) return false;
    constexpr uint64_t kNearly = 1u << 20;
    const uint64_t peak = RUNINK_TRY(memory->read_number("memory.max_usage_in_bytes"));
    return peak + kNearly > RUNINK_TRY(memory->read_number("memory.limit_in_bytes"));
  }

  bool reset_peak() override {
    const CgroupFolder* memory = folder("memory");
    return memory == nullptr || memory->write("memory.max_usage_in_bytes", "0").ok();
  }

  Result<std::optional<Pressure>> pressure(PressureOf) const override { return std::optional<Pressure>(); }

  // All hierarchies, also after one that failed: what can go should go.
  Status remove(int64_t timeout_micros) override {
    Status first;
    for (const Part& part : parts_) {
      Status removed = remove_group_folder(part.folder.path(), timeout_micros);
      if (first.ok() && !removed.ok()) first = std::move(removed);
    }
    return first;
  }

 private:
  // Frozen first: nothing forks or ends meanwhile, so that one look at the members finds them all.
  Status kill_all(int64_t timeout_micros) {
    size_t left = 0;
    bool empty = RUNINK_TRY(wait_until(timeout_micros, [&]() -> Result<bool> {
      std::vector<pid_t> members = RUNINK_TRY(processes());
      left = members.size();
      if (members.empty()) return true;
      Status frozen = freeze(100'000);
      if (!frozen.ok() && frozen.code() != Code::kDeadlineExceeded) return frozen;
      Result<std::vector<pid_t>> all = processes();
      Status killed = all.ok() ? kill_members(*folder("freezer"), *all) : all.status();
      RUNINK_RETURN_IF_ERROR(thaw());  // in any case: a frozen process does not die
      RUNINK_RETURN_IF_ERROR(std::move(killed));
      return false;
    }));
    // A frozen group that was empty before stays frozen unless told otherwise.
    RUNINK_RETURN_IF_ERROR(thaw());
    if (empty) return {};
    return deadline_exceeded("kill the processes of control group {}: {} are still there", name(), left);
  }

  const CgroupFolder* folder(std::string_view controller) const {
    for (const Part& part : parts_) {
      if (carries(part.controllers, controller)) return &part.folder;
    }
    return nullptr;
  }

  Status set_cpu(const CgroupLimits& limits) {
    const CgroupFolder* cpu = folder("cpu");
    if (limits.cpus) {
      auto quota = static_cast<uint64_t>(std::llround(*limits.cpus * kPeriodMicros));
      // The quota first to none: a shorter period under an old quota may exceed what the herd's group allows.
      RUNINK_RETURN_IF_ERROR(cpu->write("cpu.cfs_quota_us", "-1"));
      RUNINK_RETURN_IF_ERROR(cpu->write_verified("cpu.cfs_period_us", std::to_string(kPeriodMicros)));
      Status set = cpu->write_verified("cpu.cfs_quota_us", std::to_string(quota));
      if (!set.ok()) return std::move(set).with_hint("v1 refuses a group more processor time than the group above has");
    }
    if (limits.cpu_weight) {
      // The kernel's own conversion: weight 100 is 1024 shares.
      uint64_t shares = std::clamp<uint64_t>((uint64_t{*limits.cpu_weight} * 1024 + 50) / 100, 2, 262'144);
      RUNINK_RETURN_IF_ERROR(cpu->write_verified("cpu.shares", std::to_string(shares)));
    }
    return {};
  }

  Status set_memory(const CgroupLimits& limits) {
    if (!limits.memory_bytes) return {};
    const CgroupFolder* memory = folder("memory");
    uint64_t bytes = *limits.memory_bytes;
    auto set_plain = [&] {
      return memory->write_verified("memory.limit_in_bytes", std::to_string(bytes), keeps_bytes(bytes));
    };
    if (!limits.swap_bytes) return set_plain();
    // Memory with swap is what v1 limits, and it must never be below memory alone: widen first, narrow last.
    if (!memory->has("memory.memsw.limit_in_bytes")) {
      return failed_precondition("{}/memory.memsw.limit_in_bytes is not there: this kernel does not account for swap",
                                 memory->path())
          .with_kind("sandbox.limit")
          .with_hint("boot with swapaccount=1");
    }
    uint64_t both = bytes + *limits.swap_bytes;
    auto set_both = [&] {
      return memory->write_verified("memory.memsw.limit_in_bytes", std::to_string(both), keeps_bytes(both));
    };
    uint64_t both_now = RUNINK_TRY(memory->read_number("memory.memsw.limit_in_bytes"));
    if (bytes > both_now) {
      RUNINK_RETURN_IF_ERROR(set_both());
      return set_plain();
    }
    RUNINK_RETURN_IF_ERROR(set_plain());
    return set_both();
  }

  Status set_cpuset(const CgroupLimits& limits) {
    auto set = [&](const char* file, const std::vector<uint32_t>& numbers) -> Status {
      if (numbers.empty()) return {};
      return folder("cpuset")->write_verified(file, number_list(numbers), keeps_numbers(numbers));
    };
    RUNINK_RETURN_IF_ERROR(set("cpuset.cpus", limits.cpu_set));
    return set("cpuset.mems", limits.memory_nodes);
  }

  // What the group above has.
  Status inherit(bool set, const char* file) {
    if (!set) return {};
    const CgroupFolder above = RUNINK_TRY(CgroupFolder::open(os::folder_of(folder("cpuset")->path())));
    const std::string text = RUNINK_TRY(above.read(file));
    return folder("cpuset")->write(file, trim(text));
  }

  Status set_io(const IoLimit& limit) {
    const CgroupFolder* blkio = folder("blkio");
    std::string device = fmt::format("{}:{}", limit.major, limit.minor);
    auto set = [&](const char* file, const std::optional<uint64_t>& value) -> Status {
      if (!value) return {};
      std::string line = fmt::format("{} {}", device, *value);
      return blkio->write_verified(file, line, [&](std::string_view text) {
        for (std::string_view kept : split(text, '\n')) {
          if (kept == line) return true;
        }
        return false;
      });
    };
    RUNINK_RETURN_IF_ERROR(set("blkio.throttle.read_bps_device", limit.read_bytes_per_second));
    RUNINK_RETURN_IF_ERROR(set("blkio.throttle.write_bps_device", limit.write_bytes_per_second));
    RUNINK_RETURN_IF_ERROR(set("blkio.throttle.read_iops_device", limit.read_operations_per_second));
    return set("blkio.throttle.write_iops_device", limit.write_operations_per_second);
  }

  Status set_devices(const std::vector<DeviceRule>& rules) {
    const CgroupFolder* devices = folder("devices");
    RUNINK_RETURN_IF_ERROR(devices->write("devices.deny", "a"));
    for (const DeviceRule& rule : rules) {
      auto part = [](const std::optional<uint32_t>& number) {
        return number ? std::to_string(*number) : std::string("*");
      };
      std::string access = std::string(rule.read ? "r" : "") + (rule.write ? "w" : "") + (rule.make_node ? "m" : "");
      RUNINK_RETURN_IF_ERROR(devices->write(
          "devices.allow", fmt::format("{} {}:{} {}", rule.type, part(rule.major), part(rule.minor), access)));
    }
    std::string kept = RUNINK_TRY(devices->read("devices.list"));
    if (kept.starts_with("a ")) {
      return failed_precondition("{}/devices.list still says '{}' after everything was denied", devices->path(),
                                 trim(kept));
    }
    return {};
  }

  static uint64_t sum_of(std::string_view text, std::string_view kind) {
    uint64_t sum = 0;
    for (std::string_view line : split(text, '\n')) {
      std::vector<std::string_view> words = split(line, ' ');
      uint64_t bytes = 0;
      if (words.size() != 3 || words[1] != kind) continue;
      auto [end, error] = std::from_chars(words[2].data(), words[2].data() + words[2].size(), bytes);
      if (error == std::errc()) sum += bytes;
    }
    return sum;
  }

  std::vector<Part> parts_;
};

class BackendV1 : public CgroupBackend {
 public:
  explicit BackendV1(std::vector<Hierarchy> hierarchies) : hierarchies_(std::move(hierarchies)) {}

  CgroupVersion version() const override { return CgroupVersion::kV1; }

  std::vector<std::string> controllers() const override {
    std::vector<std::string> all;
    for (const Hierarchy& hierarchy : hierarchies_) {
      all.insert(all.end(), hierarchy.controllers.begin(), hierarchy.controllers.end());
    }
    std::sort(all.begin(), all.end());
    return all;
  }

  std::string describe() const override {
    return fmt::format(
        "cgroup v1, controllers {} (processes are attached while parked; no memory.high, no pressure, "
        "write limits hold for synchronous writes only)",
        join(controllers(), " "));
  }

  Status check_supported(const CgroupLimits& limits) const override { return check_limits(limits, controllers()); }

  Result<std::unique_ptr<Cgroup>> create(const std::string& name) override {
    RUNINK_RETURN_IF_ERROR(check_group_path(name));
    std::vector<std::string> made;
    Status failed;
    for (const Hierarchy& hierarchy : hierarchies_) {
      std::string path = hierarchy.base + "/" + name;
      failed = make_group_folder(path);
      // A herd's group may be there in some hierarchies alone: of a launcher that was killed while it removed it.
      const bool there = failed.code() == Code::kAlreadyExists && name.find('/') == std::string::npos;
      if (there) failed = {};
      if (!failed.ok()) break;
      if (!there) made.push_back(path);
      if (carries(hierarchy.controllers, "cpuset")) failed = inherit_cpuset(path);
      if (!failed.ok()) break;
    }
    if (failed.ok() && made.empty()) failed = already_exists("make control group {}: it is there", name);
    Result<std::unique_ptr<Cgroup>> group = failed.ok() ? adopt(name) : Result<std::unique_ptr<Cgroup>>(failed);
    if (!group.ok()) {
      for (const std::string& path : made) (void)remove_group_folder(path, 0);
    }
    return group;
  }

  Result<std::unique_ptr<Cgroup>> adopt(const std::string& name) override {
    RUNINK_RETURN_IF_ERROR(check_group_path(name));
    std::vector<GroupV1::Part> parts;
    for (const Hierarchy& hierarchy : hierarchies_) {
      std::string end = hierarchy.base.substr(hierarchy.base.rfind('/')) + "/" + name;
      parts.push_back(
          {hierarchy.controllers, RUNINK_TRY(CgroupFolder::open(hierarchy.base + "/" + name)), std::move(end)});
    }
    return std::unique_ptr<Cgroup>(std::make_unique<GroupV1>(name, std::move(parts)));
  }

  Status remove(const std::string& name) override {
    RUNINK_RETURN_IF_ERROR(check_group_path(name));
    Status first;
    for (const Hierarchy& hierarchy : hierarchies_) {
      Status removed = remove_group_folder(hierarchy.base + "/" + name, 0);
      if (first.ok() && !removed.ok()) first = std::move(removed);
    }
    return first;
  }

  // The union over all hierarchies: one that stayed behind in a single one is a leak too.
  Result<std::vector<std::string>> list(const std::string& name) const override {
    if (!name.empty()) RUNINK_RETURN_IF_ERROR(check_group_path(name));
    std::vector<std::string> all;
    for (const Hierarchy& hierarchy : hierarchies_) {
      Result<CgroupFolder> folder = CgroupFolder::open(name.empty() ? hierarchy.base : hierarchy.base + "/" + name);
      if (!folder.ok() && folder.status().code() == Code::kNotFound) continue;
      RUNINK_RETURN_IF_ERROR(folder.status());
      std::vector<std::string> below = RUNINK_TRY(folder->groups_below());
      all.insert(all.end(), below.begin(), below.end());
    }
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
  }

  Status remove_base(int64_t timeout_micros) override {
    Status first;
    for (const Hierarchy& hierarchy : hierarchies_) {
      Status removed = remove_group_folder(hierarchy.base, timeout_micros);
      if (first.ok() && !removed.ok()) first = std::move(removed);
    }
    return first;
  }

  // Makes the base folders, a part of the path at a time (a new cpuset is empty, and nothing can be in it).
  Status make_base() {
    for (const Hierarchy& hierarchy : hierarchies_) {
      for (size_t at = hierarchy.mount_point.size(); at != std::string::npos;) {
        at = hierarchy.base.find('/', at + 1);
        std::string path = hierarchy.base.substr(0, at);
        Status made = os::exists(path) ? Status() : make_group_folder(path);
        if (!made.ok() && made.code() != Code::kAlreadyExists) {
          return std::move(made).with_hint("run as root, or have the group delegated to this user");
        }
        if (carries(hierarchy.controllers, "cpuset")) RUNINK_RETURN_IF_ERROR(inherit_cpuset(path));
      }
    }
    return {};
  }

 private:
  // A new cpuset is empty, and no process can be in it. Another launcher may have made the folder a moment ago and not
  // be this far yet, so one that is there is looked at too.
  static Status inherit_cpuset(const std::string& path) {
    CgroupFolder parent = RUNINK_TRY(CgroupFolder::open(os::folder_of(path)));
    CgroupFolder folder = RUNINK_TRY(CgroupFolder::open(path));
    for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
      std::string now = RUNINK_TRY(folder.read(file));
      if (!trim(now).empty()) continue;
      std::string text = RUNINK_TRY(parent.read(file));
      RUNINK_RETURN_IF_ERROR(folder.write(file, trim(text)));
    }
    return {};
  }

  std::vector<Hierarchy> hierarchies_;
};

}  // namespace

Result<std::unique_ptr<CgroupBackend>> open_cgroups_v1(const std::vector<CgroupMount>& mounts,
                                                       std::string_view proc_cgroup, const std::string& base) {
  std::vector<Hierarchy> hierarchies;
  std::vector<std::string> taken;
  for (const CgroupMount& mount : mounts) {
    Hierarchy hierarchy;
    for (const char* controller : kControllers) {
      // Mounted twice: the first place will do.
      if (carries(mount.controllers, controller) && !carries(taken, controller))
        hierarchy.controllers.emplace_back(controller);
    }
    if (mount.v2 || hierarchy.controllers.empty()) continue;
    taken.insert(taken.end(), hierarchy.controllers.begin(), hierarchy.controllers.end());
    std::string own = group_in(proc_cgroup, hierarchy.controllers.front()).value_or("/");
    hierarchy.mount_point = mount.mount_point;
    hierarchy.base = RUNINK_TRY(base_folder(mount, own, base));
    hierarchies.push_back(std::move(hierarchy));
  }
  if (!carries(taken, "freezer")) {
    return failed_precondition("cgroup v1 has no controller 'freezer' mounted here: a group could not be killed whole")
        .with_hint("mkdir /sys/fs/cgroup/freezer && mount -t cgroup -o freezer cgroup /sys/fs/cgroup/freezer");
  }
  auto backend = std::make_unique<BackendV1>(std::move(hierarchies));
  RUNINK_RETURN_IF_ERROR(backend->make_base());
  return std::unique_ptr<CgroupBackend>(std::move(backend));
}

}  // namespace runink::sandbox
