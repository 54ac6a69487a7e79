// Links, addresses, neighbours, routes and rates, by rtnetlink(7): as messages for NetlinkSocket::send, and questions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"
#include "model/ip_prefix.h"
#include "worker/network/netlink.h"

namespace runink::network {

using MacAddress = std::array<uint8_t, 6>;

struct VethEnd {
  std::string name;
  MacAddress mac{};
};

// Makes a pair: one end where the socket is, the other in the namespace `peer_network` (a descriptor). Both down.
void add_veth(Messages* out, const VethEnd& here, const VethEnd& peer, int peer_network, uint32_t mtu);
// Both ends. A link that is not there is OK.
Status delete_link(NetlinkSocket* route, const std::string& name);

struct LinkInfo {
  uint32_t index = 0;
  std::string name;
  uint32_t mtu = 0;
};
Result<std::optional<LinkInfo>> find_link(NetlinkSocket* route, const std::string& name);
Result<std::optional<LinkInfo>> find_link(NetlinkSocket* route, uint32_t index);

// What the kernel does with packets that come from this link: forwards IPv4, and believes nothing else. Ours only.
void set_forwarding(Messages* out, uint32_t index);
// No IPv6 address is made up for it. Fails where the kernel has no IPv6.
void forbid_link_local(Messages* out, uint32_t index);
// Up, and without ARP: both ends are told who the other is (add_neighbour).
void raise_link(Messages* out, uint32_t index);
void add_address(Messages* out, uint32_t index, const model::IpPrefix& address);
void add_neighbour(Messages* out, uint32_t index, const model::IpPrefix& address, const MacAddress& mac);
// Without a gateway: directly behind the link.
void add_route(Messages* out, uint32_t index, const model::IpPrefix& to, const std::optional<model::IpPrefix>& gateway);
// What is sent by this link flows at this rate (a token bucket, tc-tbf(8)); what is more than waits, and then is lost.
void add_rate(Messages* out, uint32_t index, uint64_t bytes_per_second, uint32_t mtu);

struct Route {
  enum class Kind {
    kNone,     // there is no way
    kUnicast,  // by `device`
    kOwn,      // an address of this host, or one that means many
  };
  Kind kind = Kind::kNone;
  uint32_t device = 0;   // its index
  int matched_bits = 0;  // how long the prefix is by which it was found; 0: the default route, or none
};
// Where the host would send a packet for this address.
Result<Route> find_route(NetlinkSocket* route, const model::IpPrefix& address);

}  // namespace runink::network
