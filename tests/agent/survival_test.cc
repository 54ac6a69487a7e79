// The agent and its launcher are killed in the middle of it: nothing is lost, nothing runs twice, nothing stays.
#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <set>

#include "agent_in_test.h"
#include "platform/os/file.h"

namespace runink::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class AgentSurvival : public AgentTest {
 protected:
  // The numbers that the log has, in ascending order.
  std::set<uint64_t> numbers(const std::string& id) {
    std::set<uint64_t> out;
    for (const std::string& line : log_lines(id)) out.insert(std::stoull(line));
    return out;
  }
};
INSTANTIATE_TEST_SUITE_P(By, AgentSurvival, testing::Values(By::kRoot, By::kUser), by_name);

TEST_P(AgentSurvival, SlicesAreAdoptedAndNoLineIsLost) {
  start();
  // Slow enough for its log's rate.
  const std::string id = detach({"--", "sh", "-c", "i=0; while :; do echo $i; i=$((i + 1)); sleep 0.002; done"});
  int64_t pid = 0;
  for (int agents = 0; agents < 4; ++agents) {
    const size_t before = log_lines(id).size();
    wait_until("it goes on writing", [&] { return log_lines(id).size() >= before + 20; });
    const auto now = listed(id);
    ASSERT_TRUE(now);
    EXPECT_EQ(now->state, "running");
    if (pid != 0) {
      EXPECT_EQ(now->pid, pid) << "it was started again";
    }
    pid = now->pid;
    kill_agent();
    EXPECT_EQ(::kill(static_cast<pid_t>(pid), 0), 0);
    start();
  }
  EXPECT_EQ(runi({"slice", "kill", id}).code, 0);
  const std::set<uint64_t> all = numbers(id);
  ASSERT_GT(all.size(), 80u);
  EXPECT_EQ(*all.rbegin(), all.size() - 1) << "a line is missing";
  EXPECT_EQ(list().size(), 1u);
}

TEST_P(AgentSurvival, OnesThatEndWithoutAnAgentAreKnown) {
  start();
  const std::string gate = folder() + "/gate";
  std::filesystem::create_directory(gate);
  const std::string id = detach({"--mount", gate + ":/gate", "--", "sh", "-c",
                                 "echo begun; while [ ! -e /gate/open ]; do sleep 0.01; done; echo last; exit 5"});
  wait_until("it runs", [&] { return !log_lines(id).empty(); });
  const auto pid = static_cast<pid_t>(listed(id)->pid);
  kill_agent();
  write(gate + "/open", "");
  wait_until("it has ended", [&] { return ::kill(pid, 0) != 0; });
  start();
  const Listed ended = wait_for_end(id);
  EXPECT_EQ(ended.exit_code, 5);
  EXPECT_THAT(log_lines(id), ElementsAre("begun", "last"));
}

TEST_P(AgentSurvival, FoundSlicesAreEndedWhereThatIsThePolicy) {
  start();
  const std::string id = detach({"--", "sh", "-c", "trap 'echo asked; exit 6' TERM; echo up; sleep 600 & wait"});
  wait_until("it runs", [&] { return !log_lines(id).empty(); });
  kill_agent();
  start({"--on-start", "end"});
  const Listed ended = wait_for_end(id);
  EXPECT_EQ(ended.exit_code, 6);
  EXPECT_EQ(ended.reason, "agent-found");
  EXPECT_THAT(log_lines(id), ElementsAre("up", "asked"));
}

TEST_P(AgentSurvival, TimeLimitsGoOn) {
  start();
  const std::string id = detach({"--timeout", "500ms", "--", "sh", "-c", "echo up; exec sleep 600"});
  wait_until("it runs", [&] { return !log_lines(id).empty(); });
  kill_agent();
  start();
  EXPECT_EQ(wait_for_end(id).reason, "time-limit");
}

TEST_P(AgentSurvival, AForegroundSliceEndsWithItsAgent) {
  start();
  Running running = begin({"exec", "--quiet", "--", "sh", "-c", "setsid sleep 600 & echo up; exec sleep 600"});
  ASSERT_EQ(line(running), "up");
  kill_agent();
  const auto ended = running.child.wait(60'000'000);
  ASSERT_TRUE(ended.ok() && *ended);
  EXPECT_EQ((*ended)->code, 125);
  EXPECT_TRUE(all_gone(running));
  start();
  EXPECT_TRUE(list().empty());
}

TEST_P(AgentSurvival, SlicesEndWithTheLauncherAndAnotherIsStarted) {
  start();
  const std::string id = detach({"--", "sh", "-c", "echo up; setsid sleep 600 & exec sleep 600"});
  Running running = begin({"exec", "--", "sh", "-c", "echo up; exec sleep 600"});
  while (line(running) != "up") {
  }
  wait_until("it runs", [&] { return !log_lines(id).empty(); });
  const auto pid = static_cast<pid_t>(listed(id)->pid);
  const pid_t launcher = launcher_pid();
  ASSERT_EQ(::kill(launcher, SIGKILL), 0);
  const auto ended = running.child.wait(60'000'000);
  ASSERT_TRUE(ended.ok() && *ended);
  EXPECT_EQ((*ended)->code, 125);
  EXPECT_TRUE(all_gone(running));
  EXPECT_EQ(wait_for_end(id).reason, "launcher-lost");
  wait_until("its processes are gone", [&] { return ::kill(pid, 0) != 0; });
  wait_until("another launcher serves", [&] { return runi({"exec", "--quiet", "--", "true"}).code == 0; });
  EXPECT_NE(launcher_pid(), launcher);
}

TEST_P(AgentSurvival, BothMayBeKilled) {
  start();
  const std::string id = detach({"--", "sh", "-c", "echo up; exec sleep 600"});
  wait_until("it runs", [&] { return !log_lines(id).empty(); });
  const auto pid = static_cast<pid_t>(listed(id)->pid);
  const pid_t launcher = launcher_pid();
  kill_agent();
  ASSERT_EQ(::kill(launcher, SIGKILL), 0);
  wait_until("its processes are gone", [&] { return ::kill(pid, 0) != 0; });
  start();
  EXPECT_EQ(listed(id)->reason, "launcher-lost");
  EXPECT_THAT(log_lines(id), ElementsAre("up"));
  EXPECT_EQ(runi({"exec", "--quiet", "--", "true"}).code, 0);
}

TEST_P(AgentSurvival, ADamagedRecordIsPutAsideAndItsSliceEnded) {
  start();
  const std::string id = detach({"--", "sh", "-c", "echo up; exec sleep 600"});
  wait_until("it runs", [&] { return !log_lines(id).empty(); });
  const auto pid = static_cast<pid_t>(listed(id)->pid);
  kill_agent();
  ASSERT_EQ(::truncate((state() + "/slices/" + id + ".slice").c_str(), 10), 0);
  start();
  wait_until("it is gone", [&] { return ::kill(pid, 0) != 0; });
  EXPECT_FALSE(listed(id));
  EXPECT_THAT(agent_log(), HasSubstr("agent.record.damaged"));
  EXPECT_TRUE(os::exists(state() + "/slices/" + id + ".slice.damaged"));
}

}  // namespace
}  // namespace runink::agent
