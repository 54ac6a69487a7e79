#include "platform/net/tls_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/check.h"
#include "platform/crypto/openssl_error.h"
#include "platform/net/tls_verify.h"

namespace runink::net {

namespace {

// One certificate and an authority's have about 1.5 KB; before it has proven itself a peer may not make us hold more.
constexpr long kMaxChainBytes = 16 << 10;
// What is read from the socket at once: several records, so that there are fewer system calls.
constexpr size_t kReadAheadBytes = 64 << 10;

bool configure(SSL_CTX* context) {
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_max_cert_list(context, kMaxChainBytes);
  SSL_CTX_set_read_ahead(context, 1);
  SSL_CTX_set_default_read_buffer_len(context, kReadAheadBytes);
  return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 &&
         SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1 &&
         SSL_CTX_set_ciphersuites(context,
                                  "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256") == 1 &&
         SSL_CTX_set1_groups_list(context, "X25519:P-256") == 1 &&
         SSL_CTX_set1_sigalgs_list(context, "ECDSA+SHA256") == 1 && SSL_CTX_set_num_tickets(context, 0) == 1 &&
         SSL_CTX_set_max_early_data(context, 0) == 1;
}

}  // namespace

Result<std::shared_ptr<TlsContext>> TlsContext::make(bool asks) {
  ERR_clear_error();
  SSL_CTX* context = SSL_CTX_new(TLS_method());
  if (context == nullptr) return internal_error("set up TLS: {}", crypto::take_openssl_error());
  std::shared_ptr<TlsContext> out(new TlsContext(context, asks));
  if (!configure(context)) return internal_error("set up TLS: {}", crypto::take_openssl_error());
  SSL_CTX_set_verify(context, asks ? SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT : SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_cert_verify_callback(context, verify_peer, nullptr);
  return out;
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

Status TlsContext::show(const crypto::Credentials& credentials) {
  if (SSL_CTX_use_certificate(context_, credentials.certificate.get()) != 1 ||
      SSL_CTX_use_PrivateKey(context_, credentials.key.get()) != 1 || SSL_CTX_check_private_key(context_) != 1) {
    return failed_precondition("the certificate and the key do not fit together: {}", crypto::take_openssl_error());
  }
  not_after_micros_ = credentials.certificate.not_after_micros();
  return {};
}

Result<std::shared_ptr<const TlsContext>> TlsContext::mutual(const crypto::Credentials& credentials) {
  std::shared_ptr<TlsContext> out = RUNINK_TRY(make(true));
  RUNINK_RETURN_IF_ERROR(out->show(credentials));
  // The peers believe the authorities already: sending them along is of no use.
  SSL_CTX_set_mode(out->context_, SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_cert_store(out->context_, crypto::make_store(credentials.authorities).release());
  return std::shared_ptr<const TlsContext>(std::move(out));
}

Result<std::shared_ptr<const TlsContext>> TlsContext::join_server(const crypto::Credentials& credentials) {
  std::shared_ptr<TlsContext> out = RUNINK_TRY(make(false));
  RUNINK_RETURN_IF_ERROR(out->show(credentials));
  SSL_CTX_set_mode(out->context_, SSL_MODE_NO_AUTO_CHAIN);
  for (const crypto::Certificate& authority : credentials.authorities) {
    RUNINK_CHECK(SSL_CTX_add1_chain_cert(out->context_, authority.get()) == 1);
  }
  return std::shared_ptr<const TlsContext>(std::move(out));
}

Result<std::shared_ptr<const TlsContext>> TlsContext::join_client(const std::string& authority_fingerprint) {
  std::shared_ptr<TlsContext> out = RUNINK_TRY(make(true));
  out->pinned_ = authority_fingerprint;
  return std::shared_ptr<const TlsContext>(std::move(out));
}

}  // namespace runink::net
