#include "platform/net/tls_connection.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "base/check.h"
#include "base/text.h"
#include "platform/crypto/openssl_error.h"
#include "platform/net/tls_verify.h"

namespace runink::net {

namespace {

constexpr size_t kRecordBytes = 16 << 10;
constexpr size_t kKeepOutputBytes = 1 << 20;  // of an empty output buffer; more is given back

}  // namespace

// OpenSSL's end of the connection: it reads from the socket itself, and writes into `out_`, which therefore never is
// full. So a write needs no repeating, and many records go out in one system call.
struct TlsBio {
  static TlsConnection& self(BIO* bio) { return *static_cast<TlsConnection*>(BIO_get_data(bio)); }

  static int read(BIO* bio, char* buffer, int size) {
    TlsConnection& connection = self(bio);
    BIO_clear_retry_flags(bio);
    while (true) {
      const ssize_t count = ::recv(connection.socket_.get(), buffer, static_cast<size_t>(size), 0);
      if (count > 0) return static_cast<int>(count);
      if (count == 0) connection.eof_ = true;
      if (count == 0) return 0;
      if (errno == EINTR) continue;
      if (errno == EAGAIN || errno == EWOULDBLOCK) {
        BIO_set_retry_read(bio);
      } else {
        connection.socket_error_ = errno;
      }
      return -1;
    }
  }

  static int write(BIO* bio, const char* bytes, int size) {
    BIO_clear_retry_flags(bio);
    self(bio).out_.append(bytes, static_cast<size_t>(size));
    return size;
  }

  static long control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_FLUSH) return 1;
    if (command == BIO_CTRL_EOF) return self(bio).eof_ ? 1 : 0;
    return 0;
  }

  static BIO_METHOD* method() {
    static BIO_METHOD* const made = [] {
      BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "runink");
      RUNINK_CHECK(method != nullptr && BIO_meth_set_read(method, read) == 1 &&
                   BIO_meth_set_write(method, write) == 1 && BIO_meth_set_ctrl(method, control) == 1);
      return method;
    }();
    return made;
  }
};

TlsConnection::TlsConnection(EventLoop& loop, os::Fd socket, std::shared_ptr<const TlsContext> context,
                             Authorize authorize, Handler* handler, const Options& options, bool server)
    : loop_(loop),
      socket_(std::move(socket)),
      context_(std::move(context)),
      authorize_(std::move(authorize)),
      handler_(handler),
      options_(options),
      state_(server ? State::kHandshaking : State::kConnecting),
      server_(server) {
  ERR_clear_error();
  ssl_ = SSL_new(context_->get());
  BIO* bio = BIO_new(TlsBio::method());
  RUNINK_CHECK(ssl_ != nullptr && bio != nullptr);
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_, bio, bio);
  SSL_set_app_data(ssl_, this);
  if (server) {
    SSL_set_accept_state(ssl_);
  } else {
    SSL_set_connect_state(ssl_);
  }
  tune_tcp(socket_, options_.silence_millis, options_.unsent_low_bytes);
  handshake_timer_ = loop_.call_after(options_.handshake_nanos, [this] {
    handshake_timer_ = 0;
    if (state_ == State::kFinishing) return fail(Status());
    fail(deadline_exceeded("{}: no TLS handshake within {}", peer_address_,
                           human_duration(static_cast<double>(options_.handshake_nanos) / 1e9)));
  });
}

TlsConnection::~TlsConnection() {
  close();
  SSL_free(ssl_);
}

std::unique_ptr<TlsConnection> TlsConnection::accept(EventLoop& loop, os::Fd socket,
                                                     std::shared_ptr<const TlsContext> context, Authorize authorize,
                                                     Handler* handler, const Options& options) {
  SocketAddress from;
  from.size = sizeof from.raw;
  const bool known = ::getpeername(socket.get(), &from.raw.any, &from.size) == 0;
  std::unique_ptr<TlsConnection> connection(
      new TlsConnection(loop, std::move(socket), std::move(context), std::move(authorize), handler, options, true));
  connection->peer_address_ = known ? from.text() : "a peer that is gone";
  Status watched = loop.watch(connection->socket_.get(), EventLoop::kReadable, connection.get());
  if (!watched.ok()) {
    // The kernel's limits. Told as any end of a connection is: later, when the owner has it.
    loop.defer([self = connection.get(), alive = std::weak_ptr<bool>(connection->alive_), watched] {
      if (!alive.expired()) self->fail(watched);
    });
  }
  return connection;
}

Result<std::unique_ptr<TlsConnection>> TlsConnection::connect(EventLoop& loop, const SocketAddress& where,
                                                              std::shared_ptr<const TlsContext> context,
                                                              Authorize authorize, Handler* handler,
                                                              const Options& options) {
  os::Fd socket = RUNINK_TRY(connect_tcp(where));
  std::unique_ptr<TlsConnection> connection(
      new TlsConnection(loop, std::move(socket), std::move(context), std::move(authorize), handler, options, false));
  connection->peer_address_ = where.text();
  RUNINK_RETURN_IF_ERROR(loop.watch(connection->socket_.get(), EventLoop::kWritable, connection.get()));
  TlsConnection* const self = connection.get();
  self->connect_timer_ = loop.call_after(options.connect_nanos, [self] {
    self->connect_timer_ = 0;
    self->fail(deadline_exceeded("connect to {}: no answer within {}", self->peer_address_,
                                 human_duration(static_cast<double>(self->options_.connect_nanos) / 1e9)));
  });
  return connection;
}

void TlsConnection::on_io(unsigned events) {
  if (state_ == State::kConnecting) {
    loop_.cancel(connect_timer_);
    Status connected = connect_result(socket_, peer_address_);
    if (!connected.ok()) return fail(std::move(connected));
    state_ = State::kHandshaking;
    return handshake();
  }
  if ((events & EventLoop::kWritable) != 0) {
    const bool had_room = has_room();
    blocked_ = false;
    flush();
    if (state_ == State::kOpen && !had_room && has_room()) handler_->on_output_room();
    if (state_ == State::kClosed) return;
  }
  if (state_ == State::kHandshaking) return handshake();
  if ((events & (EventLoop::kReadable | EventLoop::kBroken)) == 0) return;
  // A hang-up is found by reading on; with reading switched off it would be told in every turn.
  if ((events & EventLoop::kBroken) != 0) reading_ = true;
  if (state_ == State::kOpen) read();
  if (state_ == State::kFinishing) drain();
}

void TlsConnection::handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  if (result == 1) return opened();
  if (SSL_get_error(ssl_, result) == SSL_ERROR_WANT_READ) return flush();
  Status why = error_of(result, server_ ? "let in" : "connect to");
  flush();  // the alert that tells the peer
  fail(std::move(why));
}

void TlsConnection::opened() {
  RUNINK_CHECK(SSL_version(ssl_) == TLS1_3_VERSION && SSL_session_reused(ssl_) == 0);
  // verify_peer() has seen to both; that it was not called is impossible, and would be fatal.
  RUNINK_CHECK(!context_->asks_for_certificate() || peer_.has_value());
  loop_.cancel(handshake_timer_);
  handshake_timer_ = 0;
  state_ = State::kOpen;
  flush();
  if (state_ != State::kOpen) return;
  handler_->on_open();
  // Records may have come with the end of the handshake, and then nothing tells that they are there.
  if (state_ == State::kOpen) read();
}

void TlsConnection::read() {
  size_t taken = 0;
  while (state_ == State::kOpen && reading_) {
    if (taken >= options_.read_budget_bytes) {
      // OpenSSL may hold whole records that the kernel does not know of any more.
      if (!resume_deferred_) {
        resume_deferred_ = true;
        loop_.defer([this, alive = std::weak_ptr<bool>(alive_)] {
          if (alive.expired()) return;
          resume_deferred_ = false;
          read();
        });
      }
      break;
    }
    const std::span<char> room = handler_->input_room();
    RUNINK_CHECK(!room.empty());
    ERR_clear_error();
    size_t count = 0;
    const int result = SSL_read_ex(ssl_, room.data(), room.size(), &count);
    if (result == 1) {
      taken += count;
      handler_->on_input(count);
      continue;
    }
    const int error = SSL_get_error(ssl_, result);
    if (error == SSL_ERROR_WANT_READ) break;
    return fail(error == SSL_ERROR_ZERO_RETURN ? Status() : error_of(result, "read from"));
  }
  if (state_ == State::kOpen && !out_.empty()) flush();  // answers that TLS itself gives
}

void TlsConnection::drain() {
  char thrown_away[4096];
  for (int i = 0; i < 64; ++i) {
    const ssize_t count = ::recv(socket_.get(), thrown_away, sizeof thrown_away, 0);
    if (count > 0 || (count < 0 && errno == EINTR)) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    return fail(Status());
  }
}

void TlsConnection::write(std::string_view bytes) {
  RUNINK_CHECK(state_ == State::kOpen);
  if (bytes.empty()) return;
  records_with_key_ += (bytes.size() + kRecordBytes - 1) / kRecordBytes;
  ERR_clear_error();
  if (records_with_key_ > options_.rekey_records) {
    RUNINK_CHECK(SSL_key_update(ssl_, SSL_KEY_UPDATE_NOT_REQUESTED) == 1);
    records_with_key_ = 0;
    ++key_changes_;
  }
  size_t written = 0;
  RUNINK_CHECK(SSL_write_ex(ssl_, bytes.data(), bytes.size(), &written) == 1 && written == bytes.size());
}

void TlsConnection::flush() {
  while (state_ != State::kClosed && !blocked_ && out_sent_ < out_.size()) {
    const ssize_t count = ::send(socket_.get(), out_.data() + out_sent_, out_.size() - out_sent_, MSG_NOSIGNAL);
    if (count >= 0) {
      out_sent_ += static_cast<size_t>(count);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      blocked_ = true;
    } else if (errno != EINTR) {
      return fail(from_errno(errno, "send to " + peer_address_));
    }
  }
  if (state_ == State::kClosed) return;
  if (out_sent_ == out_.size()) {
    out_.clear();
    out_sent_ = 0;
    if (out_.capacity() > kKeepOutputBytes) out_.shrink_to_fit();
    if (state_ == State::kFinishing) ::shutdown(socket_.get(), SHUT_WR);
  } else if (out_sent_ > out_.size() / 2) {
    out_.erase(0, out_sent_);
    out_sent_ = 0;
  }
  update_interest();
}

void TlsConnection::update_interest() {
  if (state_ == State::kConnecting) return;
  const unsigned readable = reading_ || state_ != State::kOpen ? EventLoop::kReadable : 0;
  loop_.set_interest(socket_.get(), readable | (blocked_ ? EventLoop::kWritable : 0));
}

void TlsConnection::set_reading(bool reading) {
  if (state_ != State::kOpen || reading_ == reading) return;
  reading_ = reading;
  update_interest();
  if (!reading || resume_deferred_) return;
  resume_deferred_ = true;
  loop_.defer([this, alive = std::weak_ptr<bool>(alive_)] {
    if (alive.expired()) return;
    resume_deferred_ = false;
    read();
  });
}

void TlsConnection::finish() {
  if (state_ != State::kOpen) return close();
  ERR_clear_error();
  (void)SSL_shutdown(ssl_);  // writes its notice into out_
  state_ = State::kFinishing;
  handshake_timer_ = loop_.call_after(options_.handshake_nanos, [this] {
    handshake_timer_ = 0;
    fail(Status());
  });
  flush();
}

void TlsConnection::close() {
  if (state_ == State::kClosed) return;
  state_ = State::kClosed;
  alive_.reset();
  loop_.cancel(connect_timer_);
  loop_.cancel(handshake_timer_);
  loop_.unwatch(socket_.get());
  socket_.reset();
}

void TlsConnection::fail(Status why) {
  if (state_ == State::kClosed) return;
  close();
  handler_->on_closed(why);
}

Status TlsConnection::error_of(int ssl_result, std::string_view attempted) {
  const int error = SSL_get_error(ssl_, ssl_result);
  std::string what = fmt::format("{} {}", attempted, peer_address_);
  if (!refusal_.empty()) {
    crypto::take_openssl_error();
    return Status(Code::kUnauthenticated, refusal_).with_context(std::move(what));
  }
  if (socket_error_ != 0) return from_errno(socket_error_, what);
  if (eof_) {
    crypto::take_openssl_error();
    return unavailable("{}: the peer broke the connection off", what);
  }
  const std::string reason = crypto::take_openssl_error();
  if (error == SSL_ERROR_SSL) return Status(Code::kUnauthenticated, fmt::format("{}: TLS: {}", what, reason));
  return unavailable("{}: TLS: {}", what, reason);
}

std::string TlsConnection::channel_binding() const {
  static constexpr std::string_view kLabel = "EXPORTER-Channel-Binding";
  std::string out(32, '\0');
  RUNINK_CHECK(SSL_export_keying_material(ssl_, reinterpret_cast<unsigned char*>(out.data()), out.size(), kLabel.data(),
                                          kLabel.size(), nullptr, 0, 0) == 1);
  return out;
}

namespace {

Status chain_error(X509_STORE_CTX* store_context) {
  const int error = X509_STORE_CTX_get_error(store_context);
  return Status(Code::kUnauthenticated,
                fmt::format("the peer's certificate is not believed: {}", X509_verify_cert_error_string(error)));
}

crypto::Certificate share(X509* certificate) {
  RUNINK_CHECK(X509_up_ref(certificate) == 1);
  return crypto::Certificate(crypto::CertificateHandle(certificate));
}

// The peer's chain against the one authority that is known by its fingerprint, which the peer has to show itself.
Status verify_pinned(X509_STORE_CTX* store_context, const std::string& fingerprint) {
  const STACK_OF(X509)* shown = X509_STORE_CTX_get0_untrusted(store_context);
  for (int i = 0; i < sk_X509_num(shown); ++i) {
    const crypto::Certificate authority = share(sk_X509_value(shown, i));
    if (authority.fingerprint() != fingerprint || !authority.is_authority()) continue;
    const crypto::StoreHandle store = crypto::make_store({authority});
    X509_STORE_CTX* again = X509_STORE_CTX_new();
    RUNINK_CHECK(again != nullptr);
    RUNINK_CHECK(X509_STORE_CTX_init(again, store.get(), X509_STORE_CTX_get0_cert(store_context), nullptr) == 1);
    RUNINK_CHECK(X509_STORE_CTX_set_default(again, "ssl_server") == 1);
    Status verified = X509_verify_cert(again) == 1 ? Status() : chain_error(again);
    X509_STORE_CTX_free(again);
    return verified;
  }
  return Status(Code::kUnauthenticated,
                fmt::format("the peer is not of the cluster whose authority has the fingerprint {}", fingerprint));
}

}  // namespace

Status TlsConnection::judge(x509_store_ctx_st* store_context) {
  X509* shown = X509_STORE_CTX_get0_cert(store_context);
  if (shown == nullptr) return Status(Code::kUnauthenticated, "the peer shows no certificate");
  if (!context_->pinned_fingerprint().empty()) {
    RUNINK_RETURN_IF_ERROR(verify_pinned(store_context, context_->pinned_fingerprint()));
  } else if (X509_verify_cert(store_context) != 1) {
    return chain_error(store_context);
  }
  const crypto::Certificate certificate = share(shown);
  crypto::Identity identity = RUNINK_TRY(certificate.identity());
  RUNINK_RETURN_IF_ERROR(authorize_(identity));
  peer_not_after_micros_ = certificate.not_after_micros();
  peer_ = std::move(identity);
  return {};
}

int verify_peer(x509_store_ctx_st* store_context, void*) {
  const auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store_context, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* connection = static_cast<TlsConnection*>(SSL_get_app_data(ssl));
  const Status judged = connection->judge(store_context);
  if (judged.ok()) {
    X509_STORE_CTX_set_error(store_context, X509_V_OK);
    return 1;
  }
  connection->refusal_ = judged.message();
  if (X509_STORE_CTX_get_error(store_context) == X509_V_OK) {
    X509_STORE_CTX_set_error(store_context, X509_V_ERR_APPLICATION_VERIFICATION);
  }
  return 0;
}

}  // namespace runink::net
