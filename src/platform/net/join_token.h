// The one-time token with which a new node joins: text that an operator carries from a member to the new node.
//
//     runink-join-1.<cluster>.<node>.<address>.<authority>.<id>.<secret>.<expiry>
//
// cluster: its id; node: the new node's id, decimal; address: base64url of host:port of a member's join listener;
// authority: SHA-256 of the cluster authority's certificate, 64 hexadecimal digits, which proves the member to the new
// node; id: 16 hexadecimal digits; secret: 64, which proves the new node to the member; expiry: seconds since the
// epoch, for a clear message: what counts is what the Barn has written down.
//
// The Barn keeps id, expiry and key (never the secret), and crosses the id out in the same log entry that lets the node
// in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace runink::net {

struct JoinToken {
  std::string cluster_id;   // as crypto::trust_domain_of takes it
  uint64_t node = 0;        // not 0
  std::string id;           // 16 lower-case hexadecimal digits
  std::string secret;       // 32 bytes
  std::string fingerprint;  // 64 lower-case hexadecimal digits
  std::string address;      // host:port
  int64_t expires_micros = 0;

  std::string text() const;
};

// Fresh id and secret. `address` is checked as parse_host_port does.
Result<JoinToken> make_join_token(std::string cluster_id, uint64_t node, std::string address, std::string fingerprint,
                                  int64_t expires_micros);
// kInvalidArgument with what is wrong with it, which never repeats the secret; kPermissionDenied for one that has
// expired.
Result<JoinToken> parse_join_token(std::string_view text, int64_t now_micros);

// What the Barn keeps instead of the secret. Proofs are made with it, so it is as secret as the token, for as long as
// that counts.
std::string join_key(std::string_view secret);
// Proves, on this very connection (net/tls_connection.h, channel_binding) and for this very request, that one has the
// token.
std::string join_proof(std::string_view key, std::string_view id, std::string_view request_pem,
                       std::string_view channel_binding);

}  // namespace runink::net
