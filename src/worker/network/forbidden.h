// What no slice may reach, whatever it declares and whatever a name resolves to.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/ip_prefix.h"

namespace runink::network {

struct Forbidden {
  std::optional<model::IpPrefix> where;  // absent: every address
  uint16_t port = 0;                     // 0: every port
  std::string what;                      // "cloud metadata": what errors call it
};

// Loopback, link-local and other addresses that are no other machine's, and those at which clouds tell their secrets;
// with the forms in which IPv6 wraps addresses of IPv4.
const std::vector<Forbidden>& always_forbidden();

// Where a node's list lies; read by root, for all slices of the host.
inline constexpr const char* kForbiddenFile = "/etc/runink/forbidden-endpoints";

// always_forbidden(), and the list in the file: one ADDRESS, PREFIX, ADDRESS:PORT, [V6]:PORT or *:PORT a line; empty
// lines and what follows a "#" are left out. Without the file: the ports of Runink's own control plane, anywhere.
Result<std::vector<Forbidden>> read_forbidden(const std::string& file);

// The first that forbids all of it, at this port; null: none does.
const Forbidden* find_forbidden(const std::vector<Forbidden>& list, const model::IpPrefix& to, uint16_t port);

}  // namespace runink::network
