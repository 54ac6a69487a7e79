#include "platform/crypto/certificate_authority.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "base/check.h"
#include "platform/crypto/certificate_builder.h"
#include "platform/crypto/openssl_error.h"
#include "platform/os/file.h"

namespace runink::crypto {

namespace {

constexpr int64_t kClockSlackMicros = 300'000'000;

std::string identity_path(const std::string& folder) { return os::join_path(folder, "identity.pem"); }
std::string authority_path(const std::string& folder) { return os::join_path(folder, "authority.pem"); }
std::string authority_key_path(const std::string& folder) { return os::join_path(folder, "authority_key.pem"); }

struct StoreContextFree {
  void operator()(X509_STORE_CTX* context) const { X509_STORE_CTX_free(context); }
};

Status verify_chain(const Certificate& certificate, const std::vector<Certificate>& authorities, int64_t now_micros,
                    bool check_time) {
  ERR_clear_error();
  const StoreHandle store = make_store(authorities);
  const std::unique_ptr<X509_STORE_CTX, StoreContextFree> context(X509_STORE_CTX_new());
  RUNINK_CHECK(context != nullptr && X509_STORE_CTX_init(context.get(), store.get(), certificate.get(), nullptr) == 1);
  X509_VERIFY_PARAM* parameters = X509_STORE_CTX_get0_param(context.get());
  if (check_time) {
    X509_VERIFY_PARAM_set_time(parameters, static_cast<time_t>(now_micros / 1'000'000));
  } else {
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_NO_CHECK_TIME);
  }
  if (X509_verify_cert(context.get()) == 1) return {};
  const int error = X509_STORE_CTX_get_error(context.get());
  ERR_clear_error();
  return Status(Code::kUnauthenticated,
                fmt::format("the certificate is not believed: {}", X509_verify_cert_error_string(error)));
}

struct KeyFile {
  PrivateKey key;
  Certificate certificate;
};

Result<KeyFile> load_key_file(const std::string& path) {
  const os::FileInfo info = RUNINK_TRY(os::file_info(path));
  if ((info.permissions & 077) != 0) {
    return Status(Code::kPermissionDenied, fmt::format("others may read or write the private key in {}", path))
        .with_hint("chmod 600 " + path + ", and replace the key if anybody may have read it");
  }
  std::string pem = RUNINK_TRY(os::read_file(path, kMaxPemBytes));
  Result<PrivateKey> key = PrivateKey::from_pem(pem);
  Result<Certificate> certificate = Certificate::from_pem(pem);
  OPENSSL_cleanse(pem.data(), pem.size());
  if (!key.ok()) return std::move(key).status().with_context("read " + path);
  if (!certificate.ok()) return std::move(certificate).status().with_context("read " + path);
  if (!certificate->belongs_to(*key)) return failed_precondition("the certificate in {} is another key's", path);
  return KeyFile{std::move(*key), std::move(*certificate)};
}

// In one file, so that no crash leaves a key with the certificate of another.
Status save_key_file(const std::string& path, const PrivateKey& key, const Certificate& certificate) {
  std::string pem = RUNINK_TRY(key.to_pem());
  pem += certificate.to_pem();
  Status written = os::write_file_atomic(path, pem, 0600);
  OPENSSL_cleanse(pem.data(), pem.size());
  return written;
}

std::string all_pem(const std::vector<Certificate>& certificates) {
  std::string out;
  for (const Certificate& certificate : certificates) out += certificate.to_pem();
  return out;
}

}  // namespace

StoreHandle make_store(const std::vector<Certificate>& authorities) {
  StoreHandle store(X509_STORE_new());
  RUNINK_CHECK(store != nullptr);
  for (const Certificate& authority : authorities) RUNINK_CHECK(X509_STORE_add_cert(store.get(), authority.get()) == 1);
  X509_VERIFY_PARAM* parameters = X509_STORE_get0_param(store.get());
  X509_VERIFY_PARAM_set_depth(parameters, 0);  // certificates between the end and the authority
  X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_X509_STRICT);
  return store;
}

Result<CertificateAuthority> CertificateAuthority::create(const std::string& trust_domain, int64_t now_micros,
                                                          int64_t lifetime_micros) {
  RUNINK_RETURN_IF_ERROR(check_trust_domain(trust_domain));
  PrivateKey key = RUNINK_TRY(PrivateKey::generate());
  CertificateShape shape;
  shape.common_name = "Runink cluster authority";
  shape.uris = {"spiffe://" + trust_domain};
  shape.authority = true;
  shape.not_before_micros = now_micros - kClockSlackMicros;
  shape.not_after_micros = now_micros + lifetime_micros;
  Certificate certificate = RUNINK_TRY(build_certificate(shape, key.get(), key, nullptr));
  return CertificateAuthority(std::move(key), std::move(certificate), trust_domain);
}

Result<CertificateAuthority> CertificateAuthority::load(const std::string& folder) {
  const std::string path = authority_key_path(folder);
  KeyFile file = RUNINK_TRY(load_key_file(path));
  std::string trust_domain = RUNINK_TRY_CONTEXT(file.certificate.authority_trust_domain(), "read " + path);
  return CertificateAuthority(std::move(file.key), std::move(file.certificate), std::move(trust_domain));
}

Result<CertificateAuthority> CertificateAuthority::from_pem(std::string_view certificate_pem,
                                                            std::string_view key_pem) {
  PrivateKey key = RUNINK_TRY(PrivateKey::from_pem(key_pem));
  Certificate certificate = RUNINK_TRY(Certificate::from_pem(certificate_pem));
  if (!certificate.belongs_to(key)) return failed_precondition("the authority's certificate is another key's");
  std::string trust_domain = RUNINK_TRY(certificate.authority_trust_domain());
  return CertificateAuthority(std::move(key), std::move(certificate), std::move(trust_domain));
}

Status CertificateAuthority::save(const std::string& folder) const {
  RUNINK_RETURN_IF_ERROR(os::make_directories(folder, 0700));
  const std::string path = authority_key_path(folder);
  if (os::exists(path)) return already_exists("{} is there already: another authority's", path);
  return save_key_file(path, key_, certificate_);
}

Result<Certificate> CertificateAuthority::issue(const CertificateRequest& request, const Identity& expected,
                                                int64_t now_micros, int64_t lifetime_micros) const {
  if (!(request.identity() == expected)) {
    return Status(Code::kPermissionDenied, fmt::format("the request asks for {} where {} may be given",
                                                       request.identity().uri(), expected.uri()));
  }
  RUNINK_RETURN_IF_ERROR(check_name(expected.role, expected.name));
  if (expected.trust_domain != trust_domain_) {
    return Status(Code::kPermissionDenied, fmt::format("{} is not of this cluster, {}", expected.uri(), trust_domain_));
  }
  CertificateShape shape;
  shape.common_name = fmt::format("{} {}", role_name(expected.role), expected.name);
  shape.uris = {expected.uri()};
  shape.server = expected.role != Role::kUser;
  if (shape.server) shape.dns_names = {role_host_name(expected)};
  shape.not_before_micros = std::max(now_micros - kClockSlackMicros, certificate_.not_before_micros());
  shape.not_after_micros = std::min(now_micros + lifetime_micros, certificate_.not_after_micros());
  if (shape.not_after_micros <= now_micros) {
    return failed_precondition("the cluster's certificate authority has expired");
  }
  return build_certificate(shape, X509_REQ_get0_pubkey(request.get()), key_, &certificate_);
}

Result<Credentials> make_credentials(const CertificateAuthority& authority, const Identity& identity,
                                     int64_t now_micros, int64_t lifetime_micros) {
  PrivateKey key = RUNINK_TRY(PrivateKey::generate());
  const CertificateRequest request = RUNINK_TRY(CertificateRequest::create(key, identity));
  Certificate certificate = RUNINK_TRY(authority.issue(request, identity, now_micros, lifetime_micros));
  return Credentials{std::move(key), std::move(certificate), {authority.certificate()}};
}

Result<Credentials> load_credentials(const std::string& folder) {
  KeyFile file = RUNINK_TRY(load_key_file(identity_path(folder)));
  const std::string authorities = RUNINK_TRY(os::read_file(authority_path(folder), kMaxPemBytes));
  Credentials out{std::move(file.key), std::move(file.certificate),
                  RUNINK_TRY_CONTEXT(Certificate::all_from_pem(authorities), "read " + authority_path(folder))};
  Status believed = verify_chain(out.certificate, out.authorities, 0, false);
  if (!believed.ok()) return std::move(believed).with_context("load " + identity_path(folder));
  return out;
}

Status save_credentials(const Credentials& credentials, const std::string& folder) {
  RUNINK_RETURN_IF_ERROR(os::make_directories(folder, 0700));
  RUNINK_RETURN_IF_ERROR(os::write_file_atomic(authority_path(folder), all_pem(credentials.authorities)));
  return save_key_file(identity_path(folder), credentials.key, credentials.certificate);
}

Result<Identity> verify_certificate(const Certificate& certificate, const std::vector<Certificate>& authorities,
                                    int64_t now_micros) {
  RUNINK_RETURN_IF_ERROR(verify_chain(certificate, authorities, now_micros, true));
  return certificate.identity();
}

}  // namespace runink::crypto
