#include "testing/sim/network.h"

namespace runink::testing {

Micros Network::delay() {
  Micros delay = world_.random.between(weather_.delay_min, weather_.delay_max);
  if (world_.random.chance(weather_.slow)) delay *= world_.random.between(2, 100);
  return delay;
}

void Network::send(raft::Message message) {
  if (!connected(message.from, message.to) || world_.random.chance(weather_.loss)) return;
  if (world_.random.chance(weather_.duplicate)) deliver_later(message);
  deliver_later(std::move(message));
}

void Network::deliver_later(raft::Message message) {
  world_.after(delay(), [this, message = std::move(message)]() mutable {
    if (!connected(message.from, message.to)) return;
    const auto found = listeners_.find(message.to);
    if (found == listeners_.end()) return;
    const Deliver deliver = found->second;  // which may be the end of its listening
    deliver(std::move(message));
  });
}

}  // namespace runink::testing
