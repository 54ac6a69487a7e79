#include "worker/sandbox/cgroup_v2.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/text.h"
#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "worker/sandbox/device_filter.h"

namespace runink::sandbox {
namespace {

constexpr uint64_t kPeriodMicros = 100'000;
constexpr const char* kControllers[] = {"cpu", "cpuset", "io", "memory", "pids"};

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  for (std::string_view word : split(trim(text), ' ')) {
    if (!word.empty()) out.emplace_back(word);
  }
  return out;
}

// Whether v2 with these controllers can hold the limits; the error names controller and file.
Status check_limits(const CgroupLimits& limits, const std::vector<std::string>& here) {
  RUNINK_RETURN_IF_ERROR(validate(limits));
  auto need = [&](bool wanted, const char* controller, const char* file, const char* what) -> Status {
    if (!wanted || carries(here, controller)) return {};
    return failed_precondition("{} cannot be limited: cgroup v2 does not have the controller '{}' here (file {})", what,
                               controller, file)
        .with_kind("sandbox.limit")
        .with_hint(fmt::format("enable it above: echo +{} > cgroup.subtree_control; on a hybrid host v1 holds it",
                               controller));
  };
  RUNINK_RETURN_IF_ERROR(need(limits.cpus.has_value(), "cpu", "cpu.max", "processor time"));
  RUNINK_RETURN_IF_ERROR(need(limits.cpu_weight.has_value(), "cpu", "cpu.weight", "the processor weight"));
  RUNINK_RETURN_IF_ERROR(need(limits.memory_bytes.has_value(), "memory", "memory.max", "memory"));
  RUNINK_RETURN_IF_ERROR(need(limits.memory_high_bytes.has_value(), "memory", "memory.high", "memory"));
  RUNINK_RETURN_IF_ERROR(need(limits.processes.has_value(), "pids", "pids.max", "the number of processes"));
  bool placed = !limits.cpu_set.empty() || !limits.memory_nodes.empty();
  RUNINK_RETURN_IF_ERROR(need(placed, "cpuset", "cpuset.cpus", "the set of processors"));
  return need(!limits.io.empty(), "io", "io.max", "input and output");
}

class GroupV2 : public Cgroup {
 public:
  GroupV2(std::string name, CgroupFolder folder, std::vector<std::string> controllers, std::string path_end)
      : Cgroup(std::move(name)),
        folder_(std::move(folder)),
        controllers_(std::move(controllers)),
        path_end_(std::move(path_end)) {}

  Status set_limits(const CgroupLimits& limits) override {
    RUNINK_RETURN_IF_ERROR(check_limits(limits, controllers_));
    RUNINK_RETURN_IF_ERROR(set_cpu(limits).with_context("limit processor time (controller cpu)"));
    RUNINK_RETURN_IF_ERROR(set_memory(limits).with_context("limit memory (controller memory)"));
    if (limits.processes) {
      Status set = folder_.write_verified("pids.max", std::to_string(*limits.processes));
      RUNINK_RETURN_IF_ERROR(std::move(set).with_context("limit processes (controller pids)"));
    }
    RUNINK_RETURN_IF_ERROR(set_numbers("cpuset.cpus", limits.cpu_set));
    RUNINK_RETURN_IF_ERROR(set_numbers("cpuset.mems", limits.memory_nodes));
    for (const IoLimit& limit : limits.io) {
      RUNINK_RETURN_IF_ERROR(set_io(limit).with_context("limit input and output (controller io)"));
    }
    if (limits.devices) {
      Result<os::Fd> attached = attach_device_filter(folder_.descriptor(), *limits.devices, device_filter_);
      if (!attached.ok()) return attached.status().with_context("limit the devices of " + folder_.path());
      device_filter_ = std::move(*attached);
    }
    return {};
  }

  Status lift_limits(const CgroupLimits& limits) override {
    const auto lift = [&](bool set, const char* file, const std::string& none) {
      return set ? folder_.write(file, none) : Status();
    };
    RUNINK_RETURN_IF_ERROR(lift(limits.cpus.has_value(), "cpu.max", fmt::format("max {}", kPeriodMicros)));
    RUNINK_RETURN_IF_ERROR(lift(limits.cpu_weight.has_value(), "cpu.weight", "100"));
    RUNINK_RETURN_IF_ERROR(lift(limits.swap_bytes && folder_.has("memory.swap.max"), "memory.swap.max", "max"));
    RUNINK_RETURN_IF_ERROR(lift(limits.memory_bytes.has_value(), "memory.max", "max"));
    RUNINK_RETURN_IF_ERROR(lift(limits.memory_high_bytes.has_value(), "memory.high", "max"));
    RUNINK_RETURN_IF_ERROR(lift(limits.processes.has_value(), "pids.max", "max"));
    RUNINK_RETURN_IF_ERROR(lift(!limits.cpu_set.empty(), "cpuset.cpus", "\n"));
    RUNINK_RETURN_IF_ERROR(lift(!limits.memory_nodes.empty(), "cpuset.mems", "\n"));
    for (const IoLimit& limit : limits.io) {
      std::string line = fmt::format("{}:{}", limit.major, limit.minor);
      if (limit.read_bytes_per_second) line += " rbps=max";
      if (limit.write_bytes_per_second) line += " wbps=max";
      if (limit.read_operations_per_second) line += " riops=max";
      if (limit.write_operations_per_second) line += " wiops=max";
      RUNINK_RETURN_IF_ERROR(folder_.write("io.max", line));
    }
    return {};
  }

  bool is_in_place() const override { return folder_.is_in_place(); }

  int clone_descriptor() const override { return folder_.descriptor(); }

  Status attach(pid_t pid) override {
    RUNINK_RETURN_IF_ERROR(folder_.write("cgroup.procs", std::to_string(pid)));
    return check_member(pid);
  }

  Status check_member(pid_t pid) const override {
    std::string text = RUNINK_TRY(os::read_file("/proc/" + std::to_string(pid) + "/cgroup"));
    std::optional<std::string> group = group_in(text, "");
    if (group && group->ends_with(path_end_)) return {};
    return internal_error("process {} is in group '{}', not in {}", pid, group.value_or(""), folder_.path());
  }

  Result<std::vector<os::Fd>> open_to_enter() const override { return std::vector<os::Fd>(); }

  // memory.peak can be begun anew for one open file only, and from Linux 6.12 on.
  bool reset_peak() override { return !carries(controllers_, "memory"); }

  Result<std::vector<pid_t>> processes() const override { return folder_.processes(); }

  Status kill(int64_t timeout_micros) override {
    Status killed = kill_all(timeout_micros);
    return killed.code() == Code::kNotFound ? Status() : killed;  // a group that is gone has no processes
  }

  Status freeze(int64_t timeout_micros) override {
    RUNINK_RETURN_IF_ERROR(folder_.write("cgroup.freeze", "1"));
    Result<bool> frozen = wait_for_event("frozen", 1, timeout_micros);
    if (frozen.ok() && *frozen) return {};
    RUNINK_RETURN_IF_ERROR(thaw());
    if (!frozen.ok()) return frozen.status();
    return deadline_exceeded("freeze control group {}: some process does not stop", folder_.path());
  }

  Status thaw() override { return folder_.write("cgroup.freeze", "0"); }

  Result<CgroupUsage> usage() const override {
    CgroupUsage usage = RUNINK_TRY(consumed());
    if (carries(controllers_, "memory")) {
      usage.memory_bytes = RUNINK_TRY(folder_.read_number("memory.current"));
      std::map<std::string, uint64_t> memory = RUNINK_TRY(folder_.read_table("memory.stat"));
      usage.page_faults = memory["pgfault"];
      usage.major_page_faults = memory["pgmajfault"];
    }
    if (carries(controllers_, "pids")) usage.processes = RUNINK_TRY(folder_.read_number("pids.current"));
    return usage;
  }

  Result<CgroupUsage> consumed() const override {
    CgroupUsage usage;
    std::map<std::string, uint64_t> cpu = RUNINK_TRY(folder_.read_table("cpu.stat"));
    usage.cpu_seconds = cpu["usage_usec"] / 1e6;
    usage.user_seconds = cpu["user_usec"] / 1e6;
    usage.system_seconds = cpu["system_usec"] / 1e6;
    if (carries(controllers_, "memory") && folder_.has("memory.peak")) {  // from Linux 5.19 on
      usage.memory_peak_bytes = RUNINK_TRY(folder_.read_number("memory.peak"));
    }
    if (carries(controllers_, "io")) {
      // "253:0 rbytes=4096 wbytes=0 rios=1 …" for each device.
      std::string text = RUNINK_TRY(folder_.read("io.stat"));
      usage.io_read_bytes = sum_of(text, "rbytes=");
      usage.io_write_bytes = sum_of(text, "wbytes=");
    }
    return usage;
  }

  Result<CgroupEvents> events() const override {
    CgroupEvents events;
    if (carries(controllers_, "memory")) {
      std::map<std::string, uint64_t> memory = RUNINK_TRY(folder_.read_table("memory.events"));
      events.out_of_memory_kills = memory["oom_kill"];
      events.memory_limit_hits = memory["max"];
      // Those of the groups below are in the other file, too. From Linux 5.2 on.
      const bool local = folder_.has("memory.events.local");
      events.out_of_memory = local ? RUNINK_TRY(folder_.read_table("memory.events.local"))["oom"] : memory["oom"];
      events.memory_high_hits = memory["high"];
    }
    std::map<std::string, uint64_t> cpu = RUNINK_TRY(folder_.read_table("cpu.stat"));
    events.throttled_periods = cpu["nr_throttled"];
    events.throttled_seconds = cpu["throttled_usec"] / 1e6;
    if (carries(controllers_, "pids")) events.refused_processes = RUNINK_TRY(folder_.read_table("pids.events"))["max"];
    return events;
  }

  Result<bool> was_filled() const override { return false; }

  Result<std::optional<Pressure>> pressure(PressureOf of) const override {
    const char* file = of == PressureOf::kCpu      ? "cpu.pressure"
                       : of == PressureOf::kMemory ? "memory.pressure"
                                                   : "io.pressure";
    if (!folder_.has(file)) return std::optional<Pressure>();
    Result<std::string> text = folder_.read(file);
    if (!text.ok()) return std::optional<Pressure>();  // there, but switched off (psi=0)
    return parse_pressure(*text);
  }

  Status remove(int64_t timeout_micros) override { return remove_group_folder(folder_.path(), timeout_micros); }

 private:
  Status kill_all(int64_t timeout_micros) {
    if (folder_.has("cgroup.kill")) {
      RUNINK_RETURN_IF_ERROR(folder_.write("cgroup.kill", "1"));
      if (RUNINK_TRY(wait_for_event("populated", 0, timeout_micros))) return {};
    } else if (RUNINK_TRY(kill_one_by_one(timeout_micros))) {
      return {};
    }
    size_t left = RUNINK_TRY(processes()).size();
    if (left == 0) return {};
    return deadline_exceeded("kill the processes of control group {}: {} are still there", name(), left);
  }

  Status set_cpu(const CgroupLimits& limits) {
    if (limits.cpus) {
      auto quota = static_cast<uint64_t>(std::llround(*limits.cpus * kPeriodMicros));
      RUNINK_RETURN_IF_ERROR(folder_.write_verified("cpu.max", fmt::format("{} {}", quota, kPeriodMicros)));
    }
    if (!limits.cpu_weight) return {};
    return folder_.write_verified("cpu.weight", std::to_string(*limits.cpu_weight));
  }

  Status set_memory(const CgroupLimits& limits) {
    auto set = [&](const char* file, const std::optional<uint64_t>& bytes) -> Status {
      return bytes ? folder_.write_verified(file, std::to_string(*bytes), keeps_bytes(*bytes)) : Status();
    };
    RUNINK_RETURN_IF_ERROR(set("memory.swap.max", limits.swap_bytes));
    RUNINK_RETURN_IF_ERROR(set("memory.high", limits.memory_high_bytes));
    return set("memory.max", limits.memory_bytes);
  }

  Status set_numbers(const char* file, const std::vector<uint32_t>& numbers) {
    if (numbers.empty()) return {};
    std::string wanted = number_list(numbers);
    Status set = folder_.write_verified(file, wanted, keeps_numbers(numbers));
    RUNINK_RETURN_IF_ERROR(std::move(set).with_context("choose processors (controller cpuset)"));
    // What is asked for may lie outside of what the groups above have; then v2 quietly takes something else.
    std::string effective = std::string(file) + ".effective";
    std::string text = RUNINK_TRY(folder_.read(effective.c_str()));
    if (keeps_numbers(numbers)(trim(text))) return {};
    return failed_precondition("{}/{}: {} was asked for, {} is what the groups above leave", folder_.path(), file,
                               wanted, trim(text))
        .with_kind("sandbox.limit");
  }

  Status set_io(const IoLimit& limit) {
    std::string device = fmt::format("{}:{}", limit.major, limit.minor);
    std::string line = device;
    std::vector<std::string> parts;
    auto add = [&](const char* key, const std::optional<uint64_t>& value) {
      if (value) parts.push_back(fmt::format("{}={}", key, *value));
    };
    add("rbps", limit.read_bytes_per_second);
    add("wbps", limit.write_bytes_per_second);
    add("riops", limit.read_operations_per_second);
    add("wiops", limit.write_operations_per_second);
    return folder_.write_verified("io.max", device + " " + join(parts, " "), [&](std::string_view text) {
      for (std::string_view kept : split(text, '\n')) {
        std::vector<std::string> words_kept = words(kept);
        if (words_kept.empty() || words_kept[0] != device) continue;
        return std::all_of(parts.begin(), parts.end(),
                           [&](const std::string& part) { return carries(words_kept, part); });
      }
      return false;
    });
  }

  // Until cgroup.events says so. The file is woken for poll(2) when it changes.
  Result<bool> wait_for_event(const char* event, uint64_t wanted, int64_t timeout_micros) {
    std::string path = folder_.path() + "/cgroup.events";
    os::Fd fd(::openat(folder_.descriptor(), "cgroup.events", O_RDONLY | O_CLOEXEC), path);
    if (!fd) return from_errno(errno, "open " + path);
    int64_t end = os::monotonic_nanos() + timeout_micros * 1000;
    for (;;) {
      char buffer[256];
      ssize_t got = ::pread(fd.get(), buffer, sizeof buffer, 0);
      if (got < 0) return from_errno(errno, "read " + path);
      std::string line = fmt::format("{} {}", event, wanted);
      for (std::string_view kept : split(std::string_view(buffer, static_cast<size_t>(got)), '\n')) {
        if (kept == line) return true;
      }
      int64_t left = end - os::monotonic_nanos();
      if (left <= 0) return false;
      pollfd changed = {fd.get(), POLLPRI, 0};
      ::poll(&changed, 1, static_cast<int>(std::min<int64_t>(left / 1'000'000 + 1, 1000)));
    }
  }

  // Before 5.14: whoever forks meanwhile is found in the next round.
  Result<bool> kill_one_by_one(int64_t timeout_micros) {
    return wait_until(timeout_micros, [&]() -> Result<bool> {
      std::vector<pid_t> members = RUNINK_TRY(processes());
      if (members.empty()) return true;
      RUNINK_RETURN_IF_ERROR(kill_members(folder_, members));
      return false;
    });
  }

  static uint64_t sum_of(std::string_view text, std::string_view key) {
    uint64_t sum = 0;
    for (std::string_view line : split(text, '\n')) {
      for (const std::string& word : words(line)) {
        uint64_t bytes = 0;
        if (!std::string_view(word).starts_with(key)) continue;
        auto [end, error] = std::from_chars(word.data() + key.size(), word.data() + word.size(), bytes);
        if (error == std::errc()) sum += bytes;
      }
    }
    return sum;
  }

  // some avg10=0.00 avg60=0.00 avg300=0.00 total=0
  static Pressure parse_pressure(std::string_view text) {
    Pressure pressure;
    for (std::string_view line : split(text, '\n')) {
      bool full = line.starts_with("full");
      for (const std::string& word : words(line)) {
        if (word.starts_with("avg10="))
          (full ? pressure.full_10_seconds : pressure.some_10_seconds) = std::strtod(word.c_str() + 6, nullptr);
        if (word.starts_with("total="))
          (full ? pressure.full_seconds : pressure.some_seconds) = std::strtod(word.c_str() + 6, nullptr) / 1e6;
      }
    }
    return pressure;
  }

  CgroupFolder folder_;
  std::vector<std::string> controllers_;
  std::string path_end_;
  os::Fd device_filter_;
};

class BackendV2 : public CgroupBackend {
 public:
  BackendV2(std::string base, std::vector<std::string> controllers)
      : base_(std::move(base)), controllers_(std::move(controllers)) {}

  CgroupVersion version() const override { return CgroupVersion::kV2; }
  std::vector<std::string> controllers() const override { return controllers_; }
  std::string describe() const override {
    return fmt::format("cgroup v2 at {}, controllers {}", base_,
                       controllers_.empty() ? "none" : join(controllers_, " "));
  }
  Status check_supported(const CgroupLimits& limits) const override { return check_limits(limits, controllers_); }

  Result<std::unique_ptr<Cgroup>> create(const std::string& name) override {
    RUNINK_RETURN_IF_ERROR(check_group_path(name));
    std::string path = base_ + "/" + name;
    RUNINK_RETURN_IF_ERROR(make_group_folder(path));
    // A herd's group hands its controllers on; a slice's group has processes, so it may not.
    bool herd = name.find('/') == std::string::npos;
    Status enabled = herd ? enable(path) : end_together(path);
    Result<std::unique_ptr<Cgroup>> group = enabled.ok() ? adopt(name) : Result<std::unique_ptr<Cgroup>>(enabled);
    if (!group.ok()) (void)remove_group_folder(path, 0);
    return group;
  }

  Result<std::unique_ptr<Cgroup>> adopt(const std::string& name) override {
    RUNINK_RETURN_IF_ERROR(check_group_path(name));
    CgroupFolder folder = RUNINK_TRY(CgroupFolder::open(base_ + "/" + name));
    std::string end = base_.substr(base_.rfind('/')) + "/" + name;
    return std::unique_ptr<Cgroup>(std::make_unique<GroupV2>(name, std::move(folder), controllers_, std::move(end)));
  }

  Status remove(const std::string& name) override {
    RUNINK_RETURN_IF_ERROR(check_group_path(name));
    return remove_group_folder(base_ + "/" + name, 0);
  }

  Result<std::vector<std::string>> list(const std::string& name) const override {
    if (!name.empty()) RUNINK_RETURN_IF_ERROR(check_group_path(name));
    CgroupFolder folder = RUNINK_TRY(CgroupFolder::open(name.empty() ? base_ : base_ + "/" + name));
    return folder.groups_below();
  }

  Status remove_base(int64_t timeout_micros) override { return remove_group_folder(base_, timeout_micros); }

  // From the mount point down to the base, a part at a time: made, and its parent's controllers handed to it.
  Status make_base(const std::string& mount_point) {
    RUNINK_RETURN_IF_ERROR(enable(mount_point));
    for (size_t at = mount_point.size(); at != std::string::npos;) {
      at = base_.find('/', at + 1);
      std::string path = base_.substr(0, at);
      if (!os::exists(path)) {
        Status made = make_group_folder(path);
        if (!made.ok() && made.code() != Code::kAlreadyExists) {
          return std::move(made).with_hint("run as root, or have the group delegated to this user");
        }
      }
      RUNINK_RETURN_IF_ERROR(enable(path));
    }
    return {};
  }

 private:
  // A slice that lost one of its processes is not what it was: all of them end together, also when it is its herd that
  // is out of memory. Not so the slices of a herd.
  Status end_together(const std::string& path) const {
    if (!carries(controllers_, "memory")) return {};
    const CgroupFolder folder = RUNINK_TRY(CgroupFolder::open(path));
    return folder.write_verified("memory.oom.group", "1");
  }

  Status enable(const std::string& path) const {
    if (controllers_.empty()) return {};
    CgroupFolder folder = RUNINK_TRY(CgroupFolder::open(path));
    std::string text = RUNINK_TRY(folder.read("cgroup.subtree_control"));
    std::vector<std::string> on = words(text);
    for (const std::string& controller : controllers_) {
      if (carries(on, controller)) continue;
      Status enabled = folder.write("cgroup.subtree_control", "+" + controller);
      if (!enabled.ok()) {
        return std::move(enabled).with_hint(
            "a v2 group with processes of its own cannot have limited groups below it: choose "
            "a base at the top, or let systemd put the agent into a subgroup (DelegateSubgroup=)");
      }
    }
    return {};
  }

  std::string base_;
  std::vector<std::string> controllers_;
};

}  // namespace

Result<std::vector<std::string>> controllers_v2(const CgroupMount& mount) {
  CgroupFolder top = RUNINK_TRY(CgroupFolder::open(mount.mount_point));
  std::string text = RUNINK_TRY(top.read("cgroup.controllers"));
  std::vector<std::string> there = words(text), ours;
  for (const char* controller : kControllers) {
    if (carries(there, controller)) ours.emplace_back(controller);
  }
  return ours;
}

Result<std::unique_ptr<CgroupBackend>> open_cgroups_v2(const CgroupMount& mount, std::string_view proc_cgroup,
                                                       const std::string& base) {
  std::string folder = RUNINK_TRY(base_folder(mount, group_in(proc_cgroup, "").value_or("/"), base));
  auto backend = std::make_unique<BackendV2>(std::move(folder), RUNINK_TRY(controllers_v2(mount)));
  RUNINK_RETURN_IF_ERROR(backend->make_base(mount.mount_point));
  return std::unique_ptr<CgroupBackend>(std::move(backend));
}

}  // namespace runink::sandbox
