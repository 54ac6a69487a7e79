#include "worker/sandbox/slice_group.h"

#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <charconv>
#include <utility>

#include "base/text.h"
#include "platform/os/process.h"

namespace runink::sandbox {
namespace {

constexpr const char* kBase = "/runink";
constexpr const char* kHerd = "exec";
constexpr int64_t kRemovalMicros = 2'000'000;

// "PID.TICKS.COUNT" of the launcher: whose group it is can be told after the pid has been used again.
std::string group_name() {
  static std::atomic<uint64_t> count{0};
  const os::ProcessIdentity self = os::current_process();
  return fmt::format("{}/{}.{}.{}", kHerd, self.pid, self.start_ticks, count.fetch_add(1));
}

bool launcher_is_gone(const std::string& name) {
  const std::vector<std::string_view> parts = split(name, '.');
  os::ProcessIdentity launcher;
  if (parts.size() != 3) return false;
  const auto read = [](std::string_view text, auto* number) {
    return std::from_chars(text.data(), text.data() + text.size(), *number).ec == std::errc();
  };
  return read(parts[0], &launcher.pid) && read(parts[1], &launcher.start_ticks) && !os::is_alive(launcher);
}

// A launcher that was killed could not remove its slice's group; the slice has ended with it.
void remove_abandoned(CgroupBackend* backend) {
  const auto names = backend->list(kHerd);
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (!launcher_is_gone(name)) continue;
    auto group = backend->adopt(fmt::format("{}/{}", kHerd, name));
    if (group.ok()) (void)(*group)->remove(0);
  }
}

CgroupLimits limits_of(const model::SliceResources& resources, const CgroupBackend& backend) {
  CgroupLimits limits;
  limits.cpus = resources.cpus;
  limits.memory_bytes = resources.memory_bytes;
  limits.processes = resources.processes;
  if (!limits.memory_bytes) return limits;
  // No way around the limit by swapping, where the kernel counts that.
  limits.swap_bytes = 0;
  if (!backend.check_supported(limits).ok()) limits.swap_bytes.reset();
  return limits;
}

}  // namespace

Result<SliceGroup> SliceGroup::make(const model::SliceResources& resources) {
  SliceGroup made;
  made.backend_ = RUNINK_TRY(open_cgroups(kBase));
  made.limits_ = limits_of(resources, *made.backend_);
  RUNINK_RETURN_IF_ERROR(made.backend_->check_supported(made.limits_));
  auto herd = made.backend_->create(kHerd);
  if (!herd.ok() && herd.status().code() != Code::kAlreadyExists) return std::move(herd).status();
  remove_abandoned(made.backend_.get());
  made.group_ = RUNINK_TRY(made.backend_->create(group_name()));
  RUNINK_RETURN_IF_ERROR(made.group_->set_limits(made.limits_));  // else the destructor removes it
  return made;
}

SliceGroup& SliceGroup::operator=(SliceGroup&& other) noexcept {
  if (this == &other) return *this;
  remove();
  backend_ = std::move(other.backend_);
  group_ = std::move(other.group_);
  limits_ = std::move(other.limits_);
  return *this;
}

SliceGroup::~SliceGroup() { remove(); }

void SliceGroup::remove() {
  if (group_) (void)group_->remove(kRemovalMicros);
  group_.reset();
}

Status SliceGroup::attach(pid_t pid) {
  if (!group_ || group_->clone_descriptor() >= 0) return {};
  return group_->attach(pid);
}

std::vector<std::string> SliceGroup::limits_hit() const {
  if (!group_) return {};
  const auto events = group_->events();
  return events.ok() ? describe(*events, limits_) : std::vector<std::string>();
}

}  // namespace runink::sandbox
