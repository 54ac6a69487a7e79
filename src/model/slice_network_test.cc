#include "model/slice_network.h"

#include <gmock/gmock.h>

#include "model/ip_prefix.h"

namespace runink::model {
namespace {

using ::testing::HasSubstr;

IpPrefix prefix(const std::string& text) {
  auto parsed = parse_ip_prefix(text);
  EXPECT_TRUE(parsed.ok()) << parsed.status().to_string();
  return parsed.ok() ? *parsed : IpPrefix();
}

TEST(IpPrefix, ReadsAndWritesTheUsualForms) {
  for (const char* text : {"192.0.2.7", "0.0.0.0/0", "10.0.0.0/8", "192.0.2.4/30", "2001:db8::7", "::/0", "fe80::/10",
                           "64:ff9b::/96", "2001:db8::8/125"}) {
    EXPECT_EQ(to_string(prefix(text)), text);
  }
  EXPECT_EQ(to_string(prefix("192.0.2.7/32")), "192.0.2.7");
  EXPECT_EQ(to_string(prefix("2001:DB8:0:0::0007")), "2001:db8::7");
}

TEST(IpPrefix, RefusesWhatIsNone) {
  for (const char* text :
       {"", "/", "1.2.3", "127.1", "0x7f.0.0.1", "1.2.3.4/", "1.2.3.4/33", "1.2.3.4/-1", "1.2.3.4/8x", "10.0.0.1/8",
        "::1/0", "::g", "fe80::1%eth0", "1.2.3.4.5", "1.2.3.4/ 8", "localhost", "[::1]"}) {
    EXPECT_EQ(parse_ip_prefix(text).status().code(), Code::kInvalidArgument) << text;
  }
  EXPECT_FALSE(parse_ip_prefix(std::string("1.2.3.4\0", 8)).ok());
}

TEST(IpPrefix, Contains) {
  EXPECT_TRUE(contains(prefix("10.0.0.0/8"), prefix("10.255.0.1")));
  EXPECT_TRUE(contains(prefix("10.0.0.0/8"), prefix("10.0.0.0/8")));
  EXPECT_FALSE(contains(prefix("10.0.0.0/8"), prefix("11.0.0.0")));
  EXPECT_FALSE(contains(prefix("10.0.0.0/8"), prefix("0.0.0.0/0")));
  EXPECT_TRUE(contains(prefix("fe80::/10"), prefix("febf::1")));
  EXPECT_FALSE(contains(prefix("fe80::/10"), prefix("fec0::1")));
  EXPECT_FALSE(contains(prefix("::/0"), prefix("10.0.0.1"))) << "not of the same family";
  EXPECT_TRUE(overlaps(prefix("0.0.0.0/0"), prefix("10.0.0.1")));
  EXPECT_TRUE(overlaps(prefix("10.0.0.1"), prefix("10.0.0.0/31")));
  EXPECT_FALSE(overlaps(prefix("10.0.0.0/31"), prefix("10.0.0.2/31")));
}

TEST(SliceEndpoint, ReadsAndWrites) {
  const std::pair<const char*, const char*> cases[] = {{"db.example.org:5432", "db.example.org:5432/tcp"},
                                                       {"DB.Example.ORG.:5432/tcp", "db.example.org:5432/tcp"},
                                                       {"my_db:1", "my_db:1/tcp"},
                                                       {"192.0.2.7:53/udp", "192.0.2.7:53/udp"},
                                                       {"10.0.0.0/8:443", "10.0.0.0/8:443/tcp"},
                                                       {"[2001:DB8::7]:443", "[2001:db8::7]:443/tcp"},
                                                       {"[2001:db8::/32]:65535/udp", "[2001:db8::/32]:65535/udp"}};
  for (const auto& [text, shown] : cases) {
    const auto endpoint = parse_endpoint(text);
    ASSERT_TRUE(endpoint.ok()) << endpoint.status().to_string();
    EXPECT_EQ(to_string(*endpoint), shown);
  }
}

TEST(SliceEndpoint, RefusesWhatIsNone) {
  for (const char* text : {"",
                           ":",
                           ":80",
                           "db",
                           "db:",
                           "db:0",
                           "db:65536",
                           "db:-1",
                           "db:80x",
                           "db:80/sctp",
                           "db:80/udp/udp",
                           "a b:80",
                           "-db:80",
                           "db-:80",
                           "a..b:80",
                           ".:80",
                           "2001:db8::7:443",
                           "[db]:80",
                           "[2001:db8::7]",
                           "10.0.0.1/8:80",
                           "10.0.0.0/33:80",
                           "1.2.3:80",
                           "127.1:80",
                           "1:80",
                           "db\n:80",
                           "localhost:80",
                           "a.localhost:80",
                           "fe80::1%lo:80"}) {
    const auto endpoint = parse_endpoint(text);
    EXPECT_EQ(endpoint.status().code(), Code::kInvalidArgument) << text;
    EXPECT_EQ(endpoint.status().to_string().find('\n'), std::string::npos);
  }
}

struct Case {
  const char* what;
  void (*break_it)(SliceNetwork*);
  const char* says;
};

const Case kCases[] = {
    {"many", [](SliceNetwork* n) { n->endpoints.resize(65, n->endpoints[0]); }, "at most 64"},
    {"twice", [](SliceNetwork* n) { n->endpoints.push_back(n->endpoints[0]); }, "named twice"},
    {"port", [](SliceNetwork* n) { n->endpoints[0].port = 0; }, "1 to 65535"},
    {"protocol", [](SliceNetwork* n) { n->endpoints[0].protocol = static_cast<SliceProtocol>(9); }, "neither TCP"},
    {"name", [](SliceNetwork* n) { n->endpoints[0].host = "Db"; }, "not a host name"},
    {"own name", [](SliceNetwork* n) { n->endpoints[0].host = "slice"; }, "the slice itself"},
    {"address", [](SliceNetwork* n) { n->endpoints[0].addresses = {"x"}; }, "no address"},
    {"prefix as an address", [](SliceNetwork* n) { n->endpoints[0].addresses = {"10.0.0.0/8"}; }, "not one address"},
    {"addresses of an address",
     [](SliceNetwork* n) {
       n->endpoints[0] = {"192.0.2.7", 1, SliceProtocol::kTcp, {"192.0.2.8"}};
     },
     "has no addresses"},
    {"many addresses", [](SliceNetwork* n) { n->endpoints[0].addresses.resize(65, "192.0.2.7"); }, "the most is 64"},
    {"rate", [](SliceNetwork* n) { n->bytes_per_second = 9999; }, "the least is"},
    {"rate of nothing",
     [](SliceNetwork* n) {
       *n = {{}, 1'000'000};
     },
     "but no endpoint"},
};

TEST(SliceNetwork, RefusesAndSaysWhy) {
  const SliceNetwork good = {{{"db", 5432, SliceProtocol::kTcp, {"192.0.2.7", "2001:db8::7"}}}, 10'000};
  EXPECT_TRUE(validate_network(good, "slice").ok()) << validate_network(good, "slice").to_string();
  EXPECT_TRUE(validate_network({}, "slice").ok());
  for (const Case& c : kCases) {
    SliceNetwork network = good;
    c.break_it(&network);
    const Status status = validate_network(network, "slice");
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << c.what;
    EXPECT_THAT(status.to_string(), HasSubstr(c.says)) << c.what;
  }
}

}  // namespace
}  // namespace runink::model
