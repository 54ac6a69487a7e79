#include "control/journal/file_disk.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

#include "control/journal/format.h"
#include "control/journal/inspect.h"
#include "control/journal/journal_in_test.h"
#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::journal {
namespace {

class FileDiskTest : public ::testing::Test {
 protected:
  os::TempFolder temp_ = *os::TempFolder::create("", "runink-disk-");
  std::string folder_ = temp_.file("a/member");
};

TEST_F(FileDiskTest, FilesAndNames) {
  auto disk = FileDisk::open_folder(folder_);
  ASSERT_TRUE(disk.ok()) << disk.status().to_string();
  EXPECT_EQ(os::file_info(folder_)->permissions, 0700u);
  auto file = (*disk)->create("x");
  ASSERT_TRUE(file.ok());
  EXPECT_TRUE((*file)->write(10, "abc").ok());
  EXPECT_TRUE((*file)->sync().ok());
  EXPECT_EQ(*(*file)->read(8, 100), std::string("\0\0abc", 5));
  EXPECT_EQ(*(*file)->read(13, 1), "");
  EXPECT_EQ(*(*file)->read(1 << 30, size_t{1} << 40), "") << "a senseless size makes no large buffer";
  EXPECT_TRUE((*file)->reserve(20000).ok());
  EXPECT_EQ(*(*file)->size(), 20000u);
  EXPECT_EQ((*file)->read(0, 20000)->substr(10, 4), std::string("abc\0", 4));
  EXPECT_TRUE((*file)->reserve(5).ok());
  EXPECT_EQ(*(*file)->size(), 20000u) << "never shorter";
  EXPECT_EQ(os::file_info(folder_ + "/x")->permissions, 0600u);

  auto second = (*disk)->create("x");
  EXPECT_EQ(*(*second)->size(), 0u) << "a new file";
  EXPECT_EQ(*(*file)->size(), 20000u) << "and not the same one";
  EXPECT_TRUE((*disk)->rename("x", "y").ok());
  EXPECT_EQ(*(*disk)->list(), (std::vector<std::string>{"lock", "y"}));
  EXPECT_EQ((*disk)->open("x").status().code(), Code::kNotFound);
  EXPECT_TRUE((*disk)->remove("y").ok());
  EXPECT_TRUE((*disk)->remove("y").ok());
  EXPECT_TRUE((*disk)->sync_folder().ok());
  for (const char* name : {"", "..", ".", "a/b", "/etc/passwd"}) {
    EXPECT_EQ((*disk)->open(name).status().code(), Code::kInvalidArgument) << name;
    EXPECT_EQ((*disk)->create(name).status().code(), Code::kInvalidArgument) << name;
    EXPECT_EQ((*disk)->remove(name).code(), Code::kInvalidArgument) << name;
  }
}

TEST_F(FileDiskTest, DurableWritesOfWholeBlocks) {
  auto disk = FileDisk::open_folder(folder_);
  auto file = (*disk)->create("x");
  ASSERT_TRUE((*file)->reserve(8 * kBlock).ok());
  std::unique_ptr<char, decltype(&std::free)> block(static_cast<char*>(std::aligned_alloc(kBlock, 2 * kBlock)),
                                                    &std::free);
  std::fill_n(block.get(), 2 * kBlock, 'q');
  EXPECT_TRUE((*file)->write_durably(kBlock, {block.get(), 2 * kBlock}).ok());
  EXPECT_TRUE((*disk)->rename("x", "y").ok());
  EXPECT_TRUE((*file)->write_durably(4 * kBlock, {block.get(), kBlock}).ok()) << "the file, whatever it is called";
  EXPECT_TRUE((*file)->write_durably(100, "odd").ok()) << "not aligned: another way";
  const std::string bytes = *os::read_file(folder_ + "/y");
  std::string expected(8 * kBlock, '\0');
  expected.replace(kBlock, 2 * kBlock, 2 * kBlock, 'q');
  expected.replace(4 * kBlock, kBlock, kBlock, 'q');
  expected.replace(100, 3, "odd");
  EXPECT_TRUE(bytes == expected);
  EXPECT_EQ(*(*file)->read(4 * kBlock, 3), "qqq");
}

TEST_F(FileDiskTest, OneOwnerAtATime) {
  auto disk = FileDisk::open_folder(folder_, "the first");
  ASSERT_TRUE(disk.ok());
  const auto second = FileDisk::open_folder(folder_);
  EXPECT_EQ(second.status().code(), Code::kAborted);
  EXPECT_EQ(second.status().kind(), "lock.held");
  EXPECT_NE(second.status().message().find("the first"), std::string::npos) << second.status().to_string();
  EXPECT_TRUE(FileDisk::open_read_only(folder_).ok()) << "looking is allowed";
  disk->reset();
  EXPECT_TRUE(FileDisk::open_folder(folder_).ok());
}

TEST_F(FileDiskTest, ReadOnlyChangesNothing) {
  {
    auto disk = FileDisk::open_folder(folder_);
    ASSERT_TRUE(Journal::create(**disk, this_member(), small_options()).ok());
  }
  const auto names = *os::list_directory(folder_);
  std::map<std::string, os::FileInfo> before;
  for (const std::string& name : names) before[name] = *os::file_info(folder_ + "/" + name);
  auto disk = FileDisk::open_read_only(folder_);
  ASSERT_TRUE(disk.ok());
  const auto seen = inspect(**disk);
  ASSERT_TRUE(seen.ok());
  EXPECT_EQ(seen->segments.size(), 1u);
  EXPECT_TRUE(verify(**disk).ok());
  Recovered found;
  EXPECT_EQ(Journal::open(**disk, this_member(), small_options(), &found).status().code(), Code::kFailedPrecondition);
  EXPECT_EQ((*disk)->remove(kHardStateFile).code(), Code::kFailedPrecondition);
  EXPECT_EQ((*disk)->create("x").status().code(), Code::kFailedPrecondition);
  EXPECT_EQ((*disk)->rename(kBoundsFile, "x").code(), Code::kFailedPrecondition);
  EXPECT_EQ((*disk)->sync_folder().code(), Code::kFailedPrecondition);
  auto file = (*disk)->open(kHardStateFile);
  ASSERT_TRUE(file.ok());
  EXPECT_EQ((*file)->write(0, "x").code(), Code::kFailedPrecondition);
  EXPECT_EQ((*file)->reserve(1 << 20).code(), Code::kFailedPrecondition);
  EXPECT_EQ((*file)->write_durably(0, "x").code(), Code::kFailedPrecondition);
  EXPECT_EQ(*os::list_directory(folder_), names);
  for (const std::string& name : names) {
    const os::FileInfo after = *os::file_info(folder_ + "/" + name);
    EXPECT_TRUE(after.size == before[name].size && after.modified_nanos == before[name].modified_nanos &&
                after.inode == before[name].inode)
        << name;
  }
  EXPECT_EQ(FileDisk::open_read_only(temp_.file("nowhere")).status().code(), Code::kNotFound);
}

TEST_F(FileDiskTest, LinksAndFoldersAreNoFilesOfAJournal) {
  auto disk = FileDisk::open_folder(folder_);
  ASSERT_EQ(::symlink("/dev/zero", (folder_ + "/link").c_str()), 0);
  ASSERT_TRUE(os::make_directories(folder_ + "/folder").ok());
  EXPECT_FALSE((*disk)->open("link").ok());
  EXPECT_FALSE((*disk)->open("folder").ok());
}

// B07 and B08 once more, in a real folder: the last segment cut at every sector of the last batch, and bits of each
// kind flipped.
TEST_F(FileDiskTest, CutAndFlippedFiles) {
  Model model;
  const std::string name = segment_name(1), path = folder_ + "/" + name;
  std::map<std::string, std::string> files;
  uint64_t last_batch = 0;
  {
    auto disk = FileDisk::open_folder(folder_);
    ASSERT_TRUE(Journal::create(**disk, this_member(), small_options()).ok());
    Recovered found;
    auto journal = Journal::open(**disk, this_member(), small_options(), &found);
    ASSERT_TRUE(journal.ok());
    for (raft::Index i = 1; i <= 3; ++i) {
      std::vector<raft::Entry> entries{entry(2 * i - 1, 1, std::string(2000, 'a')),
                                       entry(2 * i, 1, std::string(2500, 'b'))};
      ASSERT_TRUE((*journal)->append(entries).ok());
      model.append(entries);
    }
    last_batch = inspect(**disk)->segments[0].batches[2].offset;
    const std::vector<std::string> names = *(*disk)->list();
    for (const std::string& file : names) files[file] = *os::read_file(folder_ + "/" + file);
  }
  const auto put_back = [&](const std::string& segment) {
    ASSERT_TRUE(os::remove_tree(folder_).ok());
    ASSERT_TRUE(os::make_directories(folder_).ok());
    for (const auto& [file, bytes] : files) {
      auto fd = os::open_file(folder_ + "/" + file, os::OpenMode::kCreateNew, 0600);
      ASSERT_TRUE(fd.ok() && os::write_all(*fd, file == name ? segment : bytes).ok());
    }
  };
  const auto open = [&](Recovered* found) {
    auto disk = FileDisk::open_folder(folder_);
    return Journal::open(**disk, this_member(), small_options(100), found).status();
  };
  Model before = model;
  before.log.erase(before.log.find(5), before.log.end());
  before.last = 4;
  Recovered found;
  for (uint64_t cut = last_batch; cut <= last_batch + 2 * kBlock; cut += 512) {
    put_back(files[name].substr(0, cut));
    const Status status = open(&found);
    ASSERT_TRUE(status.ok()) << status.to_string();
    EXPECT_TRUE(found.whole) << found.damage;
    EXPECT_EQ((cut < last_batch + 2 * kBlock ? before : model).difference(found), "") << cut;
  }
  for (const uint64_t place : {uint64_t{20}, kBlock + 5, kBlock + 70, kBlock + 3000, last_batch - 2 * kBlock + 61}) {
    std::string flipped = files[name];
    flipped[place] = static_cast<char>(flipped[place] ^ 8);
    put_back(flipped);
    const Status status = open(&found);
    ASSERT_TRUE(status.ok()) << status.to_string();
    EXPECT_FALSE(found.whole) << place;
    EXPECT_NE(found.damage.find(name + " at byte "), std::string::npos) << found.damage;
    EXPECT_LT(found.entries.size(), 6u);
    EXPECT_TRUE(os::exists(folder_ + "/" + kVoteLostFile));
  }
}

// No space, as a limit on the size of files tells it: errors name path and offset, and the journal's promise holds.
TEST_F(FileDiskTest, NoSpace) {
  auto disk = FileDisk::open_folder(folder_);
  ASSERT_TRUE(Journal::create(**disk, this_member(), small_options()).ok());
  Recovered found;
  auto journal = Journal::open(**disk, this_member(), small_options(), &found);
  ASSERT_TRUE(journal.ok());
  struct rlimit old;
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  struct rlimit small = old;
  small.rlim_cur = 3 * kBlock;
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const Status full = (*journal)->reserve();
  const Status within = (*journal)->append(std::vector{entry(1, 1, std::string(4000, 'a'))});
  const Status beyond = (*journal)->append(std::vector{entry(2, 1, std::string(9000, 'b'))});
  const Status later = (*journal)->append(std::vector{entry(2, 1, "c")});
  ::setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(full.kind(), kFullKind) << full.to_string();
  EXPECT_NE(full.message().find(folder_ + "/spare"), std::string::npos) << full.to_string();
  EXPECT_TRUE(within.ok()) << within.to_string();
  EXPECT_EQ(beyond.kind(), kStoppedKind) << beyond.to_string();
  EXPECT_NE(beyond.to_string().find(folder_), std::string::npos) << beyond.to_string();
  EXPECT_NE(beyond.to_string().find("at byte 8192"), std::string::npos) << beyond.to_string();
  EXPECT_EQ(later.to_string(), beyond.to_string());
  journal->reset();
  journal = Journal::open(**disk, this_member(), small_options(100), &found);
  ASSERT_TRUE(journal.ok());
  EXPECT_TRUE(found.whole) << found.damage;
  EXPECT_EQ(found.entries.size(), 1u);
}

}  // namespace
}  // namespace runink::journal
