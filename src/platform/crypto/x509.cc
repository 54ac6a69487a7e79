#include "platform/crypto/x509.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <ctime>

#include "base/check.h"
#include "base/text.h"
#include "platform/crypto/digest.h"
#include "platform/crypto/openssl_error.h"

namespace runink::crypto {

namespace {

struct BioFree {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using Bio = std::unique_ptr<BIO, BioFree>;

constexpr size_t kMaxCertificates = 16;

// A peer's or a file's text, read where it lies.
Result<Bio> open_pem(std::string_view pem, std::string_view what) {
  if (pem.size() > kMaxPemBytes)
    return resource_exhausted("{} of {} bytes: {} are the most", what, pem.size(), kMaxPemBytes);
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  RUNINK_CHECK(bio != nullptr);
  ERR_clear_error();
  return bio;
}

// Takes what was written, and wipes the copy that the BIO holds: it may be a private key.
std::string take_text(BIO* bio) {
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(bio, &bytes);
  std::string text(bytes, static_cast<size_t>(size));
  OPENSSL_cleanse(bytes, static_cast<size_t>(size));
  return text;
}

Bio make_text() {
  Bio bio(BIO_new(BIO_s_mem()));
  RUNINK_CHECK(bio != nullptr);
  return bio;
}

// Instead of asking on the terminal, which OpenSSL does by itself.
int no_passphrase(char*, int, int, void*) { return -1; }

bool is_p256(EVP_PKEY* key) {
  char group[64];
  size_t size = 0;
  return key != nullptr && EVP_PKEY_get_base_id(key) == EVP_PKEY_EC &&
         EVP_PKEY_get_group_name(key, group, sizeof group, &size) == 1 &&
         std::string_view(group, size) == SN_X9_62_prime256v1;
}

int64_t micros_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return static_cast<int64_t>(timegm(&parts)) * 1'000'000;
}

std::string_view text_of(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)), static_cast<size_t>(ASN1_STRING_length(text))};
}

struct NamesFree {
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};

struct SubjectNames {
  std::vector<std::string> uris, dns_names;
  bool others = false;
};

SubjectNames sort_names(const GENERAL_NAMES* names) {
  SubjectNames out;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type == GEN_URI) {
      out.uris.emplace_back(text_of(name->d.uniformResourceIdentifier));
    } else if (name->type == GEN_DNS) {
      out.dns_names.emplace_back(text_of(name->d.dNSName));
    } else {
      out.others = true;
    }
  }
  return out;
}

Status refused(std::string what) { return Status(Code::kUnauthenticated, std::move(what)); }

// False where the extension is missing, damaged or there twice.
bool subject_names(const X509* certificate, SubjectNames* out) {
  int critical = 0;
  std::unique_ptr<GENERAL_NAMES, NamesFree> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, nullptr)));
  ERR_clear_error();
  if (names == nullptr) return false;
  *out = sort_names(names.get());
  return true;
}

}  // namespace

std::string role_host_name(const Identity& identity) {
  return fmt::format("{}.{}", role_name(identity.role), identity.trust_domain);
}

Result<PrivateKey> PrivateKey::generate() {
  ERR_clear_error();
  KeyHandle key(EVP_EC_gen("P-256"));
  if (key == nullptr) return internal_error("make a key: {}", take_openssl_error());
  return PrivateKey(std::move(key));
}

Result<PrivateKey> PrivateKey::from_pem(std::string_view pem) {
  Bio bio = RUNINK_TRY(open_pem(pem, "a private key"));
  KeyHandle key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (key == nullptr)
    return invalid_argument("this is not a private key in PEM without a passphrase: {}", take_openssl_error());
  if (!is_p256(key.get()))
    return invalid_argument("the private key is not of the one kind that is used here, ECDSA on P-256");
  return PrivateKey(std::move(key));
}

Result<std::string> PrivateKey::to_pem() const {
  const Bio bio = make_text();
  ERR_clear_error();
  if (PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1) {
    return internal_error("write a private key: {}", take_openssl_error());
  }
  return take_text(bio.get());
}

Result<Certificate> Certificate::from_pem(std::string_view pem) {
  std::vector<Certificate> all = RUNINK_TRY(all_from_pem(pem));
  if (all.size() != 1) return invalid_argument("{} certificates where one is wanted", all.size());
  return std::move(all.front());
}

Result<std::vector<Certificate>> Certificate::all_from_pem(std::string_view pem) {
  const Bio bio = RUNINK_TRY(open_pem(pem, "certificates"));
  std::vector<Certificate> out;
  while (out.size() <= kMaxCertificates) {
    CertificateHandle certificate(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
    if (certificate == nullptr) break;
    out.push_back(Certificate(std::move(certificate)));
  }
  // The text may end, and nothing else.
  const unsigned long error = ERR_peek_last_error();
  const bool ended = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
  const std::string reason = take_openssl_error();
  if (out.size() > kMaxCertificates) return invalid_argument("more than {} certificates", kMaxCertificates);
  if (out.empty() || !ended) return invalid_argument("this is not a certificate in PEM: {}", reason);
  return out;
}

Result<Certificate> Certificate::from_der(std::string_view der) {
  if (der.size() > kMaxPemBytes) return resource_exhausted("a certificate of {} bytes", der.size());
  ERR_clear_error();
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  const unsigned char* const end = at + der.size();
  CertificateHandle certificate(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  if (certificate == nullptr || at != end)
    return invalid_argument("this is not a certificate in DER: {}", take_openssl_error());
  return Certificate(std::move(certificate));
}

std::string Certificate::to_pem() const {
  const Bio bio = make_text();
  RUNINK_CHECK(PEM_write_bio_X509(bio.get(), certificate_.get()) == 1);
  return take_text(bio.get());
}

std::string Certificate::to_der() const {
  unsigned char* bytes = nullptr;
  const int size = i2d_X509(certificate_.get(), &bytes);
  RUNINK_CHECK(size > 0);
  std::string der(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
  OPENSSL_free(bytes);
  return der;
}

std::string Certificate::fingerprint() const { return sha256_hex(to_der()); }

std::string Certificate::serial() const {
  const ASN1_INTEGER* serial = X509_get0_serialNumber(certificate_.get());
  return to_hex(
      {reinterpret_cast<const char*>(ASN1_STRING_get0_data(serial)), static_cast<size_t>(ASN1_STRING_length(serial))});
}

int64_t Certificate::not_before_micros() const { return micros_of(X509_get0_notBefore(certificate_.get())); }
int64_t Certificate::not_after_micros() const { return micros_of(X509_get0_notAfter(certificate_.get())); }
bool Certificate::is_authority() const { return X509_check_ca(certificate_.get()) == 1; }

bool Certificate::belongs_to(const PrivateKey& key) const {
  const bool same = X509_check_private_key(certificate_.get(), key.get()) == 1;
  ERR_clear_error();
  return same;
}

Result<Identity> Certificate::identity() const {
  if (X509_check_ca(certificate_.get()) != 0) return refused("the certificate is an authority's");
  SubjectNames names;
  if (!subject_names(certificate_.get(), &names)) return refused("the certificate names nobody by URI");
  if (names.uris.size() != 1)
    return refused(fmt::format("the certificate holds {} URIs where exactly one is wanted", names.uris.size()));
  Result<Identity> identity = parse_identity(names.uris.front());
  if (!identity.ok()) return refused(std::move(identity).status().message());
  if (names.others || names.dns_names.size() > 1 ||
      (names.dns_names.size() == 1 && names.dns_names.front() != role_host_name(*identity))) {
    return refused(fmt::format("the certificate of {} holds names beside its URI", identity->uri()));
  }
  return identity;
}

Result<std::string> Certificate::authority_trust_domain() const {
  constexpr std::string_view kScheme = "spiffe://";
  SubjectNames names;
  if (!is_authority()) return refused("the certificate is not an authority's");
  if (!subject_names(certificate_.get(), &names) || names.uris.size() != 1 ||
      !names.uris.front().starts_with(kScheme)) {
    return refused("the authority's certificate does not name one trust domain");
  }
  std::string trust_domain = names.uris.front().substr(kScheme.size());
  if (!check_trust_domain(trust_domain).ok())
    return refused("the authority's certificate does not name one trust domain");
  return trust_domain;
}

Result<CertificateRequest> CertificateRequest::create(const PrivateKey& key, const Identity& identity) {
  ERR_clear_error();
  RequestHandle request(X509_REQ_new());
  const std::unique_ptr<GENERAL_NAMES, NamesFree> names(GENERAL_NAMES_new());
  GENERAL_NAME* name = GENERAL_NAME_new();
  ASN1_IA5STRING* uri = ASN1_IA5STRING_new();
  RUNINK_CHECK(request != nullptr && names != nullptr && name != nullptr && uri != nullptr);
  const std::string text = identity.uri();
  RUNINK_CHECK(ASN1_STRING_set(uri, text.data(), static_cast<int>(text.size())) == 1);
  GENERAL_NAME_set0_value(name, GEN_URI, uri);
  RUNINK_CHECK(sk_GENERAL_NAME_push(names.get(), name) > 0);

  STACK_OF(X509_EXTENSION)* extensions = nullptr;
  const bool made = X509V3_add1_i2d(&extensions, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) == 1 &&
                    X509_REQ_add_extensions(request.get(), extensions) == 1 &&
                    X509_REQ_set_version(request.get(), 0) == 1 && X509_REQ_set_pubkey(request.get(), key.get()) == 1 &&
                    X509_REQ_sign(request.get(), key.get(), EVP_sha256()) > 0;
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  if (!made) return internal_error("make a certificate request: {}", take_openssl_error());
  return CertificateRequest(std::move(request), identity);
}

Result<CertificateRequest> CertificateRequest::from_pem(std::string_view pem) {
  const Bio bio = RUNINK_TRY(open_pem(pem, "a certificate request"));
  RequestHandle request(PEM_read_bio_X509_REQ(bio.get(), nullptr, no_passphrase, nullptr));
  if (request == nullptr) return invalid_argument("this is not a certificate request in PEM: {}", take_openssl_error());
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  if (!is_p256(key)) return invalid_argument("the key of a certificate request is not ECDSA on P-256");
  if (X509_REQ_verify(request.get(), key) != 1) {
    ERR_clear_error();
    return invalid_argument("a certificate request is not signed by the key that it names");
  }

  STACK_OF(X509_EXTENSION)* extensions = X509_REQ_get_extensions(request.get());
  const std::unique_ptr<GENERAL_NAMES, NamesFree> names(
      static_cast<GENERAL_NAMES*>(X509V3_get_d2i(extensions, NID_subject_alt_name, nullptr, nullptr)));
  sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
  ERR_clear_error();
  const SubjectNames asked = names != nullptr ? sort_names(names.get()) : SubjectNames();
  if (asked.uris.size() != 1 || !asked.dns_names.empty() || asked.others) {
    return invalid_argument("a certificate request does not ask for exactly one URI");
  }
  Identity identity = RUNINK_TRY(parse_identity(asked.uris.front()));
  return CertificateRequest(std::move(request), std::move(identity));
}

std::string CertificateRequest::to_pem() const {
  const Bio bio = make_text();
  RUNINK_CHECK(PEM_write_bio_X509_REQ(bio.get(), request_.get()) == 1);
  return take_text(bio.get());
}

}  // namespace runink::crypto
