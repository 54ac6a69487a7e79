// Whom a slice acts as on paths of the host (--act-as).
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "platform/os/file.h"
#include "slice_in_test.h"

namespace runink::sandbox {
namespace {

using ::testing::HasSubstr;

class IdentityTest : public SliceTest {
 protected:
  static constexpr unsigned kActor = 20001, kActorsGroup = 20002, kStranger = 30001;

  std::string folder_of(const std::string& name, unsigned user, unsigned group, unsigned mode) {
    const std::string path = folder() + "/" + name;
    std::filesystem::create_directory(path);
    EXPECT_EQ(::chown(path.c_str(), user, group), 0);
    EXPECT_EQ(::chmod(path.c_str(), mode), 0);
    return path;
  }
  std::string file_of(const std::string& path, unsigned user, unsigned group, unsigned mode) {
    write(path, "of " + std::to_string(user) + "\n", mode);
    EXPECT_EQ(::chown(path.c_str(), user, group), 0);
    return path;
  }
  static bool refused_for_ids(const Ran& ran) {
    return ran.err.find("cannot map users (id-mapped mounts)") != std::string::npos;
  }
};
INSTANTIATE_TEST_SUITE_P(By, IdentityTest, testing::Values(Starter::kRoot), starter_name);

TEST_P(IdentityTest, FilesAreUsedAndMadeAsTheActor) {
  // Of another owner, so that it shows who acts.
  const std::string data = folder_of("data", kStranger, kStranger, 01777);
  file_of(data + "/own", kActor, kActorsGroup, 0600);
  file_of(data + "/groups", kStranger, kActorsGroup, 0640);
  file_of(data + "/strangers", kStranger, kStranger, 0600);
  const Ran ran = exec({"--act-as", "20001:20002", "--mount", data + ":/data:rw", "--", "sh", "-c",
                        "cat /data/own /data/groups /data/strangers; touch /data/made; stat -c '%u %g' /data/made; "
                        "rm -f /data/strangers; chown 1000 /data/groups; ls -ln /data/strangers"});
  if (refused_for_ids(ran)) GTEST_SKIP() << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("of 20001\nof 30001\n1000 1000\n"));
  EXPECT_THAT(ran.out, HasSubstr(" 65534 65534 "));
  EXPECT_THAT(ran.err, HasSubstr("/data/strangers: Permission denied"));
  struct stat made = {};
  ASSERT_EQ(::stat((data + "/made").c_str(), &made), 0) << ran.err;
  EXPECT_EQ(made.st_uid, kActor);
  EXPECT_EQ(made.st_gid, kActorsGroup);
  EXPECT_TRUE(os::exists(data + "/strangers"));
}

// What root's own folder lets everybody do, the actor may do; as its owner a slice would not get it writable at all.
TEST_P(IdentityTest, RootsFolderIsWritableAsSomebodyElse) {
  const std::string data = folder_of("data", 0, 0, 01777);
  const Ran ran = exec({"--act-as", "20001", "--mount", data + ":/data:rw", "--", "touch", "/data/made"});
  if (refused_for_ids(ran)) GTEST_SKIP() << ran.err;
  EXPECT_EQ(ran.code, 0) << ran.err;
  struct stat made = {};
  ASSERT_EQ(::stat((data + "/made").c_str(), &made), 0);
  EXPECT_EQ(made.st_uid, kActor);
}

// Whoever may not reach a folder does not reach it by having root mount it.
TEST_P(IdentityTest, PathsAreLookedUpAsTheActor) {
  const std::string closed = folder_of("closed", kStranger, kStranger, 0700);
  const std::string inside = folder_of("closed/inside", kStranger, kStranger, 0777);
  const Ran refused = exec({"--act-as", "20001", "--mount", inside + ":/data", "--", "true"});
  EXPECT_EQ(refused.code, 125);
  EXPECT_THAT(refused.err, HasSubstr("Permission denied"));
  EXPECT_THAT(refused.err, HasSubstr("the slice acts as 20001:20001, who may not enter a folder of that path"));
  const Ran ran = exec({"--act-as", "30001", "--mount", inside + ":/data", "--", "true"});
  if (refused_for_ids(ran)) GTEST_SKIP() << ran.err;
  EXPECT_EQ(ran.code, 0) << ran.err;
  // Root's groups are not the actor's either.
  const std::string groups = folder_of("groups", 0, 0, 0710);
  const std::string below = folder_of("groups/below", kActor, kActor, 0777);
  EXPECT_EQ(exec({"--act-as", "20001", "--mount", below + ":/data", "--", "true"}).code, 125);
}

TEST_P(IdentityTest, ByName) {
  const std::string data = folder_of("data", 65534, 65534, 0700);
  const Ran ran = exec({"--act-as", "nobody", "--mount", data + ":/data:rw", "--", "touch", "/data/made"});
  if (refused_for_ids(ran)) GTEST_SKIP() << ran.err;
  EXPECT_EQ(ran.code, 0) << ran.err;
}

TEST_P(IdentityTest, RootIsNobodysToActAs) {
  for (const char* who : {"0", "5:0", "root", "no-such-user", ""}) {
    const Ran ran = exec({"--act-as", who, "--", "true"});
    EXPECT_EQ(ran.code, 2) << who << ran.err;
  }
}

class IdentityOfUserTest : public SliceTest {};
INSTANTIATE_TEST_SUITE_P(By, IdentityOfUserTest, testing::Values(Starter::kUser), starter_name);

TEST_P(IdentityOfUserTest, IsTheirOwn) {
  const Ran ran = exec({"--act-as", "1", "--", "true"});
  EXPECT_EQ(ran.code, 125);
  EXPECT_THAT(ran.err, HasSubstr("an ordinary user's acts as that user"));
  if (::geteuid() == 0) {
    EXPECT_EQ(exec({"--act-as", "12345", "--", "true"}).code, 0);
  }
}

}  // namespace
}  // namespace runink::sandbox
