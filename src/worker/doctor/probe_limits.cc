#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <optional>

#include "base/text.h"
#include "platform/os/file.h"
#include "worker/doctor/doctor.h"
#include "worker/doctor/probe_child.h"
#include "worker/sandbox/cgroup.h"

namespace runink::doctor {
namespace {

using sandbox::Cgroup;
using sandbox::CgroupBackend;
using sandbox::CgroupLimits;

constexpr int64_t kKillMicros = 3'000'000;
constexpr const char* kHerd = "doctor";

// A base of this probe's own, gone with the object: at the top for root, in the own group for others, to whom that may
// have been delegated.
class Base {
 public:
  static Result<Base> open() {
    const std::string name = fmt::format("runink-doctor-{}", ::getpid());
    Base base;
    base.backend_ = RUNINK_TRY(sandbox::open_cgroups(::geteuid() == 0 ? "/" + name : name));
    base.herd_ = RUNINK_TRY(base.backend_->create(kHerd));
    return base;
  }
  Base() = default;
  Base(Base&&) = default;
  ~Base() {
    if (herd_ != nullptr) (void)herd_->remove(kKillMicros);
    if (backend_ != nullptr) (void)backend_->remove_base(kKillMicros);
  }
  CgroupBackend& backend() { return *backend_; }

 private:
  std::unique_ptr<CgroupBackend> backend_;
  std::unique_ptr<Cgroup> herd_;
};

// A group for one probe, gone with the object.
class Group {
 public:
  explicit Group(CgroupBackend& backend) : made_(backend.create(std::string(kHerd) + "/probe")) {}
  ~Group() {
    if (!made_.ok()) return;
    (void)(*made_)->kill(kKillMicros);
    (void)(*made_)->remove(kKillMicros);
  }
  Status status() const { return made_.status(); }
  Cgroup& operator*() { return **made_; }
  Cgroup* operator->() { return made_->get(); }

 private:
  Result<std::unique_ptr<Cgroup>> made_;
};

// Writes the limits to a group, which reads them back.
Status try_limits(CgroupBackend& backend, const CgroupLimits& limits) {
  RUNINK_RETURN_IF_ERROR(backend.check_supported(limits));
  Group group(backend);
  RUNINK_RETURN_IF_ERROR(group.status());
  return group->set_limits(limits);
}

Finding limit_finding(const char* what, const Status& status, const char* good) {
  const std::string check = fmt::format("limit {}", what);
  if (status.ok()) return {check, Verdict::kGood, good, ""};
  return {check, Verdict::kBad, status.to_string(), status.hint()};
}

// Runs `body` inside of a group with these limits.
Result<Steps> in_group(CgroupBackend& backend, const CgroupLimits& limits, const std::function<void(Steps*)>& body) {
  Group group(backend);
  RUNINK_RETURN_IF_ERROR(group.status());
  RUNINK_RETURN_IF_ERROR(group->set_limits(limits));
  ChildOptions options;
  options.before = [&](pid_t pid) { return group->attach(pid); };
  return in_child(options, body);
}

// A second process is refused where one is the most.
Finding processes(CgroupBackend& backend) {
  CgroupLimits limits;
  limits.processes = 1;
  const auto steps = in_group(backend, limits, [](Steps* out) {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(0);
    (*out)[0] = pid > 0 ? 0 : errno;
    if (pid > 0) (void)::waitpid(pid, nullptr, 0);
  });
  if (!steps.ok()) return limit_finding("processes", steps.status(), "");
  if ((*steps)[0] == EAGAIN) return limit_finding("processes", {}, "written, read back; a process too many is refused");
  return {"limit processes", Verdict::kBad, "written and read back, and it does not hold", "another kernel"};
}

// Whoever takes more than the limit is killed.
Finding memory(CgroupBackend& backend) {
  constexpr size_t kLimit = 16u << 20;
  CgroupLimits limits;
  limits.memory_bytes = kLimit;
  // No way around it by swapping, where that is counted.
  limits.swap_bytes = 0;
  const bool swap = backend.check_supported(limits).ok() && try_limits(backend, limits).ok();
  if (!swap) limits.swap_bytes.reset();
  Group group(backend);
  Status status = group.status();
  if (status.ok()) status = group->set_limits(limits);
  if (!status.ok()) return limit_finding("memory", status, "");
  ChildOptions options;
  options.before = [&](pid_t pid) { return group->attach(pid); };
  const auto steps = in_child(options, [](Steps* out) {
    constexpr size_t kMuch = 4 * kLimit;
    void* const bytes = ::mmap(nullptr, kMuch, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes != MAP_FAILED) std::memset(bytes, 1, kMuch);
    (*out)[0] = 0;
  });
  const auto events = group->events();
  const bool killed = events.ok() && events->out_of_memory_kills > 0;
  if (!steps.ok() && killed) {
    return limit_finding("memory", {},
                         swap ? "written, read back; who takes more is killed; no swap"
                              : "written, read back; who takes more is killed");
  }
  return {"limit memory", Verdict::kBad, "written and read back, and it does not hold",
          "look whether the group above, or the kernel's command line, switches the controller off"};
}

// Of the devices a slice has, only those it was granted can be opened.
Finding devices(CgroupBackend& backend) {
  CgroupLimits limits;
  sandbox::DeviceRule null;
  null.major = 1;
  null.minor = 3;
  limits.devices = std::vector<sandbox::DeviceRule>{null};
  const auto steps = in_group(backend, limits, [](Steps* out) {
    const auto open = [](const char* path) { return ::open(path, O_RDONLY | O_CLOEXEC) >= 0 ? 0 : errno; };
    (*out)[0] = open("/dev/null");
    (*out)[1] = open("/dev/zero");
  });
  if (!steps.ok()) return limit_finding("devices", steps.status(), "");
  if ((*steps)[0] == 0 && (*steps)[1] == EPERM) {
    return limit_finding("devices", {}, "what was not granted cannot be opened");
  }
  return {"limit devices", Verdict::kBad, "written, and it does not hold", ""};
}

std::optional<sandbox::IoLimit> some_disk() {
  const auto names = os::list_directory("/sys/block");
  if (!names.ok()) return std::nullopt;
  for (const std::string& name : *names) {
    if (name.starts_with("loop") || name.starts_with("ram") || name.starts_with("zram")) continue;
    const std::string numbers = kernel_setting("/sys/block/" + name + "/dev").value_or("");
    const size_t colon = numbers.find(':');
    if (colon == std::string::npos || kernel_setting("/sys/block/" + name + "/size").value_or("0") == "0") continue;
    sandbox::IoLimit limit;
    std::from_chars(numbers.data(), numbers.data() + colon, limit.major);
    std::from_chars(numbers.data() + colon + 1, numbers.data() + numbers.size(), limit.minor);
    return limit;
  }
  return std::nullopt;
}

void disks(CgroupBackend& backend, Findings* findings) {
  const std::optional<sandbox::IoLimit> disk = some_disk();
  if (!disk) {
    findings->push_back({"limit disk", Verdict::kNote, "no disk is to be seen in /sys/block: not tried", ""});
    return;
  }
  CgroupLimits limits;
  limits.io = {*disk};
  limits.io[0].read_bytes_per_second = 100u << 20;
  findings->push_back(limit_finding("disk reads", try_limits(backend, limits), "written, read back"));
  limits.io = {*disk};
  limits.io[0].write_bytes_per_second = 100u << 20;
  findings->push_back(limit_finding("disk writes", try_limits(backend, limits), "written, read back"));
}

// Groups are ended whole.
Finding killing(CgroupBackend& backend) {
  Group group(backend);
  Status status = group.status();
  if (status.ok()) status = group->set_limits({});
  if (!status.ok()) return {"kill a group", Verdict::kBad, status.to_string(), status.hint()};
  ChildOptions options;
  Status killed;
  options.before = [&](pid_t pid) -> Status {
    RUNINK_RETURN_IF_ERROR(group->attach(pid));
    killed = group->freeze(kKillMicros);
    if (killed.ok()) killed = group->thaw();
    return {};
  };
  const auto steps = in_child(options, [](Steps* out) { (*out)[0] = 0; });
  if (killed.ok() && !steps.ok()) killed = steps.status();
  if (killed.ok()) killed = group->kill(kKillMicros);
  if (!killed.ok()) return {"stop a group", Verdict::kBad, killed.to_string(), killed.hint()};
  return {"stop a group", Verdict::kGood, "frozen, thawed, and ended whole", ""};
}

void each_limit(CgroupBackend& backend, Findings* findings) {
  const auto plain = [&](const char* what, auto set, const char* good = "written, read back") {
    CgroupLimits limits;
    set(limits);
    findings->push_back(limit_finding(what, try_limits(backend, limits), good));
  };
  plain("processor time", [](CgroupLimits& limits) { limits.cpus = 0.5; });
  plain("processor weight", [](CgroupLimits& limits) { limits.cpu_weight = 50; });
  plain("processor set", [](CgroupLimits& limits) { limits.cpu_set = {0}; });
  findings->push_back(memory(backend));
  plain("memory high mark", [](CgroupLimits& limits) { limits.memory_high_bytes = 16u << 20; });
  plain("swap", [](CgroupLimits& limits) {
    limits.memory_bytes = 16u << 20;
    limits.swap_bytes = 0;
  });
  plain("memory nodes", [](CgroupLimits& limits) { limits.memory_nodes = {0}; });
  findings->push_back(processes(backend));
  disks(backend, findings);
  findings->push_back(devices(backend));
  findings->push_back(killing(backend));
}

}  // namespace

void probe_limits(Findings* findings) {
  auto base = Base::open();
  if (!base.ok()) {
    std::string advice = base.status().hint();
    if (::geteuid() != 0) {
      advice =
          "start slices as root, or have a cgroup v2 group delegated to this user: systemd-run --user --scope -p "
          "Delegate=yes";
    }
    findings->push_back({"limits", Verdict::kBad, base.status().to_string(), advice});
    return;
  }
  findings->push_back({"control groups", Verdict::kGood, base->backend().describe(), ""});
  each_limit(base->backend(), findings);
}

}  // namespace runink::doctor
