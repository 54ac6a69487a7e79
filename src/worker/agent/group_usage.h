// What running slices use, as their control groups count it. Threads: one at a time.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "worker/sandbox/cgroup.h"

namespace runink::agent {

class GroupUsage {
 public:
  // `group`: as the launcher names it ("herd/slice"); "" has none. Absent where the group has gone.
  std::optional<sandbox::CgroupUsage> usage(const std::string& group);
  std::optional<sandbox::CgroupEvents> events(const std::string& group);

 private:
  std::unique_ptr<sandbox::Cgroup> find(const std::string& group);
  std::unique_ptr<sandbox::CgroupBackend> backend_;
  bool tried_ = false;
};

}  // namespace runink::agent
