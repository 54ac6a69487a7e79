// An event loop on epoll(7): descriptors, timers, and tasks that other threads hand in. One thread runs it and owns all
// that is reached from it, so that nothing there needs a lock.
//
// A turn: wait; descriptors that are ready; tasks posted by other threads; timers that are due; the hooks; what was
// deferred. So a hook sees all that a turn brought at once (a driver takes its group of proposals to disk there), and
// what hooks defer (sending) still happens before the next wait.
//
// Threads: post() and stop() from any thread, everything else from the loop's (or before run()). Times are steady
// nanoseconds.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/status.h"
#include "platform/os/fd.h"

namespace runink::net {

class EventLoop {
 public:
  using Task = std::function<void()>;
  using TimerId = uint64_t;  // 0: none

  // What a descriptor is watched for, and what is told. kBroken is told without being asked for: hang-up or error; a
  // read will say which.
  static constexpr unsigned kReadable = 1, kWritable = 2, kBroken = 4;

  class IoHandler {
   public:
    // May unwatch and close any descriptor, its own too, and destroy itself as its last act.
    virtual void on_io(unsigned events) = 0;

   protected:
    ~IoHandler() = default;
  };

  static Result<std::unique_ptr<EventLoop>> create();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // The descriptor stays the caller's: unwatched before it is closed. Level-triggered: a handler that leaves something
  // unread is called again in the next turn.
  Status watch(int fd, unsigned interest, IoHandler* handler);
  void set_interest(int fd, unsigned interest);
  void unwatch(int fd);

  // Once, at or after this time. A timer is gone once it is called; cancelling one that is gone does nothing.
  TimerId call_at(int64_t steady_nanos, Task task);
  TimerId call_after(int64_t nanos, Task task);
  void cancel(TimerId timer);

  // At the end of this turn, once. Deferred from a deferred task: in the next turn, which then begins without waiting.
  void defer(Task task);
  // At the end of every turn, in the order in which they were added.
  void add_hook(Task hook);

  // In a later turn, in order. The caller bounds how many it hands in. Tasks that are left when the loop is destroyed
  // are destroyed uncalled.
  void post(Task task);

  void run();   // until stop()
  void stop();  // what was posted before is done first, and the turn is finished
  // One turn; waits at most so long. For tests and for loops of other shapes.
  void turn(int64_t max_wait_nanos);

  int64_t now() const { return now_; }  // steady nanoseconds when this turn began to work

 private:
  EventLoop(os::Fd epoll, os::Fd wake);

  struct Watched {
    IoHandler* handler = nullptr;
    unsigned interest = 0;
    uint32_t generation = 0;
  };

  int64_t read_clock() const;
  int wait_millis(int64_t max_wait_nanos) const;
  void dispatch(int64_t max_wait_nanos);
  void run_posted();
  void run_timers();
  void run_deferred();

  os::Fd epoll_, wake_;
  // Descriptors are reused by the kernel: an event that was fetched before its descriptor was unwatched must not reach
  // who watches the number next. The generation tells them apart.
  std::unordered_map<int, Watched> watched_;
  uint32_t next_generation_ = 0;

  std::map<std::pair<int64_t, TimerId>, Task> timers_;
  std::unordered_map<TimerId, int64_t> timer_times_;
  TimerId next_timer_ = 1;

  std::vector<Task> deferred_, hooks_;
  int64_t now_ = 0;

  std::mutex mutex_;
  // Under mutex_. Only a loop that waits, or is about to, has to be woken, and once: a task that is posted while it works
  // is found before it waits. A wake-up that comes late costs a turn.
  std::vector<Task> posted_;
  bool waiting_ = false, woken_ = false;
  bool stop_ = false;
};

// Destroys something at the end of the turn: for objects that are to go from within one of their own callbacks.
template <typename T>
void dispose(EventLoop& loop, std::unique_ptr<T> object) {
  if (object != nullptr) loop.defer([kept = std::shared_ptr<T>(std::move(object))] {});
}

}  // namespace runink::net
