// A simulated world: one thread, one clock, one source of randomness. Whatever happens is an event at a time; the same
// seed gives the same events in the same order.
#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <string>
#include <vector>

#include "base/clock.h"

namespace runink::testing {

using Micros = int64_t;

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  // splitmix64 (Steele, Lea and Flood 2014).
  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  uint64_t below(uint64_t bound) { return next() % bound; }
  int64_t between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(below(static_cast<uint64_t>(high - low + 1)));
  }
  bool chance(double probability) { return static_cast<double>(next() >> 11) * 0x1p-53 < probability; }

 private:
  uint64_t state_;
};

class World {
 public:
  explicit World(uint64_t seed) : random(seed) {}

  Micros now() const { return now_; }
  void after(Micros delay, std::function<void()> what) {
    queue_.push({now_ + (delay < 0 ? 0 : delay), ++sequence_, std::move(what)});
  }
  // False: nothing will ever happen again.
  bool step() {
    if (queue_.empty()) return false;
    Event event = std::move(const_cast<Event&>(queue_.top()));
    queue_.pop();
    now_ = event.at;
    ++events_;
    event.what();
    return true;
  }
  uint64_t events() const { return events_; }

  Random random;

 private:
  struct Event {
    Micros at;
    uint64_t sequence;
    std::function<void()> what;
    bool operator<(const Event& other) const { return at != other.at ? at > other.at : sequence > other.sequence; }
  };
  std::priority_queue<Event> queue_;
  Micros now_ = 0;
  uint64_t sequence_ = 0, events_ = 0;
};

// The clocks of one machine: its wall clock jumps, its steady clock runs a little too fast or too slow.
class SimClock final : public Clock {
 public:
  explicit SimClock(const World* world) : world_(world) {}
  int64_t unix_micros() const override { return kBegin + world_->now() + offset_; }
  int64_t steady_nanos() const override {
    return static_cast<int64_t>(static_cast<double>(world_->now()) * rate_ * 1000.0);
  }
  void jump(Micros by) { offset_ += by; }
  void set_rate(double rate) { rate_ = rate; }
  double rate() const { return rate_; }

 private:
  static constexpr Micros kBegin = 1'790'000'000'000'000;
  const World* world_;
  Micros offset_ = 0;
  double rate_ = 1;
};

}  // namespace runink::testing
