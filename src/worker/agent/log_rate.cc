#include "worker/agent/log_rate.h"

#include <algorithm>

namespace runink::agent {

void LogRate::refill(int64_t now) {
  if (at_ >= 0 && now > at_) {
    const double seconds = static_cast<double>(now - at_) / 1e9;
    left_ = std::min(burst_, left_ + per_second_ * seconds);
    read_left_ = std::min(burst_ * kReadFactor, read_left_ + per_second_ * kReadFactor * seconds);
  }
  at_ = std::max(at_, now);
}

bool LogRate::admit(size_t bytes, int64_t now) {
  refill(now);
  const auto cost = static_cast<double>(bytes + kLineCost);
  read_left_ -= cost;
  if (left_ < cost) return false;
  left_ -= cost;
  return true;
}

int64_t LogRate::pause_nanos() const {
  if (read_left_ >= 0) return 0;
  return static_cast<int64_t>(-read_left_ / (per_second_ * kReadFactor) * 1e9) + 1;
}

}  // namespace runink::agent
