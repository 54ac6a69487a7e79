#include "platform/rpc/client_credentials.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/crypto.h>

#include <cstdlib>

#include "platform/crypto/identity.h"

namespace runink::rpc {
namespace {

namespace experimental = grpc::experimental;

// Asked after the chain has been verified.
class MemberVerifier final : public experimental::ExternalCertificateVerifier {
 public:
  explicit MemberVerifier(std::string trust_domain) : trust_domain_(std::move(trust_domain)) {}
  bool Verify(experimental::TlsCustomVerificationCheckRequest* request, std::function<void(grpc::Status)>,
              grpc::Status* status) override {
    const auto uris = request->uri_names();
    const auto identity = uris.size() == 1 ? crypto::parse_identity(std::string_view(uris[0].data(), uris[0].size()))
                                           : Result<crypto::Identity>(Status(Code::kUnauthenticated, "not one URI"));
    const bool member =
        identity.ok() && identity->role == crypto::Role::kBarn && identity->trust_domain == trust_domain_;
    *status = member ? grpc::Status::OK
                     : grpc::Status(grpc::StatusCode::UNAUTHENTICATED,
                                    "the server is no member of the Barn of " + trust_domain_);
    return true;  // at once
  }
  void Cancel(experimental::TlsCustomVerificationCheckRequest*) override {}

 private:
  const std::string trust_domain_;
};

}  // namespace

std::shared_ptr<grpc::ChannelCredentials> member_credentials(const ClientIdentity& identity) {
  std::vector<experimental::IdentityKeyCertPair> own;
  if (!identity.certificate_pem.empty()) own.push_back({identity.key_pem, identity.certificate_pem});
  experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(
      std::make_shared<experimental::StaticDataCertificateProvider>(identity.authorities_pem, own));
  options.watch_root_certs();
  if (!own.empty()) options.watch_identity_key_cert_pairs();
  options.set_verify_server_certs(true);
  options.set_check_call_host(false);
  options.set_certificate_verifier(
      experimental::ExternalCertificateVerifier::Create<MemberVerifier>(identity.trust_domain));
  return experimental::TlsCredentials(options);
}

void prepare_grpc() {
  // Its exit handler would free locks that those threads take. It is registered by the first use, or never.
  OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr);
  ::setenv("GRPC_SSL_CIPHER_SUITES", "PSK-AES256-GCM-SHA384", 1);
  ::setenv("GRPC_VERBOSITY", "NONE", 0);
}

}  // namespace runink::rpc
