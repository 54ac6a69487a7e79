#include "base/clock.h"

#include <time.h>

namespace runink {

namespace {
int64_t read(clockid_t id) {
  timespec t{};
  clock_gettime(id, &t);
  return t.tv_sec * 1'000'000'000LL + t.tv_nsec;
}
class SystemClock final : public Clock {
 public:
  int64_t unix_micros() const override { return read(CLOCK_REALTIME) / 1000; }
  int64_t steady_nanos() const override { return read(CLOCK_MONOTONIC); }
};
}  // namespace

const Clock& system_clock() {
  static const SystemClock clock;
  return clock;
}

}  // namespace runink
