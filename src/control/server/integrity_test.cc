// Members that hold something else than the others, or cannot read what they hold: found, taken out of service, and
// made whole from the others. Three real members in one process.
#include "control/server/integrity.h"

#include <gmock/gmock.h>

#include "control/barn/tables.h"
#include "control/server/members_in_test.h"
#include "control/server/quarantine.h"

namespace runink::server {
namespace {

using testing::HasSubstr;

// Changes a stored row behind the state machine's back.
void change_row(BarnServer& server, const std::string& key, const std::string& value) {
  auto& store = const_cast<barn::RocksStore&>(server.keeper().rocks());
  std::string row;
  const std::string where = barn::tables::key(barn::tables::kKeys, key);
  ASSERT_TRUE(*store.get(where, &row));
  barn::tables::Row decoded = *barn::tables::decode_row(row);
  decoded.value = value;
  std::string changed;
  barn::tables::append_row(changed, decoded);
  barn::WriteBatch batch;
  batch.put(where, changed);
  ASSERT_TRUE(store.apply(batch).ok());
}

// One bit, in the midst of the largest table. Returns the table's name.
std::string flip_bit(BarnServer& server) {
  barn::RocksStore::Table largest;
  for (const auto& table : server.keeper().rocks().tables()) {
    if (table.bytes > largest.bytes) largest = table;
  }
  EXPECT_GT(largest.bytes, 0u);
  const os::Fd file = *os::open_file(largest.path, os::OpenMode::kReadWrite);
  char byte = 0;
  EXPECT_TRUE(os::pread_full(file, &byte, 1, largest.bytes / 2).ok());
  byte = static_cast<char>(byte ^ 1);
  EXPECT_TRUE(os::pwrite_all(file, {&byte, 1}, largest.bytes / 2).ok());
  return largest.path;
}

class IntegrityOfMembers : public Members {
 protected:
  void change_options(BarnOptions& options) override {
    options.integrity.scrub_nanos = scrub_nanos_;
    if (slow_) options.integrity.pace = {1, 1};
  }
  void write_some(int count) {
    for (int i = 0; i < count; ++i)
      put("key-" + std::to_string(i % 50), std::string(500, static_cast<char>('a' + i % 26)));
    ASSERT_TRUE(until([this] { return same_everywhere(); }));
  }
  // What is applied is in tables.
  void flush(raft::NodeId id) {
    auto& store = const_cast<barn::RocksStore&>(servers_[id]->keeper().rocks());
    ASSERT_TRUE(store.checkpoint(folder_->path() + "/flush-" + std::to_string(id)).ok());
  }
  bool quarantined(raft::NodeId id) { return failures_.contains(id) && failures_[id].kind() == kQuarantinedKind; }
  // Is started again, has nothing, takes all from the others and gets its vote back.
  void expect_repair(raft::NodeId id) {
    servers_.erase(id);
    put("while-it-is-away", "1");
    start(id);
    EXPECT_FALSE(servers_[id]->member().raft().may_vote());
    EXPECT_EQ(servers_[id]->replica().position().index, 0u);
    EXPECT_THAT(servers_[id]->integrity().status().set_aside, Not(testing::IsEmpty()));
    ASSERT_TRUE(until([this] { return same_everywhere(); })) << failures_[id].to_string();
    EXPECT_TRUE(os::exists(folder_of(id) + "/state-quarantined/LIVE"));
    put("all-of-them", "1");
    ASSERT_TRUE(until([this] { return same_everywhere(); }));
    // And everybody says so.
    const barn::Index last = leader()->replica().position().index;
    ASSERT_TRUE(until([&] {
      for (auto& [a, server] : servers_) {
        const IntegrityStatus status = server->integrity().status();
        for (const auto& [b, peer] : status.peers) {
          if (peer.compared < last || peer.differs_from != 0 || peer.scrub_differs != 0) return false;
        }
      }
      return true;
    }));
    for (auto& [other, server] : servers_) EXPECT_TRUE(server->member().failed().ok()) << other;
    // Its next start is one like any other.
    servers_.erase(id);
    start(id);
    EXPECT_TRUE(servers_[id]->member().raft().may_vote());
    ASSERT_TRUE(until([this] { return same_everywhere(); }));
  }

  int64_t scrub_nanos_ = 0;
  bool slow_ = false;  // a scrub does not end
};

TEST_F(IntegrityOfMembers, WhoHasAppliedSomethingElseIsQuarantinedAndRepaired) {
  found(3);
  write_some(20);
  const raft::NodeId id = follower_id();
  change_row(*servers_[id], "key-7", "something else");
  put("key-7", "new", true);  // what was there before is part of the answer, and so of the digest
  ASSERT_TRUE(until([&] { return quarantined(id); }));
  EXPECT_THAT(failures_[id].to_string(), HasSubstr("at entry "));
  EXPECT_THAT(alarms_[id], HasSubstr("barn.quarantined"));
  EXPECT_EQ(failures_.size(), 1u);
  expect_repair(id);
}

TEST_F(IntegrityOfMembers, ALeaderThatHasAppliedSomethingElseStopsToo) {
  snapshot_entries_ = 40;
  found(3);
  write_some(200);
  const raft::NodeId id = leader_id();
  change_row(*servers_[id], "key-7", "something else");
  put("key-7", "new", true);
  ASSERT_TRUE(until([&] { return quarantined(id); }));
  ASSERT_TRUE(until([&] { return leader() != nullptr; }));
  EXPECT_NE(leader_id(), id);
  expect_repair(id);
  EXPECT_GT(servers_[id]->member().raft().log().base(), 0u);
}

TEST_F(IntegrityOfMembers, WithoutAMajorityNobodyServesUntilOneIsThere) {
  found(3);
  write_some(10);
  const raft::NodeId away = follower_id();
  servers_.erase(away);
  const raft::NodeId wrong = leader_id();
  change_row(*servers_[wrong], "key-3", "something else");
  put("key-3", "new", true);
  ASSERT_TRUE(until([&] {
    return std::all_of(servers_.begin(), servers_.end(), [](auto& s) { return s.second->integrity().in_doubt(); });
  }));
  EXPECT_TRUE(failures_.empty());
  for (auto& [id, server] : servers_) {
    std::optional<Status> read, written;
    server->replica().read([&](const Status& status) { read = status; });
    server->replica().execute({0, {}, barn::Put{.key = "k", .value = "v"}},
                              [&](const Result<barn::Answer>& answer) { written = answer.status(); });
    ASSERT_TRUE(read && written);
    EXPECT_EQ(read->kind(), "barn.in_doubt");
    EXPECT_EQ(written->kind(), "barn.in_doubt");
  }
  start(away);
  ASSERT_TRUE(until([&] { return quarantined(wrong); }));
  ASSERT_TRUE(until([&] {
    for (auto& [id, server] : servers_) {
      if (id != wrong && server->integrity().in_doubt()) return false;
    }
    return true;
  }));
  for (auto& [id, alarms] : alarms_) {
    if (id == wrong || id == away) continue;
    EXPECT_THAT(alarms, HasSubstr("barn.in_doubt"));
    EXPECT_THAT(alarms, HasSubstr("over"));
  }
  expect_repair(wrong);
}

// A third member that needs a snapshot would make a majority of whatever it is given. So nobody gives it one, until
// somebody has decided: who is taken to be wrong is stopped, and the other one begins anew without knowing of it.
TEST_F(IntegrityOfMembers, InDoubtNobodyGivesSnapshotsAndStoppingOneDecides) {
  snapshot_entries_ = 40;
  found(3);
  write_some(10);
  const raft::NodeId away = follower_id();
  servers_.erase(away);
  for (int i = 0; i < 150; ++i) put("key-3", "value " + std::to_string(i));
  const raft::NodeId wrong = leader_id(), right = 6 - away - wrong;
  ASSERT_TRUE(until([&] { return servers_[wrong]->member().raft().log().base() > 20; }));
  change_row(*servers_[wrong], "key-3", "something else");
  put("key-3", "new", true);
  const auto doubt = [this](raft::NodeId id) { return servers_[id]->integrity().in_doubt(); };
  ASSERT_TRUE(until([&] { return doubt(right) && doubt(wrong); }));
  start(away);
  const barn::Index before = servers_[away]->replica().position().index;
  ASSERT_TRUE(until([&] { return servers_[away]->keeper().counters().transfers_failed >= 2; }));
  EXPECT_EQ(servers_[away]->replica().position().index, before);
  EXPECT_TRUE(failures_.empty());

  servers_.erase(wrong);
  servers_.erase(right);
  start(right);
  ASSERT_TRUE(until([this] { return same_everywhere(); }));
  EXPECT_GT(servers_[away]->keeper().counters().transfers, 0u);
  put("decided", "1");
  start(wrong);
  ASSERT_TRUE(until([&] { return quarantined(wrong); }));
  expect_repair(wrong);
}

TEST_F(IntegrityOfMembers, WhatNoCommandTouchesIsFoundByAScrub) {
  scrub_nanos_ = 300'000'000;
  found(3);
  write_some(20);
  const raft::NodeId id = follower_id();
  change_row(*servers_[id], "key-7", "something else");
  ASSERT_TRUE(until([&] { return quarantined(id); }));
  EXPECT_THAT(failures_[id].to_string(), HasSubstr("has stored"));
  EXPECT_THAT(failures_[id].to_string(), HasSubstr("range"));
  expect_repair(id);
}

TEST_F(IntegrityOfMembers, AScrubLetsGoOfAStateThatASnapshotReplaces) {
  scrub_nanos_ = 100'000'000;
  slow_ = true;
  snapshot_entries_ = 40;
  found(3);
  write_some(20);
  ASSERT_TRUE(until([this] {
    return std::all_of(servers_.begin(), servers_.end(),
                       [](auto& s) { return s.second->integrity().status().scrub_under_way; });
  }));
  const raft::NodeId id = follower_id();
  for (auto& [other, server] : servers_) {
    if (other == id) continue;
    server->transport().remove_peer(id);
    servers_[id]->transport().remove_peer(other);
  }
  for (int i = 0; i < 150; ++i) put("key-3", "value " + std::to_string(i));
  const barn::Index last = servers_[id]->replica().position().index;
  ASSERT_TRUE(until([&] { return leader()->member().raft().log().base() > last; }));
  EXPECT_TRUE(servers_[id]->integrity().status().scrub_under_way);
  introduce();
  ASSERT_TRUE(until([this] { return same_everywhere(); }));
  EXPECT_EQ(servers_[id]->keeper().counters().transfers, 1u);
  EXPECT_FALSE(servers_[id]->integrity().status().scrub_under_way);
  EXPECT_TRUE(failures_.empty());
}

class FlippedBit : public IntegrityOfMembers, public testing::WithParamInterface<bool> {};

TEST_P(FlippedBit, IsFoundByTheNextScrubAndRepaired) {
  sealed_ = GetParam();
  scrub_nanos_ = 300'000'000;
  snapshot_entries_ = 60;
  found(3);
  write_some(150);
  const raft::NodeId id = follower_id();
  flush(id);
  std::string table = flip_bit(*servers_[id]);
  uint64_t before = servers_[id]->integrity().status().scrubs;
  ASSERT_TRUE(until([&] {
    if (quarantined(id)) return true;
    // A compaction that had read it just before has taken it away.
    if (!os::exists(table)) {
      table = flip_bit(*servers_[id]);
      before = servers_[id]->integrity().status().scrubs;
    }
    return false;
  }));
  // By the one that was under way, or the one after it.
  EXPECT_LE(servers_[id]->integrity().status().scrubs, before + 2);
  EXPECT_THAT(failures_[id].to_string(), HasSubstr("cannot be read"));
  EXPECT_THAT(failures_[id].to_string(), HasSubstr(os::file_name_of(table)));
  EXPECT_EQ(failures_.size(), 1u);
  expect_repair(id);
  EXPECT_EQ(servers_[id]->keeper().counters().transfers, 0u);
  EXPECT_GT(servers_[id]->member().raft().log().base(), 0u);  // what it took over was a snapshot
}
INSTANTIATE_TEST_SUITE_P(PlainAndSealed, FlippedBit, testing::Bool(),
                         [](const auto& info) { return info.param ? "Sealed" : "Plain"; });

TEST_F(IntegrityOfMembers, ADamagedBlockThatIsReadEndsTheService) {
  found(3);
  write_some(100);
  const raft::NodeId id = follower_id();
  flush(id);
  servers_.erase(id);  // nothing of it is cached
  start(id);
  ASSERT_TRUE(until([this] { return same_everywhere(); }));
  for (const auto& table : servers_[id]->keeper().rocks().tables()) {
    const os::Fd file = *os::open_file(table.path, os::OpenMode::kReadWrite);
    for (uint64_t at = 10; at < table.bytes; at += 100) ASSERT_TRUE(os::pwrite_all(file, "x", at).ok());
  }
  bool refused = false;
  for (int i = 0; i < 50 && !refused; ++i)
    refused = !servers_[id]->replica().machine().get("key-" + std::to_string(i)).ok();
  EXPECT_TRUE(refused);
  ASSERT_TRUE(until([&] { return quarantined(id); }));
  expect_repair(id);
}

TEST_F(IntegrityOfMembers, ADamagedMemberWhoseOthersDoNotSufficeKeepsWhatItHas) {
  found(2);
  write_some(20);
  const raft::NodeId id = follower_id();
  flush(id);
  flip_bit(*servers_[id]);
  for (const auto& table : servers_[id]->keeper().rocks().tables())
    (void)servers_[id]->keeper().rocks().verify_table(table);
  ASSERT_TRUE(until([&] { return quarantined(id); }));
  EXPECT_THAT(failures_[id].hint(), HasSubstr("keeps what it has"));
  EXPECT_FALSE((*quarantine_mark(folder_of(id))).has_value());
}

}  // namespace
}  // namespace runink::server
