// The operator's calls over real gRPC, and what becomes of them when their member ends.
#include "control/api/operator_service.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "platform/net/tls_in_test.h"
#include "platform/rpc/client_credentials.h"
#include "runink/barn/v1/cluster.grpc.pb.h"

namespace runink::api {
namespace {

namespace v1 = runink::barn::v1;

class OperatorTest : public testing::Test {
 protected:
  void serve(OperatorHandlers handlers) {
    rpc::prepare_grpc();
    service_ = OperatorService::create(*loop_, net::kTestDomain, std::move(handlers), {});
    const crypto::Credentials own = net::credentials(authority_, net::member(1));
    grpc::SslServerCredentialsOptions ssl(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    ssl.pem_root_certs = authority_.certificate().to_pem();
    ssl.pem_key_cert_pairs.push_back({*own.key.to_pem(), own.certificate.to_pem()});
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(ssl), &port_);
    builder.RegisterService(service_->service());
    server_ = builder.BuildAndStart();
    ASSERT_NE(server_, nullptr);
  }
  std::unique_ptr<v1::Operator::Stub> stub() {
    const crypto::Credentials own =
        net::credentials(authority_, *crypto::make_identity(net::kTestDomain, crypto::Role::kUser, "operator"));
    return v1::Operator::NewStub(
        grpc::CreateChannel("127.0.0.1:" + std::to_string(port_),
                            rpc::member_credentials({net::kTestDomain, own.certificate.to_pem(), *own.key.to_pem(),
                                                     authority_.certificate().to_pem()})));
  }
  // As a member does that ends.
  void end() {
    service_->end();
    std::atomic<bool> down{false};
    std::thread waits([&] {
      server_->Shutdown();
      server_->Wait();
      down = true;
    });
    while (!down) loop_->turn(1'000'000);
    waits.join();
  }

  std::unique_ptr<net::EventLoop> loop_ = *net::EventLoop::create();
  crypto::CertificateAuthority authority_ = net::make_authority();
  std::unique_ptr<OperatorService> service_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

TEST_F(OperatorTest, ABackupThatNobodyAnswersEndsWithTheService) {
  bool asked = false;
  OperatorHandlers handlers;
  // A member that has failed answers nothing.
  handlers.backup = [&](auto) { asked = true; };
  serve(std::move(handlers));
  grpc::Status said;
  std::thread client([&] {
    const auto stub = this->stub();
    grpc::ClientContext context;
    const auto reader = stub->Backup(&context, v1::BackupRequest());
    v1::BackupPiece piece;
    while (reader->Read(&piece)) {
    }
    said = reader->Finish();
  });
  while (!asked) loop_->turn(1'000'000);
  end();
  client.join();
  EXPECT_EQ(said.error_code(), grpc::StatusCode::UNAVAILABLE) << said.error_message();
}

TEST_F(OperatorTest, ABackupComesWholeOrWithWhyNot) {
  bool fails = false;
  OperatorHandlers handlers;
  handlers.backup = [&](auto done) {
    done([fails](const barn::ByteSink& sink) -> Result<barn::DumpInfo> {
      for (int i = 0; i < 100; ++i) RUNINK_RETURN_IF_ERROR(sink(std::string(10'000, 'x')));
      if (fails) return data_loss("a block is damaged");
      return barn::DumpInfo();
    });
  };
  serve(std::move(handlers));
  for (const bool failing : {false, true}) {
    fails = failing;
    size_t bytes = 0;
    grpc::Status said;
    std::atomic<bool> over{false};
    std::thread client([&] {
      const auto stub = this->stub();
      grpc::ClientContext context;
      const auto reader = stub->Backup(&context, v1::BackupRequest());
      v1::BackupPiece piece;
      while (reader->Read(&piece)) bytes += piece.data().size();
      said = reader->Finish();
      over = true;
    });
    while (!over) loop_->turn(1'000'000);
    client.join();
    EXPECT_EQ(said.error_code(), failing ? grpc::StatusCode::DATA_LOSS : grpc::StatusCode::OK) << said.error_message();
    if (!failing) EXPECT_EQ(bytes, 1'000'000u);
  }
  end();
}

}  // namespace
}  // namespace runink::api
