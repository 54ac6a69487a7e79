#include "control/barn/rocks/sealed_file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "control/barn/rocks/folder_in_test.h"
#include "platform/os/file.h"

namespace runink::barn {
namespace {

using crypto::SealingKey;

constexpr size_t kSealedBlock = kBlockBytes + crypto::kSealOverhead;

class SealedFileTest : public ::testing::Test {
 protected:
  std::string path(std::string_view name = "file") const { return folder_.file(name); }

  // Bytes that do not repeat in a pattern which a misplaced block would fit.
  std::string content(size_t size) {
    std::string bytes(size, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random_());
    return bytes;
  }
  void write(const std::string& path, Layout layout, std::string_view bytes, const SealingKey* key) {
    auto writer = FileWriter::create(path, layout, key);
    ASSERT_TRUE(writer.ok()) << writer.status().to_string();
    ASSERT_TRUE((*writer)->append(bytes).ok());
    ASSERT_TRUE((*writer)->close().ok());
  }
  Result<std::string> read(const std::string& path, const SealingKey* key,
                           FileReader::Expect expect = FileReader::Expect::kWhole) {
    const auto reader = RUNINK_TRY(FileReader::open(path, key, expect));
    const uint64_t size = RUNINK_TRY(reader->size());
    std::string bytes(size + 10, '\0');
    bytes.resize(RUNINK_TRY(reader->read_at(0, bytes.data(), bytes.size())));
    return bytes;
  }
  std::string raw(const std::string& path) { return *os::read_file(path); }
  // Without a sync: some tests do this thousands of times.
  void put_raw(const std::string& path, std::string_view bytes) {
    ASSERT_TRUE(os::write_all(*os::open_file(path, os::OpenMode::kTruncate), bytes).ok());
  }

  os::TempFolder folder_ = folder_in_memory();
  SealingKey key_ = SealingKey::generate();
  std::mt19937 random_{7};
};

TEST_F(SealedFileTest, EverySizeComesBackInBothLayoutsAndPlain) {
  for (const Layout layout : {Layout::kBlocks, Layout::kFrames}) {
    for (const SealingKey* key : {static_cast<const SealingKey*>(&key_), static_cast<const SealingKey*>(nullptr)}) {
      for (const size_t size : {0, 1, 4095, 4096, 4097, 8192, 65535, 65536, 65537, 300000}) {
        const std::string bytes = content(size);
        write(path(), layout, bytes, key);
        const Result<std::string> back = read(path(), key);
        ASSERT_TRUE(back.ok()) << back.status().to_string();
        ASSERT_EQ(*back, bytes);
        ASSERT_EQ(*(*FileReader::open(path(), key))->size(), size);
      }
    }
  }
}

// Against a string: appends, syncs, reads while it is written (frames), reads of any range when it is closed.
TEST_F(SealedFileTest, RandomSequencesAgainstAPlainModel) {
  for (int round = 0; round < 12; ++round) {
    const Layout layout = round % 2 == 0 ? Layout::kBlocks : Layout::kFrames;
    std::string model;
    auto writer = *FileWriter::create(path(), layout, &key_);
    const auto check_read = [&](const FileReader& reader) {
      const uint64_t offset = random_() % (model.size() + 100);
      std::string out(random_() % 40000, '\0');
      const Result<size_t> size = reader.read_at(offset, out.data(), out.size());
      ASSERT_TRUE(size.ok()) << size.status().to_string();
      const std::string wanted = offset < model.size() ? model.substr(offset, out.size()) : "";
      ASSERT_EQ(*size, wanted.size());
      ASSERT_EQ(out.substr(0, *size), wanted);
    };
    auto while_written = *FileReader::open(path(), &key_);
    for (int step = 0; step < 60; ++step) {
      const uint32_t choice = random_() % 10;
      if (choice < 6) {
        const size_t sizes[] = {1, 37, 4096, 5000, 70000};
        const std::string bytes = content(random_() % sizes[random_() % 5] + 1);
        ASSERT_TRUE(writer->append(bytes).ok());
        model += bytes;
      } else if (choice == 6) {
        ASSERT_TRUE(writer->sync().ok());
      } else if (choice == 7 && layout == Layout::kFrames) {
        ASSERT_TRUE(writer->close().ok());
        auto reopened = FileWriter::reopen(path(), &key_);
        ASSERT_TRUE(reopened.ok()) << reopened.status().to_string();
        writer = std::move(*reopened);
      } else if (layout == Layout::kFrames) {
        ASSERT_NO_FATAL_FAILURE(check_read(*while_written));
      }
      ASSERT_EQ(writer->size(), model.size());
    }
    ASSERT_TRUE(writer->close().ok());
    const auto reader = *FileReader::open(path(), &key_);
    ASSERT_EQ(*reader->size(), model.size());
    for (int i = 0; i < 50; ++i) ASSERT_NO_FATAL_FAILURE(check_read(*reader));
  }
}

TEST_F(SealedFileTest, SyncedBlocksReadAsWholeAndGoOn) {
  const std::string bytes = content(10000);
  auto writer = *FileWriter::create(path(), Layout::kBlocks, &key_);
  for (const size_t size : {4096, 1, 4095, 1808}) {
    ASSERT_TRUE(writer->append(bytes.substr(writer->size(), size)).ok());
    ASSERT_TRUE(writer->sync().ok());
    const Result<std::string> back = read(path(), &key_);
    ASSERT_TRUE(back.ok()) << back.status().to_string();
    EXPECT_EQ(*back, bytes.substr(0, writer->size()));
  }
}

// What is on disk after sync() is not written again: a power cut in the midst of that would cost it.
TEST_F(SealedFileTest, ClosingAfterASyncChangesNothing) {
  for (const size_t size : {0, 10, 4096, 9000}) {
    for (const Layout layout : {Layout::kBlocks, Layout::kFrames}) {
      auto writer = *FileWriter::create(path(), layout, &key_);
      ASSERT_TRUE(writer->append(content(size)).ok());
      ASSERT_TRUE(writer->sync().ok());
      const std::string synced = raw(path());
      ASSERT_TRUE(writer->sync().ok());
      ASSERT_TRUE(writer->close().ok());
      EXPECT_EQ(raw(path()), synced);
    }
  }
}

TEST_F(SealedFileTest, NothingPlainIsInTheFile) {
  std::string bytes;
  while (bytes.size() < 200000) bytes += "planted value ";
  for (const Layout layout : {Layout::kBlocks, Layout::kFrames}) {
    write(path(), layout, bytes, &key_);
    EXPECT_EQ(raw(path()).find("planted"), std::string::npos);
  }
}

TEST_F(SealedFileTest, NoNonceIsUsedTwiceInAFileThatIsSyncedOften) {
  auto writer = *FileWriter::create(path(), Layout::kBlocks, &key_);
  std::set<std::string> seen;
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(writer->append(std::string(100, 'x')).ok());
    ASSERT_TRUE(writer->sync().ok());
    const std::string file = raw(path());
    const size_t last = (file.size() - kHeaderBytes - 1) / kSealedBlock * kSealedBlock + kHeaderBytes;
    EXPECT_TRUE(seen.insert(file.substr(last, crypto::kNonceBytes)).second) << "at sync " << i;
  }
}

TEST_F(SealedFileTest, EveryBitOfBlocksIsGuarded) {
  const std::string bytes = content(2 * kBlockBytes + 100);
  write(path(), Layout::kBlocks, bytes, &key_);
  const std::string file = raw(path());
  for (size_t i = 0; i < 600; ++i) {
    const size_t at = i < kHeaderBytes ? i : kHeaderBytes + random_() % (file.size() - kHeaderBytes);
    std::string wrong = file;
    wrong[at] = static_cast<char>(wrong[at] ^ 1 << random_() % 8);
    put_raw(path(), wrong);
    const Result<std::string> back = read(path(), &key_);
    ASSERT_FALSE(back.ok()) << "byte " << at;
    // A damaged magic makes it a file that is not sealed; all else is named as damage.
    ASSERT_EQ(back.status().code(), at < 8 ? Code::kFailedPrecondition : Code::kDataLoss) << back.status().to_string();
    ASSERT_NE(back.status().to_string().find(path()), std::string::npos);
  }
}

TEST_F(SealedFileTest, ACutFileOfBlocksIsNotWholeWhereverItIsCut) {
  const std::string bytes = content(3 * kBlockBytes + 50);
  write(path(), Layout::kBlocks, bytes, &key_);
  const std::string file = raw(path());
  for (size_t size = kHeaderBytes; size < file.size(); size += size % kSealedBlock == 0 ? 1 : 37) {
    put_raw(path(), file.substr(0, size));
    const Result<std::string> back = read(path(), &key_);
    ASSERT_FALSE(back.ok()) << "cut to " << size;
    ASSERT_EQ(back.status().code(), Code::kDataLoss);
  }
  // Exactly at a block: only the mark of the last one tells.
  put_raw(path(), file.substr(0, kHeaderBytes + 2 * kSealedBlock));
  EXPECT_NE(read(path(), &key_).status().message().find("not marked as the last"), std::string::npos);
}

TEST_F(SealedFileTest, BlocksAreBoundToTheirPlaceAndFile) {
  const std::string bytes = content(4 * kBlockBytes);
  write(path(), Layout::kBlocks, bytes, &key_);
  write(path("other"), Layout::kBlocks, bytes, &key_);
  const std::string file = raw(path()), other = raw(path("other"));
  const auto block = [](size_t i) { return kHeaderBytes + i * kSealedBlock; };
  std::string wrong = file;
  wrong.replace(block(1), kSealedBlock, file, block(2), kSealedBlock);
  put_raw(path(), wrong);
  EXPECT_EQ(read(path(), &key_).status().code(), Code::kDataLoss) << "a block in the place of another";
  wrong = file;
  wrong.replace(block(1), kSealedBlock, other, block(1), kSealedBlock);
  put_raw(path(), wrong);
  EXPECT_EQ(read(path(), &key_).status().code(), Code::kDataLoss) << "the same block of another file";
  put_raw(path(), other.substr(0, kHeaderBytes) + file.substr(kHeaderBytes));
  EXPECT_EQ(read(path(), &key_).status().code(), Code::kDataLoss) << "the header of another file";
  put_raw(path(), file);
  ASSERT_EQ(::link(path().c_str(), path("linked").c_str()), 0);
  ASSERT_TRUE(os::rename_file(path(), path("renamed")).ok());
  EXPECT_EQ(*read(path("linked"), &key_), bytes);
  EXPECT_EQ(*read(path("renamed"), &key_), bytes);
}

// What a crash leaves of a log: any prefix of the file, or zeros after one. All of it reads as the frames that are
// whole.
TEST_F(SealedFileTest, ATornEndOfFramesIsTheEnd) {
  std::string bytes;
  std::map<size_t, size_t> whole;  // size of the file → size of the content
  auto writer = *FileWriter::create(path(), Layout::kFrames, &key_);
  for (int i = 0; i < 12; ++i) {
    const std::string piece = content(random_() % 300 + 1);
    ASSERT_TRUE(writer->append(piece).ok());
    bytes += piece;
    whole[raw(path()).size()] = bytes.size();
  }
  const std::string file = raw(path());
  for (size_t size = 0; size <= file.size(); ++size) {
    const auto after = whole.upper_bound(size);
    const std::string wanted = after == whole.begin() ? "" : bytes.substr(0, std::prev(after)->second);
    put_raw(path(), file.substr(0, size));
    Result<std::string> back = read(path(), &key_);
    ASSERT_TRUE(back.ok()) << size << back.status().to_string();
    ASSERT_EQ(*back, wanted) << size;
    if (size % 7 == 0) {  // it can be written on, by less than what is left of the torn piece
      auto reopened = FileWriter::reopen(path(), &key_);
      ASSERT_TRUE(reopened.ok());
      ASSERT_TRUE((*reopened)->append("x").ok());
      back = read(path(), &key_);
      ASSERT_TRUE(back.ok()) << size << back.status().to_string();
      ASSERT_EQ(*back, wanted + "x");
    }
    if (whole.count(size) == 0) continue;
    put_raw(path(), file.substr(0, size) + std::string(5000, '\0'));
    ASSERT_EQ(*read(path(), &key_), wanted);
    // And it can be written on.
    auto reopened = FileWriter::reopen(path(), &key_);
    ASSERT_TRUE(reopened.ok());
    ASSERT_TRUE((*reopened)->append("and on").ok());
    ASSERT_EQ(*read(path(), &key_), wanted + "and on");
  }
}

TEST_F(SealedFileTest, DamageWithinFramesIsNoTornEnd) {
  std::string bytes;
  std::vector<size_t> ends;
  auto writer = *FileWriter::create(path(), Layout::kFrames, &key_);
  for (int i = 0; i < 6; ++i) {
    const std::string piece = content(100);
    ASSERT_TRUE(writer->append(piece).ok());
    bytes += piece;
    ends.push_back(raw(path()).size());
  }
  const std::string file = raw(path());
  for (size_t at = kHeaderBytes; at < file.size(); ++at) {
    std::string wrong = file;
    wrong[at] = static_cast<char>(wrong[at] ^ 1 << random_() % 8);
    put_raw(path(), wrong);
    const auto reader = *FileReader::open(path(), &key_);
    std::string out(bytes.size() + 1, '\0');
    const Result<size_t> size = reader->read_at(0, out.data(), out.size());
    ASSERT_FALSE(size.ok()) << "byte " << at << " was read over as if it were the end";
    ASSERT_EQ(size.status().code(), Code::kDataLoss);
    // What is before it can be read.
    const size_t good = static_cast<size_t>(std::upper_bound(ends.begin(), ends.end(), at) - ends.begin()) * 100;
    ASSERT_EQ(*reader->read_at(0, out.data(), good), good);
    ASSERT_EQ(out.substr(0, good), bytes.substr(0, good));
  }
  // Frames swapped, repeated, left out, or followed by those of another file.
  const auto frame = [&](size_t i) { return file.substr(ends[i] - (ends[1] - ends[0]), ends[1] - ends[0]); };
  const std::string header = file.substr(0, kHeaderBytes);
  for (const std::string& wrong :
       {header + frame(1) + frame(0), header + frame(0) + frame(0), header + frame(0) + frame(2),
        header + frame(0) + std::string(136, '\0') + frame(2)}) {
    put_raw(path(), wrong);
    EXPECT_EQ(read(path(), &key_).status().code(), Code::kDataLoss);
  }
}

TEST_F(SealedFileTest, KeysAreRefusedByName) {
  for (const Layout layout : {Layout::kBlocks, Layout::kFrames}) {
    write(path(), layout, "content", &key_);
    const SealingKey other = SealingKey::generate();
    const Status wrong = read(path(), &other).status();
    EXPECT_EQ(wrong.kind(), "key.wrong");
    for (const std::string& name : {path(), crypto::key_id_text(key_.id()), crypto::key_id_text(other.id())}) {
      EXPECT_NE(wrong.message().find(name), std::string::npos) << wrong.message();
    }
    EXPECT_EQ(read(path(), nullptr).status().kind(), "key.missing");
    EXPECT_EQ(FileWriter::reopen(path(), &other).status().kind(), "key.wrong");
  }
  for (const size_t size : {20, 100}) {
    write(path(), Layout::kFrames, std::string(size, 'p'), nullptr);
    EXPECT_EQ(read(path(), &key_).status().kind(), "key.unsealed");
  }
  EXPECT_EQ(read(path("absent"), &key_).status().code(), Code::kNotFound);
}

TEST_F(SealedFileTest, UnfinishedBlocksAreReadAsFarAsTheyAreWhole) {
  const std::string bytes = content(20 * kBlockBytes);
  write(path(), Layout::kBlocks, bytes, &key_);
  const std::string file = raw(path());
  for (const size_t cut : {size_t{0}, size_t{1}, kSealedBlock - 1, kSealedBlock, 3 * kSealedBlock + 5}) {
    put_raw(path(), file.substr(0, file.size() - cut));
    const Result<std::string> back = read(path(), &key_, FileReader::Expect::kUnfinished);
    ASSERT_TRUE(back.ok()) << back.status().to_string();
    EXPECT_EQ(*back, bytes.substr(0, (file.size() - cut - kHeaderBytes) / kSealedBlock * kBlockBytes));
  }
  put_raw(path(), file.substr(0, kHeaderBytes + 100));
  EXPECT_EQ(*read(path(), &key_, FileReader::Expect::kUnfinished), "");
  put_raw(path(), file.substr(0, 30));
  EXPECT_EQ(*read(path(), &key_, FileReader::Expect::kUnfinished), "");
}

TEST_F(SealedFileTest, ManyThreadsReadOneFile) {
  const std::string bytes = content(200000);
  for (const Layout layout : {Layout::kBlocks, Layout::kFrames}) {
    write(path(), layout, bytes, &key_);
    const auto reader = *FileReader::open(path(), &key_);
    std::vector<std::thread> threads;
    std::vector<int> bad(4);
    for (size_t t = 0; t < bad.size(); ++t) {
      threads.emplace_back([&, t] {
        std::mt19937 random(static_cast<uint32_t>(t));
        std::string out(9000, '\0');
        for (int i = 0; i < 100; ++i) {
          const size_t offset = random() % bytes.size();
          const Result<size_t> size = reader->read_at(offset, out.data(), out.size());
          if (!size.ok() || out.substr(0, *size) != bytes.substr(offset, out.size())) ++bad[t];
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(bad, std::vector<int>(bad.size(), 0));
  }
}

TEST_F(SealedFileTest, ReplacingAFileLeavesLinksToTheOldOneAlone) {
  write(path(), Layout::kBlocks, "old", &key_);
  ASSERT_EQ(::link(path().c_str(), path("link").c_str()), 0);
  write(path(), Layout::kBlocks, "new", &key_);
  EXPECT_EQ(*read(path("link"), &key_), "old");
  EXPECT_EQ(*read(path(), &key_), "new");
}

// In a process of its own, which may not write beyond a megabyte.
TEST_F(SealedFileTest, AFailedWriteIsNotRepeated) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const rlimit limit{1 << 20, 1 << 20};
    ::signal(SIGXFSZ, SIG_IGN);
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(1);
    for (const Layout layout : {Layout::kBlocks, Layout::kFrames}) {
      auto writer = *FileWriter::create(path(), layout, &key_);
      if (!writer->append(std::string(600'000, 'x')).ok()) ::_exit(2);
      const Status first = writer->append(std::string(600'000, 'x'));
      if (first.ok() && layout == Layout::kFrames) ::_exit(3);
      if (::truncate(path().c_str(), 0) != 0) ::_exit(4);  // now there would be room
      const Status second = writer->sync(), third = writer->append("y"), last = writer->close();
      if (second.ok() || third.to_string() != second.to_string() || last.to_string() != second.to_string()) ::_exit(5);
    }
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_TRUE(WIFEXITED(status));
}

}  // namespace
}  // namespace runink::barn
