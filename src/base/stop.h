// A request to stop that many threads can see: set once, never unset. Set from a signal handler or another thread. A
// flag made from another one is also requested when that one is; the other must live as long.
#pragma once

#include <atomic>

namespace runink {

class StopFlag {
 public:
  StopFlag() = default;
  explicit StopFlag(const StopFlag* outer) : outer_(outer) {}
  void request() noexcept { stop_.store(true, std::memory_order_relaxed); }
  bool requested() const noexcept {
    return stop_.load(std::memory_order_relaxed) || (outer_ != nullptr && outer_->requested());
  }

 private:
  std::atomic<bool> stop_{false};
  const StopFlag* outer_ = nullptr;
};

}  // namespace runink
