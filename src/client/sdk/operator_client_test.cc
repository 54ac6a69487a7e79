// The operator's client against a member that answers as a test says.
#include "client/sdk/operator_client.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "client/sdk/cluster_test.h"
#include "client/sdk/scripted_server_test.h"
#include "runink/barn/v1/cluster.grpc.pb.h"

namespace runink::sdk {
namespace {

using testing::HasSubstr;
using testing::Not;

grpc::Status refusal() {
  v1::Failure failure;
  failure.set_code(static_cast<int>(Code::kFailedPrecondition));
  failure.set_message("node 9 is not a learner");
  return {grpc::StatusCode::FAILED_PRECONDITION, failure.message(), failure.SerializeAsString()};
}

class ScriptedLeader final : public v1::Operator::Service {
 public:
  explicit ScriptedLeader(const crypto::CertificateAuthority& authority) {
    server_ = serve_scripted(authority, this, &port_);
  }
  ~ScriptedLeader() override { server_->Shutdown(std::chrono::system_clock::now()); }

  // The first time as if the connection broke, if so wanted.
  grpc::Status PromoteMember(grpc::ServerContext* context, const v1::PromoteMemberRequest*, v1::ChangeResponse*) override {
    while (falls_silent && !context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return ++promotions == 1 && loses_answers ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "Socket closed")
                                              : refusal();
  }
  grpc::Status Backup(grpc::ServerContext* context, const v1::BackupRequest*,
                      grpc::ServerWriter<v1::BackupPiece>* writer) override {
    ++backups;
    v1::BackupPiece piece;
    piece.set_data("the first half");
    for (int i = 0; i < pieces; ++i) writer->Write(piece);
    while (falls_silent && !context->IsCancelled()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return {grpc::StatusCode::UNAVAILABLE, "Socket closed"};
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  std::atomic<bool> loses_answers{false}, falls_silent{false};
  std::atomic<int> promotions{0}, backups{0}, pieces{1};

 private:
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
};

class OperatorClientTest : public testing::Test {
 protected:
  std::unique_ptr<OperatorClient> client(std::vector<std::string> endpoints, int64_t timeout_nanos = 20 * kSecond) {
    ClientOptions options = client_options(authority_, "operator");
    options.endpoints = std::move(endpoints);
    options.timeout_nanos = timeout_nanos;
    return *OperatorClient::create(std::move(options));
  }
  // Nobody listens at the port of a socket that is only bound.
  std::string dead_address() {
    reserved_ = os::Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "a reserved port");
    struct sockaddr_in at = {};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    auto* const any = reinterpret_cast<struct sockaddr*>(&at);
    RUNINK_CHECK(::bind(reserved_.get(), any, size) == 0 && ::getsockname(reserved_.get(), any, &size) == 0);
    return "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
  }

  const crypto::CertificateAuthority authority_ = net::make_authority();
  ScriptedLeader leader_{authority_};
  os::Fd reserved_;
};

TEST_F(OperatorClientTest, ARefusalIsARefusalAlsoWhenAnotherMemberIsDown) {
  const auto promoted = client({dead_address(), leader_.address()})->promote_member(9);
  EXPECT_EQ(promoted.status().code(), Code::kFailedPrecondition) << promoted.status().to_string();
  EXPECT_EQ(promoted.status().message(), "node 9 is not a learner");
}

TEST_F(OperatorClientTest, AChangeWhoseAnswerWasLostIsUnknownWhateverIsSaidThen) {
  leader_.loses_answers = true;
  const auto promoted = client({leader_.address(), dead_address()})->promote_member(9);
  EXPECT_EQ(promoted.status().code(), Code::kUnknown) << promoted.status().to_string();
  EXPECT_EQ(promoted.status().kind(), "barn.unknown");
}

TEST_F(OperatorClientTest, NobodyReachedIsAFailureInPlainWords) {
  const auto promoted = client({dead_address()}, kSecond / 2)->promote_member(9);
  EXPECT_EQ(promoted.status().code(), Code::kUnavailable) << promoted.status().to_string();
  ASSERT_FALSE(promoted.status().details().empty());
  EXPECT_THAT(promoted.status().details()[0], HasSubstr("cannot connect: Connection refused"));
  EXPECT_THAT(promoted.status().details()[0], Not(HasSubstr("ipv4")));
}

TEST_F(OperatorClientTest, SilenceIsATimeOut) {
  leader_.falls_silent = true;
  const auto promoted = client({leader_.address()}, kSecond / 2)->promote_member(9);
  EXPECT_EQ(promoted.status().code(), Code::kDeadlineExceeded) << promoted.status().to_string();
  EXPECT_EQ(promoted.status().kind(), "barn.unknown");
}

TEST_F(OperatorClientTest, AMemberOfAnotherClusterIsNotBelieved) {
  const crypto::CertificateAuthority other = net::make_authority();
  const ScriptedLeader stranger(other);
  const auto said = client({stranger.address()})->status(stranger.address());
  EXPECT_EQ(said.status().message(), "the certificate of " + stranger.address() + " is not believed");
}

TEST_F(OperatorClientTest, ABackupThatWasCutIsNotBegunAnew) {
  std::string got;
  const Status status = client({leader_.address()})->backup([&](std::string_view bytes) {
    got += bytes;
    return Status();
  });
  EXPECT_EQ(status.code(), Code::kDataLoss) << status.to_string();
  EXPECT_EQ(got, "the first half");
  EXPECT_EQ(leader_.backups, 1);
}

TEST_F(OperatorClientTest, ABackupOfWhichNothingComesIsGivenUp) {
  leader_.falls_silent = true;
  for (const int pieces : {0, 1}) {
    leader_.pieces = pieces;
    int got = 0;
    const auto begin = std::chrono::steady_clock::now();
    const Status status = client({leader_.address(), dead_address()}, 2 * kSecond)->backup([&](std::string_view) {
      // What is done with it is not counted.
      std::this_thread::sleep_for(std::chrono::milliseconds(2200));
      ++got;
      return Status();
    });
    EXPECT_EQ(status.code(), Code::kDeadlineExceeded) << status.to_string();
    EXPECT_EQ(status.kind(), "barn.silent");
    EXPECT_EQ(got, pieces);
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(20));  // keep-alive would take 30
  }
  EXPECT_EQ(leader_.backups, 2);
}

}  // namespace
}  // namespace runink::sdk
