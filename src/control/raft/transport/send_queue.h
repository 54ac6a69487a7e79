// What waits to be sent to one peer. Bounded; when full, what comes is refused: Raft repeats what matters, and a queue
// that grew would only make it arrive later.
//
// Heartbeats, votes and replies overtake appends, so that a leader's word never waits behind a megabyte of entries. A
// newer heartbeat takes the place of one that has not been sent: whoever hears the newer has no use for the older.
#pragma once

#include <array>
#include <cstdint>
#include <deque>

#include "control/raft/core/message.h"

namespace runink::raft {

class SendQueue {
 public:
  struct Limits {
    size_t appends = 4096, append_bytes = 16 << 20;  // entries' bytes are shared with the log
    size_t urgent = 1024;
  };
  enum class Pushed : uint8_t { kQueued, kSuperseded, kFull };

  SendQueue() : SendQueue(Limits()) {}
  explicit SendQueue(const Limits& limits) : limits_(limits) {}

  Pushed push(Message message);
  bool pop(Message* message);  // false: empty
  void clear();

  bool empty() const { return urgent_.empty() && appends_.empty(); }
  size_t messages() const { return urgent_.size() + appends_.size(); }
  size_t bytes() const { return append_bytes_; }

 private:
  Pushed push_urgent(Message message);

  Limits limits_;
  std::deque<Message> urgent_, appends_;
  size_t append_bytes_ = 0;
  // Which urgent message is the waiting heartbeat, and reply to one, counted from the first ever queued; 0: none.
  uint64_t urgent_taken_ = 0;
  std::array<uint64_t, 2> waiting_{};
};

}  // namespace runink::raft
