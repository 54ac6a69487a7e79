// The state machine over RocksDB does what it does over its twin in memory: same entries, same digests, same bytes;
// also when it is closed in between, and when its state comes from a snapshot.
#include <gtest/gtest.h>

#include <random>

#include "control/barn/dump.h"
#include "control/barn/harness_test.h"
#include "control/barn/rocks/folder_in_test.h"
#include "control/barn/rocks/state_folder.h"

namespace runink::barn {
namespace {

using crypto::SealingKey;

// A state machine over RocksDB in a folder of its own, sealed.
class Replica {
 public:
  void open() {
    close();
    folder = std::move(*StateFolder::open(disk_.file("state"), key));
    RocksOptions options;
    options.folder = folder->live();
    options.key = key;
    options.cache_bytes = options.write_buffer_bytes = 2 << 20;
    auto opened = RocksStore::open(options);
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    store = std::move(*opened);
    auto made = StateMachine::open(store.get());
    ASSERT_TRUE(made.ok()) << made.status().to_string();
    machine = std::move(*made);
  }
  void close() {
    machine.reset();
    store.reset();
    folder.reset();
  }
  std::string root() const { return disk_.file("state"); }

  SealingKey key = SealingKey::generate();
  std::unique_ptr<StateFolder> folder;
  std::unique_ptr<RocksStore> store;
  std::unique_ptr<StateMachine> machine;

 private:
  os::TempFolder disk_ = folder_in_memory();
};

// Commands of every kind that writes, as entries from `first` on.
class Workload {
 public:
  std::vector<raft::Entry> entries(Index first, size_t count) {
    std::vector<raft::Entry> made;
    for (Index index = first; index < first + count; ++index) {
      names_.clear();
      Command command;
      command.unix_micros = static_cast<int64_t>(1'000'000 + index * 1000);
      command.body = body(index);
      made.push_back(test::entry_of(index, command, 1 + index / 100));
    }
    return made;
  }

 private:
  std::string_view name() { return names_.emplace_back(fmt::format("key/{:03}", random_() % 200)); }
  LeaseId lease() { return leases_.empty() || random_() % 3 != 0 ? LeaseId() : leases_[random_() % leases_.size()]; }
  Put put() {
    Put put;
    put.key = name();
    put.value = names_.emplace_back(random_() % 3000, static_cast<char>('a' + random_() % 26));
    put.lease = lease();
    return put;
  }
  Body body(Index index) {
    switch (random_() % 10) {
      case 0:
        return Delete{name(), true};
      case 1: {
        DeleteRange range;
        range.from = name();
        range.to = name();
        return range;
      }
      case 2: {
        leases_.push_back(LeaseId{1, index});
        LeaseGrant grant;
        grant.ttl_micros = 1'000'000;
        return grant;
      }
      case 3:
        if (leases_.empty()) return put();
        return LeaseRevoke{leases_[random_() % leases_.size()]};
      case 4: {
        Txn txn;
        Compare compare;
        compare.key = name();
        compare.number = 1;
        txn.compares.push_back(compare);
        txn.then_ops = {put(), TxnGet{name()}};
        txn.else_ops = {put(), Delete{name(), false}};
        return txn;
      }
      case 5:
        if (index < 50) return put();
        return Compact{index - 40};
      default:
        return put();
    }
  }

  std::mt19937 random_{41};
  std::vector<LeaseId> leases_;
  std::deque<std::string> names_;
};

std::string dump_of(const StateStore& store) {
  std::string bytes;
  const auto info = export_dump(*store.view(), [&](std::string_view piece) {
    bytes.append(piece);
    return Status();
  });
  EXPECT_TRUE(info.ok()) << info.status().to_string();
  return bytes;
}

TEST(MachineOnRocksTest, DoesWhatTheTwinInMemoryDoesAlsoFromASnapshot) {
  Replica leader, follower;
  MemoryStore twin_store;
  auto twin = *StateMachine::open(&twin_store);
  ASSERT_NO_FATAL_FAILURE(leader.open());
  Workload workload;
  std::mt19937 random(43);
  std::string snapshot;
  while (twin->position().index < 1500) {
    const auto entries = workload.entries(twin->position().index + 1, random() % 40 + 1);
    const auto there = twin->apply(entries);
    const auto here = leader.machine->apply(entries);
    ASSERT_TRUE(there.ok()) << there.status().to_string();
    ASSERT_TRUE(here.ok()) << here.status().to_string();
    ASSERT_EQ(here->position, there->position);
    if (random() % 8 == 0) {
      ASSERT_NO_FATAL_FAILURE(leader.open());
    }
    if (random() % 8 == 0) {
      ASSERT_EQ(test::contents(*leader.store), test::contents(twin_store));
    }
    if (snapshot.empty() && twin->position().index > 1000) {
      const Position at = leader.machine->position();
      snapshot = *leader.folder->finish_snapshot(*leader.folder->begin_snapshot(*leader.store, at), at, "members");
      auto reader = *SnapshotReader::open(snapshot, leader.key);
      ASSERT_NO_FATAL_FAILURE(follower.open());
      const auto position_of = [](StateStore& store) -> Result<Position> {
        return RUNINK_TRY(StateMachine::open(&store))->position();
      };
      auto receiver =
          *SnapshotReceiver::begin({follower.root(), follower.key, {}, position_of, {}}, reader->manifest());
      std::string chunk;
      while (const auto wanted = receiver->wanted()) {
        ASSERT_TRUE(reader->read(wanted->file, wanted->offset, wanted->size, &chunk).ok());
        ASSERT_TRUE(receiver->accept(*wanted, chunk).ok());
      }
      const Result<std::string> received = receiver->finish();
      ASSERT_TRUE(received.ok()) << received.status().to_string();
      ASSERT_TRUE(follower.folder->install(*received).ok());
      ASSERT_NO_FATAL_FAILURE(follower.open());
      ASSERT_EQ(follower.machine->position(), at);
    } else if (!snapshot.empty()) {
      const auto its = follower.machine->apply(entries);
      ASSERT_TRUE(its.ok()) << its.status().to_string();
      ASSERT_EQ(its->position, there->position);
    }
  }
  ASSERT_NE(snapshot, "");
  const std::string dump = dump_of(twin_store);
  EXPECT_EQ(dump_of(*leader.store), dump);
  EXPECT_EQ(dump_of(*follower.store), dump);
  const Position position = twin->position();
  Scrub of_twin(1, position, twin_store.view(), 64 << 10), of_leader(1, position, leader.store->view(), 64 << 10);
  for (Scrub* scrub : {&of_twin, &of_leader}) {
    while (!*scrub->step(10'000)) {
    }
  }
  EXPECT_EQ(of_leader.result().ranges, of_twin.result().ranges);
  EXPECT_EQ(leader.machine->state_bytes(), twin->state_bytes());
}

}  // namespace
}  // namespace runink::barn
