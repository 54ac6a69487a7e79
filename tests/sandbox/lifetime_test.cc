// How slices end, and that nothing of them is left.
#include <dirent.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "own_slice_in_test.h"
#include "slice_in_test.h"

namespace runink::sandbox {
namespace {

using ::testing::HasSubstr;

class LifetimeTest : public SliceTest {
 protected:
  // Until the first whole line. Waits for the slice, and not for a time.
  static std::string line(const Running& running) {
    std::string text;
    char letter = 0;
    for (;;) {
      const auto n = os::read_some(running.out, &letter, 1);
      if (!n.ok() || *n == 0 || letter == '\n') return text;
      text += letter;
    }
  }
  // Whether all that could write to the slice's output has ended.
  static bool all_gone(const Running& running) {
    char bytes[256];
    for (;;) {
      const auto n = os::read_some(running.out, bytes, sizeof bytes);
      if (!n.ok()) return false;
      if (*n == 0) return true;
    }
  }
  static int code(Running* running) {
    const auto ended = running->child.wait(60'000'000);
    EXPECT_TRUE(ended.ok() && *ended);
    return ended.ok() && *ended && (*ended)->exited ? (*ended)->code : -1;
  }
};
INSTANTIATE_TEST_SUITE_P(By, LifetimeTest, testing::Values(Starter::kRoot, Starter::kUser), starter_name);

TEST_P(LifetimeTest, TimeLimitAsksFirst) {
  Running running =
      begin({"--timeout", "50ms", "--", "sh", "-c", "trap 'echo asked; exit 9' TERM; echo up; sleep 600 & wait"});
  EXPECT_EQ(line(running), "up");
  EXPECT_EQ(line(running), "asked");
  EXPECT_EQ(code(&running), 124);
}

TEST_P(LifetimeTest, WhoIgnoresSigtermIsKilled) {
  Running running = begin({"--timeout", "50ms", "--grace", "50ms", "--", "sh", "-c",
                           "trap '' TERM; setsid sleep 600 & while :; do sleep 600; done"});
  EXPECT_EQ(code(&running), 124);
  EXPECT_TRUE(all_gone(running));
}

TEST_P(LifetimeTest, WhoStopsItselfIsKilled) {
  Running running = begin({"--timeout", "50ms", "--grace", "50ms", "--", "sh", "-c", "kill -STOP $$; sleep 600"});
  EXPECT_EQ(code(&running), 124);
  EXPECT_TRUE(all_gone(running));
}

TEST_P(LifetimeTest, SignalsArePassedOn) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) {
    Running running = begin({"--", "sh", "-c", "echo up; exec sleep 600"});
    EXPECT_EQ(line(running), "up");
    ::kill(running.child.pid(), signal);
    EXPECT_EQ(code(&running), 128 + signal);
    EXPECT_TRUE(all_gone(running));
  }
}

TEST_P(LifetimeTest, ASecondSignalKills) {
  Running running =
      begin({"--grace", "10m", "--", "sh", "-c", "trap 'echo not-yet' INT; echo up; while :; do sleep 0.01; done"});
  EXPECT_EQ(line(running), "up");
  ::kill(running.child.pid(), SIGINT);
  EXPECT_EQ(line(running), "not-yet");
  ::kill(running.child.pid(), SIGINT);
  EXPECT_EQ(code(&running), 128 + SIGKILL);
  EXPECT_TRUE(all_gone(running));
}

TEST_P(LifetimeTest, WhatTheProgramLeavesBehindIsEnded) {
  Running running = begin({"--", "sh", "-c", "(setsid sleep 600 &) ; sleep 600 & exit 3"});
  EXPECT_EQ(code(&running), 3);
  EXPECT_TRUE(all_gone(running));
}

// Neither as another user nor as the slice's root, who has no more rights than others.
TEST_P(LifetimeTest, ProcessOneCannotBeEndedFromWithin) {
  for (const char* user : {"1000", "0"}) {
    const Ran ran = exec({"--user", user, "--", "sh", "-c",
                          "for s in KILL STOP; do kill -$s 1; kill -$s -- -1; done 2> /dev/null; echo alive"});
    // The shell itself is spared by kill(-1), process 1 by the kernel. (Others it would pass on.)
    EXPECT_EQ(ran.out, "alive\n") << user << ran.err;
    EXPECT_EQ(ran.code, 0);
  }
}

TEST_P(LifetimeTest, OrphansAreReaped) {
  const Ran ran = exec({"--", "sh", "-c",
                        "for i in 1 2 3; do p=$(sh -c 'sh -c \"exit 0\" > /dev/null & echo $!'); n=0; "
                        "while [ -d /proc/$p ]; do n=$((n + 1)); [ $n -lt 1000000 ] || exit 1; done; done; echo gone"});
  EXPECT_EQ(ran.out, "gone\n") << ran.err;
}

// However the launcher ends. Its output is a pipe whose end shows that nobody has it any more.
TEST_P(LifetimeTest, EndsWithItsLauncher) {
  Running running = begin({"--", "sh", "-c", "setsid sleep 600 & echo up; exec sleep 600"});
  EXPECT_EQ(line(running), "up");
  ::kill(running.child.pid(), SIGKILL);
  EXPECT_EQ(code(&running), -1);
  EXPECT_TRUE(all_gone(running));
}

struct Counts {
  size_t descriptors = 0, mounts = 0;
  bool operator==(const Counts&) const = default;
};

Counts count() {
  Counts counts;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) ++counts.descriptors;
  std::ifstream mounts("/proc/self/mountinfo");
  counts.mounts = static_cast<size_t>(std::count(std::istreambuf_iterator<char>(mounts), {}, '\n'));
  return counts;
}

// Started by whoever runs the tests.
TEST(SliceLeaks, NothingIsLeftAfterAHundred) {
  model::SliceSpec spec;
  spec.argv = {"true"};
  model::add_default_environment(&spec);
  const HostFacts facts = gather_host_facts(spec);
  const Operations good = *plan_start(spec, facts);
  model::SliceSpec failing = spec;
  failing.argv = {"no-such-program"};
  const Operations bad = *plan_start(failing, facts);
  Counts before;
  OwnSlice own;
  for (int i = 0; i < 101; ++i) {
    own.destroy();
    if (i == 1) before = count();  // the first one makes what stays for good: the filter, the locale
    const Status parked = own.park(spec);
    if (!parked.ok() && i == 0) GTEST_SKIP() << parked.to_string();
    ASSERT_TRUE(parked.ok()) << parked.to_string();
    if (i % 5 == 4) continue;  // ended by its destructor, parked
    if (i % 5 == 3) {
      EXPECT_EQ(own.start(failing, bad).kind(), kKindProgramMissing);
      EXPECT_EQ(own.next().kind, SliceEvent::Kind::kGone);
      continue;
    }
    const Status started = own.start(spec, good);
    ASSERT_TRUE(started.ok()) << started.to_string();
    if (i % 5 == 2) own.slice().kill();
    const SliceEvent ended = own.next();
    ASSERT_EQ(ended.kind, SliceEvent::Kind::kEnded);
    if (i % 5 == 1) {
      EXPECT_TRUE(ended.end.exited && ended.end.code == 0);
      own.slice().end();
      EXPECT_EQ(own.next().kind, SliceEvent::Kind::kGone);
    }
  }
  own.destroy();
  EXPECT_EQ(count().descriptors, before.descriptors);
  EXPECT_EQ(count().mounts, before.mounts);
  errno = 0;
  EXPECT_TRUE(::waitpid(-1, nullptr, WNOHANG | __WALL) < 0 && errno == ECHILD) << "a process is left";
}

}  // namespace
}  // namespace runink::sandbox
