#include "platform/net/event_loop.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

namespace runink::net {
namespace {

std::unique_ptr<EventLoop> make_loop() { return std::move(*EventLoop::create()); }

struct Recorder : EventLoop::IoHandler {
  explicit Recorder(std::function<void(unsigned)> f) : call(std::move(f)) {}
  void on_io(unsigned events) override { call(events); }
  std::function<void(unsigned)> call;
};

TEST(EventLoopTest, ATurnHasItsOrder) {
  const auto loop = make_loop();
  const os::SocketPair pair = *os::make_socket_pair("test");
  std::string order;
  Recorder recorder([&](unsigned) {
    order += "io ";
    loop->unwatch(pair.first.get());
  });
  ASSERT_TRUE(loop->watch(pair.first.get(), EventLoop::kWritable, &recorder).ok());
  loop->add_hook([&] {
    order += "hook ";
    loop->defer([&] { order += "deferred2 "; });
  });
  loop->call_after(0, [&] { order += "timer "; });
  loop->post([&] { order += "posted "; });
  loop->defer([&] { order += "deferred1 "; });
  loop->turn(0);
  EXPECT_EQ(order, "io posted timer hook deferred1 deferred2 ");
}

TEST(EventLoopTest, TimersComeInOrderAndCanBeCancelled) {
  const auto loop = make_loop();
  std::string order;
  loop->call_after(2'000'000, [&] { order += "b"; });
  loop->call_after(1'000'000, [&] { order += "a"; });
  const EventLoop::TimerId cancelled = loop->call_after(1'500'000, [&] { order += "x"; });
  loop->call_after(3'000'000, [&] { loop->stop(); });
  loop->cancel(cancelled);
  loop->cancel(cancelled);
  loop->run();
  EXPECT_EQ(order, "ab");
}

TEST(EventLoopTest, ATimerThatSetsItselfLetsTheTurnEnd) {
  const auto loop = make_loop();
  int calls = 0;
  std::function<void()> again = [&] {
    ++calls;
    loop->call_at(0, again);
  };
  loop->call_at(0, again);
  loop->turn(0);
  EXPECT_EQ(calls, 1);
  loop->turn(0);
  EXPECT_EQ(calls, 2);
}

TEST(EventLoopTest, OtherThreadsWakeIt) {
  const auto loop = make_loop();
  int sum = 0;
  std::thread other([&] {
    for (int i = 1; i <= 1000; ++i) loop->post([&sum, i] { sum += i; });
    loop->stop();
  });
  loop->run();
  other.join();
  EXPECT_EQ(sum, 500500);
}

TEST(EventLoopTest, DeferredFromDeferredComesInTheNextTurnWithoutWaiting) {
  const auto loop = make_loop();
  int calls = 0;
  loop->defer([&] {
    ++calls;
    loop->defer([&] { ++calls; });
  });
  loop->turn(0);
  EXPECT_EQ(calls, 1);
  loop->turn(INT64_MAX);  // would wait for ever
  EXPECT_EQ(calls, 2);
}

// Two descriptors are ready in one turn; the first handler takes the second away and watches another under its number.
TEST(EventLoopTest, AnEventForADescriptorThatIsGoneReachesNobody) {
  const auto loop = make_loop();
  os::SocketPair a = *os::make_socket_pair("a"), b = *os::make_socket_pair("b");
  int strangers = 0, calls = 0;
  Recorder stranger([&](unsigned) { ++strangers; });
  std::unique_ptr<Recorder> first, second;
  const auto take_away = [&](os::Fd& other) {
    if (++calls > 1) return;
    const int number = other.get();
    loop->unwatch(number);
    // The peer of the other pair, under the number that is free now: readable, but not in this turn's events.
    ASSERT_EQ(::dup2(other.get() == a.first.get() ? b.second.get() : a.second.get(), number), number);
    ASSERT_TRUE(loop->watch(number, EventLoop::kReadable, &stranger).ok());
  };
  first = std::make_unique<Recorder>([&](unsigned) { take_away(b.first); });
  second = std::make_unique<Recorder>([&](unsigned) { take_away(a.first); });
  ASSERT_TRUE(loop->watch(a.first.get(), EventLoop::kWritable, first.get()).ok());
  ASSERT_TRUE(loop->watch(b.first.get(), EventLoop::kWritable, second.get()).ok());
  loop->turn(0);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(strangers, 0);
}

TEST(EventLoopTest, WhatIsLeftIsDestroyedUncalled) {
  auto loop = make_loop();
  auto kept = std::make_shared<int>(0);
  loop->defer([kept] { ++*kept; });
  loop->post([kept] { ++*kept; });
  loop->call_after(0, [kept] { ++*kept; });
  loop.reset();
  EXPECT_EQ(kept.use_count(), 1);
  EXPECT_EQ(*kept, 0);
}

}  // namespace
}  // namespace runink::net
