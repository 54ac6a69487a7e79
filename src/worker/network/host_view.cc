#include "worker/network/host_view.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "platform/os/fd.h"
#include "worker/network/links.h"
#include "worker/network/netlink.h"
#include "worker/network/slot.h"

namespace runink::network {
namespace {

// Whether a switch of the kernel begins with "1"; one that is not there is off.
bool is_on(const std::string& name) {
  const os::Fd file(::open(("/proc/sys/net/" + name).c_str(), O_RDONLY | O_CLOEXEC), name);
  char first = '0';
  return file.valid() && ::read(file.get(), &first, 1) == 1 && first == '1';
}

// What comes back from an endpoint is passed on to the slice only where the device it comes by forwards: IPv4 asks that
// device alone, IPv6 the host as a whole or (Linux 6.17) the device.
bool forwards(bool v6, const std::string& device) {
  if (!v6) return is_on("ipv4/conf/" + device + "/forwarding");
  return is_on("ipv6/conf/all/forwarding") || is_on("ipv6/conf/" + device + "/force_forwarding");
}

// An address that stands for all of a prefix: its first. Of the lowest of all, which mean the host itself, the first
// that are others'.
model::IpPrefix one_of(const model::IpPrefix& prefix) {
  if (prefix.single()) return prefix;
  model::IpPrefix out = prefix;
  out.length = out.most_bits();
  if (prefix.length < 8 && prefix.address[0] == 0) {
    out.address[0] = prefix.v6 ? 0x20 : 1;
  }
  out.address[static_cast<size_t>(out.bytes()) - 1] |= 1;
  return out;
}

Result<WayTo> find_way(NetlinkSocket* socket, const model::IpPrefix& to) {
  WayTo way{.to = to};
  const Route route = RUNINK_TRY(find_route(socket, one_of(to)));
  if (route.kind == Route::Kind::kNone) return way;
  if (route.kind == Route::Kind::kOwn) {
    way.kind = WayTo::Kind::kOwn;
    return way;
  }
  const auto link = RUNINK_TRY(find_link(socket, route.device));
  if (!link) return way;
  way.kind = is_slice_interface(link->name) ? WayTo::Kind::kSlice : WayTo::Kind::kOther;
  way.device = link->name;
  way.mtu = link->mtu;
  way.forwards = forwards(to.v6, link->name);
  return way;
}

Status look(const model::SliceNetwork& network, HostView* view) {
  view->forbidden = RUNINK_TRY(read_forbidden(kForbiddenFile));
  NetlinkSocket socket = RUNINK_TRY(NetlinkSocket::open(NETLINK_ROUTE));
  for (const model::SliceEndpoint& endpoint : network.endpoints) {
    std::vector<std::string> addresses = endpoint.addresses;
    if (addresses.empty()) addresses.push_back(endpoint.host);
    for (const std::string& text : addresses) {
      const auto to = model::parse_ip_prefix(text);
      if (!to.ok()) continue;  // a name that was not resolved: the plan says so
      const bool known =
          std::any_of(view->ways.begin(), view->ways.end(), [&](const WayTo& way) { return way.to == *to; });
      if (!known) view->ways.push_back(RUNINK_TRY(find_way(&socket, *to)));
    }
  }
  return {};
}

}  // namespace

HostView look_at_host(const model::SliceNetwork& network) {
  HostView view;
  view.failed = look(network, &view);
  return view;
}

}  // namespace runink::network
