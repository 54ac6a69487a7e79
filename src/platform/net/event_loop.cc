#include "platform/net/event_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/check.h"
#include "base/clock.h"

namespace runink::net {

namespace {

constexpr int kMaxEvents = 64;

uint32_t epoll_events(unsigned interest) {
  return ((interest & EventLoop::kReadable) != 0 ? EPOLLIN : 0u) |
         ((interest & EventLoop::kWritable) != 0 ? EPOLLOUT : 0u);
}

uint64_t key_of(int fd, uint32_t generation) { return uint64_t{generation} << 32 | static_cast<uint32_t>(fd); }

}  // namespace

Result<std::unique_ptr<EventLoop>> EventLoop::create() {
  os::Fd epoll(::epoll_create1(EPOLL_CLOEXEC), "epoll");
  if (!epoll.valid()) return from_errno(errno, "make an event loop");
  os::Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
  if (!wake.valid()) return from_errno(errno, "make an event loop");
  struct epoll_event event {};
  event.events = EPOLLIN;
  event.data.u64 = key_of(wake.get(), 0);
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) return from_errno(errno, "make an event loop");
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll), std::move(wake)));
}

EventLoop::EventLoop(os::Fd epoll, os::Fd wake)
    : epoll_(std::move(epoll)), wake_(std::move(wake)), now_(read_clock()) {}
EventLoop::~EventLoop() {
  // What is left holds objects that still unwatch and cancel as they go.
  for (auto* tasks : {&posted_, &deferred_, &hooks_}) std::vector<Task>().swap(*tasks);
  while (!timers_.empty()) cancel(timers_.begin()->first.second);
}

int64_t EventLoop::read_clock() const { return system_clock().steady_nanos(); }

Status EventLoop::watch(int fd, unsigned interest, IoHandler* handler) {
  RUNINK_CHECK(handler != nullptr && !watched_.contains(fd));
  const uint32_t generation = ++next_generation_ == 0 ? ++next_generation_ : next_generation_;
  struct epoll_event event {};
  event.events = epoll_events(interest);
  event.data.u64 = key_of(fd, generation);
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) return from_errno(errno, "watch a descriptor");
  watched_[fd] = {handler, interest, generation};
  return {};
}

void EventLoop::set_interest(int fd, unsigned interest) {
  const auto found = watched_.find(fd);
  RUNINK_CHECK(found != watched_.end());
  if (found->second.interest == interest) return;
  found->second.interest = interest;
  struct epoll_event event {};
  event.events = epoll_events(interest);
  event.data.u64 = key_of(fd, found->second.generation);
  RUNINK_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0);
}

void EventLoop::unwatch(int fd) {
  if (watched_.erase(fd) == 0) return;
  RUNINK_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr) == 0);
}

EventLoop::TimerId EventLoop::call_at(int64_t steady_nanos, Task task) {
  const TimerId id = next_timer_++;
  timers_.emplace(std::pair(steady_nanos, id), std::move(task));
  timer_times_[id] = steady_nanos;
  return id;
}

EventLoop::TimerId EventLoop::call_after(int64_t nanos, Task task) {
  return call_at(read_clock() + nanos, std::move(task));
}

void EventLoop::cancel(TimerId timer) {
  const auto found = timer_times_.find(timer);
  if (found == timer_times_.end()) return;
  timers_.erase({found->second, timer});
  timer_times_.erase(found);
}

void EventLoop::defer(Task task) { deferred_.push_back(std::move(task)); }
void EventLoop::add_hook(Task hook) { hooks_.push_back(std::move(hook)); }

void EventLoop::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(task));
    if (!waiting_ || woken_) return;
    woken_ = true;
  }
  // Not under the lock, for which the loop that wakes would then have to wait.
  const uint64_t one = 1;
  // Cannot fail but by EAGAIN at 2^64-1, and then it is readable already.
  (void)!::write(wake_.get(), &one, sizeof one);
}

void EventLoop::stop() {
  post([this] { stop_ = true; });
}

void EventLoop::run() {
  while (!stop_) turn(INT64_MAX);
  stop_ = false;
}

void EventLoop::turn(int64_t max_wait_nanos) {
  dispatch(max_wait_nanos);
  run_posted();
  run_timers();
  for (size_t i = 0; i < hooks_.size(); ++i) hooks_[i]();
  run_deferred();
}

int EventLoop::wait_millis(int64_t max_wait_nanos) const {
  if (!deferred_.empty()) return 0;
  int64_t wait = max_wait_nanos;
  if (!timers_.empty()) wait = std::min(wait, std::max<int64_t>(0, timers_.begin()->first.first - read_clock()));
  if (wait == INT64_MAX) return -1;
  // Rounded up: a timer must not be waited for in many turns of no length. A minute at most, which also bounds the
  // number.
  return static_cast<int>(std::min<int64_t>(wait / 1'000'000 + (wait % 1'000'000 != 0 ? 1 : 0), 60'000));
}

void EventLoop::dispatch(int64_t max_wait_nanos) {
  std::array<struct epoll_event, kMaxEvents> events;
  int wait = wait_millis(max_wait_nanos);
  {
    const std::lock_guard lock(mutex_);
    if (!posted_.empty()) wait = 0;
    waiting_ = wait != 0;
    woken_ = false;
  }
  const int count = ::epoll_wait(epoll_.get(), events.data(), kMaxEvents, wait);
  RUNINK_CHECK(count >= 0 || errno == EINTR);
  now_ = read_clock();
  for (int i = 0; i < count; ++i) {
    const struct epoll_event& event = events[static_cast<size_t>(i)];
    const auto fd = static_cast<int>(event.data.u64 & 0xFFFF'FFFF);
    const auto generation = static_cast<uint32_t>(event.data.u64 >> 32);
    if (fd == wake_.get()) {
      uint64_t wakes;
      (void)!::read(fd, &wakes, sizeof wakes);
      continue;
    }
    const auto found = watched_.find(fd);
    if (found == watched_.end() || found->second.generation != generation) continue;
    unsigned told = 0;
    if ((event.events & EPOLLIN) != 0) told |= kReadable;
    if ((event.events & EPOLLOUT) != 0) told |= kWritable;
    if ((event.events & (EPOLLERR | EPOLLHUP)) != 0) told |= kBroken;
    found->second.handler->on_io(told);
  }
}

void EventLoop::run_posted() {
  std::vector<Task> tasks;
  {
    const std::lock_guard lock(mutex_);
    waiting_ = false;
    tasks.swap(posted_);
  }
  for (Task& task : tasks) task();
}

void EventLoop::run_timers() {
  // Those that are due now: a timer that sets another for at once must not keep the turn from ending.
  const TimerId newest = next_timer_;
  while (!timers_.empty() && timers_.begin()->first.first <= now_ && timers_.begin()->first.second < newest) {
    auto node = timers_.extract(timers_.begin());
    timer_times_.erase(node.key().second);
    node.mapped()();
  }
}

void EventLoop::run_deferred() {
  std::vector<Task> tasks;
  tasks.swap(deferred_);
  for (Task& task : tasks) task();
}

}  // namespace runink::net
