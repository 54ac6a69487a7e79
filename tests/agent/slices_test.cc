// What callers of an agent see: slices in the foreground and detached, their list, logs and ends.
#include <gmock/gmock.h>
#include <signal.h>

#include <algorithm>
#include <set>
#include <thread>

#include "agent_in_test.h"
#include "base/text.h"
#include "platform/os/file.h"
#include "worker/sandbox/spawner.h"

namespace runink::agent {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AgentSlices : public AgentTest {};
INSTANTIATE_TEST_SUITE_P(By, AgentSlices, testing::Values(By::kRoot, By::kUser), by_name);

TEST_P(AgentSlices, AForegroundSliceIsItsCallers) {
  start();
  const Ran ran = runi({"exec", "--quiet", "--", "sh", "-c", "cat; echo wrong >&2; exit 7"}, std::nullopt, "right\n");
  EXPECT_EQ(ran.code, 7);
  EXPECT_EQ(ran.out, "right\n");
  EXPECT_EQ(ran.err, "wrong\n");
  EXPECT_THAT(list(), IsEmpty());
  const Ran killed = runi({"exec", "--quiet", "--", "sh", "-c", "kill -9 $$"});
  EXPECT_EQ(killed.code, 128 + SIGKILL);
}

TEST_P(AgentSlices, ErrorsComeWhole) {
  start();
  EXPECT_EQ(runi({"exec", "--quiet", "--", "no-such-program"}).code, 127);
  const Ran missing = runi({"exec", "--quiet", "--mount", "/no/such/folder:/data", "--", "true"});
  EXPECT_EQ(missing.code, 125);
  EXPECT_THAT(missing.err, HasSubstr("/no/such/folder"));
  const Ran detached = runi({"exec", "--detach", "--", "no-such-program"});
  EXPECT_EQ(detached.code, 127);
  EXPECT_EQ(detached.out, "");
  EXPECT_THAT(list(), IsEmpty());
}

TEST_P(AgentSlices, RunsAreListedWhileTheyRun) {
  start();
  Running running = begin({"exec", "--quiet", "--", "sh", "-c", "echo up; exec sleep 600"});
  ASSERT_EQ(line(running), "up");
  const auto listed = list();
  ASSERT_EQ(listed.size(), 1u);
  EXPECT_EQ(listed[0].state, "running");
  EXPECT_THAT(listed[0].command, HasSubstr("sleep 600"));
  ::kill(running.child.pid(), SIGTERM);
  EXPECT_TRUE(all_gone(running));
  EXPECT_EQ((*running.child.wait(60'000'000))->code, 128 + SIGTERM);
}

TEST_P(AgentSlices, ADetachedOneRunsByItselfAndKeepsItsLog) {
  start();
  const std::string id = detach({"--", "sh", "-c", "echo one; echo two >&2; printf 'no end'; exit 3"});
  const Listed ended = wait_for_end(id);
  EXPECT_EQ(ended.exit_code, 3);
  EXPECT_EQ(ended.reason, "itself");
  EXPECT_THAT(log_lines(id), ElementsAre("one", "no end"));
  const Ran logs = runi({"slice", "logs", id.substr(0, 4)});
  EXPECT_EQ(logs.err, "two\n");
  EXPECT_THAT(runi({"slice", "list", "-o", "name"}).out, "");
  EXPECT_EQ(runi({"slice", "list", "--all", "-o", "name"}).out, id + "\n");
}

TEST_P(AgentSlices, LogsCanBeFollowedToTheEnd) {
  start();
  const std::string id = detach({"--", "sh", "-c", "for i in 1 2 3 4 5; do echo $i; sleep 0.05; done"});
  const Ran followed = runi({"slice", "logs", "--follow", id});
  EXPECT_EQ(followed.code, 0) << followed.err;
  EXPECT_EQ(followed.out, "1\n2\n3\n4\n5\n");
  EXPECT_EQ(runi({"slice", "logs", "--last", "2", id}).out, "4\n5\n");
}

TEST_P(AgentSlices, KillAsksFirstAndWaits) {
  start();
  const std::string asked = detach({"--", "sh", "-c", "trap 'echo asked; exit 0' TERM; echo up; sleep 600 & wait"});
  wait_until("it runs", [&] { return !log_lines(asked).empty(); });
  EXPECT_EQ(runi({"slice", "kill", asked}).code, 0);
  EXPECT_EQ(listed(asked)->exit_code, 0);
  EXPECT_EQ(listed(asked)->reason, "asked");
  EXPECT_THAT(log_lines(asked), ElementsAre("up", "asked"));
  const std::string deaf =
      detach({"--grace", "10m", "--", "sh", "-c", "trap '' TERM; echo up; while :; do sleep 600; done"});
  wait_until("it runs", [&] { return !log_lines(deaf).empty(); });
  EXPECT_EQ(runi({"slice", "kill", "--grace", "0s", deaf}).code, 0);
  EXPECT_EQ(listed(deaf)->signal, SIGKILL);
  EXPECT_EQ(runi({"slice", "kill", deaf}).code, 0);  // it has ended already
  EXPECT_EQ(runi({"slice", "kill", "zzzzzzzz"}).code, 6);
}

TEST_P(AgentSlices, TimeLimitsHoldWithoutACaller) {
  start();
  const std::string id = detach({"--timeout", "50ms", "--grace", "50ms", "--", "sh", "-c",
                                 "trap '' TERM; setsid sleep 600 & while :; do sleep 600; done"});
  const Listed ended = wait_for_end(id);
  EXPECT_EQ(ended.reason, "time-limit");
  EXPECT_EQ(ended.signal, SIGKILL);
  const Ran foreground = runi({"exec", "--quiet", "--timeout", "50ms", "--", "sleep", "600"});
  EXPECT_EQ(foreground.code, 124);
}

TEST_P(AgentSlices, EndsWithItsCaller) {
  start();
  Running running = begin({"exec", "--quiet", "--", "sh", "-c", "setsid sleep 600 & echo up; exec sleep 600"});
  ASSERT_EQ(line(running), "up");
  ::kill(running.child.pid(), SIGKILL);
  EXPECT_TRUE(all_gone(running));
  wait_until("nothing is listed", [&] { return list().empty(); });
}

TEST_P(AgentSlices, StopsWithAllThatRuns) {
  start();
  const std::string id = detach({"--", "sh", "-c", "trap 'exit 4' TERM; echo up; sleep 600 & wait"});
  wait_until("it runs", [&] { return !log_lines(id).empty(); });
  const pid_t launcher = launcher_pid();
  EXPECT_EQ(stop_agent(), 0);
  EXPECT_FALSE(os::exists(socket()));
  EXPECT_FALSE(os::exists(socket() + ".launcher"));
  wait_until("the launcher has ended", [&] { return ::kill(launcher, 0) != 0; });
  start();
  EXPECT_EQ(listed(id)->exit_code, 4);  // known to the next one, too
  EXPECT_EQ(listed(id)->reason, "agent-stopped");
}

TEST_P(AgentSlices, CanLeaveThemForTheNextAgent) {
  start({"--on-stop", "keep"});
  const std::string id = detach({"--", "sh", "-c", "echo up; exec sleep 600"});
  wait_until("it runs", [&] { return !log_lines(id).empty(); });
  const int64_t pid = listed(id)->pid;
  EXPECT_EQ(stop_agent(), 0);
  EXPECT_EQ(::kill(static_cast<pid_t>(pid), 0), 0);
  start();
  EXPECT_EQ(listed(id)->state, "running");
  EXPECT_EQ(listed(id)->pid, pid);
}

TEST_P(AgentSlices, ASecondAgentIsRefused) {
  start();
  const Ran second =
      run(command({"agent", "--local", "--socket", socket(), "--state", state(), "--log", "text"}, std::nullopt));
  EXPECT_EQ(second.code, 7) << second.err;
  EXPECT_THAT(second.err, HasSubstr("an agent runs already"));
  const std::string other = folder() + "/run/state";
  const Ran same_socket =
      run(command({"agent", "--local", "--socket", socket(), "--state", other, "--log", "text"}, std::nullopt));
  EXPECT_EQ(same_socket.code, 7) << same_socket.err;
  EXPECT_EQ(runi({"exec", "--quiet", "--", "true"}).code, 0);  // the first one is as it was
}

TEST_P(AgentSlices, SecretsReachThem) {
  start();
  const std::string file = write(folder() + "/run/secret", "hush", 0644);
  EXPECT_EQ(runi({"exec", "--quiet", "--secret", "key=" + file, "--", "cat", "/run/secrets/key"}).out, "hush");
}

TEST_P(AgentSlices, WithoutOneDetachSaysWhatToDo) {
  const Ran ran = runi({"exec", "--detach", "--", "true"});
  EXPECT_EQ(ran.code, 125);
  EXPECT_THAT(ran.err, HasSubstr("no agent listens"));
  EXPECT_EQ(runi({"slice", "list"}).code, 4);
}

TEST_P(AgentSlices, SomeStandReady) {
  start({"--parked", "3"});
  wait_until("a slice starts from a parked one", [&] {
    const std::string id = detach({"--", "true"});
    return wait_for_end(id).start == "parked";
  });
}

// Hundreds of short ones, some of which nobody waits for; nothing of them stays.
TEST_P(AgentSlices, ManyLeaveNothing) {
  start({"--parked", "0"});
  EXPECT_EQ(runi({"exec", "--quiet", "--", "true"}).code, 0);
  const pid_t launcher = launcher_pid();
  const auto descriptors = [](pid_t pid) {
    const auto names = os::list_directory("/proc/" + std::to_string(pid) + "/fd");
    return names.ok() ? names->size() : 0;
  };
  // But the process that makes slices.
  const auto slices_of = [](pid_t pid) {
    std::string out;
    const auto text = os::read_file("/proc/" + std::to_string(pid) + "/task/" + std::to_string(pid) + "/children");
    if (!text.ok()) return std::string("?");
    for (const std::string_view child : split(trim(*text), ' ')) {
      const auto name = os::read_file("/proc/" + std::string(child) + "/comm");
      if (name.ok() && trim(*name) != sandbox::kSpawnerName) out += std::string(child) + " ";
    }
    return out;
  };
  const size_t of_agent = descriptors(agent().pid()), of_launcher = descriptors(launcher);
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 4; ++caller) {
    callers.emplace_back([&, caller] {
      for (int i = 0; i < 50; ++i) {
        if (i % 5 == caller % 5) {
          EXPECT_EQ(runi({"exec", "--detach", "--", "sh", "-c", "echo gone"}).code, 0);
        } else {
          EXPECT_EQ(runi({"exec", "--quiet", "--", "true"}).code, 0);
        }
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  wait_until("all have ended", [&] {
    const auto all = list();
    return std::all_of(all.begin(), all.end(), [](const Listed& one) { return one.state == "ended"; });
  });
  EXPECT_EQ(list().size(), 40u);
  wait_until("the agent has no more descriptors than before", [&] { return descriptors(agent().pid()) <= of_agent; });
  wait_until("the launcher has no more descriptors than before", [&] { return descriptors(launcher) <= of_launcher; });
  EXPECT_EQ(slices_of(launcher), "");
  EXPECT_EQ(launcher_pid(), launcher);
}

TEST_P(AgentSlices, MetricsSayWhatStandsParkedAndWhatIsLeft) {
  start({"--parked", "2"});
  EXPECT_EQ(runi({"exec", "--quiet", "--", "true"}).code, 0);
  std::string page;
  wait_until("two stand parked", [&] {
    page = runi({"slice", "metrics"}).out;
    return page.find("runink_agent_parked_slices{class=\"local\"} 2\n") != std::string::npos;
  });
  EXPECT_THAT(page, HasSubstr("\nrunink_agent_leaked{kind=\"processes\"} "));
  EXPECT_THAT(page, HasSubstr("\nrunink_agent_leaked{kind=\"control_groups\"} "));
}

TEST_P(AgentSlices, StatusSaysWhatTheNodeHas) {
  start({"--label", "zone=a"});
  const Ran text = runi({"agent", "status"});
  EXPECT_EQ(text.code, 0) << text.err;
  EXPECT_THAT(text.out, HasSubstr("zone=a"));
  EXPECT_THAT(text.out, HasSubstr(socket()));
  EXPECT_THAT(runi({"agent", "status", "-o", "json"}).out, HasSubstr("\"node\":{"));
}

TEST_P(AgentSlices, MetricsCountThem) {
  start();
  EXPECT_EQ(runi({"exec", "--quiet", "--", "true"}).code, 0);
  wait_until("the start is counted", [&] {
    const Ran ran = runi({"slice", "metrics"});
    EXPECT_EQ(ran.code, 0) << ran.err;
    return ran.out.find("exited") != std::string::npos;
  });
}

TEST_P(AgentSlices, MetricsOfOneAreItsOwn) {
  if (!by_root()) GTEST_SKIP() << "an ordinary user has no control groups here";
  start();
  const std::string id = detach({"--pids", "100", "--", "sleep", "600"});
  const std::string other = detach({"--pids", "100", "--", "sleep", "600"});
  const Ran ran = runi({"slice", "metrics", id});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("slice=\"" + id + "\""));
  EXPECT_THAT(ran.out, HasSubstr("# TYPE "));
  EXPECT_THAT(ran.out, ::testing::Not(HasSubstr(other)));
  EXPECT_GE(listed(id)->cpu_seconds, 0);
  const std::string unlimited = detach({"--", "true"});
  wait_for_end(unlimited);
  EXPECT_EQ(runi({"slice", "metrics", unlimited}).code, 6);
}

}  // namespace
}  // namespace runink::agent
