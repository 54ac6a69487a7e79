// So many a second, and as many at once after a quiet while (a token bucket). For what a stranger may make us do: a TLS
// handshake costs some 0.2 ms of CPU before anybody is known.
#pragma once

#include <algorithm>
#include <cstdint>

namespace runink::net {

class RateLimit {
 public:
  explicit RateLimit(double per_second) : per_second_(per_second), left_(per_second) {}

  // True: go on. `now` in steady nanoseconds.
  bool take(int64_t now) {
    if (last_ != 0) left_ = std::min(per_second_, left_ + per_second_ * static_cast<double>(now - last_) / 1e9);
    last_ = now;
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
  }

 private:
  double per_second_, left_;
  int64_t last_ = 0;
};

}  // namespace runink::net
