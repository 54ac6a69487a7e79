#include "platform/net/resolver.h"

namespace runink::net {

namespace {
constexpr size_t kMaxWaiting = 256;
}

Resolver::~Resolver() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    jobs_.clear();
  }
  changed_.notify_all();
  thread_.join();
}

void Resolver::look_up(HostPort where, Found found) {
  Result<SocketAddress> at_once = numeric_address(where);
  if (!at_once.ok()) {
    const std::lock_guard lock(mutex_);
    if (jobs_.size() < kMaxWaiting) {
      jobs_.push_back({std::move(where), std::move(found)});
      if (!thread_.joinable()) thread_ = std::thread([this] { work(); });
      changed_.notify_one();
      return;
    }
    at_once = resource_exhausted("more than {} names are being looked up", kMaxWaiting);
  }
  loop_.defer([weak = std::weak_ptr<bool>(alive_), found = std::move(found), answer = std::move(at_once)] {
    if (!weak.expired()) found(answer);
  });
}

void Resolver::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    loop_.post([weak = std::weak_ptr<bool>(alive_), found = std::move(job.found), answer = resolve_now(job.where)] {
      if (!weak.expired()) found(answer);
    });
    lock.lock();
  }
}

}  // namespace runink::net
