// How much a slice may write into its log: so many bytes a second, and as many as `burst_bytes` at once after a quiet
// while. Each line counts for its bytes and for kLineCost besides, so that empty lines are not free.
//
// Lines that are too much are dropped and counted. And since reading only to drop costs the agent and not the slice,
// pause_nanos() says how long a slice that goes on nevertheless is better left unread: then its own writes wait.
//
// Pure: time is told. Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>

namespace runink::agent {

class LogRate {
 public:
  static constexpr size_t kLineCost = 128;

  // A slice is read at most so many times faster than it may write lastingly.
  static constexpr double kReadFactor = 16;

  LogRate(double bytes_per_second, double burst_bytes)
      : per_second_(bytes_per_second), burst_(burst_bytes), left_(burst_bytes), read_left_(burst_bytes * kReadFactor) {}

  // Whether a line of so many bytes, read now, is kept. `now`: steady nanoseconds, never going back.
  bool admit(size_t bytes, int64_t now);
  // How long to leave the slice unread after what was handed to admit(); 0: go on.
  int64_t pause_nanos() const;

 private:
  void refill(int64_t now);

  double per_second_, burst_;
  double left_, read_left_;
  int64_t at_ = -1;
};

}  // namespace runink::agent
