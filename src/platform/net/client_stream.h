// A connection to somebody else's server, for a thread that may wait: TCP, and TLS 1.2 or 1.3 where it is asked for,
// with deadlines and a way to break off. (Runink's own members and agents speak over tls_connection.h.)
//
// Threads: one at a time; Interrupt::raise() from any.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "platform/net/socket.h"
#include "platform/os/fd.h"

struct ssl_st;
struct ssl_ctx_st;

namespace runink::net {

// Wakes whoever waits with it, for good.
class Interrupt {
 public:
  static Result<Interrupt> create();
  Interrupt() = default;
  void raise();
  int descriptor() const { return event_.get(); }  // readable once raised

 private:
  os::Fd event_;
};

struct ClientTls {
  std::string ca_file;      // PEM, authorities that are believed; empty: those of the system
  std::string server_name;  // what the certificate must name, a DNS name or an address; empty: the host dialled
  std::string certificate_file, key_file;  // shown where the server asks for one; PEM; both or none
};

// What TLS connections of one configuration share. Immutable, any thread.
class ClientTlsContext {
 public:
  // kInvalidArgument, or what reading the files says.
  static Result<std::shared_ptr<const ClientTlsContext>> create(const ClientTls& tls);
  ~ClientTlsContext();
  ClientTlsContext(const ClientTlsContext&) = delete;
  ClientTlsContext& operator=(const ClientTlsContext&) = delete;

 private:
  friend class ClientStream;
  ClientTlsContext(ssl_ctx_st* context, std::string server_name)
      : context_(context), server_name_(std::move(server_name)) {}
  ssl_ctx_st* context_;
  std::string server_name_;
};

class ClientStream {
 public:
  // Looks the name up (which the system may take seconds for, and cannot be broken off), connects, and shakes hands.
  // `tls` null: in the clear. `interrupt` outlives the stream. Deadlines are steady nanoseconds; kDeadlineExceeded past
  // them, kCancelled after raise().
  static Result<std::unique_ptr<ClientStream>> connect(const HostPort& where, const ClientTlsContext* tls,
                                                       int64_t deadline, const Interrupt& interrupt);
  ~ClientStream();
  ClientStream(const ClientStream&) = delete;
  ClientStream& operator=(const ClientStream&) = delete;

  Status write(std::string_view bytes, int64_t deadline);
  // At least one byte; 0: the server ended the stream.
  Result<size_t> read(void* buffer, size_t size, int64_t deadline);
  // Of a stream on which nothing is expected: an error where the server has ended it, or says something nevertheless.
  Status check_quiet();

 private:
  ClientStream(os::Fd socket, std::string name, int interrupt)
      : socket_(std::move(socket)), name_(std::move(name)), interrupt_(interrupt) {}
  Status wait(short events, int64_t deadline) const;
  Status shake_hands(const ClientTlsContext& tls, const std::string& host, int64_t deadline);
  Status continue_after(int ssl_result, const char* attempted, int64_t deadline);

  os::Fd socket_;
  std::string name_;
  int interrupt_ = -1;
  ssl_st* ssl_ = nullptr;
};

}  // namespace runink::net
