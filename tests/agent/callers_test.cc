// Who may ask an agent for what, and callers that do not behave.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>

#include "agent_in_test.h"
#include "platform/os/file.h"
#include "worker/wire/framing.h"

namespace runink::agent {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AgentCallers : public AgentTest {
 protected:
  void SetUp() override {
    AgentTest::SetUp();
    if (::geteuid() != 0 && !IsSkipped()) GTEST_SKIP() << "needs root, to be several users";
  }
};
INSTANTIATE_TEST_SUITE_P(By, AgentCallers, testing::Values(By::kRoot, By::kUser), by_name);

class RootsAgent : public AgentCallers {};
INSTANTIATE_TEST_SUITE_P(By, RootsAgent, testing::Values(By::kRoot), by_name);

TEST_P(RootsAgent, StrangersAreRefusedAndToldWhy) {
  start();
  const Ran list = runi({"slice", "list"}, kStranger);
  EXPECT_EQ(list.code, 5);
  EXPECT_THAT(list.err, HasSubstr("--allow-user 12346"));
  const Ran exec = runi({"exec", "--quiet", "--", "true"}, kStranger);
  EXPECT_EQ(exec.code, 125);
  EXPECT_THAT(exec.err, HasSubstr("may not use this agent"));
}

TEST_P(RootsAgent, AllowedUsersSeeAndEndTheirOwn) {
  start({"--allow-user", "12345", "--allow-user", "12346"});
  const std::string roots = detach({"--", "sleep", "600"});
  const Ran ran = runi({"exec", "--detach", "--", "sleep", "600"}, kUser);
  ASSERT_EQ(ran.code, 0) << ran.err;
  const std::string users = ran.out.substr(0, 8);
  EXPECT_EQ(list().size(), 2u);
  const auto seen = list(kUser);
  ASSERT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen[0].id, users);
  EXPECT_EQ(seen[0].herd, "user-12345");
  EXPECT_THAT(list(kStranger), IsEmpty());
  for (const char* question : {"kill", "logs", "metrics"}) {
    EXPECT_EQ(runi({"slice", question, roots}, kUser).code, 6) << question;
    EXPECT_EQ(runi({"slice", question, users}, kStranger).code, 6) << question;
  }
  EXPECT_EQ(runi({"slice", "metrics"}, kUser).code, 5);
  EXPECT_EQ(runi({"slice", "kill", users}, kUser).code, 0);
  EXPECT_EQ(runi({"slice", "kill", roots}).code, 0);
}

TEST_P(RootsAgent, AnAllowedUserActsOnTheHostAsHimself) {
  namespace fs = std::filesystem;
  start({"--allow-user", "12345"});
  const std::string own = folder() + "/own", secret = folder() + "/secret";
  fs::create_directory(own);
  ASSERT_EQ(::chown(own.c_str(), kUser, kUser), 0);
  fs::create_directories(secret + "/deep");
  ASSERT_EQ(::chmod(secret.c_str(), 0700), 0);
  write(own + "/roots", "not for you", 0600);
  const auto exec = [&](const std::string& mount, const std::string& script) {
    return runi({"exec", "--quiet", "--mount", mount, "--", "sh", "-c", script}, kUser);
  };
  EXPECT_EQ(exec(own + ":/data:rw", "echo mine > /data/file; cat /data/file").out, "mine\n");
  struct stat info = {};
  ASSERT_EQ(::stat((own + "/file").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, kUser);
  EXPECT_NE(exec(own + ":/data", "cat /data/roots").code, 0);
  // What he cannot reach by himself, root's agent does not reach for him.
  const Ran deep = exec(secret + "/deep:/data", "true");
  EXPECT_EQ(deep.code, 125);
  EXPECT_THAT(deep.err, HasSubstr("ermission denied"));
}

TEST_P(RootsAgent, AnAllowedUserGetsNothingThatIsTheHosts) {
  start({"--allow-user", "12345"});
  const Ran other = runi({"exec", "--quiet", "--act-as", "12346", "--", "true"}, kUser);
  EXPECT_EQ(other.code, 125);
  EXPECT_THAT(other.err, HasSubstr("acts as himself only"));
}

TEST_P(RootsAgent, LimitsHoldForAllowedUsers) {
  start({"--allow-user", "12345"});
  const Ran ran = runi({"exec", "--memory", "32Mi", "--", "sh", "-c", "head -c 200000000 /dev/zero | tail"}, kUser);
  if (ran.code == 125) GTEST_SKIP() << ran.err;
  EXPECT_NE(ran.code, 0);
  EXPECT_THAT(ran.err, HasSubstr("limit: out of memory"));
}

TEST_P(AgentCallers, AnAgentOfSomebodyElseIsNotBelieved) {
  start();
  if (by_root()) return;  // root's is believed by all
  const Ran list = runi({"slice", "list"}, kStranger);
  EXPECT_NE(list.code, 0);
}

os::Fd connect(const std::string& path) {
  auto socket = wire::connect_to(path);
  EXPECT_TRUE(socket.ok()) << socket.status().to_string();
  return socket.ok() ? std::move(*socket) : os::Fd();
}

// Packets that are no messages, messages that are no questions, answers that nobody reads.
TEST_P(AgentCallers, WhoBreaksTheProtocolIsCutOffAlone) {
  start();
  const os::Fd garbage = connect(socket());
  ASSERT_GT(::send(garbage.get(), "hello", 5, MSG_NOSIGNAL), 0);
  for (uint16_t type = 0; type < 12; ++type) {
    wire::Channel channel(connect(socket()));
    ASSERT_TRUE(channel.send(type, type, std::string(type * 1000, 'x')).ok());
  }
  wire::Channel large(connect(socket()));
  ASSERT_TRUE(large.send(1, 0, std::string(8 << 20, 'x')).ok());
  wire::Channel deaf(connect(socket()));
  for (int i = 0; i < 20'000; ++i) {
    if (!deaf.send(7, 0, {}).ok()) break;
  }
  std::vector<os::Fd> silent;
  for (int i = 0; i < 50; ++i) silent.push_back(connect(socket()));
  EXPECT_EQ(runi({"exec", "--quiet", "--", "true"}).code, 0);
  char byte;
  // It was told who it talks to, and then that it is over.
  while (::recv(garbage.get(), &byte, 1, MSG_DONTWAIT | MSG_TRUNC) > 0) {
  }
  wait_until("it is cut off", [&] { return ::recv(garbage.get(), &byte, 1, MSG_DONTWAIT) == 0; });
}

}  // namespace
}  // namespace runink::agent
