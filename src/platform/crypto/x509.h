// Private keys, certificates and certificate requests, as far as a cluster's own certificates need them. All keys are
// ECDSA on P-256: what every TLS 1.3 client takes (Ed25519 is not offered by BoringSSL's, so not by most gRPC clients),
// and faster to sign and verify with in OpenSSL 3.0 than Ed25519 is.
//
// Values that share what they hold; safe to copy and to use from several threads at once. Input may come from a peer:
// PEM is taken up to kMaxPemBytes, errors say what is wrong, an encrypted key is refused (nothing ever asks for a
// passphrase).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "platform/crypto/identity.h"
#include "platform/crypto/openssl_handles.h"

namespace runink::crypto {

inline constexpr size_t kMaxPemBytes = 64 << 10;

class PrivateKey {
 public:
  static Result<PrivateKey> generate();
  static Result<PrivateKey> from_pem(std::string_view pem);  // PKCS#8 or SEC 1; another kind of key is refused
  Result<std::string> to_pem() const;                        // PKCS#8, in the clear: for a file of mode 0600
  evp_pkey_st* get() const { return key_.get(); }

 private:
  explicit PrivateKey(KeyHandle key) : key_(std::move(key)) {}
  std::shared_ptr<evp_pkey_st> key_;
};

class Certificate {
 public:
  explicit Certificate(CertificateHandle certificate) : certificate_(std::move(certificate)) {}
  static Result<Certificate> from_pem(std::string_view pem);  // exactly one
  static Result<Certificate> from_der(std::string_view der);
  // One to 16, in the order of the text.
  static Result<std::vector<Certificate>> all_from_pem(std::string_view pem);

  std::string to_pem() const;
  std::string to_der() const;
  std::string fingerprint() const;    // SHA-256 of the DER, 64 lower-case hexadecimal digits
  std::string serial() const;         // lower-case hexadecimal digits
  int64_t not_before_micros() const;  // since the epoch
  int64_t not_after_micros() const;
  bool is_authority() const;
  bool belongs_to(const PrivateKey& key) const;

  // kUnauthenticated unless the profile is met: exactly one URI, which is an Identity; beside it at most the one DNS
  // name that issue() gives to its role, and no name of another kind; not an authority.
  Result<Identity> identity() const;
  // Of an authority: the trust domain in its one URI.
  Result<std::string> authority_trust_domain() const;

  x509_st* get() const { return certificate_.get(); }

 private:
  std::shared_ptr<x509_st> certificate_;
};

// The DNS name in certificates of the role, for clients that insist on one: "barn.<trust domain>". It is the same for
// all of a role; which one it is says the URI.
std::string role_host_name(const Identity& identity);

class CertificateRequest {
 public:
  static Result<CertificateRequest> create(const PrivateKey& key, const Identity& identity);
  // Also checks that whoever asks holds the key, and that it is of the only kind that is certified.
  static Result<CertificateRequest> from_pem(std::string_view pem);
  std::string to_pem() const;
  const Identity& identity() const { return identity_; }  // asked for, not proven
  X509_req_st* get() const { return request_.get(); }

 private:
  CertificateRequest(RequestHandle request, Identity identity)
      : request_(std::move(request)), identity_(std::move(identity)) {}
  std::shared_ptr<X509_req_st> request_;
  Identity identity_;
};

}  // namespace runink::crypto
