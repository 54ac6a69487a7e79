// The doctor on this host, and on this host made worse: each probe that says good has to say bad where its subject is
// taken away. Everything happens in a child with mounts of its own.
#include "worker/doctor/doctor.h"

#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <map>

#include "base/text.h"
#include "platform/os/file.h"
#include "platform/os/process.h"
#include "platform/os/temp.h"
#include "worker/doctor/probe_child.h"
#include "worker/sandbox/cgroup_files.h"

namespace runink::doctor {
namespace {

using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;

using Probe = std::function<void(Findings*)>;

// By check. Empty where the host could not be made worse like this: `worse` said why.
class World : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "this takes root";
  }

  std::map<std::string, Finding> look(const std::function<Status()>& worse, const Probe& probe) {
    os::Pipe pipe = *os::make_pipe("findings");
    const pid_t pid = ::fork();
    if (pid == 0) {
      Status ready;
      if (::unshare(CLONE_NEWNS) != 0 || ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
        ready = from_errno(errno, "make a mount namespace");
      }
      if (ready.ok()) ready = worse();
      std::string text;
      if (!ready.ok()) {
        text = "?\x1f" + ready.to_string() + "\x1f\x1f\x1e";
      } else {
        Findings findings;
        probe(&findings);
        for (const Finding& one : findings) {
          text += one.check + "\x1f" + std::to_string(static_cast<int>(one.verdict)) + "\x1f" + one.found + "\x1f" +
                  one.advice + "\x1e";
        }
      }
      ::_exit(os::write_all(pipe.write, text).ok() ? 0 : 1);
    }
    pipe.write.reset();
    std::string text;
    char buffer[65536];
    for (auto got = os::read_some(pipe.read, buffer, sizeof buffer); got.ok() && *got > 0;
         got = os::read_some(pipe.read, buffer, sizeof buffer)) {
      text.append(buffer, *got);
    }
    EXPECT_EQ(::waitpid(pid, nullptr, 0), pid);
    std::map<std::string, Finding> out;
    for (const std::string_view line : split(text, '\x1e')) {
      const auto parts = split(line, '\x1f');
      if (parts.size() < 4) continue;
      if (parts[0] == "?") {
        failed_ = parts[1];
        continue;
      }
      out[std::string(parts[0])] = {std::string(parts[0]), static_cast<Verdict>(parts[1][0] - '0'),
                                    std::string(parts[2]), std::string(parts[3])};
    }
    return out;
  }

  // A file of /proc says something else.
  Status pretend(const std::string& file, const std::string& text) {
    const std::string mine = folder_.file(std::to_string(++files_));
    RUNINK_RETURN_IF_ERROR(os::write_file_atomic(mine, text));
    if (::mount(mine.c_str(), file.c_str(), nullptr, MS_BIND, nullptr) == 0) return {};
    return from_errno(errno, "put another file over " + file);
  }

  static Status nothing() { return {}; }

  os::TempFolder folder_ = *os::TempFolder::create("");
  int files_ = 0;
  std::string failed_;
};

TEST_F(World, AsItIs) {
  const auto found = look(nothing, [](Findings* findings) { *findings = probe_slices({}); });
  for (const char* check : {"kernel", "sealed program", "core dumps", "clock", "namespace user", "all namespaces",
                            "system calls", "landlock", "room in /tmp", "run folder", "networks", "left: links"}) {
    EXPECT_EQ(found.count(check), 1u) << check;
  }
  for (const auto& [check, one] : found) {
    EXPECT_FALSE(one.found.empty()) << check;
    // Whatever is bad comes with what to do about it, or with an error that says it all.
    EXPECT_FALSE(one.verdict == Verdict::kBad && one.advice.empty() && one.found.find(' ') == std::string::npos)
        << check;
  }
  // Nothing of this probe is left in any hierarchy.
  const std::string mountinfo = *os::read_file("/proc/self/mountinfo");
  for (const auto& mount : sandbox::parse_cgroup_mounts(mountinfo)) {
    const auto names = os::list_directory(mount.mount_point);
    ASSERT_TRUE(names.ok());
    for (const std::string& name : *names) {
      if (!name.starts_with("runink-doctor-")) continue;
      // Of another doctor that runs now, or a fault of this one.
      EXPECT_TRUE(os::exists("/proc/" + name.substr(14))) << mount.mount_point << "/" << name;
    }
  }
}

TEST_F(World, WhereNamespacesAreForbidden) {
  const auto found = look(
      []() -> Status {
        // Limits of a user namespace are its own root's to set, and hold below it.
        const uint32_t user = ::geteuid();
        if (::unshare(CLONE_NEWUSER) != 0) return from_errno(errno, "unshare");
        RUNINK_RETURN_IF_ERROR(
            os::write_all(*os::open_file("/proc/self/uid_map", os::OpenMode::kReadWrite), fmt::format("0 {} 1", user)));
        return os::write_all(*os::open_file("/proc/sys/user/max_net_namespaces", os::OpenMode::kReadWrite), "0");
      },
      probe_isolation);
  if (found.empty()) GTEST_SKIP() << failed_;
  EXPECT_EQ(found.at("namespace net").verdict, Verdict::kBad);
  EXPECT_EQ(found.at("namespace net").advice, "sysctl -w user.max_net_namespaces=15000");
  EXPECT_EQ(found.at("namespace uts").verdict, Verdict::kGood);
  EXPECT_EQ(found.at("all namespaces").verdict, Verdict::kBad);
}

TEST_F(World, WhereProcIsMasked) {
  const auto found = look(
      []() -> Status {
        if (::mount("tmpfs", "/proc/sys", "tmpfs", MS_RDONLY, nullptr) == 0) return {};
        return from_errno(errno, "mask /proc/sys");
      },
      probe_isolation);
  ASSERT_FALSE(found.empty()) << failed_;
  EXPECT_EQ(found.at("mount proc").verdict, Verdict::kBad);
  EXPECT_THAT(found.at("mount proc").advice, HasSubstr("masks parts of /proc"));
  EXPECT_EQ(found.at("mount tmpfs").verdict, Verdict::kGood);
}

TEST_F(World, WhereThereAreNoControlGroups) {
  const auto found = look(
      []() -> Status {
        if (::umount2("/sys/fs/cgroup", MNT_DETACH) == 0) return {};
        return from_errno(errno, "unmount /sys/fs/cgroup");
      },
      probe_limits);
  if (found.empty()) GTEST_SKIP() << failed_;
  ASSERT_EQ(found.count("limits"), 1u);
  EXPECT_EQ(found.at("limits").verdict, Verdict::kBad);
  EXPECT_EQ(found.count("limit memory"), 0u);
}

TEST_F(World, WhereTheKernelPipesCoresAndExecutesNoMemory) {
  const auto found = look(
      [this]() -> Status {
        RUNINK_RETURN_IF_ERROR(pretend("/proc/sys/kernel/core_pattern", "|/usr/bin/handler %p\n"));
        return pretend("/proc/sys/vm/memfd_noexec", "2\n");
      },
      probe_kernel);
  if (found.empty()) GTEST_SKIP() << failed_;
  EXPECT_EQ(found.at("core dumps").verdict, Verdict::kGood);
  EXPECT_THAT(found.at("core dumps").found, HasSubstr("is a pipe"));
  EXPECT_EQ(found.at("sealed program").verdict, Verdict::kBad);
  EXPECT_THAT(found.at("sealed program").advice, HasSubstr("vm.memfd_noexec=0"));
}

TEST_F(World, AnOrdinaryUserWhoMayNotKeepCoresFromAHandler) {
  const auto found = look(
      [this]() -> Status {
        RUNINK_RETURN_IF_ERROR(pretend("/proc/sys/kernel/core_pattern", "|/usr/bin/handler %p\n"));
        const rlimit none = {0, 0};
        if (::setrlimit(RLIMIT_CORE, &none) != 0 || ::setgroups(0, nullptr) != 0 || ::setgid(65534) != 0 ||
            ::setuid(65534) != 0) {
          return from_errno(errno, "become nobody");
        }
        return {};
      },
      [](Findings* findings) {
        probe_kernel(findings);
        probe_files({}, findings);
        probe_limits(findings);
        probe_network(findings);
      });
  if (found.empty()) GTEST_SKIP() << failed_;
  EXPECT_EQ(found.at("core dumps").verdict, Verdict::kBad);
  EXPECT_THAT(found.at("core dumps").advice, HasSubstr("ulimit -Hc 1"));
  EXPECT_EQ(found.at("users of its own").verdict, Verdict::kBad);
  EXPECT_EQ(found.at("networks").verdict, Verdict::kBad);
}

TEST_F(World, WhereNothingIsForwarded) {
  const auto found = look(
      []() -> Status {
        // A network without a way to anywhere.
        return ::unshare(CLONE_NEWNET) == 0 ? Status() : from_errno(errno, "make a network namespace");
      },
      probe_network);
  ASSERT_FALSE(found.empty()) << failed_;
  EXPECT_EQ(found.at("forwarding").verdict, Verdict::kNote);
}

TEST_F(World, LeftoversAreToldFromWhatIsInUse) {
  const auto found = look(
      []() -> Status {
        const auto mounts = sandbox::parse_cgroup_mounts(*os::read_file("/proc/self/mountinfo"));
        if (mounts.empty()) return failed_precondition("no control groups are mounted here");
        for (const auto& mount : mounts) {
          if (::mount("tmpfs", mount.mount_point.c_str(), "tmpfs", 0, nullptr) != 0) {
            return from_errno(errno, "hide " + mount.mount_point);
          }
        }
        const os::ProcessIdentity self = os::current_process();
        const std::string herd = mounts[0].mount_point + "/runink/herd/";
        RUNINK_RETURN_IF_ERROR(os::make_directories(herd + fmt::format("{}.{}.0", self.pid, self.start_ticks)));
        return os::make_directories(herd + fmt::format("{}.{}.1", self.pid, self.start_ticks + 1));
      },
      look_for_leftovers);
  if (found.empty()) GTEST_SKIP() << failed_;
  const Finding& groups = found.at("left: groups");
  EXPECT_EQ(groups.verdict, Verdict::kNote);
  EXPECT_THAT(groups.found, AllOf(StartsWith("1 in use; 1 control group(s) of launchers that were killed: herd/"),
                                  testing::EndsWith(".1")));
}

TEST(ProbeChild, TellsWhatCameOfIt) {
  const auto steps = in_child({}, [](Steps* out) {
    (*out)[0] = 0;
    (*out)[1] = EPERM;
  });
  ASSERT_TRUE(steps.ok()) << steps.status().to_string();
  EXPECT_EQ((*steps)[0], 0);
  EXPECT_EQ((*steps)[1], EPERM);
  EXPECT_EQ((*steps)[2], -1);
  EXPECT_EQ(in_child({}, [](Steps*) { ::_exit(0); }).status().code(), Code::kAborted);
  EXPECT_EQ(in_child({}, [](Steps*) { ::raise(SIGKILL); }).status().code(), Code::kAborted);
  ChildOptions refusing;
  refusing.before = [](pid_t) -> Status { return failed_precondition("not today"); };
  EXPECT_EQ(in_child(refusing, [](Steps*) {}).status().message(), "not today");
  EXPECT_EQ(kernel_setting("/proc/sys/kernel/ostype"), "Linux");
  EXPECT_EQ(kernel_setting("/proc/sys/none"), std::nullopt);
}

}  // namespace
}  // namespace runink::doctor
