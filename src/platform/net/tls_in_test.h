// For tests of what runs over TLS: authorities, credentials good and bad, and a loop that turns until something has
// happened.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/check.h"
#include "base/clock.h"
#include "platform/crypto/certificate_authority.h"
#include "platform/crypto/certificate_builder.h"
#include "platform/net/event_loop.h"
#include "platform/net/socket.h"
#include "platform/net/tls_context.h"

namespace runink::net {

inline constexpr char kTestDomain[] = "test-cluster.runink";

inline int64_t unix_now() { return system_clock().unix_micros(); }
inline crypto::CertificateAuthority make_authority(const std::string& domain = kTestDomain) {
  return *crypto::CertificateAuthority::create(domain, unix_now());
}
inline crypto::Identity member(uint64_t node, const std::string& domain = kTestDomain) {
  return *crypto::barn_identity(domain, node);
}
inline crypto::Credentials credentials(const crypto::CertificateAuthority& authority,
                                       const crypto::Identity& identity) {
  return *crypto::make_credentials(authority, identity, unix_now());
}
inline std::shared_ptr<const TlsContext> context(const crypto::Credentials& of) { return *TlsContext::mutual(of); }
inline std::shared_ptr<const TlsContext> context(const crypto::CertificateAuthority& authority, uint64_t node) {
  return context(credentials(authority, member(node)));
}

// A certificate of any shape under an authority whose key the test holds.
struct OpenAuthority {
  crypto::PrivateKey key = *crypto::PrivateKey::generate();
  crypto::Certificate certificate = make();

  crypto::Credentials issue(crypto::CertificateShape shape) const {
    if (shape.common_name.empty()) shape.common_name = "test";
    if (shape.not_before_micros == 0) shape.not_before_micros = unix_now() - crypto::kDayMicros;
    if (shape.not_after_micros == 0) shape.not_after_micros = unix_now() + crypto::kDayMicros;
    crypto::PrivateKey own = *crypto::PrivateKey::generate();
    crypto::Certificate made = *crypto::build_certificate(shape, own.get(), key, &certificate);
    return {own, made, {certificate}};
  }

 private:
  crypto::Certificate make() const {
    crypto::CertificateShape shape;
    shape.common_name = "test authority";
    shape.uris = {std::string("spiffe://") + kTestDomain};
    shape.authority = true;
    shape.not_before_micros = unix_now() - 2 * crypto::kDayMicros;
    shape.not_after_micros = unix_now() + crypto::kDayMicros;
    return *crypto::build_certificate(shape, key.get(), key, nullptr);
  }
};

inline crypto::CertificateShape shape_of(const crypto::Identity& identity) {
  crypto::CertificateShape shape;
  shape.uris = {identity.uri()};
  return shape;
}

inline SocketAddress loopback(uint16_t port = 0) { return *numeric_address({"127.0.0.1", port}); }

// Turns until it is so; false after ten seconds.
inline bool turn_until(EventLoop& loop, const std::function<bool()>& so) {
  const int64_t end = system_clock().steady_nanos() + 10'000'000'000;
  while (!so()) {
    if (system_clock().steady_nanos() > end) return false;
    loop.turn(10'000'000);
  }
  return true;
}

}  // namespace runink::net
