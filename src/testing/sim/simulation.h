// Runs a whole cluster with clients through sixty or more simulated seconds of faults, then stops the faults and asks
// that it works again, all as one seed says; and checks what must hold (oracle.h), that replicas hold what the
// committed entries make (truth.h), that what clients saw is linearizable and their transactions are strictly
// serializable, and that watchers were told everything, once and in order.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "testing/sim/clients.h"
#include "testing/sim/lists.h"
#include "testing/sim/node.h"
#include "testing/sim/watchers.h"

namespace runink::testing {

enum class FaultKind : uint8_t {
  kKill,      // a process ends, and starts again
  kPowerCut,  // of one machine: what was not synced is decided by the seed
  kPowerCutAll,
  kPause,       // a process stands still, and goes on
  kPartition,   // two halves
  kOneWayCut,   // one direction of one link
  kSwizzle,     // links go one after the other, and come back in another order
  kBadWeather,  // loss, doubles, delays
  kSlowDisk,
  kFailingDisk,  // one write or sync fails
  kFullDisk,
  kDamage,        // bits of one member's journal change
  kDamageOfMany,  // the same entry, of all voters but one, which has it all
  kClockJump,
  kClockDrift,
  kTransfer,
  kTransfers,   // every 200 ms for some seconds
  kMembership,  // a voter is added or removed
  kReplace,     // a member is gone for good: another takes its place
  kCount,
};
const char* name(FaultKind kind);

struct SimulationOptions {
  uint64_t seed = 1;
  size_t voters = 3;
  Micros duration = 60'000'000;
  ClientOptions clients;
  ListOptions lists;
};

struct SimulationReport {
  std::string failure;  // empty: all that must hold held
  uint64_t events = 0;
  Micros simulated = 0;
  std::array<uint64_t, static_cast<size_t>(FaultKind::kCount)> faults{};
  Clients::Totals clients;
  ListClients::Totals lists;
  Watchers::Totals watches;
  Node::Totals nodes;
  uint64_t leaders = 0;             // terms that had one
  uint64_t membership_changes = 0;  // that took place
  uint64_t configurations = 0;      // of the search for linearizability
  // At least a minute, 1,000 operations, three kinds of faults, a change of leader, and a checked history.
  bool counts() const;
};

SimulationReport simulate(const SimulationOptions& options);

}  // namespace runink::testing
