#include "platform/net/client_stream.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "platform/crypto/openssl_error.h"

namespace runink::net {
namespace {

// Those with forward secrecy and authenticated encryption; of TLS 1.3 all are so.
constexpr const char* kCiphersBefore13 = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM";
constexpr int kUnsentLowBytes = 1 << 20;

Status tls_setup_error(const std::string& what) {
  return invalid_argument("{}: {}", what, crypto::take_openssl_error());
}

bool is_address(const std::string& host) {
  in6_addr address;
  return ::inet_pton(AF_INET, host.c_str(), &address) == 1 || ::inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

// All that the name stands for, in the resolver's order.
Result<std::vector<SocketAddress>> addresses_of(const HostPort& where) {
  addrinfo wanted = {};
  wanted.ai_family = AF_UNSPEC;
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = ::getaddrinfo(where.host.c_str(), std::to_string(where.port).c_str(), &wanted, &found);
  if (error != 0) return unavailable("look up {}: {}", where.host, ::gai_strerror(error));
  std::vector<SocketAddress> out;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    SocketAddress address;
    if (one->ai_addrlen > sizeof address.raw) continue;
    std::memcpy(&address.raw, one->ai_addr, one->ai_addrlen);
    address.size = one->ai_addrlen;
    out.push_back(address);
  }
  ::freeaddrinfo(found);
  if (out.empty()) return unavailable("look up {}: it has no address", where.host);
  return out;
}

}  // namespace

Result<Interrupt> Interrupt::create() {
  Interrupt out;
  out.event_ = os::Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "interrupt");
  if (!out.event_.valid()) return from_errno(errno, "make an eventfd");
  return out;
}

void Interrupt::raise() {
  const uint64_t one = 1;
  if (event_.valid()) (void)!::write(event_.get(), &one, sizeof one);
}

Result<std::shared_ptr<const ClientTlsContext>> ClientTlsContext::create(const ClientTls& tls) {
  ERR_clear_error();
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  if (context == nullptr) return internal_error("set up TLS: {}", crypto::take_openssl_error());
  std::shared_ptr<const ClientTlsContext> out(new ClientTlsContext(context, tls.server_name));
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(context, kCiphersBefore13) != 1) {
    return internal_error("set up TLS: {}", crypto::take_openssl_error());
  }
  if (tls.ca_file.empty()) {
    if (SSL_CTX_set_default_verify_paths(context) != 1) return tls_setup_error("read the system's authorities");
  } else if (SSL_CTX_load_verify_locations(context, tls.ca_file.c_str(), nullptr) != 1) {
    return tls_setup_error("read authorities from " + tls.ca_file);
  }
  if (tls.certificate_file.empty() != tls.key_file.empty()) {
    return invalid_argument("a certificate and its key are given together, or neither");
  }
  if (tls.certificate_file.empty()) return out;
  if (SSL_CTX_use_certificate_chain_file(context, tls.certificate_file.c_str()) != 1) {
    return tls_setup_error("read the certificate " + tls.certificate_file);
  }
  if (SSL_CTX_use_PrivateKey_file(context, tls.key_file.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return tls_setup_error("read the key " + tls.key_file);
  }
  return out;
}

ClientTlsContext::~ClientTlsContext() { SSL_CTX_free(context_); }

Result<std::unique_ptr<ClientStream>> ClientStream::connect(const HostPort& where, const ClientTlsContext* tls,
                                                            int64_t deadline, const Interrupt& interrupt) {
  const std::vector<SocketAddress> addresses = RUNINK_TRY(addresses_of(where));
  Status last;
  for (size_t i = 0; i < addresses.size(); ++i) {
    const SocketAddress& address = addresses[i];
    // One that does not answer leaves time for the others.
    const int64_t now = system_clock().steady_nanos();
    const int64_t until = now + (deadline - now) / static_cast<int64_t>(addresses.size() - i);
    auto socket = connect_tcp(address);
    if (!socket.ok()) {
      last = std::move(socket).status();
      continue;
    }
    std::unique_ptr<ClientStream> stream(new ClientStream(std::move(*socket), where.text(), interrupt.descriptor()));
    Status connected = stream->wait(POLLOUT, until);
    if (connected.code() == Code::kCancelled) return connected;
    if (connected.ok()) connected = connect_result(stream->socket_, address.text());
    if (connected.ok()) {
      tune_tcp(stream->socket_, 0, kUnsentLowBytes);
      if (tls != nullptr) RUNINK_RETURN_IF_ERROR(stream->shake_hands(*tls, where.host, deadline));
      return stream;
    }
    last = std::move(connected);
  }
  return std::move(last).with_context("connect to " + where.text());
}

ClientStream::~ClientStream() {
  if (ssl_ == nullptr) return;
  ERR_clear_error();
  (void)SSL_shutdown(ssl_);  // a last word, if the kernel takes it
  ERR_clear_error();
  SSL_free(ssl_);
}

Status ClientStream::shake_hands(const ClientTlsContext& tls, const std::string& host, int64_t deadline) {
  const std::string& name = tls.server_name_.empty() ? host : tls.server_name_;
  ERR_clear_error();
  ssl_ = SSL_new(tls.context_);
  RUNINK_CHECK(ssl_ != nullptr && SSL_set_fd(ssl_, socket_.get()) == 1);
  if (is_address(name)) {
    RUNINK_CHECK(X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_), name.c_str()) == 1);
  } else {
    SSL_set_hostflags(ssl_, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (SSL_set1_host(ssl_, name.c_str()) != 1 || SSL_set_tlsext_host_name(ssl_, name.c_str()) != 1) {
      return invalid_argument("\"{}\" cannot be a server's name", name);
    }
  }
  while (true) {
    ERR_clear_error();
    const int result = SSL_connect(ssl_);
    if (result == 1) return {};
    const long verified = SSL_get_verify_result(ssl_);
    if (verified != X509_V_OK) {
      crypto::take_openssl_error();
      return Status(Code::kUnauthenticated, fmt::format("{}: the server's certificate is not believed: {}", name_,
                                                        X509_verify_cert_error_string(verified)))
          .with_hint("name the authority that signed it (a file of PEM certificates), and the name that it bears");
    }
    RUNINK_RETURN_IF_ERROR(continue_after(result, "shake hands with", deadline));
  }
}

// OK: try the same call again.
Status ClientStream::continue_after(int ssl_result, const char* attempted, int64_t deadline) {
  const int system_error = errno;
  switch (SSL_get_error(ssl_, ssl_result)) {
    case SSL_ERROR_WANT_READ:
      return wait(POLLIN, deadline);
    case SSL_ERROR_WANT_WRITE:
      return wait(POLLOUT, deadline);
    case SSL_ERROR_SYSCALL:
      crypto::take_openssl_error();
      if (system_error != 0) return from_errno(system_error, fmt::format("{} {}", attempted, name_));
      return unavailable("{} {}: the server broke the connection off", attempted, name_);
    case SSL_ERROR_ZERO_RETURN:
      return unavailable("{} {}: the server has ended the connection", attempted, name_);
    default:
      return unavailable("{} {}: TLS: {}", attempted, name_, crypto::take_openssl_error());
  }
}

Status ClientStream::wait(short events, int64_t deadline) const {
  while (true) {
    const int64_t left = deadline - system_clock().steady_nanos();
    pollfd watched[] = {{socket_.get(), events, 0}, {interrupt_, POLLIN, 0}};
    const int timeout = static_cast<int>(std::clamp<int64_t>(left / 1'000'000 + 1, 0, 1'000'000));
    const int ready = ::poll(watched, 2, left <= 0 ? 0 : timeout);
    if (ready < 0 && errno != EINTR) return from_errno(errno, "wait for " + name_);
    if (ready > 0 && watched[1].revents != 0) return cancelled("broken off while waiting for {}", name_);
    if (ready > 0 && watched[0].revents != 0) return {};
    if (left <= 0) return deadline_exceeded("{} did not answer in time", name_);
  }
}

Status ClientStream::write(std::string_view bytes, int64_t deadline) {
  while (!bytes.empty()) {
    if (ssl_ != nullptr) {
      ERR_clear_error();
      errno = 0;
      size_t written = 0;
      const int result = SSL_write_ex(ssl_, bytes.data(), bytes.size(), &written);
      if (result == 1) {
        bytes.remove_prefix(written);
      } else {
        RUNINK_RETURN_IF_ERROR(continue_after(result, "send to", deadline));
      }
      continue;
    }
    const ssize_t written = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (written >= 0) {
      bytes.remove_prefix(static_cast<size_t>(written));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      RUNINK_RETURN_IF_ERROR(wait(POLLOUT, deadline));
    } else if (errno != EINTR) {
      return from_errno(errno, "send to " + name_);
    }
  }
  return {};
}

Result<size_t> ClientStream::read(void* buffer, size_t size, int64_t deadline) {
  while (true) {
    if (ssl_ != nullptr) {
      ERR_clear_error();
      errno = 0;
      size_t got = 0;
      const int result = SSL_read_ex(ssl_, buffer, size, &got);
      if (result == 1) return got;
      if (SSL_get_error(ssl_, result) == SSL_ERROR_ZERO_RETURN) return size_t{0};
      RUNINK_RETURN_IF_ERROR(continue_after(result, "read from", deadline));
      continue;
    }
    const ssize_t got = ::recv(socket_.get(), buffer, size, 0);
    if (got >= 0) return static_cast<size_t>(got);
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      RUNINK_RETURN_IF_ERROR(wait(POLLIN, deadline));
    } else if (errno != EINTR) {
      return from_errno(errno, "read from " + name_);
    }
  }
}

Status ClientStream::check_quiet() {
  const auto ended = [&] { return unavailable("{} has ended the connection", name_); };
  char byte = 0;
  if (ssl_ == nullptr) {
    const ssize_t got = ::recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got == 0) return ended();
    if (got > 0) return failed_precondition("{} says something that nobody asked for", name_);
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? Status() : from_errno(errno, "look at " + name_);
  }
  ERR_clear_error();
  size_t got = 0;
  const int result = SSL_peek_ex(ssl_, &byte, 1, &got);  // takes what TLS itself says, tickets and the like
  if (result == 1) return failed_precondition("{} says something that nobody asked for", name_);
  if (SSL_get_error(ssl_, result) == SSL_ERROR_WANT_READ) return {};
  crypto::take_openssl_error();
  return ended();
}

}  // namespace runink::net
