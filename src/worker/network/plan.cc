#include "worker/network/plan.h"

#include <algorithm>

#include "base/text.h"

namespace runink::network {
namespace {

constexpr uint32_t kMostMtu = 1500;     // of what is not a network of machines only: jumbo frames gain little here
constexpr uint32_t kLeastMtuV6 = 1280;  // RFC 8200

class Planner {
 public:
  explicit Planner(const HostView& host) : host_(host) { plan_.forbidden = host.forbidden; }

  Result<NetworkPlan> plan(const model::SliceNetwork& network) {
    plan_.bytes_per_second = network.bytes_per_second;
    plan_.mtu = kMostMtu;
    for (const model::SliceEndpoint& endpoint : network.endpoints) RUNINK_RETURN_IF_ERROR(add(endpoint));
    if (plan_.allowed.size() > kMostAllowed) {
      return resource_exhausted("reach {} addresses and ports: a slice has at most {}", plan_.allowed.size(),
                                kMostAllowed)
          .with_hint("a prefix such as 10.1.0.0/16:443 stands for many");
    }
    // Below that a link has no IPv6; IPv4 finds the shorter way by itself (path MTU discovery).
    if (plan_.v6()) plan_.mtu = std::max(plan_.mtu, kLeastMtuV6);
    return std::move(plan_);
  }

 private:
  Status add(const model::SliceEndpoint& endpoint) {
    const std::string shown = to_string(endpoint);
    const bool named = !model::looks_like_ip_prefix(endpoint.host);
    if (named && endpoint.addresses.empty()) {
      return invalid_argument("reach {}: the name has not been resolved", shown);
    }
    const std::vector<std::string> addresses = named ? endpoint.addresses : std::vector<std::string>{endpoint.host};
    std::vector<std::string> taken, left_out;
    Status first_without_way;
    for (const std::string& text : addresses) {
      const model::IpPrefix to = RUNINK_TRY_CONTEXT(model::parse_ip_prefix(text), "reach " + shown);
      RUNINK_RETURN_IF_ERROR(check_allowed(shown, named, to, endpoint.port));
      if (Status status = check_way(shown, named, to); !status.ok()) {
        left_out.push_back(text);
        if (first_without_way.ok()) first_without_way = std::move(status);
        continue;
      }
      allow({to, endpoint.port, endpoint.protocol});
      if (named) add_name(text, endpoint.host);
      taken.push_back(text);
    }
    if (taken.empty()) return first_without_way;
    say(endpoint, shown, named, taken, left_out);
    return {};
  }

  static std::string at(const std::string& shown, bool named, const model::IpPrefix& to) {
    return named ? fmt::format("{} at {}", shown, model::to_string(to)) : shown;
  }

  const WayTo* way_to(const model::IpPrefix& to) const {
    const auto found =
        std::find_if(host_.ways.begin(), host_.ways.end(), [&](const WayTo& way) { return way.to == to; });
    return found == host_.ways.end() ? nullptr : &*found;
  }

  Status check_allowed(const std::string& shown, bool named, const model::IpPrefix& to, uint16_t port) const {
    std::string what;
    const WayTo* way = way_to(to);
    if (const Forbidden* forbidden = find_forbidden(host_.forbidden, to, port)) {
      what = forbidden->what;
    } else if (way != nullptr && way->kind == WayTo::Kind::kOwn) {
      what = "an address of this host itself";
    } else if (way != nullptr && way->kind == WayTo::Kind::kSlice) {
      what = "another slice";
    }
    if (what.empty()) return {};
    return permission_denied("reach {}: no slice may reach that ({})", at(shown, named, to), what)
        .with_hint(named ? "the name resolves to what is never open to slices; getent ahosts shows its addresses"
                         : "such addresses and ports are never open to slices");
  }

  Status check_way(const std::string& shown, bool named, const model::IpPrefix& to) const {
    const WayTo* way = way_to(to);
    if (way == nullptr || way->kind != WayTo::Kind::kOther) {
      return failed_precondition("reach {}: this host has no route there", at(shown, named, to))
          .with_hint(to.single() ? fmt::format("ip route get {} says what the host would do", model::to_string(to))
                                 : "ip route shows where this host can send to");
    }
    if (!way->forwards) {
      return failed_precondition("reach {}: this host does not forward what comes back by {}", at(shown, named, to),
                                 way->device)
          .with_hint(to.v6 ? "sysctl net.ipv6.conf.all.forwarding=1 as root; Runink does not change the host's settings"
                           : fmt::format("sysctl net.ipv4.conf.{}.forwarding=1 as root, or net.ipv4.ip_forward=1; "
                                         "Runink does not change the host's settings",
                                         way->device));
    }
    if (to.v6 && way->mtu < kLeastMtuV6) {
      return failed_precondition("reach {}: {} has an MTU of {}, IPv6 needs {}", at(shown, named, to), way->device,
                                 way->mtu, kLeastMtuV6);
    }
    return {};
  }

  void allow(const Allowed& allowed) {
    if (std::find(plan_.allowed.begin(), plan_.allowed.end(), allowed) == plan_.allowed.end()) {
      plan_.allowed.push_back(allowed);
    }
    const uint32_t mtu = way_to(allowed.to)->mtu;
    if (mtu > 0) plan_.mtu = std::min(plan_.mtu, mtu);
  }

  void add_name(const std::string& address, const std::string& name) {
    const std::pair<std::string, std::string> line = {address, name};
    if (std::find(plan_.names.begin(), plan_.names.end(), line) == plan_.names.end()) plan_.names.push_back(line);
  }

  void say(const model::SliceEndpoint& endpoint, const std::string& shown, bool named,
           const std::vector<std::string>& taken, const std::vector<std::string>& left_out) {
    std::string says = named ? fmt::format("{} at {}", shown, join(taken, ", ")) : shown;
    if (!left_out.empty()) says += fmt::format(" (not at {}, where this host has no way)", join(left_out, ", "));
    plan_.says.push_back(std::move(says));
  }

  const HostView& host_;
  NetworkPlan plan_;
};

bool has_family(const std::vector<Allowed>& allowed, bool v6) {
  return std::any_of(allowed.begin(), allowed.end(), [&](const Allowed& entry) { return entry.to.v6 == v6; });
}

}  // namespace

bool NetworkPlan::v4() const { return has_family(allowed, false); }
bool NetworkPlan::v6() const { return has_family(allowed, true); }

Result<NetworkPlan> plan_network(const model::SliceNetwork& network, const HostView& host) {
  RUNINK_RETURN_IF_ERROR(Status(host.failed).with_context("look at this host's network"));
  return Planner(host).plan(network);
}

}  // namespace runink::network
