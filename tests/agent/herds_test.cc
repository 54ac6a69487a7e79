// Limits that all slices of a herd have together, by real programs that want more.
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include "agent_in_test.h"
#include "base/text.h"
#include "platform/os/file.h"
#include "worker/sandbox/cgroup.h"

namespace runink::agent {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class AgentHerds : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    if (IsSkipped() || !by_root()) return;
    auto backend = sandbox::open_cgroups("/runink");
    if (!backend.ok()) GTEST_SKIP() << backend.status().to_string();
    backend_ = std::move(*backend);
    // Other tests run beside this one.
    herd_ = "herd-" + std::to_string(::getpid());
    other_ = "other-" + std::to_string(::getpid());
  }
  void TearDown() override {
    AgentTest::TearDown();
    if (!backend_) return;
    const auto left = backend_->list("");
    ASSERT_TRUE(left.ok());
    EXPECT_THAT(*left, Not(Contains(herd_)));
    EXPECT_THAT(*left, Not(Contains(other_)));
  }

  void start_limited(const std::string& limits) { start({"--parked", "1", "--herd-limit", herd_ + ":" + limits}); }
  Ran exec_in(const std::string& herd, std::vector<std::string> words) {
    words.insert(words.begin(), {"exec", "--herd", herd});
    return runi(std::move(words));
  }
  std::string detach_in(const std::string& herd, const std::string& script) {
    return detach({"--herd", herd, "--", "sh", "-c", script});
  }
  // Holds so much memory (of one process, which is the one that the kernel would pick), says so, and stays.
  std::string taking(const std::string& herd, int megabytes) {
    const std::string bytes = std::to_string(megabytes) + "000000";
    const std::string id =
        detach_in(herd, "exec 3>&1; { head -c " + bytes +
                            " /dev/zero || exit; echo has >&3; exec sleep 600; } | tail -c " + bytes + " > /dev/null");
    wait_until("it has its memory, or has ended",
               [&] { return !log_lines(id).empty() || listed(id)->state == "ended"; });
    return id;
  }
  bool v2() const { return backend_->version() == sandbox::CgroupVersion::kV2; }

  std::unique_ptr<sandbox::CgroupBackend> backend_;
  std::string herd_, other_;
};

class AgentHerdsOfRoot : public AgentHerds {};
INSTANTIATE_TEST_SUITE_P(By, AgentHerdsOfRoot, testing::Values(By::kRoot), by_name);
class AgentHerdsOfUser : public AgentHerds {};
INSTANTIATE_TEST_SUITE_P(By, AgentHerdsOfUser, testing::Values(By::kUser), by_name);

TEST_P(AgentHerdsOfRoot, TwoSlicesShareTheMemory) {
  start_limited("memory=48Mi");
  const std::string first = taking(herd_, 30);
  EXPECT_EQ(listed(first)->state, "running");
  // Each alone would have room. The kernel takes the largest process.
  const std::string free = taking(other_, 30);
  const std::string second = taking(herd_, 40);
  std::vector<std::string> hit;
  for (const std::string& id : {first, second}) {
    if (listed(id)->state != "ended") runi({"slice", "kill", "--grace", "0s", id});
    const Listed ended = wait_for_end(id);
    hit.insert(hit.end(), ended.limits_hit.begin(), ended.limits_hit.end());
  }
  EXPECT_THAT(hit, Contains(HasSubstr("out of memory of its herd")));
  EXPECT_THAT(hit, Contains(HasSubstr("all slices of " + herd_ + " reached 50331648 bytes together")));
  EXPECT_EQ(listed(free)->state, "running");
  EXPECT_EQ(exec_in(other_, {"--quiet", "--", "sh", "-c", "head -c 60000000 /dev/zero > /tmp/x"}).code, 0);
}

TEST_P(AgentHerdsOfRoot, AHerdOutOfMemoryLosesOneSliceAndAllOfThat) {
  if (!v2()) GTEST_SKIP() << "on cgroup v1 the kernel picks a process, and not a slice";
  start_limited("memory=48Mi");
  const std::string small = detach_in(herd_, "echo up; exec sleep 600");
  wait_until("it runs", [&] { return !log_lines(small).empty(); });
  const std::string large =
      detach_in(herd_, "sleep 600 & head -c 60000000 /dev/zero | tail -c 60000000 > /dev/null; echo not reached");
  const Listed ended = wait_for_end(large);
  EXPECT_EQ(ended.signal, SIGKILL);
  EXPECT_THAT(log_lines(large), IsEmpty());
  EXPECT_THAT(ended.limits_hit, Contains(HasSubstr("out of memory of its herd")));
  EXPECT_EQ(listed(small)->state, "running");
  EXPECT_THAT(listed(small)->limits_hit, IsEmpty());
}

TEST_P(AgentHerdsOfRoot, TwoSlicesShareTheProcesses) {
  start_limited("pids=40");
  const std::string many = "i=0; while [ $i -lt 25 ]; do sleep 600 & i=$((i + 1)); done; echo up; wait";
  const std::string first = detach_in(herd_, many);
  wait_until("it runs", [&] { return !log_lines(first).empty(); });
  const Ran second = exec_in(herd_, {"--", "sh", "-c", many});
  EXPECT_NE(second.code, 0);
  EXPECT_EQ(second.out, "");
  EXPECT_THAT(second.err, HasSubstr("limit: out of processes of its herd"));
  EXPECT_EQ(
      exec_in(other_, {"--quiet", "--", "sh", "-c", "i=0; while [ $i -lt 50 ]; do sleep 600 & i=$((i + 1)); done"})
          .code,
      0);
  EXPECT_EQ(listed(first)->state, "running");
}

TEST_P(AgentHerdsOfRoot, ASlicesOwnLimitsLieWithin) {
  start_limited("memory=256Mi,cpu=1,pids=100");
  const Ran own = exec_in(herd_, {"--memory", "32Mi", "--cpu", "0.5", "--pids", "20", "--", "sh", "-c",
                                  "head -c 100000000 /dev/zero > /tmp/x"});
  EXPECT_THAT(own.err, HasSubstr("limit: out of memory: the kernel killed"));
  EXPECT_THAT(own.err, HasSubstr("at the memory limit of 33554432 bytes"));
  const Ran above = exec_in(herd_, {"--memory", "512Mi", "--", "true"});
  EXPECT_EQ(above.code, 125);
  EXPECT_THAT(above.err, HasSubstr("limit of memory to 537 MB: its herd " + herd_ + " has 268 MB"));
  // One with limits leaves none for those after it, in whatever stood ready.
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(exec_in(herd_, {"--quiet", "--pids", "5", "--", "true"}).code, 0);
    EXPECT_EQ(
        exec_in(herd_, {"--quiet", "--memory", "64Mi", "--", "sh", "-c", "for i in 1 2 3 4 5 6 7; do sleep 600 & done"})
            .code,
        0);
    EXPECT_EQ(exec_in(herd_, {"--quiet", "--", "sh", "-c", "head -c 80000000 /dev/zero > /tmp/x"}).code, 0);
  }
}

TEST_P(AgentHerdsOfRoot, WhereItDoesNotHoldEachStartIsRefused) {
  start({"--herd-limit", herd_ + ":memory=900Ti", "--herd-limit", other_ + ":pids=100"});
  wait_until("the agent says so", [&] { return agent_log().find("\"agent.herd.refused\"") != std::string::npos; });
  EXPECT_THAT(agent_log(), HasSubstr(herd_));
  for (int i = 0; i < 2; ++i) {
    const Ran refused = exec_in(herd_, {"--", "true"});
    EXPECT_EQ(refused.code, 125);
    EXPECT_THAT(refused.err, HasSubstr("limit of memory to 990 TB: this node has"));
    EXPECT_THAT(refused.err, HasSubstr("limit the herd " + herd_));
  }
  EXPECT_EQ(exec_in(other_, {"--quiet", "--", "true"}).code, 0);
  const Ran status = runi({"agent", "status"});
  EXPECT_THAT(status.out, HasSubstr("its slices are refused: limit of memory to 990 TB"));
  EXPECT_THAT(status.out, HasSubstr("limited to 100 processes; it uses"));
  EXPECT_THAT(runi({"agent", "status", "-o", "json"}).out, HasSubstr("\"holds\":false"));
}

// Also where slices of the herd run: they are in its group.
TEST_P(AgentHerdsOfRoot, TheNextAgentChangesTheLimits) {
  start_limited("pids=15,memory=1Gi");
  const std::string many = "i=0; while [ $i -lt 30 ]; do sleep 600 & i=$((i + 1)); done";
  const std::string stays = detach_in(herd_, "echo up; exec sleep 600");
  wait_until("it runs", [&] { return !log_lines(stays).empty(); });
  EXPECT_NE(exec_in(herd_, {"--quiet", "--", "sh", "-c", many}).code, 0);
  kill_agent();
  start_limited("pids=60");
  EXPECT_EQ(exec_in(herd_, {"--quiet", "--", "sh", "-c", many}).code, 0);
  kill_agent();
  start_limited("memory=48Mi");
  EXPECT_EQ(exec_in(herd_, {"--quiet", "--", "sh", "-c", many}).code, 0);
  EXPECT_THAT(exec_in(herd_, {"--", "sh", "-c", "head -c 60000000 /dev/zero | tail -c 60000000 > /dev/null"}).err,
              HasSubstr("out of memory of its herd"));
  kill_agent();
  start();
  EXPECT_EQ(exec_in(herd_, {"--quiet", "--", "sh", "-c", many + "; head -c 60000000 /dev/zero > /tmp/x"}).code, 0);
  EXPECT_EQ(listed(stays)->state, "running");
}

// The group of a herd may be removed by another launcher, and the process that makes groups be killed.
TEST_P(AgentHerdsOfRoot, LimitsAreThereAgain) {
  start_limited("pids=15");
  const std::string many = "i=0; while [ $i -lt 30 ]; do sleep 600 & i=$((i + 1)); done";
  EXPECT_NE(exec_in(herd_, {"--quiet", "--", "sh", "-c", many}).code, 0);
  // With a launcher of its own: it takes the herd's group away at its end, if nothing is in it.
  for (int i = 0; i < 3; ++i) {
    run(command({"exec", "--agent", "none", "--quiet", "--herd", herd_, "--pids", "5", "--", "true"}, std::nullopt));
    EXPECT_NE(exec_in(herd_, {"--quiet", "--", "sh", "-c", many}).code, 0);
  }
  ::kill(launcher_pid(), SIGKILL);
  wait_until("another launcher serves", [&] { return exec_in(herd_, {"--quiet", "--", "true"}).code == 0; });
  EXPECT_NE(exec_in(herd_, {"--quiet", "--", "sh", "-c", many}).code, 0);
  // Another agent that wants the same.
  kill_agent();
  start_limited("pids=15");
  EXPECT_NE(exec_in(herd_, {"--quiet", "--", "sh", "-c", many}).code, 0);
}

TEST_P(AgentHerdsOfRoot, WhatIsNoLimitIsRefusedAtOnce) {
  const Ran ran = run(command(
      {"agent", "--local", "--socket", socket(), "--state", state(), "--herd-limit", "etl:cpus=2"}, std::nullopt));
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.err, HasSubstr("\"cpus=2\" is no limit"));
}

TEST_P(AgentHerdsOfUser, LimitsTakeRoot) {
  const Ran ran = run(command(
      {"agent", "--local", "--socket", socket(), "--state", state(), "--herd-limit", "etl:cpu=1"}, std::nullopt));
  EXPECT_NE(ran.code, 0);
  EXPECT_THAT(ran.err, HasSubstr("limit the herd etl: control groups take root"));
}

}  // namespace
}  // namespace runink::agent
