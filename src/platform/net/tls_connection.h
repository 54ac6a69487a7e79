// One TLS 1.3 connection on an event loop: never blocks, and hands nothing to its owner before the peer has proven who
// it is and `authorize` has agreed.
//
// Threads: the loop's only. The owner may call anything from within a callback but must not destroy the connection
// there: close() it and dispose() of it (event_loop.h). After close() nothing is called any more.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"
#include "platform/crypto/x509.h"
#include "platform/net/event_loop.h"
#include "platform/net/socket.h"
#include "platform/net/tls_context.h"

struct x509_store_ctx_st;

namespace runink::net {

class TlsConnection final : private EventLoop::IoHandler {
 public:
  class Handler {
   public:
    virtual void on_open() = 0;
    // Where the next plain bytes are to be put: not empty.
    virtual std::span<char> input_room() = 0;
    virtual void on_input(size_t bytes) = 0;  // so many have been put there
    virtual void on_output_room() = 0;        // has_room() was false, and is true
    // The end, however it came; never because of close(). OK: the peer closed in order, or finish() is done.
    virtual void on_closed(const Status& why) = 0;

   protected:
    ~Handler() = default;
  };

  // OK lets the peer in. Called within the handshake, at most once for a connection, if the peer is to show a
  // certificate; it only decides, and does nothing to the connection.
  using Authorize = std::function<Status(const crypto::Identity&)>;

  struct Options {
    int64_t connect_nanos = 1'000'000'000;    // for TCP's own handshake
    int64_t handshake_nanos = 5'000'000'000;  // for all until on_open, the above included
    int64_t silence_millis = 5'000;           // TCP_USER_TIMEOUT
    size_t output_room_bytes = 256 << 10;     // has_room() is false from here on
    int unsent_low_bytes = 128 << 10;         // TCP_NOTSENT_LOWAT
    size_t read_budget_bytes = 1 << 20;       // of one turn, so that others have theirs
    uint64_t rekey_records = 1 << 22;         // AES-GCM's limit is about 2^24 records with one key (RFC 8446, 5.5)
  };

  static std::unique_ptr<TlsConnection> accept(EventLoop& loop, os::Fd socket,
                                               std::shared_ptr<const TlsContext> context, Authorize authorize,
                                               Handler* handler, const Options& options);
  static Result<std::unique_ptr<TlsConnection>> connect(EventLoop& loop, const SocketAddress& where,
                                                        std::shared_ptr<const TlsContext> context, Authorize authorize,
                                                        Handler* handler, const Options& options);
  ~TlsConnection();

  // Once open. write() encrypts at once and never refuses: the owner asks has_room() before it hands in more. flush()
  // sends as much as the kernel takes; the rest goes by itself.
  void write(std::string_view bytes);
  void flush();
  bool has_room() const { return unsent_bytes() < options_.output_room_bytes; }
  size_t unsent_bytes() const { return out_.size() - out_sent_; }
  void set_reading(bool reading);  // false: leave what comes to the kernel, and so at last to the peer

  void close();   // at once
  void finish();  // sends what is written, says so to the peer, and waits for its end, at most handshake_nanos

  bool open() const { return state_ == State::kOpen; }
  const std::string& peer_address() const { return peer_address_; }
  // Of an authorized peer; empty on a listener that asks for no certificate.
  const std::optional<crypto::Identity>& peer() const { return peer_; }
  int64_t peer_not_after_micros() const { return peer_not_after_micros_; }
  // The same on both ends and different for every connection (RFC 8446, 7.5; RFC 9266): 32 bytes. Once open.
  std::string channel_binding() const;
  uint64_t key_changes() const { return key_changes_; }  // of the sending direction, after the handshake

 private:
  friend int verify_peer(x509_store_ctx_st* store_context, void* unused);
  friend struct TlsBio;
  enum class State : uint8_t { kConnecting, kHandshaking, kOpen, kFinishing, kClosed };

  TlsConnection(EventLoop& loop, os::Fd socket, std::shared_ptr<const TlsContext> context, Authorize authorize,
                Handler* handler, const Options& options, bool server);

  void on_io(unsigned events) override;
  void handshake();
  void opened();
  void read();
  void drain();
  void update_interest();
  void fail(Status why);
  Status error_of(int ssl_result, std::string_view attempted);
  Status judge(x509_store_ctx_st* store_context);

  EventLoop& loop_;
  os::Fd socket_;
  std::shared_ptr<const TlsContext> context_;
  Authorize authorize_;
  Handler* handler_;
  Options options_;
  ssl_st* ssl_ = nullptr;
  State state_;
  bool server_, reading_ = true, resume_deferred_ = false, eof_ = false, blocked_ = false;
  int socket_error_ = 0;
  EventLoop::TimerId connect_timer_ = 0, handshake_timer_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // for what is deferred

  std::string out_;  // encrypted
  size_t out_sent_ = 0;
  uint64_t records_with_key_ = 0, key_changes_ = 0;

  std::string peer_address_;
  std::optional<crypto::Identity> peer_;
  int64_t peer_not_after_micros_ = 0;
  std::string refusal_;  // why the peer was refused
};

}  // namespace runink::net
