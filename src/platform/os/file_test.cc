#include "platform/os/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "platform/os/temp.h"

namespace runink::os {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override { folder_ = std::move(TempFolder::create("")).value(); }
  std::string path(std::string_view name) const { return folder_.file(name); }
  void put(std::string_view name, std::string_view bytes) { ASSERT_TRUE(write_file_atomic(path(name), bytes).ok()); }
  TempFolder folder_;
};

TEST_F(FileTest, WritesAndReadsBack) {
  const std::string bytes("a\0b\n", 4);
  put("x", bytes);
  EXPECT_EQ(*read_file(path("x")), bytes);
  EXPECT_THAT(*list_directory(folder_.path()), ElementsAre("x"));  // no temporary file is left
}

TEST_F(FileTest, ErrorsNameThePath) {
  const Status missing = read_file(path("none")).status();
  EXPECT_EQ(missing.code(), Code::kNotFound);
  EXPECT_THAT(missing.message(), HasSubstr(path("none")));
  const Status folder = read_file(folder_.path()).status();
  EXPECT_EQ(folder.code(), Code::kInvalidArgument);
  EXPECT_THAT(folder.message(), HasSubstr("directory"));
  EXPECT_EQ(open_file(std::string("a\0b", 3)).status().code(), Code::kInvalidArgument);
}

TEST_F(FileTest, ReadLimitHoldsForFilesAndPipes) {
  put("x", std::string(100, 'a'));
  EXPECT_TRUE(read_file(path("x"), 100).ok());
  EXPECT_EQ(read_file(path("x"), 99).status().code(), Code::kResourceExhausted);
  ASSERT_EQ(::mkfifo(path("fifo").c_str(), 0600), 0);
  std::thread writer([&] {
    const Fd fd = std::move(open_file(path("fifo"), OpenMode::kTruncate)).value();
    EXPECT_TRUE(write_all(fd, std::string(60'000, 'b')).ok());
  });
  EXPECT_EQ(read_file(path("fifo"), 59'999).status().code(), Code::kResourceExhausted);
  writer.join();
}

// It says that it has no bytes, and gives them in one read or not at all.
TEST_F(FileTest, FilesOfTheKernelAreReadWhole) {
  const auto text = read_file("/proc/sys/kernel/pid_max");
  ASSERT_TRUE(text.ok()) << text.status().to_string();
  EXPECT_GT(text->size(), 3u);
  EXPECT_EQ(text->back(), '\n');
}

TEST_F(FileTest, OpenModes) {
  put("x", "12345");
  EXPECT_EQ(open_file(path("x"), OpenMode::kCreateNew).status().code(), Code::kAlreadyExists);
  {
    const Fd fd = std::move(open_file(path("x"), OpenMode::kAppend)).value();
    ASSERT_TRUE(write_all(fd, "6").ok());
  }
  EXPECT_EQ(*read_file(path("x")), "123456");
  {
    const Fd fd = std::move(open_file(path("x"), OpenMode::kReadWrite)).value();
    ASSERT_TRUE(pwrite_all(fd, "ab", 1).ok());
    char buffer[10];
    EXPECT_EQ(*pread_full(fd, buffer, sizeof buffer, 2), 4u);
    EXPECT_EQ(std::string(buffer, 4), "b456");
  }
  { const Fd fd = std::move(open_file(path("x"), OpenMode::kTruncate)).value(); }
  EXPECT_EQ(*read_file(path("x")), "");
}

TEST_F(FileTest, GatheredWritesGoOnAfterShortCounts) {
  // A pipe takes 64 KiB at a time, so one writev of more comes back short.
  Pipe pipe = std::move(make_pipe("test")).value();
  std::string one(100'000, 'a'), two, three(50'000, 'c');
  std::string got;
  std::thread reader([&] {
    char buffer[4096];
    for (;;) {
      const size_t n = *read_some(pipe.read, buffer, sizeof buffer);
      if (n == 0) break;
      got.append(buffer, n);
    }
  });
  struct iovec vectors[] = {{one.data(), one.size()}, {two.data(), 0}, {three.data(), three.size()}};
  EXPECT_TRUE(writev_all(pipe.write, vectors, 3).ok());
  pipe.write.reset();
  reader.join();
  EXPECT_EQ(got, one + three);
}

TEST_F(FileTest, InfoAndIdentity) {
  put("x", "123");
  ASSERT_EQ(::symlink("x", path("link").c_str()), 0);
  ASSERT_EQ(::link(path("x").c_str(), path("hard").c_str()), 0);
  const FileInfo info = *file_info(path("link"));
  EXPECT_TRUE(info.regular());
  EXPECT_EQ(info.size, 3u);
  EXPECT_GT(info.modified_nanos, int64_t{1'600'000'000} * 1'000'000'000);
  EXPECT_EQ(link_info(path("link"))->type, FileType::kLink);
  EXPECT_TRUE(same_file(path("x"), path("hard")));
  EXPECT_TRUE(same_file(path("x"), path("link")));
  put("y", "123");
  EXPECT_FALSE(same_file(path("x"), path("y")));
  EXPECT_FALSE(same_file(path("none"), path("none")));
}

TEST_F(FileTest, FoldersAreMadeAndRemoved) {
  ASSERT_TRUE(make_directories(path("a/b//c/"), 0700).ok());
  EXPECT_EQ(file_info(path("a/b/c"))->permissions, 0700u);
  EXPECT_TRUE(make_directories(path("a/b/c")).ok());
  put("a/file", "x");
  EXPECT_EQ(make_directories(path("a/file/d")).code(), Code::kNotFound);
  put("keep", "precious");
  ASSERT_EQ(::symlink(folder_.path().c_str(), path("a/b/out").c_str()), 0);
  EXPECT_EQ(*tree_bytes(path("a")), 1u);
  ASSERT_TRUE(remove_tree(path("a")).ok());
  EXPECT_FALSE(exists(path("a")));
  EXPECT_EQ(*read_file(path("keep")), "precious");  // the link was not followed
  EXPECT_TRUE(remove_tree(path("a")).ok());
  EXPECT_FALSE(remove_tree("/").ok());
  EXPECT_FALSE(remove_tree("").ok());
}

TEST(PathTest, TextOfPaths) {
  EXPECT_EQ(join_path("a", "b"), "a/b");
  EXPECT_EQ(join_path("a/", "b"), "a/b");
  EXPECT_EQ(join_path("a", "/b"), "/b");
  EXPECT_EQ(join_path("", "b"), "b");
  EXPECT_EQ(folder_of("a/b"), "a");
  EXPECT_EQ(folder_of("/a"), "/");
  EXPECT_EQ(folder_of("a"), ".");
  EXPECT_EQ(folder_of("a/b/"), "a");
  EXPECT_EQ(file_name_of("a/b.c"), "b.c");
  EXPECT_EQ(file_name_of("/"), "/");
  EXPECT_EQ(normalize_path("a//./b/../c"), "a/c");
  EXPECT_EQ(normalize_path("../../a/.."), "../..");
  EXPECT_EQ(normalize_path("/../a"), "/a");
  EXPECT_EQ(normalize_path(""), ".");
}

TEST_F(FileTest, AbsolutePathsOfFilesThatAreNotThere) {
  const std::string root = *canonical_path(folder_.path());
  ASSERT_TRUE(make_directories(path("real")).ok());
  ASSERT_EQ(::symlink("real", path("link").c_str()), 0);
  EXPECT_EQ(*absolute_path(path("link/x/y.txt")), root + "/real/x/y.txt");
  EXPECT_EQ(*absolute_path("none"), *working_directory() + "/none");
  EXPECT_EQ(canonical_path(path("none")).status().code(), Code::kNotFound);
}

TEST_F(FileTest, FullDiskIsTold) {
  if (!exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const Fd fd = std::move(open_file("/dev/full", OpenMode::kAppend)).value();
  EXPECT_EQ(write_all(fd, "x").code(), Code::kResourceExhausted);
  EXPECT_GT(*free_disk_bytes(folder_.path()), 0u);
}

}  // namespace
}  // namespace runink::os
