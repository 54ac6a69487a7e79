// Slices that cannot be ended at once (L15): the kernel holds a process in a read that no signal interrupts.
#include <gmock/gmock.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "platform/os/file.h"
#include "slice_in_test.h"

namespace runink::sandbox {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class BlockedTest : public SliceTest {
 protected:
  static std::string line(const Running& running) {
    std::string text;
    char letter = 0;
    for (;;) {
      const auto n = os::read_some(running.out, &letter, 1);
      if (!n.ok() || *n == 0 || letter == '\n') return text;
      text += letter;
    }
  }

  // What /proc/PID/status says behind `name`; empty once the process is gone.
  static std::string field(const std::string& pid, const std::string& name) {
    std::ifstream status("/proc/" + pid + "/status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with(name + ":\t")) return line.substr(name.size() + 2);
    }
    return {};
  }
  static bool was_killed(const std::string& pid) {
    constexpr unsigned long long kKill = 1ULL << (9 - 1);
    for (const char* name : {"SigPnd", "ShdPnd"}) {
      const std::string pending = field(pid, name);
      if (!pending.empty() && (std::stoull(pending, nullptr, 16) & kKill) != 0) return true;
    }
    return false;
  }
};
INSTANTIATE_TEST_SUITE_P(By, BlockedTest, ::testing::Values(Starter::kRoot), starter_name);

TEST_P(BlockedTest, ByAFileSystemThatDoesNotAnswer) {
  const std::string place = folder() + "/blocking";
  fs::create_directory(place);
  const std::string program = fs::read_symlink("/proc/self/exe").parent_path().string() + "/blocking_files";
  Running running;
  std::string said;
  // A slow machine needs longer to come to the read at all.
  for (const char* limit : {"300ms", "3s", "30s"}) {
    std::vector<std::string> command =
        exec_command({"--timeout", limit, "--grace", "50ms", "--mount", place + ":/data", "--", "cat", "/data/file"});
    command.insert(command.begin(), {program, place});
    running = begin_command(command);
    said = line(running);
    if (!said.empty()) break;
  }
  if (said.starts_with("unavailable: ")) GTEST_SKIP() << said;
  ASSERT_TRUE(said.starts_with("reading ")) << said;
  const std::string pid = said.substr(8);
  EXPECT_THAT(field(pid, "Name"), HasSubstr("cat"));
  // The kill has arrived, and the process is still there.
  for (int i = 0; i < 6000 && !was_killed(pid); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ASSERT_TRUE(was_killed(pid)) << "the time limit did not kill it";
  EXPECT_THAT(field(pid, "State"), HasSubstr("D"));
  EXPECT_TRUE(running.child.running());
  running.in.reset();  // the file system ends, and lets it go
  const auto ended = running.child.wait(60'000'000);
  ASSERT_TRUE(ended.ok() && *ended);
  EXPECT_TRUE((*ended)->exited);
  EXPECT_EQ((*ended)->code, 124);
  EXPECT_EQ(field(pid, "State"), "");
}

}  // namespace
}  // namespace runink::sandbox
