// Three whole members in one process: mutual TLS on loopback, journals and RocksDB on the disk.
#include "control/server/barn_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "platform/net/tls_in_test.h"
#include "platform/os/temp.h"

namespace runink::server {
namespace {

using barn::Answer;
using barn::Command;

class Cluster : public testing::Test {
 protected:
  static constexpr int64_t kDeadlineNanos = 60'000'000'000;

  BarnOptions options(raft::NodeId id) {
    BarnOptions out;
    out.folder = folder_->path() + "/" + std::to_string(id);
    out.identity.cluster.fill(9);
    out.identity.node = id;
    out.trust_domain = net::kTestDomain;
    out.context = net::context(authority_, id);
    out.key = key_;
    out.listen = net::loopback();
    out.tick_nanos = 20'000'000;
    out.cache_bytes = out.write_buffer_bytes = 1 << 20;
    out.member.snapshot_entries = 500;
    out.member.keep_entries = 50;
    return out;
  }
  void create(raft::NodeId id, const raft::Membership& founders) {
    const Status status = BarnServer::create(options(id), founders);
    ASSERT_TRUE(status.ok()) << status.to_string();
  }
  void start(raft::NodeId id) {
    auto server =
        BarnServer::start(*loop_, options(id), [this](const Status& status) { failure_ = status.to_string(); });
    ASSERT_TRUE(server.ok()) << server.status().to_string();
    servers_[id] = std::move(*server);
    introduce();
  }
  // Addresses change with every start here.
  void introduce() {
    for (auto& [a, from] : servers_) {
      for (auto& [b, to] : servers_) {
        if (a == b) continue;
        ASSERT_TRUE(from->transport().add_peer(b, to->transport().address().text()).ok());
      }
    }
  }
  bool until(const std::function<bool()>& done) {
    const int64_t end = system_clock().steady_nanos() + kDeadlineNanos;
    while (!done()) {
      if (!failure_.empty() || system_clock().steady_nanos() > end) return false;
      loop_->turn(5'000'000);
    }
    return true;
  }
  BarnServer* leader() {
    for (auto& [id, server] : servers_) {
      if (server->member().leads()) return server.get();
    }
    return nullptr;
  }
  // Tried until a leader has answered.
  Answer execute(const Command& command) {
    std::optional<Answer> answer;
    while (!answer) {
      if (!until([this] { return leader() != nullptr; })) break;
      bool over = false;
      leader()->replica().execute(command, [&](Result<Answer> got) {
        over = true;
        if (got.ok()) answer = *got;
      });
      if (!until([&] { return over; })) break;
    }
    EXPECT_TRUE(answer.has_value()) << failure_;
    return answer.value_or(Answer{});
  }
  void put(const std::string& key, const std::string& value) {
    Command command;
    command.body = barn::Put{.key = key, .value = value};
    EXPECT_TRUE(execute(command).ok());
  }
  bool same_everywhere(barn::Index at_least) {
    for (auto& [id, server] : servers_) {
      if (server->replica().position().index < at_least ||
          !(server->replica().position() == servers_.begin()->second->replica().position()))
        return false;
    }
    return true;
  }
  barn::Index last() { return leader() == nullptr ? 0 : leader()->replica().position().index; }

  std::optional<os::TempFolder> folder_ = *os::TempFolder::create("");
  std::unique_ptr<net::EventLoop> loop_ = *net::EventLoop::create();
  crypto::CertificateAuthority authority_ = net::make_authority();
  crypto::SealingKey key_ = crypto::SealingKey::generate();
  std::map<raft::NodeId, std::unique_ptr<BarnServer>> servers_;
  std::string failure_;
};

TEST_F(Cluster, ThreeMembersAgreeAndOneThatWasAwayCatchesUp) {
  const raft::Membership founders{{1, 2, 3}, {}};
  for (raft::NodeId id = 1; id <= 3; ++id) create(id, founders);
  for (raft::NodeId id = 1; id <= 3; ++id) start(id);
  for (int i = 0; i < 20; ++i) put("key-" + std::to_string(i), "value");
  ASSERT_TRUE(until([this] { return same_everywhere(21); })) << failure_;

  // A follower is gone, the others go on; then the leader is.
  const raft::NodeId away = leader() == servers_[1].get() ? 2 : 1;
  servers_.erase(away);
  put("while-away", "1");
  start(away);
  ASSERT_TRUE(until([this] { return same_everywhere(22); })) << failure_;
  for (auto& [id, server] : servers_) {
    if (!server->member().leads()) continue;
    servers_.erase(id);
    break;
  }
  put("after-the-leader", "2");
  EXPECT_EQ(servers_.size(), 2u);
  bool read = false;
  leader()->replica().read([&](const Status& status) { read = status.ok(); });
  ASSERT_TRUE(until([&] { return read; })) << failure_;
  const auto value = leader()->replica().machine().get("while-away");
  ASSERT_TRUE(value.ok() && value->has_value());
  EXPECT_EQ((*value)->value, "1");
}

TEST_F(Cluster, ANewMemberFetchesASnapshotAndVotes) {
  create(1, {{1}, {}});
  start(1);
  const std::string large(2000, 'x');
  for (int i = 0; i < 1200; ++i) {
    Command command;
    const std::string key = "key-" + std::to_string(i % 300);
    command.body = barn::Put{.key = key, .value = large};
    leader() != nullptr ? leader()->replica().execute(command, [](const Result<Answer>&) {}) : put(key, large);
    if (i % 100 == 99) put("mark", std::to_string(i));
  }
  ASSERT_TRUE(until([this] { return servers_[1]->member().raft().log().base() > 400; })) << failure_;
  create(2, {});
  start(2);
  ASSERT_TRUE(servers_[1]->member().change_membership({raft::ChangeKind::kAddLearner, 2}).ok());
  ASSERT_TRUE(until([this] { return servers_[2]->replica().position().index >= last() && last() > 0; })) << failure_;
  // A second one where the leader's next snapshot was done, and its log cut, before the first had arrived.
  EXPECT_THAT(servers_[2]->keeper().counters().transfers, testing::AllOf(testing::Ge(1u), testing::Le(2u)));
  // The leader hears of it a moment later.
  ASSERT_TRUE(until([this] { return servers_[1]->member().raft().peers().at(2).match >= last(); })) << failure_;
  const auto promoted = servers_[1]->member().change_membership({raft::ChangeKind::kPromote, 2});
  ASSERT_TRUE(promoted.ok()) << promoted.status().to_string();
  ASSERT_TRUE(until([this] { return servers_[2]->member().raft().membership().votes(2); })) << failure_;
  put("both", "1");
  ASSERT_TRUE(until([this] { return same_everywhere(last()); })) << failure_;
  // Again from what lies on its disk.
  servers_.erase(2);
  start(2);
  put("again", "1");
  ASSERT_TRUE(until([this] { return same_everywhere(last()); })) << failure_;
  EXPECT_EQ(servers_[2]->keeper().counters().transfers, 0u);
}

TEST_F(Cluster, AFolderIsOfOneMemberAndOneCluster) {
  EXPECT_EQ(BarnServer::start(*loop_, options(1), [](const Status&) {}).status().code(), Code::kNotFound);
  create(1, {{1}, {}});
  EXPECT_EQ(BarnServer::create(options(1), {{1}, {}}).code(), Code::kAlreadyExists);
  BarnOptions other = options(1);
  other.identity.cluster.fill(8);
  EXPECT_EQ(BarnServer::start(*loop_, other, [](const Status&) {}).status().code(), Code::kFailedPrecondition);
  other = options(1);
  other.key = crypto::SealingKey::generate();
  const Status wrong = BarnServer::start(*loop_, other, [](const Status&) {}).status();
  EXPECT_EQ(wrong.code(), Code::kFailedPrecondition);
  EXPECT_THAT(wrong.to_string(), testing::HasSubstr("key"));
}

}  // namespace
}  // namespace runink::server
