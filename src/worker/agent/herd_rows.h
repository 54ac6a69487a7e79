// Herds that are limited, and what they use now, for people and programs. Pure.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/herd_limits.h"
#include "worker/sandbox/cgroup.h"

namespace runink::agent {

struct HerdStatus {
  model::HerdLimit limit;
  std::optional<sandbox::CgroupUsage> usage;  // absent: it has no control group now
  std::optional<Status> state;                // whether the limits hold; absent: not known yet
};

std::vector<std::pair<std::string, std::string>> herd_rows(const std::vector<HerdStatus>& herds);
// An array.
std::string herds_json(const std::vector<HerdStatus>& herds);

}  // namespace runink::agent
