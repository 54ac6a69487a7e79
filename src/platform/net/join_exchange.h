// How a new node gets its certificate: one bounded exchange, on a listener of its own, where a token stands in for the
// certificate that the new node does not have yet.
//
//     new node                                              member
//     TLS 1.3; the member shows its certificate and its authority's; the new node compares the authority's fingerprint
//     with the token's before it says anything
//     request: token id, proof, certificate request, information  ───►   decides (once, in the Barn), issues
//                                  ◄───   certificate, authorities, information; or a refusal
//
// Each message is a length in four bytes (little endian), a version in one, and its content; kMaxJoinBytes at most. The
// token's secret is not sent: the proof is bound to this connection and this request (join_token.h). Each step has a
// time limit, and the listener a limit of connections, so that whoever may reach it without a certificate can hold
// little and not for long. Who comes when all places are taken gets that of the oldest connection; only what is being
// decided about is left alone.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "platform/crypto/certificate_authority.h"
#include "platform/net/event_loop.h"
#include "platform/net/join_token.h"
#include "platform/net/socket.h"
#include "platform/net/tls_context.h"

namespace runink::net {

inline constexpr size_t kMaxJoinBytes = 16 << 10;
inline constexpr size_t kMaxJoinInformationBytes = 4 << 10;

struct JoinRequest {
  std::string token_id;     // 16 hexadecimal digits; nothing else is known to be true of it
  std::string request_pem;  // not looked at yet
  std::string proof, channel_binding;
  std::string information;  // of the node, not looked at here (where it listens); kMaxJoinInformationBytes at most

  // Whether it comes from somebody who has the token with this key. In constant time.
  bool proves(std::string_view key) const;
};

struct JoinGrant {
  std::string certificate_pem;
  std::string authorities_pem;
  std::string information;  // for the node, not looked at here (who the members are); kMaxJoinInformationBytes at most
};

// over_limit: closed at once, or to make room.
struct JoinCounters {
  uint64_t connections = 0, over_limit = 0, timed_out = 0, malformed = 0, refused = 0, granted = 0;
};

// The member's side. Threads: the loop's.
class JoinListener {
 public:
  // Called exactly once, from any thread. A refusal's code, kind, message and first detail go to the other side: they
  // should not tell an unknown token from one with a wrong proof.
  using Answer = std::function<void(Result<JoinGrant>)>;
  using Decide = std::function<void(JoinRequest, Answer)>;

  struct Options {
    // More than may come in the second after a quiet while, so that such a burst does not push out a node in its
    // handshake.
    size_t max_connections = 64;
    double connections_per_second = 50;
    int64_t step_nanos = 5'000'000'000;     // for the handshake, for the request, for the answer to be taken
    int64_t decide_nanos = 10'000'000'000;  // for Decide: it takes a log entry
  };

  // `context` comes from TlsContext::join_server.
  static Result<std::unique_ptr<JoinListener>> create(EventLoop& loop, const SocketAddress& where,
                                                      std::shared_ptr<const TlsContext> context, Decide decide,
                                                      const Options& options);
  ~JoinListener();

  void set_context(std::shared_ptr<const TlsContext> context);  // for connections from now on
  const SocketAddress& address() const;
  const JoinCounters& counters() const;
  size_t connections() const;

 private:
  class Guest;
  struct State;
  explicit JoinListener(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

struct JoinOptions {
  int64_t step_nanos = 5'000'000'000;     // to connect, and for the handshake
  int64_t answer_nanos = 15'000'000'000;  // from the request to the answer
};

struct Joined {
  crypto::Credentials credentials;
  std::string information;
};

// The new node's side; waits, at most for both limits. Makes no files. The answer is believed only if the certificate
// is for `identity` and `key`, and its authorities hold the one of the token's fingerprint. kUnauthenticated: whoever
// answered there is not of that cluster; kUnavailable or kDeadlineExceeded, with a hint: there was no connection, or
// it broke off before the answer; otherwise what the member said.
Result<Joined> join_cluster(const JoinToken& token, const crypto::PrivateKey& key, const crypto::Identity& identity,
                            std::string_view information, int64_t now_micros, const JoinOptions& options);

}  // namespace runink::net
