#include "platform/os/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/os/file.h"
#include "platform/os/temp.h"

namespace runink::os {
namespace {

using ::testing::HasSubstr;

std::string read_all(const Fd& fd) {
  std::string text;
  char buffer[4096];
  for (;;) {
    const auto n = read_some(fd, buffer, sizeof buffer);
    if (!n.ok() || *n == 0) return text;
    text.append(buffer, *n);
  }
}

// A shell script; reads fd 0, writes fd 1.
SpawnOptions shell(const std::string& script) {
  SpawnOptions options;
  options.argv = {"sh", "-c", script};
  return options;
}

TEST(ProcessTest, ExitCodeAndOutput) {
  Pipe out = std::move(make_pipe("output")).value();
  SpawnOptions options = shell("echo hello; exit 3");
  options.standard_output = out.write.get();
  Child child = std::move(Child::spawn(options)).value();
  out.write.reset();
  EXPECT_EQ(read_all(out.read), "hello\n");
  const ExitStatus status = *std::move(child.wait()).value();
  EXPECT_EQ(status.to_string(), "exit code 3");
  EXPECT_FALSE(status.success());
  EXPECT_EQ(std::move(child.wait()).value()->code, 3);  // asked again
  EXPECT_GT(status.peak_rss_bytes, 0u);
}

TEST(ProcessTest, EndBySignal) {
  Child child = std::move(Child::spawn(shell("kill -SEGV $$"))).value();
  EXPECT_THAT(std::move(child.wait()).value()->to_string(), HasSubstr("killed by signal 11 (SIGSEGV)"));
}

TEST(ProcessTest, FailureToStartIsReportedWhole) {
  SpawnOptions options;
  options.argv = {"no-such-program-here"};
  EXPECT_EQ(Child::spawn(options).status().code(), Code::kNotFound);
  options.argv = {"./no/such/program"};
  EXPECT_EQ(Child::spawn(options).status().code(), Code::kNotFound);
  options.argv = {};
  EXPECT_EQ(Child::spawn(options).status().code(), Code::kInvalidArgument);

  const TempFolder folder = std::move(TempFolder::create("")).value();
  ASSERT_TRUE(write_file_atomic(folder.file("plain"), "x", 0644).ok());
  options.argv = {folder.file("plain")};
  EXPECT_EQ(Child::spawn(options).status().code(), Code::kPermissionDenied);
  ASSERT_TRUE(write_file_atomic(folder.file("rubbish"), "\x01\x02\x03", 0755).ok());
  options.argv = {folder.file("rubbish")};
  EXPECT_THAT(Child::spawn(options).status().hint(), HasSubstr("#!"));
  ASSERT_TRUE(write_file_atomic(folder.file("script"), "#!/no/such/interpreter\n", 0755).ok());
  options.argv = {folder.file("script")};
  EXPECT_THAT(Child::spawn(options).status().hint(), HasSubstr("interpreter"));
  options = shell("true");
  options.working_directory = folder.file("none");
  EXPECT_THAT(Child::spawn(options).status().message(), HasSubstr("working directory"));
}

TEST(ProcessTest, EnvironmentFolderAndExtraDescriptors) {
  const TempFolder folder = std::move(TempFolder::create("")).value();
  Pipe out = std::move(make_pipe("output")).value();
  Pipe side = std::move(make_pipe("side channel")).value();
  SpawnOptions options = shell("pwd; echo $COLOUR; echo side >&3; ls /proc/self/fd | wc -l; cat");
  options.environment = std::vector<std::string>{"PATH=/usr/bin:/bin", "COLOUR=blue"};
  options.working_directory = folder.path();
  options.standard_output = out.write.get();
  options.descriptors = {{side.write.get(), 3}};
  const Fd leak(::dup(0), "not close-on-exec");
  Child child = std::move(Child::spawn(options)).value();
  out.write.reset();
  side.write.reset();
  // 0 to 3, and the one that ls opens itself; the pipe's ends and `leak` are not among them.
  EXPECT_EQ(read_all(out.read), folder.path() + "\nblue\n5\n");
  EXPECT_EQ(read_all(side.read), "side\n");
  EXPECT_TRUE(std::move(child.wait()).value()->success());
}

TEST(ProcessTest, DescriptorsMayBeCrossed) {
  // The parent's numbers are the child's other numbers: a plain dup2 in order would overwrite one.
  Pipe a = std::move(make_pipe("a")).value(), b = std::move(make_pipe("b")).value();
  SpawnOptions options = shell(fmt::format("echo to-a >&{}; echo to-b >&{}", b.write.get(), a.write.get()));
  options.descriptors = {{a.write.get(), b.write.get()}, {b.write.get(), a.write.get()}};
  Child child = std::move(Child::spawn(options)).value();
  a.write.reset();
  b.write.reset();
  EXPECT_EQ(read_all(a.read), "to-a\n");
  EXPECT_EQ(read_all(b.read), "to-b\n");
  EXPECT_TRUE(std::move(child.wait()).value()->success());
}

TEST(ProcessTest, WaitHasALimitAndTerminateEnds) {
  Child child = std::move(Child::spawn(shell("exec sleep 1000"))).value();
  EXPECT_FALSE(std::move(child.wait(0)).value().has_value());
  EXPECT_FALSE(std::move(child.wait(2000)).value().has_value());
  EXPECT_TRUE(child.running());
  const ExitStatus status = std::move(child.terminate(10'000'000)).value();
  EXPECT_EQ(status.to_string(), "killed by signal 15 (SIGTERM)");
  EXPECT_FALSE(child.running());
}

TEST(ProcessTest, OneThatIgnoresTerminationIsKilled) {
  Pipe out = std::move(make_pipe("output")).value();
  SpawnOptions options = shell("trap '' TERM; echo ready; while :; do sleep 1000; done");
  options.standard_output = out.write.get();
  Child child = std::move(Child::spawn(options)).value();
  out.write.reset();
  char byte;
  ASSERT_EQ(*read_some(out.read, &byte, 1), 1u);
  EXPECT_EQ(std::move(child.terminate(1000)).value().signal, SIGKILL);
}

// Reads the pid that a script printed.
pid_t read_pid(const Fd& fd) {
  std::string text;
  char byte;
  while (*read_some(fd, &byte, 1) == 1 && byte != '\n') text += byte;
  return static_cast<pid_t>(std::stol(text));
}

TEST(ProcessTest, KillTreeFindsThoseThatLeftTheGroup) {
  ASSERT_TRUE(become_subreaper().ok());
  Pipe out = std::move(make_pipe("output")).value();
  // A grandchild in a session of its own whose parent (the subshell) has gone: neither group nor parent tell of it.
  SpawnOptions options = shell("(setsid sh -c 'echo $$; exec sleep 1000' &); exit 0");
  options.standard_output = out.write.get();
  Child child = std::move(Child::spawn(options)).value();
  out.write.reset();
  const pid_t orphan = read_pid(out.read);
  EXPECT_TRUE(std::move(child.wait()).value()->success());
  ASSERT_EQ(::kill(orphan, 0), 0);
  EXPECT_THAT(child.descendants(), ::testing::ElementsAre(orphan));
  EXPECT_EQ(*child.kill_tree(), 1);
  EXPECT_NE(::kill(orphan, 0), 0);
  EXPECT_EQ(std::move(child.wait()).value()->code, 0);  // still told after the tree is gone
  EXPECT_EQ(*child.kill_tree(), 0);
}

TEST(ProcessTest, DestructorLeavesNoChild) {
  ASSERT_TRUE(become_subreaper().ok());
  Pipe out = std::move(make_pipe("output")).value();
  pid_t grandchild = 0;
  {
    SpawnOptions options = shell("sh -c 'echo $$; exec sleep 1000' & wait");
    options.standard_output = out.write.get();
    Child child = std::move(Child::spawn(options)).value();
    out.write.reset();
    grandchild = read_pid(out.read);
  }
  EXPECT_NE(::kill(grandchild, 0), 0);
}

TEST(ProcessTest, ChildEndsWithItsParent) {
  Pipe out = std::move(make_pipe("output")).value();
  const pid_t parent = ::fork();
  if (parent == 0) {
    SpawnOptions options = shell("echo $$; exec sleep 1000");
    options.standard_output = out.write.get();
    auto child = Child::spawn(options);
    char byte;
    (void)child;
    // Ends without destructors once the child has spoken to the test, which then kills this process.
    out.write.reset();
    for (;;) (void)::read(-1, &byte, 1), ::pause();
  }
  out.write.reset();
  const pid_t child = read_pid(out.read);
  ASSERT_EQ(::kill(parent, SIGKILL), 0);
  ASSERT_EQ(::waitpid(parent, nullptr, 0), parent);
  // Its end of the pipe closes when the kernel has ended it.
  EXPECT_EQ(read_all(out.read), "");
  (void)child;
}

TEST(ProcessTest, IdentityTellsAReusedPid) {
  const ProcessIdentity self = current_process();
  EXPECT_EQ(self.pid, ::getpid());
  EXPECT_TRUE(is_alive(self));
  ProcessIdentity earlier = self;
  earlier.start_ticks -= 1;
  EXPECT_FALSE(is_alive(earlier));
  ProcessIdentity before_reboot = self;
  before_reboot.boot_id = "00000000-0000-0000-0000-000000000000";
  EXPECT_FALSE(is_alive(before_reboot));
  EXPECT_FALSE(is_alive({}));
  const pid_t zombie = ::fork();
  if (zombie == 0) ::_exit(0);
  siginfo_t info;
  ASSERT_EQ(::waitid(P_PID, static_cast<id_t>(zombie), &info, WEXITED | WNOWAIT), 0);
  EXPECT_FALSE(is_alive({zombie, 0, self.boot_id}));
  ASSERT_EQ(::waitpid(zombie, nullptr, 0), zombie);
  EXPECT_FALSE(is_alive({zombie, 0, self.boot_id}));
}

TEST(ProcessTest, SignalNames) {
  EXPECT_EQ(signal_name(9), "SIGKILL");
  EXPECT_EQ(signal_name(99), "signal 99");
}

}  // namespace
}  // namespace runink::os
