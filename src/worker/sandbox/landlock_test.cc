#include "worker/sandbox/landlock.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstring>

#include "platform/os/file.h"
#include "platform/os/temp.h"
#include "worker/sandbox/filtered_in_test.h"

namespace runink::sandbox {
namespace {

using testing::ChildEnd;
using testing::in_child;

#define NEED_ABI(wanted) \
  if (landlock_abi() < wanted) GTEST_SKIP() << "Landlock on this kernel: " << describe_landlock(landlock_abi())

// In the child: fails unless the expression ends as said (0, or the errno of its failure).
#define EXPECT_ENDS(expected, expression)                                                                   \
  do {                                                                                                      \
    errno = 0;                                                                                              \
    long result = (expression);                                                                             \
    int ended = result < 0 ? errno : 0;                                                                     \
    if (ended != (expected)) {                                                                              \
      dprintf(STDOUT_FILENO, "line %d: %s: %s\n", __LINE__, #expression, ended ? strerror(ended) : "done"); \
      ++faults;                                                                                             \
    }                                                                                                       \
  } while (false)

void expect_clean(const ChildEnd& end) {
  EXPECT_TRUE(end.exited && end.code == 0) << "code " << end.code << " signal " << end.signal << ": " << end.output;
}

class Landlock : public ::testing::Test {
 protected:
  void SetUp() override {
    Result<os::TempFolder> made = os::TempFolder::create("");
    ASSERT_TRUE(made.ok());
    folder_ = std::move(*made);
    for (const char* name : {"readable", "writable", "hidden"}) {
      ASSERT_EQ(::mkdir(at(name).c_str(), 0755), 0);
      ASSERT_TRUE(os::write_file_atomic(at(name) + "/file", "text").ok());
    }
    ASSERT_TRUE(os::write_file_atomic(at("single"), "text").ok());
  }

  std::string at(const std::string& name) const { return folder_.file(name); }

  // Grants what slices get of their root, and shuts the door.
  int restrict(bool tcp = false, uint16_t connect_port = 0) const {
    int abi = landlock_abi();
    int ruleset = make_ruleset(abi, tcp);
    if (ruleset < 0) return -ruleset;
    auto grant = [&](const std::string& path, const PathGrant& what, bool folder) {
      int fd = ::open(path.c_str(), O_PATH | O_CLOEXEC);
      int refused = fd < 0 ? errno : allow_path(ruleset, fd, access_bits(what, folder, abi));
      ::close(fd);
      return refused;
    };
    int refused = grant(at("readable"), {}, true);
    if (refused == 0) refused = grant(at("writable"), {.write = true}, true);
    if (refused == 0) refused = grant(at("single"), {.write = true, .device = true}, false);
    if (refused == 0 && connect_port != 0) refused = allow_tcp(ruleset, connect_port, false, true);
    if (refused == 0) refused = restrict_self(ruleset);
    ::close(ruleset);
    return refused;
  }

  static long open_and_close(const std::string& path, int how) {
    int fd = ::open(path.c_str(), how | O_CLOEXEC, 0600);
    int failed = errno;
    if (fd >= 0) ::close(fd);
    errno = failed;
    return fd;
  }

  os::TempFolder folder_;
};

TEST_F(Landlock, files_are_as_granted) {
  NEED_ABI(1);
  expect_clean(in_child([&] {
    int faults = 0;
    EXPECT_ENDS(0, -(errno = restrict()));
    EXPECT_ENDS(0, open_and_close(at("readable/file"), O_RDONLY));
    EXPECT_ENDS(EACCES, open_and_close(at("readable/file"), O_WRONLY));
    EXPECT_ENDS(EACCES, open_and_close(at("readable/new"), O_WRONLY | O_CREAT));
    EXPECT_ENDS(EACCES, ::unlink(at("readable/file").c_str()));
    EXPECT_ENDS(0, open_and_close(at("writable/new"), O_WRONLY | O_CREAT));
    EXPECT_ENDS(0, open_and_close(at("writable/file"), O_RDWR | O_TRUNC));
    EXPECT_ENDS(0, ::mkdir(at("writable/folder").c_str(), 0700));
    EXPECT_ENDS(0, ::symlink("../hidden/file", at("writable/link").c_str()));
    EXPECT_ENDS(EACCES, open_and_close(at("writable/link"), O_RDONLY));
    EXPECT_ENDS(EACCES, open_and_close(at("writable/../hidden/file"), O_RDONLY));
    EXPECT_ENDS(EACCES, open_and_close(at("hidden/file"), O_RDONLY));
    EXPECT_ENDS(EACCES, open_and_close(at("hidden"), O_RDONLY | O_DIRECTORY));
    EXPECT_ENDS(0, open_and_close(at("single"), O_RDWR));
    EXPECT_ENDS(EACCES, ::execl("/bin/true", "true", nullptr));
    return faults;
  }));
}

TEST_F(Landlock, moving_a_file_gives_no_new_rights) {
  NEED_ABI(2);
  expect_clean(in_child([&] {
    int faults = 0;
    EXPECT_ENDS(0, -(errno = restrict()));
    EXPECT_ENDS(0, ::mkdir(at("writable/folder").c_str(), 0700));
    EXPECT_ENDS(0, ::rename(at("writable/file").c_str(), at("writable/folder/file").c_str()));
    EXPECT_ENDS(EACCES, ::rename(at("readable/file").c_str(), at("writable/stolen").c_str()));
    // The kernel calls what may not be moved out of its folder another device.
    EXPECT_ENDS(EXDEV, ::link(at("hidden/file").c_str(), at("writable/hard").c_str()));
    return faults;
  }));
}

TEST_F(Landlock, truncating_takes_the_right_to_write) {
  NEED_ABI(3);
  expect_clean(in_child([&] {
    int faults = 0;
    EXPECT_ENDS(0, -(errno = restrict()));
    EXPECT_ENDS(EACCES, ::truncate(at("readable/file").c_str(), 0));
    EXPECT_ENDS(0, ::truncate(at("writable/file").c_str(), 0));
    return faults;
  }));
}

TEST_F(Landlock, only_named_ports_are_reached) {
  NEED_ABI(4);
  int servers[2];
  uint16_t ports[2];
  for (int i = 0; i < 2; ++i) {
    servers[i] = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t length = sizeof address;
    ASSERT_EQ(::bind(servers[i], reinterpret_cast<sockaddr*>(&address), length), 0);
    ASSERT_EQ(::listen(servers[i], 4), 0);
    ASSERT_EQ(::getsockname(servers[i], reinterpret_cast<sockaddr*>(&address), &length), 0);
    ports[i] = ntohs(address.sin_port);
  }
  expect_clean(in_child([&] {
    int faults = 0;
    EXPECT_ENDS(0, -(errno = restrict(true, ports[0])));
    auto connect_to = [](uint16_t port) {
      int client = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
      return ::connect(client, reinterpret_cast<sockaddr*>(&address), sizeof address);
    };
    EXPECT_ENDS(0, connect_to(ports[0]));
    EXPECT_ENDS(EACCES, connect_to(ports[1]));
    int other = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in any = {.sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    EXPECT_ENDS(EACCES, ::bind(other, reinterpret_cast<sockaddr*>(&any), sizeof any));
    return faults;
  }));
  for (int server : servers) ::close(server);
}

TEST_F(Landlock, abstract_sockets_and_signals_stay_inside) {
  NEED_ABI(6);
  int server = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address = {.sun_family = AF_UNIX};
  std::string name = "runink-landlock-test-" + std::to_string(::getpid());
  std::memcpy(address.sun_path + 1, name.data(), name.size());
  auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  ASSERT_EQ(::bind(server, reinterpret_cast<sockaddr*>(&address), length), 0);
  ASSERT_EQ(::listen(server, 1), 0);
  pid_t outside = ::getpid();
  expect_clean(in_child([&] {
    int faults = 0;
    int before = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
        after = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_ENDS(0, ::connect(before, reinterpret_cast<sockaddr*>(&address), length));
    EXPECT_ENDS(0, ::kill(outside, 0));
    EXPECT_ENDS(0, -(errno = restrict()));
    EXPECT_ENDS(EPERM, ::connect(after, reinterpret_cast<sockaddr*>(&address), length));
    EXPECT_ENDS(EPERM, ::kill(outside, 0));
    pid_t child = ::fork();
    if (child == 0) {
      for (;;) ::pause();
    }
    EXPECT_ENDS(0, ::kill(child, SIGKILL));
    ::waitpid(child, nullptr, 0);
    return faults;
  }));
  ::close(server);
}

TEST_F(Landlock, without_no_new_privs_an_ordinary_process_is_refused) {
  NEED_ABI(1);
  ChildEnd end = in_child(
      [&] {
        if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) return 99;
        int ruleset = make_ruleset(landlock_abi(), false);
        return ruleset < 0 ? 98 : restrict_self(ruleset);
      },
      false);
  EXPECT_EQ(end.code, EPERM);
}

TEST(LandlockBits, older_kernels_are_asked_for_what_they_know) {
  PathGrant all = {.read = true, .execute = true, .write = true, .device = true};
  EXPECT_EQ(access_bits(all, true, 1) >> 13, 0u);
  EXPECT_EQ(access_bits(all, true, 2) >> 13, 0b001u);
  EXPECT_EQ(access_bits(all, true, 3) >> 13, 0b011u);
  EXPECT_EQ(access_bits(all, true, 6) >> 13, 0b111u);
  EXPECT_EQ(access_bits(all, true, 6) & (1 << 6 | 1 << 11), 0u) << "no device nodes are made";
  EXPECT_EQ(access_bits({}, true, 6), 0b1100u);
  EXPECT_EQ(access_bits({}, false, 6), 0b0100u);
  EXPECT_EQ(make_ruleset(0, false), -ENOSYS);
}

TEST(LandlockBits, what_is_held_is_said) {
  EXPECT_THAT(describe_landlock(0), ::testing::HasSubstr("not in this kernel"));
  EXPECT_EQ(describe_landlock(3),
            "ABI 3: files, truncation; not TCP ports, ioctl of devices, abstract sockets and signals, which take a "
            "newer kernel");
  EXPECT_EQ(describe_landlock(6),
            "ABI 6: files, truncation, TCP ports, ioctl of devices, abstract sockets and signals");
}

}  // namespace
}  // namespace runink::sandbox
