// The listener against a client that sends any bytes.
#include "platform/http/http_listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>

#include "platform/net/tls_in_test.h"

namespace runink::http {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// A connection whose bytes the test sees. Non-blocking, as the loop is in the same thread.
struct Client {
  explicit Client(const net::SocketAddress& where) : socket(*net::connect_tcp(where)) {}
  void send(std::string_view bytes) {
    out.append(bytes);
    pump();
  }
  void pump() {
    while (!out.empty()) {
      const ssize_t n = ::send(socket.get(), out.data(), out.size(), MSG_NOSIGNAL);
      if (n <= 0) {
        if (errno == EPIPE || errno == ECONNRESET) closed = true;
        break;
      }
      out.erase(0, static_cast<size_t>(n));
    }
    char bytes[65536];
    while (!closed) {
      const ssize_t n = ::recv(socket.get(), bytes, sizeof bytes, 0);
      if (n < 0 && (errno == EAGAIN || errno == ENOTCONN)) break;
      if (n <= 0) {
        closed = true;
        reset = n < 0;
        break;
      }
      in.append(bytes, static_cast<size_t>(n));
    }
  }
  os::Fd socket;
  std::string in, out;
  bool closed = false, reset = false;
};

size_t count(std::string_view text, std::string_view word) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(word, at)) != std::string_view::npos; at += word.size()) ++n;
  return n;
}

class HttpTest : public testing::Test {
 protected:
  void start(const HttpListener::Options& options = {}) {
    auto made = HttpListener::create(
        *loop_, net::loopback(),
        [this](std::string_view path) -> Response {
          asked_.emplace_back(path);
          if (path == "/metrics") return {200, "text/plain; version=0.0.4; charset=utf-8", "up 1\n"};
          if (path == "/large") return {200, "text/plain", std::string(32 << 20, 'x')};
          if (path == "/sick") return {503, "text/plain", "no leader\n"};
          return {404, "text/plain", "nothing here\n"};
        },
        options);
    ASSERT_TRUE(made.ok()) << made.status().to_string();
    http_ = std::move(*made);
  }
  bool until(Client& client, const std::function<bool()>& so) {
    return net::turn_until(*loop_, [&] {
      client.pump();
      return so();
    });
  }
  // What comes back until the connection is closed.
  std::string exchange(std::string_view request) {
    Client client(http_->address());
    client.send(request);
    EXPECT_TRUE(until(client, [&] { return client.closed; })) << request;
    EXPECT_FALSE(client.reset);
    return client.in;
  }
  std::unique_ptr<net::EventLoop> loop_ = *net::EventLoop::create();
  std::vector<std::string> asked_;
  std::unique_ptr<HttpListener> http_;
};

TEST_F(HttpTest, GetHeadAndKeepAlive) {
  start();
  Client client(http_->address());
  client.send("GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(until(client, [&] { return client.in.ends_with("up 1\n"); }));
  EXPECT_EQ(client.in,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: 5\r\n"
            "Cache-Control: no-store\r\n\r\nup 1\n");
  client.in.clear();
  client.send("HEAD /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  ASSERT_TRUE(until(client, [&] { return client.closed; }));
  EXPECT_EQ(client.in,
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: 5\r\n"
            "Cache-Control: no-store\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(asked_, testing::ElementsAre("/metrics", "/metrics"));
  EXPECT_EQ(http_->counters().connections, 1u);
  EXPECT_EQ(http_->counters().requests, 2u);
}

TEST_F(HttpTest, OldVersionsCloseUnlessAsked) {
  start();
  EXPECT_THAT(exchange("GET /metrics HTTP/1.0\r\n\r\n"), HasSubstr("Connection: close\r\n\r\nup 1\n"));
  Client client(http_->address());
  client.send("GET /metrics HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  ASSERT_TRUE(until(client, [&] { return client.in.ends_with("up 1\n"); }));
  EXPECT_THAT(client.in, HasSubstr("Connection: keep-alive\r\n"));
  EXPECT_FALSE(client.closed);
}

TEST_F(HttpTest, WhatIsRefused) {
  start();
  const std::pair<std::string, int> cases[] = {
      {"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 404},
      {"GET /sick HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 503},
      {"POST /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 405},
      {"DELETE /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 405},
      {"BREW /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 405},
      {"GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 413},
      {"GET /metrics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 413},
      {"GET /metrics HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 413},
      {"GET /metrics HTTP/1.1\r\n\r\n", 400},
      {"GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400},
      {"GET http://a/metrics HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
      {"GET /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400},
      {"GET /metrics HTTP/1.1\r\nHost : a\r\n\r\n", 400},
      {"GET /met\x01rics HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET  /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"GET /metrics\r\n\r\n", 400},
      {"GET /metrics HTTP/2.0\r\nHost: a\r\n\r\n", 505},
      {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400},  // a TLS client
      {std::string("\0\0\0\0\r\n\r\n", 8), 400},
  };
  for (const auto& [request, status] : cases) {
    SCOPED_TRACE(request);
    EXPECT_THAT(exchange(request), StartsWith("HTTP/1.1 " + std::to_string(status) + " "));
  }
  EXPECT_THAT(exchange(cases[2].first), HasSubstr("Allow: GET, HEAD\r\n"));
  for (const std::string& path : asked_) EXPECT_TRUE(path == "/x" || path == "/sick") << path;
  EXPECT_TRUE(net::turn_until(*loop_, [&] { return http_->connections() == 0; }));
}

TEST_F(HttpTest, AHeadIsBounded) {
  start();
  const std::string head = "GET /metrics HTTP/1.1\r\nHost: a\r\n";
  EXPECT_THAT(exchange("GET /" + std::string(10'000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n"),
              StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(exchange(head + "X: " + std::string(10'000, 'a') + "\r\n\r\n"), StartsWith("HTTP/1.1 431 "));
  std::string many = head;
  for (int i = 0; i < 2000; ++i) many += "A" + std::to_string(i) + ": b\r\n";
  EXPECT_THAT(exchange(many + "\r\n"), StartsWith("HTTP/1.1 431 "));
  EXPECT_THAT(exchange(std::string(100'000, 'G')),
              testing::AnyOf(StartsWith("HTTP/1.1 431 "), StartsWith("HTTP/1.1 400 ")));
  // Just within the limit.
  EXPECT_THAT(exchange(head + "Connection: close\r\nX: " + std::string(8'000, 'a') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpTest, AHeadMayComeByteByByteButNotForEver) {
  HttpListener::Options options;
  start(options);
  Client client(http_->address());
  for (const char c : std::string("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")) {
    client.send(std::string_view(&c, 1));
    loop_->turn(1'000'000);
  }
  ASSERT_TRUE(until(client, [&] { return client.closed; }));
  EXPECT_THAT(client.in, StartsWith("HTTP/1.1 200 "));

  options.head_nanos = 20'000'000;
  start(options);
  Client slow(http_->address());
  slow.send("GET /metr");
  ASSERT_TRUE(until(slow, [&] { return slow.closed; }));
  EXPECT_THAT(slow.in, StartsWith("HTTP/1.1 408 "));
  Client silent(http_->address());
  ASSERT_TRUE(until(silent, [&] { return silent.closed; }));
  EXPECT_EQ(silent.in, "");
  EXPECT_EQ(http_->counters().timed_out, 2u);
}

TEST_F(HttpTest, ManyRequestsAtOnceAreAnsweredInOrderAFewATurn) {
  start();
  Client client(http_->address());
  std::string requests;
  for (int i = 0; i < 500; ++i) requests += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n";
  client.send(requests);
  size_t most = 0, before = 0;
  ASSERT_TRUE(until(client, [&] {
    most = std::max(most, asked_.size() - before);
    before = asked_.size();
    return count(client.in, "HTTP/1.1 404 ") == 500;
  }));
  for (size_t i = 0; i < 500; ++i) ASSERT_EQ(asked_[i], "/" + std::to_string(i));
  EXPECT_LE(most, 2u);
}

TEST_F(HttpTest, AnAnswerThatIsNotTakenEndsTheConnection) {
  start();
  {
    Client client(http_->address());
    client.send("GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_TRUE(until(client, [&] { return client.in.size() > (32u << 20); }));
  }
  HttpListener::Options options;
  options.answer_nanos = 30'000'000;
  start(options);
  Client lazy(http_->address());
  ASSERT_TRUE(net::turn_until(*loop_, [&] {
    const ssize_t n = ::send(lazy.socket.get(), "GET /large HTTP/1.1\r\nHost: a\r\n\r\n", 32, MSG_NOSIGNAL);
    return n == 32;
  }));
  ASSERT_TRUE(net::turn_until(*loop_, [&] { return http_->counters().timed_out == 1; }));
  ASSERT_TRUE(net::turn_until(*loop_, [&] { return http_->connections() == 0; }));
}

TEST_F(HttpTest, ConnectionsAreBoundedAndWhoWaitsGivesWay) {
  HttpListener::Options options;
  options.max_connections = 2;
  start(options);
  Client idle(http_->address());
  idle.send("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(until(idle, [&] { return idle.in.ends_with("up 1\n"); }));
  Client busy(http_->address());
  busy.send("GET /met");
  ASSERT_TRUE(until(busy, [&] { return http_->connections() == 2; }));
  Client third(http_->address());
  third.send("GET /met");
  ASSERT_TRUE(until(idle, [&] { return idle.closed; }));
  Client fourth(http_->address());
  ASSERT_TRUE(until(busy, [&] { return busy.closed; }));
  EXPECT_EQ(http_->connections(), 2u);
  EXPECT_EQ(http_->counters().over_limit, 2u);
  third.send("rics HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(until(third, [&] { return third.in.ends_with("up 1\n"); }));
  EXPECT_FALSE(fourth.closed);
}

// Somebody holds all places, each with another trick, and takes every one that is free again before the next caller.
TEST_F(HttpTest, WhoHoldsAllPlacesKeepsNobodyOut) {
  const std::string get = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
  const std::string large = "GET /large HTTP/1.1\r\nHost: a\r\n\r\n";
  size_t full = 0, made = 0;
  HttpListener::Options options;
  options.max_connections = 8;
  options.on_full = [&full] { ++full; };
  start(options);
  for (const std::string& trick : {std::string(), std::string("GET /met"), get, get + "GET /met", large}) {
    SCOPED_TRACE(trick);
    std::vector<std::unique_ptr<Client>> held;
    for (int probe = 0; probe < 20; ++probe) {
      std::erase_if(held, [](const auto& each) { return each->closed; });
      while (held.size() < options.max_connections) {
        held.push_back(std::make_unique<Client>(http_->address()));
        held.back()->out = trick;
        ++made;
      }
      ASSERT_TRUE(net::turn_until(*loop_, [&] {
        bool sent = true;
        for (const auto& each : held) {
          if (trick == "GET /met") each->out += "r";  // a head that never ends
          if (trick != large || !each->out.empty()) each->pump();
          sent = sent && (each->out.empty() || each->closed);
        }
        return sent && http_->counters().connections == made;
      }));
      ++made;
      ASSERT_THAT(exchange("GET /metrics HTTP/1.0\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
      EXPECT_LE(http_->connections(), options.max_connections);
    }
  }
  EXPECT_EQ(http_->counters().over_limit, full);
  EXPECT_GE(full, 20u);
}

TEST_F(HttpTest, AConnectionHasSoManyRequestsAndSoLongALife) {
  const std::string get = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n";
  HttpListener::Options options;
  options.max_requests = 3;
  start(options);
  EXPECT_EQ(count(exchange(get + get + get + get), "HTTP/1.1 200 "), 3u);
  EXPECT_THAT(exchange(get + get + get), HasSubstr("Connection: close\r\n\r\nup 1\n"));

  options = {};
  options.life_nanos = 30'000'000;
  start(options);
  Client client(http_->address());
  size_t asked = 0;
  ASSERT_TRUE(until(client, [&] {
    if (!client.closed && count(client.in, "HTTP/1.1 200 ") == asked) ++asked, client.send(get);
    return client.closed;
  }));
  EXPECT_GE(count(client.in, "HTTP/1.1 200 "), 1u);
  EXPECT_EQ(count(client.in, "Connection: close\r\n"), 1u);
}

TEST_F(HttpTest, ClientsThatGoAwayLeaveNothing) {
  start();
  for (const std::string_view request : {"", "GET /la", "GET /large HTTP/1.1\r\nHost: a\r\n\r\n", "\r\n\r\n\r\n"}) {
    Client client(http_->address());
    client.send(request);
    loop_->turn(1'000'000);
  }
  EXPECT_TRUE(net::turn_until(*loop_, [&] { return http_->connections() == 0; }));
}

}  // namespace
}  // namespace runink::http
