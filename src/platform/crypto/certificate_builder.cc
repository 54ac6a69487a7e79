#include "platform/crypto/certificate_builder.h"

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "base/check.h"
#include "platform/crypto/openssl_error.h"
#include "platform/crypto/random.h"

namespace runink::crypto {

namespace {

// 159 random bits: unique without a counter that would have to be kept, and never negative nor longer than the 20 bytes
// that RFC 5280 (4.1.2.2) allows.
bool set_serial(X509* certificate) {
  std::array<uint8_t, 20> bytes = random_array<20>();
  bytes[0] = static_cast<uint8_t>((bytes[0] & 0x7F) | 0x40);
  BIGNUM* number = BN_bin2bn(bytes.data(), bytes.size(), nullptr);
  const bool set = number != nullptr && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  return set;
}

bool set_times(X509* certificate, const CertificateShape& shape) {
  return ASN1_TIME_set(X509_getm_notBefore(certificate), static_cast<time_t>(shape.not_before_micros / 1'000'000)) !=
             nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), static_cast<time_t>(shape.not_after_micros / 1'000'000)) !=
             nullptr;
}

bool set_subject(X509* certificate, const std::string& common_name) {
  return X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(common_name.data()),
                                    static_cast<int>(common_name.size()), -1, 0) == 1;
}

bool push_name(GENERAL_NAMES* names, int type, const std::string& text) {
  GENERAL_NAME* name = GENERAL_NAME_new();
  ASN1_IA5STRING* value = ASN1_IA5STRING_new();
  RUNINK_CHECK(name != nullptr && value != nullptr);
  RUNINK_CHECK(ASN1_STRING_set(value, text.data(), static_cast<int>(text.size())) == 1);
  GENERAL_NAME_set0_value(name, type, value);
  return sk_GENERAL_NAME_push(names, name) > 0;
}

bool add_names(X509* certificate, const CertificateShape& shape) {
  if (shape.uris.empty() && shape.dns_names.empty()) return true;
  GENERAL_NAMES* names = GENERAL_NAMES_new();
  bool good = names != nullptr;
  for (const std::string& uri : shape.uris) good = good && push_name(names, GEN_URI, uri);
  for (const std::string& dns : shape.dns_names) good = good && push_name(names, GEN_DNS, dns);
  good = good && X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) == 1;
  GENERAL_NAMES_free(names);
  return good;
}

bool add_extension(X509* certificate, X509* issuer, int id, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, id, value);
  const bool added = extension != nullptr && X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return added;
}

bool add_usages(X509* certificate, X509* issuer, const CertificateShape& shape) {
  if (!add_extension(certificate, issuer, NID_subject_key_identifier, "hash")) return false;
  if (shape.authority) {
    return add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
           add_extension(certificate, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
  }
  const char* usages = shape.server && shape.client ? "serverAuth,clientAuth"
                       : shape.server               ? "serverAuth"
                                                    : "clientAuth";
  return add_extension(certificate, issuer, NID_basic_constraints, "critical,CA:FALSE") &&
         add_extension(certificate, issuer, NID_key_usage, "critical,digitalSignature") &&
         add_extension(certificate, issuer, NID_ext_key_usage, usages) &&
         (issuer == certificate || add_extension(certificate, issuer, NID_authority_key_identifier, "keyid:always"));
}

}  // namespace

Result<Certificate> build_certificate(const CertificateShape& shape, evp_pkey_st* subject, const PrivateKey& signer,
                                      const Certificate* issuer) {
  ERR_clear_error();
  CertificateHandle certificate(X509_new());
  RUNINK_CHECK(certificate != nullptr);
  X509* const made = certificate.get();
  X509* const above = issuer != nullptr ? issuer->get() : made;
  const bool good = X509_set_version(made, X509_VERSION_3) == 1 && set_serial(made) && set_times(made, shape) &&
                    set_subject(made, shape.common_name) &&
                    X509_set_issuer_name(made, X509_get_subject_name(above)) == 1 &&
                    X509_set_pubkey(made, subject) == 1 && add_names(made, shape) && add_usages(made, above, shape) &&
                    X509_sign(made, signer.get(), EVP_sha256()) > 0;
  if (!good) return internal_error("make a certificate for {}: {}", shape.common_name, take_openssl_error());
  // Read back, as whoever receives it will: OpenSSL keeps facts about a certificate from when it first looked at it.
  return Certificate::from_der(Certificate(std::move(certificate)).to_der());
}

}  // namespace runink::crypto
