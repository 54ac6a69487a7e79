#include "platform/os/signals.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "platform/os/terminal.h"

namespace runink::os {
namespace {

// In children of their own: signal handlers are the whole process's.
int exit_code_of(void (*body)()) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    body();
    ::_exit(99);
  }
  int status = 0;
  EXPECT_EQ(::waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

TEST(SignalsTest, FirstRequestsTheStopSecondEnds) {
  EXPECT_EQ(exit_code_of([] {
              static StopFlag flag;
              install_stop_signals(&flag);
              if (flag.requested() || stop_signal() != 0) ::_exit(1);
              ::raise(SIGTERM);
              if (!flag.requested() || stop_signal() != SIGTERM) ::_exit(2);
              ::_exit(0);
            }),
            0);
  EXPECT_EQ(exit_code_of([] {
              static StopFlag flag;
              install_stop_signals(&flag);
              ::raise(SIGINT);
              ::raise(SIGINT);
            }),
            130);
}

TEST(SignalsTest, AClosedTerminalAsksToStop) {
  EXPECT_EQ(exit_code_of([] {
              static StopFlag flag;
              install_stop_signals(&flag);
              ::raise(SIGHUP);
              ::raise(SIGHUP);  // from the shell, after the kernel's
              ::_exit(flag.requested() && stop_signal() == SIGHUP ? 7 : 1);
            }),
            7);
  EXPECT_EQ(exit_code_of([] {
              static StopFlag flag;
              ::signal(SIGHUP, SIG_IGN);  // nohup
              install_stop_signals(&flag);
              ::raise(SIGHUP);
              ::_exit(flag.requested() ? 1 : 7);
            }),
            7);
}

TEST(SignalsTest, BrokenPipesAreErrorsOfWrite) {
  EXPECT_EQ(exit_code_of([] {
              static StopFlag flag;
              install_stop_signals(&flag);
              int ends[2];
              if (::pipe(ends) != 0) ::_exit(1);
              ::close(ends[0]);
              ::_exit(::write(ends[1], "x", 1) < 0 ? 0 : 2);
            }),
            0);
}

TEST(TerminalTest, APipeIsNone) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  EXPECT_FALSE(is_terminal(ends[0]));
  EXPECT_FALSE(colour_wanted(ends[0]));
  ::unsetenv("COLUMNS");
  EXPECT_EQ(terminal_width(ends[0], 77), 77);
  ::setenv("COLUMNS", "123", 1);
  EXPECT_EQ(terminal_width(ends[0], 77), 123);
  ::unsetenv("COLUMNS");
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace runink::os
