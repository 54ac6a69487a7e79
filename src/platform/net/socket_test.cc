#include "platform/net/socket.h"

#include <gtest/gtest.h>

#include "platform/net/rate_limit.h"
#include "platform/net/resolver.h"

namespace runink::net {
namespace {

TEST(HostPortTest, WhatIsOneAndWhatIsNot) {
  EXPECT_EQ(*parse_host_port("10.0.0.1:7070"), (HostPort{"10.0.0.1", 7070}));
  EXPECT_EQ(*parse_host_port("[::1]:1"), (HostPort{"::1", 1}));
  EXPECT_EQ(parse_host_port("[::1]:1")->text(), "[::1]:1");
  EXPECT_EQ(parse_host_port("barn-1.example:65535")->text(), "barn-1.example:65535");
  EXPECT_TRUE(parse_host_port("127.0.0.1:0", true).ok());
  for (const char* wrong : {"", ":", "a", "a:", ":1", "a:0", "a:65536", "a:-1", "a:1x", "::1:7", "[::1]", "[::1:7",
                            "[a]:7", "a b:7", "a..b:7", "a\n:7"}) {
    EXPECT_FALSE(parse_host_port(wrong).ok()) << wrong;
  }
}

TEST(AddressTest, OfNumbersOnly) {
  EXPECT_EQ(numeric_address({"127.0.0.1", 80})->text(), "127.0.0.1:80");
  EXPECT_EQ(numeric_address({"::1", 80})->text(), "[::1]:80");
  EXPECT_FALSE(numeric_address({"localhost", 80}).ok());
}

TEST(RateLimitTest, SoManyASecondAndAsManyAtOnce) {
  RateLimit limit(10);
  const auto taken = [&](int64_t now) {
    int count = 0;
    while (limit.take(now)) ++count;
    return count;
  };
  constexpr int64_t kSecond = 1'000'000'000;
  EXPECT_EQ(taken(kSecond), 10);
  EXPECT_EQ(taken(kSecond + kSecond / 2), 5);
  EXPECT_EQ(taken(100 * kSecond), 10);
}

TEST(ResolverTest, AnswersInALaterTurn) {
  const auto loop = std::move(*EventLoop::create());
  std::vector<std::string> found;
  {
    Resolver resolver(*loop);
    resolver.look_up({"127.0.0.1", 7}, [&](const Result<SocketAddress>& where) { found.push_back(where->text()); });
    EXPECT_TRUE(found.empty());
    resolver.look_up({"localhost", 7},
                     [&](const Result<SocketAddress>& where) { found.push_back(where.ok() ? "a name" : "no name"); });
    while (found.size() < 2) loop->turn(INT64_MAX);
    resolver.look_up({"127.0.0.1", 8}, [&](const Result<SocketAddress>& where) { found.push_back(where->text()); });
  }
  loop->turn(0);
  ASSERT_EQ(found.size(), 2u);  // the third was dropped with its resolver
  EXPECT_EQ(found[0], "127.0.0.1:7");
}

}  // namespace
}  // namespace runink::net
