// Limits of slices, with programs that break them.
#include <gmock/gmock.h>
#include <signal.h>

#include <cstdio>
#include <filesystem>

#include "platform/os/file.h"
#include "slice_in_test.h"
#include "worker/sandbox/cgroup.h"

namespace runink::sandbox {
namespace {

using ::testing::HasSubstr;

class LimitsTest : public SliceTest {
 protected:
  void SetUp() override {
    SliceTest::SetUp();
    if (IsSkipped()) return;
    auto backend = open_cgroups("/runink");
    if (!backend.ok()) GTEST_SKIP() << backend.status().to_string();
    backend_ = std::move(*backend);
  }
  // Groups of slices that the launcher with this pid has made.
  size_t groups_of(pid_t launcher) const {
    size_t count = 0;
    const auto names = backend_->list("local");
    for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
      count += name.starts_with(std::to_string(launcher) + ".") ? 1 : 0;
    }
    return count;
  }
  // Not --quiet, which would keep silent about limits.
  Ran exec_loudly(const std::vector<std::string>& arguments) {
    std::vector<std::string> command = exec_command(arguments);
    std::erase(command, "--quiet");
    return run(command);
  }

  std::unique_ptr<CgroupBackend> backend_;
};
INSTANTIATE_TEST_SUITE_P(By, LimitsTest, testing::Values(Starter::kRoot), starter_name);

class LimitsOfUserTest : public SliceTest {};
INSTANTIATE_TEST_SUITE_P(By, LimitsOfUserTest, testing::Values(Starter::kUser), starter_name);

TEST_P(LimitsOfUserTest, AreRefusedWhereTheyWouldNotHold) {
  const Ran ran = exec({"--memory", "64Mi", "--", "true"});
  EXPECT_EQ(ran.code, 125);
  EXPECT_THAT(ran.err, HasSubstr("start a slice limited to 67.1 MB of memory: control groups take root"));
}

TEST_P(LimitsTest, Memory) {
  // Anonymous memory, and a file in memory.
  for (const char* bomb : {"x=$(head -c 200000000 /dev/zero | tr '\\0' x)", "head -c 200000000 /dev/zero > /tmp/x"}) {
    const Ran ran = exec_loudly({"--memory", "32Mi", "--", "sh", "-c", bomb});
    EXPECT_NE(ran.code, 0) << bomb;
    EXPECT_THAT(ran.err, HasSubstr("limit: out of memory")) << bomb;
  }
  EXPECT_EQ(exec_loudly({"--memory", "64Mi", "--", "true"}).err, "");
}

TEST_P(LimitsTest, Processes) {
  const Ran ran =
      exec_loudly({"--pids", "5", "--", "sh", "-c", "for i in 1 2 3 4 5 6; do sleep 600 & done; echo not-reached"});
  EXPECT_NE(ran.code, 0);
  EXPECT_EQ(ran.out, "");
  EXPECT_THAT(ran.err, HasSubstr("limit: out of processes"));
}

TEST_P(LimitsTest, Processors) {
  const Ran ran = exec_loudly({"--cpu", "0.1", "--timeout", "500ms", "--", "sh", "-c", "while :; do :; done"});
  EXPECT_EQ(ran.code, 124);
  EXPECT_THAT(ran.err, HasSubstr("limit: throttled"));
}

TEST_P(LimitsTest, ProcessorsByNumber) {
  const Ran ran = exec_loudly({"--cpuset", "0", "--numa", "0", "--cpu-weight", "50", "--", "sh", "-c",
                               "grep Cpus_allowed_list /proc/self/status; nproc"});
  if (ran.err.find("controller 'cpuset'") != std::string::npos) GTEST_SKIP() << ran.err;
  EXPECT_EQ(ran.out, "Cpus_allowed_list:\t0\n1\n") << ran.err;
}

// Reading is held by both versions, writing by v2 alone; and what is not held is refused.
TEST_P(LimitsTest, InputAndOutputOfADisk) {
  std::string disk;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/block")) {
    const std::string name = entry.path().filename();
    const bool made_up = name.starts_with("loop") || name.starts_with("zram") || name.starts_with("ram");
    if (!made_up && os::exists("/dev/" + name)) disk = "/dev/" + name;
  }
  if (disk.empty()) GTEST_SKIP() << "needs a disk";
  const Ran read = exec({"--io", disk + ":read=100M,read-ops=10000", "--", "true"});
  if (read.err.find("input and output cannot be limited") != std::string::npos) GTEST_SKIP() << read.err;
  EXPECT_EQ(read.code, 0) << read.err;
  const Ran written = exec({"--io", disk + ":write=100M", "--", "true"});
  if (backend_->version() == CgroupVersion::kV2) {
    EXPECT_EQ(written.code, 0) << written.err;
  } else {
    EXPECT_EQ(written.code, 125);
    EXPECT_THAT(written.err, HasSubstr("lets buffered writes pass by"));
  }
}

TEST_P(LimitsTest, MarksThatOneVersionHas) {
  const Ran ran = exec({"--memory-high", "64Mi", "--", "true"});
  EXPECT_EQ(ran.code, backend_->version() == CgroupVersion::kV2 ? 0 : 125) << ran.err;
  EXPECT_EQ(exec({"--memory", "64Mi", "--swap", "0", "--", "true"}).code, 0);
}

TEST_P(LimitsTest, WhatWasUsedIsSaid) {
  const Ran ran =
      exec_loudly({"--usage", "--memory", "256Mi", "--", "sh", "-c",
                   "head -c 50000000 /dev/zero > /tmp/x; i=0; while [ $i -lt 50000 ]; do i=$((i + 1)); done"});
  double seconds = 0, user = 0, system = 0, megabytes = 0;
  ASSERT_EQ(::sscanf(ran.err.c_str(), "usage: %lf s of processor time (%lf user, %lf system), %lf MB of memory at most",
                     &seconds, &user, &system, &megabytes),
            4)
      << ran.err;
  EXPECT_GT(seconds, 0);
  EXPECT_NEAR(seconds, user + system, 0.01);
  EXPECT_GE(megabytes, 50) << "files in memory are memory";
  EXPECT_LT(megabytes, 256);
  EXPECT_THAT(ran.err, HasSubstr(" page faults ("));
  // Without a group it is what the kernel counts of processes that ended.
  EXPECT_THAT(exec_loudly({"--usage", "--", "true"}).err, HasSubstr(" MB of memory at most"));
}

// A launcher that is killed cannot remove its group. The next one does.
TEST_P(LimitsTest, GroupsDoNotStay) {
  Running running = begin({"--pids", "10", "--", "sh", "-c", "echo up; exec sleep 600"});
  char letter = 0;
  ASSERT_TRUE(os::read_full(running.out, &letter, 1).ok());
  const pid_t launcher = child_of(running.child.pid());
  EXPECT_EQ(groups_of(launcher), 1u);
  ::kill(launcher, SIGKILL);
  ASSERT_TRUE(running.child.wait(60'000'000).ok());
  while (*os::read_some(running.out, &letter, 1) != 0) {
  }
  // The processes are gone from the pipe a moment before they are gone from the group.
  for (int tries = 0; tries < 1000 && groups_of(launcher) != 0; ++tries) {
    EXPECT_EQ(exec({"--pids", "10", "--", "true"}).code, 0);
  }
  EXPECT_EQ(groups_of(launcher), 0u);
}

}  // namespace
}  // namespace runink::sandbox
