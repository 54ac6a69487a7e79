// The agent is killed at one system call after the other while it starts a slice for somebody. The next agent knows
// what was said of that slice, it runs once or not at all, and in the end nothing is left.
#include <gmock/gmock.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include "agent_in_test.h"
#include "tests/sandbox/leak_counters_in_test.h"
#include "tests/sandbox/stop_at_call_in_test.h"

namespace runink::agent {
namespace {

using sandbox::count_leaks;
using sandbox::LeakCounters;
using sandbox::LeaksOf;

pid_t parent_of(const std::string& pid) {
  std::ifstream status("/proc/" + pid + "/status");
  for (std::string word; status >> word;) {
    pid_t parent = 0;
    if (word == "PPid:" && status >> parent) return parent;
  }
  return 0;
}

class AgentLeaks : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    if (IsSkipped()) return;
    if (const Status can = sandbox::can_follow(); !can.ok()) GTEST_SKIP() << can.to_string();
    if (const Status own = host_.enter(); !own.ok()) GTEST_SKIP() << own.to_string();
  }
  void TearDown() override {
    AgentTest::TearDown();
    host_.leave();
  }

  // Whoever calls `runi exec --detach` while the agent is followed: what it printed, and whether it was told an id.
  struct Called {
    bool killed = false;
    uint64_t stops = 0;
    std::string id;
  };
  Called detach_and_kill(uint64_t stop) {
    Called called;
    sandbox::KillAtCall killer(sandbox::CountedProcess::kLauncher, stop);  // the process itself: the agent's loop
    const Status begun = killer.begin(agent().pid());
    EXPECT_TRUE(begun.ok()) << begun.to_string();
    Running running = begin({"exec", "--detach", "--", "sleep", "600"});
    for (int i = 0; i < 60'000; ++i) {
      killer.handle();
      const auto ended = running.child.wait(0);
      EXPECT_TRUE(ended.ok());
      if (!ended.ok() || *ended) {
        if (ended.ok() && (*ended)->success()) called.id = line(running);
        // What the agent does after its answer counts, too.
        for (int more = 0; more < 20 && !killer.killed(); ++more) {
          ::usleep(1000);
          killer.handle();
        }
        called.killed = killer.killed();
        called.stops = killer.stops();
        return called;
      }
      pollfd waiting = {killer.descriptor(), POLLIN, 0};
      (void)::poll(&waiting, 1, 1);
    }
    ADD_FAILURE() << "the caller still waits";
    return called;
  }

  // Every slice that the agent says runs does so, and no other.
  void check_running(const std::string& told) {
    std::vector<pid_t> said, there;
    for (const Listed& one : list()) {
      if (one.state == "running") said.push_back(static_cast<pid_t>(one.pid));
    }
    EXPECT_LE(said.size(), 1u) << "it was started twice";
    if (!told.empty()) {
      const auto known = listed(told);
      EXPECT_TRUE(known && known->state == "running") << "who called was told that " << told << " runs";
    }
    std::sort(said.begin(), said.end());
    // Others stand ready, and run nothing.
    wait_until("no other slice runs", [&] {
      there.clear();
      for (const std::string& process : count_leaks(of_).processes) {
        if (process.ends_with(" sleep")) there.push_back(parent_of(process.substr(0, process.find(' '))));
      }
      std::sort(there.begin(), there.end());
      return there == said;
    });
  }

  sandbox::OwnHost host_;
  LeaksOf of_;
};
INSTANTIATE_TEST_SUITE_P(By, AgentLeaks, testing::Values(By::kRoot), by_name);

TEST_P(AgentLeaks, KilledAtItsSystemCallsNothingIsDuplicatedOrLeft) {
  const LeakCounters before = count_leaks(of_);
  start();
  const Called whole = detach_and_kill(0);
  ASSERT_GT(whole.stops, 20u);
  ASSERT_NE(whole.id, "");
  EXPECT_EQ(runi({"slice", "kill", whole.id}).code, 0);
  (void)wait_for_end(whole.id);
  const char* deep = std::getenv("RUNINK_TEST_STEP");
  const uint64_t step = deep != nullptr ? std::strtoull(deep, nullptr, 10) : std::max<uint64_t>(1, whole.stops / 12);
  uint64_t kills = 0;
  for (uint64_t stop = 1; stop <= whole.stops; stop += step) {
    SCOPED_TRACE("stop " + std::to_string(stop));
    const Called called = detach_and_kill(stop);
    if (!called.killed) kill_agent();
    kills += called.killed ? 1 : 0;
    ASSERT_TRUE(agent().wait(60'000'000)->has_value());
    start();
    ASSERT_NO_FATAL_FAILURE(check_running(called.id));
    for (const Listed& one : list()) {
      if (one.state != "ended" && one.state != "refused") {
        EXPECT_EQ(runi({"slice", "kill", one.id}).code, 0);
        (void)wait_for_end(one.id);
      }
    }
    ASSERT_FALSE(HasFailure());
  }
  EXPECT_GT(kills, 5u);
  RecordProperty("kills", std::to_string(kills));
  RecordProperty("stops", std::to_string(whole.stops));
  std::printf("killed at %lu of %lu stops\n", kills, whole.stops);
  EXPECT_EQ(stop_agent(), 0) << agent_log();
  EXPECT_EQ(sandbox::difference_in_the_end(before, of_), "");
}

}  // namespace
}  // namespace runink::agent
