// Process 1 of a slice, made: in its control group, with its own users, and everything opened that it is to see.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "base/status.h"
#include "model/slice_resources.h"
#include "platform/os/fd.h"
#include "worker/sandbox/id_range.h"
#include "worker/sandbox/operations.h"
#include "worker/sandbox/slice_group.h"

namespace runink::sandbox {

// What of a slice its launcher has to know.
struct SpawnedSlice {
  pid_t pid = -1;  // of process 1, on the host
  os::Fd pidfd;
  os::Fd init;            // the socket to process 1, which sets its slice up by itself from now on
  uint32_t first_id = 0;  // its users and groups on the host begin here; 0 where it has none of its own
  std::string group;      // its control group; empty without
};

// What a slice holds on this host besides its processes: to be given back when the last of them has ended.
struct SliceHoldings {
  IdRange ids;
  std::string group;  // its control group's name; empty without
};

struct SpawnMakers {
  SpawnMakers() = default;
  explicit SpawnMakers(os::ProcessIdentity launcher) : groups(std::move(launcher)) {}
  IdRanges ids;
  SliceGroups groups;
};

// Who becomes the parent of process 1, which it dies with, and which alone can wait for it.
enum class SpawnParent { kThisProcess, kItsParent };

// Operations are those of plan_parking; `resources` are written before anything runs in the group. This process has one
// thread: process 1 is a copy of it. After an error its control group may be left, for a moment.
Result<SpawnedSlice> spawn_slice(const ParkingClass& parking, const Operations& operations,
                                 const model::SliceResources& resources, SpawnParent parent, SpawnMakers* makers,
                                 SliceHoldings* holdings);

}  // namespace runink::sandbox
