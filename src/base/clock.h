// Time behind an interface, so that tests and simulations supply their own. Units: microseconds since the Unix epoch,
// UTC, for wall time; nanoseconds from an arbitrary start for steady time.
#pragma once

#include <cstdint>

namespace runink {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t unix_micros() const = 0;
  virtual int64_t steady_nanos() const = 0;
};

// The machine's clocks. Thread-safe; never destroyed.
const Clock& system_clock();

}  // namespace runink
