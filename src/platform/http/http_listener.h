// A small HTTP/1.1 server for a few read-only pages (metrics, health) on an event loop: GET and HEAD, no bodies,
// nothing else. Plain text without TLS, and it asks nobody who he is: it is to listen on loopback or a network of
// operators, and what it serves must be no secret.
//
// Requests are parsed by Boost.Beast, from a buffer; all else is here. Everything is bounded: the bytes of a request's
// head, connections, how long a head may take to come, an answer to be taken, a connection to stay quiet, its requests
// and its life. One request of a connection is answered a turn of the loop, so that a client that sends many at once
// does not hold the loop up.
//
// Who comes when all places are taken gets one: of the connections between two requests the one that has been so for
// longest is closed, and where there is none, the one whose request or answer began first. A client that keeps many
// open so cannot keep others out, and whoever sends its request at once is answered before its turn to go comes.
//
//   400  not HTTP, HTTP/1.1 without Host            408  the head took too long
//   404  the handler's                              413  a body was announced
//   405  neither GET nor HEAD                       431  the head is too large
//   503  (only the handler's)                       505  neither HTTP/1.0 nor 1.1
//
// Threads: the loop's.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "platform/net/event_loop.h"
#include "platform/net/socket.h"

namespace runink::http {

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

struct HttpCounters {
  uint64_t connections = 0, over_limit = 0;  // over_limit: closed to make room
  uint64_t requests = 0;                     // answered, errors included
  uint64_t bad_requests = 0;                 // 400, 408, 413, 431, 505
  uint64_t timed_out = 0;                    // connections closed because the other side was too slow
};

class HttpListener {
 public:
  // `path` is that of the request without what follows '?', not decoded. Called within a turn: it should be quick.
  using Handler = std::function<Response(std::string_view path)>;
  struct Options {
    size_t max_head_bytes = 8 << 10;
    size_t max_connections = 32;           // 1 at least
    int64_t head_nanos = 5'000'000'000;    // from a request's first byte, or from the accept, to the end of its head
    int64_t idle_nanos = 120'000'000'000;  // between two requests; scrapers come once a minute
    int64_t answer_nanos = 10'000'000'000;
    // The answer to the last one says that the connection is closed. A day of scrapes each quarter of a minute is 5760.
    uint64_t max_requests = 10'000;
    int64_t life_nanos = 86'400'000'000'000;
    std::function<void()> on_full;  // a connection has been closed to make room; counters() tell how many have been
  };

  // Listens at once. `loop` outlives it.
  static Result<std::unique_ptr<HttpListener>> create(net::EventLoop& loop, const net::SocketAddress& where,
                                                      Handler handler, const Options& options);
  ~HttpListener();

  const net::SocketAddress& address() const { return listener_->address(); }
  const HttpCounters& counters() const { return counters_; }
  size_t connections() const { return connections_.size(); }

 private:
  class Connection;
  HttpListener(net::EventLoop& loop, Handler handler, const Options& options);
  void accept(os::Fd socket);
  void make_room();
  void drop(Connection* connection);

  net::EventLoop& loop_;
  const Handler handler_;
  const Options options_;
  HttpCounters counters_;
  std::list<std::unique_ptr<Connection>> connections_;
  std::unique_ptr<net::Listener> listener_;  // the first to go
};

}  // namespace runink::http
