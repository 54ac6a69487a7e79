// Slices that take all they can (L13): only they fail, with the reason said, and a slice beside them goes on. How fast
// that one answers meanwhile is told, and not judged: other tests run on this machine, too.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>

#include <algorithm>

#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "slice_in_test.h"
#include "worker/sandbox/cgroup.h"

namespace runink::sandbox {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

class BombsTest : public SliceTest {
 protected:
  void SetUp() override {
    SliceTest::SetUp();
    if (IsSkipped()) return;
    auto backend = open_cgroups("/runink");
    if (!backend.ok()) GTEST_SKIP() << backend.status().to_string();
    neighbour_ = begin({"--", "cat"});
    alone_ = round_trips(50);
  }

  struct Bomb {
    int code = -1;
    std::string said;  // the last of it, with what runi said
  };
  // Runs the bomb in a slice with limits, and asks the neighbour again and again until it has ended.
  Bomb explode(const std::string& bomb, std::vector<std::string> limits) {
    limits.insert(limits.end(), {"--mount", folder() + "/attacks:/attacks", "--", "/attacks/attack_bombs", bomb});
    Running running = begin_command(loud_exec_command(limits));
    std::vector<int64_t> beside;
    Bomb out;
    for (bool open = true; open;) {
      const std::vector<int64_t> more = round_trips(10);
      beside.insert(beside.end(), more.begin(), more.end());
      open = take_output(running, &out.said);
    }
    const auto ended = running.child.wait(60'000'000);
    EXPECT_TRUE(ended.ok() && *ended) << bomb;
    if (ended.ok() && *ended && (*ended)->exited) out.code = (*ended)->code;
    RecordProperty(bomb + "_alone_us", std::to_string(median(alone_)));
    RecordProperty(bomb + "_beside_us", std::to_string(median(beside)));
    std::printf("beside %s the neighbour answers in %ld us, alone in %ld us (medians)\n", bomb.c_str(),
                static_cast<long>(median(beside)), static_cast<long>(median(alone_)));
    EXPECT_EQ(exec({"--", "true"}).code, 0) << "the host starts slices as before";
    return out;
  }

 private:
  // How long the neighbour takes to give a byte back, in microseconds.
  std::vector<int64_t> round_trips(int count) {
    std::vector<int64_t> times;
    for (int i = 0; i < count; ++i) {
      char byte = '\n';
      const int64_t before = os::monotonic_nanos();
      EXPECT_TRUE(os::write_all(neighbour_.in, "\n").ok());
      const auto n = os::read_full(neighbour_.out, &byte, 1);
      EXPECT_TRUE(n.ok() && *n == 1) << "the neighbour is gone";
      times.push_back((os::monotonic_nanos() - before) / 1000);
    }
    return times;
  }
  static int64_t median(std::vector<int64_t> times) {
    if (times.empty()) return -1;
    std::nth_element(times.begin(), times.begin() + static_cast<long>(times.size() / 2), times.end());
    return times[times.size() / 2];
  }
  // Takes at most one piece of what the bomb wrote. False at its end.
  static bool take_output(const Running& running, std::string* said) {
    struct pollfd waiting = {running.out.get(), POLLIN, 0};
    if (::poll(&waiting, 1, 1) == 0) return true;
    char bytes[65536];
    const auto n = os::read_some(running.out, bytes, sizeof bytes);
    if (!n.ok() || *n == 0) return false;
    said->append(bytes, *n);
    if (said->size() > 4096) said->erase(0, said->size() - 4096);
    return true;
  }

  Running neighbour_;
  std::vector<int64_t> alone_;
};
INSTANTIATE_TEST_SUITE_P(By, BombsTest, ::testing::Values(Starter::kRoot), starter_name);

TEST_P(BombsTest, Forks) {
  const Bomb bomb = explode("forks", {"--pids", "64"});
  EXPECT_EQ(bomb.code, 0);
  EXPECT_THAT(bomb.said, HasSubstr("refused after"));
  EXPECT_THAT(bomb.said, HasSubstr("limit: out of processes"));
}

TEST_P(BombsTest, Threads) {
  const Bomb bomb = explode("threads", {"--pids", "64"});
  EXPECT_EQ(bomb.code, 0);
  EXPECT_THAT(bomb.said, HasSubstr("limit: out of processes"));
}

TEST_P(BombsTest, Memory) {
  const Bomb bomb = explode("memory", {"--memory", "64Mi"});
  EXPECT_EQ(bomb.code, 128 + 9);
  EXPECT_THAT(bomb.said, HasSubstr("limit: out of memory"));
}

// More than its memory limit fits into /tmp: what it writes there counts as its memory.
TEST_P(BombsTest, FilesInMemory) {
  const Bomb bomb = explode("files", {"--memory", "64Mi"});
  EXPECT_EQ(bomb.code, 128 + 9);
  EXPECT_THAT(bomb.said, HasSubstr("limit: out of memory"));
}

TEST_P(BombsTest, Files) {
  const Bomb bomb = explode("files", {"--memory", "512Mi"});
  EXPECT_EQ(bomb.code, 0);
  EXPECT_THAT(bomb.said, HasSubstr("refused after 256: No space left on device"));
}

TEST_P(BombsTest, SharedMemory) {
  const Bomb bomb = explode("shared", {"--memory", "512Mi"});
  EXPECT_EQ(bomb.code, 0);
  EXPECT_THAT(bomb.said, HasSubstr("refused after 64: No space left on device"));
}

TEST_P(BombsTest, Inodes) {
  const Bomb bomb = explode("inodes", {"--memory", "512Mi"});
  EXPECT_EQ(bomb.code, 0);
  EXPECT_THAT(bomb.said, HasSubstr("No space left on device"));
}

TEST_P(BombsTest, Descriptors) {
  const Bomb bomb = explode("descriptors", {"--memory", "512Mi"});
  EXPECT_EQ(bomb.code, 0);
  EXPECT_THAT(bomb.said, HasSubstr("Too many open files"));
}

TEST_P(BombsTest, Watches) {
  const Bomb bomb = explode("watches", {"--memory", "512Mi"});
  EXPECT_EQ(bomb.code, 0);
  EXPECT_THAT(bomb.said, HasSubstr("Too many open files"));
}

TEST_P(BombsTest, Processor) {
  const Bomb bomb = explode("spin", {"--cpu", "0.05", "--timeout", "1s", "--grace", "100ms"});
  EXPECT_EQ(bomb.code, 124);
  EXPECT_THAT(bomb.said, HasSubstr("limit: throttled"));
}

// As fast as it is read: a pipe that is full holds the slice, and nothing else.
TEST_P(BombsTest, Output) {
  const Bomb bomb = explode("flood", {"--cpu", "0.5", "--timeout", "1s", "--grace", "100ms"});
  EXPECT_EQ(bomb.code, 124);
}

}  // namespace
}  // namespace runink::sandbox
