#include "control/barn/rocks/rocks_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <map>
#include <random>
#include <thread>

#include "control/barn/rocks/sealed_file.h"
#include "platform/os/file.h"
#include "platform/os/process.h"
#include "platform/os/temp.h"

namespace runink::barn {
namespace {

using crypto::SealingKey;
using Model = std::map<std::string, std::string>;

// Small buffers, so that tables, levels and compactions come about within a test.
RocksOptions small(const std::string& folder, const std::optional<SealingKey>& key) {
  RocksOptions options;
  options.folder = folder;
  options.key = key;
  options.cache_bytes = 4 << 20;
  options.write_buffer_bytes = 2 << 20;
  options.table_bytes = 256 << 10;
  return options;
}

Model contents(const StateReader& reader, std::string_view from = "", std::string_view to = "") {
  Model found;
  const auto at = reader.iterate(from, to);
  for (; at->valid(); at->next()) found.emplace(at->key(), at->value());
  EXPECT_TRUE(at->status().ok()) << at->status().to_string();
  return found;
}

// Both with a key and without.
class RocksStoreTest : public ::testing::TestWithParam<bool> {
 protected:
  std::unique_ptr<RocksStore> open(const std::string& name = "state") {
    auto store = RocksStore::open(small(folder_.file(name), key_));
    EXPECT_TRUE(store.ok()) << store.status().to_string();
    return store.ok() ? std::move(*store) : nullptr;
  }
  std::vector<std::string> files(const std::string& folder) {
    std::vector<std::string> paths;
    const std::vector<std::string> names = *os::list_directory(folder);
    for (const std::string& name : names) paths.push_back(folder + "/" + name);
    return paths;
  }

  os::TempFolder folder_ = *os::TempFolder::create("");
  std::optional<SealingKey> key_ = GetParam() ? std::optional(SealingKey::generate()) : std::nullopt;
};

INSTANTIATE_TEST_SUITE_P(, RocksStoreTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Sealed" : "Plain"; });

TEST_P(RocksStoreTest, DoesWhatAMapDoesAlsoAfterReopening) {
  std::mt19937 random(3);
  Model model;
  auto store = open();
  std::unique_ptr<StateView> view;
  Model seen;
  const auto any_key = [&] {
    return fmt::format("{:c}{:04}", 'd' + random() % 3, random() % 500);
  };  // events among them
  for (int step = 0; step < 400; ++step) {
    WriteBatch batch;
    for (size_t i = random() % 20; i > 0; --i) {
      const std::string key = any_key(), other = any_key();
      switch (random() % 8) {
        case 0:
          batch.remove(key);
          model.erase(key);
          break;
        case 1:
          batch.remove_range(key, other);
          if (key < other && random() % 4 != 0) {
            model.erase(model.lower_bound(key), model.lower_bound(other));
          } else if (key < other) {  // and something in it again, in the same batch
            model.erase(model.lower_bound(key), model.lower_bound(other));
            batch.put(key, "again");
            model[key] = "again";
          }
          break;
        default:
          const std::string value(random() % 2000, static_cast<char>('a' + random() % 26));
          batch.put(key, value);
          model[key] = value;
      }
    }
    ASSERT_TRUE(store->apply(batch).ok());
    if (step % 50 == 10) {
      view = store->view();
      seen = model;
    }
    if (step % 50 == 30) {
      ASSERT_EQ(contents(*view), seen) << "a view saw what was written after it";
      const std::string key = any_key();
      std::string value;
      ASSERT_EQ(*view->get(key, &value), seen.count(key) > 0);
      view.reset();
    }
    if (step % 100 == 99) {
      ASSERT_EQ(contents(*store), model);
      store.reset();
      store = open();
      ASSERT_EQ(contents(*store), model);
    }
  }
  const Model part(model.lower_bound("a2"), model.lower_bound("b3"));
  EXPECT_EQ(contents(*store, "a2", "b3"), part);
  EXPECT_EQ(contents(*store, "b3", "a2"), Model());
  std::string value;
  for (int i = 0; i < 300; ++i) {
    const std::string key = any_key();
    ASSERT_EQ(*store->get(key, &value), model.count(key) > 0);
    if (model.count(key) > 0) {
      ASSERT_EQ(value, model[key]);
    }
  }
  EXPECT_GT(store->approximate_bytes(), 0u);
  EXPECT_TRUE(store->verify().ok());
  EXPECT_TRUE(store->failure().ok());
}

// They are gathered, and nobody sees it.
TEST_P(RocksStoreTest, EveryReaderSeesSmallBatchesAtOnce) {
  std::mt19937 random(5);
  Model model;
  auto store = open();
  const auto any_key = [&] {
    return fmt::format("{:c}{:02}", 'd' + random() % 3, random() % 60);
  };  // events among them
  for (int step = 0; step < 3000; ++step) {
    WriteBatch batch;
    for (size_t i = random() % 3; i > 0; --i) {
      const std::string key = any_key();
      if (random() % 20 == 0) {
        const std::string to = any_key();
        batch.remove_range(key, to);
        if (key < to) model.erase(model.lower_bound(key), model.lower_bound(to));
      } else if (random() % 4 == 0) {
        batch.remove(key);
        model.erase(key);
      } else {
        model[key] = fmt::format("{}", step);
        batch.put(key, model[key]);
      }
    }
    ASSERT_TRUE(store->apply(batch).ok());
    const std::string key = any_key();
    const auto known = model.find(key);
    std::string value;
    switch (random() % 40) {
      default:  // several batches are gathered
        break;
      case 0:
      case 1:
      case 2:
        ASSERT_EQ(*store->get(key, &value), known != model.end()) << key;
        if (known != model.end()) ASSERT_EQ(value, known->second);
        break;
      case 3:
        ASSERT_EQ(*store->view()->get(key, &value), known != model.end()) << key;
        break;
      case 4:
        ASSERT_EQ(contents(*store), model);
        break;
      case 5:
        ASSERT_EQ(contents(*store->scan_view(), key), Model(model.lower_bound(key), model.end()));
        break;
      case 6:
        std::thread([&] { EXPECT_EQ(contents(*store), model); }).join();
        break;
      case 7:
        if (random() % 8 != 0) break;
        store.reset();
        store = open();
        ASSERT_EQ(contents(*store), model);
        break;
      case 8: {
        if (random() % 8 != 0) break;
        const std::string copy = fmt::format("copy-{}", step);
        ASSERT_TRUE(store->checkpoint(folder_.file(copy)).ok());
        ASSERT_EQ(contents(*open(copy)), model);
        break;
      }
    }
  }
}

// What the cache has is good; what the disk has is not.
TEST_P(RocksStoreTest, ADamagedTableIsFoundPastTheCacheAndOneThatHasGoneIsNoError) {
  auto store = open();
  WriteBatch batch;
  for (int i = 0; i < 1000; ++i) batch.put(fmt::format("{:04}", i), std::string(100, 'x'));
  ASSERT_TRUE(store->apply(batch).ok());
  ASSERT_TRUE(store->checkpoint(folder_.file("flush")).ok());
  EXPECT_EQ(contents(*store).size(), 1000u);  // now cached
  const std::vector<RocksStore::Table> tables = store->tables();
  ASSERT_FALSE(tables.empty());
  for (const RocksStore::Table& table : tables) EXPECT_TRUE(store->verify_table(table).ok());
  EXPECT_TRUE(store->verify_table({folder_.file("state") + "/999999.sst", 1}).ok());
  StopFlag stop;
  EXPECT_TRUE(store->verify_table(tables[0], &stop).ok());
  stop.request();
  EXPECT_EQ(store->verify_table(tables[0], &stop).code(), Code::kCancelled);
  EXPECT_TRUE(store->failure().ok());  // it says nothing of the table
  const os::Fd file = *os::open_file(tables[0].path, os::OpenMode::kReadWrite);
  char byte = 0;
  ASSERT_TRUE(os::pread_full(file, &byte, 1, tables[0].bytes / 2).ok());
  byte = static_cast<char>(byte ^ 4);
  ASSERT_TRUE(os::pwrite_all(file, {&byte, 1}, tables[0].bytes / 2).ok());
  const Status found = store->verify_table(tables[0]);
  EXPECT_EQ(found.code(), Code::kDataLoss) << found.to_string();
  EXPECT_EQ(store->failure().code(), Code::kDataLoss);
  std::string value;
  EXPECT_FALSE(store->get("0001", &value).ok());  // nothing is read of it any more
}

TEST_P(RocksStoreTest, AScanViewSeesWhatAViewSeesAndLeavesTheCacheAlone) {
  auto store = open();
  WriteBatch batch;
  for (int i = 0; i < 5000; ++i) batch.put(fmt::format("{:04}", i), std::string(300, static_cast<char>('a' + i % 26)));
  ASSERT_TRUE(store->apply(batch).ok());
  ASSERT_TRUE(store->checkpoint(folder_.file("flush")).ok());
  std::string value;
  ASSERT_TRUE(*store->get("0001", &value));
  const auto scan = store->scan_view(), view = store->view();
  WriteBatch later;
  later.put("0001", "later");
  ASSERT_TRUE(store->apply(later).ok());
  const uint64_t before = store->memory().cache;
  const Model seen = contents(*scan);
  EXPECT_EQ(store->memory().cache, before);
  EXPECT_EQ(seen, contents(*view));
  EXPECT_GT(store->memory().cache, before);
}

TEST_P(RocksStoreTest, KeysAreComparedAsUnsignedBytesAndMayHoldAnything) {
  auto store = open();
  Model model;
  WriteBatch batch;
  for (int c = 255; c >= 0; --c) {
    const std::string key(1 + static_cast<size_t>(c % 2), static_cast<char>(c));
    batch.put(key, key);
    model[key] = key;
  }
  batch.put("", "empty key");
  model[""] = "empty key";
  ASSERT_TRUE(store->apply(batch).ok());
  EXPECT_EQ(contents(*store), model);
  std::string last;
  const auto at = store->iterate("", "");
  for (; at->valid(); at->next()) {
    EXPECT_LE(last, std::string(at->key()));  // std::string compares as unsigned bytes
    last = at->key();
  }
}

TEST_P(RocksStoreTest, AnIteratorOutlivesItsView) {
  auto store = open();
  WriteBatch batch;
  for (int i = 0; i < 100; ++i) batch.put(fmt::format("{:03}", i), "old");
  ASSERT_TRUE(store->apply(batch).ok());
  auto view = store->view();
  const auto at = view->iterate("", "");
  view.reset();
  batch.clear();
  batch.remove_range("", "zzz");
  ASSERT_TRUE(store->apply(batch).ok());
  ASSERT_TRUE(store->checkpoint(folder_.file("flushed")).ok());
  int count = 0;
  for (; at->valid(); at->next()) ++count;
  EXPECT_EQ(count, 100);
}

TEST_P(RocksStoreTest, ACheckpointIsTheStateAtThatMoment) {
  auto store = open();
  Model model;
  WriteBatch batch;
  for (int i = 0; i < 3000; ++i) {
    const std::string key = fmt::format("{:05}", i * 7 % 3000);
    model[key] = std::string(500, static_cast<char>('a' + i % 26));
    batch.put(key, model[key]);
  }
  ASSERT_TRUE(store->apply(batch).ok());
  ASSERT_TRUE(store->sync().ok());
  batch.clear();
  batch.put("position", "42");
  model["position"] = "42";
  ASSERT_TRUE(store->apply(batch).ok());
  const Status made = store->checkpoint(folder_.file("point"));
  ASSERT_TRUE(made.ok()) << made.to_string();
  EXPECT_FALSE(store->checkpoint(folder_.file("point")).ok()) << "twice into the same folder";
  batch.clear();
  batch.put("position", "43");
  batch.remove_range("0", "02");
  ASSERT_TRUE(store->apply(batch).ok());
  RocksOptions options = small(folder_.file("point"), key_);
  options.read_only = true;
  {
    auto copy = RocksStore::open(options);
    ASSERT_TRUE(copy.ok()) << copy.status().to_string();
    EXPECT_EQ(contents(**copy), model);
    EXPECT_EQ((*copy)->apply(batch).code(), Code::kFailedPrecondition);
  }
  store.reset();
  ASSERT_TRUE(os::remove_tree(folder_.file("state")).ok());
  EXPECT_EQ(contents(*open("point")), model) << "the copy stands without what it was made of";
}

TEST_P(RocksStoreTest, OneAtATimeAndReadOnlyOnlyWhereThereIsOne) {
  auto store = open();
  const Status second = RocksStore::open(small(folder_.file("state"), key_)).status();
  EXPECT_EQ(second.kind(), "barn.state.locked") << second.to_string();
  RocksOptions options = small(folder_.file("absent"), key_);
  options.read_only = true;
  EXPECT_EQ(RocksStore::open(options).status().code(), Code::kNotFound);
  EXPECT_FALSE(os::exists(folder_.file("absent")));
}

TEST_P(RocksStoreTest, ADamagedTableIsToldAndLatched) {
  {
    auto store = open();
    WriteBatch batch;
    std::mt19937 random(5);
    for (int i = 0; i < 2000; ++i) {
      std::string value(300, '\0');
      for (char& byte : value) byte = static_cast<char>(random());
      batch.put(fmt::format("{:05}", i), value);
    }
    ASSERT_TRUE(store->apply(batch).ok());
    ASSERT_TRUE(store->checkpoint(folder_.file("flushed")).ok());
  }
  for (const std::string& path : files(folder_.file("state"))) {
    if (!path.ends_with(".sst")) continue;
    std::string bytes = *os::read_file(path);
    // Not in the half megabyte at the end, which RocksDB reads ahead when it opens a table.
    ASSERT_GT(bytes.size(), 560'000u);
    bytes[20'000] = static_cast<char>(bytes[20'000] ^ 4);
    ASSERT_TRUE(os::write_file_atomic(path, bytes).ok());
  }
  RocksOptions options = small(folder_.file("state"), key_);
  int told = 0;
  options.on_failure = [&](const Status& status) {
    ++told;
    EXPECT_EQ(status.code(), Code::kDataLoss) << status.to_string();
  };
  auto store = RocksStore::open(options);
  ASSERT_TRUE(store.ok()) << store.status().to_string();
  std::string value;
  ASSERT_TRUE((*store)->get("absent", &value).ok());
  const auto at = (*store)->iterate("", "");
  int count = 0;
  for (; at->valid(); at->next()) ++count;
  EXPECT_LT(count, 2000);
  EXPECT_EQ(at->status().code(), Code::kDataLoss) << at->status().to_string();
  EXPECT_EQ((*store)->failure().code(), Code::kDataLoss);
  WriteBatch batch;
  batch.put("a", "b");
  EXPECT_EQ((*store)->apply(batch).code(), Code::kDataLoss) << "service goes on after damage was found";
  EXPECT_EQ((*store)->get("absent", &value).status().code(), Code::kDataLoss);
  EXPECT_EQ((*store)->iterate("", "")->status().code(), Code::kDataLoss);
  EXPECT_EQ((*store)->checkpoint(folder_.file("no")).code(), Code::kDataLoss);
  EXPECT_EQ(told, 1);
}

// A folder that vanishes below an open store: the background flush fails, and that reaches the caller.
TEST_P(RocksStoreTest, AnErrorInTheBackgroundEndsService) {
  auto store = open();
  ASSERT_TRUE(os::rename_file(folder_.file("state"), folder_.file("gone")).ok());
  WriteBatch batch;
  for (int i = 0; i < 200; ++i) batch.put(fmt::format("{}", i), std::string(5000, 'x'));
  Status status;
  for (int i = 0; i < 50 && status.ok(); ++i) status = store->apply(batch);
  if (status.ok()) status = store->checkpoint(folder_.file("no"));
  EXPECT_FALSE(status.ok());
  EXPECT_FALSE(store->failure().ok());
  EXPECT_EQ(store->apply(batch).to_string(), store->failure().to_string());
  store.reset();
}

std::string expected_value(uint64_t number) {
  return fmt::format("{} {}", number, std::string(number * 31 % 700, 'v'));
}

// The child of the test below: a program of its own, since RocksDB's threads do not live through a fork. Runs before
// main() where the environment says so, and never returns then.
int write_until_killed() {
  const char* folder = ::getenv("RUNINK_TEST_FOLDER");
  if (folder == nullptr) return 0;
  const char* key_file = ::getenv("RUNINK_TEST_KEY");
  std::optional<SealingKey> key;
  if (key_file != nullptr) key = *SealingKey::load(key_file);
  auto store = RocksStore::open(small(folder, key));
  if (!store.ok()) ::_exit(1);
  std::string value;
  uint64_t number = *(*store)->get("key 00", &value) ? std::stoull(value) : 0;
  while (true) {
    WriteBatch batch;
    ++number;
    for (int i = 0; i < 40; ++i) batch.put(fmt::format("key {:02}", i), expected_value(number));
    batch.remove_range("row ", "row~");
    batch.put(fmt::format("row {}", number), "x");
    batch.put("events have tables of their own", std::to_string(number));
    if (!(*store)->apply(batch).ok() || ::write(3, "+", 1) != 1) ::_exit(2);
    if (number % 64 == 0 && (!(*store)->sync().ok() || ::write(3, "S", 1) != 1)) ::_exit(3);
  }
}
const int kChildEndsHere = write_until_killed();

// Killed while it writes: what is found is everything up to some batch, and nothing of the next.
TEST_P(RocksStoreTest, KilledWhileWritingItHoldsAWholePrefix) {
  std::mt19937 random(17);
  os::SpawnOptions spawn;
  ASSERT_EQ(kChildEndsHere, 0);
  spawn.argv = {"/proc/self/exe"};
  spawn.environment = {"RUNINK_TEST_FOLDER=" + folder_.file("state")};
  if (key_) {
    const std::string bytes(32, 'k');
    ASSERT_TRUE(os::write_file_atomic(folder_.file("key"), bytes, 0600).ok());
    key_ = *SealingKey::load(folder_.file("key"));
    spawn.environment->push_back("RUNINK_TEST_KEY=" + folder_.file("key"));
  }
  uint64_t last = 0;
  for (int round = 0; round < 4; ++round) {
    os::Pipe pipe = *os::make_pipe("applied batches");
    spawn.descriptors = {{pipe.write.get(), 3}};
    os::Child child = *os::Child::spawn(spawn);
    pipe.write.reset();
    char byte;
    uint64_t applied = last, synced = last;
    const auto heard = [&] { byte == 'S' ? synced = applied : ++applied; };
    for (uint32_t i = random() % 400 + 100; i > 0; --i) {
      ASSERT_EQ(*os::read_some(pipe.read, &byte, 1), 1u) << "the child ended by itself";
      heard();
    }
    ASSERT_TRUE(child.kill_group(SIGKILL).ok());
    while (*os::read_some(pipe.read, &byte, 1) == 1) heard();
    ASSERT_EQ((*child.wait())->signal, SIGKILL);

    const auto store = open();
    ASSERT_NE(store, nullptr);
    const Model found = contents(*store);
    ASSERT_EQ(found.size(), 42u);
    EXPECT_EQ(found.at("events have tables of their own"), found.at("key 00").substr(0, found.at("key 00").find(' ')));
    const uint64_t number = std::stoull(found.at("key 00"));
    EXPECT_GE(number, synced) << "the end of a process lost a batch that had been synced";
    for (const auto& [key, value] : found) {
      if (key.starts_with("key")) {
        ASSERT_EQ(value, expected_value(number));
      }
    }
    EXPECT_EQ(found.count(fmt::format("row {}", number)), 1u);
    last = number;
  }
}

TEST_P(RocksStoreTest, ABatchLargerThanTheBuffers) {
  auto store = open();
  WriteBatch batch;
  for (int i = 0; i < 8; ++i) batch.put(fmt::format("{}", i), std::string(1 << 20, static_cast<char>('a' + i)));
  ASSERT_TRUE(store->apply(batch).ok());
  std::string value;
  ASSERT_TRUE(*store->get("7", &value));
  EXPECT_EQ(value, std::string(1 << 20, 'h'));
}

class SealedRocksTest : public ::testing::Test {
 protected:
  os::TempFolder folder_ = *os::TempFolder::create("");
  SealingKey key_ = SealingKey::generate();
};

// Keys and values that are in the log, in tables, at the borders of tables (so in the manifest), deleted, overwritten.
TEST_F(SealedRocksTest, PlantedKeysAndValuesAreInNoFile) {
  const auto scan = [&](const std::string& folder) {
    int found = 0;
    const std::vector<std::string> names = *os::list_directory(folder);
    for (const std::string& name : names) {
      const std::string bytes = *os::read_file(folder + "/" + name);
      for (const char* planted : {"PLANTEDKEY", "PLANTEDVALUE"}) {
        if (bytes.find(planted) != std::string::npos) ++found;
        if (name.find(planted) != std::string::npos) ++found;
      }
    }
    return found;
  };
  for (const bool sealed : {true, false}) {
    RocksOptions options =
        small(folder_.file(sealed ? "sealed" : "plain"), sealed ? std::optional(key_) : std::nullopt);
    const std::string copy = options.folder + ".copy";
    for (int opened = 0; opened < 3; ++opened) {
      auto store = *RocksStore::open(options);
      for (int i = 0; i < 20; ++i) {
        WriteBatch batch;
        for (int j = 0; j < 50; ++j) {
          batch.put(fmt::format("PLANTEDKEY{:03}{}", j, i), fmt::format("PLANTEDVALUE{}{}", i, std::string(1000, 'P')));
        }
        batch.remove_range("PLANTEDKEY010", "PLANTEDKEY020");
        ASSERT_TRUE(store->apply(batch).ok());
      }
      if (opened == 1) {
        ASSERT_TRUE(store->checkpoint(copy).ok());
      }
    }
    if (sealed) {
      EXPECT_EQ(scan(options.folder), 0);
      EXPECT_EQ(scan(copy), 0);
      EXPECT_FALSE(os::exists(options.folder + "/LOG"));
    } else {
      EXPECT_GT(scan(options.folder), 0) << "the search itself finds nothing";
      EXPECT_FALSE(os::exists(options.folder + "/LOG"));
    }
  }
}

TEST_F(SealedRocksTest, AnotherKeyIsRefusedByNameAndChangesNothing) {
  RocksOptions options = small(folder_.file("state"), key_);
  {
    WriteBatch batch;
    batch.put("key", "value");
    ASSERT_TRUE((*RocksStore::open(options))->apply(batch).ok());
  }
  const SealingKey other = SealingKey::generate();
  options.key = other;
  const Status wrong = RocksStore::open(options).status();
  EXPECT_EQ(wrong.kind(), "key.wrong");
  for (const std::string& part :
       {options.folder + "/CURRENT", crypto::key_id_text(key_.id()), crypto::key_id_text(other.id())}) {
    EXPECT_NE(wrong.to_string().find(part), std::string::npos) << wrong.to_string();
  }
  options.key.reset();
  EXPECT_EQ(RocksStore::open(options).status().kind(), "key.missing");
  options.key = key_;
  std::string value;
  EXPECT_TRUE(*(*RocksStore::open(options))->get("key", &value));
  RocksOptions plain = small(folder_.file("plain"), std::nullopt);
  ASSERT_TRUE(RocksStore::open(plain).ok());
  plain.key = key_;
  EXPECT_EQ(RocksStore::open(plain).status().kind(), "key.unsealed");
}

// A table with the name of another; a table of another store sealed with the same key; a table cut at a block.
TEST_F(SealedRocksTest, SwappedAndCutTablesAreFound) {
  std::mt19937 random(29);
  const auto fill = [&](const std::string& name, char letter) {
    auto store = *RocksStore::open(small(folder_.file(name), key_));
    for (int i = 0; i < 2; ++i) {
      WriteBatch batch;
      for (int j = 0; j < 100; ++j) {
        std::string value(200, letter);
        for (char& byte : value) byte = static_cast<char>(byte + random() % 50);
        batch.put(fmt::format("{}{:03}", i, j), value);
      }
      EXPECT_TRUE(store->apply(batch).ok());
      EXPECT_TRUE(store->checkpoint(folder_.file(fmt::format("{}.{}", name, i))).ok());
    }
  };
  const auto tables = [&](const std::string& name) {
    std::vector<std::string> found;
    const std::vector<std::string> names = *os::list_directory(folder_.file(name));
    for (const std::string& file : names) {
      if (file.ends_with(".sst")) found.push_back(folder_.file(name) + "/" + file);
    }
    return found;
  };
  const auto damaged = [&](const std::string& name) {
    auto store = RocksStore::open(small(folder_.file(name), key_));
    if (!store.ok()) return store.status().code();
    const auto at = (*store)->iterate("", "");
    while (at->valid()) at->next();
    return at->status().code();
  };
  fill("one", 'a');
  fill("two", 'b');
  ASSERT_EQ(tables("one").size(), 2u);
  ASSERT_EQ(tables("one.1").size(), 2u);
  EXPECT_EQ(damaged("one.1"), Code::kOk);
  // The same store, tables exchanged.
  const std::string first = *os::read_file(tables("one.1")[0]), second = *os::read_file(tables("one.1")[1]);
  ASSERT_TRUE(os::write_file_atomic(tables("one.1")[0], second).ok());
  ASSERT_TRUE(os::write_file_atomic(tables("one.1")[1], first).ok());
  EXPECT_EQ(damaged("one.1"), Code::kDataLoss);
  // Cut at a block.
  const std::string cut = *os::read_file(tables("two.0")[0]);
  ASSERT_GT(cut.size(), kHeaderBytes + kBlockBytes + crypto::kSealOverhead);
  ASSERT_TRUE(
      os::write_file_atomic(tables("two.0")[0], cut.substr(0, kHeaderBytes + kBlockBytes + crypto::kSealOverhead))
          .ok());
  EXPECT_EQ(damaged("two.0"), Code::kDataLoss);
}

}  // namespace
}  // namespace runink::barn
