// What OpenSSL calls, within the handshake, to have a peer's certificate judged: the chain, then the profile of the
// certificate, then the connection's owner. A peer that is refused here has sent nothing that anybody parsed.
#pragma once

#include <string>

struct x509_store_ctx_st;

namespace runink::net {

// For SSL_CTX_set_cert_verify_callback; the SSL's application data is its TlsConnection. 1: believed.
int verify_peer(x509_store_ctx_st* store_context, void* unused);

}  // namespace runink::net
