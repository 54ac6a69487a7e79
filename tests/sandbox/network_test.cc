// `runi exec --network` in a host that is made for the test: real programs in real slices, servers in an outside world.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include "platform/os/file.h"
#include "slice_in_test.h"
#include "worker/network/lab_in_test.h"
#include "worker/network/nft.h"

namespace runink::sandbox {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class NetworkTest : public SliceTest {
 protected:
  // Runs it on the lab's host, where names are what this /etc/hosts says.
  void in_lab(const std::function<void(network::Lab*)>& test) {
    network::in_host([&] {
      ASSERT_EQ(::unshare(CLONE_FS | CLONE_NEWNS), 0);
      ASSERT_EQ(::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
      const std::string hosts = write(folder() + "/hosts",
                                      "127.0.0.1 localhost\n192.0.2.1 web.test\n2001:db8::1 web.test\n"
                                      "192.0.2.1 rebound.test\n127.0.0.1 rebound.test\n169.254.169.254 meta.test\n");
      ASSERT_EQ(::mount(hosts.c_str(), "/etc/hosts", nullptr, MS_BIND, nullptr), 0);
      // No name server is asked: there is none, and that takes a while to find out.
      const std::string order = write(folder() + "/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files\n");
      ASSERT_EQ(::mount(order.c_str(), "/etc/nsswitch.conf", nullptr, MS_BIND, nullptr), 0);
      auto lab = network::Lab::make();
      ASSERT_TRUE(lab.ok()) << lab.status().to_string();
      for (const char* address : {"192.0.2.1", "2001:db8::1"}) {
        for (const uint16_t port : {8000, 8001}) {
          (*lab)->servers.listen((*lab)->outside, model::SliceProtocol::kTcp, address, port);
        }
      }
      (*lab)->servers.listen((*lab)->outside, model::SliceProtocol::kTcp, "169.254.169.254", 80);
      (*lab)->servers.listen((*lab)->host, model::SliceProtocol::kTcp, "127.0.0.1", 9000);
      test(lab->get());
    });
  }
  // What each of them answers, a line each; "-" where there is no connection. Not what bash says of it.
  static std::vector<std::string> asking(std::vector<std::string> flags, const std::vector<std::string>& places) {
    std::string script;
    for (const std::string& place : places) {
      script += "{ exec 3<>/dev/tcp/" + place + " && cat <&3 || printf -- -; } 2>/dev/null; echo\n";
    }
    flags.insert(flags.end(), {"--", "bash", "-c", script});
    return flags;
  }
  static std::vector<std::string> chains() {
    auto netfilter = network::NetlinkSocket::open(NETLINK_NETFILTER);
    EXPECT_TRUE(netfilter.ok()) << netfilter.status().to_string();
    const auto list = network::nft::list_chains(&*netfilter);
    EXPECT_TRUE(list.ok()) << list.status().to_string();
    return list.ok() ? *list : std::vector<std::string>();
  }
  static std::string interface_in(const std::vector<std::string>& chains) {
    for (const std::string& chain : chains) {
      if (network::slot_of(chain)) return chain;
    }
    return "";
  }
};
INSTANTIATE_TEST_SUITE_P(By, NetworkTest, testing::Values(Starter::kRoot), starter_name);

class NetworkOfUserTest : public SliceTest {};
INSTANTIATE_TEST_SUITE_P(By, NetworkOfUserTest, testing::Values(Starter::kUser), starter_name);

TEST_P(NetworkOfUserTest, IsRefused) {
  const Ran ran = exec({"--network", "192.0.2.1:80", "--", "true"});
  EXPECT_EQ(ran.code, 125);
  EXPECT_THAT(ran.err, HasSubstr("start a slice that reaches 192.0.2.1:80/tcp: endpoints take root"));
}

TEST_P(NetworkTest, WhatIsDeclaredAndNothingElse) {
  in_lab([&](network::Lab* lab) {
    const Ran ran = exec(asking({"--network", "web.test:8000"},
                                {"web.test/8000", "192.0.2.1/8000", "web.test/8001", "192.0.2.1/8001", "192.0.2.2/9000",
                                 "169.254.169.254/80", "127.0.0.1/9000", "meta.test/80"}));
    EXPECT_THAT(ran.out,
                testing::MatchesRegex("(192.0.2.1|2001:db8::1):8000/tcp\n192.0.2.1:8000/tcp\n-\n-\n-\n-\n-\n-\n"))
        << ran.err;
    EXPECT_THAT(lab->servers.take_log(), AllOf(testing::SizeIs(2), Each(HasSubstr(":8000/tcp"))));
    const Ran hosts = exec(
        {"--network", "web.test:8000", "--network", "192.0.2.1:8001", "--", "grep", "-v", "localhost", "/etc/hosts"});
    EXPECT_THAT(hosts.out, AllOf(HasSubstr("192.0.2.1 web.test\n"), HasSubstr("2001:db8::1 web.test\n")));
    EXPECT_EQ(hosts.out.find("meta"), std::string::npos);
  });
}

TEST_P(NetworkTest, AttacksReachNothing) {
  in_lab([&](network::Lab*) {
    EXPECT_EQ(outside({folder() + "/attacks/attack_network", "9000"}).code, 1) << "outside of a slice it reaches much";
    const Ran held = exec({"--network", "192.0.2.1:8000", "--mount", folder() + "/attacks:/attacks", "--",
                           "/attacks/attack_network", "9000"});
    EXPECT_EQ(held.code, 0) << held.out << held.err;
  });
}

// A name that comes to mean what is not the slice's to see.
TEST_P(NetworkTest, ForbiddenEndpointsRefuseTheStart) {
  const std::pair<const char*, const char*> cases[] = {
      {"rebound.test:80", "reach rebound.test:80/tcp at 127.0.0.1: no slice may reach that (loopback)"},
      {"meta.test:80", "reach meta.test:80/tcp at 169.254.169.254: no slice may reach that (cloud metadata)"},
      {"192.0.2.2:9000", "(an address of this host itself)"},
      {"192.0.2.1:7460", "(Runink's control plane)"},
      {"nosuch.invalid:80", "resolve nosuch.invalid: there is no such name"},
  };
  in_lab([&](network::Lab* lab) {
    for (const auto& [endpoint, says] : cases) {
      const Ran ran = exec({"--network", "web.test:8000", "--network", endpoint, "--", "echo", "started"});
      EXPECT_EQ(ran.code, 125) << endpoint;
      EXPECT_EQ(ran.out, "") << endpoint;
      EXPECT_THAT(ran.err, HasSubstr(says)) << endpoint;
    }
    EXPECT_EQ(exec({"--network", "10.0.0.1/8:80", "--", "true"}).code, 2);
    EXPECT_EQ(exec({"--network-rate", "1M", "--", "true"}).code, 2) << "a rate of nothing";
    EXPECT_THAT(lab->servers.take_log(), IsEmpty());
    EXPECT_THAT(chains(), IsEmpty());
  });
}

TEST_P(NetworkTest, TheHostsSettingsAreItsOwn) {
  in_lab([&](network::Lab*) {
    const os::Fd forwarding(::open("/proc/sys/net/ipv4/conf/up0/forwarding", O_WRONLY | O_CLOEXEC), "forwarding");
    ASSERT_EQ(::write(forwarding.get(), "0", 1), 1);
    const Ran ran = exec({"--network", "192.0.2.1:8000", "--", "true"});
    EXPECT_EQ(ran.code, 125);
    EXPECT_THAT(ran.err, HasSubstr("sysctl net.ipv4.conf.up0.forwarding=1"));
  });
}

TEST_P(NetworkTest, IsExplained) {
  in_lab([&](network::Lab*) {
    const Ran ran = exec({"--network", "192.0.2.1:8000", "--network-rate", "1M", "--explain", "--", "true"});
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_THAT(ran.out, HasSubstr("let it reach 192.0.2.1:8000/tcp, and nothing else; at most 1.00 MB a second"));
    EXPECT_THAT(chains(), IsEmpty()) << "nothing is done";
  });
}

TEST_P(NetworkTest, GoesWithTheSlice) {
  in_lab([&](network::Lab*) {
    Running running = begin({"--network", "192.0.2.1:8000", "--network-rate", "1M", "--", "sh", "-c", "echo up; cat"});
    char letter = 0;
    ASSERT_TRUE(os::read_full(running.out, &letter, 1).ok());
    const std::string interface = interface_in(chains());
    EXPECT_NE(interface, "");
    running.in.reset();
    ASSERT_TRUE(running.child.wait(60'000'000).ok());
    for (int i = 0; i < 4000 && !chains().empty(); ++i) ::usleep(5000);  // the launcher ends after runi
    EXPECT_THAT(chains(), IsEmpty());
    EXPECT_TRUE(network::goes_away(interface));
  });
}

// However the launcher ends: what it left is removed by the next one that connects a slice.
TEST_P(NetworkTest, GoesAfterALauncherThatWasKilled) {
  in_lab([&](network::Lab*) {
    Running running = begin({"--network", "192.0.2.1:8000", "--", "sh", "-c", "echo up; cat"});
    char letter = 0;
    ASSERT_TRUE(os::read_full(running.out, &letter, 1).ok());
    const std::string interface = interface_in(chains());
    EXPECT_NE(interface, "");
    const pid_t launcher = child_of(running.child.pid());
    ASSERT_GT(launcher, 0);
    ASSERT_EQ(::kill(launcher, SIGKILL), 0);
    ASSERT_TRUE(running.child.wait(60'000'000).ok());
    EXPECT_TRUE(network::goes_away(interface)) << "the slice has ended, and its network with it";
    // Slots are of the whole machine: another test may have taken this one for a moment.
    const auto is_left = [&] { return !chains().empty() && interface_in(chains()) == interface; };
    for (int i = 0; i < 100 && is_left(); ++i) EXPECT_EQ(exec({"--network", "192.0.2.1:8000", "--", "true"}).code, 0);
    for (int i = 0; i < 4000 && !chains().empty(); ++i) ::usleep(5000);
    EXPECT_THAT(chains(), IsEmpty());
  });
}

}  // namespace
}  // namespace runink::sandbox
