#include "worker/launcher/pools.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace runink::launcher {
namespace {

constexpr int64_t kFirstWaitNanos = 100'000'000, kLongestWaitNanos = 10'000'000'000;

}  // namespace

Result<std::vector<uint64_t>> Pools::want(const PoolKey& key, const model::SliceSpec& spec, uint32_t count) {
  uint64_t all = count;
  for (const auto& [other, pool] : pools_) all += other == key ? 0 : pool.wanted;
  if (all > kMostReady) {
    return invalid_argument("keep {} slices parked: at most {} in all", all, kMostReady);
  }
  Pool& pool = pools_[key];
  pool.spec = spec;
  pool.wanted = count;
  pool.not_before_nanos = 0;
  std::vector<uint64_t> surplus;
  while (pool.ready.size() > count) {
    surplus.push_back(pool.ready.back());
    pool.ready.pop_back();
  }
  if (count == 0) {
    surplus.insert(surplus.end(), pool.recycled.begin(), pool.recycled.end());
    pool.recycled.clear();
  }
  return surplus;
}

std::optional<Pools::Taken> Pools::take(const PoolKey& key, bool recycle,
                                        const std::function<bool(uint64_t)>& will_do) {
  const auto at = pools_.find(key);
  if (at == pools_.end()) return std::nullopt;
  Pool& pool = at->second;
  for (std::vector<uint64_t>* from : {&pool.recycled, &pool.ready}) {
    if (from == &pool.recycled && !recycle) continue;
    const auto found = std::find_if(from->rbegin(), from->rend(), will_do);
    if (found == from->rend()) continue;
    const Taken taken{*found, from == &pool.recycled};
    from->erase(std::next(found).base());
    return taken;
  }
  return std::nullopt;
}

bool Pools::missing(const Pool& pool, int64_t now_nanos) const {
  return pool.ready.size() + pool.parking < pool.wanted && pool.parking < most_parking_ &&
         pool.not_before_nanos <= now_nanos;
}

std::optional<PoolKey> Pools::next_missing(int64_t now_nanos) const {
  const std::pair<const PoolKey, Pool>* worst = nullptr;
  for (const auto& entry : pools_) {
    if (!missing(entry.second, now_nanos)) continue;
    if (worst == nullptr || entry.second.ready.size() < worst->second.ready.size()) worst = &entry;
  }
  if (worst == nullptr) return std::nullopt;
  return worst->first;
}

bool Pools::urgent(int64_t now_nanos) const {
  return std::any_of(pools_.begin(), pools_.end(), [&](const auto& entry) {
    return missing(entry.second, now_nanos) && entry.second.ready.size() * 4 < entry.second.wanted;
  });
}

void Pools::began(const PoolKey& key) { ++pools_[key].parking; }

void Pools::ready(const PoolKey& key, uint64_t seat) {
  Pool& pool = pools_[key];
  RUNINK_CHECK(pool.parking > 0);
  --pool.parking;
  pool.ready.push_back(seat);
  pool.failures = 0;
  pool.failed = Status();
}

void Pools::failed(const PoolKey& key, Status why, int64_t now_nanos) {
  Pool& pool = pools_[key];
  RUNINK_CHECK(pool.parking > 0);
  --pool.parking;
  pool.failed = std::move(why);
  pool.not_before_nanos = now_nanos + std::min(kLongestWaitNanos, kFirstWaitNanos << std::min(pool.failures, 10));
  ++pool.failures;
}

bool Pools::recycled(const PoolKey& key, uint64_t seat) {
  Pool& pool = pools_[key];
  if (pool.recycled.size() >= std::max<size_t>(kMostRecycled, pool.wanted)) return false;
  pool.recycled.push_back(seat);
  return true;
}

bool Pools::remove(const PoolKey& key, uint64_t seat) {
  const auto at = pools_.find(key);
  if (at == pools_.end()) return false;
  return std::erase(at->second.ready, seat) + std::erase(at->second.recycled, seat) > 0;
}

std::vector<uint64_t> Pools::take_all() {
  std::vector<uint64_t> all;
  for (auto& [key, pool] : pools_) {
    all.insert(all.end(), pool.ready.begin(), pool.ready.end());
    all.insert(all.end(), pool.recycled.begin(), pool.recycled.end());
    pool.ready.clear();
    pool.recycled.clear();
  }
  return all;
}

void Pools::want_none(const std::function<bool(const PoolKey&)>& outdated) {
  for (auto& [key, pool] : pools_) {
    if (outdated(key)) pool.wanted = 0;
  }
}

double Pools::least_ready() const {
  double least = std::numeric_limits<double>::infinity();
  for (const auto& [key, pool] : pools_) {
    if (pool.wanted > 0) least = std::min(least, static_cast<double>(pool.ready.size()));
  }
  return least;
}

const Pools::Pool* Pools::find(const PoolKey& key) const {
  const auto at = pools_.find(key);
  return at == pools_.end() ? nullptr : &at->second;
}

uint64_t Pools::count_ready() const {
  uint64_t count = 0;
  for (const auto& [key, pool] : pools_) count += pool.ready.size() + pool.recycled.size();
  return count;
}

uint64_t Pools::count_parking() const {
  uint64_t count = 0;
  for (const auto& [key, pool] : pools_) count += pool.parking;
  return count;
}

int64_t Pools::next_attempt_nanos() const {
  int64_t next = 0;
  for (const auto& [key, pool] : pools_) {
    if (pool.ready.size() + pool.parking >= pool.wanted || pool.not_before_nanos == 0) continue;
    if (next == 0 || pool.not_before_nanos < next) next = pool.not_before_nanos;
  }
  return next;
}

}  // namespace runink::launcher
