// A member that serves, and real gRPC clients on loopback.
#include "control/api/key_value_service.h"

#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "control/server/barn_server.h"
#include "platform/net/tls_in_test.h"
#include "platform/os/temp.h"
#include "platform/rpc/client_credentials.h"
#include "runink/barn/v1/key_value.grpc.pb.h"

namespace runink::api {
namespace {

namespace v1 = runink::barn::v1;
using testing::HasSubstr;

// The loop runs on a thread of its own, as in a server; what is done to the member is posted to it.
class Served : public testing::Test {
 protected:
  void SetUp() override {
    rpc::prepare_grpc();
    server::BarnOptions options;
    options.folder = folder_->path();
    options.identity.cluster.fill(9);
    options.identity.node = 1;
    options.trust_domain = net::kTestDomain;
    options.context = net::context(authority_, 1);
    options.listen = net::loopback();
    options.tick_nanos = 10'000'000;
    options.cache_bytes = options.write_buffer_bytes = 1 << 20;
    ASSERT_TRUE(server::BarnServer::create(options, {{1}, {}}).ok());
    auto barn = server::BarnServer::start(*loop_, options, [](const Status&) {});
    ASSERT_TRUE(barn.ok()) << barn.status().to_string();
    barn_ = std::move(*barn);
    const crypto::Credentials own = net::credentials(authority_, net::member(1));
    ApiOptions api;
    api.trust_domain = net::kTestDomain;
    api.bookmark_nanos = 50'000'000;
    api.certificate_pem = own.certificate.to_pem();
    api.key_pem = own.key.to_pem().value();
    api.authorities_pem = authority_.certificate().to_pem();
    auto served = KeyValueServer::start(*loop_, barn_->replica(), api);
    ASSERT_TRUE(served.ok()) << served.status().to_string();
    api_ = std::move(*served);
    while (!barn_->member().leads()) loop_->turn(5'000'000);
    thread_ = std::thread([this] { loop_->run(); });
    stub_ = v1::KeyValue::NewStub(channel(user("ada")));
  }
  void TearDown() override {
    if (thread_.joinable()) {
      loop_->stop();
      thread_.join();
    }
    api_.reset();
    barn_.reset();
  }

  crypto::Credentials user(const std::string& name, const crypto::CertificateAuthority* authority = nullptr) {
    const auto& by = authority != nullptr ? *authority : authority_;
    return net::credentials(by, *crypto::make_identity(by.trust_domain(), crypto::Role::kUser, name));
  }
  std::shared_ptr<grpc::Channel> channel(std::optional<crypto::Credentials> credentials) {
    rpc::ClientIdentity identity;
    identity.trust_domain = net::kTestDomain;
    identity.authorities_pem = authority_.certificate().to_pem();
    if (credentials) {
      identity.certificate_pem = credentials->certificate.to_pem();
      identity.key_pem = credentials->key.to_pem().value();
    }
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(16 << 20);  // as the client's
    return grpc::CreateCustomChannel("127.0.0.1:" + std::to_string(api_->port()), rpc::member_credentials(identity),
                                     arguments);
  }
  static void set_deadline(grpc::ClientContext& context) {
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  }
  grpc::Status put(const std::string& key, const std::string& value, v1::WriteResponse* response = nullptr) {
    grpc::ClientContext context;
    set_deadline(context);
    v1::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    v1::WriteResponse unused;
    return stub_->Put(&context, request, response != nullptr ? response : &unused);
  }
  std::string get(const std::string& key) {
    grpc::ClientContext context;
    set_deadline(context);
    v1::GetRequest request;
    request.set_key(key);
    v1::GetResponse response;
    const grpc::Status status = stub_->Get(&context, request, &response);
    if (!status.ok()) return "error: " + status.error_message();
    return response.has_item() ? response.item().value() : "nothing";
  }

  std::optional<os::TempFolder> folder_ = *os::TempFolder::create("");
  std::unique_ptr<net::EventLoop> loop_ = *net::EventLoop::create();
  crypto::CertificateAuthority authority_ = net::make_authority();
  std::unique_ptr<server::BarnServer> barn_;
  std::unique_ptr<KeyValueServer> api_;
  std::unique_ptr<v1::KeyValue::Stub> stub_;
  std::thread thread_;
};

TEST_F(Served, PutsGetsDeletesAndTransactions) {
  v1::WriteResponse written;
  grpc::Status status = put("a", "1", &written);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_GT(written.index(), 0u);
  EXPECT_EQ(get("a"), "1");
  EXPECT_EQ(get("b"), "nothing");

  v1::TxnRequest txn;
  auto* const compare = txn.add_compares();
  compare->set_target(v1::Compare::VALUE);
  compare->set_key("a");
  compare->set_value("1");
  auto* const then = txn.add_then_ops()->mutable_put();
  then->set_key("a");
  then->set_value("2");
  for (const bool succeeds : {true, false}) {
    grpc::ClientContext context;
    set_deadline(context);
    v1::WriteResponse response;
    ASSERT_TRUE(stub_->Txn(&context, txn, &response).ok());
    EXPECT_EQ(response.succeeded(), succeeds);
  }
  EXPECT_EQ(get("a"), "2");

  put("b", "3");
  grpc::ClientContext context;
  set_deadline(context);
  v1::RangeRequest range;
  v1::RangeResponse found;
  ASSERT_TRUE(stub_->Range(&context, range, &found).ok());
  ASSERT_EQ(found.items_size(), 2);
  EXPECT_EQ(found.items(1).key(), "b");

  // What is refused says why, with its kind.
  status = put("", "x");
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  v1::Failure failure;
  ASSERT_TRUE(failure.ParseFromString(status.error_details()));
  EXPECT_THAT(failure.message(), HasSubstr("key"));
  status = put("large", std::string(300 << 10, 'x'));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
}

TEST_F(Served, AnswersAreCountedByMethodAndCode) {
  ASSERT_TRUE(put("a", "1").ok());
  ASSERT_TRUE(put("b", "1").ok());
  ASSERT_FALSE(put("", "1").ok());
  EXPECT_EQ(get("a"), "1");
  grpc::ClientContext context;
  set_deadline(context);
  auto stream = stub_->Pack(&context);
  v1::PackRequest request;
  request.add_operations()->mutable_put()->set_key("");
  request.add_operations()->mutable_put()->set_key("c");
  stream->Write(request);
  stream->WritesDone();
  for (v1::PackResponse response; stream->Read(&response);) {
  }
  ASSERT_TRUE(stream->Finish().ok());
  loop_->stop();
  thread_.join();
  const ApiCounters counters = api_->counters();
  ByCode puts{}, one{}, failed{};
  puts[static_cast<size_t>(Code::kOk)] = 2;
  puts[static_cast<size_t>(Code::kInvalidArgument)] = 1;
  one[static_cast<size_t>(Code::kOk)] = 1;
  failed[static_cast<size_t>(Code::kInvalidArgument)] = 1;
  EXPECT_EQ(counters.answers.at("KeyValue/Put"), puts);
  EXPECT_EQ(counters.answers.at("KeyValue/Get"), one);
  EXPECT_EQ(counters.answers.at("KeyValue/Pack"), one);
  EXPECT_EQ(counters.packed, 2u);
  EXPECT_EQ(counters.packed_failures, failed);
}

TEST_F(Served, AStreamAnswersManyOperationsEachUnderItsNumber) {
  grpc::ClientContext context;
  set_deadline(context);
  auto stream = stub_->Pack(&context);
  constexpr uint64_t kOperations = 2000;
  std::map<uint64_t, v1::PackResponse::Result> results;
  std::jthread reader([&] {
    v1::PackResponse response;
    while (stream->Read(&response)) {
      for (auto& result : response.results()) results[result.number()] = result;
    }
  });
  for (uint64_t i = 0; i < kOperations;) {
    v1::PackRequest request;
    for (int n = 0; n < 100; ++n, ++i) {
      auto* const operation = request.add_operations();
      operation->set_number(i);
      if (i % 2 == 0) {
        operation->mutable_put()->set_key("key-" + std::to_string(i));
        operation->mutable_put()->set_value(std::to_string(i));
      } else {
        operation->mutable_get()->set_key("key-" + std::to_string(i - 1));
      }
    }
    ASSERT_TRUE(stream->Write(request));
  }
  v1::PackRequest empty;
  empty.add_operations()->set_number(99999);
  ASSERT_TRUE(stream->Write(empty));
  stream->WritesDone();
  reader.join();
  const grpc::Status status = stream->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(results.size(), kOperations + 1);
  for (uint64_t i = 0; i < kOperations; ++i)
    EXPECT_EQ(results[i].result_case(), i % 2 == 0 ? v1::PackResponse::Result::kWrite : v1::PackResponse::Result::kGet);
  EXPECT_EQ(results[99999].failure().code(), static_cast<int>(Code::kInvalidArgument));
  EXPECT_EQ(get("key-1998"), "1998");
}

// A client that asks and does not listen: the member must not gather what it never takes, nor send in one message more
// than a client takes.
TEST_F(Served, AnswersThatNobodyTakesArePutOff) {
  constexpr int kKeys = 7, kOperations = 300;
  for (int i = 0; i < kKeys; ++i) ASSERT_TRUE(put("large-" + std::to_string(i), std::string(128 << 10, 'x')).ok());
  v1::PackRequest request;
  for (uint64_t i = 0; i < kOperations; ++i) {
    auto* const operation = request.add_operations();
    operation->set_number(i);
    operation->mutable_range()->set_from("large-");
    operation->mutable_range()->set_to("large.");
    operation->mutable_range()->set_serializable(i % 2 == 0);
  }
  grpc::ClientContext context;
  set_deadline(context);
  auto stream = stub_->Pack(&context);
  ASSERT_TRUE(stream->Write(request));
  stream->WritesDone();
  std::set<uint64_t> numbers;
  size_t largest = 0;
  v1::PackResponse response;
  while (stream->Read(&response)) {
    largest = std::max(largest, response.ByteSizeLong());
    for (const auto& result : response.results()) {
      EXPECT_EQ(result.range().items_size(), kKeys);
      numbers.insert(result.number());
    }
  }
  const grpc::Status status = stream->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(numbers.size(), size_t{kOperations});
  EXPECT_LE(largest, size_t{6} << 20);
}

TEST_F(Served, AWatchToldFromAnIndexOnHasNoGap) {
  v1::WriteResponse first;
  ASSERT_TRUE(put("w/a", "1", &first).ok());
  put("other", "x");
  grpc::ClientContext context;
  set_deadline(context);
  v1::WatchRequest request;
  request.set_from("w/");
  request.set_to("w0");
  request.set_from_index(first.index());
  auto watch = stub_->Watch(&context, request);
  v1::WatchResponse response;
  ASSERT_TRUE(watch->Read(&response));
  EXPECT_EQ(response.through(), first.index() - 1);
  std::string seen;
  const auto read = [&](size_t events) {
    size_t got = 0;
    while (got < events && watch->Read(&response)) {
      for (const auto& change : response.changes()) {
        for (const auto& event : change.events()) {
          seen += (event.deleted() ? "-" : "+") + event.item().key() + "=" + event.item().value() + " ";
          ++got;
        }
      }
    }
  };
  read(1);
  put("w/b", "2");
  put("other", "y");
  put("w/a", "3");
  read(2);
  EXPECT_EQ(seen, "+w/a=1 +w/b=2 +w/a=3 ");
  context.TryCancel();
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(Served, AWatchOfWhatDoesNotChangeIsToldHowFarItIs) {
  put("w/a", "1");
  grpc::ClientContext context;
  set_deadline(context);
  v1::WatchRequest request;
  request.set_from("w/");
  request.set_to("w0");
  auto watch = stub_->Watch(&context, request);
  v1::WatchResponse response;
  ASSERT_TRUE(watch->Read(&response));
  v1::WriteResponse other;
  ASSERT_TRUE(put("other", "x", &other).ok());
  while (response.through() < other.index()) {
    ASSERT_TRUE(watch->Read(&response));
    EXPECT_EQ(response.changes_size(), 0);
  }
  context.TryCancel();
  watch->Finish();
}

TEST_F(Served, TheSystemsKeysAreNotThere) {
  const std::string secret("\0secret", 7);
  std::promise<Status> made;
  loop_->post([&] {
    barn::Command command;
    command.body = barn::Put{.key = secret, .value = "hidden"};
    barn_->replica().execute(std::move(command),
                             [&](Result<barn::Answer> answer) { made.set_value(status_of(std::move(answer))); });
  });
  ASSERT_TRUE(made.get_future().get().ok());
  put("a", "1");

  EXPECT_EQ(put(secret, "x").error_code(), grpc::StatusCode::PERMISSION_DENIED);
  EXPECT_THAT(get(secret), testing::HasSubstr("error"));
  const auto range = [&](const std::string& from, const std::string& to) {
    grpc::ClientContext context;
    set_deadline(context);
    v1::RangeRequest request;
    request.set_from(from);
    request.set_to(to);
    v1::RangeResponse response;
    EXPECT_TRUE(stub_->Range(&context, request, &response).ok());
    std::string keys;
    for (const auto& item : response.items()) keys += item.key() + " ";
    return keys;
  };
  EXPECT_EQ(range("", ""), "a ");
  EXPECT_EQ(range("", "\x01"), "");
  EXPECT_EQ(range(secret, ""), "a ");

  v1::TxnRequest txn;
  auto* const inside = txn.add_then_ops()->mutable_range();
  inside->set_from(secret);
  v1::WriteResponse answer;
  {
    grpc::ClientContext context;
    set_deadline(context);
    ASSERT_TRUE(stub_->Txn(&context, txn, &answer).ok());
  }
  ASSERT_EQ(answer.ops_size(), 1);
  EXPECT_EQ(answer.ops(0).items_size(), 1);
  txn.add_compares()->set_key(secret);
  {
    grpc::ClientContext context;
    set_deadline(context);
    EXPECT_EQ(stub_->Txn(&context, txn, &answer).error_code(), grpc::StatusCode::PERMISSION_DENIED);
  }
  {
    grpc::ClientContext context;
    set_deadline(context);
    v1::DeleteRangeRequest request;
    ASSERT_TRUE(stub_->DeleteRange(&context, request, &answer).ok());
    EXPECT_EQ(answer.ops(0).deleted(), 1u);
  }
  std::promise<bool> there;
  loop_->post([&] { there.set_value((*barn_->replica().machine().get(secret)).has_value()); });
  EXPECT_TRUE(there.get_future().get());
}

TEST_F(Served, LeasesAndSessions) {
  v1::OpenSessionResponse session;
  {
    grpc::ClientContext context;
    set_deadline(context);
    ASSERT_TRUE(stub_->OpenSession(&context, {}, &session).ok());
  }
  // The same mark twice: carried out once.
  v1::WriteResponse answers[2];
  for (auto& answer : answers) {
    grpc::ClientContext context;
    set_deadline(context);
    v1::PutRequest request;
    *request.mutable_mark()->mutable_session() = session.session();
    request.mutable_mark()->set_sequence(1);
    request.mutable_mark()->set_lowest_unanswered(1);
    request.set_key("once");
    request.set_value("1");
    ASSERT_TRUE(stub_->Put(&context, request, &answer).ok());
  }
  EXPECT_EQ(answers[0].index(), answers[1].index());

  grpc::ClientContext granting, keeping, revoking, using_it, unknown;
  for (auto* context : {&granting, &keeping, &revoking, &using_it, &unknown}) set_deadline(*context);
  v1::GrantLeaseRequest grant;
  grant.set_ttl_micros(60'000'000);
  v1::GrantLeaseResponse lease;
  ASSERT_TRUE(stub_->GrantLease(&granting, grant, &lease).ok());
  v1::PutRequest request;
  request.set_key("leased");
  request.set_value("1");
  *request.mutable_lease() = lease.lease();
  v1::WriteResponse written;
  ASSERT_TRUE(stub_->Put(&using_it, request, &written).ok());
  v1::KeepLeaseRequest keep;
  *keep.mutable_lease() = lease.lease();
  v1::KeepLeaseResponse kept;
  ASSERT_TRUE(stub_->KeepLease(&keeping, keep, &kept).ok());
  EXPECT_GT(kept.remaining_micros(), 0);
  v1::RevokeLeaseRequest revoke;
  *revoke.mutable_lease() = lease.lease();
  ASSERT_TRUE(stub_->RevokeLease(&revoking, revoke, &written).ok());
  EXPECT_EQ(get("leased"), "nothing");
  EXPECT_EQ(stub_->KeepLease(&unknown, keep, &kept).error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(Served, WhoHasNoCertificateOfTheClusterIsRefused) {
  const crypto::CertificateAuthority other = net::make_authority("other-cluster.runink");
  for (const auto& credentials : {std::optional<crypto::Credentials>(), std::optional(user("eve", &other))}) {
    const auto stub = v1::KeyValue::NewStub(channel(credentials));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
    v1::GetRequest request;
    request.set_key("a");
    v1::GetResponse response;
    EXPECT_EQ(stub->Get(&context, request, &response).error_code(), grpc::StatusCode::UNAVAILABLE);
  }
  EXPECT_EQ(api_->counters().calls, 0u);
}

// One that was taken out of the cluster has its certificate still.
TEST_F(Served, AMemberReadsAndWritesNoKeys) {
  const auto stub = v1::KeyValue::NewStub(channel(net::credentials(authority_, net::member(2))));
  grpc::ClientContext context;
  set_deadline(context);
  v1::GetRequest request;
  request.set_key("a");
  v1::GetResponse response;
  EXPECT_EQ(stub->Get(&context, request, &response).error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

}  // namespace
}  // namespace runink::api
