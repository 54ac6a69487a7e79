// A cluster's own certificate authority, and the credentials that it gives to members, agents and users.
//
// Files, in a folder that the caller chooses: `identity.pem` (a private key and its certificate), `authority.pem` (the
// authorities that are believed), and only where certificates are issued `authority_key.pem` (the authority's key and
// certificate). Files with keys have mode 0600, and are refused where others may read them. Files are replaced whole.
// Times are microseconds since the epoch and come from the caller.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "platform/crypto/identity.h"
#include "platform/crypto/x509.h"

namespace runink::crypto {

inline constexpr int64_t kDayMicros = 86'400'000'000;

class CertificateAuthority {
 public:
  static Result<CertificateAuthority> create(const std::string& trust_domain, int64_t now_micros,
                                             int64_t lifetime_micros = 3650 * kDayMicros);
  static Result<CertificateAuthority> load(const std::string& folder);
  static Result<CertificateAuthority> from_pem(std::string_view certificate_pem, std::string_view key_pem);
  // Never over another authority: kAlreadyExists.
  Status save(const std::string& folder) const;
  Result<std::string> key_pem() const { return key_.to_pem(); }  // in the clear: for where keys may be kept

  // The request must ask for exactly `expected`: who may become whom is the caller's decision, not the asker's. The
  // certificate begins five minutes early, for clocks that are behind, and never outlives the authority.
  Result<Certificate> issue(const CertificateRequest& request, const Identity& expected, int64_t now_micros,
                            int64_t lifetime_micros = 90 * kDayMicros) const;

  const Certificate& certificate() const { return certificate_; }
  const std::string& trust_domain() const { return trust_domain_; }

 private:
  CertificateAuthority(PrivateKey key, Certificate certificate, std::string trust_domain)
      : key_(std::move(key)), certificate_(std::move(certificate)), trust_domain_(std::move(trust_domain)) {}

  PrivateKey key_;
  Certificate certificate_;
  std::string trust_domain_;
};

// What one end of a connection shows and whom it believes.
struct Credentials {
  PrivateKey key;
  Certificate certificate;
  std::vector<Certificate> authorities;
};

// A new key, certified on the spot: for the first member, and for tests.
Result<Credentials> make_credentials(const CertificateAuthority& authority, const Identity& identity,
                                     int64_t now_micros, int64_t lifetime_micros = 90 * kDayMicros);

// Refuses credentials that do not fit together: another key's certificate, or one that none of the authorities signed.
// Whether it has expired is not looked at (see verify_certificate).
Result<Credentials> load_credentials(const std::string& folder);
Status save_credentials(const Credentials& credentials, const std::string& folder);

// The chain, the times, the usages and the profile (Certificate::identity); the identity on success, kUnauthenticated
// otherwise. The TLS connections make the same checks within their handshake.
Result<Identity> verify_certificate(const Certificate& certificate, const std::vector<Certificate>& authorities,
                                    int64_t now_micros);

// A store that believes these authorities, for chains of exactly two certificates.
StoreHandle make_store(const std::vector<Certificate>& authorities);

}  // namespace runink::crypto
