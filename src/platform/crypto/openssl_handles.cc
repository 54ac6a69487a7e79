#include "platform/crypto/openssl_handles.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include "platform/crypto/openssl_error.h"

namespace runink::crypto {

void OpensslFree::operator()(evp_pkey_st* key) const { EVP_PKEY_free(key); }
void OpensslFree::operator()(x509_st* certificate) const { X509_free(certificate); }
void OpensslFree::operator()(X509_req_st* request) const { X509_REQ_free(request); }
void OpensslFree::operator()(x509_store_st* store) const { X509_STORE_free(store); }

std::string take_openssl_error() {
  // The first error is the cause; those behind it say through which functions it came.
  const unsigned long error = ERR_get_error();
  ERR_clear_error();
  if (error == 0) return "no reason given";
  const char* reason = ERR_reason_error_string(error);
  return reason != nullptr ? reason : "error " + std::to_string(ERR_GET_REASON(error));
}

}  // namespace runink::crypto
