#include "control/raft/transport/send_queue.h"

#include <utility>

namespace runink::raft {

namespace {

size_t bytes_of(const Message& message) {
  size_t bytes = sizeof(Message);
  for (const Entry& entry : message.entries) bytes += entry.bytes();
  return bytes;
}

}  // namespace

SendQueue::Pushed SendQueue::push(Message message) {
  if (message.kind != MessageKind::kAppend) return push_urgent(std::move(message));
  const size_t bytes = bytes_of(message);
  // One that is larger than all that may wait still goes alone.
  if (appends_.size() >= limits_.appends || (!appends_.empty() && append_bytes_ + bytes > limits_.append_bytes))
    return Pushed::kFull;
  append_bytes_ += bytes;
  appends_.push_back(std::move(message));
  return Pushed::kQueued;
}

SendQueue::Pushed SendQueue::push_urgent(Message message) {
  uint64_t* waiting = message.kind == MessageKind::kHeartbeat        ? &waiting_[0]
                      : message.kind == MessageKind::kHeartbeatReply ? &waiting_[1]
                                                                     : nullptr;
  if (waiting != nullptr && *waiting > urgent_taken_) {
    urgent_[*waiting - urgent_taken_ - 1] = std::move(message);
    return Pushed::kSuperseded;
  }
  if (urgent_.size() >= limits_.urgent) return Pushed::kFull;
  urgent_.push_back(std::move(message));
  if (waiting != nullptr) *waiting = urgent_taken_ + urgent_.size();
  return Pushed::kQueued;
}

bool SendQueue::pop(Message* message) {
  if (!urgent_.empty()) {
    *message = std::move(urgent_.front());
    urgent_.pop_front();
    ++urgent_taken_;
    return true;
  }
  if (appends_.empty()) return false;
  *message = std::move(appends_.front());
  appends_.pop_front();
  append_bytes_ -= bytes_of(*message);
  return true;
}

void SendQueue::clear() {
  urgent_taken_ += urgent_.size();
  urgent_.clear();
  appends_.clear();
  append_bytes_ = 0;
}

}  // namespace runink::raft
