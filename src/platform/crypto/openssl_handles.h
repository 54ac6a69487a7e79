// Owning handles for OpenSSL's objects, without OpenSSL's headers: only pointers to its structures are named here.
#pragma once

#include <memory>

struct evp_pkey_st;
struct ssl_ctx_st;
struct ssl_st;
struct x509_st;
struct x509_store_st;
struct X509_req_st;

namespace runink::crypto {

struct OpensslFree {
  void operator()(evp_pkey_st* key) const;
  void operator()(x509_st* certificate) const;
  void operator()(X509_req_st* request) const;
  void operator()(x509_store_st* store) const;
};

using KeyHandle = std::unique_ptr<evp_pkey_st, OpensslFree>;
using CertificateHandle = std::unique_ptr<x509_st, OpensslFree>;
using RequestHandle = std::unique_ptr<X509_req_st, OpensslFree>;
using StoreHandle = std::unique_ptr<x509_store_st, OpensslFree>;

}  // namespace runink::crypto
