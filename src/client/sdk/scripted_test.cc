// The client against a member that answers as a test says: what real ones do seldom.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>

#include "client/sdk/cluster_test.h"
#include "client/sdk/scripted_server_test.h"
#include "runink/barn/v1/key_value.grpc.pb.h"

namespace runink::sdk {
namespace {

// What a write gets, with its try counted from 1; std::nullopt: the stream breaks.
using Script = std::function<std::optional<Status>(const v1::PutRequest&, int tries)>;

class ScriptedMember final : public v1::KeyValue::Service {
 public:
  ScriptedMember(const crypto::CertificateAuthority& authority, Script script, Status proof = {})
      : script_(std::move(script)), proof_(std::move(proof)) {
    server_ = serve_scripted(authority, this, &port_);
  }
  ~ScriptedMember() override { server_->Shutdown(std::chrono::system_clock::now()); }

  grpc::Status OpenSession(grpc::ServerContext*, const v1::OpenSessionRequest*,
                           v1::OpenSessionResponse* response) override {
    response->mutable_session()->set_incarnation(1);
    response->mutable_session()->set_index(static_cast<uint64_t>(++sessions_));
    return grpc::Status::OK;
  }
  grpc::Status CloseSession(grpc::ServerContext*, const v1::CloseSessionRequest*, v1::WriteResponse*) override {
    return grpc::Status::OK;
  }
  grpc::Status Pack(grpc::ServerContext*,
                    grpc::ServerReaderWriter<v1::PackResponse, v1::PackRequest>* stream) override {
    v1::PackRequest request;
    while (stream->Read(&request)) {
      v1::PackResponse response;
      for (const auto& operation : request.operations()) {
        auto* const result = response.add_results();
        result->set_number(operation.number());
        std::optional<Status> status = proof_;
        if (operation.has_put()) {
          const std::lock_guard lock(mutex_);
          marks_.push_back(operation.put().mark());
          status = script_(operation.put(), static_cast<int>(marks_.size()));
        }
        if (!status) return {grpc::StatusCode::UNAVAILABLE, "scripted"};
        if (!status->ok()) {
          auto* const failure = result->mutable_failure();
          failure->set_code(static_cast<int>(status->code()));
          failure->set_message(status->message());
          failure->set_kind(status->kind());
          for (const auto& detail : status->details()) failure->add_details(detail);
        } else if (operation.has_range()) {
          result->mutable_range();
        } else {
          result->mutable_write()->set_index(7);
        }
      }
      stream->Write(response);
    }
    return grpc::Status::OK;
  }

  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  int sessions() const { return sessions_; }
  std::vector<v1::SessionMark> marks() {
    const std::lock_guard lock(mutex_);
    return marks_;
  }

 private:
  const Script script_;
  const Status proof_;
  std::unique_ptr<grpc::Server> server_;
  int port_ = 0;
  std::atomic<int> sessions_{0};
  std::mutex mutex_;
  std::vector<v1::SessionMark> marks_;
};

Status session_unknown() { return failed_precondition("no such session").with_kind("barn.session_unknown"); }

class Scripted : public testing::Test {
 protected:
  Result<v1::WriteResponse> put(Script script, int64_t timeout_nanos = 20 * kSecond, bool marks = true) {
    member_ = std::make_unique<ScriptedMember>(authority_, std::move(script));
    ClientOptions options = client_options(authority_);
    options.endpoints = {member_->address()};
    options.mark_writes = marks;
    return (*BarnClient::create(options))->put(put_request("a", "1"), {after(timeout_nanos)});
  }
  // All tries had one mark.
  void expect_one_mark(size_t tries) {
    const auto marks = member_->marks();
    ASSERT_EQ(marks.size(), tries);
    for (const auto& mark : marks) EXPECT_EQ(mark.SerializeAsString(), marks[0].SerializeAsString());
    EXPECT_EQ(marks[0].sequence(), 1u);
    EXPECT_EQ(marks[0].lowest_unanswered(), 1u);
  }
  const crypto::CertificateAuthority authority_ = net::make_authority();
  std::unique_ptr<ScriptedMember> member_;
};

TEST_F(Scripted, ABrokenStreamIsRepeatedUnderTheSameMark) {
  const auto result = put([](const auto&, int tries) -> std::optional<Status> {
    if (tries < 4) return std::nullopt;
    return Status();
  });
  ASSERT_TRUE(result.ok()) << result.status().to_string();
  EXPECT_EQ(result->index(), 7u);
  expect_one_mark(4);
}

TEST_F(Scripted, WhatIsBusyLostOrUnknownToTheMemberIsRepeatedUnderTheSameMark) {
  const auto result = put([](const auto&, int tries) -> std::optional<Status> {
    switch (tries) {
      case 1:
        return resource_exhausted("much to do").with_kind("barn.busy");
      case 2:
        return aborted("another leader").with_kind("barn.lost");
      case 3:
        return Status(Code::kUnknown, "not known here").with_kind("barn.unknown");
      case 4:
        return unavailable("does not lead").with_kind("barn.not_leader");
      default:
        return Status();
    }
  });
  ASSERT_TRUE(result.ok()) << result.status().to_string();
  expect_one_mark(5);
}

TEST_F(Scripted, AtTheDeadlineWhatWasRefusedForCertainIsNotUnknown) {
  // If the deadline comes while a try is under way, that is unknown; so now and then it takes another one.
  Status busy;
  ASSERT_TRUE(until([&] {
    busy = put([](const auto&,
                  int) -> std::optional<Status> { return resource_exhausted("much to do").with_kind("barn.busy"); },
               300 * kMillisecond)
               .status();
    return busy.kind() == "barn.busy";
  })) << busy.to_string();
  EXPECT_EQ(busy.code(), Code::kResourceExhausted);
  EXPECT_THAT(busy.to_string(), testing::HasSubstr("not carried out"));
  EXPECT_GT(member_->marks().size(), 1u);
  // But once a try was open, a refusal of a later one closes nothing.
  const auto open = put(
      [](const auto&, int tries) -> std::optional<Status> {
        if (tries == 1) return std::nullopt;
        return resource_exhausted("much to do").with_kind("barn.busy");
      },
      300 * kMillisecond);
  EXPECT_EQ(open.status().code(), Code::kUnknown) << open.status().to_string();
  EXPECT_EQ(open.status().kind(), "barn.unknown");
}

// Members that differ, and cannot tell who is right, propose nothing until they can: that may take hours.
TEST_F(Scripted, WhatMembersInDoubtRefuseIsAskedAgainNowAndThen) {
  Status doubt;
  ASSERT_TRUE(until([&] {  // as above
    doubt = put([](const auto&,
                   int) -> std::optional<Status> { return unavailable("members differ").with_kind("barn.in_doubt"); },
                300 * kMillisecond)
                .status();
    return doubt.kind() == "barn.in_doubt";
  })) << doubt.to_string();
  EXPECT_EQ(doubt.code(), Code::kUnavailable);
  EXPECT_THAT(doubt.to_string(), testing::HasSubstr("not carried out"));
  EXPECT_GT(member_->marks().size(), 1u);
  EXPECT_LT(member_->marks().size(), 40u);  // one in 10 ms at most
}

TEST_F(Scripted, ASessionThatEndedWhileTheOutcomeIsOpenLeavesItUnknown) {
  const auto result = put([](const auto&, int tries) -> std::optional<Status> {
    if (tries == 1) return std::nullopt;
    return session_unknown();
  });
  EXPECT_EQ(result.status().code(), Code::kUnknown) << result.status().to_string();
  EXPECT_EQ(result.status().kind(), "barn.unknown");
  expect_one_mark(2);
}

TEST_F(Scripted, ASessionThatHadEndedBeforeTheFirstTryIsReplaced) {
  const auto result = put([](const auto&, int tries) -> std::optional<Status> {
    if (tries == 1) return session_unknown();
    return Status();
  });
  ASSERT_TRUE(result.ok()) << result.status().to_string();
  const auto marks = member_->marks();
  ASSERT_EQ(marks.size(), 2u);
  EXPECT_EQ(marks[0].session().index(), 1u);
  EXPECT_EQ(marks[1].session().index(), 2u);
}

TEST_F(Scripted, WithoutMarksALostAnswerIsUnknownAtOnce) {
  const auto result = put([](const auto&, int) -> std::optional<Status> { return std::nullopt; }, 20 * kSecond, false);
  EXPECT_EQ(result.status().kind(), "barn.unknown");
  EXPECT_EQ(member_->marks().size(), 1u);
  EXPECT_EQ(member_->sessions(), 0);
}

TEST_F(Scripted, ARefusalThatTheLogWasNotAskedForDoesNotCloseAnOpenOutcome) {
  const auto refuse = [](int from) {
    return [from](const auto&, int tries) -> std::optional<Status> {
      if (tries < from) return std::nullopt;
      return resource_exhausted("too large").with_kind("barn.request_too_large");
    };
  };
  EXPECT_EQ(put(refuse(1)).status().kind(), "barn.request_too_large");
  EXPECT_EQ(put(refuse(2)).status().kind(), "barn.unknown");
  const auto no_chunk = [](int from) {
    return [from](const auto&, int tries) -> std::optional<Status> {
      if (tries < from) return std::nullopt;
      return failed_precondition("no such chunk").with_kind("barn.chunk.unknown");
    };
  };
  EXPECT_EQ(put(no_chunk(1)).status().kind(), "barn.chunk.unknown");
  EXPECT_EQ(put(no_chunk(2)).status().kind(), "barn.unknown");
}

TEST_F(Scripted, TheLeaderThatAMemberNamesIsFollowed) {
  ScriptedMember leader(authority_, [](const auto&, int) { return Status(); });
  ScriptedMember other(
      authority_, [](const auto&, int) { return Status(); },
      unavailable("does not lead").with_kind("barn.not_leader").with_detail("1").with_detail(leader.address()));
  ClientOptions options = client_options(authority_);
  options.endpoints = {other.address()};
  const auto result = (*BarnClient::create(options))->put(put_request("a", "1"));
  ASSERT_TRUE(result.ok()) << result.status().to_string();
  EXPECT_EQ(leader.marks().size(), 1u);
  EXPECT_EQ(other.marks().size(), 0u);
}

}  // namespace
}  // namespace runink::sdk
