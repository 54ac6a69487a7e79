// What passes through an attachment, and what does not: real sockets in network namespaces that are made for the test.
// The one who tries is root in the slice's namespace, which no slice is: so what holds him holds by the host's rules
// alone, once he has taken his own away.
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "platform/os/machine.h"
#include "worker/network/lab_in_test.h"
#include "worker/network/links.h"

namespace runink::network {
namespace {

using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr auto kTcp = model::SliceProtocol::kTcp;
constexpr auto kUdp = model::SliceProtocol::kUdp;

const std::vector<std::string> kEndpoints = {"192.0.2.1:8000", "[2001:db8::1]:8000", "192.0.2.1:5300/udp",
                                             "[2001:db8::1]:5300/udp"};

// Servers that answer to all that should be reached, and to all that should not.
void serve(Lab* lab) {
  for (const char* address : {"192.0.2.1", "192.0.2.10", "2001:db8::1"}) {
    for (const uint16_t port : {8000, 8001, 7460}) lab->servers.listen(lab->outside, kTcp, address, port);
    for (const uint16_t port : {5300, 5301}) lab->servers.listen(lab->outside, kUdp, address, port);
  }
  for (const char* address : {"169.254.169.254", "100.100.100.200", "fd00:ec2::254"}) {
    lab->servers.listen(lab->outside, kTcp, address, 80);
  }
  for (const char* address : {"192.0.2.2", "127.0.0.1", "2001:db8::2"}) {
    lab->servers.listen(lab->host, kTcp, address, 9000);
    lab->servers.listen(lab->host, kUdp, address, 9000);
  }
}

std::vector<Attempt> forbidden_attempts() {
  std::vector<Attempt> out;
  for (const char* address : {"192.0.2.1", "192.0.2.10", "2001:db8::1"}) {
    const bool declared = std::string(address) != "192.0.2.10";
    if (!declared) out.push_back({kTcp, address, 8000});
    out.push_back({kTcp, address, 8001});
    out.push_back({kTcp, address, 7460});
    out.push_back({kUdp, address, 5301});
    out.push_back({kUdp, address, 8000});  // declared for TCP
    out.push_back({kTcp, address, 5300});  // declared for UDP
  }
  for (const char* address : {"169.254.169.254", "100.100.100.200", "fd00:ec2::254"})
    out.push_back({kTcp, address, 80});
  for (const char* address : {"192.0.2.2", "2001:db8::2"}) {
    out.push_back({kTcp, address, 9000});
    out.push_back({kUdp, address, 9000});
  }
  return out;
}

void expect_declared_works(Lab* lab, const os::Fd& slice) {
  EXPECT_EQ(try_to_reach(slice, {kTcp, "192.0.2.1", 8000}), "192.0.2.1:8000/tcp");
  EXPECT_EQ(try_to_reach(slice, {kTcp, "2001:db8::1", 8000}), "2001:db8::1:8000/tcp");
  EXPECT_EQ(try_to_reach(slice, {kUdp, "192.0.2.1", 5300}), "192.0.2.1:5300/udp 4");
  EXPECT_EQ(try_to_reach(slice, {kUdp, "2001:db8::1", 5300}), "2001:db8::1:5300/udp 4");
  EXPECT_THAT(lab->servers.take_log(), ElementsAre("192.0.2.1:8000/tcp", "2001:db8::1:8000/tcp", "192.0.2.1:5300/udp 4",
                                                   "2001:db8::1:5300/udp 4"));
}

// As somebody does who has got hold of the slice's namespace: its rules away, and routes to everywhere.
void break_out(const os::Fd& slice) {
  remove_rules(slice);
  run_in(slice, [] {
    auto route = NetlinkSocket::open(NETLINK_ROUTE);
    ASSERT_TRUE(route.ok());
    const auto link = find_link(&*route, "eth0");
    ASSERT_TRUE(link.ok() && *link);
    Messages messages;
    add_route(&messages, (*link)->index, ip("0.0.0.0/0"), ip("169.254.1.1"));
    add_route(&messages, (*link)->index, ip("::/0"), ip("fe80::1"));
    // Others' addresses: of the outside's network, of another slice, of one that is not there.
    for (const char* text : {"192.0.2.77", "198.18.15.253", "198.51.100.1", "2001:db8::77"}) {
      add_address(&messages, (*link)->index, ip(text));
    }
    const Status status = route->send(&messages);
    EXPECT_TRUE(status.ok()) << status.to_string();
  });
}

void with_lab(const std::function<void(Lab*)>& test) {
  in_host([&] {
    auto lab = Lab::make();
    ASSERT_TRUE(lab.ok()) << lab.status().to_string();
    serve(lab->get());
    test(lab->get());
  });
}

// The tests below would prove nothing in a lab where these could not be reached at all.
TEST(Traffic, TheLabWorks) {
  with_lab([](Lab* lab) {
    for (Attempt attempt : forbidden_attempts()) {
      const std::string answer = try_to_reach(lab->host, attempt);
      if (attempt.protocol == kTcp && attempt.port != 5300) {
        EXPECT_EQ(answer, fmt::format("{}:{}/tcp", attempt.address, attempt.port));
      }
    }
  });
}

TEST(Traffic, WhatIsDeclaredAndNothingElse) {
  with_lab([](Lab* lab) {
    const Lab::Slice slice = lab->attach(kEndpoints);
    expect_declared_works(lab, slice.network);
    for (const Attempt& attempt : forbidden_attempts()) {
      // At once: by the rules, or since there is no route.
      EXPECT_THAT(try_to_reach(slice.network, attempt), AnyOf("ECONNREFUSED", "ENETUNREACH", "EPERM"))
          << attempt.address << " " << attempt.port;
    }
    EXPECT_THAT(lab->servers.take_log(), IsEmpty());
    expect_declared_works(lab, slice.network);
  });
}

TEST(Traffic, TheHostsRulesHoldAlone) {
  with_lab([](Lab* lab) {
    const Lab::Slice slice = lab->attach(kEndpoints);
    break_out(slice.network);
    for (Attempt attempt : forbidden_attempts()) {
      attempt.wait_millis = 20;
      EXPECT_EQ(try_to_reach(slice.network, attempt), "no answer") << attempt.address << " " << attempt.port;
    }
    // To what is declared, from who it is not.
    for (const char* source : {"192.0.2.77", "198.18.15.253", "198.51.100.1"}) {
      for (const auto& [protocol, port] : {std::pair{kTcp, uint16_t{8000}}, std::pair{kUdp, uint16_t{5300}}}) {
        EXPECT_EQ(try_to_reach(slice.network, {protocol, "192.0.2.1", port, source, 0, 4, 20}), "no answer") << source;
      }
    }
    EXPECT_EQ(try_to_reach(slice.network, {kTcp, "2001:db8::1", 8000, "2001:db8::77", 0, 4, 20}), "no answer");
    EXPECT_EQ(try_to_reach(slice.network, {kUdp, "2001:db8::1", 5300, "2001:db8::77", 0, 4, 20}), "no answer");
    // What came later has come, and so would they.
    const std::string own = to_string(*slice.attachment.slice().v4);
    EXPECT_EQ(try_to_reach(slice.network, {kTcp, "192.0.2.1", 8000, own}), "192.0.2.1:8000/tcp");
    EXPECT_THAT(lab->servers.take_log(), ElementsAre("192.0.2.1:8000/tcp"));
  });
}

TEST(Traffic, TheSlicesRulesHoldAlone) {
  with_lab([](Lab* lab) {
    const Lab::Slice slice = lab->attach({"192.0.2.0/24:8000", "192.0.2.1:5300/udp"});
    // Somebody empties the host's table, and lets everything through.
    remove_rules(lab->host);
    EXPECT_EQ(try_to_reach(slice.network, {kTcp, "192.0.2.1", 8001}), "ECONNREFUSED");
    EXPECT_EQ(try_to_reach(slice.network, {kUdp, "192.0.2.10", 5300}), "EPERM");
    EXPECT_EQ(try_to_reach(slice.network, {kTcp, "169.254.169.254", 80}), "ENETUNREACH");
    EXPECT_THAT(lab->servers.take_log(), IsEmpty());
    // The next slice that starts puts the host's rules back.
    const Lab::Slice next = lab->attach(kEndpoints);
    expect_declared_works(lab, next.network);
  });
}

TEST(Traffic, APrefixWithoutWhatIsForbidden) {
  with_lab([](Lab* lab) {
    const Lab::Slice slice = lab->attach({"0.0.0.0/0:80", "192.0.2.0/24:8000", "192.0.2.0/24:9000"});
    EXPECT_EQ(try_to_reach(slice.network, {kTcp, "192.0.2.10", 8000}), "192.0.2.10:8000/tcp");
    lab->servers.take_log();
    // The slice's own rules let these pass.
    for (const auto& [address, port] :
         {std::pair{"169.254.169.254", uint16_t{80}}, std::pair{"100.100.100.200", uint16_t{80}},
          std::pair{"192.0.2.2", uint16_t{9000}}}) {
      EXPECT_EQ(try_to_reach(slice.network, {kTcp, address, port, "", 0, 4, 20}), "no answer") << address;
    }
    EXPECT_EQ(try_to_reach(slice.network, {kTcp, "192.0.2.1", 8000}), "192.0.2.1:8000/tcp");
    EXPECT_THAT(lab->servers.take_log(), ElementsAre("192.0.2.1:8000/tcp"));
  });
}

TEST(Traffic, NoSliceReachesAnother) {
  with_lab([](Lab* lab) {
    const std::vector<std::string> anywhere = {"0.0.0.0/0:7000", "0.0.0.0/0:7000/udp"};
    const Lab::Slice first = lab->attach(anywhere), second = lab->attach(anywhere);
    const std::string address = to_string(*second.attachment.slice().v4);
    lab->servers.listen(second.network, kTcp, address, 7000);
    lab->servers.listen(second.network, kUdp, address, 7000);
    remove_rules(second.network);
    EXPECT_EQ(try_to_reach(second.network, {kTcp, address, 7000}), address + ":7000/tcp") << "it listens";
    EXPECT_EQ(try_to_reach(first.network, {kTcp, address, 7000, "", 0, 4, 50}), "no answer");
    EXPECT_EQ(try_to_reach(first.network, {kUdp, address, 7000, "", 0, 4, 50}), "no answer");
    // Nor does the outside, though it knows the way.
    EXPECT_EQ(try_to_reach(lab->outside, {kTcp, address, 7000, "", 0, 4, 50}), "no answer");
    EXPECT_EQ(try_to_reach(lab->outside, {kUdp, address, 7000, "", 0, 4, 50}), "no answer");
    EXPECT_THAT(lab->servers.take_log(), ElementsAre(address + ":7000/tcp"));
  });
}

TEST(Traffic, Fragments) {
  with_lab([](Lab* lab) {
    const Lab::Slice slice = lab->attach(kEndpoints);
    EXPECT_EQ(try_to_reach(slice.network, {kUdp, "192.0.2.1", 5300, "", 0, 9000}), "192.0.2.1:5300/udp 9000");
    EXPECT_EQ(try_to_reach(slice.network, {kUdp, "2001:db8::1", 5300, "", 0, 9000}), "2001:db8::1:5300/udp 9000");
    lab->servers.take_log();
    break_out(slice.network);
    EXPECT_EQ(try_to_reach(slice.network, {kUdp, "192.0.2.1", 5301, "", 0, 9000, 50}), "no answer");
    EXPECT_EQ(try_to_reach(slice.network, {kUdp, "2001:db8::1", 5301, "", 0, 9000, 50}), "no answer");
    EXPECT_EQ(try_to_reach(slice.network, {kUdp, "192.0.2.1", 5300, "", 0, 9000}), "192.0.2.1:5300/udp 9000");
    EXPECT_THAT(lab->servers.take_log(), ElementsAre("192.0.2.1:5300/udp 9000"));
  });
}

// Echo requests that the outside has got, as its kernel counts them.
std::string echoes_at(const os::Fd& network) {
  std::string names, values, out = "none";
  run_in(network, [&] {
    std::ifstream file("/proc/thread-self/net/snmp");
    while (std::getline(file, names) && std::getline(file, values)) {
      std::istringstream name_words(names), value_words(values);
      for (std::string name, value; name_words >> name && value_words >> value;) {
        if (name == "InEchos") out = value;
      }
    }
  });
  return out;
}

TEST(Traffic, NoOtherProtocol) {
  with_lab([](Lab* lab) {
    const Lab::Slice slice = lab->attach(kEndpoints);
    const auto ping_from = [&](const os::Fd& network) {
      run_in(network, [] {
        const os::Fd raw(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP), "raw");
        ASSERT_TRUE(raw.valid());
        icmphdr echo = {};
        echo.type = ICMP_ECHO;
        echo.checksum = static_cast<uint16_t>(~ICMP_ECHO & 0xFFFF);
        sockaddr_in to = {};
        to.sin_family = AF_INET;
        to.sin_addr.s_addr = htonl(0xC0000201);  // 192.0.2.1
        (void)::sendto(raw.get(), &echo, sizeof echo, 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
      });
    };
    const auto expect_still_works = [&] {
      EXPECT_EQ(try_to_reach(slice.network, {kTcp, "192.0.2.1", 8000}), "192.0.2.1:8000/tcp");
    };
    ping_from(slice.network);
    break_out(slice.network);
    ping_from(slice.network);
    expect_still_works();
    EXPECT_EQ(echoes_at(lab->outside), "0");
    ping_from(lab->host);
    expect_still_works();
    EXPECT_EQ(echoes_at(lab->outside), "1") << "such a one does arrive";
  });
}

// The host remembers a connection for longer than its slice lives. Whoever has the slice's address next gets nothing of
// it, although he is asked by nobody and has no rules of his own.
TEST(Traffic, AnswersToTheSliceBefore) {
  with_lab([](Lab* lab) {
    const auto outside_socket = [&] {
      os::Fd fd;
      run_in(lab->outside, [&] {
        fd = os::Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "udp");
        sockaddr_in at = {};
        at.sin_family = AF_INET;
        at.sin_port = htons(5999);
        ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
      });
      return fd;
    };
    const os::Fd outside = outside_socket();
    const auto send_from = [&](const Lab::Slice& slice) {
      os::Fd fd;
      run_in(slice.network, [&] {
        fd = os::Fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "udp");
        sockaddr_in own = {};
        own.sin_family = AF_INET;
        own.sin_port = htons(4321);
        ASSERT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&own), sizeof own), 0);
        sockaddr_in to = {};
        to.sin_family = AF_INET;
        to.sin_port = htons(5999);
        to.sin_addr.s_addr = htonl(0xC0000201);
        ASSERT_EQ(::sendto(fd.get(), "q", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof to), 1);
      });
      return fd;
    };
    const auto receive = [](const os::Fd& fd, int millis, sockaddr_in* from) {
      pollfd waiting = {fd.get(), POLLIN, 0};
      if (::poll(&waiting, 1, millis) != 1) return std::string("nothing");
      char text[64];
      socklen_t length = sizeof *from;
      const ssize_t n = ::recvfrom(fd.get(), text, sizeof text, 0, reinterpret_cast<sockaddr*>(from), &length);
      return std::string(text, static_cast<size_t>(std::max<ssize_t>(n, 0)));
    };
    const auto answer = [&](const sockaddr_in& to, const char* text) {
      EXPECT_EQ(::sendto(outside.get(), text, 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to), 1);
    };
    sockaddr_in first_from = {}, second_from = {}, from = {};
    Lab::Slice first = lab->attach({"192.0.2.1:5999/udp"});
    const SliceIdentity before = first.attachment.slice();
    os::Fd first_socket = send_from(first);
    EXPECT_EQ(receive(outside, 10'000, &first_from), "q");
    first_socket.reset();
    first.attachment.detach();
    first.network.reset();
    ASSERT_TRUE(goes_away(before.interface));
    // Other slices may have come in between: so until it is the same slot.
    std::vector<Lab::Slice> others;
    Lab::Slice second = lab->attach({"192.0.2.1:5999/udp"});
    while (second.attachment.slice().interface != before.interface && others.size() < 50) {
      others.push_back(std::move(second));
      second = lab->attach({"192.0.2.1:5999/udp"});
    }
    if (second.attachment.slice().interface != before.interface) return;  // somebody else has it
    EXPECT_EQ(second.attachment.slice().v4, before.v4);
    EXPECT_NE(second.attachment.slice().zone, before.zone);
    const os::Fd second_socket = send_from(second);
    EXPECT_EQ(receive(outside, 10'000, &second_from), "q");
    answer(first_from, "1");
    std::string came = "nothing";
    for (int tries = 0; tries < 50 && came == "nothing"; ++tries) {  // nobody promises that a datagram arrives
      answer(second_from, "2");
      came = receive(second_socket, 200, &from);
    }
    EXPECT_EQ(came, "2") << "an answer to the slice before came first; ports " << ntohs(first_from.sin_port) << " and "
                         << ntohs(second_from.sin_port);
    while (came == "2") came = receive(second_socket, 20, &from);
    EXPECT_EQ(came, "nothing");
  });
}

// No more than the rate allows in the time that it took, plus what may pass at once and wait. Nothing is said of how
// fast.
TEST(Traffic, Rate) {
  with_lab([](Lab* lab) {
    constexpr uint64_t kRate = 1'000'000, kSent = 8'000'000, kChunk = 1000;
    for (const bool limited : {true, false}) {
      const Lab::Slice slice = lab->attach(kEndpoints, limited ? std::optional<uint64_t>(kRate) : std::nullopt);
      const uint64_t before = lab->servers.datagram_bytes();
      const int64_t began = os::monotonic_nanos();
      run_in(slice.network, [&] {
        const os::Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "udp");
        sockaddr_in to = {};
        to.sin_family = AF_INET;
        to.sin_port = htons(5300);
        to.sin_addr.s_addr = htonl(0xC0000201);
        const std::string chunk(kChunk, 'x');
        for (uint64_t sent = 0; sent < kSent; sent += kChunk) {
          (void)::sendto(fd.get(), chunk.data(), chunk.size(), MSG_DONTWAIT, reinterpret_cast<sockaddr*>(&to),
                         sizeof to);
        }
      });
      // An answer means that all before it has passed.
      EXPECT_EQ(try_to_reach(slice.network, {kTcp, "192.0.2.1", 8000}), "192.0.2.1:8000/tcp");
      const double seconds = static_cast<double>(lab->servers.last_nanos() - began) / 1e9;
      const auto passed = static_cast<double>(lab->servers.datagram_bytes() - before);
      const double most = static_cast<double>(kRate) * seconds + 300'000;
      EXPECT_GT(passed, 0);
      if (limited) {
        EXPECT_LE(passed, most) << "in " << seconds << " s";
      } else if (seconds < 2) {
        EXPECT_GT(passed, most) << "in " << seconds << " s: without a limit the test would see no difference";
      }
    }
  });
}

}  // namespace
}  // namespace runink::network
