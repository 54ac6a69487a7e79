#include "control/barn/lease_timers.h"

#include <algorithm>
#include <limits>

namespace runink::barn {
namespace {

int64_t deadline_of(int64_t now, int64_t ttl_micros) {
  const int64_t nanos = ttl_micros * 1000;  // a year is 3e16
  return now > std::numeric_limits<int64_t>::max() - nanos ? std::numeric_limits<int64_t>::max() : now + nanos;
}

}  // namespace

void LeaseTimers::set(LeaseId lease, Timer& timer, int64_t deadline) {
  if (!timer.given) by_deadline_.erase({timer.deadline, lease});
  timer.deadline = deadline;
  timer.given = false;
  by_deadline_.emplace(deadline, lease);
}

void LeaseTimers::stop() {
  timers_.clear();
  by_deadline_.clear();
}

void LeaseTimers::start(const StateMachine& machine, int64_t steady_nanos) {
  stop();
  for (const auto& [lease, state] : machine.leases()) take_in(lease, state, steady_nanos);
}

void LeaseTimers::granted(LeaseId lease, int64_t ttl_micros, int64_t steady_nanos) {
  const auto [at, fresh] = timers_.try_emplace(lease);
  if (!fresh) return;
  at->second.ttl_micros = ttl_micros;
  at->second.renewed = lease.index;
  set(lease, at->second, deadline_of(steady_nanos, ttl_micros));
}

bool LeaseTimers::renewed(LeaseId lease, int64_t steady_nanos) {
  const auto at = timers_.find(lease);
  // Once it was given as due, its end may be in the log already.
  if (at == timers_.end() || at->second.given) return false;
  set(lease, at->second, std::max(at->second.deadline, deadline_of(steady_nanos, at->second.ttl_micros)));
  return true;
}

void LeaseTimers::ended(LeaseId lease) {
  const auto at = timers_.find(lease);
  if (at == timers_.end()) return;
  if (!at->second.given) by_deadline_.erase({at->second.deadline, lease});
  timers_.erase(at);
}

void LeaseTimers::take_in(LeaseId lease, const Lease& state, int64_t steady_nanos) {
  const auto [at, fresh] = timers_.try_emplace(lease);
  Timer& timer = at->second;
  if (!fresh && timer.renewed == state.renewed) return;  // only its keys changed
  timer.ttl_micros = state.ttl_micros;
  timer.renewed = state.renewed;
  set(lease, timer, deadline_of(steady_nanos, state.ttl_micros));
}

void LeaseTimers::follow(const StateMachine& machine, const std::vector<LeaseId>& changed, int64_t steady_nanos) {
  for (const LeaseId& lease : changed) {
    const auto at = machine.leases().find(lease);
    if (at == machine.leases().end()) {
      ended(lease);
    } else {
      take_in(lease, at->second, steady_nanos);
    }
  }
}

void LeaseTimers::retry() {
  for (auto& [lease, timer] : timers_) {
    if (timer.given) set(lease, timer, timer.deadline);
  }
}

std::vector<LeaseId> LeaseTimers::due(int64_t steady_nanos, size_t max) {
  std::vector<LeaseId> out;
  while (out.size() < max && !by_deadline_.empty() && by_deadline_.begin()->first <= steady_nanos) {
    const LeaseId lease = by_deadline_.begin()->second;
    by_deadline_.erase(by_deadline_.begin());
    timers_.at(lease).given = true;
    out.push_back(lease);
  }
  return out;
}

std::optional<int64_t> LeaseTimers::next_deadline() const {
  if (by_deadline_.empty()) return std::nullopt;
  return by_deadline_.begin()->first;
}

std::optional<int64_t> LeaseTimers::remaining_micros(LeaseId lease, int64_t steady_nanos) const {
  const auto at = timers_.find(lease);
  if (at == timers_.end()) return std::nullopt;
  return std::max<int64_t>(0, at->second.deadline - steady_nanos) / 1000;
}

}  // namespace runink::barn
