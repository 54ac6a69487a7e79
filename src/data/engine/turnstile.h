// Turnstile: lets morsels through one at a time in the order of their numbers.
//
// Workers take morsels in order and work on them in parallel; whatever must happen in input order (writing a sink,
// deduplicating, numbering rows) stands behind a turnstile. The worker with the lowest number is never kept waiting by
// one with a higher, so there is no deadlock, and at most as many morsels are in flight as there are workers: a slow
// sink therefore slows the source.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace runink::engine {

class Turnstile {
 public:
  // False when the execution was stopped; then leave() must not be called.
  bool enter(uint64_t number) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return next_ == number || stopped_; });
    return !stopped_;
  }
  void leave() {
    {
      std::lock_guard lock(mutex_);
      ++next_;
    }
    changed_.notify_all();
  }
  void stop() {
    {
      std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
  }
  // Between two pipelines, when nobody is inside: numbers start at 0 again.
  void reset() {
    std::lock_guard lock(mutex_);
    next_ = 0;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t next_ = 0;
  bool stopped_ = false;
};

}  // namespace runink::engine
