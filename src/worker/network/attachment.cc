#include "worker/network/attachment.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <utility>

#include "platform/os/file.h"
#include "worker/network/links.h"
#include "worker/network/netlink.h"
#include "worker/network/nft.h"

namespace runink::network {
namespace {

constexpr const char* kSliceInterface = "eth0";

// Who the slice sends all to. Of no link but its own, and nobody listens there: the host's end has no address.
model::IpPrefix gateway(bool v6) {
  static constexpr uint8_t kV4[4] = {169, 254, 1, 1};
  static constexpr uint8_t kV6[16] = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
  return v6 ? model::ip_address(true, kV6) : model::ip_address(false, kV4);
}

// Locally administered, "RK", which end, and the slot.
MacAddress mac_of(uint32_t slot, bool host) {
  return {
      0x02, 'R', 'K', static_cast<uint8_t>(host ? 0 : 1), static_cast<uint8_t>(slot >> 8), static_cast<uint8_t>(slot)};
}

Status with_kernel_hint(Status status) {
  // What the kernel says of a kind of link, rule or queue that it does not have.
  if (status.code() != Code::kUnknown && status.code() != Code::kNotFound) return status;
  return std::move(status).with_hint(
      "slices with a network need veth links, nf_tables with connection tracking, masquerading and reject, and tbf for "
      "rates: modprobe -a veth nf_tables nft_ct nft_masq nft_reject_inet sch_tbf");
}

// Whether the host's network uses this address, or one that it stands for.
Result<bool> is_used(NetlinkSocket* route, const model::IpPrefix& address) {
  const Route found = RUNINK_TRY(find_route(route, address));
  return found.kind == Route::Kind::kOwn || found.matched_bits > 0;
}

Status pick_addresses(NetlinkSocket* route, uint32_t slot, const NetworkPlan& plan, SliceIdentity* slice) {
  for (size_t range = 0; plan.v4() && !slice->v4; ++range) {
    if (range == kAddressRanges) {
      return failed_precondition(
                 "give a slice an address: this host's routes use all of 198.18.0.0/15, 100.127.0.0/16 and "
                 "10.254.0.0/16")
          .with_hint("ip route shows them; one of them has to be free for slices");
    }
    const model::IpPrefix candidate = slice_address_v4(slot, range);
    if (!RUNINK_TRY(is_used(route, candidate))) slice->v4 = candidate;
  }
  if (!plan.v6()) return {};
  slice->v6 = slice_address_v6(slot);
  if (!RUNINK_TRY(is_used(route, *slice->v6))) return {};
  return failed_precondition("give a slice an address: this host's routes use {}", model::to_string(*slice->v6))
      .with_hint("ip -6 route shows it; fd52:756e:696e:6b::/64 is for slices");
}

// As far as the kernel has IPv6 at all; where the slice is to use it, it must.
Status keep_link_local_off(NetlinkSocket* route, uint32_t index, bool needed) {
  Messages messages;
  forbid_link_local(&messages, index);
  Status status = route->send(&messages);
  return needed ? std::move(status) : Status();
}

// Where IPv6 is not forwarded for the host as a whole, newer kernels ask each device. Older ones have no such switch,
// and then the plan has no IPv6 unless it is on for all.
void force_forwarding_v6(const std::string& interface) {
  const std::string path = "/proc/sys/net/ipv6/conf/" + interface + "/force_forwarding";
  const os::Fd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC), path);
  if (file.valid()) (void)!::write(file.get(), "1", 1);
}

Result<uint32_t> index_of(NetlinkSocket* route, const std::string& name) {
  const auto link = RUNINK_TRY(find_link(route, name));
  if (!link) return unavailable("look for the link {}: it is gone", name).with_hint("has the slice ended?");
  return link->index;
}

Status set_up_slice_end(NetlinkSocket* route, uint32_t slot, const SliceIdentity& slice, const NetworkPlan& plan) {
  const uint32_t index = RUNINK_TRY(index_of(route, kSliceInterface));
  RUNINK_RETURN_IF_ERROR(keep_link_local_off(route, index, plan.v6()));
  Messages messages;
  raise_link(&messages, index);
  for (const auto& own : {slice.v4, slice.v6}) {
    if (!own) continue;
    add_address(&messages, index, *own);
    add_neighbour(&messages, index, gateway(own->v6), mac_of(slot, true));
  }
  // To what it may reach, and nowhere else: all other addresses are unreachable at once.
  for (const Allowed& allowed : plan.allowed) add_route(&messages, index, allowed.to, gateway(allowed.to.v6));
  if (plan.bytes_per_second) add_rate(&messages, index, *plan.bytes_per_second, plan.mtu);
  return route->send(&messages);
}

Status set_up_host_end(NetlinkSocket* route, uint32_t slot, const SliceIdentity& slice, const NetworkPlan& plan) {
  const std::string name = interface_name(slot);
  const uint32_t index = RUNINK_TRY(index_of(route, name));
  RUNINK_RETURN_IF_ERROR(keep_link_local_off(route, index, plan.v6()));
  Messages messages;
  set_forwarding(&messages, index);
  raise_link(&messages, index);
  for (const auto& own : {slice.v4, slice.v6}) {
    if (!own) continue;
    add_neighbour(&messages, index, *own, mac_of(slot, false));
    add_route(&messages, index, *own, std::nullopt);
  }
  if (plan.bytes_per_second) add_rate(&messages, index, *plan.bytes_per_second, plan.mtu);
  RUNINK_RETURN_IF_ERROR(route->send(&messages));
  if (plan.v6()) force_forwarding_v6(name);
  return {};
}

}  // namespace

Status Networks::open() {
  if (open_) return {};
  route_ = RUNINK_TRY(NetlinkSocket::open(NETLINK_ROUTE));
  netfilter_ = RUNINK_TRY(NetlinkSocket::open(NETLINK_NETFILTER));
  open_ = true;
  return {};
}

Status Networks::remove_rules(const std::string& interface) {
  Messages removal = remove_host_policy(interface);
  Status removed = netfilter_.send(&removal);
  // Not there: somebody has emptied the table (nft flush ruleset).
  if (!removed.ok() && removed.code() != Code::kNotFound) return removed;
  // Fails where somebody changes rules at the same time: a slice that begins and needs the table, or one that ends, and
  // then looks for itself.
  (void)nft::remove_unneeded_table(&netfilter_, [](const std::string& chain) { return is_slice_interface(chain); });
  return {};
}

// What a launcher that was killed may have left there. Its slice has ended or is ending; either way it sends nothing
// any more.
Status Networks::clean_up(uint32_t slot) {
  RUNINK_RETURN_IF_ERROR(delete_link(&route_, interface_name(slot)));
  return remove_rules(interface_name(slot));
}

// The pair of the slice that had the slot before goes with that slice's network, which the kernel takes apart a while
// after the slice: until then another slot is as good, and waiting costs tens of milliseconds.
Result<bool> Networks::is_usable(const NetworkSlot& slot) {
  if (!slot.dirty()) return !RUNINK_TRY(find_link(&route_, interface_name(slot.number()))).has_value();
  RUNINK_RETURN_IF_ERROR(clean_up(slot.number()));
  return true;
}

Result<Attachment> Networks::attach(const NetworkPlan& plan, int network) {
  constexpr const char* kAttempted = "connect the slice to its endpoints";
  if (!open_) RUNINK_RETURN_IF_ERROR(remove_abandoned().with_context(kAttempted));
  Attachment made;
  made.owner_ = this;
  made.slot_ =
      RUNINK_TRY_CONTEXT(NetworkSlot::take([this](const NetworkSlot& slot) { return is_usable(slot); }), kAttempted);
  made.slice_.interface = interface_name(made.slot_.number());
  made.slice_.zone = made.slot_.generation();
  Status connected = connect(plan, network, &made);
  if (connected.ok()) return made;
  (void)delete_link(&route_, made.slice_.interface);
  return with_kernel_hint(std::move(connected)).with_context(kAttempted);
}

Status Networks::connect(const NetworkPlan& plan, int network, Attachment* made) {
  const uint32_t slot = made->slot_.number();
  SliceIdentity* slice = &made->slice_;
  NamespaceSockets inside = RUNINK_TRY(open_in_namespace(network));
  RUNINK_RETURN_IF_ERROR(pick_addresses(&route_, slot, plan, slice));
  Messages slice_rules = slice_policy(plan);
  RUNINK_RETURN_IF_ERROR(inside.netfilter.send(&slice_rules));
  Messages host_rules = host_policy(*slice, plan);
  RUNINK_RETURN_IF_ERROR(netfilter_.send(&host_rules));
  Messages pair;
  add_veth(&pair, {slice->interface, mac_of(slot, true)}, {kSliceInterface, mac_of(slot, false)}, network, plan.mtu);
  RUNINK_RETURN_IF_ERROR(route_.send(&pair));
  RUNINK_RETURN_IF_ERROR(set_up_host_end(&route_, slot, *slice, plan));
  RUNINK_RETURN_IF_ERROR(set_up_slice_end(&inside.route, slot, *slice, plan));
  made->inside_ = inside.netfilter.take_descriptor();
  return {};
}

Status Networks::remove_abandoned() {
  RUNINK_RETURN_IF_ERROR(open());
  RUNINK_RETURN_IF_ERROR(make_slot_folder());
  const std::vector<std::string> chains = RUNINK_TRY(nft::list_chains(&netfilter_));
  for (const std::string& chain : chains) {
    const auto slot = slot_of(chain);
    if (!slot) continue;
    auto taken = RUNINK_TRY(NetworkSlot::try_take(*slot));
    if (!taken) continue;
    RUNINK_RETURN_IF_ERROR(clean_up(*slot));
    taken->mark_clean();
  }
  return {};
}

Attachment& Attachment::operator=(Attachment&& other) noexcept {
  if (this == &other) return *this;
  detach();
  owner_ = other.owner_;
  inside_ = std::move(other.inside_);
  slot_ = std::move(other.slot_);
  slice_ = std::exchange(other.slice_, {});
  return *this;
}

void Attachment::detach() {
  if (!slot_.held()) return;
  inside_.reset();
  if (owner_->remove_rules(slice_.interface).ok()) slot_.mark_clean();
  slot_ = NetworkSlot();
}

}  // namespace runink::network
