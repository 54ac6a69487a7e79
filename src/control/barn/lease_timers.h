// The leader's side of leases: when to propose that one expires. Pure: the steady clock is handed in (nanoseconds), the
// wall clock plays no part, so that setting it changes nothing.
//
// Only a leader keeps timers. A new leader starts every lease afresh with its whole time to live, since it cannot know
// what the old one heard: a lease lives longer than asked for when the leader changes, and never shorter.
//
// Safety does not rest on any of this: who holds a lease may be late in noticing that it is gone. That is what tokens
// are for.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "control/barn/state_machine.h"

namespace runink::barn {

class LeaseTimers {
 public:
  // On becoming leader: all leases of the machine.
  void start(const StateMachine& machine, int64_t steady_nanos);
  void stop();

  void granted(LeaseId lease, int64_t ttl_micros, int64_t steady_nanos);
  bool renewed(LeaseId lease, int64_t steady_nanos);  // a keep-alive was heard; false: no such lease
  void ended(LeaseId lease);
  // What entries did: Applied::leases. New ones get their time from now, renewed ones likewise, ended ones go.
  void follow(const StateMachine& machine, const std::vector<LeaseId>& changed, int64_t steady_nanos);
  // Leases that were given as due and still exist are due again: their proposals were lost, or were not carried out.
  void retry();

  // Leases whose time is over, earliest first, at most `max`. Each is given once; `follow` brings back those that still
  // live.
  std::vector<LeaseId> due(int64_t steady_nanos, size_t max = 256);
  std::optional<int64_t> next_deadline() const;  // steady nanoseconds
  // What is left, never negative. None: no such lease.
  std::optional<int64_t> remaining_micros(LeaseId lease, int64_t steady_nanos) const;

 private:
  struct Timer {
    int64_t deadline = 0;
    int64_t ttl_micros = 0;
    Index renewed = 0;  // as the log has it
    bool given = false;
  };
  void set(LeaseId lease, Timer& timer, int64_t deadline);
  void take_in(LeaseId lease, const Lease& state, int64_t steady_nanos);
  std::map<LeaseId, Timer> timers_;
  std::set<std::pair<int64_t, LeaseId>> by_deadline_;  // those not given
};

}  // namespace runink::barn
