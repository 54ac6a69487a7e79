// One member, number 3, that is fed a cluster's log entry by entry. Member 1 founded the cluster, 2 came and took its
// place, then 3 joined, and was taken out again.
#include "control/cluster/cluster_reconciler.h"

#include <gtest/gtest.h>

#include "control/barn/command.h"
#include "control/cluster/parts_in_test.h"
#include "control/raft/core/membership.h"

namespace runink::cluster {
namespace {

std::shared_ptr<const std::string> command(barn::Body body) {
  barn::Command out;
  out.body = std::move(body);
  return std::make_shared<const std::string>(encode_command(out));
}

// The log, and where in it what happens that is asked for below.
class History {
 public:
  static constexpr raft::Index kFirstForgotten = 10, kThirdOut = 15, kThirdForgotten = 16;
  History() {
    add(raft::EntryKind::kNoop, nullptr);                                 // 1
    txn({cluster(2), member(1, v1::MemberRecord::MEMBER)});               // 2
    txn({cluster(3), token(2)});                                          // 3
    txn({forget(token_key("2")), member(2, v1::MemberRecord::JOINING)});  // 4
    txn({cluster(3)});                                                    // 5
    membership({{1}, {2}});                                               // 6
    txn({member(2, v1::MemberRecord::MEMBER)});                           // 7
    membership({{1, 2}, {}});                                             // 8
    membership({{2}, {}});                                                // 9
    txn({forget(member_key(1))});                                         // 10
    txn({cluster(4), token(3)});                                          // 11
    txn({forget(token_key("3")), member(3, v1::MemberRecord::JOINING)});  // 12
    membership({{2}, {3}});                                               // 13
    txn({member(3, v1::MemberRecord::MEMBER)});                           // 14
    membership({{2}, {}});                                                // 15
    txn({forget(member_key(3))});                                         // 16
  }
  const raft::Entry& at(raft::Index index) const { return entries_[index - 1]; }
  raft::Index last() const { return entries_.size(); }

 private:
  using Op = std::pair<std::string, std::optional<std::string>>;
  void add(raft::EntryKind kind, std::shared_ptr<const std::string> data) {
    entries_.push_back({entries_.size() + 1, 1, kind, std::move(data)});
  }
  void txn(const std::vector<Op>& ops) {
    barn::Txn txn;
    for (const auto& [key, value] : ops) {
      value ? txn.then_ops.emplace_back(barn::Put{.key = key, .value = *value})
            : txn.then_ops.emplace_back(barn::Delete{.key = key});
    }
    add(raft::EntryKind::kCommand, command(std::move(txn)));
  }
  void membership(const raft::Membership& membership) {
    add(raft::EntryKind::kMembership, std::make_shared<const std::string>(encode(membership)));
  }
  static Op cluster(raft::NodeId next) {
    v1::ClusterRecord record;
    record.set_id(kCluster);
    record.set_next_node(next);
    return {cluster_key(), record.SerializeAsString()};
  }
  static Op member(raft::NodeId node, v1::MemberRecord::Stage stage) {
    v1::MemberRecord record;
    record.set_node(node);
    record.mutable_addresses()->set_members("host:" + std::to_string(node));
    record.set_stage(stage);
    return {member_key(node), record.SerializeAsString()};
  }
  static Op token(raft::NodeId node) {
    v1::TokenRecord record;
    record.set_node(node);
    return {token_key(std::to_string(node)), record.SerializeAsString()};
  }
  static Op forget(std::string key) { return {std::move(key), std::nullopt}; }

  std::vector<raft::Entry> entries_;
};

class Node {
 public:
  explicit Node(raft::NodeId id, raft::Membership membership = {}) {
    raft::MemberOptions options;
    options.core.id = id;
    options.core.random = [] { return uint64_t{7}; };
    raft::Recovered recovered;
    recovered.membership = std::move(membership);
    replica_ = std::move(*barn::Replica::open(&keeper_, &system_clock()));
    member_ = std::make_unique<raft::Member>(options, recovered, written_, peers_, *replica_);
    replica_->attach(member_.get());
    reconciler_ = std::make_unique<ClusterReconciler>(kCluster, id, *replica_, *member_, peers_, system_clock());
  }
  void feed(const History& history, raft::Index through) {
    while (fed_ < through) {
      raft::Message message;
      message.kind = raft::MessageKind::kAppend;
      message.from = member_->raft().id() == 2 ? 1 : 2;
      message.to = member_->raft().id();
      message.term = 1;
      message.index = fed_;
      message.log_term = fed_ == 0 ? 0 : 1;
      message.commit = ++fed_;
      message.entries = {history.at(fed_)};
      member_->on_message(std::move(message));
      do {
        member_->pump();
        for (const auto& work : std::exchange(written_.works, {})) work.done(Status());
        member_->pump();
      } while (!written_.works.empty());
      ASSERT_EQ(replica_->position().index, fed_);
      ASSERT_TRUE(reconciler_->tick().ok());
    }
  }
  // The state alone, as a snapshot brings it before the log begins behind it.
  void take_over_state(const History& history, raft::Index through) {
    std::vector<raft::Entry> entries;
    for (raft::Index index = 1; index <= through; ++index) entries.push_back(history.at(index));
    ASSERT_TRUE(replica_->apply(entries).ok());
    ASSERT_TRUE(reconciler_->tick().ok());
  }
  Peers& peers() { return peers_; }
  ClusterReconciler& reconciler() { return *reconciler_; }

 private:
  Keeper keeper_;
  Written written_;
  Peers peers_;
  std::unique_ptr<barn::Replica> replica_;
  std::unique_ptr<raft::Member> member_;
  std::unique_ptr<ClusterReconciler> reconciler_;
  raft::Index fed_ = 0;
};

// Who feeds it came to the cluster after what it is fed.
TEST(ClusterReconcilerTest, AMemberThatIsFedAnOldLogKeepsWhoFeedsIt) {
  const History history;
  Node node(3);
  ASSERT_TRUE(node.peers().add_peer(2, "host:2").ok());  // as it was told when it joined
  for (raft::Index index = 1; index <= history.last(); ++index) {
    node.feed(history, index);
    EXPECT_TRUE(node.peers().addresses.contains(2)) << index;
    EXPECT_FALSE(node.reconciler().gone(2)) << index;
    EXPECT_EQ(node.peers().addresses.contains(1), index > 1 && index < History::kFirstForgotten) << index;
    EXPECT_EQ(node.reconciler().gone(1), index >= History::kFirstForgotten) << index;
  }
}

TEST(ClusterReconcilerTest, OnlyARemovalIsOne) {
  const History history;
  Node joined(3);
  // As after giving up its log (abandon_log): who was in the cluster last is known, and the log comes from the
  // beginning.
  Node anew(3, {{2}, {3}});
  for (raft::Index index = 1; index <= history.last(); ++index) {
    for (Node* node : {&joined, &anew}) {
      node->feed(history, index);
      EXPECT_EQ(node->reconciler().removed(), index >= History::kThirdOut) << index;
    }
  }
}

TEST(ClusterReconcilerTest, AStateThatIsAheadOfItsLogTakesNobodyOut) {
  const History history;
  Node node(3, {{1}, {}});
  node.take_over_state(history, History::kThirdOut - 1);
  EXPECT_FALSE(node.reconciler().removed());
}

TEST(ClusterReconcilerTest, AMemberThatIsBehindDoesNotTakeAnybodyOut) {
  const History history;
  for (raft::Index index = 1; index <= history.last(); ++index) {
    Node teller(2);
    teller.feed(history, index);
    Node asker(3);
    asker.reconciler().heard(teller.reconciler().directory());
    EXPECT_EQ(asker.reconciler().removed(), index >= History::kThirdForgotten) << index;
    // And it learns of who is there.
    EXPECT_EQ(asker.peers().addresses.contains(1), index > 1 && index < History::kFirstForgotten) << index;
  }
}

}  // namespace
}  // namespace runink::cluster
