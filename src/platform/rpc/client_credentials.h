// What a gRPC client shows to a cluster, and whom it believes: a server counts if its certificate was signed by one of
// the authorities and names, as its one URI, a member of the Barn of this trust domain. Host names play no part, since
// members are named by identity.
#pragma once

#include <grpcpp/security/credentials.h>

#include <memory>
#include <string>

namespace runink::rpc {

struct ClientIdentity {
  std::string trust_domain;
  std::string certificate_pem, key_pem;  // both empty: the client shows nothing, and is refused
  std::string authorities_pem;
};

std::shared_ptr<grpc::ChannelCredentials> member_credentials(const ClientIdentity& identity);

// Call before anything of gRPC is used in a process, while it has one thread. gRPC 1.51 cannot be told a least version
// of TLS: this leaves 1.2 no cipher that could be agreed on. And its log is turned off, unless GRPC_VERBOSITY asks for
// it: what matters arrives as a status. OpenSSL does not clean up when the process exits: threads of gRPC outlive
// main() and may be within a TLS handshake then. So call it before anything else of OpenSSL is used, too.
void prepare_grpc();

}  // namespace runink::rpc
