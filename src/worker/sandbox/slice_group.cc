#include "worker/sandbox/slice_group.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/text.h"
#include "platform/os/process.h"
#include "worker/sandbox/group_limits.h"

namespace runink::sandbox {
namespace {

// "PID.TICKS.NUMBER", the first two of the launcher: whose group it is can be told after the pid has been used again.
bool launcher_is_gone(const std::string& name) {
  const std::vector<std::string_view> parts = split(name, '.');
  os::ProcessIdentity launcher;
  if (parts.size() != 3) return false;
  const auto read = [](std::string_view text, auto* number) {
    return std::from_chars(text.data(), text.data() + text.size(), *number).ec == std::errc();
  };
  return read(parts[0], &launcher.pid) && read(parts[1], &launcher.start_ticks) && !os::is_alive(launcher);
}

// A launcher that was killed could not remove its slices' groups; the slices have ended with it.
void remove_abandoned(CgroupBackend* backend) {
  const auto herds = backend->list("");
  if (!herds.ok()) return;
  for (const std::string& herd : *herds) {
    const auto names = backend->list(herd);
    if (!names.ok()) continue;
    for (const std::string& name : *names) {
      if (!launcher_is_gone(name)) continue;
      auto group = backend->adopt(fmt::format("{}/{}", herd, name));
      if (group.ok()) (void)(*group)->remove(0);
    }
  }
}

int64_t micros(double seconds) { return static_cast<int64_t>(seconds * 1e6); }

template <typename Number>
std::optional<Number> difference(const std::optional<Number>& now, const std::optional<Number>& before) {
  if (!now) return std::nullopt;
  return *now - std::min(*now, before.value_or(0));
}

}  // namespace

const std::string& SliceGroup::name() const {
  static const std::string none;
  return group_ ? group_->name() : none;
}

Result<std::vector<os::Fd>> SliceGroup::open_to_enter() const {
  if (!group_) return std::vector<os::Fd>();
  return group_->open_to_enter();
}

Status SliceGroup::limit(const model::SliceResources& resources, std::optional<std::vector<DeviceRule>> devices) {
  RUNINK_CHECK(group_ != nullptr);
  if (resources_ == resources && !devices) return {};
  limits_ = RUNINK_TRY(limit_group(resources, std::move(devices), group_.get()));
  resources_ = resources;
  return {};
}

Status SliceGroup::is_limited_to(const model::SliceResources& resources) {
  limits_ = RUNINK_TRY(limits_of(resources));
  resources_ = resources;
  return {};
}

bool SliceGroup::can_hold(const model::SliceResources& resources) const {
  if (!resources_) return true;
  const model::SliceResources& now = *resources_;
  const auto stays = [](const auto& before, const auto& after) { return !before || after; };
  const auto lists = [](const auto& before, const auto& after) { return before.empty() || !after.empty(); };
  return stays(now.cpus, resources.cpus) && stays(now.cpu_weight, resources.cpu_weight) &&
         stays(now.memory_bytes, resources.memory_bytes) && stays(now.memory_high_bytes, resources.memory_high_bytes) &&
         stays(now.processes, resources.processes) && lists(now.cpu_set, resources.cpu_set) &&
         lists(now.memory_nodes, resources.memory_nodes) && (now.io.empty() || now.io == resources.io);
}

Status SliceGroup::begin_counting() {
  if (!group_) return {};
  usage_before_ = RUNINK_TRY(group_->usage());
  events_before_ = RUNINK_TRY(group_->events());
  return {};
}

std::vector<std::string> SliceGroup::limits_hit() const {
  if (!group_) return {};
  auto events = group_->events();
  if (!events.ok()) return {};
  events->out_of_memory_kills -= events_before_.out_of_memory_kills;
  events->memory_limit_hits -= events_before_.memory_limit_hits;
  events->memory_high_hits -= events_before_.memory_high_hits;
  events->throttled_periods -= events_before_.throttled_periods;
  events->throttled_seconds -= events_before_.throttled_seconds;
  events->refused_processes -= events_before_.refused_processes;
  return describe(*events, limits_);
}

void SliceGroup::add_usage(SliceUsage* usage) const {
  if (!group_) return;
  const auto now = group_->usage();
  if (!now.ok()) return;
  usage->user_micros = micros(now->user_seconds - usage_before_.user_seconds);
  usage->system_micros = micros(now->system_seconds - usage_before_.system_seconds);
  if (now->memory_peak_bytes) usage->peak_memory_bytes = now->memory_peak_bytes;
  if (now->io_read_bytes) usage->io_read_bytes = difference(now->io_read_bytes, usage_before_.io_read_bytes);
  if (now->io_write_bytes) usage->io_write_bytes = difference(now->io_write_bytes, usage_before_.io_write_bytes);
}

bool SliceGroup::try_remove() {
  if (!group_) return true;
  if (!group_->remove(0).ok()) return false;
  group_.reset();
  return true;
}

Status SliceGroups::open() {
  if (backend_) return {};
  backend_ = RUNINK_TRY(open_cgroups(kGroupBase));
  remove_abandoned(backend_.get());
  return {};
}

Result<SliceGroup> SliceGroups::make(const std::string& herd) {
  RUNINK_RETURN_IF_ERROR(open());
  // A launcher can have several processes that make groups, one after the other.
  const std::string name =
      fmt::format("{}/{}.{}.{}-{}", herd, launcher_.pid, launcher_.start_ticks, ::getpid(), count_++);
  auto group = backend_->create(name);
  for (int tries = 0; tries < 20 && group.status().code() == Code::kNotFound; ++tries) {
    // The first of the herd, or another launcher has just removed the herd's, and may do so again.
    auto made = backend_->create(herd);
    if (!made.ok() && made.status().code() != Code::kAlreadyExists) return std::move(made).status();
    group = backend_->create(name);
  }
  SliceGroup out;
  out.group_ = RUNINK_TRY(std::move(group));
  if (std::find(herds_.begin(), herds_.end(), herd) == herds_.end()) herds_.push_back(herd);
  return out;
}

Result<SliceGroup> SliceGroups::adopt(const std::string& name) {
  if (!backend_) backend_ = RUNINK_TRY(open_cgroups(kGroupBase));
  SliceGroup out;
  out.group_ = RUNINK_TRY(backend_->adopt(name));
  return out;
}

void SliceGroups::remove_herds() {
  for (const std::string& herd : herds_) {
    auto group = backend_->adopt(herd);
    if (group.ok()) (void)(*group)->remove(0);
  }
  herds_.clear();
}

}  // namespace runink::sandbox
