// The file system as RocksDB sees it. The format itself is tested in sealed_file_test.cc.
#include "control/barn/rocks/sealed_file_system.h"

#include <gtest/gtest.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <map>
#include <random>

#include "control/barn/rocks/folder_in_test.h"
#include "platform/os/file.h"

namespace runink::barn {
namespace {

using rocksdb::FileOptions;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

class SealedFileSystemTest : public ::testing::Test {
 protected:
  std::string path(std::string_view name) const { return folder_.file(name); }
  IOStatus write(const std::string& path, std::string_view bytes) {
    std::unique_ptr<rocksdb::FSWritableFile> file;
    IOStatus status = system_->NewWritableFile(path, FileOptions(), &file, nullptr);
    if (status.ok()) status = file->Append(Slice(bytes.data(), bytes.size()), IOOptions(), nullptr);
    if (status.ok()) status = file->Close(IOOptions(), nullptr);
    return status;
  }
  std::string read(const std::string& path) {
    std::unique_ptr<rocksdb::FSSequentialFile> file;
    if (IOStatus status = system_->NewSequentialFile(path, FileOptions(), &file, nullptr); !status.ok()) {
      return status.ToString();
    }
    std::string bytes(1 << 20, '\0');
    Slice result;
    const IOStatus status = file->Read(bytes.size(), IOOptions(), &result, bytes.data(), nullptr);
    return status.ok() ? result.ToString() : status.ToString();
  }
  uint64_t size(const std::string& path) {
    uint64_t size = 0;
    EXPECT_TRUE(system_->GetFileSize(path, IOOptions(), &size, nullptr).ok());
    return size;
  }

  os::TempFolder folder_ = folder_in_memory();
  crypto::SealingKey key_ = crypto::SealingKey::generate();
  std::shared_ptr<rocksdb::FileSystem> system_ = sealed_file_system(key_);
};

// Whole life of files, against a map: made, replaced, linked, renamed, reused, written on, removed, measured, read.
TEST_F(SealedFileSystemTest, RandomSequencesAgainstAModel) {
  std::mt19937 random(11);
  std::map<std::string, std::string> model;
  const auto any_name = [&] { return fmt::format("{:06}{}", random() % 12, random() % 2 == 0 ? ".sst" : ".log"); };
  const auto bytes_of = [&](size_t most) {
    std::string bytes(random() % most, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random());
    return bytes;
  };
  for (int step = 0; step < 1000; ++step) {
    const std::string name = any_name(), other = any_name();
    const bool there = model.count(name) > 0, same_kind = layout_of(name) == layout_of(other);
    switch (random() % 7) {
      case 0:
        model[name] = bytes_of(30000);
        ASSERT_TRUE(write(path(name), model[name]).ok());
        break;
      case 1:
        if (!there || model.count(other) > 0 || !same_kind) break;
        ASSERT_TRUE(system_->LinkFile(path(name), path(other), IOOptions(), nullptr).ok());
        model[other] = model[name];
        break;
      case 2:
        if (!there || name == other || !same_kind) break;
        ASSERT_TRUE(system_->RenameFile(path(name), path(other), IOOptions(), nullptr).ok());
        model[other] = model[name];
        model.erase(name);
        break;
      case 3: {
        if (!there || layout_of(name) != Layout::kFrames) break;
        uint64_t links = 0;
        ASSERT_TRUE(system_->NumFileLinks(path(name), IOOptions(), &links, nullptr).ok());
        if (links > 1) break;
        std::unique_ptr<rocksdb::FSWritableFile> file;
        ASSERT_TRUE(system_->ReopenWritableFile(path(name), FileOptions(), &file, nullptr).ok());
        ASSERT_EQ(file->GetFileSize(IOOptions(), nullptr), model[name].size());
        const std::string more = bytes_of(5000);
        ASSERT_TRUE(file->Append(more, IOOptions(), nullptr).ok());
        ASSERT_TRUE(file->Sync(IOOptions(), nullptr).ok());
        model[name] += more;
        break;
      }
      case 4:
        ASSERT_EQ(system_->DeleteFile(path(name), IOOptions(), nullptr).ok(), there);
        model.erase(name);
        break;
      case 5: {
        if (!there || name == other || !same_kind) break;
        std::unique_ptr<rocksdb::FSWritableFile> file;
        ASSERT_TRUE(system_->ReuseWritableFile(path(other), path(name), FileOptions(), &file, nullptr).ok());
        ASSERT_TRUE(file->Append("new content", IOOptions(), nullptr).ok());
        ASSERT_TRUE(file->Close(IOOptions(), nullptr).ok());
        model[other] = "new content";
        model.erase(name);
        break;
      }
      default: {
        std::unique_ptr<rocksdb::FSRandomAccessFile> file;
        ASSERT_EQ(system_->NewRandomAccessFile(path(name), FileOptions(), &file, nullptr).ok(), there);
        if (!there) break;
        std::string out(random() % 9000, '\0');
        const size_t offset = random() % (model[name].size() + 1);
        Slice result;
        ASSERT_TRUE(file->Read(offset, out.size(), IOOptions(), &result, out.data(), nullptr).ok());
        ASSERT_EQ(result.ToString(), model[name].substr(offset, out.size()));
      }
    }
  }
  std::vector<rocksdb::FileAttributes> attributes;
  ASSERT_TRUE(system_->GetChildrenFileAttributes(folder_.path(), IOOptions(), &attributes, nullptr).ok());
  std::map<std::string, uint64_t> sizes;
  for (const auto& file : attributes) sizes[file.name] = file.size_bytes;
  ASSERT_EQ(sizes.size(), model.size());
  for (const auto& [name, bytes] : model) {
    EXPECT_EQ(sizes[name], bytes.size());
    EXPECT_EQ(size(path(name)), bytes.size());
    EXPECT_EQ(read(path(name)), bytes);
  }
}

TEST_F(SealedFileSystemTest, SkippingAndEnds) {
  ASSERT_TRUE(write(path("000001.log"), "0123456789").ok());
  std::unique_ptr<rocksdb::FSSequentialFile> file;
  ASSERT_TRUE(system_->NewSequentialFile(path("000001.log"), FileOptions(), &file, nullptr).ok());
  char out[16];
  Slice result;
  ASSERT_TRUE(file->Skip(7).ok());
  ASSERT_TRUE(file->Read(16, IOOptions(), &result, out, nullptr).ok());
  EXPECT_EQ(result.ToString(), "789");
  ASSERT_TRUE(file->Skip(100).ok());
  ASSERT_TRUE(file->Read(16, IOOptions(), &result, out, nullptr).ok());
  EXPECT_EQ(result.size(), 0u);
}

TEST_F(SealedFileSystemTest, WhatCannotBeSealedIsRefused) {
  ASSERT_TRUE(write(path("a.log"), "content").ok());
  std::unique_ptr<rocksdb::FSRandomRWFile> in_place;
  EXPECT_TRUE(system_->NewRandomRWFile(path("a.log"), FileOptions(), &in_place, nullptr).IsNotSupported());
  EXPECT_TRUE(system_->Truncate(path("a.log"), 3, IOOptions(), nullptr).IsNotSupported());
  std::unique_ptr<rocksdb::MemoryMappedFileBuffer> mapped;
  EXPECT_TRUE(system_->NewMemoryMappedFileBuffer(path("a.log"), &mapped).IsNotSupported());
  std::shared_ptr<rocksdb::Logger> logger;
  ASSERT_TRUE(system_->NewLogger(path("LOG"), IOOptions(), &logger, nullptr).ok());
  rocksdb::Error(logger, "key %s", "planted");
  EXPECT_FALSE(os::exists(path("LOG")));
  EXPECT_EQ(read(path("a.log")), "content");
}

TEST_F(SealedFileSystemTest, ErrorsKeepTheirMeaning) {
  std::unique_ptr<rocksdb::FSSequentialFile> file;
  EXPECT_TRUE(system_->NewSequentialFile(path("absent"), FileOptions(), &file, nullptr).IsPathNotFound());
  ASSERT_TRUE(write(path("a.sst"), std::string(5000, 'a')).ok());
  std::string bytes = *os::read_file(path("a.sst"));
  bytes[300] = static_cast<char>(bytes[300] ^ 1);
  ASSERT_TRUE(os::write_file_atomic(path("a.sst"), bytes).ok());
  EXPECT_NE(read(path("a.sst")).find("Corruption"), std::string::npos);
  EXPECT_NE(read(path("a.sst")).find("a.sst"), std::string::npos);
  const auto stranger = sealed_file_system(crypto::SealingKey::generate());
  const IOStatus refused = stranger->NewSequentialFile(path("a.sst"), FileOptions(), &file, nullptr);
  EXPECT_TRUE(refused.IsInvalidArgument());
  EXPECT_NE(refused.ToString().find(crypto::key_id_text(key_.id())), std::string::npos);
}

}  // namespace
}  // namespace runink::barn
