// Test code: some whole members in one process, on one event loop; mutual TLS on loopback, journals and RocksDB on the
// disk. A member that fails is noted by its id, and may be started again.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "control/server/barn_server.h"
#include "platform/net/tls_in_test.h"
#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::server {

class Members : public testing::Test {
 protected:
  static constexpr int64_t kDeadlineNanos = 60'000'000'000;

  BarnOptions options(raft::NodeId id) {
    BarnOptions out;
    out.folder = folder_of(id);
    out.identity.cluster.fill(9);
    out.identity.node = id;
    out.trust_domain = net::kTestDomain;
    out.context = net::context(authority_, id);
    if (sealed_) out.key = key_;
    out.listen = net::loopback();
    out.tick_nanos = 20'000'000;
    out.cache_bytes = out.write_buffer_bytes = 1 << 20;
    out.member.snapshot_entries = snapshot_entries_;
    out.member.keep_entries = 50;
    out.integrity.compare_nanos = 50'000'000;
    out.integrity.scrub_nanos = 0;
    out.integrity.scrub_first_nanos = 0;
    out.integrity.pace = {1ULL << 40, 64 << 10};
    out.replica.machine.cache_bytes = 0;  // rows are read from the store every time
    out.integrity.on_alarm = [this, id](const Status& status) {
      alarms_[id] += (status.ok() ? "over" : status.kind()) + " ";
    };
    change_options(out);
    return out;
  }
  virtual void change_options(BarnOptions&) {}
  std::string folder_of(raft::NodeId id) { return folder_->path() + "/" + std::to_string(id); }

  void found(raft::NodeId count) {
    raft::Membership founders;
    for (raft::NodeId id = 1; id <= count; ++id) founders.voters.push_back(id);
    for (raft::NodeId id = 1; id <= count; ++id) {
      const Status status = BarnServer::create(options(id), founders);
      ASSERT_TRUE(status.ok()) << status.to_string();
    }
    for (raft::NodeId id = 1; id <= count; ++id) start(id);
  }
  void start(raft::NodeId id) {
    failures_.erase(id);
    auto server = BarnServer::start(*loop_, options(id), [this, id](const Status& status) { failures_[id] = status; });
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
      if (system_clock().steady_nanos() > end) return false;
      loop_->turn(5'000'000);
    }
    return true;
  }
  BarnServer* leader() {
    for (auto& [id, server] : servers_) {
      if (server->member().failed().ok() && server->member().leads()) return server.get();
    }
    return nullptr;
  }
  raft::NodeId leader_id() { return leader() == nullptr ? 0 : leader()->member().raft().id(); }
  raft::NodeId follower_id() {
    if (!until([this] { return leader() != nullptr; })) return 0;
    for (auto& [id, server] : servers_) {
      if (server->member().failed().ok() && !server->member().leads()) return id;
    }
    return 0;
  }
  // Tried until a leader has answered.
  std::optional<barn::Answer> execute(const barn::Command& command) {
    std::optional<barn::Answer> answer;
    const bool answered = until([&] {
      if (leader() == nullptr) return false;
      auto over = std::make_shared<bool>(false);
      auto got = std::make_shared<std::optional<barn::Answer>>();
      leader()->replica().execute(command, [over, got](Result<barn::Answer> result) {
        *over = true;
        if (result.ok()) *got = std::move(*result);
      });
      for (int turn = 0; turn < 1000 && !*over; ++turn) loop_->turn(5'000'000);
      answer = *got;
      return answer.has_value();
    });
    EXPECT_TRUE(answered);
    return answer;
  }
  void put(const std::string& key, const std::string& value, bool want_previous = false) {
    barn::Command command;
    command.body = barn::Put{.key = key, .value = value, .want_previous = want_previous};
    const auto answer = execute(command);
    ASSERT_TRUE(answer && answer->ok()) << key;
  }
  bool same_everywhere() {
    if (leader() == nullptr) return false;
    const barn::Position position = leader()->replica().position();
    for (auto& [id, server] : servers_) {
      if (!(server->replica().position() == position) || !server->member().raft().may_vote()) return false;
    }
    return position.index == leader()->member().raft().log().last();
  }

  bool sealed_ = false;
  barn::Index snapshot_entries_ = 1'000'000;
  std::optional<os::TempFolder> folder_ = *os::TempFolder::create("");
  std::unique_ptr<net::EventLoop> loop_ = *net::EventLoop::create();
  crypto::CertificateAuthority authority_ = net::make_authority();
  crypto::SealingKey key_ = crypto::SealingKey::generate();
  std::map<raft::NodeId, Status> failures_;
  std::map<raft::NodeId, std::string> alarms_;
  std::map<raft::NodeId, std::unique_ptr<BarnServer>> servers_;
};

}  // namespace runink::server
