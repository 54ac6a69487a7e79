// From the endpoints of a specification and the view of a host to what the slice may reach: data, made without touching
// anything. What is forbidden never gets in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/ip_prefix.h"
#include "model/slice_network.h"
#include "worker/network/forbidden.h"
#include "worker/network/host_view.h"

namespace runink::network {

struct Allowed {
  model::IpPrefix to;
  uint16_t port = 0;
  model::SliceProtocol protocol = model::SliceProtocol::kTcp;
  bool operator==(const Allowed&) const = default;
};

inline constexpr size_t kMostAllowed = 512;  // of one slice: rules that each of its packets may be held against

struct NetworkPlan {
  std::vector<Allowed> allowed;                            // each once, in the order of the endpoints
  std::vector<std::pair<std::string, std::string>> names;  // address and name, for /etc/hosts
  std::vector<std::string> says;                           // "db:5432/tcp at 192.0.2.7", one for each endpoint
  std::vector<Forbidden> forbidden;                        // also where a declared prefix holds it
  uint32_t mtu = 1500;                                     // the least on the ways there
  std::optional<uint64_t> bytes_per_second;

  bool v4() const;  // whether any of it is IPv4
  bool v6() const;
};

// kPermissionDenied where an endpoint is, or resolves to, what no slice may reach; kFailedPrecondition where this host
// has no way there, or does not forward. Each names the endpoint and the address.
//
// An address to which there is no way is left out where the name has another.
Result<NetworkPlan> plan_network(const model::SliceNetwork& network, const HostView& host);

}  // namespace runink::network
