// Looks up host names without holding a loop up: the system's resolver may wait for seconds, so it is asked on a thread
// of its own, one name after the other. Addresses are answered without it.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "platform/net/event_loop.h"
#include "platform/net/socket.h"

namespace runink::net {

// Threads: the loop's. Destroying it waits for a look-up that is under way; callbacks that have not been called are
// dropped.
class Resolver {
 public:
  using Found = std::function<void(Result<SocketAddress>)>;

  explicit Resolver(EventLoop& loop) : loop_(loop) {}
  ~Resolver();

  // `found` is called in a later turn. kResourceExhausted when more than 256 wait.
  void look_up(HostPort where, Found found);

 private:
  struct Job {
    HostPort where;
    Found found;
  };
  void work();

  EventLoop& loop_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  std::thread thread_;  // begun with the first name

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;   // under mutex_
  bool stopping_ = false;  // under mutex_
};

}  // namespace runink::net
