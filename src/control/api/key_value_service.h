// The Barn's keys and values served over gRPC: every call is a message to the event loop of the member, and its answer
// a message back. gRPC's threads never touch the replica.
//
// The port shows and wants certificates of the cluster: a connection without one ends in the TLS handshake, before any
// HTTP/2 is parsed, and TLS 1.2 is refused (rpc::prepare_grpc, which the process calls first): gRPC 1.51 gets no fixes
// any more. No call waits for ever: after its deadline, at most kCallSeconds, a write is answered UNKNOWN, since it may
// be carried out yet, and a read DEADLINE_EXCEEDED.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "control/api/call_counts.h"
#include "control/api/chunks.h"
#include "control/replica/replica.h"
#include "platform/net/event_loop.h"

namespace grpc {
class Service;
}

namespace runink::api {

inline constexpr int kCallSeconds = 30;

struct ApiOptions {
  std::string listen = "127.0.0.1:0";  // host:port; port 0: any
  std::string trust_domain;            // of whose identities calls are taken
  std::string certificate_pem, key_pem, authorities_pem;
  int64_t bookmark_nanos = 5'000'000'000;  // how often a watch that had nothing is told how far it is
  // Where another member serves, as told to whoever asks the wrong one; empty: unknown.
  std::function<std::string(raft::NodeId)> api_address;
  std::function<std::vector<std::string>()> api_addresses;  // of all members; may be empty: nobody is told
  Chunks* chunks = nullptr;                // whoever keeps them; nullptr: there are none. Outlives the server
  ChunkCallLimits chunk_calls;
  std::vector<grpc::Service*> services;  // served on the same port
  std::function<void()> on_stop;         // ends what those services have open; called once, before gRPC is stopped
};

struct ApiCounters {
  uint64_t calls = 0, refused = 0, expired = 0, packed = 0, watches = 0;
  std::map<std::string, ByCode> answers;  // of all services on the port, by method; streams when they end
  ByCode packed_failures{};               // of packed operations
};

class KeyValueServer {
 public:
  // Serves at once. `replica` and `loop` outlive it; all of this is called on the loop's thread, the destructor too (it
  // ends the calls that are open, and waits for gRPC's threads). It turns the loop meanwhile: not to be destroyed
  // within a task of the loop, since what was posted together with that task could never come.
  static Result<std::unique_ptr<KeyValueServer>> start(net::EventLoop& loop, barn::Replica& replica,
                                                       const ApiOptions& options);
  virtual ~KeyValueServer() = default;
  virtual int port() const = 0;
  virtual ApiCounters counters() const = 0;
};

}  // namespace runink::api
