// A cluster of one member, in memory, and what its operator asks of it.
#include "control/cluster/cluster_frontend.h"

#include <gtest/gtest.h>

#include "control/cluster/cluster_reconciler.h"
#include "control/cluster/parts_in_test.h"

namespace runink::cluster {
namespace {

class FrontendTest : public testing::Test {
 protected:
  void SetUp() override {
    raft::MemberOptions options;
    options.core.id = 1;
    options.core.random = [] { return uint64_t{7}; };
    raft::Recovered recovered;
    recovered.membership = {{1}, {}};
    replica_ = std::move(*barn::Replica::open(&keeper_, &system_clock()));
    member_ = std::make_unique<raft::Member>(options, recovered, written_, peers_, *replica_);
    replica_->attach(member_.get());
    reconciler_ = std::make_unique<ClusterReconciler>(kCluster, 1, *replica_, *member_, peers_, system_clock());
    frontend_ = std::make_unique<ClusterFrontend>(kCluster, 1, *replica_, *member_, system_clock());
    until([&] { return member_->leads(); });
    const auto authority = crypto::CertificateAuthority::create(fmt::format("{}.runink", kCluster), 0);
    ASSERT_TRUE(authority.ok());
    v1::Addresses addresses;
    for (auto* each :
         {addresses.mutable_api(), addresses.mutable_members(), addresses.mutable_join(), addresses.mutable_metrics()})
      *each = "host:1";
    ASSERT_TRUE(wait<bool>([&](auto done) { frontend_->found("shop", addresses, *authority, done); }).ok());
  }
  // As a member does, but for the passing of time.
  void turn() {
    member_->tick();
    do {
      member_->pump();
      for (const auto& work : std::exchange(written_.works, {})) work.done(Status());
      member_->pump();
    } while (!written_.works.empty());
    frontend_->tick();
  }
  template <typename Condition>
  void until(Condition condition) {
    for (int turns = 0; turns < 1000 && !condition(); ++turns) turn();
    ASSERT_TRUE(condition());
  }
  template <typename T, typename Ask>
  Result<T> wait(Ask ask) {
    std::optional<Result<T>> answer;
    ask([&](Result<T> said) { answer = std::move(said); });
    until([&] { return answer.has_value(); });
    return answer ? std::move(*answer) : Result<T>(internal_error("no answer"));
  }
  void put(const std::string& key, const std::string& value) {
    barn::Command command;
    command.body = barn::Put{.key = key, .value = value};
    ASSERT_TRUE(wait<barn::Answer>([&](auto done) { replica_->execute(std::move(command), done); }).ok());
  }
  bool there(raft::NodeId node) { return (*find_member(replica_->machine(), node)).has_value(); }

  Keeper keeper_;
  Written written_;
  Peers peers_;
  std::unique_ptr<barn::Replica> replica_;
  std::unique_ptr<raft::Member> member_;
  std::unique_ptr<ClusterReconciler> reconciler_;
  std::unique_ptr<ClusterFrontend> frontend_;
};

// Its record asks the leader to add it: while that is there, a removal alone would be undone.
TEST_F(FrontendTest, ANodeThatIsBeingLetInCanBeRemoved) {
  v1::MemberRecord record;
  record.set_node(2);
  record.mutable_addresses()->set_members("host:2");
  put(member_key(2), record.SerializeAsString());
  // Not added yet.
  ASSERT_TRUE(wait<v1::ChangeResponse>([&](auto done) { frontend_->remove_member(2, done); }).ok());
  EXPECT_FALSE(there(2));

  // Added, and nobody has written that down yet.
  record.set_node(3);
  put(member_key(3), record.SerializeAsString());
  ASSERT_TRUE(reconciler_->tick().ok());
  until([&] { return member_->raft().membership_at(member_->raft().applied()).learns(3); });
  ASSERT_TRUE(wait<v1::ChangeResponse>([&](auto done) { frontend_->remove_member(3, done); }).ok());
  EXPECT_FALSE(there(3));
  EXPECT_FALSE(member_->raft().membership().has(3));

  const auto nobody = wait<v1::ChangeResponse>([&](auto done) { frontend_->remove_member(4, done); });
  EXPECT_FALSE(nobody.ok());
}

TEST_F(FrontendTest, AnUnknownNodeIsNotFoundWhateverIsAskedOfIt) {
  const auto removed = wait<v1::ChangeResponse>([&](auto done) { frontend_->remove_member(9, done); });
  const auto promoted = wait<v1::ChangeResponse>([&](auto done) { frontend_->promote_member(9, done); });
  const auto led = wait<v1::TransferResponse>([&](auto done) { frontend_->transfer(9, done); });
  for (const Status& status : {removed.status(), promoted.status(), led.status()}) {
    EXPECT_EQ(status.code(), Code::kNotFound) << status.to_string();
    EXPECT_EQ(status.message(), "node 9 is not a member");
  }
}

TEST_F(FrontendTest, TheLeadGoesToWhoeverIsFitWhereNobodyIsNamed) {
  const auto led = wait<v1::TransferResponse>([&](auto done) { frontend_->transfer(0, done); });
  // There is nobody else here; but no member 0 was looked for.
  EXPECT_EQ(led.status().code(), Code::kFailedPrecondition) << led.status().to_string();
}

TEST_F(FrontendTest, TokensAreListedByMemberAndTime) {
  v1::TokenRecord record;
  const std::vector<std::pair<uint64_t, int64_t>> expected = {{2, 100}, {2, 300}, {3, 200}, {7, 50}};
  for (const size_t i : {2, 0, 3, 1}) {
    record.set_node(expected[i].first);
    record.set_expires_micros(expected[i].second);
    put(token_key(std::string(1, static_cast<char>('d' - i))), record.SerializeAsString());
  }
  const auto members = wait<v1::MembersResponse>([&](auto done) { frontend_->members(done); });
  ASSERT_TRUE(members.ok()) << members.status().to_string();
  std::vector<std::pair<uint64_t, int64_t>> listed;
  for (const auto& token : members->tokens()) listed.emplace_back(token.node(), token.expires_micros());
  EXPECT_EQ(listed, expected);
}

}  // namespace
}  // namespace runink::cluster
