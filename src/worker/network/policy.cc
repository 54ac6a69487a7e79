#include "worker/network/policy.h"

// Before the kernel's headers, which then leave out what both define.
#include <netinet/in.h>

#include <linux/icmp.h>
#include <linux/icmpv6.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>

#include "worker/network/nft.h"
#include "worker/network/slot.h"

namespace runink::network {
namespace {

using nft::Expressions;

constexpr const char* kFromSlices = "from_slices";
constexpr const char* kToHost = "to_host";
constexpr const char* kPassing = "passing";
constexpr const char* kLeaving = "leaving";
constexpr const char* kForbidden = "forbidden";
constexpr const char* kSlices = "slices";
constexpr const char* kAnswers = "answers";
constexpr const char* kInput = "input";
constexpr const char* kOutput = "output";
constexpr const char* kForward = "forward";

constexpr uint8_t kTcp = IPPROTO_TCP, kUdp = IPPROTO_UDP, kIcmp = IPPROTO_ICMP, kIcmpV6 = IPPROTO_ICMPV6;

constexpr uint8_t protocol_number(model::SliceProtocol protocol) {
  return protocol == model::SliceProtocol::kUdp ? kUdp : kTcp;
}

void allow_to(Messages* out, const std::string& chain, const Allowed& allowed) {
  nft::add_rule(out, chain, [&](Expressions& rule) {
    rule.destination_in(allowed.to).protocol(protocol_number(allowed.protocol)).destination_port(allowed.port).accept();
  });
}

void add_forbidden(Messages* out, const std::vector<Forbidden>& list) {
  nft::add_chain(out, kForbidden);
  nft::flush_chain(out, kForbidden);
  for (const Forbidden& entry : list) {
    const auto add = [&](std::optional<uint8_t> protocol) {
      nft::add_rule(out, kForbidden, [&](Expressions& rule) {
        if (entry.where) rule.destination_in(*entry.where);
        if (protocol) rule.protocol(*protocol).destination_port(entry.port);
        rule.count_and_drop();
      });
    };
    if (entry.port == 0) {
      add(std::nullopt);
    } else {
      add(kTcp);
      add(kUdp);
    }
  }
}

// What a slice sends, before anything else looks at it: before connections are tracked, and before a foreign rule could
// turn it to another address. Fragments have been put together by then.
void add_from_slices(Messages* out) {
  nft::add_interface_map(out, kSlices);
  nft::add_base_chain(out, kFromSlices, {"filter", NF_INET_PRE_ROUTING, NF_IP_PRI_RAW, false});
  nft::flush_chain(out, kFromSlices);
  nft::add_rule(out, kFromSlices, [](Expressions& rule) { rule.jump_by_source(kSlices); });
  // An interface that is called like ours and has no chain.
  nft::add_rule(out, kFromSlices, [](Expressions& rule) { rule.from_interface(kAllInterfaces).count_and_drop(); });
}

// Nothing on the host itself is for slices, whatever address of it they take.
void add_to_host(Messages* out) {
  nft::add_base_chain(out, kToHost, {"filter", NF_INET_LOCAL_IN, NF_IP_PRI_FILTER, false});
  nft::flush_chain(out, kToHost);
  nft::add_rule(out, kToHost, [](Expressions& rule) { rule.from_interface(kAllInterfaces).count_and_drop(); });
}

// What passes through the host: never from slice to slice, still not to what is forbidden (a foreign rule may have
// turned it), and to slices only what answers them.
void add_passing(Messages* out) {
  nft::add_interface_map(out, kAnswers);
  nft::add_base_chain(out, kPassing, {"filter", NF_INET_FORWARD, NF_IP_PRI_FILTER, false});
  nft::flush_chain(out, kPassing);
  nft::add_rule(out, kPassing, [](Expressions& rule) {
    rule.from_interface(kAllInterfaces).to_interface(kAllInterfaces).count_and_drop();
  });
  nft::add_rule(out, kPassing, [](Expressions& rule) { rule.from_interface(kAllInterfaces).jump(kForbidden); });
  nft::add_rule(out, kPassing, [](Expressions& rule) { rule.jump_by_target(kAnswers); });
  nft::add_rule(out, kPassing, [](Expressions& rule) { rule.to_interface(kAllInterfaces).count_and_drop(); });
}

// Slices' addresses mean nothing elsewhere: what leaves the host has the host's.
void add_leaving(Messages* out) {
  nft::add_base_chain(out, kLeaving, {"nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC, false});
  nft::flush_chain(out, kLeaving);
  nft::add_rule(out, kLeaving, [](Expressions& rule) { rule.from_interface(kAllInterfaces).masquerade(); });
}

std::string answers_chain(const std::string& interface) { return interface + "-in"; }

// What the slice sends.
void add_slice_chain(Messages* out, const SliceIdentity& slice, const NetworkPlan& plan) {
  nft::add_chain(out, slice.interface);
  nft::flush_chain(out, slice.interface);
  for (const auto& own : {slice.v4, slice.v6}) {
    if (!own) continue;
    nft::add_rule(out, slice.interface, [&](Expressions& rule) { rule.source_not_in(*own).count_and_drop(); });
  }
  nft::add_rule(out, slice.interface, [](Expressions& rule) { rule.jump(kForbidden); });
  nft::add_rule(out, slice.interface, [&](Expressions& rule) { rule.set_zone(slice.zone); });
  for (const Allowed& allowed : plan.allowed) allow_to(out, slice.interface, allowed);
  nft::add_rule(out, slice.interface, [](Expressions& rule) { rule.count_and_drop(); });
  nft::add_jump(out, kSlices, slice.interface, slice.interface);
}

// What answers it: connections that it began itself, and not who had its addresses before. That is what the zone is
// for: the host remembers connections for longer than a slice may live.
void add_answers_chain(Messages* out, const SliceIdentity& slice) {
  const std::string chain = answers_chain(slice.interface);
  nft::add_chain(out, chain);
  nft::flush_chain(out, chain);
  nft::add_rule(out, chain, [&](Expressions& rule) { rule.from_zone(slice.zone).answers_connection().accept(); });
  for (const uint8_t protocol : {kIcmp, kIcmpV6}) {
    nft::add_rule(out, chain, [&](Expressions& rule) {
      rule.protocol(protocol).from_zone(slice.zone).related_to_connection().accept();
    });
  }
  nft::add_jump(out, kAnswers, slice.interface, chain);
}

void add_slice_output(Messages* out, const NetworkPlan& plan) {
  nft::add_base_chain(out, kOutput, {"filter", NF_INET_LOCAL_OUT, NF_IP_PRI_FILTER, true});
  nft::add_rule(out, kOutput, [](Expressions& rule) { rule.to_interface("lo").accept(); });
  for (const Allowed& allowed : plan.allowed) allow_to(out, kOutput, allowed);
  // A refusal that is told at once, rather than a wait for an answer that never comes. A reset: what ICMP says while
  // connect() is at work, TCP believes only a second later.
  nft::add_rule(out, kOutput, [](Expressions& rule) { rule.protocol(kTcp).reset_tcp(); });
  nft::add_rule(out, kOutput, [](Expressions& rule) { rule.protocol(kUdp).reject(); });
}

// Without tracking connections, which the host's rules do: a namespace that does not track is made and ended faster.
void add_slice_input(Messages* out, const NetworkPlan& plan) {
  nft::add_base_chain(out, kInput, {"filter", NF_INET_LOCAL_IN, NF_IP_PRI_FILTER, true});
  nft::add_rule(out, kInput, [](Expressions& rule) { rule.from_interface("lo").accept(); });
  for (const Allowed& allowed : plan.allowed) {
    nft::add_rule(out, kInput, [&](Expressions& rule) {
      rule.source_in(allowed.to).protocol(protocol_number(allowed.protocol));
      // Fragments of IPv6 come by here before they are put together, and all but the first have no port.
      if (!allowed.to.v6) rule.source_port(allowed.port);
      rule.accept();
    });
  }
  // What says that a packet was too large, or did not arrive. The kernel holds it against what was sent.
  for (const uint8_t type : {ICMP_DEST_UNREACH, ICMP_TIME_EXCEEDED, ICMP_PARAMETERPROB}) {
    nft::add_rule(out, kInput, [&](Expressions& rule) { rule.family(false).protocol(kIcmp).icmp_type(type).accept(); });
  }
  for (const uint8_t type : {ICMPV6_DEST_UNREACH, ICMPV6_PKT_TOOBIG, ICMPV6_TIME_EXCEED, ICMPV6_PARAMPROB}) {
    nft::add_rule(out, kInput,
                  [&](Expressions& rule) { rule.family(true).protocol(kIcmpV6).icmp_type(type).accept(); });
  }
}

}  // namespace

Messages host_policy(const SliceIdentity& slice, const NetworkPlan& plan) {
  Messages out;
  nft::begin_batch(&out);
  nft::add_table(&out);
  add_forbidden(&out, plan.forbidden);
  add_from_slices(&out);
  add_to_host(&out);
  add_passing(&out);
  add_leaving(&out);
  add_slice_chain(&out, slice, plan);
  add_answers_chain(&out, slice);
  nft::end_batch(&out);
  return out;
}

Messages remove_host_policy(const std::string& interface) {
  Messages out;
  nft::begin_batch(&out);
  nft::delete_jump(&out, kSlices, interface);
  nft::delete_jump(&out, kAnswers, interface);
  nft::delete_chain(&out, interface);
  nft::delete_chain(&out, answers_chain(interface));
  nft::end_batch(&out);
  return out;
}

Messages slice_policy(const NetworkPlan& plan) {
  Messages out;
  nft::begin_batch(&out);
  nft::add_table(&out);
  add_slice_output(&out, plan);
  add_slice_input(&out, plan);
  nft::add_base_chain(&out, kForward, {"filter", NF_INET_FORWARD, NF_IP_PRI_FILTER, true});
  nft::end_batch(&out);
  return out;
}

}  // namespace runink::network
