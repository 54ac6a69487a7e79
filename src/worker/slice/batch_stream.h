// Rows between two stages that run in slices of one node, in order, with back pressure: who sends waits until what was
// sent before has been taken, but for a bounded number of bytes.
//
// The neighbour is not trusted. Everything it sends is copied to memory of one's own and checked there before anything
// relies on it (lengths, offsets, UTF-8, labels, digits, …); what cannot be is kDataLoss. A neighbour that goes away is
// kAborted with kind "run.stopped": that it went is the consequence of something else, which the runner knows.
//
// docs/internals/slice-engine.md has the figures by which a kind is chosen.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "base/stop.h"
#include "data/columnar/batch.h"
#include "platform/os/fd.h"

namespace runink::slice {

// One thread at a time. `stop`, wherever one is given, may be null; requested, it ends a wait with kCancelled, kind
// "run.interrupted".
class BatchSender {
 public:
  virtual ~BatchSender() = default;
  virtual Status send(const columnar::Batch& batch) = 0;  // of the stream's schema; its origin stays behind
  virtual Status finish() = 0;                            // no more: without it the receiver fails
};
class BatchReceiver {
 public:
  virtual ~BatchReceiver() = default;
  virtual Result<std::optional<columnar::Batch>> receive() = 0;  // nothing: the sender has finished
};

// Arrow IPC over a stream socket (or pipe): any Arrow library can be either end. In flight is what the socket's buffer
// holds.
std::unique_ptr<BatchSender> make_socket_sender(os::Fd socket, columnar::SchemaPtr schema, const StopFlag* stop);
std::unique_ptr<BatchReceiver> make_socket_receiver(os::Fd socket, columnar::SchemaPtr schema, const StopFlag* stop);
struct StreamPair {
  os::Fd sender, receiver;
};
inline constexpr int kSocketBytes = 1 << 20;
Result<StreamPair> make_stream_pair();

// A ring in shared memory: a memfd whose size is sealed, mapped by both; and a pair of sockets over which nothing is
// said, by which each end sees that the other has gone. In flight is what the ring holds.
inline constexpr size_t kRingBytes = size_t{1} << 20;
struct Ring {
  os::Fd memory, sender_life, receiver_life;
};
Result<Ring> make_ring(size_t bytes = kRingBytes);  // a power of two from 4096 on
// kDataLoss for a memory that is no ring or could change its size.
Result<std::unique_ptr<BatchSender>> make_ring_sender(const os::Fd& memory, os::Fd life, columnar::SchemaPtr schema,
                                                      const StopFlag* stop);
Result<std::unique_ptr<BatchReceiver>> make_ring_receiver(const os::Fd& memory, os::Fd life, columnar::SchemaPtr schema,
                                                          const StopFlag* stop);

}  // namespace runink::slice
