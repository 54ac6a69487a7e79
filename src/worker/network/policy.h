// The rules that hold a slice to its endpoints: on the host, where it cannot reach them, and once more in its own
// network namespace, where it has no right to change them. Pure: messages for NetlinkSocket::send.
//
// On the host all lies in the table inet runink: chains that are the same for all slices, and two for each slice, named
// after its interface. docs/internals/sandbox-network.md shows it.
#pragma once

#include <optional>
#include <string>

#include "model/ip_prefix.h"
#include "worker/network/netlink.h"
#include "worker/network/plan.h"

namespace runink::network {

// Who a slice is to the host.
struct SliceIdentity {
  std::string interface;                  // on the host
  std::optional<model::IpPrefix> v4, v6;  // its addresses, what of both it has
  uint16_t zone = 0;  // in which the host tracks its connections; of nobody else with these addresses
};

// Makes the table and what all slices share, as it should be whatever was there, and the chains of this slice.
Messages host_policy(const SliceIdentity& slice, const NetworkPlan& plan);
// Takes the slice's chains away. Fails with kNotFound where there is none.
Messages remove_host_policy(const std::string& interface);
// The table of the slice's own network namespace.
Messages slice_policy(const NetworkPlan& plan);

}  // namespace runink::network
