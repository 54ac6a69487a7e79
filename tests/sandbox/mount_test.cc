// What of the host a slice sees, and how it acts on it.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "platform/os/file.h"
#include "own_slice_in_test.h"
#include "slice_in_test.h"

namespace runink::sandbox {
namespace {

using ::testing::HasSubstr;

class MountTest : public SliceTest {
 protected:
  // Where root starts the slice and this file system cannot map users, a mount is refused, and said to be.
  bool refused_for_ids(const Ran& ran) const {
    return by_root() && ran.err.find("cannot map users (id-mapped mounts)") != std::string::npos;
  }
};
INSTANTIATE_TEST_SUITE_P(By, MountTest, testing::Values(Starter::kRoot, Starter::kUser), starter_name);

TEST_P(MountTest, ReadOnlyUnlessAskedFor) {
  const std::string data = own_folder("data");
  write(data + "/seen", "seen\n", 0644);
  const Ran ran =
      exec({"--mount", data + ":/data", "--", "sh", "-c", "cat /data/seen; touch /data/made; chmod 700 /data"});
  if (refused_for_ids(ran)) GTEST_SKIP() << ran.err;
  EXPECT_EQ(ran.out, "seen\n");
  EXPECT_THAT(ran.err, HasSubstr("Read-only file system"));
  EXPECT_FALSE(os::exists(data + "/made"));
}

TEST_P(MountTest, ActsAsTheOwner) {
  const std::string data = own_folder("data");
  const Ran ran = exec({"--mount", data + ":/data:rw", "--", "sh", "-c",
                        "umask 022; echo written > /data/made; stat -c '%u %g' /data/made"});
  if (refused_for_ids(ran)) GTEST_SKIP() << ran.err;
  EXPECT_EQ(ran.out, "1000 1000\n") << ran.err;
  struct stat folder = {}, made = {};
  ASSERT_EQ(::stat(data.c_str(), &folder), 0);
  ASSERT_EQ(::stat((data + "/made").c_str(), &made), 0) << ran.err;
  EXPECT_EQ(made.st_uid, folder.st_uid);
  EXPECT_EQ(made.st_gid, folder.st_gid);
  EXPECT_NE(made.st_uid, 0u);
  EXPECT_EQ(*os::read_file(data + "/made"), "written\n");
}

TEST_P(MountTest, OneFile) {
  const std::string file = write(own_folder("data") + "/one", "one\n");
  const Ran ran = exec({"--mount", file + ":/data/deep/file", "--", "cat", "/data/deep/file"});
  EXPECT_EQ(ran.out, "one\n") << ran.err;
}

TEST_P(MountTest, OfRootsOwnFilesOnlyWhatEverybodyMayRead) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to make such files";
  const std::string data = folder() + "/roots";
  std::filesystem::create_directory(data);
  write(data + "/open", "open\n", 0644);
  write(data + "/closed", "closed\n", 0600);
  const Ran read = exec({"--user", "0", "--mount", data + ":/data", "--", "cat", "/data/open", "/data/closed"});
  EXPECT_EQ(read.out, "open\n");
  EXPECT_THAT(read.err, HasSubstr("/data/closed: Permission denied"));
  const Ran written = exec({"--mount", data + ":/data:rw", "--", "touch", "/data/made"});
  EXPECT_NE(written.code, 0);
  EXPECT_THAT(written.err, HasSubstr(by_root() ? "it belongs to root, and a slice does not write as root" : "denied"));
  EXPECT_FALSE(os::exists(data + "/made"));
}

TEST_P(MountTest, SourcesThatAreRefused) {
  const std::string data = own_folder("data");
  std::filesystem::create_directory(data + "/real");
  std::filesystem::create_directory_symlink("real", data + "/link");
  std::filesystem::create_directory_symlink("/proc/self/fd", data + "/magic");
  ASSERT_EQ(::mkfifo((data + "/fifo").c_str(), 0666), 0);
  struct {
    std::string source;
    const char* says;
  } const cases[] = {
      {data + "/none", "No such file or directory"},
      {data + "/link", "it is, or passes through, a symbolic link"},
      {data + "/link/x", "it is, or passes through, a symbolic link"},
      {data + "/magic", "it is, or passes through, a symbolic link"},
      {data + "/fifo", "only files and folders can be mounted"},
  };
  for (const auto& c : cases) {
    const Ran ran = exec({"--mount", c.source + ":/data", "--", "true"});
    EXPECT_EQ(ran.code, 125) << c.source << ran.err;
    EXPECT_THAT(ran.err, HasSubstr(c.says)) << c.source;
    EXPECT_THAT(ran.err, HasSubstr(c.source)) << "the path is named";
  }
  EXPECT_EQ(exec({"--mount", data + "/../data:/data", "--", "true"}).code, 2);
}

// What lies under a mount point stays hidden, and what is mounted there is as read-only as the rest.
TEST_P(MountTest, MountsBelowComeAlong) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to mount something";
  const std::string data = own_folder("data");
  std::filesystem::create_directory(data + "/below");
  write(data + "/below/hidden", "hidden\n");
  std::vector<std::string> command = exec_command(
      {"--mount", data + ":/data", "--", "sh", "-c", "ls /data/below; cat /data/below/hidden; touch /data/below/made"});
  // In a mount namespace of its own, so that nothing is left on the host.
  command.insert(command.begin(),
                 {"unshare", "-m", "sh", "-c",
                  "mount -t tmpfs none " + data + "/below && echo x > " + data + "/below/shown && exec \"$@\"", "sh"});
  const Ran ran = run(command);
  if (refused_for_ids(ran)) GTEST_SKIP() << ran.err;
  EXPECT_EQ(ran.out, "shown\n") << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("/data/below/hidden: No such file"));
  EXPECT_THAT(ran.err, HasSubstr("Read-only file system"));
}

// The paths are looked up again only by descriptor: what happens to them between the plan and the start is noticed.
class SwappedSource : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::move(*os::TempFolder::create(""));
    source_ = folder_.path() + "/source";
    std::filesystem::create_directory(source_);
    spec_.argv = {"true"};
    spec_.mounts = {{source_, "/data"}};
    model::add_default_environment(&spec_);
    const HostFacts facts = gather_host_facts(spec_);
    if (!facts.root) GTEST_SKIP() << "needs root: else mounts are made when the slice is parked";
    operations_ = *plan_start(spec_, facts);
    if (Status parked = slice_.park(spec_); !parked.ok()) GTEST_SKIP() << parked.to_string();
    std::filesystem::remove(source_);
  }
  Status start() { return slice_.start(spec_, operations_); }

  os::TempFolder folder_;
  std::string source_;
  model::SliceSpec spec_;
  Operations operations_;
  OwnSlice slice_;
};

TEST_F(SwappedSource, Vanished) { EXPECT_EQ(start().code(), Code::kNotFound); }

TEST_F(SwappedSource, ByALink) {
  std::filesystem::create_directory_symlink("/etc", source_);
  EXPECT_THAT(start().to_string(), HasSubstr("symbolic link"));
}

TEST_F(SwappedSource, ByAFile) {
  ASSERT_TRUE(os::write_file_atomic(source_, "x").ok());
  EXPECT_THAT(start().to_string(), HasSubstr("it was replaced"));
}

}  // namespace
}  // namespace runink::sandbox
