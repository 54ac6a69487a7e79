// Who is refused at a member's port, and that nothing of what they send is parsed.
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <random>
#include <thread>

#include "control/raft/transport/node_in_test.h"

namespace runink::raft {
namespace {

using net::turn_until;

std::string frame_of(FrameType type, const std::function<void(std::string&)>& payload) {
  std::string out;
  const size_t begin = begin_frame(out, type);
  payload(out);
  end_frame(out, begin);
  return out;
}
std::string hello(NodeId from, NodeId to, ChannelKind kind = ChannelKind::kControl) {
  return frame_of(FrameType::kHello, [&](std::string& out) { encode(Hello{1, 1, kind, from, to}, out); });
}
std::string message(const Message& m) {
  return frame_of(FrameType::kMessage, [&](std::string& out) { encode(m, out); });
}

// Dials a member's port with any context and says what it likes, at once.
struct Talker : net::TlsConnection::Handler {
  Talker(net::EventLoop& loop, const net::SocketAddress& where, std::shared_ptr<const net::TlsContext> context,
         std::string says)
      : says_(std::move(says)),
        connection(std::move(*net::TlsConnection::connect(
            loop, where, std::move(context), [](const crypto::Identity&) { return Status(); }, this, {}))) {}
  void on_open() override {
    say(says_);
    if (then_finish) connection->finish();
  }
  std::span<char> input_room() override { return buffer; }
  void on_input(size_t bytes) override { received += bytes; }
  void on_output_room() override {}
  void on_closed(const Status&) override { closed = true; }
  void say(const std::string& what) {
    connection->write(what);
    connection->flush();
  }

  std::string says_;
  std::array<char, 4096> buffer;
  size_t received = 0;
  bool closed = false, then_finish = false;
  std::unique_ptr<net::TlsConnection> connection;
};

struct Refusal : ::testing::Test {
  Refusal() {
    node = std::make_unique<TestNode>(*loop, 5, net::context(ca.issue(net::shape_of(net::member(5)))));
    // Peers that would dial this one.
    for (NodeId id : {1, 2}) RUNINK_CHECK(node->transport->add_peer(id, "127.0.0.1:9").ok());
  }
  std::shared_ptr<const net::TlsContext> shown(const crypto::CertificateShape& shape) {
    return net::context(ca.issue(shape));
  }
  std::unique_ptr<Talker> talk(std::shared_ptr<const net::TlsContext> context, std::string says) {
    return std::make_unique<Talker>(*loop, node->transport->address(), std::move(context), std::move(says));
  }
  const ListenerCounters& counters() const { return node->transport->listener_counters(); }

  std::unique_ptr<net::EventLoop> loop = std::move(*net::EventLoop::create());
  net::OpenAuthority ca;
  std::unique_ptr<TestNode> node;
};
using RefusalTest = Refusal;

TEST_F(RefusalTest, TheGoodOneGetsThrough) {
  const auto talker = talk(shown(net::shape_of(net::member(1))), hello(1, 5) + message(heartbeat(1, 5, 9)));
  ASSERT_TRUE(turn_until(*loop, [&] { return node->received.size() == 1; }));
  EXPECT_EQ(counters().refused, 0u);
  EXPECT_EQ(counters().frames, 2u);
}

TEST_F(RefusalTest, NobodyElseIsHeard) {
  crypto::CertificateShape two = net::shape_of(net::member(1)), wildcard = net::shape_of(net::member(1)),
                           expired = net::shape_of(net::member(1)), server_only = net::shape_of(net::member(1));
  two.uris.push_back(net::member(2).uri());
  wildcard.dns_names = {"*.test-cluster.runink"};
  expired.not_after_micros = net::unix_now() - 1'000'000;
  server_only.client = false;
  const auto role = [](crypto::Role role) {
    return net::shape_of(*crypto::make_identity(net::kTestDomain, role, "1"));
  };
  const crypto::PrivateKey own = *crypto::PrivateKey::generate();
  crypto::CertificateShape alone = net::shape_of(net::member(1));
  alone.common_name = "self";
  alone.not_before_micros = net::unix_now() - crypto::kDayMicros;
  alone.not_after_micros = net::unix_now() + crypto::kDayMicros;
  crypto::Credentials others = net::OpenAuthority().issue(net::shape_of(net::member(1)));
  others.authorities = {ca.certificate};

  const std::pair<const char*, std::shared_ptr<const net::TlsContext>> cases[] = {
      {"self-signed", net::context(crypto::Credentials{
                          own, *crypto::build_certificate(alone, own.get(), own, nullptr), {ca.certificate}})},
      {"expired", shown(expired)},
      {"another cluster's authority", net::context(others)},
      {"another cluster's identity", shown(net::shape_of(net::member(1, "other.runink")))},
      {"two URIs", shown(two)},
      {"wildcard", shown(wildcard)},
      {"agent", shown(role(crypto::Role::kAgent))},
      {"user", shown(role(crypto::Role::kUser))},
      {"not for clients", shown(server_only)},
      {"no peer", shown(net::shape_of(net::member(3)))},
      {"this very node", shown(net::shape_of(net::member(5)))},
  };
  uint64_t refused = 0;
  for (const auto& [name, context] : cases) {
    SCOPED_TRACE(name);
    const auto talker = talk(context, hello(1, 5) + message(heartbeat(1, 5, 9)));
    ASSERT_TRUE(turn_until(*loop, [&] { return talker->closed && counters().refused == refused + 1; }));
    ++refused;
  }
  EXPECT_EQ(counters().accepted, refused);
  EXPECT_EQ(counters().strangers, 2u);
  EXPECT_EQ(counters().frames, 0u);
  EXPECT_TRUE(node->received.empty());
  EXPECT_EQ(node->history, "");
}

// What OpenSSL's own client does with a member's port, in a thread; it says hello if it is let.
void foreign_client(const net::SocketAddress& where, int most_version, const crypto::Credentials* shown) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_max_proto_version(context, most_version);
  if (shown != nullptr) {
    SSL_CTX_use_certificate(context, shown->certificate.get());
    SSL_CTX_use_PrivateKey(context, shown->key.get());
  }
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(::connect(fd, &where.raw.any, where.size), 0);
  SSL* ssl = SSL_new(context);
  SSL_set_fd(ssl, fd);
  if (SSL_connect(ssl) == 1) {
    const std::string says = hello(1, 5) + message(heartbeat(1, 5, 9));
    SSL_write(ssl, says.data(), static_cast<int>(says.size()));
    char answer[16];
    SSL_read(ssl, answer, sizeof answer);  // until the member has made up its mind
  }
  SSL_free(ssl);
  SSL_CTX_free(context);
  ::close(fd);
}

TEST_F(RefusalTest, NoCertificateAndTls12AreNotHeard) {
  const crypto::Credentials good = ca.issue(net::shape_of(net::member(1)));
  uint64_t refused = 0;
  for (const auto& [version, shown] : {std::pair{TLS1_3_VERSION, static_cast<const crypto::Credentials*>(nullptr)},
                                       std::pair{TLS1_2_VERSION, &good}}) {
    SCOPED_TRACE(version);
    std::thread client(
        [&, version = version, shown = shown] { foreign_client(node->transport->address(), version, shown); });
    EXPECT_TRUE(turn_until(*loop, [&] { return counters().refused == refused + 1; }));
    client.join();
    ++refused;
  }
  EXPECT_EQ(counters().frames, 0u);
  EXPECT_TRUE(node->received.empty());
  std::thread client([&] { foreign_client(node->transport->address(), TLS1_3_VERSION, &good); });
  EXPECT_TRUE(turn_until(*loop, [&] { return node->received.size() == 1; }));
  client.join();
}

// The address of one member leads to another: the dialer finds out within the handshake.
TEST_F(RefusalTest, TheDialerWantsTheOneItDialed) {
  TestNode dialer(*loop, 1, shown(net::shape_of(net::member(1))));
  ASSERT_TRUE(dialer.transport->add_peer(7, node->transport->address().text()).ok());
  ASSERT_TRUE(turn_until(*loop, [&] { return dialer.status(7).counters.connect_failures >= 2; }));
  EXPECT_NE(dialer.status(7).last_error.find("node 5 answers where node 7 should be"), std::string::npos)
      << dialer.status(7).last_error;
  EXPECT_EQ(counters().frames, 0u);
}

TEST_F(RefusalTest, AMemberThatSpeaksWronglyIsCutOff) {
  Message forged = heartbeat(2, 5, 9), astray = heartbeat(1, 4, 9);
  const std::string good = hello(1, 5);
  const std::pair<const char*, std::string> cases[] = {
      {"no hello", message(heartbeat(1, 5, 9))},
      {"a hello for another", hello(1, 4)},
      {"a hello from another", hello(2, 5)},
      {"two hellos", good + good},
      {"a long hello", frame_of(FrameType::kHello, [](std::string& out) { out.append(1000, '\1'); })},
      {"a message of another", good + message(forged)},
      {"a message for another", good + message(astray)},
      {"bulk on a control connection",
       good + frame_of(FrameType::kBulkRequest, [](std::string& out) { encode(1, BulkRequest{}, out); })},
      {"messages on a bulk connection", hello(1, 5, ChannelKind::kBulk) + message(heartbeat(1, 5, 9))},
      {"a pong for nothing", good + frame_of(FrameType::kPong, [](std::string& out) { out.append(8, '\0'); })},
      {"a short ping", good + frame_of(FrameType::kPing, [](std::string& out) { out.append(7, '\0'); })},
      {"an unknown version", good + std::string("\1\0\0\0\4\2z", 7)},
      {"a frame too long", good + std::string("\1\0\x80\0\4\1z", 7)},
      {"not a message", good + frame_of(FrameType::kMessage, [](std::string& out) { out += "zzzz"; })},
  };
  const auto context = shown(net::shape_of(net::member(1)));
  for (const auto& [name, says] : cases) {
    SCOPED_TRACE(name);
    const auto talker = talk(context, says);
    ASSERT_TRUE(turn_until(*loop, [&] { return talker->closed; }));
    EXPECT_TRUE(node->received.empty());
  }
  EXPECT_GE(node->status(1).counters.protocol_errors, 5u);
}

// Of two connections that members dial each other there would be two: only the one from the lower id stands.
TEST_F(RefusalTest, TheHigherIdDoesNotDialForControl) {
  ASSERT_TRUE(node->transport->add_peer(8, "127.0.0.1:9").ok());
  const auto talker = talk(shown(net::shape_of(net::member(8))), hello(8, 5) + message(heartbeat(8, 5, 1)));
  ASSERT_TRUE(turn_until(*loop, [&] { return talker->closed; }));
  EXPECT_TRUE(node->received.empty());
  EXPECT_FALSE(node->up(8));
}

// Whatever a member with a good certificate sends, the connection ends or goes on; nothing else happens.
TEST_F(RefusalTest, MutatedFramesEndTheConnectionOnly) {
  std::mt19937_64 random(11);
  const auto context = shown(net::shape_of(net::member(1)));
  for (int i = 0; i < 60; ++i) {
    std::string says;
    for (int j = 0; j < 5; ++j) {
      Message m = random_message(random);
      m.from = 1;
      m.to = 5;
      says += message(m);
    }
    for (int flips = 0; flips < 5; ++flips) says[random() % says.size()] ^= static_cast<char>(1 << random() % 8);
    const auto talker = talk(context, hello(1, 5) + says);
    talker->then_finish = true;
    ASSERT_TRUE(turn_until(*loop, [&] { return talker->closed; }));
  }
  for (const Message& m : node->received) EXPECT_EQ(m.from, 1u);
  const auto talker = talk(context, hello(1, 5) + message(heartbeat(1, 5, 77)));
  ASSERT_TRUE(turn_until(*loop, [&] { return !node->received.empty() && node->received.back().commit == 77; }));
}

TEST_F(RefusalTest, WhoOnlyHoldsAPlaceKeepsNobodyOut) {
  TlsTransport::Options options = test_options(6);
  options.max_handshakes = 3;
  TestNode small(*loop, 6, shown(net::shape_of(net::member(6))), options);
  std::vector<os::Fd> quiet;
  for (int i = 0; i < 6; ++i) quiet.push_back(*net::connect_tcp(small.transport->address()));
  ASSERT_TRUE(turn_until(*loop, [&] { return small.transport->listener_counters().accepted == 6; }));
  EXPECT_EQ(small.transport->listener_counters().over_limit, 3u);
  TestNode other(*loop, 1, shown(net::shape_of(net::member(1))));
  introduce(small, other);
  ASSERT_TRUE(turn_until(*loop, [&] { return small.up(1) && other.up(6); }));
}

TEST_F(RefusalTest, SoManyHandshakesASecondAndNoMore) {
  TlsTransport::Options options = test_options(6);
  options.handshakes_per_second = 0.5;  // so none
  TestNode small(*loop, 6, shown(net::shape_of(net::member(6))), options);
  const os::Fd first = *net::connect_tcp(small.transport->address()),
               second = *net::connect_tcp(small.transport->address());
  ASSERT_TRUE(turn_until(*loop, [&] { return small.transport->listener_counters().accepted == 2; }));
  EXPECT_EQ(small.transport->listener_counters().over_limit, 2u);
}

}  // namespace
}  // namespace runink::raft
