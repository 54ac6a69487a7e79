// What decides whether and how this host can let a slice reach its endpoints: routes, links, forwarding, what is
// forbidden. Only looks; plan.h judges.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "model/ip_prefix.h"
#include "model/slice_network.h"
#include "worker/network/forbidden.h"

namespace runink::network {

// The way to one address or prefix; of a prefix, that to its first address.
struct WayTo {
  enum class Kind { kNone, kOther, kOwn, kSlice };  // kOwn: the host's own address; kSlice: another slice's
  model::IpPrefix to;
  Kind kind = Kind::kNone;
  std::string device;  // of kOther
  uint32_t mtu = 0;
  bool forwards = false;  // whether the host passes on what comes back by that device
};

struct HostView {
  // Why the host could not be looked at; then the rest is empty.
  Status failed;
  std::vector<WayTo> ways;  // one for each address of the endpoints
  std::vector<Forbidden> forbidden;
};

// Of the network namespace that the calling thread is in. Endpoints must be resolved.
HostView look_at_host(const model::SliceNetwork& network);

}  // namespace runink::network
