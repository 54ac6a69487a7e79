#include "worker/sandbox/slice_group.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "platform/os/process.h"
#include "worker/sandbox/group_limits.h"
#include "worker/sandbox/leftovers.h"
#include "worker/sandbox/node_size.h"

namespace runink::sandbox {
namespace {

// What the names of a launcher's groups begin with.
std::string prefix_of(const os::ProcessIdentity& launcher) {
  return fmt::format("{}.{}.", launcher.pid, launcher.start_ticks);
}

int64_t micros(double seconds) { return static_cast<int64_t>(seconds * 1e6); }

bool was_filled(const Cgroup& group) {
  const auto filled = group.was_filled();
  return filled.ok() && *filled;
}

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
  if (resources_) RUNINK_RETURN_IF_ERROR(group_->lift_limits(left_out(limits_, RUNINK_TRY(limits_of(resources)))));
  limits_ = RUNINK_TRY(limit_group(resources, std::move(devices), group_.get()));
  resources_ = resources;
  return {};
}

Status SliceGroup::is_limited_to(const model::SliceResources& resources) {
  limits_ = RUNINK_TRY(limits_of(resources));
  resources_ = resources;
  return {};
}

Status SliceGroup::begin_counting() {
  if (!group_) return {};
  usage_before_ = RUNINK_TRY(group_->consumed());
  events_before_ = RUNINK_TRY(group_->events());
  if (herd_) herd_events_before_.out_of_memory = RUNINK_TRY(herd_->events()).out_of_memory;
  return {};
}

std::vector<std::string> SliceGroup::limits_hit() const {
  if (!group_) return {};
  auto events = group_->events();
  if (!events.ok()) return {};
  events->out_of_memory_kills -= events_before_.out_of_memory_kills;
  events->out_of_memory -= events_before_.out_of_memory;
  events->memory_limit_hits -= events_before_.memory_limit_hits;
  events->memory_high_hits -= events_before_.memory_high_hits;
  events->throttled_periods -= events_before_.throttled_periods;
  events->throttled_seconds -= events_before_.throttled_seconds;
  events->refused_processes -= events_before_.refused_processes;
  std::vector<std::string> lines;
  if (herd_) {
    HerdEvents of_herd = herd_events_before_;
    of_herd.out_of_memory = 0;
    if (events->out_of_memory_kills > 0) {
      events->filled = was_filled(*group_);
      if (const auto now = herd_->events(); now.ok()) {
        const bool filled = was_filled(*herd_);
        of_herd.out_of_memory = filled ? 1 : now->out_of_memory - herd_events_before_.out_of_memory;
      }
    }
    lines = describe_herd(of_herd, limits_, &*events);
  }
  for (std::string& line : describe(*events, limits_)) lines.push_back(std::move(line));
  return lines;
}

void SliceGroup::add_usage(SliceUsage* usage) const {
  if (!group_) return;
  const auto now = group_->consumed();
  if (!now.ok()) return;
  usage->user_micros = micros(now->user_seconds - usage_before_.user_seconds);
  usage->system_micros = micros(now->system_seconds - usage_before_.system_seconds);
  if (now->memory_peak_bytes) usage->peak_memory_bytes = now->memory_peak_bytes;
  if (now->io_read_bytes) usage->io_read_bytes = difference(now->io_read_bytes, usage_before_.io_read_bytes);
  if (now->io_write_bytes) usage->io_write_bytes = difference(now->io_write_bytes, usage_before_.io_write_bytes);
}

Status SliceGroups::open() {
  if (backend_) return {};
  backend_ = RUNINK_TRY(open_cgroups(kGroupBase));
  // A launcher that was killed could not remove its slices' groups; the slices have ended with it. A spawner that was
  // killed had not told of some that it made; those that are in use stay.
  for (const std::string& name : all_groups()) {
    const std::string herd = name.substr(0, name.find('/')), group = name.substr(herd.size() + 1);
    const bool own = group.starts_with(prefix_of(launcher_));
    if (own && std::find(herds_.begin(), herds_.end(), herd) == herds_.end()) herds_.push_back(herd);
    if (own || launcher_is_gone(group)) (void)remove(name);
  }
  // Also herds' groups that nobody removed with their last slice; one that somebody else limits, he makes again.
  if (const auto herds = backend_->list(""); herds.ok()) {
    for (const std::string& herd : *herds) (void)backend_->remove(herd);
  }
  return {};
}

std::vector<std::string> SliceGroups::all_groups() const {
  std::vector<std::string> out;
  const auto herds = backend_->list("");
  if (!herds.ok()) return out;
  for (const std::string& herd : *herds) {
    const auto names = backend_->list(herd);
    if (!names.ok()) continue;
    for (const std::string& name : *names) out.push_back(herd + "/" + name);
  }
  return out;
}

std::vector<std::string> SliceGroups::all_of_launcher() const {
  if (!backend_) return {};
  std::vector<std::string> out = all_groups();
  std::erase_if(
      out, [&](const std::string& name) { return !name.substr(name.find('/') + 1).starts_with(prefix_of(launcher_)); });
  return out;
}

bool SliceGroups::remove(const std::string& name) { return !backend_ || backend_->remove(name).ok(); }

Status SliceGroups::make_herd(const std::string& name) {
  if (std::find(herds_.begin(), herds_.end(), name) == herds_.end()) herds_.push_back(name);
  auto made = backend_->create(name);
  return made.ok() || made.status().code() == Code::kAlreadyExists ? Status() : std::move(made).status();
}

Status SliceGroups::hold(const std::string& name, Herd* herd) {
  if (herd->holds && herd->group->is_in_place()) return {};
  RUNINK_RETURN_IF_ERROR(open());
  herd->holds = false;
  for (int tries = 0; herd->group == nullptr || !herd->group->is_in_place(); ++tries) {
    RUNINK_RETURN_IF_ERROR(make_herd(name));
    auto group = backend_->adopt(name);
    if (!group.ok() && (group.status().code() != Code::kNotFound || tries == 20)) return std::move(group).status();
    if (!group.ok()) continue;
    herd->group = std::move(*group);
    herd->set = {};
  }
  RUNINK_RETURN_IF_ERROR(check_fits(herd->resources, read_node_size()));
  const CgroupLimits wanted = RUNINK_TRY(limits_of(herd->resources));
  RUNINK_RETURN_IF_ERROR(herd->group->lift_limits(left_out(herd->set, wanted)));
  herd->set = wanted;
  herd->set = RUNINK_TRY(limit_group(herd->resources, {}, herd->group.get()));
  herd->holds = true;
  return {};
}

void SliceGroups::lift(Herd* herd) {
  if (herd->group && herd->group->is_in_place()) (void)herd->group->lift_limits(herd->set);
}

std::vector<HerdState> SliceGroups::limit_herds(const std::vector<model::HerdLimit>& limits) {
  std::map<std::string, Herd> before = std::exchange(limited_, {});
  std::vector<HerdState> states;
  for (const model::HerdLimit& limit : limits) {
    Herd& herd = limited_[limit.herd];
    if (const auto at = before.find(limit.herd); at != before.end()) {
      herd = std::move(at->second);
      before.erase(at);
    }
    herd.holds = herd.holds && herd.resources == limit.resources;
    herd.resources = limit.resources;
    states.push_back({.herd = limit.herd, .status = hold(limit.herd, &herd)});
  }
  for (auto& [name, herd] : before) lift(&herd);
  return states;
}

void SliceGroups::know_herds(const std::vector<model::HerdLimit>& limits) {
  limited_.clear();
  for (const model::HerdLimit& limit : limits) limited_[limit.herd].resources = limit.resources;
}

Result<SliceGroup> SliceGroups::make(const std::string& herd) {
  RUNINK_RETURN_IF_ERROR(open());
  // A launcher can have several processes that make groups, one after the other.
  const std::string name = fmt::format("{}/{}{}-{}", herd, prefix_of(launcher_), ::getpid(), count_++);
  const auto limited = limited_.find(herd);
  SliceGroup out;
  for (int tries = 0; !out.group_; ++tries) {
    if (limited != limited_.end()) {
      RUNINK_RETURN_IF_ERROR(hold(herd, &limited->second).with_context("limit the herd " + herd));
    }
    auto group = backend_->create(name);
    if (!group.ok()) {
      if (group.status().code() != Code::kNotFound || tries == 20) return std::move(group).status();
      // The first of the herd, or another launcher has just removed the herd's, and may do so again.
      RUNINK_RETURN_IF_ERROR(make_herd(herd));
      continue;
    }
    out.group_ = std::move(*group);
    // From here on nobody removes the herd's group; but it may be another than the one that is limited.
    if (limited == limited_.end() || limited->second.group->is_in_place()) break;
    (void)out.group_->remove(0);
    out.group_.reset();
    if (tries == 20) {
      return aborted("make a control group in the herd {}: others remove the herd's again and again", herd);
    }
  }
  if (std::find(herds_.begin(), herds_.end(), herd) == herds_.end()) herds_.push_back(herd);
  return out;
}

Result<SliceGroup> SliceGroups::adopt(const std::string& name) {
  if (!backend_) backend_ = RUNINK_TRY(open_cgroups(kGroupBase));
  SliceGroup out;
  out.group_ = RUNINK_TRY(backend_->adopt(name));
  const std::string herd = name.substr(0, name.find('/'));
  if (const auto at = limited_.find(herd); at != limited_.end()) {
    std::shared_ptr<Cgroup>& group = at->second.group;
    if (!group || !group->is_in_place()) group = RUNINK_TRY(backend_->adopt(herd));
    out.herd_ = group;
    out.herd_events_before_ = {.herd = herd, .limits = RUNINK_TRY(limits_of(at->second.resources))};
  }
  return out;
}

void SliceGroups::remove_herds() {
  for (const std::string& herd : herds_) {
    auto group = backend_->adopt(herd);
    if (!group.ok() || (*group)->remove(0).ok()) continue;
    // Others have slices in it.
    if (const auto at = limited_.find(herd); at != limited_.end()) lift(&at->second);
  }
  herds_.clear();
  limited_.clear();
}

}  // namespace runink::sandbox
