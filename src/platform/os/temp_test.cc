#include "platform/os/temp.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "platform/os/file.h"

namespace runink::os {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class TempTest : public ::testing::Test {
 protected:
  void SetUp() override { folder_ = std::move(TempFolder::create("")).value(); }
  TempFolder folder_;
};

TEST_F(TempTest, AtomicFileAppearsOnlyWhenPublished) {
  const std::string target = folder_.file("out.csv");
  {
    AtomicFile file = std::move(AtomicFile::create(target, 0600)).value();
    ASSERT_TRUE(file.write("new").ok());
    EXPECT_FALSE(exists(target));
    EXPECT_EQ(folder_of(file.temp_path()), folder_.path());
    EXPECT_EQ(file.bytes_written(), 3u);
    ASSERT_TRUE(file.sync().ok());
    AtomicFile moved = std::move(file);
    ASSERT_TRUE(moved.publish().ok());
  }
  EXPECT_EQ(*read_file(target), "new");
  EXPECT_EQ(file_info(target)->permissions, 0600u);
  EXPECT_THAT(*list_directory(folder_.path()), ElementsAre("out.csv"));
}

TEST_F(TempTest, AtomicFileDestroyedLeavesNothing) {
  const std::string target = folder_.file("out.csv");
  {
    AtomicFile file = std::move(AtomicFile::create(target)).value();
    ASSERT_TRUE(file.write("new").ok());
    AtomicFile other = std::move(AtomicFile::create(folder_.file("b"))).value();
    other = std::move(file);  // discards b's
  }
  EXPECT_THAT(*list_directory(folder_.path()), IsEmpty());
}

TEST_F(TempTest, AtomicFileFollowsLinksAndRefusesWhatIsNoFile) {
  ASSERT_TRUE(make_directories(folder_.file("real")).ok());
  ASSERT_EQ(::symlink("real/data", folder_.file("link").c_str()), 0);
  ASSERT_TRUE(write_file_atomic(folder_.file("link"), "x").ok());
  EXPECT_EQ(link_info(folder_.file("link"))->type, FileType::kLink);
  EXPECT_EQ(*read_file(folder_.file("real/data")), "x");
  EXPECT_EQ(AtomicFile::create(folder_.file("real")).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(AtomicFile::create("/dev/null").status().code(), Code::kInvalidArgument);
  ASSERT_EQ(::symlink("loop", folder_.file("loop").c_str()), 0);
  EXPECT_FALSE(AtomicFile::create(folder_.file("loop")).ok());
  EXPECT_EQ(AtomicFile::create(folder_.file("none/x")).status().code(), Code::kNotFound);
  EXPECT_TRUE(AtomicFile::create(folder_.file(std::string(255, 'n'))).ok());  // its temporary name must fit, too
}

TEST_F(TempTest, TempFolderIsPrivateAndRemoved) {
  std::string path;
  {
    TempFolder inner = std::move(TempFolder::create(folder_.file("made"), "x-")).value();
    path = inner.path();
    EXPECT_EQ(file_info(path)->permissions, 0700u);
    ASSERT_TRUE(make_directories(inner.file("a/b")).ok());
    ASSERT_TRUE(write_file_atomic(inner.file("a/b/c"), "x").ok());
  }
  EXPECT_FALSE(exists(path));
}

TEST_F(TempTest, SpillFileHasNoName) {
  SpillFile spill = std::move(SpillFile::create(folder_.path())).value();
  EXPECT_THAT(*list_directory(folder_.path()), IsEmpty());
  EXPECT_EQ(*spill.append("hello"), 0u);
  EXPECT_EQ(*spill.append("world"), 5u);
  char buffer[16];
  ASSERT_EQ(*spill.read_at(3, buffer, sizeof buffer), 7u);
  EXPECT_EQ(std::string(buffer, 7), "loworld");
  EXPECT_EQ(spill.size(), 10u);
  EXPECT_EQ(SpillFile::create(folder_.file("none")).status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace runink::os
