// The control group of one slice that has limits: made before it, in its herd's, and removed after it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/herd_limits.h"
#include "model/slice_spec.h"
#include "platform/os/process.h"
#include "worker/sandbox/cgroup.h"
#include "worker/sandbox/herd_state.h"
#include "worker/sandbox/slice_end.h"

namespace runink::sandbox {

// The folder below which the groups of slices lie, as <herd>/<slice>.
inline constexpr const char* kGroupBase = "/runink";

// Move-only. The destructor leaves the group, which its launcher's spawner removes.
class SliceGroup {
 public:
  SliceGroup() = default;
  SliceGroup(SliceGroup&&) noexcept = default;
  SliceGroup& operator=(SliceGroup&&) noexcept = default;

  bool exists() const { return group_ != nullptr; }
  const std::string& name() const;  // "herd/slice"; "" without a group
  // For CLONE_INTO_CGROUP; -1 where process 1 enters it by itself (cgroup v1), or without a group.
  int clone_descriptor() const { return group_ ? group_->clone_descriptor() : -1; }
  // By writing to which it does so.
  Result<std::vector<os::Fd>> open_to_enter() const;
  Status check_member(pid_t pid) const { return group_ ? group_->check_member(pid) : Status(); }

  // All these limits and no others, written and read back; on an error none can be relied on. Costs nothing where they
  // are there already. `devices`: all that may be opened, if that is limited.
  Status limit(const model::SliceResources& resources, std::optional<std::vector<DeviceRule>> devices = {});
  // Another process has limited it so.
  Status is_limited_to(const model::SliceResources& resources);
  // What limits_hit() and add_usage() tell begins here.
  Status begin_counting();
  // Whether it can serve another slice: what was counted can be told apart from what is to come.
  bool can_begin_anew() { return group_ == nullptr || group_->reset_peak(); }

  // A sentence for each limit that the slice ran into.
  std::vector<std::string> limits_hit() const;
  // Adds what the group knows of it to what is known otherwise.
  void add_usage(SliceUsage* usage) const;

 private:
  friend class SliceGroups;

  std::unique_ptr<Cgroup> group_;
  std::shared_ptr<Cgroup> herd_;  // where the herd is limited
  HerdEvents herd_events_before_;
  std::optional<model::SliceResources> resources_;  // that it is limited to
  CgroupLimits limits_;
  CgroupUsage usage_before_;
  CgroupEvents events_before_;
};

// Makes them. Root only. One per launcher; must outlive the groups.
class SliceGroups {
 public:
  // `launcher`: whose slices' groups are to be told from those of launchers that were killed.
  explicit SliceGroups(os::ProcessIdentity launcher = os::current_process()) : launcher_(std::move(launcher)) {}

  // These herds are limited so from now on, and no others: their groups are made, limited, and held. Where that cannot
  // be done now, make() tries again, and makes nothing in that herd until it can.
  std::vector<HerdState> limit_herds(const std::vector<model::HerdLimit>& limits);
  // Another process does that; adopt() is told for what its groups have to say of their herds.
  void know_herds(const std::vector<model::HerdLimit>& limits);

  // Also removes groups that launchers left which were killed. What makes groups calls it by itself; a process that
  // takes the place of another, and removes groups it has not made, has to.
  Status open();
  Result<SliceGroup> make(const std::string& herd);
  // One that another process made, by name.
  Result<SliceGroup> adopt(const std::string& name);
  // True once nothing is left of the group in any hierarchy (or there was nothing): as soon as no process is in it.
  bool remove(const std::string& name);
  // Those of its launcher's slices, whoever made them.
  std::vector<std::string> all_of_launcher() const;
  // Herds' groups that hold no slice any more.
  void remove_herds();

 private:
  struct Herd {
    model::SliceResources resources;
    std::shared_ptr<Cgroup> group;
    CgroupLimits set;    // in the group, or tried to be
    bool holds = false;  // all of them
  };

  std::vector<std::string> all_groups() const;
  Status make_herd(const std::string& name);
  // Another launcher may remove the group of a herd that has no slices, and make another.
  Status hold(const std::string& name, Herd* herd);
  void lift(Herd* herd);

  const os::ProcessIdentity launcher_;
  std::unique_ptr<CgroupBackend> backend_;
  std::map<std::string, Herd> limited_;
  std::vector<std::string> herds_;
  uint64_t count_ = 0;
};

}  // namespace runink::sandbox
