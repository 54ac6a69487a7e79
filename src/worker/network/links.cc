#include "worker/network/links.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>

#include <algorithm>

namespace runink::network {
namespace {

uint8_t family_of(const model::IpPrefix& prefix) { return prefix.v6 ? AF_INET6 : AF_INET; }

void put_address(Messages* out, uint16_t type, const model::IpPrefix& address) {
  out->put(type, address.address.data(), static_cast<size_t>(address.bytes()));
}

void put_end(Messages* out, const VethEnd& end, uint32_t mtu) {
  out->put_text(IFLA_IFNAME, end.name);
  out->put_u32(IFLA_MTU, mtu);
  out->put(IFLA_ADDRESS, end.mac.data(), end.mac.size());
  // One queue, rather than as many as the machine has processors: each costs memory.
  out->put_u32(IFLA_NUM_TX_QUEUES, 1);
  out->put_u32(IFLA_NUM_RX_QUEUES, 1);
}

void begin_link(Messages* out, uint32_t index, std::string says) {
  out->begin(RTM_SETLINK, 0, std::move(says));
  out->put_header(ifinfomsg{.ifi_family = AF_UNSPEC, .ifi_index = static_cast<int>(index)});
}

Result<std::optional<LinkInfo>> ask_for_link(NetlinkSocket* route, Messages* question) {
  static constexpr int kMissing[] = {ENODEV};
  const auto answer = RUNINK_TRY(route->ask(question, kMissing));
  if (!answer) return std::optional<LinkInfo>();
  LinkInfo info;
  ifinfomsg header = {};
  if (answer->size() < sizeof header) return internal_error("an answer of the kernel about a link is too short");
  ::memcpy(&header, answer->data(), sizeof header);
  info.index = static_cast<uint32_t>(header.ifi_index);
  for_each_attribute(behind_header(*answer, sizeof header), [&](uint16_t type, Bytes value) {
    if (type == IFLA_IFNAME) info.name = read_text(value);
    if (type == IFLA_MTU) info.mtu = read_u32(value);
  });
  return std::optional<LinkInfo>(info);
}

Result<std::optional<std::vector<uint8_t>>> ask_for_route(NetlinkSocket* route, const model::IpPrefix& address,
                                                          uint32_t flags) {
  // No route, one that says "unreachable", "prohibited", "black hole": all the same to us.
  static constexpr int kMissing[] = {ENETUNREACH, EHOSTUNREACH, ESRCH, EACCES, EINVAL, EAGAIN};
  Messages question;
  question.begin(RTM_GETROUTE, 0, "look up the route to " + model::to_string(address));
  question.put_header(rtmsg{
      .rtm_family = family_of(address), .rtm_dst_len = static_cast<uint8_t>(address.most_bits()), .rtm_flags = flags});
  put_address(&question, RTA_DST, address);
  return route->ask(&question, kMissing);
}

}  // namespace

void add_veth(Messages* out, const VethEnd& here, const VethEnd& peer, int peer_network, uint32_t mtu) {
  out->begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, "make the veth pair " + here.name);
  out->put_header(ifinfomsg{.ifi_family = AF_UNSPEC});
  put_end(out, here, mtu);
  out->nest(IFLA_LINKINFO, [&] {
    out->put_text(IFLA_INFO_KIND, "veth");
    out->nest(IFLA_INFO_DATA, [&] {
      out->nest(VETH_INFO_PEER, [&] {
        out->put_header(ifinfomsg{.ifi_family = AF_UNSPEC});
        put_end(out, peer, mtu);
        out->put_u32(IFLA_NET_NS_FD, static_cast<uint32_t>(peer_network));
      });
    });
  });
}

Status delete_link(NetlinkSocket* route, const std::string& name) {
  const auto link = RUNINK_TRY(find_link(route, name));
  if (!link) return {};
  Messages messages;
  messages.begin(RTM_DELLINK, 0, "remove the veth pair " + name);
  messages.put_header(ifinfomsg{.ifi_family = AF_UNSPEC, .ifi_index = static_cast<int>(link->index)});
  Status removed = route->send(&messages);
  // With the slice's network, which took its end along in the meantime.
  if (!removed.ok() && !RUNINK_TRY(find_link(route, name))) return {};
  return removed;
}

Result<std::optional<LinkInfo>> find_link(NetlinkSocket* route, const std::string& name) {
  Messages question;
  question.begin(RTM_GETLINK, 0, "look for the link " + name);
  question.put_header(ifinfomsg{.ifi_family = AF_UNSPEC});
  question.put_text(IFLA_IFNAME, name);
  return ask_for_link(route, &question);
}

Result<std::optional<LinkInfo>> find_link(NetlinkSocket* route, uint32_t index) {
  Messages question;
  question.begin(RTM_GETLINK, 0, "look at a link");
  question.put_header(ifinfomsg{.ifi_family = AF_UNSPEC, .ifi_index = static_cast<int>(index)});
  return ask_for_link(route, &question);
}

void set_forwarding(Messages* out, uint32_t index) {
  begin_link(out, index, "let the slice's link forward");
  out->nest(IFLA_AF_SPEC, [&] {
    out->nest(AF_INET, [&] {
      out->nest(IFLA_INET_CONF, [&] {
        out->put_u32(IPV4_DEVCONF_FORWARDING, 1);
        out->put_u32(IPV4_DEVCONF_RP_FILTER, 1);
        for (const uint16_t off :
             {IPV4_DEVCONF_ACCEPT_REDIRECTS, IPV4_DEVCONF_SEND_REDIRECTS, IPV4_DEVCONF_ACCEPT_SOURCE_ROUTE,
              IPV4_DEVCONF_PROXY_ARP, IPV4_DEVCONF_ROUTE_LOCALNET}) {
          out->put_u32(off, 0);
        }
      });
    });
  });
}

void forbid_link_local(Messages* out, uint32_t index) {
  begin_link(out, index, "keep IPv6 addresses off the slice's link");
  out->nest(IFLA_AF_SPEC,
            [&] { out->nest(AF_INET6, [&] { out->put_u8(IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE); }); });
}

void raise_link(Messages* out, uint32_t index) {
  constexpr unsigned kFlags = IFF_UP | IFF_NOARP;
  out->begin(RTM_SETLINK, 0, "bring the slice's link up");
  out->put_header(ifinfomsg{
      .ifi_family = AF_UNSPEC, .ifi_index = static_cast<int>(index), .ifi_flags = kFlags, .ifi_change = kFlags});
}

void add_address(Messages* out, uint32_t index, const model::IpPrefix& address) {
  out->begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, "give the slice the address " + model::to_string(address));
  out->put_header(ifaddrmsg{.ifa_family = family_of(address),
                            .ifa_prefixlen = static_cast<uint8_t>(address.length),
                            .ifa_scope = RT_SCOPE_UNIVERSE,
                            .ifa_index = index});
  put_address(out, IFA_LOCAL, address);
  put_address(out, IFA_ADDRESS, address);
  // Usable at once: nobody else can be on this link.
  if (address.v6) out->put_u32(IFA_FLAGS, IFA_F_NODAD | IFA_F_NOPREFIXROUTE);
}

void add_neighbour(Messages* out, uint32_t index, const model::IpPrefix& address, const MacAddress& mac) {
  out->begin(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, "say who has " + model::to_string(address));
  out->put_header(
      ndmsg{.ndm_family = family_of(address), .ndm_ifindex = static_cast<int>(index), .ndm_state = NUD_PERMANENT});
  put_address(out, NDA_DST, address);
  out->put(NDA_LLADDR, mac.data(), mac.size());
}

void add_route(Messages* out, uint32_t index, const model::IpPrefix& to,
               const std::optional<model::IpPrefix>& gateway) {
  out->begin(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, "add the route to " + model::to_string(to));
  out->put_header(rtmsg{.rtm_family = family_of(to),
                        .rtm_dst_len = static_cast<uint8_t>(to.length),
                        .rtm_table = RT_TABLE_MAIN,
                        .rtm_protocol = RTPROT_STATIC,
                        .rtm_scope = static_cast<uint8_t>(gateway ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK),
                        .rtm_type = RTN_UNICAST,
                        .rtm_flags = gateway ? uint32_t{RTNH_F_ONLINK} : 0});
  if (to.length > 0) put_address(out, RTA_DST, to);
  if (gateway) put_address(out, RTA_GATEWAY, *gateway);
  out->put_u32(RTA_OIF, index);
}

void add_rate(Messages* out, uint32_t index, uint64_t bytes_per_second, uint32_t mtu) {
  // What may be sent at once: that of 20 ms, for a clock that ticks slowly, and a few packets. What may wait: 100 ms.
  const uint64_t burst = std::clamp<uint64_t>(bytes_per_second / 50, uint64_t{4} * mtu, 8u << 20);
  const uint64_t queue = std::min<uint64_t>(burst + std::max<uint64_t>(bytes_per_second / 10, 16u << 10), 256u << 20);
  tc_tbf_qopt options = {};
  options.rate.linklayer = TC_LINKLAYER_ETHERNET;
  options.rate.rate = static_cast<uint32_t>(std::min<uint64_t>(bytes_per_second, UINT32_MAX));
  options.limit = static_cast<uint32_t>(queue);
  out->begin(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, "limit the rate of the slice's network (tc tbf)");
  out->put_header(tcmsg{.tcm_family = AF_UNSPEC,
                        .tcm_ifindex = static_cast<int>(index),
                        .tcm_handle = 1u << 16,
                        .tcm_parent = TC_H_ROOT});
  out->put_text(TCA_KIND, "tbf");
  out->nest(TCA_OPTIONS, [&] {
    out->put(TCA_TBF_PARMS, &options, sizeof options);
    if (bytes_per_second > UINT32_MAX) out->put_u64(TCA_TBF_RATE64, bytes_per_second);
    out->put_u32(TCA_TBF_BURST, static_cast<uint32_t>(burst));
  });
}

Result<Route> find_route(NetlinkSocket* route, const model::IpPrefix& address) {
  Route found;
  const auto way = RUNINK_TRY(ask_for_route(route, address, 0));
  rtmsg header = {};
  if (!way || way->size() < sizeof header) return found;
  ::memcpy(&header, way->data(), sizeof header);
  if (header.rtm_type == RTN_UNICAST) {
    found.kind = Route::Kind::kUnicast;
  } else if (header.rtm_type == RTN_LOCAL || header.rtm_type == RTN_BROADCAST || header.rtm_type == RTN_ANYCAST ||
             header.rtm_type == RTN_MULTICAST) {
    found.kind = Route::Kind::kOwn;
  }
  for_each_attribute(behind_header(*way, sizeof header), [&](uint16_t type, Bytes value) {
    if (type == RTA_OIF) found.device = read_u32(value);
  });
  const auto match = RUNINK_TRY(ask_for_route(route, address, RTM_F_FIB_MATCH));
  if (!match || match->size() < sizeof header) return found;
  ::memcpy(&header, match->data(), sizeof header);
  found.matched_bits = header.rtm_dst_len;
  return found;
}

}  // namespace runink::network
