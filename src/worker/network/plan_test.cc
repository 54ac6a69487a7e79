#include "worker/network/plan.h"

#include <gmock/gmock.h>

#include "platform/os/file.h"
#include "platform/os/temp.h"
#include "worker/network/forbidden.h"
#include "worker/network/slot.h"

namespace runink::network {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

model::SliceNetwork network_of(const std::vector<std::string>& endpoints) {
  model::SliceNetwork network;
  for (const std::string& text : endpoints) {
    auto endpoint = model::parse_endpoint(text);
    EXPECT_TRUE(endpoint.ok()) << endpoint.status().to_string();
    if (endpoint.ok()) network.endpoints.push_back(std::move(*endpoint));
  }
  return network;
}

WayTo way(const std::string& to, WayTo::Kind kind = WayTo::Kind::kOther) {
  return {.to = *model::parse_ip_prefix(to), .kind = kind, .device = "up0", .mtu = 1400, .forwards = true};
}

HostView host_of(std::vector<WayTo> ways) {
  HostView host;
  host.ways = std::move(ways);
  host.forbidden = *read_forbidden("/nonexistent/forbidden-endpoints");
  return host;
}

TEST(NetworkPlan, AllowsWhatIsDeclared) {
  model::SliceNetwork network = network_of({"db.example:5432", "db.example:5433", "10.0.0.0/8:53/udp"});
  network.endpoints[0].addresses = network.endpoints[1].addresses = {"192.0.2.7", "2001:db8::7"};
  network.bytes_per_second = 1'000'000;
  const auto plan = plan_network(network, host_of({way("192.0.2.7"), way("2001:db8::7"), way("10.0.0.0/8")}));
  ASSERT_TRUE(plan.ok()) << plan.status().to_string();
  const auto tcp = model::SliceProtocol::kTcp;
  EXPECT_THAT(plan->allowed,
              ElementsAre(Allowed{*model::parse_ip_prefix("192.0.2.7"), 5432, tcp},
                          Allowed{*model::parse_ip_prefix("2001:db8::7"), 5432, tcp},
                          Allowed{*model::parse_ip_prefix("192.0.2.7"), 5433, tcp},
                          Allowed{*model::parse_ip_prefix("2001:db8::7"), 5433, tcp},
                          Allowed{*model::parse_ip_prefix("10.0.0.0/8"), 53, model::SliceProtocol::kUdp}));
  EXPECT_THAT(plan->names, ElementsAre(Pair("192.0.2.7", "db.example"), Pair("2001:db8::7", "db.example")));
  EXPECT_EQ(plan->says[0], "db.example:5432/tcp at 192.0.2.7, 2001:db8::7");
  EXPECT_EQ(plan->says[2], "10.0.0.0/8:53/udp");
  EXPECT_EQ(plan->mtu, 1400u) << "the least on the way";
  EXPECT_EQ(plan->bytes_per_second, 1'000'000u);
  EXPECT_TRUE(plan->v4() && plan->v6());
}

// What a name resolves to is as forbidden as what is written.
TEST(NetworkPlan, RefusesWhatIsForbidden) {
  const std::pair<const char*, const char*> cases[] = {
      {"127.0.0.1", "loopback"},
      {"127.8.8.8", "loopback"},
      {"0.0.0.0", "this host"},
      {"169.254.169.254", "cloud metadata"},
      {"169.254.1.1", "link-local"},
      {"100.100.100.200", "cloud metadata"},
      {"168.63.129.16", "cloud metadata"},
      {"192.0.0.192", "cloud metadata"},
      {"224.0.0.1", "multicast"},
      {"255.255.255.255", "reserved"},
      {"::1", "loopback"},
      {"::", "IPv4 wrapped"},
      {"fe80::1", "link-local"},
      {"fd00:ec2::254", "cloud metadata"},
      {"fd20:ce::254", "cloud metadata"},
      {"ff02::1", "multicast"},
      {"::ffff:127.0.0.1", "IPv4 wrapped"},
      {"::ffff:192.0.2.7", "IPv4 wrapped"},
      {"64:ff9b::169.254.169.254", "cloud metadata"},
      {"64:ff9b::127.0.0.1", "loopback"},
      {"2002:7f00:1::", "IPv4 wrapped"},
  };
  for (const auto& [address, what] : cases) {
    model::SliceNetwork network = network_of({"rebound.example:80"});
    network.endpoints[0].addresses = {"192.0.2.7", address};
    const auto plan = plan_network(network, host_of({way("192.0.2.7"), way(address)}));
    EXPECT_EQ(plan.status().code(), Code::kPermissionDenied) << address;
    EXPECT_THAT(plan.status().to_string(), HasSubstr("rebound.example:80/tcp at ")) << address;
    EXPECT_THAT(plan.status().to_string(), HasSubstr(what)) << address;
    network.endpoints = {{address, 80, model::SliceProtocol::kTcp, {}}};
    EXPECT_EQ(plan_network(network, host_of({way(address)})).status().code(), Code::kPermissionDenied) << address;
  }
}

TEST(NetworkPlan, RefusesTheHostSlicesAndTheControlPlane) {
  const auto status = [](const char* endpoint, const WayTo& to) {
    return plan_network(network_of({endpoint}), host_of({to})).status();
  };
  EXPECT_THAT(status("192.0.2.2:80", way("192.0.2.2", WayTo::Kind::kOwn)).to_string(), HasSubstr("this host itself"));
  EXPECT_THAT(status("198.18.0.1:80", way("198.18.0.1", WayTo::Kind::kSlice)).to_string(), HasSubstr("another slice"));
  for (const char* endpoint : {"192.0.2.7:7460", "192.0.2.7:7461", "192.0.2.7:7462", "192.0.2.7:7463/udp"}) {
    const Status refused = status(endpoint, way("192.0.2.7"));
    EXPECT_EQ(refused.code(), Code::kPermissionDenied) << endpoint;
    EXPECT_THAT(refused.to_string(), HasSubstr("control plane"));
  }
  EXPECT_THAT(status("10.0.0.0/8:7460", way("10.0.0.0/8")).to_string(), HasSubstr("control plane"));
  EXPECT_TRUE(status("192.0.2.7:7459", way("192.0.2.7")).ok());
}

// A prefix may hold what is forbidden: the rules keep the slice from that part of it.
TEST(NetworkPlan, APrefixMayHoldWhatIsForbidden) {
  const auto plan = plan_network(network_of({"0.0.0.0/0:443"}), host_of({way("0.0.0.0/0")}));
  ASSERT_TRUE(plan.ok()) << plan.status().to_string();
  EXPECT_FALSE(plan->forbidden.empty());
}

TEST(NetworkPlan, RefusesWithoutAWay) {
  const model::SliceNetwork network = network_of({"192.0.2.7:80"});
  EXPECT_THAT(plan_network(network, host_of({way("192.0.2.7", WayTo::Kind::kNone)})).status().to_string(),
              HasSubstr("no route"));
  WayTo closed = way("192.0.2.7");
  closed.forwards = false;
  const auto plan = plan_network(network, host_of({closed}));
  EXPECT_EQ(plan.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(plan.status().hint(), HasSubstr("sysctl net.ipv4.conf.up0.forwarding=1"));
  HostView broken;
  broken.failed = permission_denied("speak with the kernel");
  EXPECT_EQ(plan_network(network, broken).status().code(), Code::kPermissionDenied);
}

TEST(NetworkPlan, LeavesOutAddressesWithoutAWay) {
  model::SliceNetwork network = network_of({"db.example:5432"});
  EXPECT_THAT(plan_network(network, host_of({})).status().to_string(), HasSubstr("has not been resolved"));
  network.endpoints[0].addresses = {"2001:db8::7", "192.0.2.7"};
  WayTo closed = way("2001:db8::7");
  closed.forwards = false;
  const auto plan = plan_network(network, host_of({closed, way("192.0.2.7")}));
  ASSERT_TRUE(plan.ok()) << plan.status().to_string();
  EXPECT_FALSE(plan->v6());
  EXPECT_THAT(plan->names, ElementsAre(Pair("192.0.2.7", "db.example")));
  EXPECT_THAT(plan->says[0], HasSubstr("not at 2001:db8::7"));
}

TEST(Forbidden, ReadsTheNodesList) {
  const auto folder = os::TempFolder::create("");
  ASSERT_TRUE(folder.ok());
  const std::string file = folder->path() + "/list";
  const auto read = [&](const std::string& text) {
    EXPECT_TRUE(os::write_file_atomic(file, text).ok());
    return read_forbidden(file);
  };
  const auto list =
      read("# of this node\n\n10.0.0.5\n 10.1.0.0/16 # all\n192.0.2.7:443\n[2001:db8::7]:443\n2001:db8::8\n*:9000\n");
  ASSERT_TRUE(list.ok()) << list.status().to_string();
  const auto forbidden = [&](const char* to, uint16_t port) {
    return find_forbidden(*list, *model::parse_ip_prefix(to), port) != nullptr;
  };
  EXPECT_TRUE(forbidden("10.0.0.5", 1));
  EXPECT_TRUE(forbidden("10.1.2.3", 1));
  EXPECT_TRUE(forbidden("192.0.2.7", 443));
  EXPECT_FALSE(forbidden("192.0.2.7", 444));
  EXPECT_TRUE(forbidden("2001:db8::7", 443));
  EXPECT_FALSE(forbidden("2001:db8::7", 444));
  EXPECT_TRUE(forbidden("2001:db8::8", 444));
  EXPECT_TRUE(forbidden("192.0.2.9", 9000));
  EXPECT_FALSE(forbidden("192.0.2.9", 7460)) << "the list is there instead of Runink's own ports";
  EXPECT_TRUE(forbidden("169.254.169.254", 80)) << "in addition to what is always";
  for (const char* bad : {"*", "10.0.0.1/8", "x", "10.0.0.5:0", "*:x", "[::1]:", "10.0.0.5:70000", ":80"}) {
    const auto refused = read(std::string("10.0.0.5\n") + bad + "\n");
    EXPECT_FALSE(refused.ok()) << bad;
    EXPECT_THAT(refused.status().to_string(), HasSubstr("list:2")) << bad;
  }
}

TEST(NetworkSlots, HaveNamesAndAddresses) {
  EXPECT_EQ(interface_name(17), "runink-17");
  EXPECT_EQ(slot_of("runink-17"), 17u);
  for (const char* other : {"runink-", "runink-x", "runink-17-in", "runink-4094", "runink--1", "eth0", "xrunink-1"}) {
    EXPECT_EQ(slot_of(other), std::nullopt) << other;
  }
  EXPECT_LT(interface_name(kSlots - 1).size(), 16u) << "what Linux allows";
  EXPECT_EQ(to_string(slice_address_v4(0, 0)), "198.18.0.1");
  EXPECT_EQ(to_string(slice_address_v4(kSlots - 1, 3)), "10.254.15.254");
  EXPECT_EQ(to_string(slice_address_v6(0)), "fd52:756e:696e:6b::1");
}

}  // namespace
}  // namespace runink::network
