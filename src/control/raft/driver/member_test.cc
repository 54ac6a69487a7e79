// The order in which a member does what a turn has brought. What it does at all is the simulator's to check.
#include "control/raft/driver/member.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

namespace runink::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// All that a member asks for, in order.
struct Record final : Storage, Transport, Application {
  void submit(StorageWork work) override {
    done.push_back(std::move(work.done));
    happened.push_back("write");
  }
  Status failure() const override { return {}; }
  bool has_space() const override { return space; }
  bool has_reserve() const override { return reserve; }

  void set_receiver(TransportReceiver*) override {}
  void set_bulk_source(BulkSource*) override {}
  Status add_peer(NodeId, const std::string&) override { return {}; }
  void remove_peer(NodeId) override {}
  void send(Message message) override {
    happened.push_back(message.kind == MessageKind::kAppendReply ? "acknowledge " + std::to_string(message.index)
                                                                 : "send");
  }
  void flush() override { happened.push_back("flush"); }
  void fetch(NodeId, BulkRequest, BulkAnswer) override {}
  std::vector<PeerStatus> peers() const override { return {}; }

  Status apply(std::span<const Entry> entries) override {
    happened.push_back("apply to " + std::to_string(entries.back().index));
    return {};
  }
  void make_snapshot(const SnapshotMeta&, std::function<void(Status)>) override {}
  std::optional<SnapshotMeta> newest_snapshot() const override { return std::nullopt; }
  void install_snapshot(NodeId, const SnapshotMeta&, std::function<void(Status)>) override {}
  void on_role(Role, Term, NodeId) override {}

  std::vector<std::string> take() { return std::exchange(happened, {}); }
  void write_is_done() {
    for (auto& each : std::exchange(done, {})) each(Status());
  }

  bool space = true, reserve = true;
  std::vector<std::string> happened;
  std::vector<std::function<void(Status)>> done;
};

class FollowerTest : public ::testing::Test {
 protected:
  FollowerTest() {
    MemberOptions options;
    options.core.id = 2;
    options.core.random = [] { return uint64_t{1}; };
    Recovered recovered;
    recovered.membership = {{1, 2, 3}, {}};
    member_ = std::make_unique<Member>(std::move(options), std::move(recovered), record_, record_, record_);
  }

  void hear_noop(Index before, Term term) {
    Message m{.kind = MessageKind::kAppend, .from = 1, .to = 2, .term = term, .index = before};
    m.log_term = before == 0 ? 0 : 1;
    m.entries.push_back({before + 1, term, EntryKind::kNoop, nullptr});
    member_->on_message(std::move(m));
  }
  // So many entries behind that index, of the leader.
  void hear(Index before, size_t count, Index commit) {
    Message m{.kind = MessageKind::kAppend, .from = 1, .to = 2, .term = 1, .index = before};
    m.log_term = before == 0 ? 0 : 1;
    m.commit = commit;
    for (size_t i = 1; i <= count; ++i)
      m.entries.push_back({before + i, 1, EntryKind::kCommand, std::make_shared<const std::string>("x")});
    member_->on_message(std::move(m));
  }
  std::vector<std::string> pump() {
    member_->pump();
    return record_.take();
  }

  Record record_;
  std::unique_ptr<Member> member_;
};

// On a full disk: what a new leader needs to answer reads, and nothing else, as long as it fits into what is reserved.
TEST_F(FollowerTest, WithoutSpaceOnlyTheFirstEntryOfATermIsTaken) {
  hear(0, 1, 0);
  pump();
  record_.write_is_done();
  pump();
  record_.space = false;
  hear(1, 2, 0);
  EXPECT_THAT(pump(), ElementsAre("acknowledge 1"));
  hear_noop(1, 2);
  EXPECT_THAT(pump(), ElementsAre("write"));
  record_.write_is_done();
  EXPECT_THAT(pump(), ElementsAre("acknowledge 2"));
  record_.reserve = false;
  hear_noop(2, 3);
  EXPECT_THAT(pump(), ElementsAre("write"));  // the term
  EXPECT_EQ(member_->raft().log().last(), 2u);
}

TEST_F(FollowerTest, AcknowledgesWhatItWroteBeforeItAppliesWhatWasBefore) {
  hear(0, 1, 0);
  EXPECT_THAT(pump(), ElementsAre("write"));
  record_.write_is_done();
  EXPECT_THAT(pump(), ElementsAre("acknowledge 1"));
  hear(1, 1, 1);
  EXPECT_THAT(pump(), ElementsAre("write"));
  EXPECT_THAT(pump(), IsEmpty());
  record_.write_is_done();
  EXPECT_THAT(pump(), ElementsAre("acknowledge 2", "flush", "apply to 1"));
  EXPECT_EQ(member_->raft().applied(), 1u);

  // There is nothing to be written.
  hear(2, 0, 2);
  EXPECT_THAT(pump(), ElementsAre("acknowledge 2", "apply to 2"));
}

TEST_F(FollowerTest, AppliesInOrderWhereItsDiskIsSlow) {
  hear(0, 3, 0);
  pump();
  record_.write_is_done();
  pump();
  hear(3, 1, 1);
  EXPECT_THAT(pump(), ElementsAre("write"));
  hear(4, 1, 2);
  EXPECT_THAT(pump(), ElementsAre("write", "apply to 1"));
  hear(5, 20, 3);
  EXPECT_THAT(pump(), ElementsAre("write", "apply to 2"));
  record_.write_is_done();
  EXPECT_THAT(pump(), ElementsAre("acknowledge 4", "acknowledge 5", "acknowledge 25", "flush", "apply to 3"));

  // Many are not left for later.
  hear(25, 1, 25);
  EXPECT_THAT(pump(), ElementsAre("write", "apply to 25"));
}

}  // namespace
}  // namespace runink::raft
