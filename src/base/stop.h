// A request to stop that many threads can see: set once, never unset. Set from a signal handler or another thread.
#pragma once

#include <atomic>

namespace runink {

class StopFlag {
 public:
  void request() noexcept { stop_.store(true, std::memory_order_relaxed); }
  bool requested() const noexcept { return stop_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> stop_{false};
};

}  // namespace runink
