// /tmp of a slice: as large as it is said to be, and, where it is on disk, nobody else's to read.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "platform/os/file.h"
#include "slice_in_test.h"

namespace runink::sandbox {
namespace {

using ::testing::HasSubstr;

class ScratchTest : public SliceTest {};
INSTANTIATE_TEST_SUITE_P(By, ScratchTest, testing::Values(Starter::kRoot, Starter::kUser), starter_name);

TEST_P(ScratchTest, InMemoryHoldsItsSize) {
  const Ran ran = exec({"--scratch", "1Mi", "--", "sh", "-c",
                        "head -c 1000000 /dev/zero > /tmp/fits && echo fits; head -c 2000000 /dev/zero > /tmp/more"});
  EXPECT_EQ(ran.out, "fits\n") << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("No space left on device"));
}

TEST_P(ScratchTest, WrongSizes) {
  for (const char* text : {"", "x", "1", ":/var/tmp", "1Mi:/var/tmp"}) {
    EXPECT_EQ(exec({"--scratch", text, "--", "true"}).code, 2) << text;
  }
}

class ScratchOfUserTest : public SliceTest {};
INSTANTIATE_TEST_SUITE_P(By, ScratchOfUserTest, testing::Values(Starter::kUser), starter_name);

TEST_P(ScratchOfUserTest, OnDiskTakesRoot) {
  const Ran ran = exec({"--scratch", "32Mi:" + folder(), "--", "true"});
  EXPECT_EQ(ran.code, 125);
  EXPECT_THAT(ran.err, HasSubstr("encrypted scratch on disk: that takes root"));
}

class DiskScratchTest : public SliceTest {
 protected:
  void SetUp() override {
    SliceTest::SetUp();
    if (IsSkipped()) return;
    disk_ = folder() + "/disk";
    std::filesystem::create_directory(disk_);
    const Ran ran = exec({"--scratch", "32Mi:" + disk_, "--", "true"});
    if (ran.code != 0) GTEST_SKIP() << ran.err;
  }
  // Loop devices whose file lies on this test's disk.
  std::vector<std::string> devices() {
    std::vector<std::string> out;
    for (const auto& entry : std::filesystem::directory_iterator("/sys/block")) {
      const auto file = os::read_file(entry.path().string() + "/loop/backing_file");
      if (file.ok() && file->starts_with(disk_ + "/")) out.push_back("/dev/" + entry.path().filename().string());
    }
    return out;
  }
  // The kernel takes the mount and the device away a moment after the last process.
  bool gone() {
    for (int tries = 0; tries < 6000; ++tries) {
      if (devices().empty()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }
  std::string disk_;
};
INSTANTIATE_TEST_SUITE_P(By, DiskScratchTest, testing::Values(Starter::kRoot), starter_name);

TEST_P(DiskScratchTest, IsTmpAndHoldsItsSize) {
  const Ran ran =
      exec({"--scratch", "32Mi:" + disk_, "--", "sh", "-c",
            "stat -f -c %T /tmp; stat -c '%a %u %g' /tmp; ls -A /tmp | wc -l; mkdir /tmp/a; echo x > /tmp/a/b; cat "
            "/tmp/a/b; head -c 20000000 /dev/zero > /tmp/fits && echo fits; head -c 20000000 /dev/zero > "
            "/tmp/more; ls -A / | grep part"});
  EXPECT_EQ(ran.out, "ext2/ext3\n1777 0 0\n0\nx\nfits\n") << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("No space left on device"));
  EXPECT_TRUE(gone());
}

TEST_P(DiskScratchTest, IsWorthNothingToOthers) {
  Running running =
      begin({"--scratch", "32Mi:" + disk_, "--", "sh", "-c",
             "yes in-the-contents | head -c 1000000 > /tmp/in-the-name; sync /tmp/in-the-name; sync; echo up; "
             "cat > /dev/null; grep -c in-the-contents /tmp/in-the-name"});
  char bytes[3];
  ASSERT_EQ(*os::read_full(running.out, bytes, 3), 3u);
  const std::vector<std::string> found = devices();
  ASSERT_EQ(found.size(), 1u);
  EXPECT_TRUE(std::filesystem::is_empty(disk_)) << "it has no name";
  const auto image = os::read_file(found[0]);
  ASSERT_TRUE(image.ok()) << image.status().to_string();
  EXPECT_EQ(image->size(), 32u << 20);
  EXPECT_EQ(image->find("in-the-contents"), std::string::npos);
  EXPECT_EQ(image->find("in-the-name"), std::string::npos);
  EXPECT_NE(image->find("lost+found"), std::string::npos) << "else it is not looked at right";
  // The slice itself reads it.
  running.in.reset();
  std::string count(16, '\0');
  const auto n = os::read_full(running.out, count.data(), count.size());
  ASSERT_TRUE(n.ok());
  EXPECT_GT(std::atoi(count.c_str()), 50'000);
}

TEST_P(DiskScratchTest, NothingIsLeftHoweverItEnds) {
  const auto before = std::filesystem::space(disk_).available;
  Running running = begin({"--scratch", "512Mi:" + disk_, "--", "sh", "-c", "echo up; exec sleep 600"});
  char bytes[3];
  ASSERT_EQ(*os::read_full(running.out, bytes, 3), 3u);
  EXPECT_EQ(devices().size(), 1u);
  EXPECT_LT(std::filesystem::space(disk_).available + (256u << 20), before) << "the space is taken at once";
  ::kill(running.child.pid(), SIGKILL);
  ASSERT_TRUE(running.child.wait(60'000'000).ok());
  EXPECT_TRUE(gone());
  EXPECT_TRUE(std::filesystem::is_empty(disk_));
}

TEST_P(DiskScratchTest, PlacesThatAreRefused) {
  std::filesystem::create_directory_symlink(disk_, folder() + "/link");
  struct {
    std::string scratch;
    const char* says;
  } const cases[] = {
      {"900Ti:" + disk_, "are free there"},
      {"32Mi:/dev/shm", "lies in memory, and not on a disk"},
      {"32Mi:" + folder() + "/none", "No such file or directory"},
      {"32Mi:" + folder() + "/link", "symbolic link"},
  };
  for (const auto& c : cases) {
    const Ran ran = exec({"--scratch", c.scratch, "--", "true"});
    EXPECT_EQ(ran.code, 125) << c.scratch;
    EXPECT_THAT(ran.err, HasSubstr(c.says)) << c.scratch;
  }
  EXPECT_TRUE(devices().empty());
}

// Where the actor may not write, there is no scratch of theirs.
TEST_P(DiskScratchTest, IsMadeAsTheActor) {
  EXPECT_THAT(exec({"--act-as", "20001", "--scratch", "32Mi:" + disk_, "--", "true"}).err,
              HasSubstr("Permission denied"));
  ASSERT_EQ(::chown(disk_.c_str(), 20001, 20001), 0);
  const Ran ran = exec({"--act-as", "20001", "--scratch", "32Mi:" + disk_, "--", "touch", "/tmp/x"});
  EXPECT_EQ(ran.code, 0) << ran.err;
}

}  // namespace
}  // namespace runink::sandbox
