// What is asked for wrongly, and hosts that cannot give it: a clear error, and nothing is started.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/os/file.h"
#include "slice_in_test.h"
#include "worker/sandbox/cgroup.h"

namespace runink::sandbox {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class BadInputTest : public SliceTest {
 protected:
  // On a host that answers a system call like this: the command's own standard error and exit code.
  Ran where_call_fails(long call, int error, std::vector<std::string> command) {
    const std::string err = folder() + "/err";
    const pid_t pid = ::fork();
    if (pid == 0) {
      const sock_filter program[] = {
          BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
          BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 1),
          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<uint32_t>(error)),
          BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      };
      const sock_fprog filter = {std::size(program), const_cast<sock_filter*>(program)};
      if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0) {
        ::_exit(99);
      }
      const int out = ::open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
      ::dup2(out, 2);
      std::vector<char*> argv;
      for (std::string& word : command) argv.push_back(word.data());
      argv.push_back(nullptr);
      ::execvp(argv[0], argv.data());
      ::_exit(98);
    }
    int status = 0;
    ::waitpid(pid, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, "", *os::read_file(err)};
  }
};
INSTANTIATE_TEST_SUITE_P(By, BadInputTest, testing::Values(Starter::kRoot, Starter::kUser), starter_name);

TEST_P(BadInputTest, AHostThatLetsNobodyMakeUserNamespaces) {
  for (const int error : {EPERM, ENOSPC}) {
    const Ran ran = where_call_fails(SYS_clone3, error, exec_command({"--", "true"}));
    EXPECT_EQ(ran.code, 125) << ran.err;
    EXPECT_THAT(ran.err, HasSubstr("this host lets nobody, or not this user, make user namespaces"));
  }
}

TEST_P(BadInputTest, AHostThatIsTooOld) {
  const Ran ran = where_call_fails(SYS_clone3, ENOSYS, exec_command({"--", "true"}));
  EXPECT_EQ(ran.code, 125) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("older than Linux 5.12"));
}

TEST_P(BadInputTest, AHostWithoutFiltersOfSystemCalls) {
  // The filter that makes the host so was put up before, by the other call.
  const Ran ran = where_call_fails(SYS_seccomp, ENOSYS, exec_command({"--", "true"}));
  EXPECT_EQ(ran.code, 125) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("seccomp"));
}

// By the kernel itself, where a sysctl says so.
TEST_P(BadInputTest, AHostWithNoUserNamespacesLeft) {
  if (!by_root()) GTEST_SKIP() << "needs root, to change that for a namespace of its own";
  std::vector<std::string> command = exec_command({"--", "true"});
  command.insert(command.begin(), {"unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
                                   "echo 0 > /proc/sys/user/max_user_namespaces || exit 77; exec \"$@\"", "sh"});
  const Ran ran = run(command);
  if (ran.code == 77) GTEST_SKIP() << ran.err;
  EXPECT_EQ(ran.code, 125) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("sysctl user.max_user_namespaces"));
}

TEST_P(BadInputTest, ItsOwnCommandLineNeedsNoDashes) {
  EXPECT_EQ(exec({"sh", "-c", "echo $0 $1", "-x", "--quiet"}).out, "-x --quiet\n");
  EXPECT_EQ(exec({"--user", "7", "sh", "-c", "id -u"}).out, "7\n");
  EXPECT_THAT(exec({"ls", "--help"}).out, HasSubstr("Usage: ls"));
  const Ran ran = exec({"--nosuch", "ls"});
  EXPECT_EQ(ran.code, 2);
  EXPECT_THAT(ran.err, HasSubstr("has no flag --nosuch"));
}

class LargeLimitsTest : public SliceTest {};
INSTANTIATE_TEST_SUITE_P(By, LargeLimitsTest, testing::Values(Starter::kRoot), starter_name);

TEST_P(LargeLimitsTest, AboveTheNodeAreRefusedWithItsSize) {
  struct {
    const char *flag, *value, *says;
  } const cases[] = {
      {"--cpu", "9999", "limit of 9999 processors: this node has "},
      {"--memory", "900Ti", "limit of memory to 990 TB: this node has "},
      {"--memory-high", "900Ti", ": this node has "},
      {"--cpuset", "0,8000", "limit of the slice to processor 8000: this node has 0"},
      {"--numa", "1000", "limit of its memory to NUMA node 1000: this node has "},
  };
  for (const auto& c : cases) {
    const Ran ran = exec({c.flag, c.value, "--", "true"});
    EXPECT_EQ(ran.code, 125) << c.flag << ran.err;
    EXPECT_THAT(ran.err, HasSubstr(c.says)) << c.flag;
  }
}

TEST_P(LargeLimitsTest, DisksThatCannotBeLimited) {
  struct {
    const char *limit, *says;
    int code;
  } const cases[] = {
      {"/dev/none:read=1M", "limit the I/O of /dev/none: No such file", 125},
      {"/dev/null:read=1M", "it is no block device", 125},
      {"/dev/null", "it names no limit", 2},
      {"/srv/x:read=1M", "not a device below /dev", 2},
      {"/dev/sda:reads=1M", "is not read, write, read-ops or write-ops", 2},
  };
  for (const auto& c : cases) {
    const Ran ran = exec({"--io", c.limit, "--", "true"});
    if (ran.err.find("cannot be limited") != std::string::npos) GTEST_SKIP() << ran.err;
    EXPECT_EQ(ran.code, c.code) << c.limit << ran.err;
    EXPECT_THAT(ran.err, HasSubstr(c.says)) << c.limit;
  }
}

}  // namespace
}  // namespace runink::sandbox
