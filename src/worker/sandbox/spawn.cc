#include "worker/sandbox/spawn.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "worker/sandbox/child.h"
#include "worker/sandbox/orders.h"
#include "worker/sandbox/raw_calls.h"
#include "worker/sandbox/seccomp.h"
#include "worker/sandbox/slice_errors.h"
#include "worker/sandbox/sources.h"
#include "worker/sandbox/user_namespace.h"
#include "worker/wire/framing.h"

namespace runink::sandbox {
namespace {

const Operation* find(const Operations& operations, Action action) {
  const auto at = std::find_if(operations.list.begin(), operations.list.end(),
                               [&](const Operation& operation) { return operation.action == action; });
  return at == operations.list.end() ? nullptr : &*at;
}

class Spawn {
 public:
  Spawn(const ParkingClass& parking, const Operations& operations, SliceHoldings* holdings)
      : parking_(parking), operations_(operations), holdings_(holdings), root_(find(operations, Action::kPickIds)) {}

  Status prepare(const model::SliceResources& resources, SpawnMakers* makers) {
    if (parking_.limited) {
      group_ = RUNINK_TRY(makers->groups.make(parking_.herd));
      holdings_->group = group_.name();
      if (resources.any()) RUNINK_RETURN_IF_ERROR(group_.limit(resources));
    }
    if (root_) holdings_->ids = RUNINK_TRY(makers->ids.take());
    group_files_ = RUNINK_TRY(group_.open_to_enter());
    for (const MountSource& source : operations_.sources) {
      OpenSource open = RUNINK_TRY(open_source(source));
      if (root_) {
        RUNINK_RETURN_IF_ERROR(clone_source(source, holdings_->ids.first(), parking_.user, parking_.group, &open));
      }
      sources_.push_back(std::move(open));
    }
    return {};
  }

  Result<SpawnedSlice> make(SpawnParent parent) {
    auto [mine, its] = RUNINK_TRY(wire::Channel::make_pair());
    SpawnedSlice slice{.first_id = holdings_->ids.first(), .group = holdings_->group};
    RUNINK_RETURN_IF_ERROR(clone(its.descriptor(), parent, &slice));
    Status mapped = map(slice.pid);
    if (mapped.ok()) mapped = mine.send(static_cast<uint16_t>(OrderType::kGo), 0, {});
    // Had it not been told to go, the end of its socket ends it.
    RUNINK_RETURN_IF_ERROR(std::move(mapped));
    holdings_->ids.leave_to_copies();
    slice.init = mine.release();
    return slice;
  }

 private:
  // The child begins with all signals blocked: process 1 takes those it wants, and the program has its own mask.
  Status clone(int launcher, SpawnParent parent, SpawnedSlice* slice) {
    ParkOrder order{.operations = &operations_, .launcher = launcher, .ids_lock = holdings_->ids.lock()};
    for (const os::Fd& file : group_files_) order.group_files.push_back(file.get());
    for (const OpenSource& open : sources_) order.sources.push_back({open.tree.get(), open.device, open.inode});
    const Operation& operation = *find(operations_, Action::kClone);
    int descriptor = -1;
    clone_args arguments = {};
    arguments.flags = operation.number | CLONE_PIDFD;
    if (parent == SpawnParent::kItsParent) {
      arguments.flags |= CLONE_PARENT;  // with it goes the signal of this process's own end: SIGCHLD
    } else {
      arguments.exit_signal = SIGCHLD;
    }
    if (group_.clone_descriptor() >= 0) {
      arguments.flags |= CLONE_INTO_CGROUP;
      arguments.cgroup = static_cast<uint64_t>(group_.clone_descriptor());
    }
    arguments.pidfd = reinterpret_cast<uint64_t>(&descriptor);
    (void)default_filter();  // made here once, and not in each child
    sigset_t all, before;
    ::sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, &before);
    // An ordinary user may write the maps of a process only that may be looked into. It is born so, and ends that
    // itself (kTieToLauncher).
    if (!root_) (void)::prctl(PR_SET_DUMPABLE, 1);
    const auto pid = static_cast<pid_t>(raw::clone3(&arguments));
    if (pid == 0) run_init(order);
    const int error = errno;
    if (!root_) (void)::prctl(PR_SET_DUMPABLE, 0);
    ::sigprocmask(SIG_SETMASK, &before, nullptr);
    if (pid < 0) return clone_failed(operation, error);
    slice->pid = pid;
    slice->pidfd = os::Fd(descriptor, "slice");
    return {};
  }

  Status map(pid_t pid) {
    IdMap users = {0, holdings_->ids.first(), model::kSliceIds}, groups = users;
    if (!root_) {
      users = {parking_.user, ::geteuid(), 1};
      groups = {parking_.group, ::getegid(), 1};
    }
    RUNINK_RETURN_IF_ERROR(forget_oom_protection(pid));
    return map_ids(pid, users, groups, !root_).with_context(find(operations_, Action::kMapIds)->says);
  }

  const ParkingClass& parking_;
  const Operations& operations_;
  SliceHoldings* holdings_;
  const bool root_;
  SliceGroup group_;
  std::vector<os::Fd> group_files_;
  std::vector<OpenSource> sources_;
};

}  // namespace

Result<SpawnedSlice> spawn_slice(const ParkingClass& parking, const Operations& operations,
                                 const model::SliceResources& resources, SpawnParent parent, SpawnMakers* makers,
                                 SliceHoldings* holdings) {
  Spawn spawn(parking, operations, holdings);
  RUNINK_RETURN_IF_ERROR(spawn.prepare(resources, makers));
  return spawn.make(parent);
}

}  // namespace runink::sandbox
