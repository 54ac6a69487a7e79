// How far a peer's wall clock is ahead of the own one, from the four times of a ping and its pong (RFC 5905, section
// 8): the way there and the way back are taken to last the same, so the error is at most half of both. Of the newest
// measurements the one with the shortest way counts, since whatever delays a message on one way only shifts the result
// (the same section's clock filter).
//
// A peer may say what it likes: nothing overflows, and what cannot be is left out.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "control/raft/transport/transport.h"

namespace runink::raft {

class ClockFilter {
 public:
  // Unix microseconds: by the own clock when the ping left and the pong came, by the peer's in between.
  struct Times {
    int64_t ping_left = 0, ping_came = 0, pong_left = 0, pong_came = 0;
  };

  void add(const Times& t) {
    for (const int64_t time : {t.ping_left, t.ping_came, t.pong_left, t.pong_came}) {
      if (time < -kFarthest || time > kFarthest) return;
    }
    const int64_t way = (t.pong_came - t.ping_left) - (t.pong_left - t.ping_came);
    // A clock was set in between, or the peer's times are no times.
    if (way < 0 || t.pong_left < t.ping_came || t.pong_came < t.ping_left) return;
    const int64_t offset = ((t.ping_came - t.ping_left) + (t.pong_left - t.pong_came)) / 2;
    samples_[next_++ % kSamples] = {offset, way / 2 + 1};
  }

  std::optional<PeerStatus::ClockOffset> offset() const {
    std::optional<PeerStatus::ClockOffset> best;
    for (const auto& sample : samples_) {
      if (sample && (!best || sample->uncertainty_micros < best->uncertainty_micros)) best = sample;
    }
    return best;
  }

 private:
  static constexpr size_t kSamples = 8;
  static constexpr int64_t kFarthest = int64_t{1} << 59;  // some 18,000 years
  std::array<std::optional<PeerStatus::ClockOffset>, kSamples> samples_;
  size_t next_ = 0;
};

}  // namespace runink::raft
