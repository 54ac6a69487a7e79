// What a TLS connection shows and whom it believes: immutable, shared by connections; a rotation makes a new one, which
// new connections then use, while those that are there go on with theirs.
//
// TLS 1.3 only. No session is ever resumed and no early data taken: every connection proves anew who is there. Groups
// X25519 and P-256, AES-GCM first. A peer's chain is its certificate and an authority that is believed, nothing
// between.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "platform/crypto/certificate_authority.h"
#include "platform/crypto/openssl_handles.h"

namespace runink::net {

class TlsContext {
 public:
  // Both ends show a certificate. Serves for dialling and for accepting.
  static Result<std::shared_ptr<const TlsContext>> mutual(const crypto::Credentials& credentials);
  // Shows its certificate and the authority behind it, and asks for none: for the join listener, and for nothing else.
  static Result<std::shared_ptr<const TlsContext>> join_server(const crypto::Credentials& credentials);
  // Shows nothing, and believes exactly the authority whose fingerprint this is, if the peer shows it.
  static Result<std::shared_ptr<const TlsContext>> join_client(const std::string& authority_fingerprint);

  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  ssl_ctx_st* get() const { return context_; }
  const std::string& pinned_fingerprint() const { return pinned_; }  // empty but for join_client
  bool asks_for_certificate() const { return asks_; }
  int64_t not_after_micros() const { return not_after_micros_; }  // of the own certificate; 0 without one

 private:
  TlsContext(ssl_ctx_st* context, bool asks) : context_(context), asks_(asks) {}
  static Result<std::shared_ptr<TlsContext>> make(bool asks);
  Status show(const crypto::Credentials& credentials);

  ssl_ctx_st* context_;
  bool asks_;
  std::string pinned_;
  int64_t not_after_micros_ = 0;
};

}  // namespace runink::net
