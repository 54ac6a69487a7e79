// Core dumps where the host pipes them to a program (L17). The setting is the whole machine's, so this runs only on one
// that is the tests' own: the virtual machine of tests/vm.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

#include "platform/os/file.h"
#include "slice_in_test.h"

namespace runink::sandbox {
namespace {

constexpr const char* kPattern = "/proc/sys/kernel/core_pattern";
constexpr const char* kPipeLimit = "/proc/sys/kernel/core_pipe_limit";

class CoresTest : public SliceTest {
 protected:
  void SetUp() override {
    if (std::getenv("RUNINK_MACHINE_IS_OURS") == nullptr) GTEST_SKIP() << "changes a setting of the whole machine";
    SliceTest::SetUp();
    if (IsSkipped()) return;
    handled_ = folder() + "/handled";
    const std::string handler =
        write(folder() + "/handler", "#!/bin/sh\ncat > /dev/null\necho \"$@\" >> " + handled_ + "\n", 0755);
    set(kPattern, "|" + handler + " %P %e");
    set(kPipeLimit, "4");  // other than 0: a process ends only when its handler has
  }
  void TearDown() override {
    if (handled_.empty()) return;
    set(kPattern, "core");
    set(kPipeLimit, "0");
  }
  static void set(const char* path, const std::string& text) {
    const auto file = os::open_file(path, os::OpenMode::kReadWrite);
    ASSERT_TRUE(file.ok()) << file.status().to_string();
    ASSERT_TRUE(os::write_all(*file, text).ok());
  }

  std::string handled_;
};
INSTANTIATE_TEST_SUITE_P(By, CoresTest, ::testing::Values(Starter::kRoot, Starter::kUser), starter_name);

TEST_P(CoresTest, NoHandlerOfTheHostIsRun) {
  for (const char* limit : {"ulimit -c unlimited; ", "ulimit -c 0; ", ""}) {
    std::vector<std::string> command = exec_command({"--", "sh", "-c", "kill -SEGV $$"});
    command.insert(command.begin(), {"sh", "-c", std::string(limit) + "exec \"$@\"", "sh"});
    const Ran ran = run(command);
    // Where the hard limit is 0 and cannot be raised, the slice is refused.
    EXPECT_TRUE(ran.code == 128 + 11 || ran.code == 125) << limit << ran.code << ran.err;
  }
  EXPECT_FALSE(os::exists(handled_)) << *os::read_file(handled_);
  EXPECT_EQ(run({"sh", "-c", "ulimit -c unlimited; sh -c 'kill -SEGV $$'; true"}).code, 0);
  EXPECT_TRUE(os::exists(handled_)) << "outside of a slice it is run";
}

}  // namespace
}  // namespace runink::sandbox
