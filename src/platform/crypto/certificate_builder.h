// Makes certificates of any shape, good or bad. For certificate_authority.cc, which decides what is good, and for
// tests, which need what it would never issue.
#pragma once

#include <string>
#include <vector>

#include "platform/crypto/x509.h"

namespace runink::crypto {

struct CertificateShape {
  std::string common_name;
  std::vector<std::string> uris, dns_names;
  bool authority = false;
  bool server = true, client = true;  // extended key usages
  int64_t not_before_micros = 0, not_after_micros = 0;
};

// `subject` holds the public key. Without an issuer `signer` is to be its private key: the certificate is self-signed.
Result<Certificate> build_certificate(const CertificateShape& shape, evp_pkey_st* subject, const PrivateKey& signer,
                                      const Certificate* issuer);

}  // namespace runink::crypto
