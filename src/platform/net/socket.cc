#include "platform/net/socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/check.h"
#include "base/text.h"

namespace runink::net {

namespace {

constexpr int kAcceptsPerTurn = 16;
constexpr int64_t kPauseNanos = 100'000'000;

bool is_host_name(std::string_view host) {
  if (host.empty() || host.size() > 253) return false;
  for (std::string_view label : split(host, '.')) {
    if (label.empty() || label.size() > 63) return false;
    for (char c : label) {
      const bool good =
          (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
      if (!good) return false;
    }
  }
  return true;
}

bool is_v6(std::string_view host) { return host.find(':') != std::string_view::npos; }

void set_option(const os::Fd& socket, int level, int option, int value) {
  (void)::setsockopt(socket.get(), level, option, &value, sizeof value);
}

Result<os::Fd> make_socket(const SocketAddress& where) {
  os::Fd socket(::socket(where.raw.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), where.text());
  if (!socket.valid()) return from_errno(errno, "make a socket");
  return socket;
}

}  // namespace

std::string HostPort::text() const {
  return is_v6(host) ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

Result<HostPort> parse_host_port(std::string_view text, bool port_zero) {
  const auto refuse = [&] {
    return invalid_argument("'{}' is not an address: host:port or [ipv6]:port", escape_control(text.substr(0, 120)));
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return refuse();
  std::string_view host = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  HostPort out{std::string(host), 0};
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) return refuse();
  if (out.port == 0 && !port_zero) return refuse();
  in6_addr v6{};
  if (bracketed ? ::inet_pton(AF_INET6, out.host.c_str(), &v6) != 1 : !is_host_name(host)) return refuse();
  return out;
}

std::string SocketAddress::text() const {
  char buffer[INET6_ADDRSTRLEN] = "";
  if (raw.any.sa_family == AF_INET6) {
    ::inet_ntop(AF_INET6, &raw.v6.sin6_addr, buffer, sizeof buffer);
    return fmt::format("[{}]:{}", buffer, ntohs(raw.v6.sin6_port));
  }
  ::inet_ntop(AF_INET, &raw.v4.sin_addr, buffer, sizeof buffer);
  return fmt::format("{}:{}", buffer, ntohs(raw.v4.sin_port));
}

Result<SocketAddress> numeric_address(const HostPort& where) {
  SocketAddress out;
  if (::inet_pton(AF_INET, where.host.c_str(), &out.raw.v4.sin_addr) == 1) {
    out.raw.v4.sin_family = AF_INET;
    out.raw.v4.sin_port = htons(where.port);
    out.size = sizeof out.raw.v4;
    return out;
  }
  if (::inet_pton(AF_INET6, where.host.c_str(), &out.raw.v6.sin6_addr) == 1) {
    out.raw.v6.sin6_family = AF_INET6;
    out.raw.v6.sin6_port = htons(where.port);
    out.size = sizeof out.raw.v6;
    return out;
  }
  return invalid_argument("'{}' is a name, not an address", where.host);
}

Result<SocketAddress> resolve_now(const HostPort& where) {
  if (Result<SocketAddress> numeric = numeric_address(where); numeric.ok()) return numeric;
  struct addrinfo hints {};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  struct addrinfo* list = nullptr;
  const int error = ::getaddrinfo(where.host.c_str(), std::to_string(where.port).c_str(), &hints, &list);
  if (error != 0) return unavailable("look up {}: {}", where.host, ::gai_strerror(error));
  SocketAddress out;
  RUNINK_CHECK(list->ai_addrlen <= sizeof out.raw);
  std::memcpy(&out.raw, list->ai_addr, list->ai_addrlen);
  out.size = list->ai_addrlen;
  ::freeaddrinfo(list);
  return out;
}

Result<os::Fd> listen_tcp(const SocketAddress& where, int backlog) {
  os::Fd socket = RUNINK_TRY(make_socket(where));
  set_option(socket, SOL_SOCKET, SO_REUSEADDR, 1);
  if (where.raw.any.sa_family == AF_INET6) set_option(socket, IPPROTO_IPV6, IPV6_V6ONLY, 0);
  if (::bind(socket.get(), &where.raw.any, where.size) != 0 || ::listen(socket.get(), backlog) != 0) {
    const bool taken = errno == EADDRINUSE;
    Status status = from_errno(errno, "listen on " + where.text());
    return taken ? std::move(status).with_hint("another program has that port") : std::move(status);
  }
  return socket;
}

Result<SocketAddress> local_address(const os::Fd& socket) {
  SocketAddress out;
  out.size = sizeof out.raw;
  if (::getsockname(socket.get(), &out.raw.any, &out.size) != 0) return from_errno(errno, "ask for a socket's address");
  return out;
}

Result<os::Fd> connect_tcp(const SocketAddress& where) {
  os::Fd socket = RUNINK_TRY(make_socket(where));
  if (::connect(socket.get(), &where.raw.any, where.size) != 0 && errno != EINPROGRESS) {
    return from_errno(errno, "connect to " + where.text());
  }
  return socket;
}

Status connect_result(const os::Fd& socket, std::string_view where) {
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  if (error == 0) return {};
  return from_errno(error, fmt::format("connect to {}", where));
}

void tune_tcp(const os::Fd& socket, int64_t silence_millis, int unsent_low_bytes) {
  set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(silence_millis));
  set_option(socket, IPPROTO_TCP, TCP_NOTSENT_LOWAT, unsent_low_bytes);
}

Result<std::unique_ptr<Listener>> Listener::create(EventLoop& loop, const SocketAddress& where, OnAccept on_accept) {
  os::Fd socket = RUNINK_TRY(listen_tcp(where));
  const SocketAddress address = RUNINK_TRY(local_address(socket));
  std::unique_ptr<Listener> listener(new Listener(loop, std::move(socket), address, std::move(on_accept)));
  RUNINK_RETURN_IF_ERROR(loop.watch(listener->socket_.get(), EventLoop::kReadable, listener.get()));
  return listener;
}

Listener::Listener(EventLoop& loop, os::Fd socket, SocketAddress address, OnAccept on_accept)
    : loop_(loop), socket_(std::move(socket)), address_(address), on_accept_(std::move(on_accept)) {}

Listener::~Listener() {
  loop_.cancel(resume_);
  loop_.unwatch(socket_.get());
}

void Listener::on_io(unsigned) {
  for (int i = 0; i < kAcceptsPerTurn; ++i) {
    SocketAddress from;
    from.size = sizeof from.raw;
    os::Fd accepted(::accept4(socket_.get(), &from.raw.any, &from.size, SOCK_NONBLOCK | SOCK_CLOEXEC), "connection");
    if (accepted.valid()) {
      on_accept_(std::move(accepted), from);
      continue;
    }
    // Anything else is the fault of that one connection, which is gone (accept(2), "Error handling").
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) pause();
    if (errno != EINTR && errno != ECONNABORTED) return;
  }
}

void Listener::pause() {
  loop_.set_interest(socket_.get(), 0);
  resume_ = loop_.call_after(kPauseNanos, [this] { loop_.set_interest(socket_.get(), EventLoop::kReadable); });
}

}  // namespace runink::net
