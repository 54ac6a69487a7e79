#include "worker/agent/group_usage.h"

#include <utility>

namespace runink::agent {
namespace {

constexpr const char* kBase = "/runink";  // where launchers make groups

}  // namespace

std::unique_ptr<sandbox::Cgroup> GroupUsage::find(const std::string& group) {
  if (group.empty()) return nullptr;
  if (!std::exchange(tried_, true)) {
    auto backend = sandbox::open_cgroups(kBase);
    if (backend.ok()) backend_ = std::move(*backend);
  }
  if (!backend_) return nullptr;
  auto found = backend_->adopt(group);
  return found.ok() ? std::move(*found) : nullptr;
}

std::optional<sandbox::CgroupUsage> GroupUsage::usage(const std::string& group) {
  const auto found = find(group);
  if (!found) return std::nullopt;
  auto usage = found->usage();
  return usage.ok() ? std::optional(std::move(*usage)) : std::nullopt;
}

std::optional<sandbox::CgroupEvents> GroupUsage::events(const std::string& group) {
  const auto found = find(group);
  if (!found) return std::nullopt;
  auto events = found->events();
  return events.ok() ? std::optional(std::move(*events)) : std::nullopt;
}

}  // namespace runink::agent
