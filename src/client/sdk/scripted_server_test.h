// A gRPC server that shows the certificate of a member and wants one of the cluster, for services that tests write.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>

#include "platform/net/tls_in_test.h"
#include "platform/rpc/client_credentials.h"

namespace runink::sdk {

// On a free port of loopback, which is put into *port. The service outlives it.
inline std::unique_ptr<grpc::Server> serve_scripted(const crypto::CertificateAuthority& authority,
                                                    grpc::Service* service, int* port) {
  rpc::prepare_grpc();
  const crypto::Credentials own = net::credentials(authority, net::member(1));
  grpc::SslServerCredentialsOptions ssl(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  ssl.pem_root_certs = authority.certificate().to_pem();
  ssl.pem_key_cert_pairs.push_back({own.key.to_pem().value(), own.certificate.to_pem()});
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(ssl), port);
  builder.RegisterService(service);
  return builder.BuildAndStart();
}

}  // namespace runink::sdk
