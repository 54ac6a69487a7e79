// A thread that is there before its work is: to make one costs more than to wake one, and a stage that is told its work
// should begin at once.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace runink::isolate {

class ParkedThread {
 public:
  ParkedThread() : thread_([this] { run(); }) {}
  ParkedThread(const ParkedThread&) = delete;
  ParkedThread& operator=(const ParkedThread&) = delete;
  ~ParkedThread() { join(); }

  // Once. `work` returns before join() does.
  void start(std::function<void()> work) {
    {
      std::lock_guard lock(mutex_);
      work_ = std::move(work);
    }
    changed_.notify_one();
  }
  // Waits for its work, if it has any. It gets none afterwards.
  void join() {
    if (!thread_.joinable()) return;
    {
      std::lock_guard lock(mutex_);
      over_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return over_ || work_; });
    if (!work_) return;
    lock.unlock();
    work_();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> work_;
  bool over_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace runink::isolate
