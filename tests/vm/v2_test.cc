// What of slices only a host with cgroup v2 alone can show. Run in the virtual machine, whose only disk is /dev/vda.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "tests/sandbox/slice_in_test.h"
#include "worker/sandbox/cgroup.h"

namespace runink::sandbox {
namespace {

using ::testing::HasSubstr;

constexpr const char* kDisk = "/dev/vda";

class OnlyV2 : public SliceTest {
 protected:
  void SetUp() override {
    SliceTest::SetUp();
    if (IsSkipped()) return;
    auto backend = open_cgroups("/runink");
    if (!backend.ok()) GTEST_SKIP() << backend.status().to_string();
    if ((*backend)->version() != CgroupVersion::kV2 || !os::exists(kDisk)) {
      GTEST_SKIP() << "needs cgroup v2 with all controllers, and the disk " << kDisk;
    }
  }

  static void read_line(const Running& running) {
    for (char letter = 0; letter != '\n';) {
      const auto read = os::read_some(running.out, &letter, 1);
      ASSERT_TRUE(read.ok() && *read == 1);
    }
  }
  // How long it takes until what a slice, which may write so many bytes a second, wrote without a sync is on the disk.
  double seconds_to_disk(const std::string& rate) {
    const std::string data = own_folder("data");
    Running running = begin({"--mount", data + ":/data:rw", "--io", std::string(kDisk) + ":write=" + rate, "--", "sh",
                             "-c", "head -c 8388608 /dev/zero > /data/file; echo written; exec sleep 600"});
    read_line(running);
    const os::Fd folder(::open(data.c_str(), O_RDONLY | O_CLOEXEC), data);
    const int64_t begun = os::monotonic_nanos();
    EXPECT_EQ(::syncfs(folder.get()), 0);
    const double seconds = static_cast<double>(os::monotonic_nanos() - begun) / 1e9;
    ::kill(running.child.pid(), SIGKILL);
    EXPECT_TRUE(running.child.wait(60'000'000).ok());
    return seconds;
  }
};
INSTANTIATE_TEST_SUITE_P(By, OnlyV2, testing::Values(Starter::kRoot), starter_name);

// The kernel writes them for the slice, later, and another process asks it to.
TEST_P(OnlyV2, WritesThatNobodySyncsAreLimited) { EXPECT_GE(seconds_to_disk("4Mi"), 1.5) << "8 MiB at 4 MiB a second"; }

TEST_P(OnlyV2, AboveTheHighMarkItIsSlowed) {
  std::vector<std::string> command =
      loud_exec_command({"--memory-high", "16Mi", "--", "sh", "-c",
                         "head -c 17000000 /dev/zero | tail -c 17000000 > /dev/null; echo done"});
  const Ran ran = run(command);
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "done\n");
  EXPECT_THAT(ran.err, HasSubstr("limit: slowed: memory was above the high mark of 16777216 bytes"));
}

TEST_P(OnlyV2, OutOfMemoryEndsAllOfTheSlice) {
  const Ran ran = run(loud_exec_command({"--memory", "32Mi", "--", "sh", "-c",
                                         "head -c 50000000 /dev/zero | tail -c 50000000 > /dev/null; echo survived"}));
  EXPECT_EQ(ran.code, 128 + SIGKILL);
  EXPECT_EQ(ran.out, "");
  EXPECT_THAT(ran.err, HasSubstr("limit: out of memory"));
}

TEST_P(OnlyV2, TheDoctorSaysSo) {
  const Ran ran = run(as_starter({folder() + "/runi", "doctor", "-o", "json"}));
  const auto findings = nlohmann::json::parse(ran.out, nullptr, false);
  ASSERT_TRUE(findings.is_array()) << ran.out << ran.err;
  std::map<std::string, std::string> verdicts, found;
  for (const auto& finding : findings) {
    verdicts[finding.value("check", "")] = finding.value("verdict", "");
    found[finding.value("check", "")] = finding.value("found", "");
  }
  EXPECT_THAT(found["control groups"], HasSubstr("cgroup v2"));
  // What v1 cannot hold is held here; and the slices that it starts are within it.
  for (const char* check : {"limit processor time", "limit memory", "limit memory high mark", "limit processes",
                            "limit devices", "limit disk writes", "stop a group", "a slice", "a slice with limits"}) {
    EXPECT_EQ(verdicts[check], "good") << check << ": " << found[check];
  }
}

}  // namespace
}  // namespace runink::sandbox
