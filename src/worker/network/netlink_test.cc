#include "worker/network/netlink.h"

#include <gmock/gmock.h>
#include <linux/rtnetlink.h>
#include <sched.h>
#include <string.h>

#include <random>
#include <thread>

#include "worker/network/links.h"

namespace runink::network {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// What a kernel would send: two messages with attributes, some of them nested.
std::vector<uint8_t> example() {
  std::vector<uint8_t> bytes;
  const auto append = [&](const void* data, size_t size) {
    const auto* from = static_cast<const uint8_t*>(data);
    bytes.insert(bytes.end(), from, from + size);
    bytes.resize((bytes.size() + 3) & ~size_t{3});
  };
  for (int i = 0; i < 2; ++i) {
    const size_t begin = bytes.size();
    nlmsghdr header = {};
    header.nlmsg_type = static_cast<uint16_t>(100 + i);
    append(&header, sizeof header);
    const uint32_t family = 7;
    append(&family, sizeof family);
    const nlattr name = {sizeof(nlattr) + 5, 3};
    append(&name, sizeof name);
    append("eth0", 5);
    const nlattr outer = {sizeof(nlattr) + 8, 4 | NLA_F_NESTED};
    append(&outer, sizeof outer);
    const nlattr inner = {8, 5};
    append(&inner, sizeof inner);
    const uint32_t number = 4711;
    append(&number, sizeof number);
    header.nlmsg_len = static_cast<uint32_t>(bytes.size() - begin);
    ::memcpy(bytes.data() + begin, &header, sizeof header);
  }
  return bytes;
}

// Walks all of it, as those who ask do, and gives what it found.
std::vector<std::string> walk(Bytes bytes) {
  std::vector<std::string> found;
  for_each_message(bytes, [&](const nlmsghdr& header, Bytes body) {
    found.push_back(std::to_string(header.nlmsg_type));
    for_each_attribute(behind_header(body, sizeof(uint32_t)), [&](uint16_t type, Bytes value) {
      if (type == 3) found.push_back(read_text(value));
      if (type != 4) return;
      for_each_attribute(value, [&](uint16_t, Bytes number) { found.push_back(std::to_string(read_u32(number))); });
    });
    return true;
  });
  return found;
}

TEST(Netlink, WalksMessages) {
  EXPECT_THAT(walk(example()), ElementsAre("100", "eth0", "4711", "101", "eth0", "4711"));
}

// Under a sanitizer this finds reads beyond the end; here it finds endless loops.
TEST(Netlink, StopsAtWhatDoesNotFit) {
  const std::vector<uint8_t> whole = example();
  for (size_t size = 0; size < whole.size(); ++size) {
    const std::vector<uint8_t> cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    EXPECT_LE(walk(cut).size(), 6u);
  }
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    std::vector<uint8_t> changed = whole;
    for (int changes = 0; changes < 3; ++changes) changed[random() % changed.size()] = static_cast<uint8_t>(random());
    EXPECT_LE(walk(changed).size(), changed.size());
  }
  EXPECT_EQ(read_u32(Bytes()), 0u);
  EXPECT_EQ(read_text(Bytes()), "");
}

// In a network namespace of its own, which a thread can have.
class OwnNetworkTest : public testing::Test {
 protected:
  static void in_own_network(const std::function<void()>& test) {
    bool made = false;
    std::thread([&] {
      made = ::unshare(CLONE_NEWNET) == 0;
      if (made) test();
    }).join();
    if (!made) GTEST_SKIP() << "needs root, to make a network namespace";
  }
};

TEST_F(OwnNetworkTest, AsksAndIsTold) {
  in_own_network([] {
    auto route = NetlinkSocket::open(NETLINK_ROUTE);
    ASSERT_TRUE(route.ok()) << route.status().to_string();
    const auto loopback = find_link(&*route, "lo");
    ASSERT_TRUE(loopback.ok() && *loopback) << loopback.status().to_string();
    EXPECT_EQ((*loopback)->index, 1u);
    const auto again = find_link(&*route, 1);
    ASSERT_TRUE(again.ok() && *again);
    EXPECT_EQ((*again)->name, "lo");
    const auto none = find_link(&*route, "nothing0");
    EXPECT_TRUE(none.ok() && !*none);
    EXPECT_TRUE(delete_link(&*route, "nothing0").ok()) << "gone is gone";
  });
}

TEST_F(OwnNetworkTest, FirstErrorIsTold) {
  in_own_network([] {
    auto route = NetlinkSocket::open(NETLINK_ROUTE);
    ASSERT_TRUE(route.ok());
    Messages messages;
    raise_link(&messages, 1);
    add_address(&messages, 4711, *model::parse_ip_prefix("192.0.2.1"));
    add_address(&messages, 4712, *model::parse_ip_prefix("192.0.2.2"));
    const Status status = route->send(&messages);
    EXPECT_THAT(status.to_string(), HasSubstr("give the slice the address 192.0.2.1"));
  });
}

TEST_F(OwnNetworkTest, FindsRoutes) {
  in_own_network([] {
    auto route = NetlinkSocket::open(NETLINK_ROUTE);
    ASSERT_TRUE(route.ok());
    const auto find = [&](const char* address) {
      auto found = find_route(&*route, *model::parse_ip_prefix(address));
      EXPECT_TRUE(found.ok()) << found.status().to_string();
      return found.ok() ? *found : Route();
    };
    EXPECT_EQ(find("192.0.2.7").kind, Route::Kind::kNone);
    EXPECT_EQ(find("2001:db8::7").kind, Route::Kind::kNone);
    Messages messages;
    raise_link(&messages, 1);
    add_address(&messages, 1, *model::parse_ip_prefix("192.0.2.1"));
    add_route(&messages, 1, *model::parse_ip_prefix("198.51.100.0/24"), std::nullopt);
    ASSERT_TRUE(route->send(&messages).ok());
    EXPECT_EQ(find("192.0.2.1").kind, Route::Kind::kOwn);
    EXPECT_EQ(find("127.0.0.1").kind, Route::Kind::kOwn);
    const Route there = find("198.51.100.9");
    EXPECT_EQ(there.kind, Route::Kind::kUnicast);
    EXPECT_EQ(there.device, 1u);
    EXPECT_EQ(there.matched_bits, 24);
  });
}

}  // namespace
}  // namespace runink::network
