// A time limit: requests a stop when it is over. A thread waits for that, as long as the object lives.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "base/stop.h"

namespace runink::local {

class Deadline {
 public:
  // micros: 0 for none. `stop` must live longer.
  Deadline(StopFlag& stop, int64_t micros) {
    if (micros <= 0) return;
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(micros);
    thread_ = std::thread([this, &stop, end] {
      std::unique_lock lock(mutex_);
      if (changed_.wait_until(lock, end, [this] { return over_; })) return;
      passed_ = true;
      stop.request();
    });
  }
  ~Deadline() { cancel(); }
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;

  // Nothing is stopped any more. Whether it was.
  bool cancel() {
    {
      std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
    return passed_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false, passed_ = false;
  std::thread thread_;
};

}  // namespace runink::local
