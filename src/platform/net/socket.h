// TCP sockets for an event loop: addresses, listening, connecting without waiting. Every descriptor is non-blocking and
// close-on-exec.
#pragma once

#include <netinet/in.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "platform/net/event_loop.h"
#include "platform/os/fd.h"

namespace runink::net {

// "host:port" as it is configured. The host is an IPv4 address, an IPv6 address in brackets, or a DNS name.
struct HostPort {
  std::string host;
  uint16_t port = 0;
  std::string text() const;
  bool operator==(const HostPort&) const = default;
};
// kInvalidArgument unless it is exactly that. Port 0 is for listening only and refused unless asked for.
Result<HostPort> parse_host_port(std::string_view text, bool port_zero = false);

struct SocketAddress {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
  } raw{};
  socklen_t size = 0;
  std::string text() const;  // "127.0.0.1:80", "[::1]:80"
};

// Where the host is an address; kInvalidArgument where it is a name.
Result<SocketAddress> numeric_address(const HostPort& where);
// Asks the system's resolver, which may take seconds: never on a loop's thread (resolver.h).
Result<SocketAddress> resolve_now(const HostPort& where);

Result<os::Fd> listen_tcp(const SocketAddress& where, int backlog = 128);
Result<SocketAddress> local_address(const os::Fd& socket);

// The connection is under way, or there already: it is done when the socket becomes writable; connect_result() says
// how.
Result<os::Fd> connect_tcp(const SocketAddress& where);
Status connect_result(const os::Fd& socket, std::string_view where);

// No waiting for more to send (TCP_NODELAY), keep-alive, an end after so long without an acknowledgement
// (TCP_USER_TIMEOUT), and at most `unsent_low_bytes` unsent bytes in the kernel before it stops being writable
// (TCP_NOTSENT_LOWAT), so that what is urgent does not queue behind what is not. Wishes: what the kernel does not grant
// is left.
void tune_tcp(const os::Fd& socket, int64_t silence_millis, int unsent_low_bytes);

// Accepts connections and hands them on. Where descriptors run out it pauses for 100 ms instead of turning in circles.
class Listener final : private EventLoop::IoHandler {
 public:
  using OnAccept = std::function<void(os::Fd socket, const SocketAddress& from)>;
  static Result<std::unique_ptr<Listener>> create(EventLoop& loop, const SocketAddress& where, OnAccept on_accept);
  ~Listener();
  const SocketAddress& address() const { return address_; }

 private:
  Listener(EventLoop& loop, os::Fd socket, SocketAddress address, OnAccept on_accept);
  void on_io(unsigned events) override;
  void pause();

  EventLoop& loop_;
  os::Fd socket_;
  SocketAddress address_;
  OnAccept on_accept_;
  EventLoop::TimerId resume_ = 0;
};

}  // namespace runink::net
