// Snapshots from making to taking the state's place, with an end at every step.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "control/barn/rocks/folder_in_test.h"
#include "control/barn/rocks/snapshot_receiver.h"
#include "control/barn/rocks/snapshot_writer.h"
#include "control/barn/rocks/state_folder.h"
#include "platform/os/file.h"

namespace runink::barn {
namespace {

using crypto::SealingKey;
using Model = std::map<std::string, std::string>;

constexpr std::string_view kPositionKey = "position";

// Stands in for the state machine's record.
Result<Position> position_of(StateStore& store) {
  std::string value;
  if (!RUNINK_TRY(store.get(kPositionKey, &value))) return data_loss("there is no position in the state");
  Position position;
  position.index = std::stoull(value);
  position.term = 3;
  position.digest = {position.index, 7};
  return position;
}
Position at(uint64_t index) { return Position{index, 3, {index, 7}}; }

Model contents(const StateReader& reader) {
  Model found;
  const auto it = reader.iterate("", "");
  for (; it->valid(); it->next()) found.emplace(it->key(), it->value());
  EXPECT_TRUE(it->status().ok()) << it->status().to_string();
  return found;
}

class Member {
 public:
  explicit Member(bool sealed) {
    if (sealed) key = SealingKey::generate();
  }
  RocksOptions options(const std::string& folder) const {
    RocksOptions options;
    options.folder = folder;
    options.key = key;
    options.cache_bytes = 4 << 20;
    options.write_buffer_bytes = 16 << 20;
    options.table_bytes = 1 << 20;
    return options;
  }
  Status start(StepHook step = {}) {
    store.reset();
    folder.reset();
    folder = RUNINK_TRY(StateFolder::open(root(), key, std::move(step)));
    store = RUNINK_TRY(RocksStore::open(options(folder->live())));
    return Status();
  }
  // The state at `index` of a history that is the same for all members.
  void write_up_to(uint64_t index) {
    for (uint64_t i = written + 1; i <= index; ++i) {
      WriteBatch batch;
      std::mt19937_64 random(i);
      std::string value(2000, '\0');
      for (char& byte : value) byte = static_cast<char>(random());
      batch.put(fmt::format("key {}", i % 1300), value);
      batch.put(kPositionKey, std::to_string(i));
      ASSERT_TRUE(store->apply(batch).ok());
    }
    written = index;
  }
  Result<std::string> snapshot(uint64_t index) {
    const std::string taken = RUNINK_TRY(folder->begin_snapshot(*store, at(index)));
    return folder->finish_snapshot(taken, at(index), "members: 1, 2, 3");
  }
  ReceiverOptions receiving(StepHook step = {}) const {
    ReceiverOptions receiving{root(), key, {}, position_of, std::move(step)};
    if (folder != nullptr) receiving.own_snapshots = *folder->snapshots();
    return receiving;
  }
  std::string root() const { return disk.file("state"); }

  os::TempFolder disk = folder_in_memory();
  std::optional<SealingKey> key;
  std::unique_ptr<StateFolder> folder;
  std::unique_ptr<RocksStore> store;
  uint64_t written = 0;
};

// Until all is there, or so many chunks have gone over.
Status transfer(SnapshotReader& from, SnapshotReceiver& to, uint64_t most = UINT64_MAX) {
  std::string chunk;
  while (const auto wanted = to.wanted()) {
    if (most-- == 0) return Status();
    RUNINK_RETURN_IF_ERROR(from.read(wanted->file, wanted->offset, wanted->size, &chunk));
    RUNINK_RETURN_IF_ERROR(to.accept(*wanted, chunk));
  }
  return Status();
}

SnapshotManifest example() {
  SnapshotManifest manifest;
  manifest.position = {12, 3, {4, 5}};
  manifest.membership = "members";
  manifest.files = {{"000007.sst", 5'000'000'000, crypto::sha256("a")}, {"CURRENT", 16, crypto::sha256("b")}};
  return manifest;
}

TEST(ManifestTest, ComesBack) {
  const SnapshotManifest manifest = example();
  const Result<SnapshotManifest> back = decode_manifest(encode_manifest(manifest));
  ASSERT_TRUE(back.ok()) << back.status().to_string();
  EXPECT_EQ(*back, manifest);
  EXPECT_EQ(back->id(), manifest.id());
  EXPECT_EQ(back->bytes(), 5'000'000'016u);
  EXPECT_EQ(decode_manifest(encode_manifest(SnapshotManifest())).status().code(), Code::kOk);
}

TEST(ManifestTest, RefusesWhatIsDamagedOrForeign) {
  const std::string good = encode_manifest(example());
  for (size_t size = 0; size < good.size(); ++size) EXPECT_FALSE(decode_manifest(good.substr(0, size)).ok());
  for (size_t i = 0; i < good.size(); ++i) {
    std::string wrong = good;
    wrong[i] = static_cast<char>(wrong[i] ^ 0x10);
    EXPECT_EQ(decode_manifest(wrong).status().code(), Code::kDataLoss) << i;
  }
  const auto resum = [](std::string bytes) {
    bytes.resize(bytes.size() - 32);
    const crypto::Digest256 sum = crypto::sha256(bytes);
    return bytes.append(reinterpret_cast<const char*>(sum.data()), sum.size());
  };
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string bytes = good;
    bytes.replace(bytes.find(from), from.size(), to);
    return decode_manifest(resum(bytes)).status();
  };
  EXPECT_EQ(with("CURRENT", "CURR/NT").code(), Code::kDataLoss);
  EXPECT_EQ(with("CURRENT", "..RRENT").code(), Code::kDataLoss);
  EXPECT_EQ(with("CURRENT", std::string_view("CUR\0ENT", 7)).code(), Code::kDataLoss);
  EXPECT_EQ(with("CURRENT", "0000000").code(), Code::kDataLoss) << "not in order";
  std::string bytes = good;
  bytes[8] = 2;
  EXPECT_EQ(decode_manifest(resum(bytes)).status().code(), Code::kUnimplemented);
  SnapshotManifest twice = example();
  twice.files.push_back(twice.files.back());
  EXPECT_FALSE(decode_manifest(encode_manifest(twice)).ok());
  SnapshotManifest huge = example();
  huge.files[0].size = UINT64_MAX;
  EXPECT_FALSE(decode_manifest(encode_manifest(huge)).ok());
  // A count that the bytes cannot hold is refused before memory is taken for it.
  bytes = good;
  const size_t count_at = bytes.find("members") + 7;
  bytes.replace(count_at, 4, std::string("\xff\xff\x00\x00", 4));
  EXPECT_EQ(decode_manifest(resum(bytes)).status().code(), Code::kDataLoss);
}

// Sealed to sealed with another key, plain to plain, and between the two: each member has its own way.
class SnapshotTest : public ::testing::TestWithParam<std::pair<bool, bool>> {
 protected:
  Member leader_{GetParam().first}, follower_{GetParam().second};
};

INSTANTIATE_TEST_SUITE_P(, SnapshotTest,
                         ::testing::Values(std::pair(true, true), std::pair(false, false), std::pair(true, false)),
                         [](const auto& info) {
                           return fmt::format("{}To{}", info.param.first ? "Sealed" : "Plain",
                                              info.param.second ? "Sealed" : "Plain");
                         });

TEST_P(SnapshotTest, TakesThePlaceOfAState) {
  ASSERT_TRUE(leader_.start().ok());
  leader_.write_up_to(2000);
  const auto snapshot = leader_.snapshot(2000);
  ASSERT_TRUE(snapshot.ok()) << snapshot.status().to_string();
  const Model wanted = contents(*leader_.store);
  leader_.write_up_to(2100);  // goes on meanwhile

  ASSERT_TRUE(follower_.start().ok());
  follower_.write_up_to(10);
  auto reader = *SnapshotReader::open(*snapshot, leader_.key);
  EXPECT_EQ(reader->manifest().membership, "members: 1, 2, 3");
  const std::string sent = encode_manifest(reader->manifest());
  auto receiver = *SnapshotReceiver::begin(follower_.receiving(), *decode_manifest(sent));
  EXPECT_EQ(receiver->finish().status().code(), Code::kFailedPrecondition) << "nothing has come yet";
  const Status moved = transfer(*reader, *receiver);
  ASSERT_TRUE(moved.ok()) << moved.to_string();
  EXPECT_EQ(receiver->bytes_received(), reader->manifest().bytes());
  const Result<std::string> received = receiver->finish();
  ASSERT_TRUE(received.ok()) << received.status().to_string();
  EXPECT_EQ(contents(*follower_.store).at(std::string(kPositionKey)), "10") << "the old state serves until the switch";
  follower_.store.reset();
  ASSERT_TRUE(follower_.folder->install(*received).ok());
  ASSERT_TRUE(follower_.start().ok());
  EXPECT_EQ(contents(*follower_.store), wanted);
  follower_.written = 2000;
  follower_.write_up_to(2100);
  EXPECT_EQ(contents(*follower_.store), contents(*leader_.store));
  EXPECT_EQ(os::list_directory(follower_.root())->size(), 3u) << "LIVE, lock and one state";
}

TEST_P(SnapshotTest, FilesThatAreThereAreNotAskedForAgain) {
  ASSERT_TRUE(leader_.start().ok());
  leader_.write_up_to(1500);
  const std::string first = *leader_.snapshot(1500);
  ASSERT_TRUE(follower_.start().ok());
  {
    auto reader = *SnapshotReader::open(first, leader_.key);
    auto receiver = *SnapshotReceiver::begin(follower_.receiving(), reader->manifest());
    ASSERT_TRUE(transfer(*reader, *receiver).ok());
    follower_.store.reset();
    ASSERT_TRUE(follower_.folder->install(*receiver->finish()).ok());
    ASSERT_TRUE(follower_.start().ok());
    ASSERT_TRUE(follower_.snapshot(1500).ok());  // so that its files are known by their hashes
  }
  leader_.write_up_to(1510);
  const std::string second = *leader_.snapshot(1510);
  auto reader = *SnapshotReader::open(second, leader_.key);
  auto receiver = *SnapshotReceiver::begin(follower_.receiving(), reader->manifest());
  EXPECT_GT(receiver->bytes_found(), reader->manifest().bytes() / 2);
  ASSERT_TRUE(transfer(*reader, *receiver).ok());
  EXPECT_EQ(receiver->bytes_received() + receiver->bytes_found(), reader->manifest().bytes());
  EXPECT_LT(receiver->bytes_received(), reader->manifest().bytes() / 2);
  ASSERT_TRUE(receiver->finish().ok());
}

// The receiver ends after every number of chunks, and begins anew; what was whole is not sent again.
TEST_P(SnapshotTest, GoesOnAfterAnInterruption) {
  ASSERT_TRUE(leader_.start().ok());
  leader_.write_up_to(3000);
  ASSERT_TRUE(follower_.start().ok());
  auto reader = *SnapshotReader::open(*leader_.snapshot(3000), leader_.key);
  uint64_t received = 0;
  int rounds = 0;
  for (;; ++rounds) {
    auto receiver = SnapshotReceiver::begin(follower_.receiving(), reader->manifest());
    ASSERT_TRUE(receiver.ok()) << receiver.status().to_string();
    ASSERT_TRUE(transfer(*reader, **receiver, 2).ok());
    received += (*receiver)->bytes_received();
    if ((*receiver)->wanted()) {
      ASSERT_LT(rounds, 100) << "no progress";
      continue;
    }
    ASSERT_TRUE((*receiver)->finish().ok());
    break;
  }
  EXPECT_GE(rounds, 2);
  // The last block of what was interrupted is not counted on, so at most a chunk for each interruption comes twice.
  EXPECT_LE(received, reader->manifest().bytes() + static_cast<uint64_t>(rounds) * kSnapshotChunkBytes);
}

TEST_P(SnapshotTest, WrongBytesAreFoundAndAskedForAgain) {
  ASSERT_TRUE(leader_.start().ok());
  leader_.write_up_to(800);
  ASSERT_TRUE(follower_.start().ok());
  auto reader = *SnapshotReader::open(*leader_.snapshot(800), leader_.key);
  auto receiver = *SnapshotReceiver::begin(follower_.receiving(), reader->manifest());
  std::string chunk;
  uint32_t refused = 0;
  std::map<uint32_t, bool> spoiled;
  while (const auto wanted = receiver->wanted()) {
    ASSERT_TRUE(reader->read(wanted->file, wanted->offset, wanted->size, &chunk).ok());
    SnapshotReceiver::Wanted other = *wanted;
    other.offset += 1;
    ASSERT_EQ(receiver->accept(other, chunk).code(), Code::kInvalidArgument);
    ASSERT_EQ(receiver->accept(*wanted, chunk + "x").code(), Code::kInvalidArgument);
    if (!chunk.empty() && !spoiled[wanted->file]) {
      spoiled[wanted->file] = true;
      chunk[chunk.size() / 2] = static_cast<char>(chunk[chunk.size() / 2] ^ 1);
    }
    const Status status = receiver->accept(*wanted, chunk);
    if (status.ok()) continue;
    ASSERT_EQ(status.kind(), "barn.snapshot.damaged") << status.to_string();
    ASSERT_EQ(receiver->wanted()->file, wanted->file);
    ASSERT_EQ(receiver->wanted()->offset, 0u);
    ++refused;
  }
  EXPECT_EQ(refused, spoiled.size());
  EXPECT_TRUE(receiver->finish().ok());
}

// What lies in the folder is not believed by its name, and what the manifest does not name does not get into the state.
TEST_P(SnapshotTest, WhatIsFoundInTheFolderIsCompared) {
  ASSERT_TRUE(leader_.start().ok());
  leader_.write_up_to(1300);
  ASSERT_TRUE(follower_.start().ok());
  auto reader = *SnapshotReader::open(*leader_.snapshot(1300), leader_.key);
  auto receiver = *SnapshotReceiver::begin(follower_.receiving(), reader->manifest());
  ASSERT_TRUE(transfer(*reader, *receiver).ok());
  const std::string folder = *receiver->finish();
  for (const SnapshotFile& file : reader->manifest().files) {
    if (file.size == 0) continue;
    const std::string path = folder + "/" + file.name;
    std::string bytes = *os::read_file(path);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 2);
    ASSERT_TRUE(os::write_file_atomic(path, bytes).ok());
    ASSERT_TRUE(os::write_file_atomic(folder + "/000099.sst", "a leftover").ok());
    receiver = *SnapshotReceiver::begin(follower_.receiving(), reader->manifest());
    ASSERT_TRUE(receiver->wanted().has_value()) << file.name << " is damaged, and is taken as it is";
    EXPECT_EQ(reader->manifest().files[receiver->wanted()->file].name, file.name);
    ASSERT_TRUE(transfer(*reader, *receiver).ok());
    ASSERT_TRUE(receiver->finish().ok());
    EXPECT_EQ(receiver->bytes_received(), file.size);
    EXPECT_FALSE(os::exists(folder + "/000099.sst"));
  }
}

// Ended while it copied what an earlier transfer had left: nothing of that is lost.
TEST_P(SnapshotTest, AnEndWhileTakingUpAPartLosesNothingOfIt) {
  ASSERT_TRUE(leader_.start().ok());
  leader_.write_up_to(2500);
  ASSERT_TRUE(follower_.start().ok());
  auto reader = *SnapshotReader::open(*leader_.snapshot(2500), leader_.key);
  {
    auto receiver = *SnapshotReceiver::begin(follower_.receiving(), reader->manifest());
    ASSERT_TRUE(transfer(*reader, *receiver, 2).ok());
  }
  uint64_t found = 0;
  for (const char* step : {"", "copy a chunk", "remove the old part", ""}) {
    const StepHook hook = [&](std::string_view at) { return at == step ? cancelled("ends here") : Status(); };
    const auto receiver = SnapshotReceiver::begin(follower_.receiving(hook), reader->manifest());
    ASSERT_EQ(receiver.ok(), *step == '\0');
    if (!receiver.ok()) continue;
    EXPECT_GE((*receiver)->bytes_found(), kSnapshotChunkBytes);
    EXPECT_GE((*receiver)->bytes_found(), found) << "of what had been received less is there now";
    found = (*receiver)->bytes_found();
    // So that the part has it all on disk again, as the first time.
    const auto wanted = *(*receiver)->wanted();
    std::string chunk;
    ASSERT_TRUE(reader->read(wanted.file, wanted.offset, wanted.size, &chunk).ok());
    if (wanted.size == kSnapshotChunkBytes) {
      ASSERT_TRUE((*receiver)->accept(wanted, chunk).ok());
    }
  }
}

// With several chunks under way: what upcoming() foretells is what is wanted, in its order.
TEST_P(SnapshotTest, WhatIsWantedIsForetold) {
  ASSERT_TRUE(leader_.start().ok());
  leader_.write_up_to(2500);
  ASSERT_TRUE(follower_.start().ok());
  EXPECT_EQ(leader_.folder->snapshot_folder(2500, 3), *leader_.snapshot(2500));
  auto reader = *SnapshotReader::open(leader_.folder->snapshot_folder(2500, 3), leader_.key);
  auto receiver = *SnapshotReceiver::begin(follower_.receiving(), reader->manifest());
  size_t most = 0;
  std::string chunk;
  while (receiver->wanted()) {
    const std::vector<SnapshotReceiver::Wanted> places = receiver->upcoming(4);
    ASSERT_GE(places.size(), 1u);
    ASSERT_LE(places.size(), 4u);
    most = std::max(most, places.size());
    for (const auto& place : places) {
      ASSERT_EQ(receiver->wanted(), place);
      ASSERT_TRUE(reader->read(place.file, place.offset, place.size, &chunk).ok());
      ASSERT_TRUE(receiver->accept(place, chunk).ok());
    }
  }
  EXPECT_EQ(most, 4u);
  EXPECT_TRUE(receiver->upcoming(4).empty());
  follower_.store.reset();
  ASSERT_TRUE(follower_.folder->install(*receiver->finish()).ok());
  ASSERT_TRUE(follower_.folder->remove_old_states().ok());
  EXPECT_EQ(os::list_directory(follower_.root())->size(), 3u) << "LIVE, lock and one state";
  ASSERT_TRUE(follower_.start().ok());
}

TEST_P(SnapshotTest, AStateOfAnotherPositionIsRefused) {
  ASSERT_TRUE(leader_.start().ok());
  leader_.write_up_to(300);
  ASSERT_TRUE(follower_.start().ok());
  auto reader = *SnapshotReader::open(*leader_.snapshot(300), leader_.key);
  for (int which = 0; which < 4; ++which) {
    SnapshotManifest wrong = reader->manifest();
    if (which == 0) ++wrong.position.index;
    if (which == 1) ++wrong.position.term;
    if (which == 2) wrong.position.digest.low ^= 1;
    if (which == 3) std::erase_if(wrong.files, [](const SnapshotFile& file) { return file.name.ends_with(".sst"); });
    auto receiver = *SnapshotReceiver::begin(follower_.receiving(), wrong);
    std::string chunk;
    while (const auto wanted = receiver->wanted()) {
      const auto& file = wrong.files[wanted->file];
      const auto& all = reader->manifest().files;
      const auto number = std::find(all.begin(), all.end(), file) - all.begin();
      ASSERT_TRUE(reader->read(static_cast<uint32_t>(number), wanted->offset, wanted->size, &chunk).ok());
      ASSERT_TRUE(receiver->accept(*wanted, chunk).ok());
    }
    const Status status = receiver->finish().status();
    EXPECT_EQ(status.code(), which < 3 ? Code::kDataLoss : status.code());
    EXPECT_FALSE(status.ok()) << which;
    if (which < 3) {
      EXPECT_FALSE(os::exists(follower_.root() + "/incoming-" + wrong.id()));
    }
  }
}

TEST_P(SnapshotTest, WhatIsNotThereCannotBeRead) {
  ASSERT_TRUE(leader_.start().ok());
  leader_.write_up_to(10);
  auto reader = *SnapshotReader::open(*leader_.snapshot(10), leader_.key);
  const uint32_t files = static_cast<uint32_t>(reader->manifest().files.size());
  const uint64_t size = reader->manifest().files[0].size;
  std::string chunk;
  EXPECT_EQ(reader->read(files, 0, 1, &chunk).code(), Code::kOutOfRange);
  EXPECT_EQ(reader->read(0, size, 1, &chunk).code(), Code::kOutOfRange);
  EXPECT_EQ(reader->read(0, UINT64_MAX, 1, &chunk).code(), Code::kOutOfRange);
  EXPECT_EQ(reader->read(0, 0, kSnapshotChunkBytes + 1, &chunk).code(), Code::kOutOfRange);
  EXPECT_TRUE(reader->read(0, size, 0, &chunk).ok());
}

TEST_P(SnapshotTest, OldSnapshotsGoAndHashesOfTablesAreReused) {
  ASSERT_TRUE(leader_.start().ok());
  for (uint64_t index = 200; index <= 1000; index += 200) {
    leader_.write_up_to(index);
    ASSERT_TRUE(leader_.snapshot(index).ok());
  }
  const std::vector<std::string> all = *leader_.folder->snapshots();
  ASSERT_EQ(all.size(), 5u);
  EXPECT_EQ(read_manifest(all[0], leader_.key)->position.index, 1000u);
  for (const std::string& folder : all) {
    const SnapshotManifest manifest = *read_manifest(folder, leader_.key);
    for (const SnapshotFile& file : manifest.files) {
      const auto digest = digest_file(folder + "/" + file.name, leader_.key);
      ASSERT_TRUE(digest.ok());
      EXPECT_EQ(digest->hash, file.hash) << folder << file.name;
      EXPECT_EQ(digest->size, file.size);
    }
  }
  EXPECT_EQ(*leader_.snapshot(1000), all[0]) << "a second one of the same position";
  EXPECT_EQ(*leader_.folder->snapshots(), all);
  ASSERT_TRUE(leader_.folder->remove_snapshots(2).ok());
  EXPECT_EQ(*leader_.folder->snapshots(), std::vector(all.begin(), all.begin() + 2));
}

// The process ends before every single step of receiving and installing, once each; then it starts again. Whatever the
// step, it has the old state or the new one, whole, and the transfer can be gone on with to its end.
TEST_P(SnapshotTest, AnEndAtAnyStepLeavesTheOldOrTheNewState) {
  ASSERT_TRUE(leader_.start().ok());
  leader_.write_up_to(1300);  // a table of more than two chunks
  const Model new_state = contents(*leader_.store);
  auto reader = *SnapshotReader::open(*leader_.snapshot(1300), leader_.key);
  std::map<std::string, int> ended_at;
  int olds = 0, news = 0;
  for (int end = 1;; ++end) {
    Member member(GetParam().second);
    ASSERT_TRUE(member.start().ok());
    member.write_up_to(5);
    const Model old_state = contents(*member.store);
    int steps = 0;
    std::string last;
    const StepHook hook = [&](std::string_view step) {
      last = step;
      return ++steps == end ? cancelled("the process ends here") : Status();
    };
    const auto attempt = [&](const StepHook& hook) -> Status {
      member.store.reset();
      member.folder.reset();
      auto folder = RUNINK_TRY(StateFolder::open(member.root(), member.key, hook));
      auto receiver = RUNINK_TRY(SnapshotReceiver::begin(member.receiving(hook), reader->manifest()));
      // Interrupted once in any case, so that what was left is taken up.
      RUNINK_RETURN_IF_ERROR(transfer(*reader, *receiver, 2));
      receiver = RUNINK_TRY(SnapshotReceiver::begin(member.receiving(hook), reader->manifest()));
      RUNINK_RETURN_IF_ERROR(transfer(*reader, *receiver));
      RUNINK_RETURN_IF_ERROR(folder->install(RUNINK_TRY(receiver->finish())));
      folder.reset();
      return status_of(StateFolder::open(member.root(), member.key, hook));
    };
    const Status status = attempt(hook);
    if (status.ok()) break;  // past the last step
    ASSERT_EQ(status.code(), Code::kCancelled) << status.to_string();
    ++ended_at[last];

    ASSERT_TRUE(member.start().ok()) << "after an end at " << last;
    const Model found = contents(*member.store);
    ASSERT_TRUE(found == old_state || found == new_state) << "a mix, after an end at " << last;
    ++(found == old_state ? olds : news);
    const Status again = attempt({});
    ASSERT_TRUE(again.ok()) << "after an end at " << last << ": " << again.to_string();
    ASSERT_TRUE(member.start().ok());
    ASSERT_EQ(contents(*member.store), new_state);
  }
  for (const char* step : {"make the folder", "set a part aside", "begin a file", "copy a chunk", "remove the old part",
                           "write a chunk", "sync a file", "name a file", "sync the folder", "name the new state",
                           "sync names", "switch", "remove what is not needed"}) {
    EXPECT_GT(ended_at[step], 0) << step;
  }
  EXPECT_GT(olds, 10);
  EXPECT_GT(news, 0);
}

TEST_P(SnapshotTest, AnEndWhileMakingOneLeavesNoHalf) {
  ASSERT_TRUE(leader_.start().ok());
  leader_.write_up_to(100);
  ASSERT_TRUE(leader_.snapshot(100).ok());
  leader_.write_up_to(200);
  std::set<std::string> ended_at;  // at each step once
  while (true) {
    const auto hook = [&](std::string_view step) {
      return ended_at.emplace(step).second ? cancelled("the process ends here") : Status();
    };
    ASSERT_TRUE(leader_.start().ok());
    leader_.store.reset();
    leader_.folder.reset();
    auto folder = StateFolder::open(leader_.root(), leader_.key, hook);
    if (!folder.ok()) continue;
    leader_.folder = std::move(*folder);
    leader_.store = *RocksStore::open(leader_.options(leader_.folder->live()));
    Status status = status_of(leader_.snapshot(200));
    if (status.ok()) status = leader_.folder->remove_snapshots(1);
    if (status.ok()) break;
    ASSERT_TRUE(leader_.start().ok());
    const std::vector<std::string> snapshots = *leader_.folder->snapshots();
    for (const std::string& folder : snapshots) {
      const auto manifest = read_manifest(folder, leader_.key);
      ASSERT_TRUE(manifest.ok());
      for (const SnapshotFile& file : manifest->files) {
        ASSERT_EQ(digest_file(folder + "/" + file.name, leader_.key)->hash, file.hash);
      }
    }
    const std::vector<std::string> names = *os::list_directory(leader_.root());
    for (const std::string& name : names) {
      EXPECT_FALSE(name.starts_with("taking-"));
      if (!name.starts_with("snapshot-")) continue;
      EXPECT_TRUE(os::exists(leader_.root() + "/" + name + "/SNAPSHOT")) << "half a snapshot";
    }
  }
  EXPECT_EQ(leader_.folder->snapshots()->size(), 1u);
  for (const char* step : {"make a checkpoint", "describe a snapshot", "name a snapshot", "remove a snapshot",
                           "remove the rest of a snapshot"}) {
    EXPECT_EQ(ended_at.count(step), 1u) << step;
  }
}

TEST(StateFolderTest, WhoOnlyReadsChangesNothing) {
  Member member(false);
  ASSERT_TRUE(member.start().ok());
  member.write_up_to(1);
  EXPECT_EQ(StateFolder::open_to_read(member.root(), {}).status().kind(), "lock.held");
  member.store.reset();
  const std::string live = member.folder->live();
  member.folder.reset();
  // What work that was cut may leave.
  for (const char* name : {"state-000007", "taking-1-1", "taking-1-1.tmp", "snapshot-1-1"})
    ASSERT_TRUE(os::make_directories(member.root() + "/" + name).ok());
  const auto before = *os::list_directory(member.root());
  {
    const auto reader = StateFolder::open_to_read(member.root(), {});
    ASSERT_TRUE(reader.ok()) << reader.status().to_string();
    EXPECT_EQ((*reader)->live(), live);
    EXPECT_TRUE((*reader)->snapshots()->empty());
  }
  EXPECT_EQ(*os::list_directory(member.root()), before);
  ASSERT_TRUE(member.start().ok());
  EXPECT_LT(os::list_directory(member.root())->size(), before.size());
  const std::string none = member.root() + "-none", empty = member.root() + "-empty";
  ASSERT_TRUE(os::make_directories(empty).ok());
  for (const std::string& root : {none, empty})
    EXPECT_EQ(StateFolder::open_to_read(root, {}).status().code(), Code::kNotFound);
  EXPECT_FALSE(os::exists(none));
  EXPECT_EQ(os::list_directory(empty)->size(), 1u);  // the lock
}

TEST(StateFolderTest, ALostPointerIsForAPerson) {
  Member member(false);
  ASSERT_TRUE(member.start().ok());
  member.write_up_to(1);
  EXPECT_EQ(StateFolder::open(member.root(), {}).status().kind(), "lock.held");
  member.store.reset();
  member.folder.reset();
  const std::string live = member.root() + "/LIVE", good = *os::read_file(live);
  for (const std::string& wrong :
       {std::string(), std::string("state-000009\n"), std::string("../state\n"), good + "x"}) {
    ASSERT_TRUE(os::write_file_atomic(live, wrong).ok());
    EXPECT_EQ(StateFolder::open(member.root(), {}).status().code(), Code::kDataLoss) << wrong;
  }
  ASSERT_TRUE(os::remove_file(live).ok());
  EXPECT_EQ(StateFolder::open(member.root(), {}).status().code(), Code::kDataLoss);
  ASSERT_TRUE(os::write_file_atomic(live, good).ok());
  EXPECT_TRUE(member.start().ok());
}

}  // namespace
}  // namespace runink::barn
