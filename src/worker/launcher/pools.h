// Slices that stand ready, by what they can be used for. Pure bookkeeping: numbers of seats, nothing of processes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "worker/launcher/protocol.h"
#include "worker/sandbox/operations.h"

namespace runink::launcher {

// What a slice that stands ready can be used for.
struct PoolKey {
  sandbox::ParkingClass parking;
  SliceKind kind = SliceKind::kCommand;
  std::string engine;  // its program, environment and folder, encoded; "" for a command
  auto operator<=>(const PoolKey&) const = default;
};

class Pools {
 public:
  // Most that stand ready at once, of all pools.
  static constexpr uint32_t kMostReady = 4000;
  // Most used ones that are kept for a class without being asked for.
  static constexpr size_t kMostRecycled = 64;

  // `most_parking`: on their way at once, of one pool. Each takes a processor for a millisecond.
  explicit Pools(uint32_t most_parking) : most_parking_(most_parking) {}

  struct Pool {
    model::SliceSpec spec;  // from which they are parked
    uint32_t wanted = 0;
    uint32_t parking = 0;            // on their way
    std::vector<uint64_t> ready;     // never used
    std::vector<uint64_t> recycled;  // used, and clean
    int64_t not_before_nanos = 0;    // after a failure
    int failures = 0;                // in a row
    Status failed;
  };

  // kInvalidArgument where more would stand ready than may. Gives the seats that are too many now.
  Result<std::vector<uint64_t>> want(const PoolKey& key, const model::SliceSpec& spec, uint32_t count);

  struct Taken {
    uint64_t seat = 0;
    bool recycled = false;
  };
  // The one that was there last, whose memory is warm, of those that will do. A used one only where `recycle` says so.
  std::optional<Taken> take(const PoolKey& key, bool recycle, const std::function<bool(uint64_t)>& will_do);

  // One that is to be parked now; nullopt: none is missing, or not before `now`. Then began() or did not.
  std::optional<PoolKey> next_missing(int64_t now_nanos) const;
  // Whether one is missing of a pool that is nearly empty: it cannot wait until there is nothing else to do.
  bool urgent(int64_t now_nanos) const;
  void began(const PoolKey& key);
  // It stands ready, or could not be made to.
  void ready(const PoolKey& key, uint64_t seat);
  void failed(const PoolKey& key, Status why, int64_t now_nanos);
  // A used one. False where there are enough.
  bool recycled(const PoolKey& key, uint64_t seat);
  // It stood ready and has ended. True where it was one of these.
  bool remove(const PoolKey& key, uint64_t seat);
  // All that stand ready, which are forgotten: they are out of date.
  std::vector<uint64_t> take_all();

  // No slice is of such a class any more: nothing is to stand ready for it.
  void want_none(const std::function<bool(const PoolKey&)>& outdated);

  // How many stand ready, where the fewest do of those where some are to; infinite where none are.
  double least_ready() const;
  const Pool* find(const PoolKey& key) const;
  uint64_t count_ready() const;
  uint64_t count_parking() const;
  int64_t next_attempt_nanos() const;  // 0: none waits for its time

 private:
  bool missing(const Pool& pool, int64_t now_nanos) const;

  const uint32_t most_parking_;
  std::map<PoolKey, Pool> pools_;
};

}  // namespace runink::launcher
