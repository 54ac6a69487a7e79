// `runi exec -t`: a terminal of the slice's own, typed into by somebody at another.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "slice_in_test.h"

namespace runink::sandbox {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kCtrlC = 3, kCtrlD = 4, kCtrlZ = 26;

// Somebody at a terminal, in a session whose foreground is `runi exec`.
class Typist {
 public:
  Typist(std::vector<std::string> command, unsigned short rows, unsigned short columns) {
    int master = -1, slave = -1;
    const struct winsize size = {rows, columns, 0, 0};
    EXPECT_EQ(::openpty(&master, &slave, nullptr, nullptr, &size), 0);
    master_ = os::Fd(master, "pty");
    slave_ = os::Fd(slave, "tty");
    EXPECT_EQ(::tcgetattr(slave, &before_), 0);
    command.insert(command.begin(), {"setsid", "--ctty", "--wait"});
    os::SpawnOptions options;
    options.argv = std::move(command);
    options.standard_input = options.standard_output = options.standard_error = slave;
    auto child = os::Child::spawn(options);
    EXPECT_TRUE(child.ok()) << child.status().to_string();
    if (child.ok()) child_ = std::move(*child);
  }

  void type(const std::string& text) { EXPECT_TRUE(os::write_all(master_, text).ok()); }
  void type(char letter) { type(std::string(1, letter)); }

  // Until that is on the screen, behind what was waited for before. False after a minute without.
  bool sees(const std::string& text) {
    const int64_t deadline = os::monotonic_nanos() + 60'000'000'000;
    for (;;) {
      const size_t at = screen_.find(text, seen_);
      if (at != std::string::npos) {
        seen_ = at + text.size();
        return true;
      }
      const bool over = !child_.running();
      (void)child_.wait(0);
      if (os::monotonic_nanos() > deadline || (!read_more(1000) && over)) {
        ADD_FAILURE() << "no \"" << text << "\" in:\n" << screen_.substr(seen_);
        return false;
      }
    }
  }

  // The exit code, when it has ended.
  int ends() {
    int64_t deadline = os::monotonic_nanos() + 60'000'000'000;
    while (child_.running() && os::monotonic_nanos() < deadline) {
      (void)read_more(10);
      (void)child_.wait(0);
    }
    while (read_more(0)) {
    }
    const auto ended = child_.wait(0);
    EXPECT_TRUE(ended.ok() && *ended) << "still running after a minute";
    return ended.ok() && *ended && (*ended)->exited ? (*ended)->code : -1;
  }

  void resize(unsigned short rows, unsigned short columns) {
    const struct winsize size = {rows, columns, 0, 0};
    EXPECT_EQ(::ioctl(master_.get(), TIOCSWINSZ, &size), 0);
  }
  bool is_raw() const {
    struct termios now = {};
    EXPECT_EQ(::tcgetattr(slave_.get(), &now), 0);
    return (now.c_lflag & (ICANON | ECHO | ISIG)) == 0;
  }
  bool is_as_before() const {
    struct termios now = {};
    EXPECT_EQ(::tcgetattr(slave_.get(), &now), 0);
    return now.c_iflag == before_.c_iflag && now.c_oflag == before_.c_oflag && now.c_cflag == before_.c_cflag &&
           now.c_lflag == before_.c_lflag && std::memcmp(now.c_cc, before_.c_cc, sizeof now.c_cc) == 0;
  }
  dev_t device() const {
    struct stat info = {};
    EXPECT_EQ(::fstat(slave_.get(), &info), 0);
    return info.st_dev;
  }
  const std::string& screen() const { return screen_; }

 private:
  bool read_more(int millis) {
    struct pollfd waiting = {master_.get(), POLLIN, 0};
    if (::poll(&waiting, 1, millis) <= 0) return false;
    char bytes[4096];
    const auto n = os::read_some(master_, bytes, sizeof bytes);
    if (!n.ok() || *n == 0) return false;
    screen_.append(bytes, *n);
    return true;
  }

  os::Fd master_, slave_;
  os::Child child_;
  struct termios before_ = {};
  std::string screen_;
  size_t seen_ = 0;
};

class TerminalTest : public SliceTest {
 protected:
  Typist start(std::vector<std::string> arguments, unsigned short rows = 30, unsigned short columns = 100) {
    arguments.insert(arguments.begin(), "-t");
    return Typist(exec_command(std::move(arguments)), rows, columns);
  }
};
INSTANTIATE_TEST_SUITE_P(By, TerminalTest, testing::Values(Starter::kRoot, Starter::kUser), starter_name);

TEST_P(TerminalTest, IsTheSlicesOwn) {
  Typist at = start({"--", "sh", "-c",
                     "tty; stty size; ls /dev/pts; test -t 1 && test -t 2 && echo all; echo to-tty > /dev/tty; "
                     "stat -L -c dev=%d /proc/self/fd/0; stat -c '%a %u' /dev/pts/0"});
  for (const char* line : {"/dev/pts/0\r\n", "30 100\r\n", "0  ptmx\r\n", "all\r\n", "to-tty\r\n", "dev="}) {
    ASSERT_TRUE(at.sees(line));
  }
  EXPECT_EQ(at.ends(), 0);
  EXPECT_THAT(at.screen(), Not(HasSubstr("dev=" + std::to_string(at.device()) + "\r\n")));
  EXPECT_THAT(at.screen(), HasSubstr("600 1000\r\n"));
}

TEST_P(TerminalTest, PassesTheStatusThrough) {
  Typist at = start({"--", "sh", "-c", "exit 7"});
  EXPECT_EQ(at.ends(), 7);
  Typist killed = start({"--", "sh", "-c", "kill -KILL $$"});
  EXPECT_EQ(killed.ends(), 128 + SIGKILL);
  EXPECT_TRUE(killed.is_as_before());
}

TEST_P(TerminalTest, HasJobControl) {
  Typist at = start({"--env", "PS1=ready> ", "--", "bash", "--norc", "--noprofile", "-i"});
  ASSERT_TRUE(at.sees("ready> "));
  // What it numbers it has read, so the terminal is the job's.
  at.type("cat -n\n");
  at.type("up\n");
  ASSERT_TRUE(at.sees("1\tup\r\n"));
  at.type(kCtrlZ);
  ASSERT_TRUE(at.sees("Stopped"));
  ASSERT_TRUE(at.sees("ready> "));
  at.type("fg\n");
  at.type("on\n");
  ASSERT_TRUE(at.sees("2\ton\r\n"));
  at.type(kCtrlC);
  ASSERT_TRUE(at.sees("ready> "));
  at.type("exit 9\n");
  EXPECT_EQ(at.ends(), 9);
  EXPECT_THAT(at.screen(), Not(HasSubstr("no job control")));
}

TEST_P(TerminalTest, CtrlCInterruptsTheCommand) {
  Typist at = start({"--", "sh", "-c", "trap 'echo caught; exit 3' INT; echo up; while :; do sleep 0.01; done"});
  ASSERT_TRUE(at.sees("up\r\n"));
  EXPECT_TRUE(at.is_raw());
  at.type(kCtrlC);
  EXPECT_TRUE(at.sees("caught\r\n"));
  EXPECT_EQ(at.ends(), 3);
  EXPECT_TRUE(at.is_as_before());
}

// A command that leads its session has no shell that would let it go on: it is not stopped at all.
TEST_P(TerminalTest, CtrlZDoesNotStopTheOnlyProcess) {
  Typist at = start({"--", "cat"});
  at.type("one\n");
  ASSERT_TRUE(at.sees("one\r\none\r\n"));
  at.type(kCtrlZ);
  at.type("two\n");
  ASSERT_TRUE(at.sees("two\r\n"));
  ASSERT_TRUE(at.sees("two\r\n"));
  at.type(kCtrlD);
  EXPECT_EQ(at.ends(), 0);
}

TEST_P(TerminalTest, IsAsLargeAsTheCallers) {
  Typist at = start({"--", "sh", "-c", "trap 'stty size' WINCH; stty size; while :; do sleep 0.01; done"}, 40, 90);
  ASSERT_TRUE(at.sees("40 90\r\n"));
  at.resize(50, 120);
  EXPECT_TRUE(at.sees("50 120\r\n"));
  at.type(kCtrlC);
  EXPECT_EQ(at.ends(), 128 + SIGINT);
}

TEST_P(TerminalTest, OfTheCallerIsRestoredHoweverItEnds) {
  Typist at =
      start({"--timeout", "300ms", "--grace", "1ms", "--", "sh", "-c", "trap '' TERM HUP; stty raw; sleep 600"});
  EXPECT_EQ(at.ends(), 124);
  EXPECT_TRUE(at.is_as_before());
}

TEST_P(TerminalTest, CannotBeTypedIntoFromInside) {
  Typist at = start({"--", "python3", "-c",
                     "import fcntl, termios\n"
                     "try: fcntl.ioctl(0, termios.TIOCSTI, b'x'); print('typed')\n"
                     "except PermissionError: print('refused')\n"});
  EXPECT_TRUE(at.sees("refused"));
  EXPECT_EQ(at.ends(), 0);
  EXPECT_THAT(at.screen(), Not(HasSubstr("typed")));
}

TEST_P(TerminalTest, GivesOutAllThatIsPrinted) {
  Typist at = start({"--", "seq", "1", "50000"});
  EXPECT_EQ(at.ends(), 0);
  EXPECT_THAT(at.screen(), HasSubstr("49999\r\n50000\r\n"));
  EXPECT_EQ(std::count(at.screen().begin(), at.screen().end(), '\n'), 50000);
}

// What comes from a file is typed, and so is its end.
TEST_P(TerminalTest, OfACallerWithoutOne) {
  for (const char* input : {"one\ntwo\n", "one\ntwo"}) {
    const Ran ran = exec({"-t", "--", "sh", "-c", "stty -echo; stty size; cat; echo end"}, input);
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_THAT(ran.out, HasSubstr("24 80\r\n"));
    EXPECT_THAT(ran.out, HasSubstr("two"));
    EXPECT_THAT(ran.out, HasSubstr("end\r\n"));
  }
}

// Closed on all sides, and open again: nothing of it may keep the caller busy, or end the slice.
TEST_P(TerminalTest, MayBeLeftAlone) {
  Typist at = start({"--", "sh", "-c", "exec < /dev/null > /dev/null 2>&1; sleep 0.3; echo back > /dev/tty"});
  EXPECT_TRUE(at.sees("back\r\n"));
  EXPECT_EQ(at.ends(), 0);
}

}  // namespace
}  // namespace runink::sandbox
