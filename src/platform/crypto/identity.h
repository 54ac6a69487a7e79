// Who somebody is in a cluster: the one URI in its certificate, in SPIFFE's form (SPIFFE-ID and X509-SVID standards):
//
//     spiffe://<cluster id>.runink/barn/<node id>      a member of the Barn; node id: a decimal number, not 0
//     spiffe://<cluster id>.runink/agent/<id>
//     spiffe://<cluster id>.runink/user/<name>
//
// The trust domain carries the cluster's id, so that a certificate of one cluster is worth nothing in another, even
// where both were signed by the same hand. Plain values; no thread rules.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace runink::crypto {

enum class Role : uint8_t { kBarn, kAgent, kUser };

std::string_view role_name(Role role);  // "barn", "agent", "user"

struct Identity {
  std::string trust_domain;
  Role role = Role::kUser;
  std::string name;  // for kBarn the node id in decimal digits

  std::string uri() const;
  uint64_t node() const;  // of kBarn; 0 for other roles
  bool operator==(const Identity&) const = default;
};

// "<cluster id>.runink". kInvalidArgument unless the id is 1 to 63 of a-z, 0-9 and '-', with no '-' first or last.
Result<std::string> trust_domain_of(std::string_view cluster_id);

// Lower-case DNS labels with dots between them, 255 bytes at most: stricter than SPIFFE, so that there is one spelling.
Status check_trust_domain(std::string_view trust_domain);
// kBarn: 1 to 2^64-1 without leading zeros. Others: 1 to 64 of a-z, 0-9, '-', '_', '.', with a letter or digit first
// and last and no two dots in a row. Nothing else: no escapes, no upper case, no '*'.
Status check_name(Role role, std::string_view name);

Result<Identity> make_identity(std::string trust_domain, Role role, std::string name);
Result<Identity> barn_identity(std::string trust_domain, uint64_t node);
// The inverse of uri(); refuses everything that uri() would not write, other roles too.
Result<Identity> parse_identity(std::string_view uri);

}  // namespace runink::crypto
