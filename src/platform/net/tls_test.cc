#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <thread>

#include "platform/net/tls_connection.h"
#include "platform/net/tls_in_test.h"

namespace runink::net {
namespace {

// One end: keeps all that it is told.
struct End : TlsConnection::Handler {
  void on_open() override { opened = true; }
  std::span<char> input_room() override { return buffer; }
  void on_input(size_t bytes) override {
    if (keep) received.append(buffer.data(), bytes);
    received_bytes += bytes;
    ++inputs;
  }
  void on_output_room() override { ++rooms; }
  void on_closed(const Status& why) override {
    closed = true;
    reason = why;
  }
  bool done() const { return opened || closed; }

  std::array<char, 20000> buffer;
  std::string received;
  size_t received_bytes = 0;
  int inputs = 0, rooms = 0;
  bool opened = false, closed = false, keep = true;
  Status reason;
  std::unique_ptr<TlsConnection> connection;
};

struct Fixture : ::testing::Test {
  // Listens, and lets in whom `authorize` lets in.
  void serve(
      std::shared_ptr<const TlsContext> context,
      TlsConnection::Authorize authorize = [](const crypto::Identity&) { return Status(); }) {
    listener =
        std::move(*Listener::create(*loop, loopback(), [this, context, authorize](os::Fd socket, const SocketAddress&) {
          server.connection = TlsConnection::accept(*loop, std::move(socket), context, authorize, &server, options);
        }));
  }
  void dial(
      std::shared_ptr<const TlsContext> context,
      TlsConnection::Authorize authorize = [](const crypto::Identity&) { return Status(); }) {
    client.connection =
        std::move(*TlsConnection::connect(*loop, listener->address(), context, authorize, &client, options));
  }
  bool settle() {
    return turn_until(*loop, [&] { return server.done() && client.done(); });
  }

  std::unique_ptr<EventLoop> loop = std::move(*EventLoop::create());
  TlsConnection::Options options;
  std::unique_ptr<Listener> listener;
  End server, client;
};
using TlsTest = Fixture;

TEST_F(TlsTest, BothKnowWhoTheOtherIsAndBytesCross) {
  const auto ca = make_authority();
  serve(context(ca, 1));
  dial(context(ca, 2));
  ASSERT_TRUE(settle());
  ASSERT_TRUE(server.opened && client.opened) << server.reason.to_string() << client.reason.to_string();
  EXPECT_EQ(server.connection->peer()->node(), 2u);
  EXPECT_EQ(client.connection->peer()->node(), 1u);
  EXPECT_GT(client.connection->peer_not_after_micros(), unix_now());
  EXPECT_EQ(server.connection->channel_binding(), client.connection->channel_binding());

  std::string sent;
  for (int i = 0; i < 300'000; ++i) sent += static_cast<char>(i * 7 + i / 251);
  client.connection->write(sent);
  client.connection->flush();
  server.connection->write("short");
  server.connection->flush();
  ASSERT_TRUE(turn_until(*loop, [&] { return server.received_bytes == sent.size() && client.received_bytes == 5; }));
  EXPECT_EQ(server.received, sent);
  EXPECT_EQ(client.received, "short");

  client.connection->finish();
  ASSERT_TRUE(turn_until(*loop, [&] { return server.closed; }));
  EXPECT_TRUE(server.reason.ok()) << server.reason.to_string();
  ASSERT_TRUE(turn_until(*loop, [&] { return client.closed; }));
}

TEST_F(TlsTest, TheOwnerDecidesWithinTheHandshake) {
  const auto ca = make_authority();
  serve(context(ca, 1), [](const crypto::Identity& identity) {
    return identity.node() == 3 ? Status() : Status(Code::kUnauthenticated, "only node 3");
  });
  dial(context(ca, 2));
  ASSERT_TRUE(turn_until(*loop, [&] { return server.closed && client.closed; }));
  EXPECT_FALSE(server.opened);
  EXPECT_NE(server.reason.to_string().find("only node 3"), std::string::npos) << server.reason.to_string();
  EXPECT_EQ(server.inputs, 0);
}

TEST_F(TlsTest, TheDialerDecidesToo) {
  const auto ca = make_authority();
  serve(context(ca, 1));
  dial(context(ca, 2), [](const crypto::Identity&) { return Status(Code::kUnauthenticated, "not the one"); });
  ASSERT_TRUE(turn_until(*loop, [&] { return server.closed && client.closed; }));
  EXPECT_FALSE(client.opened);
  EXPECT_FALSE(server.opened);
}

// A peer that OpenSSL itself plays, in a thread, as a program that was not written here would.
void foreign_client(uint16_t port, int most_version, const std::function<void(SSL_CTX*)>& prepare) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_max_proto_version(context, most_version);
  if (prepare) prepare(context);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const SocketAddress where = loopback(port);
  ASSERT_EQ(::connect(fd, &where.raw.any, where.size), 0);
  SSL* ssl = SSL_new(context);
  SSL_set_fd(ssl, fd);
  if (SSL_connect(ssl) == 1) {
    SSL_write(ssl, "hello", 5);
    char answer[16];
    SSL_read(ssl, answer, sizeof answer);  // until the other side has made up its mind
  }
  SSL_free(ssl);
  SSL_CTX_free(context);
  ::close(fd);
}

TEST_F(TlsTest, ForeignClientsAreRefusedBeforeAnythingIsRead) {
  const auto ca = make_authority();
  const crypto::Credentials good = credentials(ca, member(2));
  const auto with_certificate = [&](SSL_CTX* context) {
    SSL_CTX_use_certificate(context, good.certificate.get());
    SSL_CTX_use_PrivateKey(context, good.key.get());
  };
  struct Case {
    const char* name;
    int version;
    std::function<void(SSL_CTX*)> prepare;
    bool opens;
  };
  const Case cases[] = {{"TLS 1.3 with a certificate", TLS1_3_VERSION, with_certificate, true},
                        {"TLS 1.3 without", TLS1_3_VERSION, nullptr, false},
                        {"TLS 1.2 with a certificate", TLS1_2_VERSION, with_certificate, false}};
  for (const Case& each : cases) {
    SCOPED_TRACE(each.name);
    serve(context(ca, 1));
    std::thread thread([&] { foreign_client(ntohs(listener->address().raw.v4.sin_port), each.version, each.prepare); });
    ASSERT_TRUE(turn_until(*loop, [&] { return each.opens ? server.received_bytes == 5 : server.closed; }));
    EXPECT_EQ(server.opened, each.opens) << server.reason.to_string();
    EXPECT_EQ(server.inputs, each.opens ? 1 : 0);
    server.connection.reset();
    thread.join();
    listener.reset();
    server.opened = server.closed = false;
    server.inputs = 0;
    server.received_bytes = 0;
  }
}

TEST_F(TlsTest, AServerOfTls12IsRefused) {
  const auto ca = make_authority();
  const crypto::Credentials good = credentials(ca, member(1));
  const os::Fd listening = *listen_tcp(loopback());
  ASSERT_TRUE(os::set_nonblocking(listening, false).ok());
  std::thread thread([&] {
    SSL_CTX* context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_use_certificate(context, good.certificate.get());
    SSL_CTX_use_PrivateKey(context, good.key.get());
    const int fd = ::accept4(listening.get(), nullptr, nullptr, SOCK_CLOEXEC);
    SSL* ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    EXPECT_NE(SSL_accept(ssl), 1);
    SSL_free(ssl);
    SSL_CTX_free(context);
    ::close(fd);
  });
  client.connection = std::move(*TlsConnection::connect(
      *loop, *local_address(listening), context(ca, 2), [](const crypto::Identity&) { return Status(); }, &client,
      options));
  ASSERT_TRUE(turn_until(*loop, [&] { return client.closed; }));
  EXPECT_FALSE(client.opened);
  thread.join();
}

TEST_F(TlsTest, ASilentPeerIsGivenUpInTheHandshake) {
  options.handshake_nanos = 20'000'000;
  serve(context(make_authority(), 1));
  const os::Fd quiet = *connect_tcp(listener->address());
  ASSERT_TRUE(turn_until(*loop, [&] { return server.closed; }));
  EXPECT_EQ(server.reason.code(), Code::kDeadlineExceeded);
}

TEST_F(TlsTest, WhatIsNotTlsIsRefused) {
  serve(context(make_authority(), 1));
  const os::Fd plain = *connect_tcp(listener->address());
  ASSERT_TRUE(turn_until(*loop, [&] { return server.connection != nullptr; }));
  ASSERT_EQ(::send(plain.get(), "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
  ASSERT_TRUE(turn_until(*loop, [&] { return server.closed; }));
  EXPECT_FALSE(server.opened);
}

TEST_F(TlsTest, ASlowReaderBoundsWhatIsHeld) {
  options.output_room_bytes = 64 << 10;
  const auto ca = make_authority();
  serve(context(ca, 1));
  dial(context(ca, 2));
  ASSERT_TRUE(settle());
  server.keep = false;
  server.connection->set_reading(false);
  const std::string piece(16 << 10, 'x');
  size_t sent = 0;
  // Until the kernel takes no more: what is held is at most the room and one piece.
  for (int i = 0; i < 5000 && client.connection->has_room(); ++i) {
    client.connection->write(piece);
    client.connection->flush();
    sent += piece.size();
    loop->turn(0);
  }
  ASSERT_FALSE(client.connection->has_room());
  EXPECT_LT(client.connection->unsent_bytes(), options.output_room_bytes + piece.size() + 1024);
  EXPECT_EQ(client.rooms, 0);
  server.connection->set_reading(true);
  ASSERT_TRUE(turn_until(*loop, [&] { return client.rooms > 0 && server.received_bytes == sent; }));
}

// What one turn leaves lies in the kernel, or, in whole records, in OpenSSL, of which the kernel says nothing.
TEST_F(TlsTest, OneTurnReadsWithinItsBudgetAndNothingIsForgotten) {
  options.read_budget_bytes = 16 << 10;
  const auto ca = make_authority();
  serve(context(ca, 1));
  dial(context(ca, 2));
  ASSERT_TRUE(settle());
  server.keep = false;
  size_t sent = 0;
  for (const size_t size : {40u << 10, 17u << 10, 50u << 10, 200u << 10}) {
    client.connection->write(std::string(size, 'x'));
    client.connection->flush();
    sent += size;
    ASSERT_TRUE(turn_until(*loop, [&] { return server.received_bytes == sent; })) << size;
  }
}

TEST_F(TlsTest, KeysAreChangedOnTheWay) {
  options.rekey_records = 3;
  const auto ca = make_authority();
  serve(context(ca, 1));
  dial(context(ca, 2));
  ASSERT_TRUE(settle());
  std::string sent;
  for (int i = 0; i < 50; ++i) {
    const std::string piece = "piece " + std::to_string(i);
    client.connection->write(piece);
    sent += piece;
  }
  client.connection->flush();
  ASSERT_TRUE(turn_until(*loop, [&] { return server.received_bytes == sent.size(); }));
  EXPECT_EQ(server.received, sent);
  EXPECT_EQ(client.connection->key_changes(), 12u);
}

TEST_F(TlsTest, NobodyListens) {
  serve(context(make_authority(), 1));
  const SocketAddress where = listener->address();
  listener.reset();
  Result<std::unique_ptr<TlsConnection>> connection = TlsConnection::connect(
      *loop, where, context(make_authority(), 2), [](const crypto::Identity&) { return Status(); }, &client, options);
  if (connection.ok()) {
    client.connection = std::move(*connection);
    ASSERT_TRUE(turn_until(*loop, [&] { return client.closed; }));
    EXPECT_FALSE(client.reason.ok());
  }
}

// Each certificate shown by the dialer, then by the listener: neither end comes to believe it.
TEST_F(TlsTest, BadCertificatesAreRefusedOnBothSides) {
  const OpenAuthority ca;
  const auto good_context = context(ca.issue(shape_of(member(1))));
  const auto with_believed = [&](crypto::Credentials each) {
    each.authorities = {ca.certificate};
    return each;
  };
  crypto::CertificateShape two = shape_of(member(2)), wildcard = shape_of(member(2)), expired = shape_of(member(2)),
                           early = shape_of(member(2));
  two.uris.push_back(member(3).uri());
  wildcard.dns_names = {"*.test-cluster.runink"};
  expired.not_after_micros = unix_now() - 1'000'000;
  early.not_before_micros = unix_now() + 3'600'000'000;
  crypto::CertificateShape star = shape_of(member(2));
  star.uris = {"spiffe://test-cluster.runink/barn/*"};
  const crypto::PrivateKey own = *crypto::PrivateKey::generate();
  crypto::CertificateShape alone = shape_of(member(2));
  alone.common_name = "self";
  alone.not_before_micros = unix_now() - crypto::kDayMicros;
  alone.not_after_micros = unix_now() + crypto::kDayMicros;
  const crypto::Certificate self_signed = *crypto::build_certificate(alone, own.get(), own, nullptr);

  const std::pair<const char*, crypto::Credentials> bad[] = {
      {"two URIs", ca.issue(two)},
      {"wildcard DNS name", ca.issue(wildcard)},
      {"wildcard in the URI", ca.issue(star)},
      {"expired", ca.issue(expired)},
      {"not yet valid", ca.issue(early)},
      {"self-signed", {own, self_signed, {ca.certificate}}},
      {"another authority of the same name", with_believed(OpenAuthority().issue(shape_of(member(2))))},
      {"the authority itself", {ca.key, ca.certificate, {ca.certificate}}},
  };
  for (const auto& [name, credentials] : bad) {
    for (const bool dialer_is_bad : {true, false}) {
      SCOPED_TRACE(std::string(name) + (dialer_is_bad ? ", dialing" : ", listening"));
      const auto bad_context = context(credentials);
      serve(dialer_is_bad ? good_context : bad_context);
      dial(dialer_is_bad ? bad_context : good_context);
      End& judge = dialer_is_bad ? server : client;
      ASSERT_TRUE(turn_until(*loop, [&] { return server.closed && client.closed; }));
      EXPECT_FALSE(judge.opened);
      EXPECT_EQ(judge.reason.code(), Code::kUnauthenticated) << judge.reason.to_string();
      EXPECT_EQ(server.inputs + client.inputs, 0);
      client.connection.reset();
      server.connection.reset();
      listener.reset();
      server.opened = server.closed = client.opened = client.closed = false;
    }
  }
}

TEST_F(TlsTest, TheRightAuthorityAmongSeveralIsEnough) {
  const auto old_ca = make_authority(), new_ca = make_authority();
  crypto::Credentials one = credentials(old_ca, member(1)), two = credentials(new_ca, member(2));
  one.authorities = two.authorities = {new_ca.certificate(), old_ca.certificate()};
  serve(context(one));
  dial(context(two));
  ASSERT_TRUE(settle());
  EXPECT_TRUE(server.opened && client.opened) << server.reason.to_string() << client.reason.to_string();
}

}  // namespace
}  // namespace runink::net
