#include "client/sdk/endpoints.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace runink::sdk {
namespace {

using testing::HasSubstr;

class EndpointsTest : public testing::Test {
 protected:
  uint64_t random_ = 0;
  Endpoints endpoints_{{"a:1", "b:2", "c:3"}, [this] { return random_++; }};
  std::string fail() {
    const Endpoints::Next next = endpoints_.next();
    pauses_.push_back(next.pause_nanos);
    endpoints_.failed(next.address, unavailable("refused"));
    return next.address;
  }
  std::vector<int64_t> pauses_;
};

TEST_F(EndpointsTest, EachOnceThenAPauseThatGrows) {
  std::string order;
  for (int i = 0; i < 30; ++i) order += fail().substr(0, 1);
  EXPECT_EQ(order.substr(0, 6), "abcabc");
  for (size_t i = 0; i < pauses_.size(); ++i) {
    EXPECT_EQ(pauses_[i] > 0, i > 0 && i % 3 == 0) << i;
    EXPECT_LE(pauses_[i], Endpoints::kLongestPauseNanos);
  }
  EXPECT_GE(pauses_[27], Endpoints::kLongestPauseNanos / 2);
  EXPECT_LE(pauses_[3], Endpoints::kFirstPauseNanos);
}

TEST_F(EndpointsTest, WhoeverIsNamedIsTriedFirstButOnceARound) {
  EXPECT_EQ(fail(), "a:1");
  endpoints_.hint("d:4");
  EXPECT_EQ(fail(), "d:4");
  endpoints_.hint("a:1");  // has just said that it does not lead
  EXPECT_EQ(fail(), "b:2");
  EXPECT_EQ(fail(), "c:3");
  EXPECT_EQ(pauses_, std::vector<int64_t>({0, 0, 0, 0}));
  EXPECT_EQ(fail(), "a:1");
  EXPECT_GT(pauses_.back(), 0);
}

TEST_F(EndpointsTest, NamesThatAreNoneAreIgnoredAndHeardOnesAreBounded) {
  for (const std::string bad : {"", "x", "x:", ":1", "x:0", "x:70000", "x y:1", "unix:/socket", "x:1\n"})
    EXPECT_FALSE(check_endpoint(bad).ok()) << bad;
  for (const std::string good : {"localhost:1", "10.0.0.1:65535", "[::1]:80"}) EXPECT_TRUE(check_endpoint(good).ok());
  endpoints_.hint("/:1");
  EXPECT_EQ(fail(), "a:1");
  for (int i = 1; i < 100; ++i) endpoints_.hint("heard:" + std::to_string(i));
  size_t round = 0;
  while (fail(), pauses_.back() == 0) ++round;
  EXPECT_LE(round, 3 + Endpoints::kLearnedMax);
}

// Members come and go, until none is left of those that were configured.
TEST_F(EndpointsTest, MembersThatAreThereNowAreTriedBesidesTheConfiguredOnes) {
  endpoints_.hint("old:1");
  EXPECT_EQ(fail(), "old:1");
  endpoints_.worked("b:2");
  endpoints_.learn({"b:2", "d:4", "e:5", "no address"});
  std::set<std::string> tried;
  for (int i = 0; i < 5; ++i) tried.insert(fail());
  EXPECT_EQ(tried, (std::set<std::string>{"a:1", "b:2", "c:3", "d:4", "e:5"}));
  EXPECT_EQ(pauses_.back(), 0);
  endpoints_.learn({"e:5", "f:6"});
  endpoints_.learn({});  // says nothing
  tried.clear();
  for (int i = 0; i < 10; ++i) tried.insert(fail());
  EXPECT_EQ(tried, (std::set<std::string>{"a:1", "b:2", "c:3", "e:5", "f:6"}));
  EXPECT_THAT(endpoints_.failures(), testing::Not(HasSubstr("d:4")));
  std::vector<std::string> many;
  for (int i = 1; i < 100; ++i) many.push_back("m:" + std::to_string(i));
  endpoints_.learn(many);
  tried.clear();
  endpoints_.hint("new:1");
  endpoints_.learn({"e:5"});
  EXPECT_EQ(fail(), "new:1");
  endpoints_.learn(many);
  for (int i = 0; i < 100; ++i) tried.insert(fail());
  EXPECT_EQ(tried.size(), 3 + Endpoints::kLearnedMax);
}

TEST_F(EndpointsTest, StartsFromWhatWorked) {
  fail();
  endpoints_.worked("c:3");
  EXPECT_EQ(endpoints_.failures(), "");
  EXPECT_EQ(endpoints_.next().address, "c:3");
}

TEST_F(EndpointsTest, SaysWhyNoneWorked) {
  for (int i = 0; i < 3; ++i) fail();
  EXPECT_THAT(endpoints_.failures(), testing::AllOf(HasSubstr("a:1: refused"), HasSubstr("b:2: "), HasSubstr("c:3: ")));
  EXPECT_FALSE(endpoints_.all_refuse_identity());
  for (const char* address : {"a:1", "b:2"}) endpoints_.failed(address, permission_denied("no"));
  EXPECT_FALSE(endpoints_.all_refuse_identity());
  endpoints_.failed("c:3", Status(Code::kUnauthenticated, "no"));
  EXPECT_TRUE(endpoints_.all_refuse_identity());
}

}  // namespace
}  // namespace runink::sdk
