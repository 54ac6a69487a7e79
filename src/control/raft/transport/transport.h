// What a member needs of the network: messages of Raft, which may be lost, and bulk (snapshots, chunks), which is asked
// for piece by piece on a connection of its own, so that a heartbeat never waits behind it. tls_transport.h is the real
// one; a simulator supplies another.
//
// Threads: every call and every callback is made on the one thread that runs the member's event loop; only a BulkAnswer
// may be called from elsewhere. Nothing here blocks.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "control/raft/core/message.h"

namespace runink::raft {

// What is asked for on the bulk connection. Fields that a kind does not name are empty.
enum class BulkKind : uint8_t {
  kManifest = 1,  // index, term: the list of files of the snapshot; answered with at most kMaxManifestBytes
  kChunk = 2,     // index, term, name, offset, size: a piece of one of its files; shorter only at the file's end
  // name, index, offset, body: a piece of what is to be kept under this name (the digest of all of it), index bytes in
  // all; pieces come in order. Answered with nothing, the last one once all is durable.
  kPut = 3,
  kGet = 4,        // name, offset, size: a piece of what a kPut kept
  kIntegrity = 5,  // index: what the answering member says of its own state (control/server/integrity_report.h)
};

inline constexpr size_t kMaxChunkBytes = 1 << 20;
inline constexpr size_t kMaxManifestBytes = 4 << 20;
inline constexpr size_t kMaxBulkNameBytes = 255;

struct BulkRequest {
  BulkKind kind = BulkKind::kManifest;
  Index index = 0;
  Term term = 0;
  std::string name;
  uint64_t offset = 0;
  uint32_t size = 0;  // at most kMaxChunkBytes
  std::string body;   // at most kMaxChunkBytes
  bool operator==(const BulkRequest&) const = default;
};

// Called exactly once.
using BulkAnswer = std::function<void(Result<std::string>)>;

// The side that has the bytes. It should read and write files on a thread of its own and call `answer` from there:
// while it works here, no heartbeat is sent. `request` has passed the limits above; names are to be looked up, never
// used as paths.
class BulkSource {
 public:
  virtual void answer(NodeId asker, BulkRequest request, BulkAnswer answer) = 0;

 protected:
  ~BulkSource() = default;
};

enum class PeerState : uint8_t { kDown, kUp };

class TransportReceiver {
 public:
  // `message.from` is proven: it is the id in the sender's certificate. Messages of one peer arrive in the order sent,
  // but for those of kinds other than kAppend, which overtake those of kAppend.
  virtual void on_message(Message message) = 0;
  virtual void on_peer(NodeId peer, PeerState state) = 0;

 protected:
  ~TransportReceiver() = default;
};

// Since the peer was added; for metrics and `runi barn status`.
struct PeerCounters {
  uint64_t messages_sent = 0, messages_received = 0;
  uint64_t bytes_sent = 0, bytes_received = 0;            // of frames, before encryption, all connections
  uint64_t bulk_bytes_sent = 0, bulk_bytes_received = 0;  // the part of those above that was bulk
  uint64_t dropped_down = 0;                              // messages thrown away because the peer was not connected
  uint64_t dropped_full = 0;                              // because the queue was full
  uint64_t dropped_large = 0;                             // because they would not fit into a frame
  uint64_t superseded = 0;  // heartbeats, and appends without entries, that a newer one replaced before they were sent
  uint64_t connects = 0;    // control connections that came to be
  uint64_t connect_failures = 0;
  uint64_t disconnects = 0;
  uint64_t protocol_errors = 0;  // connections closed because the peer sent what it must not
};

struct PeerStatus {
  NodeId id = 0;
  std::string address;
  PeerState state = PeerState::kDown;
  int64_t rtt_micros = 0;  // smoothed; 0 until measured
  size_t queued_messages = 0, queued_bytes = 0;
  int64_t certificate_not_after_micros = 0;  // of the peer, since the epoch; 0 while never connected
  // How far its wall clock is ahead of the own one; the truth lies within `uncertainty` of it. For alarms only: nothing
  // that has to be right may rest on clocks.
  struct ClockOffset {
    int64_t micros = 0, uncertainty_micros = 0;
  };
  std::optional<ClockOffset> clock;  // none: not measured yet, or by a peer that does not tell the time
  std::string last_error;            // why it is not connected, or was not before
  PeerCounters counters;
};

class Transport {
 public:
  virtual ~Transport() = default;

  // Both must live until the transport is gone; nullptr takes one away.
  virtual void set_receiver(TransportReceiver* receiver) = 0;
  virtual void set_bulk_source(BulkSource* source) = 0;

  // From now on this peer is connected to, and let in. Known already: its address is replaced. `address` is "host:port"
  // or
  // "[ipv6]:port"; kInvalidArgument for anything else, for id 0 and the own id.
  virtual Status add_peer(NodeId id, const std::string& address) = 0;
  // Closes its connections and refuses new ones. Unknown: nothing happens.
  virtual void remove_peer(NodeId id) = 0;

  // Sends to message.to, or throws it away: not connected, too much queued, no such peer. Raft repeats what matters.
  virtual void send(Message message) = 0;
  // What was sent in this turn need not wait for its end, since something longer follows.
  virtual void flush() {}

  // Asks `from` for bulk. At most a few requests are on their way to one peer (its credits), more wait in a bounded
  // queue. kUnavailable: the connection broke or there is none, try again after a pause; kDeadlineExceeded;
  // kResourceExhausted: too many wait; otherwise what the other side's source said.
  virtual void fetch(NodeId from, BulkRequest request, BulkAnswer answer) = 0;

  virtual std::vector<PeerStatus> peers() const = 0;  // ascending by id
};

}  // namespace runink::raft
