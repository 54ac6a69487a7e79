#include <gtest/gtest.h>
#include <sys/socket.h>

#include <atomic>
#include <optional>
#include <set>
#include <thread>

#include "platform/net/join_exchange.h"
#include "platform/net/tls_connection.h"
#include "platform/net/tls_in_test.h"

namespace runink::net {
namespace {

constexpr int64_t kMinute = 60'000'000;
const std::string kFingerprint(64, 'a');

TEST(JoinTokenTest, TextComesBack) {
  const JoinToken token = *make_join_token("shop", 7, "[fe80::1]:7071", kFingerprint, 1'800'000'000'000'000);
  const Result<JoinToken> back = parse_join_token(" " + token.text() + "\n", 1'790'000'000'000'000);
  ASSERT_TRUE(back.ok()) << back.status().to_string();
  EXPECT_EQ(back->cluster_id, "shop");
  EXPECT_EQ(back->node, 7u);
  EXPECT_EQ(back->id, token.id);
  EXPECT_EQ(back->secret, token.secret);
  EXPECT_EQ(back->fingerprint, token.fingerprint);
  EXPECT_EQ(back->address, token.address);
  EXPECT_EQ(back->expires_micros, token.expires_micros);
  EXPECT_NE(make_join_token("shop", 7, "a:1", kFingerprint, 1)->secret, token.secret);
  EXPECT_FALSE(make_join_token("shop", 7, "a", kFingerprint, 1).ok());
  EXPECT_FALSE(make_join_token("shop", 7, "a:1", "abc", 1).ok());
  EXPECT_FALSE(make_join_token("shop", 0, "a:1", kFingerprint, 1).ok());
  EXPECT_FALSE(make_join_token("a.b", 7, "a:1", kFingerprint, 1).ok());
}

TEST(JoinTokenTest, DamageIsNamedAndTheSecretNeverIs) {
  const JoinToken token = *make_join_token("shop", 7, "a:1", kFingerprint, 1'800'000'000'000'000);
  const std::string text = token.text(), secret = text.substr(text.size() - 11 - 64, 64);
  for (size_t cut = 0; cut < text.size() - 10; ++cut) {
    const Result<JoinToken> part = parse_join_token(text.substr(0, cut), 0);
    ASSERT_FALSE(part.ok()) << cut;
    EXPECT_EQ(part.status().message().find(secret.substr(0, 8)), std::string::npos);
    EXPECT_FALSE(part.status().hint().empty());
  }
  EXPECT_EQ(parse_join_token(text, 1'800'000'000'000'000).status().code(), Code::kPermissionDenied);
  EXPECT_FALSE(parse_join_token(text + ".x", 0).ok());
  EXPECT_FALSE(parse_join_token(text + "x", 0).ok());
  EXPECT_FALSE(parse_join_token(std::string(100'000, 'a'), 0).ok());
}

TEST(JoinTokenTest, AProofIsForOneConnectionRequestAndToken) {
  const std::string key = join_key("secret");
  const JoinRequest request{"0123456789abcdef", "pem", join_proof(key, "0123456789abcdef", "pem", "binding"),
                            "binding"};
  EXPECT_TRUE(request.proves(key));
  EXPECT_FALSE(request.proves(join_key("another")));
  JoinRequest changed = request;
  changed.request_pem = "another";
  EXPECT_FALSE(changed.proves(key));
  changed = request;
  changed.channel_binding = "another";
  EXPECT_FALSE(changed.proves(key));
  changed = request;
  changed.token_id = "0123456789abcdee";
  EXPECT_FALSE(changed.proves(key));
}

// A member with a listener, on a thread of its own, and a book of one token.
struct Member {
  explicit Member(JoinListener::Options options = {}) {
    const auto context = *TlsContext::join_server(credentials(ca, member(1)));
    listener = std::move(*JoinListener::create(
        *loop, loopback(), context,
        [this](JoinRequest request, JoinListener::Answer answer) { decide(std::move(request), std::move(answer)); },
        options));
    token = *make_join_token("test-cluster", 2, listener->address().text(), ca.certificate().fingerprint(),
                             unix_now() + 10 * kMinute);
    thread = std::thread([this] { loop->run(); });
  }
  ~Member() { stop(); }
  void stop() {
    if (!thread.joinable()) return;
    loop->stop();
    thread.join();
  }

  void decide(JoinRequest request, JoinListener::Answer answer) {
    if (silent) return held.push_back(std::move(answer));
    if (request.token_id != token.id || !request.proves(join_key(token.secret))) {
      return answer(Status(Code::kPermissionDenied, "the token is not known, or not this one"));
    }
    if (!used.insert(request.token_id).second) return answer(failed_precondition("the token has been used"));
    if (expired) return answer(permission_denied("the token has expired"));
    const auto asked = crypto::CertificateRequest::from_pem(request.request_pem);
    if (!asked.ok()) return answer(asked.status());
    const auto issued = ca.issue(*asked, member(grants), unix_now());
    if (!issued.ok()) return answer(issued.status());
    if (request.information != "where I listen") return answer(invalid_argument("no information came"));
    answer(JoinGrant{issued->to_pem(), ca.certificate().to_pem(), "members: 1"});
  }

  std::unique_ptr<EventLoop> loop = std::move(*EventLoop::create());
  crypto::CertificateAuthority ca = make_authority();
  std::unique_ptr<JoinListener> listener;
  JoinToken token;
  std::set<std::string> used;
  std::vector<JoinListener::Answer> held;
  uint64_t grants = 2;
  bool expired = false, silent = false;
  std::thread thread;
};

Result<Joined> join(const JoinToken& token, uint64_t node = 2, JoinOptions options = {}) {
  return join_cluster(token, *crypto::PrivateKey::generate(), member(node), "where I listen", unix_now(), options);
}

// The same on a thread of its own, while this one turns the loop.
Result<Joined> join_beside(EventLoop& loop, const JoinToken& token) {
  std::atomic<bool> done{false};
  Result<Joined> joined = internal_error("not asked");
  std::thread asker([&] {
    joined = join(token);
    done = true;
    loop.post([] {});
  });
  EXPECT_TRUE(turn_until(loop, [&] { return done.load(); }));
  asker.join();
  return joined;
}

TEST(JoinTest, ATokenLetsOneNodeInOnce) {
  Member member;
  const Result<Joined> joined = join(member.token);
  ASSERT_TRUE(joined.ok()) << joined.status().to_string();
  EXPECT_EQ(joined->information, "members: 1");
  EXPECT_EQ(joined->credentials.certificate.identity()->node(), 2u);
  EXPECT_TRUE(TlsContext::mutual(joined->credentials).ok());
  const Result<Joined> again = join(member.token);
  EXPECT_EQ(again.status().code(), Code::kFailedPrecondition);
  EXPECT_NE(again.status().to_string().find("has been used"), std::string::npos);
  member.stop();
  EXPECT_EQ(member.listener->counters().granted, 1u);
  EXPECT_EQ(member.listener->counters().refused, 1u);
}

TEST(JoinTest, ExpiredUnknownOrWrongIsRefused) {
  Member member;
  JoinToken unknown = member.token, wrong = member.token;
  unknown.id = "0000000000000000";
  wrong.secret[0] = static_cast<char>(wrong.secret[0] ^ 1);
  EXPECT_EQ(join(unknown).status().code(), Code::kPermissionDenied);
  EXPECT_EQ(join(wrong).status().code(), Code::kPermissionDenied);
  EXPECT_EQ(join(member.token, 3).status().code(), Code::kPermissionDenied);  // asks to be another than it may be
  Member late;
  late.expired = true;
  EXPECT_EQ(join(late.token).status().code(), Code::kPermissionDenied);
}

TEST(JoinTest, AMemberOfAnotherClusterLearnsNothing) {
  Member member;
  JoinToken token = member.token;
  token.fingerprint = make_authority().certificate().fingerprint();
  const Result<Joined> joined = join(token);
  EXPECT_EQ(joined.status().code(), Code::kUnauthenticated) << joined.status().to_string();
  member.stop();
  EXPECT_TRUE(member.used.empty());
  EXPECT_EQ(member.listener->counters().granted + member.listener->counters().refused, 0u);
}

// The authority is the right one, but who shows it has no certificate of a member by it.
TEST(JoinTest, AnAuthorityThatIsOnlyShownProvesNothing) {
  const auto loop = std::move(*EventLoop::create());
  const auto ca = make_authority();
  crypto::Credentials impostor = credentials(make_authority(), member(1));
  impostor.authorities = {ca.certificate()};
  crypto::Credentials user = credentials(ca, *crypto::make_identity(kTestDomain, crypto::Role::kUser, "paes"));
  crypto::Credentials agent = credentials(ca, *crypto::make_identity(kTestDomain, crypto::Role::kAgent, "node-1"));
  for (const crypto::Credentials& each : {impostor, user, agent}) {
    int decided = 0;
    auto listener = std::move(*JoinListener::create(*loop, loopback(), *TlsContext::join_server(each),
                                                    [&](JoinRequest, JoinListener::Answer) { ++decided; }, {}));
    const JoinToken token = *make_join_token("test-cluster", 2, listener->address().text(),
                                             ca.certificate().fingerprint(), unix_now() + kMinute);
    const Result<Joined> joined = join_beside(*loop, token);
    EXPECT_EQ(joined.status().code(), Code::kUnauthenticated) << joined.status().to_string();
    EXPECT_EQ(decided, 0);
  }
}

TEST(JoinTest, AGrantThatIsNotTheOneAskedForIsNotBelieved) {
  const crypto::Identity two = *crypto::barn_identity(kTestDomain, 2);
  // Issued for another key: as if somebody else's request had been answered.
  const auto loop = std::move(*EventLoop::create());
  const auto ca = make_authority();
  const crypto::Credentials others = credentials(ca, two);
  auto listener = std::move(*JoinListener::create(
      *loop, loopback(), *TlsContext::join_server(credentials(ca, *crypto::barn_identity(kTestDomain, 1))),
      [&](JoinRequest, JoinListener::Answer answer) {
        answer(JoinGrant{others.certificate.to_pem(), ca.certificate().to_pem(), ""});
      },
      {}));
  const JoinToken token = *make_join_token("test-cluster", 2, listener->address().text(),
                                           ca.certificate().fingerprint(), unix_now() + kMinute);
  std::atomic<bool> done{false};
  Result<Joined> joined = internal_error("not asked");
  std::thread asker([&] {
    joined = join(token);
    done = true;
    loop->post([] {});
  });
  EXPECT_TRUE(turn_until(*loop, [&] { return done.load(); }));
  asker.join();
  EXPECT_EQ(joined.status().code(), Code::kDataLoss) << joined.status().to_string();
}

TEST(JoinTest, NoAnswerIsNotWaitedForForEver) {
  Member member;
  member.silent = true;
  JoinOptions options;
  options.step_nanos = 20'000'000'000;
  options.answer_nanos = 50'000'000 - options.step_nanos;
  const Result<Joined> joined = join(member.token, 2, options);
  EXPECT_EQ(joined.status().code(), Code::kDeadlineExceeded) << joined.status().to_string();
  EXPECT_NE(joined.status().message().find("not known"), std::string::npos);
}

// Whoever is there closes: at once, with a reset, or after the request.
TEST(JoinTest, AConnectionThatBreaksOffIsUnavailableAndHasAHint) {
  const auto loop = std::move(*EventLoop::create());
  const auto ca = make_authority();
  const auto outcome = [&](const SocketAddress& where) {
    const JoinToken token =
        *make_join_token("test-cluster", 2, where.text(), ca.certificate().fingerprint(), unix_now() + kMinute);
    const Result<Joined> joined = join_beside(*loop, token);
    return joined.status();
  };
  for (const bool reset : {false, true}) {
    const auto listener = std::move(*Listener::create(*loop, loopback(), [&](os::Fd socket, const SocketAddress&) {
      const linger now{1, 0};
      if (reset) {
        EXPECT_EQ(::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
      }
    }));
    const Status status = outcome(listener->address());
    EXPECT_EQ(status.code(), Code::kUnavailable) << status.to_string();
    EXPECT_NE(status.hint().find("has not been shown"), std::string::npos) << status.hint();
  }
  // The listener goes once it has the request.
  std::unique_ptr<JoinListener> listener;
  listener = std::move(
      *JoinListener::create(*loop, loopback(), *TlsContext::join_server(credentials(ca, member(1))),
                            [&](JoinRequest, JoinListener::Answer) { loop->post([&] { listener.reset(); }); }, {}));
  const Status status = outcome(SocketAddress(listener->address()));
  EXPECT_EQ(status.code(), Code::kUnavailable) << status.to_string();
  EXPECT_NE(status.hint().find("may have been used"), std::string::npos) << status.hint();
}

// A client that says what it likes, over a good TLS connection.
struct Talker : TlsConnection::Handler {
  void on_open() override {
    if (!says.empty()) connection->write(says);
    connection->flush();
  }
  std::span<char> input_room() override { return buffer; }
  void on_input(size_t bytes) override { received.append(buffer.data(), bytes); }
  void on_output_room() override {}
  void on_closed(const Status&) override { closed = true; }

  std::string says, received;
  std::array<char, 1024> buffer;
  bool closed = false;
  std::unique_ptr<TlsConnection> connection;
};

struct Slow : ::testing::Test {
  void listen(JoinListener::Options options) {
    listener = std::move(*JoinListener::create(
        *loop, loopback(), *TlsContext::join_server(credentials(ca, member(1))),
        [this](JoinRequest, JoinListener::Answer answer) {
          ++decided;
          answers.push_back(std::move(answer));
        },
        options));
  }
  std::unique_ptr<Talker> talk(std::string says) {
    auto talker = std::make_unique<Talker>();
    talker->says = std::move(says);
    talker->connection = std::move(
        *TlsConnection::connect(*loop, listener->address(), *TlsContext::join_client(ca.certificate().fingerprint()),
                                [](const crypto::Identity&) { return Status(); }, talker.get(), {}));
    return talker;
  }
  std::unique_ptr<EventLoop> loop = std::move(*EventLoop::create());
  crypto::CertificateAuthority ca = make_authority();
  std::unique_ptr<JoinListener> listener;
  std::vector<JoinListener::Answer> answers;
  int decided = 0;
};
using JoinListenerTest = Slow;

TEST_F(JoinListenerTest, WhatIsTooLongOrNoRequestIsRefusedUndecided) {
  listen({});
  const std::string header_ok("\x02\x00\x00\x00\x01", 5);
  for (const std::string& says : {std::string("\x01\x40\x00\x00\x01", 5), std::string("\xff\xff\xff\xff\x01", 5),
                                  std::string("\x02\x00\x00\x00\x02zz", 7), header_ok + "zz", header_ok + "zzz",
                                  std::string("GET / HTTP/1.1\r\n\r\n"), std::string(100'000, '\x01')}) {
    const uint64_t before = listener->counters().malformed;
    const auto talker = talk(says);
    ASSERT_TRUE(turn_until(*loop, [&] { return talker->closed; }));
    EXPECT_EQ(listener->counters().malformed, before + 1);
  }
  EXPECT_EQ(decided, 0);
  ASSERT_TRUE(turn_until(*loop, [&] { return listener->connections() == 0; }));
}

TEST_F(JoinListenerTest, ASlowOneIsCutOffAtEachStep) {
  JoinListener::Options options;
  options.step_nanos = 30'000'000;
  options.decide_nanos = 30'000'000;
  listen(options);
  const os::Fd quiet = *connect_tcp(listener->address());  // no handshake
  ASSERT_TRUE(turn_until(*loop, [&] { return listener->counters().timed_out == 1; }));
  const auto nothing = talk("");
  const auto half = talk(std::string("\x10\x00\x00\x00\x01half", 9));
  ASSERT_TRUE(turn_until(*loop, [&] { return nothing->closed && half->closed; }));
  EXPECT_EQ(listener->counters().timed_out, 3u);
  // Whole, but nobody decides.
  const auto whole = talk(std::string("\x04\x00\x00\x00\x01\x00\x00\x00\x00", 9));
  ASSERT_TRUE(turn_until(*loop, [&] { return whole->closed; }));
  EXPECT_EQ(decided, 1);
  EXPECT_EQ(listener->counters().timed_out, 4u);
  answers[0](internal_error("too late, and harmless"));
  loop->turn(0);
  EXPECT_EQ(listener->connections(), 0u);
}

TEST_F(JoinListenerTest, SoManyAndNoMore) {
  JoinListener::Options options;
  options.max_connections = 3;
  listen(options);
  std::vector<os::Fd> quiet;
  for (int i = 0; i < 5; ++i) quiet.push_back(*connect_tcp(listener->address()));
  ASSERT_TRUE(turn_until(*loop, [&] { return listener->counters().connections == 5; }));
  EXPECT_EQ(listener->connections(), 3u);
  EXPECT_EQ(listener->counters().over_limit, 2u);
  // The oldest have gone.
  const auto closed = [](const os::Fd& socket) {
    char byte = 0;
    return ::recv(socket.get(), &byte, 1, MSG_DONTWAIT) >= 0 || errno == ECONNRESET;
  };
  ASSERT_TRUE(turn_until(*loop, [&] { return closed(quiet[0]) && closed(quiet[1]); }));
  for (int i = 2; i < 5; ++i) EXPECT_FALSE(closed(quiet[static_cast<size_t>(i)])) << i;
  quiet.clear();
  ASSERT_TRUE(turn_until(*loop, [&] { return listener->connections() == 0; }));
}

// Silent ones, halves of requests and answers that nobody takes give way; what is being decided about does not.
TEST_F(JoinListenerTest, WhoHoldsAllPlacesKeepsNobodyOut) {
  JoinListener::Options options;
  options.max_connections = 4;
  options.connections_per_second = 1000;
  listen(options);
  const std::string request("\x04\x00\x00\x00\x01\x00\x00\x00\x00", 9);
  const auto deciding = talk(request);
  ASSERT_TRUE(turn_until(*loop, [&] { return decided == 1; }));
  for (const std::string& trick :
       {std::string(), std::string("\x10\x00\x00\x00\x01half", 9), std::string("\x02\x00\x00\x00\x02zz", 7)}) {
    std::vector<std::unique_ptr<Talker>> held;
    std::vector<os::Fd> quiet;
    const uint64_t before = listener->counters().connections;
    for (uint64_t i = 0; i < 10; ++i) {
      held.push_back(talk(trick));
      quiet.push_back(*connect_tcp(listener->address()));  // no handshake
      ASSERT_TRUE(turn_until(*loop, [&] { return listener->counters().connections == before + 2 * (i + 1); }));
    }
    const int others = decided;
    const auto talker = talk(request);
    for (int i = 0; i < 2; ++i) quiet.push_back(*connect_tcp(listener->address()));  // and newer ones at once
    ASSERT_TRUE(turn_until(*loop, [&] { return decided == others + 1 || talker->closed; }));
    ASSERT_EQ(decided, others + 1);
    answers.back()(internal_error("no"));
    ASSERT_TRUE(turn_until(*loop, [&] { return talker->closed; }));
    EXPECT_GT(talker->received.size(), 5u);
  }
  EXPECT_FALSE(deciding->closed);
  answers[0](internal_error("no"));
  ASSERT_TRUE(turn_until(*loop, [&] { return deciding->closed; }));
  EXPECT_GT(deciding->received.size(), 5u);
}

TEST_F(JoinListenerTest, WhereAllAreBeingDecidedAboutTheNewOneGoes) {
  JoinListener::Options options;
  options.max_connections = 2;
  listen(options);
  const std::string request("\x04\x00\x00\x00\x01\x00\x00\x00\x00", 9);
  const auto first = talk(request), second = talk(request);
  ASSERT_TRUE(turn_until(*loop, [&] { return decided == 2; }));
  const auto third = talk(request);
  ASSERT_TRUE(turn_until(*loop, [&] { return third->closed; }));
  EXPECT_FALSE(first->closed || second->closed);
  EXPECT_EQ(listener->counters().over_limit, 1u);
}

TEST_F(JoinListenerTest, AnAnswerThatDoesNotFitIsARefusal) {
  listen({});
  const auto talker = talk(std::string("\x04\x00\x00\x00\x01\x00\x00\x00\x00", 9));
  ASSERT_TRUE(turn_until(*loop, [&] { return decided == 1; }));
  answers[0](JoinGrant{std::string(20'000, 'x'), "", ""});
  ASSERT_TRUE(turn_until(*loop, [&] { return talker->closed; }));
  ASSERT_GT(talker->received.size(), 5u);
  EXPECT_EQ(talker->received[5], static_cast<char>(Code::kInternal));
}

}  // namespace
}  // namespace runink::net
