#include "platform/os/machine.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/os/cgroup.h"
#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::os {
namespace {

TEST(MachineTest, ThisMachineAnswers) {
  EXPECT_GE(usable_cpu_count(), 1);
  EXPECT_GT(physical_memory_bytes(), 1u << 20);
  EXPECT_FALSE(host_name().empty());
  EXPECT_FALSE(user_name().empty());
  EXPECT_GT(own_resources().peak_rss_bytes, 1u << 20);
  if (const char* path = ::getenv("RUNINK_SAY_PEAK")) {
    EXPECT_TRUE(write_file_atomic(path, std::to_string(own_resources().peak_rss_bytes)).ok());
  }
  const int64_t before = monotonic_nanos();
  EXPECT_GE(monotonic_nanos(), before);
}

// A process that another, larger one became by exec counts from there.
TEST(MachineTest, PeakMemoryIsTheProcessesOwn) {
  constexpr size_t kLarge = size_t{256} << 20;
  const TempFolder folder = std::move(TempFolder::create("")).value();
  const std::string said = folder.file("peak");
  const pid_t pid = ::fork();
  if (pid == 0) {
    std::string large(kLarge, 'x');
    ::setenv("RUNINK_SAY_PEAK", said.c_str(), 1);
    ::execl("/proc/self/exe", large.substr(0, 4).c_str(), "--gtest_filter=MachineTest.ThisMachineAnswers", nullptr);
    ::_exit(99);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(pid, &status, 0), pid);
  ASSERT_EQ(status, 0);
  const uint64_t peak = std::stoull(read_file(said).value());
  EXPECT_GT(peak, 1u << 20);
  EXPECT_LT(peak, kLarge / 2);
}

class CgroupTest : public ::testing::Test {
 protected:
  void SetUp() override { root_ = std::move(TempFolder::create("")).value(); }
  void put(const std::string& path, const std::string& text) {
    ASSERT_TRUE(make_directories(folder_of(root_.path() + path)).ok());
    ASSERT_TRUE(write_file_atomic(root_.path() + path, text).ok());
  }
  TempFolder root_;
};

TEST_F(CgroupTest, Version2TakesTheSmallestOfAllParents) {
  put("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  put("/sys/fs/cgroup/a/b/memory.max", "2000000\n");
  put("/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
  put("/sys/fs/cgroup/a/memory.max", "1000000\n");
  put("/sys/fs/cgroup/memory.max", "max\n");
  const CgroupLimits limits = read_cgroup_limits(
      "0::/a/b\n", "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n", root_.path());
  ASSERT_TRUE(limits.cpus && limits.memory_bytes);
  EXPECT_DOUBLE_EQ(*limits.cpus, 1.5);
  EXPECT_EQ(*limits.memory_bytes, 1'000'000u);
}

TEST_F(CgroupTest, Version1AndAMountThatShowsOnlyAPart) {
  put("/sys/fs/cgroup/memory/memory.limit_in_bytes", "104857600\n");
  put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "50000\n");
  put("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  const CgroupLimits limits = read_cgroup_limits(
      "5:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n",
      "31 30 0:27 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
      "32 30 0:28 /docker/abc /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n",
      root_.path());
  ASSERT_TRUE(limits.cpus && limits.memory_bytes);
  EXPECT_DOUBLE_EQ(*limits.cpus, 0.5);
  EXPECT_EQ(*limits.memory_bytes, 104'857'600u);
}

TEST_F(CgroupTest, NoLimitAndRubbish) {
  put("/c/memory/memory.limit_in_bytes", "9223372036854771712\n");
  put("/c/cpu/cpu.cfs_quota_us", "-1\n");
  put("/c/cpu/cpu.cfs_period_us", "100000\n");
  const CgroupLimits limits = read_cgroup_limits("5:memory:/\n4:cpu:/\nrubbish\n::::\n",
                                                 "1 1 0:1 / /c/memory rw - cgroup cgroup rw,memory\n"
                                                 "1 1 0:1 / /c/cpu rw - cgroup cgroup rw,cpu\n - \nx - cgroup2\n",
                                                 root_.path());
  EXPECT_FALSE(limits.cpus);
  EXPECT_FALSE(limits.memory_bytes);
}

}  // namespace
}  // namespace runink::os
