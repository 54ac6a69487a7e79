// What the command of `runi exec` is given, and what becomes of its status.
#include <gmock/gmock.h>
#include <signal.h>
#include <unistd.h>

#include <fstream>

#include "platform/os/file.h"
#include "slice_in_test.h"

namespace runink::sandbox {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class ExecTest : public SliceTest {};
INSTANTIATE_TEST_SUITE_P(By, ExecTest, testing::Values(Starter::kRoot, Starter::kUser), starter_name);

TEST_P(ExecTest, PassesStatusThrough) {
  EXPECT_EQ(exec({"--", "true"}).code, 0);
  EXPECT_EQ(exec({"--", "sh", "-c", "exit 7"}).code, 7);
  EXPECT_EQ(exec({"--", "sh", "-c", "exit 255"}).code, 255);
  EXPECT_EQ(exec({"--", "sh", "-c", "kill -TERM $$"}).code, 128 + 15);
  EXPECT_EQ(exec({"--", "sh", "-c", "kill -KILL $$"}).code, 128 + 9);
  EXPECT_EQ(exec({"--", "sh", "-c", "kill -SEGV $$"}).code, 128 + 11);
}

TEST_P(ExecTest, StreamsAreTheCallers) {
  const Ran ran = exec({"--", "sh", "-c", "cat; echo to-err >&2"}, "one\ntwo\n");
  EXPECT_EQ(ran.out, "one\ntwo\n");
  EXPECT_EQ(ran.err, "to-err\n");
}

TEST_P(ExecTest, ProgramsThatCannotBeRun) {
  const std::string files = folder() + "/files";
  ASSERT_EQ(run({"mkdir", "-m", "755", files}).code, 0);
  write(files + "/plain", "text\n", 0644);
  write(files + "/garbage",
        std::string("\x7f"
                    "ELF nothing more"),
        0755);
  // A 64-bit ELF file of a machine that nobody has (e_machine 0x0bad).
  std::string other(64, '\0');
  other.replace(0, 7,
                std::string("\x7f"
                            "ELF\2\1\1",
                            7));
  other[16] = 2;
  other[18] = '\xad';
  other[19] = '\x0b';
  write(files + "/other", other, 0755);
  write(files + "/script", "#!/bin/sh\necho \"script $1\"\n", 0755);
  write(files + "/lost", "#!/nowhere/at/all\n", 0755);
  const auto in_slice = [&](const char* name) { return exec({"--mount", files + ":/files", "--", name, "x"}); };
  struct {
    const char* program;
    int code;
    const char* says;
  } const cases[] = {
      {"no-such-program", 127, "run no-such-program: there is no such program in the slice"},
      {"/files/none", 127, "run /files/none: there is no such program"},
      {"/files/plain/x", 127, "there is no such program"},
      {"/files/lost", 127, "the interpreter named in its first line"},
      {"/files/plain", 126, "run /files/plain: Permission denied"},
      {"/files", 126, "run /files: it is a folder"},
      {"/files/garbage", 126, "run /files/garbage: it is no program for this machine"},
      {"/files/other", 126, "run /files/other: it is no program for this machine"},
  };
  for (const auto& c : cases) {
    const Ran ran = in_slice(c.program);
    EXPECT_EQ(ran.code, c.code) << c.program << "\n" << ran.err;
    EXPECT_THAT(ran.err, HasSubstr(c.says)) << c.program;
    EXPECT_EQ(ran.out, "") << c.program;
  }
  EXPECT_EQ(in_slice("/files/script").out, "script x\n");
  EXPECT_EQ(exec({"--mount", files + ":/files", "--workdir", "/files", "--", "./script", "y"}).out, "script y\n");
}

TEST_P(ExecTest, EnvironmentIsWhatIsGiven) {
  const Ran ran = exec({"--env", "A=1=2", "--env", "EMPTY=", "--", "env"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(
      ran.out,
      "A=1=2\nEMPTY=\nPATH=/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin\nHOME=/tmp\nLANG=C.UTF-8\n");
  EXPECT_EQ(exec({"--env", "=x", "--", "env"}).code, 2);
  EXPECT_EQ(exec({"--env", "A=1", "--env", "A=2", "--", "env"}).code, 2);
}

TEST_P(ExecTest, HasNoPrivileges) {
  for (const char* user : {"1000", "0", "65534"}) {
    const Ran ran = exec({"--user", user, "--", "cat", "/proc/self/status"});
    for (const char* line :
         {"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000",
          "CapBnd:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"}) {
      EXPECT_THAT(ran.out, HasSubstr(line)) << user << ran.err;
    }
    EXPECT_THAT(ran.out, HasSubstr(std::string("Uid:\t") + user + "\t" + user + "\t" + user + "\t" + user)) << user;
    if (by_root()) {
      EXPECT_THAT(ran.out, HasSubstr("\nGroups:\t \n"));
    }
  }
}

// A service manager may spare the launcher when memory runs out; not what it starts.
TEST_P(ExecTest, IsNotSparedWhenMemoryRunsOut) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to be spared itself";
  if (run({"sh", "-c", "echo -500 > /proc/self/oom_score_adj"}).code != 0) {
    GTEST_SKIP() << "needs the right to be spared (CAP_SYS_RESOURCE)";
  }
  std::vector<std::string> command = exec_command({"--", "cat", "/proc/self/oom_score_adj"});
  command.insert(command.begin(), {"sh", "-c", "echo -500 > /proc/self/oom_score_adj; exec \"$@\"", "sh"});
  EXPECT_EQ(run(command).out, "0\n");
}

TEST_P(ExecTest, HasItsOwnWorld) {
  const Ran ran =
      exec({"--user", "7:9", "--", "sh", "-c",
            "id -u; id -g; hostname; pwd; umask; ulimit -c; cat /proc/self/limits | grep core; echo $$; echo /*; "
            "getent passwd 7; getent hosts slice"});
  EXPECT_THAT(ran.out, StartsWith("7\n9\nslice\n/\n0077\n0\n"));
  EXPECT_THAT(ran.out, HasSubstr("Max core file size        1                    1                    bytes"));
  EXPECT_THAT(ran.out, HasSubstr("\n2\n"));  // process 2 of the slice
  EXPECT_THAT(ran.out, AllOf(HasSubstr(" /usr"), Not(HasSubstr("/home")), Not(HasSubstr("/var")),
                             Not(HasSubstr("/sys")), Not(HasSubstr("/root"))));
  EXPECT_THAT(ran.out, HasSubstr("slice:x:7:9:"));
  EXPECT_THAT(ran.out, HasSubstr("localhost slice"));
}

TEST_P(ExecTest, WrongUsageStartsNothing) {
  const std::vector<std::vector<std::string>> cases = {
      {"--user", "alice", "--", "true"},         {"--mount", "data", "--", "true"},
      {"--mount", "/srv:/proc/x", "--", "true"}, {"--workdir", "data", "--", "true"},
      {"--timeout", "0s", "--", "true"},         {"--secret", "../x=/etc/hostname", "--", "true"},
      {"--mount", "/:/host", "--", "true"},      {}};
  for (const auto& arguments : cases) {
    const Ran ran = exec(arguments);
    EXPECT_EQ(ran.code, 2) << testing::PrintToString(arguments) << ran.err;
    EXPECT_THAT(ran.err, HasSubstr("error: "));
  }
  const Ran ran = exec({"--workdir", "/data", "--", "true"});
  EXPECT_EQ(ran.code, 125);
  EXPECT_THAT(ran.err, HasSubstr("enter /data in the slice: No such file or directory"));
}

TEST_P(ExecTest, ExplainPrintsAndStartsNothing) {
  const Ran ran = exec({"--explain", "--mount", folder() + ":/data", "--", "touch", "/data/made"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  for (const char* line : {"To park a slice of its class\n", "To start it\n", "on the host:\n", "process 1 of the slice:\n", "the process that becomes the program:\n",
                           "mount /data read-only\n", "execute touch\n"}) {
    EXPECT_THAT(ran.out, HasSubstr(line));
  }
  EXPECT_EQ(ran.out.find("weaker than") == std::string::npos, by_root());
}

TEST_P(ExecTest, SecretsAreFilesInMemoryForTheUserOnly) {
  const std::string file = own_folder("vault") + "/key";
  write(file, "pass\nword", 0644);
  const Ran ran = exec({"--secret", "db.key=" + file, "--", "sh", "-c",
                        "cat /run/secrets/db.key; echo; stat -c '%a %u %g' /run/secrets/db.key; stat -f -c %T "
                        "/run/secrets; touch /run/secrets/x; env; cat /proc/self/cmdline | tr '\\0' ' '"});
  EXPECT_THAT(ran.out, StartsWith("pass\nword\n400 1000 1000\nramfs\n"));
  EXPECT_THAT(ran.err, HasSubstr("Read-only file system"));
  EXPECT_EQ(ran.out.find("word", 10), std::string::npos);  // in no variable and no argument
  EXPECT_THAT(exec({"--secret", "a=" + folder() + "/none", "--", "true"}).err, HasSubstr("while: read the secret a\n"));
}

// Whether a process's writable memory holds the text, as root sees it.
bool memory_holds(pid_t pid, const std::string& text) {
  std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
  const auto memory = os::open_file("/proc/" + std::to_string(pid) + "/mem");
  EXPECT_TRUE(maps && memory.ok());
  size_t looked_at = 0;
  for (std::string line; std::getline(maps, line);) {
    unsigned long begin = 0, end = 0;
    char mode[5] = {};
    if (std::sscanf(line.c_str(), "%lx-%lx %4s", &begin, &end, mode) != 3 || mode[1] != 'w') continue;
    std::string bytes(end - begin, '\0');
    const auto n = os::pread_full(*memory, bytes.data(), bytes.size(), begin);
    if (!n.ok()) continue;
    looked_at += *n;
    if (bytes.find(text) != std::string::npos) return true;
  }
  EXPECT_GT(looked_at, 0u);
  return false;
}

// Only the file in the slice is a copy that stays: memory of runi, of the launcher and of process 1 can be swapped.
TEST_P(ExecTest, SecretsStayInNoOtherMemory) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to look into processes";
  const std::string secret = "in-one-place-only-" + std::to_string(::getpid());
  const std::string file = write(own_folder("vault") + "/key", secret);
  // Of the plan there is a copy everywhere: that is how it is seen that something would be found.
  const std::string planned = "slice:x:1000:1000:slice:/tmp:/bin/sh";
  Running running = begin(
      // The signal goes to all of the program's group: sleep ignores it.
      {"--secret", "key=" + file, "--", "sh", "-c",
       "trap '' USR1; sleep 600 & trap 'echo again' USR1; echo up; wait; wait"});
  std::string line(3, '\0');
  ASSERT_EQ(*os::read_full(running.out, line.data(), 3), 3u);
  // Signals are passed on once runi has wiped its own copy.
  ::kill(running.child.pid(), SIGUSR1);
  ASSERT_EQ(*os::read_full(running.out, line.data(), 3), 3u);
  const pid_t launcher = child_of(running.child.pid());
  for (const auto& [name, pid] : {std::pair("runi", running.child.pid()), std::pair("the launcher", launcher),
                                  std::pair("process 1", child_of(launcher))}) {
    ASSERT_GT(pid, 0);
    EXPECT_TRUE(memory_holds(pid, planned)) << name;
    EXPECT_FALSE(memory_holds(pid, secret)) << name;
  }
}

}  // namespace
}  // namespace runink::sandbox
