// Attack programs inside real slices: none may reach anything. Outside of one, each reaches something: so it can tell.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/keyctl.h>
#include <netinet/in.h>
#include <pty.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <filesystem>

#include "platform/os/file.h"
#include "slice_in_test.h"

namespace runink::sandbox {
namespace {

using ::testing::HasSubstr;

class AttackTest : public SliceTest {
 protected:
  std::vector<std::string> in_slice(const std::string& user, std::vector<std::string> attack) const {
    attack.insert(attack.begin(), {"--user", user, "--mount", folder() + "/attacks:/attacks", "--"});
    return exec_command(attack);
  }

  // `more` are descriptors that the launcher is started with, by mistake.
  void attack(const std::string& name, const std::vector<std::string>& arguments = {},
              const std::vector<std::pair<int, int>>& more = {}) {
    std::vector<std::string> command = {folder() + "/attacks/" + name};
    command.insert(command.end(), arguments.begin(), arguments.end());
    std::vector<std::string> as_user = command;
    if (::geteuid() == 0) {
      as_user.insert(as_user.begin(), {"setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"});
    }
    const Ran free = run(as_user, "", more);
    EXPECT_EQ(free.code, 1) << "outside of a slice it must reach something\n" << free.out << free.err;
    command[0] = "/attacks/" + name;
    for (const char* user : {"1000", "0"}) {
      const Ran held = run(in_slice(user, command), "", more);
      EXPECT_EQ(held.code, 0) << "as user " << user << ":\n" << held.out << held.err;
    }
  }
};
INSTANTIATE_TEST_SUITE_P(By, AttackTest, testing::Values(Starter::kRoot, Starter::kUser), starter_name);

TEST_P(AttackTest, Descriptors) {
  const os::Fd leaked(::open("/etc", O_RDONLY | O_DIRECTORY | O_CLOEXEC), "/etc");
  attack("attack_descriptors", {}, {{leaked.get(), 9}, {leaked.get(), 700}});
}

// What is opened while a stream is closed gets its number, and must not be taken for it.
TEST_P(AttackTest, ClosedStreams) {
  std::vector<std::string> command = in_slice("1000", {"/attacks/attack_descriptors"});
  command.insert(command.begin(), {"sh", "-c", "exec \"$@\" 0<&- 1>&- 2>&-", "sh"});
  EXPECT_EQ(run(command).code, 0);
}

TEST_P(AttackTest, AFolderIsNoStream) {
  std::vector<std::string> command = in_slice("1000", {"true"});
  command.insert(command.begin(), {"sh", "-c", "exec \"$@\" < /etc", "sh"});
  const Ran ran = run(command);
  EXPECT_EQ(ran.code, 125);
  EXPECT_THAT(ran.err, HasSubstr("(descriptor 0) is a folder"));
}

TEST_P(AttackTest, FilesOfTheHost) { attack("attack_files", {write(folder() + "/planted", "of the host\n")}); }

TEST_P(AttackTest, Namespaces) { attack("attack_namespaces"); }

TEST_P(AttackTest, SystemCalls) { attack("attack_calls"); }

TEST_P(AttackTest, ControlGroups) { attack("attack_cgroups"); }

TEST_P(AttackTest, CoreDumps) { attack("attack_core"); }

// The caller's session has a key, which a process that it starts would inherit.
TEST_P(AttackTest, Keys) {
  const std::string name = "runink-test-" + std::to_string(::getpid());
  if (::syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, nullptr) < 0) GTEST_SKIP() << "this kernel has no keys";
  const long key = ::syscall(SYS_add_key, "user", name.c_str(), "secret", 6, KEY_SPEC_SESSION_KEYRING);
  ASSERT_GT(key, 0);
  ::syscall(SYS_keyctl, KEYCTL_SETPERM, key, 0x3f3f3f3f);
  attack("attack_keys", {name});
}

// What the attack was started from is a file that it could write if it were not for the mount.
TEST_P(AttackTest, ItsOwnProgram) {
  const std::string own = own_folder("own");
  const std::string program = own + "/attack_overwrite";
  std::filesystem::copy_file(folder() + "/attacks/attack_overwrite", program);
  std::filesystem::permissions(own, std::filesystem::perms::all);
  std::filesystem::permissions(program, std::filesystem::perms::all);
  const Ran free = outside({program});
  EXPECT_EQ(free.code, 1) << free.out << free.err;
  const std::string before = *os::read_file(folder() + "/runi");
  for (const char* user : {"1000", "0"}) {
    const Ran held = exec({"--user", user, "--mount", own + ":/own", "--", "/own/attack_overwrite"});
    if (held.err.find("cannot map users (id-mapped mounts)") != std::string::npos) GTEST_SKIP() << held.err;
    EXPECT_EQ(held.code, 0) << "as user " << user << ":\n" << held.out << held.err;
    EXPECT_THAT(held.out, HasSubstr("tried everything"));
  }
  EXPECT_TRUE(before == *os::read_file(folder() + "/runi"));
}

// A set-user-id program on a mount raises nobody.
TEST_P(AttackTest, SetUserId) {
  const std::string own = own_folder("own");
  std::filesystem::copy_file("/usr/bin/id", own + "/id");
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown((own + "/id").c_str(), 12345, 12345), 0);
  }
  ASSERT_EQ(::chmod((own + "/id").c_str(), 06755), 0);
  if (::geteuid() == 0) {
    const Ran free = run({"setpriv", "--reuid=2000", "--regid=2000", "--clear-groups", own + "/id"});
    EXPECT_THAT(free.out, HasSubstr("euid=12345")) << "outside of a slice it raises";
  }
  const Ran ran = exec({"--user", "2000", "--mount", own + ":/own", "--", "/own/id"});
  if (ran.err.find("cannot map users (id-mapped mounts)") != std::string::npos) GTEST_SKIP() << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("uid=2000"));
  EXPECT_THAT(ran.out, testing::Not(HasSubstr("euid="))) << "nor another effective user";
}

// A regular file in the place of /dev/null (CVE-2025-31133), and a device that is another one.
TEST_P(AttackTest, DevicesThatAreNone) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to mount something";
  for (const std::string& fake : {write(folder() + "/fake", ""), std::string("/dev/zero")}) {
    std::vector<std::string> command = exec_command({"--", "true"});
    command.insert(command.begin(),
                   {"unshare", "-m", "sh", "-c", "mount --bind " + fake + " /dev/null && exec \"$@\"", "sh"});
    const Ran ran = run(command);
    EXPECT_EQ(ran.code, 125) << fake << ": " << ran.err;
    EXPECT_THAT(ran.err, HasSubstr("/dev/null")) << fake;
  }
}

TEST_P(AttackTest, Processes) { attack("attack_processes", {std::to_string(::getpid())}); }

TEST_P(AttackTest, Networks) {
  const os::Fd tcp(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "tcp");
  sockaddr_in at = {};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof at;
  ASSERT_EQ(::bind(tcp.get(), reinterpret_cast<sockaddr*>(&at), sizeof at), 0);
  ASSERT_EQ(::listen(tcp.get(), 16), 0);
  ::getsockname(tcp.get(), reinterpret_cast<sockaddr*>(&at), &length);
  const std::string name = "runink-test-" + std::to_string(::getpid()) + (by_root() ? "-r" : "-u");
  const os::Fd local(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "abstract");
  sockaddr_un path = {};
  path.sun_family = AF_UNIX;
  ::memcpy(path.sun_path + 1, name.data(), name.size());
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  ASSERT_EQ(::bind(local.get(), reinterpret_cast<sockaddr*>(&path), size), 0);
  ASSERT_EQ(::listen(local.get(), 16), 0);
  attack("attack_network", {std::to_string(ntohs(at.sin_port)), name});
}

// Two slices of one caller: they share no abstract names.
TEST_P(AttackTest, AnotherSlice) {
  const std::string name = "runink-test-slice-" + std::to_string(::getpid()) + (by_root() ? "-r" : "-u");
  Running listener =
      begin({"--mount", folder() + "/attacks:/attacks", "--", "/attacks/attack_network", "listen", name});
  std::string said(10, '\0');
  ASSERT_TRUE(os::read_full(listener.out, said.data(), said.size()).ok());
  ASSERT_EQ(said, "listening\n");
  const Ran held = run(in_slice("1000", {"/attacks/attack_network", "0", name}));
  EXPECT_EQ(held.code, 0) << held.out << held.err;
  listener.in.reset();
  const auto ended = listener.child.wait(60'000'000);
  EXPECT_TRUE(ended.ok() && *ended && (*ended)->success()) << "it listened until then";
}

// The caller's terminal is descriptor 0, and the controlling terminal of the caller's session.
TEST_P(AttackTest, Terminal) {
  int master = -1, slave = -1;
  ASSERT_EQ(::openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
  const os::Fd keep(master, "pty"), terminal(slave, "tty");
  ASSERT_EQ(::fchmod(slave, 0666), 0);
  const auto attack_from = [&](std::vector<std::string> command) {
    const os::Fd out = std::move(*os::open_file(folder() + "/terminal", os::OpenMode::kTruncate));
    command.insert(command.begin(), {"setsid", "--ctty", "--wait"});
    os::SpawnOptions options;
    options.argv = command;
    options.standard_input = slave;
    options.standard_output = out.get();
    auto child = os::Child::spawn(options);
    EXPECT_TRUE(child.ok()) << child.status().to_string();
    if (!child.ok()) return -1;
    const auto ended = child->wait(60'000'000);
    return ended.ok() && *ended && (*ended)->exited ? (*ended)->code : -1;
  };
  const std::string attack = folder() + "/attacks/attack_terminal";
  std::vector<std::string> free = {attack};
  if (::geteuid() == 0) free = {"setpriv", "--reuid=12345", "--regid=12345", "--clear-groups", attack};
  EXPECT_EQ(attack_from(free), 1) << "outside of a slice it must reach something";
  for (const char* user : {"1000", "0"}) {
    EXPECT_EQ(attack_from(in_slice(user, {"/attacks/attack_terminal"})), 0) << user << ":\n"
                                                                            << *os::read_file(folder() + "/terminal");
  }
}

// Ids: never root's of the host, never another slice's (L12).
class IdsTest : public SliceTest {};  // an ordinary user has only one id to give
INSTANTIATE_TEST_SUITE_P(By, IdsTest, testing::Values(Starter::kRoot), starter_name);

TEST_P(IdsTest, AreItsOwn) {
  Running first = begin({"--", "sh", "-c", "cat /proc/self/uid_map /proc/self/gid_map; echo; cat > /dev/null"});
  std::string text(400, '\0');
  size_t have = 0;
  while (text.find("\n\n") == std::string::npos) {
    const auto n = os::read_some(first.out, text.data() + have, text.size() - have);
    ASSERT_TRUE(n.ok() && *n > 0);
    have += *n;
  }
  const Ran second = exec({"--", "cat", "/proc/self/uid_map", "/proc/self/gid_map"});
  const auto firsts = [](const std::string& maps) {
    unsigned long inside[2] = {1, 1}, outside[2] = {0, 0}, count[2] = {0, 0};
    EXPECT_EQ(::sscanf(maps.c_str(), "%lu %lu %lu %lu %lu %lu", &inside[0], &outside[0], &count[0], &inside[1],
                       &outside[1], &count[1]),
              6);
    for (int i : {0, 1}) {
      EXPECT_EQ(inside[i], 0u);
      EXPECT_EQ(count[i], 65536u);
      EXPECT_GE(outside[i], 0x7000'0000u);
    }
    EXPECT_EQ(outside[0], outside[1]);
    return outside[0];
  };
  EXPECT_NE(firsts(text), firsts(second.out));
}

}  // namespace
}  // namespace runink::sandbox
