// Attachments between network namespaces that are made for the test, and their rules. What passes through one is tested
// with real programs in tests/sandbox.
#include "worker/network/attachment.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <set>
#include <thread>

#include "worker/network/lab_in_test.h"
#include "worker/network/links.h"
#include "worker/network/nft.h"

namespace runink::network {
namespace {

using ::testing::Contains;
using ::testing::IsEmpty;

NetworkPlan some_plan() {
  NetworkPlan plan;
  plan.allowed = {{*model::parse_ip_prefix("192.0.2.7"), 5432, model::SliceProtocol::kTcp},
                  {*model::parse_ip_prefix("2001:db8::/32"), 53, model::SliceProtocol::kUdp}};
  plan.forbidden = always_forbidden();
  plan.forbidden.push_back({std::nullopt, 7460, "a port"});
  plan.mtu = 1400;
  plan.bytes_per_second = 1'000'000;
  return plan;
}

std::vector<std::string> chains() {
  auto netfilter = NetlinkSocket::open(NETLINK_NETFILTER);
  EXPECT_TRUE(netfilter.ok()) << netfilter.status().to_string();
  const auto list = nft::list_chains(&*netfilter);
  EXPECT_TRUE(list.ok()) << list.status().to_string();
  return list.ok() ? *list : std::vector<std::string>();
}

bool has_link(const std::string& name) {
  auto route = NetlinkSocket::open(NETLINK_ROUTE);
  EXPECT_TRUE(route.ok()) << route.status().to_string();
  const auto link = find_link(&*route, name);
  EXPECT_TRUE(link.ok()) << link.status().to_string();
  return link.ok() && link->has_value();
}

TEST(Attachment, IsMadeAndRemoved) {
  in_host([] {
    Networks networks;
    os::Fd network = make_network();
    auto attachment = networks.attach(some_plan(), network.get());
    ASSERT_TRUE(attachment.ok()) << attachment.status().to_string();
    const std::string interface = attachment->slice().interface;
    EXPECT_TRUE(has_link(interface));
    EXPECT_THAT(chains(), Contains(interface));
    EXPECT_TRUE(attachment->slice().v4 && attachment->slice().v6);
    EXPECT_NE(attachment->slice().zone, 0);
    auto second = networks.attach(some_plan(), make_network().get());
    ASSERT_TRUE(second.ok()) << second.status().to_string();
    EXPECT_NE(second->slice().interface, interface);
    EXPECT_NE(second->slice().v4, attachment->slice().v4);
    attachment->detach();
    EXPECT_FALSE(attachment->attached());
    EXPECT_THAT(chains(), Contains(second->slice().interface)) << "the other stays";
    second->detach();
    EXPECT_THAT(chains(), IsEmpty()) << "with the last slice the table goes";
    network.reset();
    EXPECT_TRUE(goes_away(interface));
  });
}

TEST(Attachment, AFailureLeavesNothing) {
  in_host([] {
    Networks networks;
    const auto pipe = os::make_pipe("no namespace");
    ASSERT_TRUE(pipe.ok());
    EXPECT_FALSE(networks.attach(some_plan(), pipe->read.get()).ok());
    NetworkPlan plan = some_plan();
    plan.mtu = 1;  // no link can have that
    EXPECT_FALSE(networks.attach(plan, make_network().get()).ok());
    EXPECT_THAT(chains(), IsEmpty());
  });
}

TEST(Attachment, WhatAKilledLauncherLeftIsRemoved) {
  in_host([] {
    const os::Fd network = make_network();
    const pid_t launcher = ::fork();
    if (launcher == 0) {
      Networks networks;
      const auto attachment = networks.attach(some_plan(), network.get());
      ::_exit(attachment.ok() ? 0 : 1);  // without its destructor
    }
    int status = 0;
    ::waitpid(launcher, &status, 0);
    ASSERT_EQ(status, 0);
    std::string left;
    for (const std::string& chain : chains()) {
      if (slot_of(chain)) left = chain;
    }
    ASSERT_FALSE(left.empty());
    EXPECT_TRUE(has_link(left));
    Networks networks;
    // Slots are of the whole machine: another test may have taken this one for a moment.
    for (int i = 0; i < 4000 && !chains().empty(); ++i) {
      EXPECT_TRUE(networks.remove_abandoned().ok());
      if (!chains().empty()) ::usleep(5000);
    }
    EXPECT_THAT(chains(), IsEmpty());
    EXPECT_FALSE(has_link(left)) << "whoever is still in that network has no way out";
  });
}

TEST(Attachment, WhatIsUsedIsLeftAlone) {
  in_host([] {
    Networks networks;
    const os::Fd network = make_network();
    auto attachment = networks.attach(some_plan(), network.get());
    ASSERT_TRUE(attachment.ok()) << attachment.status().to_string();
    Networks others;
    EXPECT_TRUE(others.remove_abandoned().ok());
    EXPECT_TRUE(has_link(attachment->slice().interface));
    EXPECT_THAT(chains(), Contains(attachment->slice().interface));
  });
}

TEST(Attachment, AddressesAreNoneOfTheHosts) {
  in_host([] {
    Networks networks;
    auto route = NetlinkSocket::open(NETLINK_ROUTE);
    ASSERT_TRUE(route.ok());
    Messages messages;
    raise_link(&messages, 1);
    add_route(&messages, 1, *model::parse_ip_prefix("198.18.0.0/16"), std::nullopt);
    add_route(&messages, 1, *model::parse_ip_prefix("0.0.0.0/0"), std::nullopt);
    ASSERT_TRUE(route->send(&messages).ok());
    auto attachment = networks.attach(some_plan(), make_network().get());
    ASSERT_TRUE(attachment.ok()) << attachment.status().to_string();
    EXPECT_TRUE(contains(*model::parse_ip_prefix("198.19.0.0/16"), *attachment->slice().v4));
    attachment->detach();
    Messages more;
    for (const char* range : {"198.19.0.0/16", "100.64.0.0/10", "10.0.0.0/8"}) {
      add_route(&more, 1, *model::parse_ip_prefix(range), std::nullopt);
    }
    ASSERT_TRUE(route->send(&more).ok());
    EXPECT_EQ(networks.attach(some_plan(), make_network().get()).status().code(), Code::kFailedPrecondition);
  });
}

TEST(Attachment, ManyAtOnce) {
  in_host([] {
    const os::Fd host = own_network();
    constexpr int kThreads = 4, kEach = 6;
    std::vector<std::thread> threads;
    std::vector<Networks> networks_of(kThreads);
    std::vector<Attachment> made(kThreads * kEach);
    std::vector<os::Fd> networks(kThreads * kEach);
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&, thread] {
        ASSERT_EQ(::setns(host.get(), CLONE_NEWNET), 0);
        for (int i = 0; i < kEach; ++i) {
          const auto at = static_cast<size_t>(thread * kEach + i);
          networks[at] = make_network();
          auto attachment = networks_of[static_cast<size_t>(thread)].attach(some_plan(), networks[at].get());
          ASSERT_TRUE(attachment.ok()) << attachment.status().to_string();
          // Every other ends at once, so that the table is wanted and unneeded by turns.
          if (i % 2 == 0) made[at] = std::move(*attachment);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    std::set<std::string> interfaces;
    for (const Attachment& attachment : made) {
      if (attachment.attached()) interfaces.insert(attachment.slice().interface);
    }
    EXPECT_EQ(interfaces.size(), static_cast<size_t>(kThreads * kEach / 2));
    const auto list = chains();
    for (const std::string& interface : interfaces) EXPECT_THAT(list, Contains(interface));
    made.clear();
    EXPECT_THAT(chains(), IsEmpty());
  });
}

}  // namespace
}  // namespace runink::network
