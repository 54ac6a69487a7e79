#include "control/barn/rocks/chunk_store.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <thread>

#include "control/barn/rocks/folder_in_test.h"
#include "platform/os/file.h"

namespace runink::barn {
namespace {

using crypto::SealingKey;

class ChunkStoreTest : public ::testing::TestWithParam<bool> {
 protected:
  std::unique_ptr<ChunkStore> open() {
    auto store = ChunkStore::open(path(), key_);
    EXPECT_TRUE(store.ok()) << store.status().to_string();
    return store.ok() ? std::move(*store) : nullptr;
  }
  std::string path() const { return folder_.file("chunks"); }
  std::string file_of(const ChunkHash& hash) const {
    const std::string name = crypto::hex(hash);
    return path() + "/" + name.substr(0, 2) + "/" + name;
  }
  os::TempFolder folder_ = folder_in_memory();
  std::optional<SealingKey> key_ = GetParam() ? std::optional(SealingKey::generate()) : std::nullopt;
};

INSTANTIATE_TEST_SUITE_P(, ChunkStoreTest, ::testing::Bool(),
                         [](const auto& info) { return info.param ? "Sealed" : "Plain"; });

TEST_P(ChunkStoreTest, WhatIsPutComesBackAlsoAfterReopening) {
  auto store = open();
  std::vector<std::string> contents = {"", "a", std::string(100'000, 'b'), std::string(kChunkBytes, 'c')};
  std::vector<ChunkHash> hashes;
  for (const std::string& content : contents) {
    const Result<ChunkHash> hash = store->put(content);
    ASSERT_TRUE(hash.ok()) << hash.status().to_string();
    EXPECT_EQ(*hash, crypto::sha256(content));
    EXPECT_EQ(*store->put(content), *hash) << "twice is once";
    hashes.push_back(*hash);
  }
  EXPECT_EQ(store->put(std::string(kChunkBytes + 1, 'd')).status().code(), Code::kInvalidArgument);
  store.reset();
  store = open();
  for (size_t i = 0; i < contents.size(); ++i) {
    EXPECT_TRUE(*store->has(hashes[i]));
    EXPECT_EQ(*store->get(hashes[i]), contents[i]);
  }
  const std::vector<ChunkInfo> list = *store->list();
  ASSERT_EQ(list.size(), contents.size());
  EXPECT_TRUE(std::is_sorted(list.begin(), list.end(), [](const auto& a, const auto& b) { return a.hash < b.hash; }));
  const ChunkHash absent = crypto::sha256("absent");
  EXPECT_FALSE(*store->has(absent));
  EXPECT_EQ(store->get(absent).status().code(), Code::kNotFound);
  EXPECT_FALSE(*store->remove(absent));
  EXPECT_TRUE(*store->remove(hashes[1]));
  EXPECT_FALSE(*store->has(hashes[1]));
}

TEST_P(ChunkStoreTest, DamageIsNeverReturnedAndPuttingRepairsIt) {
  auto store = open();
  const std::string content = "some content that matters";
  const ChunkHash hash = *store->put(content), other = *store->put("another content of sure");
  ASSERT_EQ(content.size() - 2, std::string("another content of sure").size());
  const std::string good = *os::read_file(file_of(hash));
  std::vector<std::string> wrong = {"",
                                    good.substr(0, 10),
                                    good.substr(0, good.size() - 1),
                                    good + "x",
                                    *os::read_file(file_of(other)),
                                    std::string(kChunkBytes + 100, 'x')};
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string flipped = good;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    wrong.push_back(flipped);
  }
  for (const std::string& bytes : wrong) {
    ASSERT_TRUE(os::write_all(*os::open_file(file_of(hash), os::OpenMode::kTruncate), bytes).ok());
    const Status status = store->get(hash).status();
    ASSERT_EQ(status.kind(), "barn.chunk.damaged") << status.to_string();
    ASSERT_EQ(status.code(), Code::kDataLoss);
    ASSERT_NE(status.message().find(file_of(hash)), std::string::npos);
  }
  ASSERT_TRUE(store->put(content).ok());
  EXPECT_EQ(*store->get(hash), content);
}

TEST_P(ChunkStoreTest, CollectingKeepsRootsAndWhatIsPinned) {
  auto store = open();
  std::vector<ChunkHash> hashes;
  for (int i = 0; i < 30; ++i) hashes.push_back(*store->put(fmt::format("chunk {}", i)));
  for (int i = 0; i < 20; ++i) store->unpin(hashes[i]);
  (void)store->put("chunk 19");  // pinned again
  (void)store->put("chunk 29");
  store->unpin(hashes[29]);  // once of twice
  EXPECT_EQ(store->remove(hashes[25]).status().code(), Code::kFailedPrecondition);
  const auto collected = store->collect([&](const ChunkHash& hash) {
    return std::find(hashes.begin(), hashes.begin() + 10, hash) != hashes.begin() + 10;
  });
  ASSERT_TRUE(collected.ok());
  EXPECT_EQ(collected->removed, 9u);
  EXPECT_EQ(collected->kept, 21u);
  EXPECT_GT(collected->removed_bytes, 9u * 7);
  EXPECT_EQ(store->stored().chunks, 21u);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(*store->has(hashes[i]), i < 10 || i >= 19) << i;
  // Pins end with the process.
  store.reset();
  store = open();
  EXPECT_EQ((*store->collect([](const ChunkHash&) { return false; })).removed, 21u);
  EXPECT_EQ(store->list()->size(), 0u);
  EXPECT_EQ(store->stored().chunks, 0u);
  EXPECT_EQ(store->stored().bytes, 0u);
}

TEST_P(ChunkStoreTest, KnowsHowMuchItHolds) {
  auto store = open();
  const auto agrees = [&] {
    uint64_t bytes = 0;
    for (const ChunkInfo& chunk : *store->list()) bytes += chunk.stored_bytes;
    return store->stored().chunks == store->list()->size() && store->stored().bytes == bytes;
  };
  const ChunkHash hash = *store->put("some content"), other = *store->put(std::string(1000, 'x'));
  (void)store->put("some content");
  EXPECT_TRUE(agrees());
  EXPECT_EQ(store->stored().chunks, 2u);
  // Cut short by somebody, and put again.
  ASSERT_TRUE(os::write_all(*os::open_file(file_of(hash), os::OpenMode::kTruncate), "cut").ok());
  EXPECT_FALSE(agrees());
  ASSERT_TRUE(store->recount().ok());
  EXPECT_TRUE(agrees());
  (void)store->put("some content");
  EXPECT_TRUE(agrees());
  store->unpin(other);
  ASSERT_TRUE(*store->remove(other));
  EXPECT_TRUE(agrees());
  store.reset();
  store = open();
  EXPECT_TRUE(agrees());
  EXPECT_EQ(store->stored().chunks, 1u);
}

// Putting, reading, unpinning and collecting at once: whatever a thread has put and not unpinned is there.
TEST_P(ChunkStoreTest, ManyThreadsAndACollector) {
  auto store = open();
  std::atomic<bool> stop{false};
  std::atomic<int> bad{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(static_cast<uint32_t>(t));
      for (int i = 0; i < 60; ++i) {
        const std::string content = fmt::format("content {}", random() % 8);  // the same for all threads
        const Result<ChunkHash> hash = store->put(content);
        if (!hash.ok()) {
          ++bad;
          continue;
        }
        const Result<std::string> back = store->get(*hash);
        if (!back.ok() || *back != content) ++bad;
        store->unpin(*hash);
      }
    });
  }
  std::thread collector([&] {
    while (!stop) {
      if (!store->collect([](const ChunkHash&) { return false; }).ok()) ++bad;
      std::this_thread::yield();
    }
  });
  for (std::thread& thread : threads) thread.join();
  stop = true;
  collector.join();
  EXPECT_EQ(bad, 0);
}

TEST_P(ChunkStoreTest, LeftoversAndForeignNamesAreNoChunks) {
  auto store = open();
  const ChunkHash hash = *store->put("content");
  store.reset();
  const std::string folder = os::folder_of(file_of(hash));
  ASSERT_TRUE(os::write_file_atomic(path() + "/.tmp-00112233", "half a chunk").ok());
  ASSERT_TRUE(os::write_file_atomic(folder + "/README", "x").ok());
  ASSERT_TRUE(os::write_file_atomic(folder + "/" + std::string(64, 'F'), "x").ok());
  // Who only reads changes nothing, and makes nothing.
  ASSERT_TRUE(os::remove_file(path() + "/key-id").ok());
  {
    const auto reader = ChunkStore::open_to_read(path(), key_);
    ASSERT_TRUE(reader.ok()) << reader.status().to_string();
    EXPECT_EQ((*reader)->list()->size(), 1u);
    EXPECT_EQ(*(*reader)->get(hash), "content");
    EXPECT_EQ(ChunkStore::open(path(), key_).status().kind(), "lock.held");
  }
  EXPECT_TRUE(os::exists(path() + "/.tmp-00112233"));
  EXPECT_FALSE(os::exists(path() + "/key-id"));
  EXPECT_EQ(ChunkStore::open_to_read(path() + "-none", key_).status().code(), Code::kNotFound);
  EXPECT_FALSE(os::exists(path() + "-none"));
  store = open();
  EXPECT_EQ(store->list()->size(), 1u);
  EXPECT_FALSE(os::exists(path() + "/.tmp-00112233"));
  EXPECT_TRUE(os::exists(path() + "/key-id"));
}

TEST_P(ChunkStoreTest, OneProcessAtATime) {
  const auto store = open();
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(ChunkStore::open(path(), key_).status().kind() == "lock.held" ? 0 : 1);
  int status = 1;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_P(ChunkStoreTest, APlantedContentIsInNoFileWhenSealed) {
  auto store = open();
  const ChunkHash hash = *store->put("PLANTED " + std::string(5000, 'P'));
  EXPECT_EQ(os::read_file(file_of(hash))->find("PLANTED") == std::string::npos, key_.has_value());
}

TEST_P(ChunkStoreTest, AnotherKeyIsRefusedByName) {
  ASSERT_NE(open(), nullptr);
  const SealingKey other = SealingKey::generate();
  const Status status = ChunkStore::open(path(), other).status();
  EXPECT_EQ(status.kind(), key_ ? "key.wrong" : "key.unsealed");
  EXPECT_NE(status.message().find(crypto::key_id_text(other.id())), std::string::npos);
  if (key_) {
    EXPECT_NE(status.message().find(crypto::key_id_text(key_->id())), std::string::npos);
    EXPECT_EQ(ChunkStore::open(path(), std::nullopt).status().kind(), "key.missing");
  }
}

}  // namespace
}  // namespace runink::barn
