// A slice that writes as fast as it can costs itself, and nobody else.
#include <gmock/gmock.h>

#include "agent_in_test.h"
#include "platform/os/file.h"

namespace runink::agent {
namespace {

using ::testing::HasSubstr;

class AgentFlood : public AgentTest {
 protected:
  uint64_t log_bytes(const std::string& id) const {
    const auto bytes = os::tree_bytes(state() + "/logs/" + id);
    return bytes.ok() ? *bytes : 0;
  }
};
INSTANTIATE_TEST_SUITE_P(By, AgentFlood, testing::Values(By::kRoot, By::kUser), by_name);

TEST_P(AgentFlood, IsCountedAndBounded) {
  start();
  const std::string flood = detach({"--", "sh", "-c", "exec yes 'all work and no play makes Jack a dull boy'"});
  const std::string other = detach({"--", "sh", "-c", "echo calm; exec sleep 600"});
  wait_until("the other one is heard", [&] { return log_lines(other).size() == 1; });
  // The agent goes on answering, and says what is missing.
  wait_until("lines are dropped", [&] {
    return runi({"slice", "logs", "--last", "2000", flood}).err.find("runink:") != std::string::npos;
  });
  EXPECT_EQ(runi({"exec", "--quiet", "--", "true"}).code, 0);
  EXPECT_EQ(runi({"slice", "kill", flood}).code, 0);
  EXPECT_LE(log_bytes(flood), uint64_t{40} << 20);
  EXPECT_EQ(runi({"slice", "kill", other}).code, 0);
}

TEST_P(AgentFlood, OfEmptyLinesCanBeEnded) {
  start();
  const std::string id = detach({"--", "sh", "-c", "head -c 100000000 /dev/zero | tr '\\0' '\\n'"});
  const pid_t pid = agent().pid();
  wait_until("the agent answers meanwhile", [&] { return listed(id).has_value(); });
  EXPECT_EQ(runi({"slice", "kill", "--grace", "0s", id}).code, 0);
  EXPECT_LE(log_bytes(id), uint64_t{40} << 20);
  EXPECT_EQ(agent().pid(), pid);
}

}  // namespace
}  // namespace runink::agent
