#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>

#include "platform/crypto/certificate_authority.h"
#include "platform/crypto/certificate_builder.h"
#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::crypto {
namespace {

constexpr int64_t kNow = 1'790'000'000'000'000;  // some time in 2026
constexpr int64_t kHour = 3'600'000'000;
constexpr char kDomain[] = "3f2a-cluster.runink";

CertificateAuthority authority(const std::string& domain = kDomain) {
  return *CertificateAuthority::create(domain, kNow);
}
Identity barn(uint64_t node, const std::string& domain = kDomain) { return *barn_identity(domain, node); }

TEST(IdentityTest, UrisComeBackAndNothingElseDoes) {
  for (const Identity& identity : {barn(1), barn(UINT64_MAX), *make_identity(kDomain, Role::kAgent, "node-7.rack_2"),
                                   *make_identity(kDomain, Role::kUser, "paes")}) {
    const Result<Identity> back = parse_identity(identity.uri());
    ASSERT_TRUE(back.ok()) << identity.uri();
    EXPECT_EQ(*back, identity);
  }
  EXPECT_EQ(barn(7).uri(), "spiffe://3f2a-cluster.runink/barn/7");
  EXPECT_EQ(barn(7).node(), 7u);
  EXPECT_EQ(make_identity(kDomain, Role::kAgent, "7")->node(), 0u);
  for (const char* wrong : {"",
                            "spiffe://",
                            "spiffe://a/barn/1/",
                            "spiffe://a//1",
                            "spiffe://a/barn",
                            "spiffe://a/barn/0",
                            "spiffe://a/barn/01",
                            "spiffe://a/barn/-1",
                            "spiffe://a/barn/+1",
                            "spiffe://a/barn/18446744073709551616",
                            "spiffe://a/barn/1?x",
                            "spiffe://a/barn/*",
                            "spiffe://*/barn/1",
                            "spiffe://*.a/barn/1",
                            "SPIFFE://a/barn/1",
                            "spiffe://A/barn/1",
                            "spiffe://a.b./barn/1",
                            "spiffe://a:1/barn/1",
                            "spiffe://u@a/barn/1",
                            "spiffe://a/Barn/1",
                            "spiffe://a/slice/x",
                            "spiffe://a/agent/..",
                            "spiffe://a/agent/a..b",
                            "spiffe://a/agent/a%2fb",
                            "spiffe://a/agent/.a",
                            "spiffe://a/agent/a-",
                            "http://a/barn/1"}) {
    EXPECT_FALSE(parse_identity(wrong).ok()) << wrong;
  }
  EXPECT_FALSE(parse_identity(std::string("spiffe://a/barn/1\0", 18)).ok());
  EXPECT_FALSE(parse_identity("spiffe://a/agent/" + std::string(65, 'a')).ok());
  EXPECT_EQ(*trust_domain_of("0192f3"), "0192f3.runink");
  for (const char* wrong : {"", "-a", "a-", "A", "a.b", "a/b"}) EXPECT_FALSE(trust_domain_of(wrong).ok()) << wrong;
  EXPECT_FALSE(trust_domain_of(std::string(64, 'a')).ok());
}

TEST(KeyTest, ComesBackFromPemAndOtherKindsAreRefused) {
  const PrivateKey key = *PrivateKey::generate();
  const std::string pem = *key.to_pem();
  EXPECT_TRUE(PrivateKey::from_pem(pem).ok());
  EXPECT_FALSE(PrivateKey::from_pem("").ok());
  EXPECT_FALSE(PrivateKey::from_pem(pem.substr(0, pem.size() / 2)).ok());
  EXPECT_EQ(PrivateKey::from_pem(std::string(kMaxPemBytes + 1, 'a')).status().code(), Code::kResourceExhausted);
  // Ed25519, from RFC 8410 (10.3).
  const Result<PrivateKey> edwards = PrivateKey::from_pem(
      "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE "
      "KEY-----\n");
  ASSERT_FALSE(edwards.ok());
  EXPECT_NE(edwards.status().message().find("P-256"), std::string::npos);
}

TEST(AuthorityTest, IssuesWhatItBelieves) {
  const CertificateAuthority ca = authority();
  const Credentials made = *make_credentials(ca, barn(3), kNow, 24 * kHour);
  const Result<Identity> identity = verify_certificate(made.certificate, made.authorities, kNow);
  ASSERT_TRUE(identity.ok()) << identity.status().to_string();
  EXPECT_EQ(*identity, barn(3));
  EXPECT_TRUE(made.certificate.belongs_to(made.key));
  EXPECT_FALSE(made.certificate.belongs_to(*PrivateKey::generate()));
  EXPECT_EQ(made.certificate.not_after_micros(), kNow + 24 * kHour);
  EXPECT_LT(made.certificate.not_before_micros(), kNow);
  EXPECT_FALSE(made.certificate.is_authority());
  EXPECT_TRUE(ca.certificate().is_authority());
  EXPECT_EQ(*ca.certificate().authority_trust_domain(), kDomain);
  EXPECT_EQ(ca.certificate().fingerprint().size(), 64u);
  EXPECT_EQ(Certificate::from_pem(ca.certificate().to_pem())->fingerprint(), ca.certificate().fingerprint());
  EXPECT_EQ(Certificate::from_der(made.certificate.to_der())->serial(), made.certificate.serial());
  EXPECT_FALSE(Certificate::from_der(made.certificate.to_der() + "x").ok());
}

TEST(AuthorityTest, SerialsAreLongAndDiffer) {
  const CertificateAuthority ca = authority();
  std::set<std::string> serials;
  for (int i = 0; i < 20; ++i) {
    const std::string serial = make_credentials(ca, barn(1), kNow)->certificate.serial();
    EXPECT_EQ(serial.size(), 40u);
    serials.insert(serial);
  }
  EXPECT_EQ(serials.size(), 20u);
}

TEST(AuthorityTest, VerificationRefusesTimeOtherAuthoritiesAndAuthoritiesThemselves) {
  const CertificateAuthority ca = authority(), twin = authority();
  const Credentials made = *make_credentials(ca, barn(3), kNow, 24 * kHour);
  EXPECT_EQ(verify_certificate(made.certificate, made.authorities, kNow + 25 * kHour).status().code(),
            Code::kUnauthenticated);
  EXPECT_FALSE(verify_certificate(made.certificate, made.authorities, kNow - kHour).ok());
  EXPECT_FALSE(verify_certificate(made.certificate, {twin.certificate()}, kNow).ok());
  EXPECT_TRUE(verify_certificate(made.certificate, {twin.certificate(), ca.certificate()}, kNow).ok());
  EXPECT_FALSE(verify_certificate(ca.certificate(), {ca.certificate()}, kNow).ok());
  // A member does not become an authority.
  CertificateShape shape;
  shape.common_name = "barn 9";
  shape.uris = {barn(9).uri()};
  shape.not_before_micros = kNow - kHour;
  shape.not_after_micros = kNow + kHour;
  const PrivateKey key = *PrivateKey::generate();
  const Certificate below = *build_certificate(shape, key.get(), made.key, &made.certificate);
  EXPECT_FALSE(verify_certificate(below, {ca.certificate()}, kNow).ok());
  EXPECT_FALSE(verify_certificate(below, {made.certificate}, kNow).ok());
}

TEST(AuthorityTest, NeverOutlivedNorUsedAfterItsEnd) {
  const CertificateAuthority ca = *CertificateAuthority::create(kDomain, kNow, 10 * kHour);
  EXPECT_EQ(make_credentials(ca, barn(1), kNow, 20 * kHour)->certificate.not_after_micros(), kNow + 10 * kHour);
  EXPECT_EQ(make_credentials(ca, barn(1), kNow + 11 * kHour).status().code(), Code::kFailedPrecondition);
}

TEST(AuthorityTest, GivesOnlyWhatIsExpected) {
  const CertificateAuthority ca = authority();
  const PrivateKey key = *PrivateKey::generate();
  const CertificateRequest request = *CertificateRequest::create(key, barn(2));
  EXPECT_EQ(CertificateRequest::from_pem(request.to_pem())->identity(), barn(2));
  EXPECT_TRUE(ca.issue(request, barn(2), kNow).ok());
  EXPECT_EQ(ca.issue(request, barn(1), kNow).status().code(), Code::kPermissionDenied);
  const CertificateRequest foreign = *CertificateRequest::create(key, barn(2, "other.runink"));
  EXPECT_EQ(ca.issue(foreign, barn(2, "other.runink"), kNow).status().code(), Code::kPermissionDenied);
}

TEST(AuthorityTest, DamagedRequestsAreRefused) {
  const std::string pem = CertificateRequest::create(*PrivateKey::generate(), barn(2))->to_pem();
  for (size_t at = 40; at + 40 < pem.size(); at += 7) {
    std::string damaged = pem;
    damaged[at] = damaged[at] == 'A' ? 'B' : 'A';
    if (damaged == pem) continue;
    EXPECT_FALSE(CertificateRequest::from_pem(damaged).ok()) << at;
  }
}

TEST(ProfileTest, ExactlyOneUriAndNoForeignNames) {
  const CertificateAuthority ca = authority();
  const PrivateKey key = *PrivateKey::generate();
  CertificateShape shape;
  shape.common_name = "x";
  shape.not_before_micros = kNow - kHour;
  shape.not_after_micros = kNow + kHour;
  const auto identity = [&](std::vector<std::string> uris, std::vector<std::string> dns) {
    shape.uris = std::move(uris);
    shape.dns_names = std::move(dns);
    return build_certificate(shape, key.get(), key, nullptr)->identity().ok();
  };
  EXPECT_TRUE(identity({barn(1).uri()}, {}));
  EXPECT_TRUE(identity({barn(1).uri()}, {"barn.3f2a-cluster.runink"}));
  EXPECT_FALSE(identity({barn(1).uri()}, {"*.3f2a-cluster.runink"}));
  EXPECT_FALSE(identity({barn(1).uri()}, {"agent.3f2a-cluster.runink"}));
  EXPECT_FALSE(identity({barn(1).uri()}, {"barn.3f2a-cluster.runink", "barn.3f2a-cluster.runink"}));
  EXPECT_FALSE(identity({barn(1).uri(), barn(2).uri()}, {}));
  EXPECT_FALSE(identity({}, {"barn.3f2a-cluster.runink"}));
  EXPECT_FALSE(identity({}, {}));
  EXPECT_FALSE(identity({"spiffe://3f2a-cluster.runink/barn/*"}, {}));
}

TEST(FilesTest, ComeBackAndKeysStayPrivate) {
  const os::TempFolder folder = *os::TempFolder::create("");
  const CertificateAuthority ca = authority();
  const std::string place = folder.file("pki");
  ASSERT_TRUE(ca.save(place).ok());
  EXPECT_EQ(ca.save(place).code(), Code::kAlreadyExists);
  EXPECT_EQ(CertificateAuthority::load(place)->certificate().fingerprint(), ca.certificate().fingerprint());

  const Credentials made = *make_credentials(ca, barn(5), kNow);
  ASSERT_TRUE(save_credentials(made, place).ok());
  const Result<Credentials> loaded = load_credentials(place);
  ASSERT_TRUE(loaded.ok()) << loaded.status().to_string();
  EXPECT_EQ(loaded->certificate.fingerprint(), made.certificate.fingerprint());
  EXPECT_TRUE(loaded->certificate.belongs_to(loaded->key));
  for (const char* name : {"/identity.pem", "/authority_key.pem"})
    EXPECT_EQ(os::file_info(place + name)->permissions, 0600u);

  ASSERT_EQ(::chmod((place + "/identity.pem").c_str(), 0640), 0);
  EXPECT_EQ(load_credentials(place).status().code(), Code::kPermissionDenied);
  ASSERT_EQ(::chmod((place + "/identity.pem").c_str(), 0600), 0);
  ASSERT_TRUE(os::write_file_atomic(place + "/authority.pem", authority().certificate().to_pem()).ok());
  EXPECT_EQ(load_credentials(place).status().code(), Code::kUnauthenticated);
}

}  // namespace
}  // namespace runink::crypto
