// One connection to a Fluentd-protocol server: the handshake, then one chunk after the other, each acknowledged.
//
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "platform/net/client_stream.h"
#include "worker/agent/fluentd_msgpack.h"

namespace runink::agent {

struct FluentdCredentials {
  std::string node;        // what this end calls itself
  std::string shared_key;  // empty: no handshake
  std::string user_name, password;
};

class FluentdSession {
 public:
  // kUnauthenticated where the two ends do not agree on who they are, with the server's reason.
  static Result<std::unique_ptr<FluentdSession>> open(const net::HostPort& where, const net::ClientTlsContext* tls,
                                                      const FluentdCredentials& credentials, int64_t deadline,
                                                      const net::Interrupt& interrupt);

  // OK once the server has acknowledged it. `entries`: MessagePack values [time, record], one after the other. After an
  // error the connection is to be given up: whether the server has the chunk is not known.
  Status send(std::string_view tag, std::string_view entries, uint64_t count, std::string_view chunk_id,
              int64_t deadline);
  // Whether a connection on which nothing was sent for a while is still there.
  Status check() { return received_.empty() ? stream_->check_quiet() : failed_precondition("unasked words"); }

 private:
  explicit FluentdSession(std::unique_ptr<net::ClientStream> stream) : stream_(std::move(stream)) {}
  Result<msgpack::Value> receive(int64_t deadline);
  Status shake_hands(const FluentdCredentials& credentials, int64_t deadline);

  std::unique_ptr<net::ClientStream> stream_;
  std::string received_;
};

}  // namespace runink::agent
