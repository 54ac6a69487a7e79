// Real groups of this host, as root, with real offenders: once with v1, once with v2. What a version lacks the
// controllers for on this host is skipped with the reason; a virtual machine with v2 runs all of it.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/sched.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <thread>

#include "base/text.h"
#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "platform/os/temp.h"
#include "worker/sandbox/cgroup.h"
#include "worker/sandbox/cgroup_files.h"

namespace runink::sandbox {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int64_t kLong = 30'000'000;  // microseconds; only a failure takes as long

// A child that waits until it is let go, then runs its body and ends with what it returns.
class Parked {
 public:
  explicit Parked(const std::function<int()>& body) {
    int gate[2];
    if (::pipe2(gate, O_CLOEXEC) != 0) std::abort();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::close(gate[1]);
      char byte;
      if (::read(gate[0], &byte, 1) != 1) ::_exit(121);
      ::_exit(body());
    }
    ::close(gate[0]);
    gate_ = gate[1];
  }
  ~Parked() {
    ::close(gate_);
    if (!reaped_) {
      ::kill(pid_, SIGKILL);
      wait();
    }
  }
  pid_t pid() const { return pid_; }
  void go() {
    if (::write(gate_, "x", 1) != 1) std::abort();
  }
  int wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    reaped_ = true;
    return status;
  }

 private:
  pid_t pid_ = -1;
  int gate_ = -1;
  bool reaped_ = false;
};

// Forks until it is refused; each child waits to be killed. Returns how many it got.
int fork_bomb() {
  int made = 0;
  for (; made < 500; ++made) {
    pid_t pid = ::fork();
    if (pid < 0) break;
    if (pid == 0) {
      for (;;) ::pause();
    }
  }
  return made;
}

int spin() {
  for (;;) asm volatile("");
}

int take_memory(size_t bytes) {
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return 1;
  for (size_t at = 0; at < bytes; at += 4096) static_cast<volatile char*>(memory)[at] = 1;
  return 0;
}

class CgroupHost : public ::testing::TestWithParam<CgroupVersion> {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "making control groups takes root";
    Result<std::unique_ptr<CgroupBackend>> opened =
        open_cgroups("/runink-test-" + std::to_string(::getpid()), GetParam());
    if (!opened.ok()) GTEST_SKIP() << opened.status().to_string();
    backend_ = std::move(*opened);
    ASSERT_EQ(backend_->version(), GetParam());
    herd_ = make("herd");
    slice_ = make("herd/slice");
  }

  // Whatever a test left: nothing stays on the host.
  void TearDown() override {
    if (!backend_) return;
    ::signal(SIGCHLD, SIG_IGN);  // what is killed here is reaped by the kernel
    for (Cgroup* group : {slice_.get(), herd_.get()}) {
      if (group == nullptr) continue;
      EXPECT_TRUE(group->kill(kLong).ok());
      Status removed = group->remove(kLong);
      EXPECT_TRUE(removed.ok()) << removed.to_string();
    }
    ::signal(SIGCHLD, SIG_DFL);
    Status removed = backend_->remove_base(kLong);
    EXPECT_TRUE(removed.ok()) << removed.to_string();
  }

  std::unique_ptr<Cgroup> make(const std::string& name) {
    Result<std::unique_ptr<Cgroup>> made = backend_->create(name);
    EXPECT_TRUE(made.ok()) << made.status().to_string();
    return made.ok() ? std::move(*made) : nullptr;
  }

  bool has(const std::string& controller) const { return carries(backend_->controllers(), controller); }

  void attach(const Parked& child) {
    Status attached = slice_->attach(child.pid());
    ASSERT_TRUE(attached.ok()) << attached.to_string();
  }

  // Until the events of the slice are as `enough` wants them.
  void wait_for(const std::function<bool(const CgroupEvents&)>& enough) {
    Result<bool> seen = wait_until(kLong, [&]() -> Result<bool> { return enough(RUNINK_TRY(slice_->events())); });
    ASSERT_TRUE(seen.ok()) << seen.status().to_string();
    ASSERT_TRUE(*seen) << "it did not happen";
  }

  std::unique_ptr<CgroupBackend> backend_;
  std::unique_ptr<Cgroup> herd_, slice_;
};

#define NEED_CONTROLLER(name) \
  if (!has(name)) GTEST_SKIP() << "this hierarchy does not have the controller " name " on this host"

#define ASSERT_OK(expression)                                 \
  do {                                                        \
    Status status_seen = (expression);                        \
    ASSERT_TRUE(status_seen.ok()) << status_seen.to_string(); \
  } while (false)

TEST_P(CgroupHost, memory_bomb_is_killed_and_named) {
  NEED_CONTROLLER("memory");
  CgroupLimits limits;
  limits.memory_bytes = 32u << 20;
  limits.swap_bytes = 0;
  ASSERT_OK(slice_->set_limits(limits));
  Parked bomb([] { return take_memory(256u << 20); });
  attach(bomb);
  bomb.go();
  int status = bomb.wait();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  CgroupEvents events = slice_->events().value();
  EXPECT_GE(events.out_of_memory_kills, 1u);
  EXPECT_THAT(describe(events, limits), Contains(HasSubstr("at the memory limit of 33554432 bytes")));
  CgroupUsage usage = slice_->usage().value();
  EXPECT_GT(usage.memory_peak_bytes.value(), 16u << 20);
  EXPECT_LE(usage.memory_peak_bytes.value(), 33u << 20);
  EXPECT_GT(usage.page_faults.value(), 0u);
}

TEST_P(CgroupHost, memory_of_a_herd_holds_for_its_slices) {
  NEED_CONTROLLER("memory");
  CgroupLimits limits;
  limits.memory_bytes = 32u << 20;
  ASSERT_OK(herd_->set_limits(limits));
  Parked bomb([] { return take_memory(256u << 20); });
  attach(bomb);
  bomb.go();
  int status = bomb.wait();
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
}

TEST_P(CgroupHost, memory_limits_are_raised_and_lowered_in_any_order) {
  NEED_CONTROLLER("memory");
  CgroupLimits limits;
  limits.swap_bytes = 0;
  for (uint64_t mebibytes : {64, 256, 16, 1024}) {
    limits.memory_bytes = mebibytes << 20;
    ASSERT_OK(slice_->set_limits(limits));
  }
}

TEST_P(CgroupHost, fork_bomb_stops_at_its_limit_and_dies_whole) {
  NEED_CONTROLLER("pids");
  CgroupLimits limits;
  limits.processes = 20;
  ASSERT_OK(slice_->set_limits(limits));
  Parked bomb([] {
    fork_bomb();
    for (;;) ::pause();
    return 0;
  });
  attach(bomb);
  bomb.go();
  wait_for([](const CgroupEvents& events) { return events.refused_processes > 0; });
  EXPECT_EQ(slice_->processes().value().size(), 20u);
  EXPECT_EQ(slice_->usage().value().processes.value(), 20u);
  EXPECT_THAT(describe(slice_->events().value(), limits), Contains(HasSubstr("refused at the limit of 20")));
  ::signal(SIGCHLD, SIG_IGN);  // the bomb is this process's child, and must not stay as a zombie
  ASSERT_OK(slice_->kill(kLong));
  ::signal(SIGCHLD, SIG_DFL);
  EXPECT_THAT(slice_->processes().value(), IsEmpty());
}

TEST_P(CgroupHost, spinning_is_throttled_and_counted) {
  NEED_CONTROLLER("cpu");
  CgroupLimits limits;
  limits.cpus = 0.02;
  limits.cpu_weight = 50;
  ASSERT_OK(slice_->set_limits(limits));
  Parked spinner(spin);
  attach(spinner);
  spinner.go();
  wait_for([](const CgroupEvents& events) { return events.throttled_periods >= 2; });
  EXPECT_THAT(describe(slice_->events().value(), limits), Contains(HasSubstr("processor limit of 0.02")));
  CgroupUsage usage = slice_->usage().value();
  EXPECT_GT(usage.cpu_seconds, 0.002);
  EXPECT_NEAR(usage.cpu_seconds, usage.user_seconds + usage.system_seconds, 0.1);
}

TEST_P(CgroupHost, weights_are_those_of_the_kernel) {
  NEED_CONTROLLER("cpu");
  for (uint32_t weight : {1u, 39u, 100u, 10'000u}) {
    CgroupLimits limits;
    limits.cpu_weight = weight;
    Status set = slice_->set_limits(limits);
    EXPECT_TRUE(set.ok()) << weight << ": " << set.to_string();
  }
}

TEST_P(CgroupHost, processors_are_chosen) {
  NEED_CONTROLLER("cpuset");
  cpu_set_t mine;
  ASSERT_EQ(::sched_getaffinity(0, sizeof mine, &mine), 0);
  if (!CPU_ISSET(0, &mine) || CPU_COUNT(&mine) < 2) GTEST_SKIP() << "needs two processors, of which one is number 0";
  CgroupLimits limits;
  limits.cpu_set = {0};
  limits.memory_nodes = {0};
  ASSERT_OK(slice_->set_limits(limits));
  Parked child([] {
    cpu_set_t set;
    ::sched_getaffinity(0, sizeof set, &set);
    return CPU_COUNT(&set) == 1 && CPU_ISSET(0, &set) ? 7 : 8;
  });
  attach(child);
  child.go();
  EXPECT_EQ(WEXITSTATUS(child.wait()), 7);
  limits.cpu_set = {9999};
  Status refused = slice_->set_limits(limits);
  EXPECT_THAT(refused.to_string(), HasSubstr("controller cpuset"));
}

TEST_P(CgroupHost, devices_that_were_not_granted_cannot_be_opened) {
  if (GetParam() == CgroupVersion::kV1) NEED_CONTROLLER("devices");
  CgroupLimits limits;
  limits.devices = {{.type = 'c', .major = 1, .minor = 3}, {.type = 'c', .major = 1, .minor = 5, .write = false}};
  ASSERT_OK(slice_->set_limits(limits));
  Parked child([] {
    auto opens = [](const char* path, int how) {
      int fd = ::open(path, how | O_CLOEXEC);
      if (fd >= 0) ::close(fd);
      return fd >= 0 ? 1 : errno == EPERM ? 0 : 2;
    };
    return opens("/dev/null", O_RDWR) | opens("/dev/zero", O_RDONLY) << 2 | opens("/dev/zero", O_RDWR) << 4 |
           opens("/dev/full", O_RDWR) << 6;
  });
  attach(child);
  child.go();
  EXPECT_EQ(WEXITSTATUS(child.wait()), 0b00'00'01'01);
  // Granted later to the same group: the newest list counts.
  limits.devices->push_back({.type = 'c', .major = 1, .minor = 7});
  ASSERT_OK(slice_->set_limits(limits));
  Parked second(
      [] { return ::open("/dev/full", O_RDWR | O_CLOEXEC) >= 0 && ::open("/dev/random", O_RDONLY) < 0 ? 0 : 1; });
  attach(second);
  second.go();
  EXPECT_EQ(WEXITSTATUS(second.wait()), 0);
}

// Milliseconds that so many reads of a block take that come from the disk and not from memory; negative on failure.
int read_directly(const std::string& path, int reads) {
  int fd = ::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
  void* block = std::aligned_alloc(4096, 4096);
  int64_t start = os::monotonic_nanos();
  bool read = true;
  for (int i = 0; i < reads && read; ++i) read = ::pread(fd, block, 4096, i * 4096) == 4096;
  std::free(block);
  ::close(fd);
  if (!read) return -1;
  return static_cast<int>((os::monotonic_nanos() - start) / 1'000'000);
}

TEST_P(CgroupHost, reading_a_device_is_limited) {
  if (!has(GetParam() == CgroupVersion::kV1 ? "blkio" : "io")) {
    GTEST_SKIP() << "no controller for input and output here";
  }
  Result<os::TempFolder> folder = os::TempFolder::create("");
  ASSERT_TRUE(folder.ok());
  CgroupLimits limits;
  std::string path;
  auto choose = [&](const std::string& readable, uint32_t major, uint32_t minor) {
    if (!limits.io.empty() || read_directly(readable, 40) < 0) return;
    path = readable;
    limits.io.push_back({.major = major, .minor = minor});
    limits.io[0].read_bytes_per_second = 10u << 20;
    limits.io[0].read_operations_per_second = 100;
  };
  // A file, if its file system lies on a whole device; else a node of a device, where one may be made and read.
  struct stat about = {};
  ASSERT_TRUE(os::write_file_atomic(folder->file("data"), std::string(40 * 4096, 'x')).ok());
  ASSERT_EQ(::stat(folder->file("data").c_str(), &about), 0);
  std::string device = fmt::format("/sys/dev/block/{}:{}", major(about.st_dev), minor(about.st_dev));
  if (os::exists(device) && !os::exists(device + "/partition")) {
    choose(folder->file("data"), major(about.st_dev), minor(about.st_dev));
  }
  Result<std::vector<std::string>> disks = os::list_directory("/sys/block");
  for (const std::string& name : disks.ok() ? *disks : std::vector<std::string>()) {
    Result<std::string> numbers = os::read_file("/sys/block/" + name + "/dev");
    unsigned major_number = 0, minor_number = 0;
    if (!numbers.ok() || std::sscanf(numbers->c_str(), "%u:%u", &major_number, &minor_number) != 2) continue;
    if (name.starts_with("zram") || name.starts_with("loop")) continue;
    std::string node = folder->file(name);
    if (::mknod(node.c_str(), S_IFBLK | 0400, makedev(major_number, minor_number)) != 0) continue;
    choose(node, major_number, minor_number);
  }
  if (limits.io.empty()) GTEST_SKIP() << "no block device here that can be read directly";
  ASSERT_OK(slice_->set_limits(limits));
  // 100 a second, of which the kernel lets a tenth of a second pass at once.
  Parked reader([&] { return read_directly(path, 40) >= 150 ? 0 : 1; });
  attach(reader);
  reader.go();
  EXPECT_EQ(reader.wait(), 0) << "the reads were not slowed";
  EXPECT_GE(slice_->usage().value().io_read_bytes.value(), 40u * 4096);
  limits.io[0].major = 4095;  // no such device
  EXPECT_THAT(slice_->set_limits(limits).to_string(), HasSubstr("limit input and output (controller"));
}

TEST_P(CgroupHost, a_frozen_group_stands_still) {
  int shared = ::memfd_create("count", 0);
  ASSERT_EQ(::ftruncate(shared, 4096), 0);
  auto* count =
      static_cast<std::atomic<uint64_t>*>(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, shared, 0));
  ::close(shared);
  Parked counter([count] {
    for (;;) count->fetch_add(1);
    return 0;
  });
  attach(counter);
  counter.go();
  auto moves = [count] {
    uint64_t before = count->load();
    return wait_until(kLong, [&]() -> Result<bool> { return count->load() != before; }).value();
  };
  EXPECT_TRUE(moves());
  ASSERT_OK(slice_->freeze(kLong));
  uint64_t frozen = count->load();
  EXPECT_FALSE(wait_until(50'000, [&]() -> Result<bool> { return count->load() != frozen; }).value());
  ASSERT_OK(slice_->thaw());
  EXPECT_TRUE(moves());
  ::munmap(count, 4096);
}

TEST_P(CgroupHost, a_frozen_group_can_be_killed) {
  Parked child([] {
    for (;;) ::pause();
    return 0;
  });
  attach(child);
  child.go();
  ASSERT_OK(slice_->freeze(kLong));
  ::signal(SIGCHLD, SIG_IGN);
  EXPECT_TRUE(slice_->kill(kLong).ok());
  ::signal(SIGCHLD, SIG_DFL);
}

TEST_P(CgroupHost, those_that_fork_while_being_killed_die_too) {
  // Each process makes one after it and ends: at any moment another one is alive.
  Parked chain([] {
    for (;;) {
      ::setsid();
      if (::fork() > 0) ::_exit(0);
    }
    return 0;
  });
  attach(chain);
  chain.go();
  chain.wait();
  ASSERT_OK(slice_->kill(kLong));
  EXPECT_THAT(slice_->processes().value(), IsEmpty());
}

TEST_P(CgroupHost, killing_an_empty_group_is_done_at_once) { EXPECT_TRUE(slice_->kill(0).ok()); }

TEST_P(CgroupHost, a_group_in_use_is_not_removed_and_says_why) {
  Parked child([] { return 0; });
  attach(child);
  Status busy = slice_->remove(10'000);
  EXPECT_EQ(busy.code(), Code::kDeadlineExceeded);
  EXPECT_THAT(busy.to_string(), HasSubstr("with 1 processes and 0 groups in it"));
  Status herd = herd_->remove(0);
  EXPECT_THAT(herd.to_string(), HasSubstr("with 1 processes and 1 groups in it"));
  child.go();
  child.wait();
  EXPECT_TRUE(slice_->remove(kLong).ok());
  EXPECT_TRUE(slice_->remove(0).ok()) << "a group that is gone is OK";
  EXPECT_THAT(backend_->list("herd").value(), IsEmpty());
}

TEST_P(CgroupHost, groups_are_listed_and_adopted) {
  EXPECT_THAT(backend_->list("").value(), ::testing::ElementsAre("herd"));
  EXPECT_THAT(backend_->list("herd").value(), ::testing::ElementsAre("slice"));
  EXPECT_EQ(backend_->create("herd/slice").status().code(), Code::kAlreadyExists);
  EXPECT_EQ(backend_->adopt("herd/other").status().code(), Code::kNotFound);
  EXPECT_EQ(backend_->create("none/slice").status().code(), Code::kNotFound);
  Parked child([] { return 0; });
  attach(child);
  std::unique_ptr<Cgroup> adopted = std::move(backend_->adopt("herd/slice").value());
  EXPECT_THAT(adopted->processes().value(), ::testing::ElementsAre(child.pid()));
  EXPECT_THAT(herd_->processes().value(), ::testing::ElementsAre(child.pid()));
}

TEST_P(CgroupHost, launchers_that_begin_at_once_do_not_disturb_each_other) {
  std::string above = "/runink-test-" + std::to_string(::getpid()) + "/above", base = above + "/base";
  constexpr int kLaunchers = 6;
  std::vector<std::unique_ptr<Parked>> children;
  for (int i = 0; i < kLaunchers; ++i) children.push_back(std::make_unique<Parked>([] { return 0; }));
  std::vector<std::string> faults(kLaunchers);
  std::vector<std::thread> launchers;
  for (int i = 0; i < kLaunchers; ++i) {
    launchers.emplace_back([&, i] {
      Status done = [&]() -> Status {
        std::unique_ptr<CgroupBackend> own = RUNINK_TRY(open_cgroups(base, GetParam()));
        std::unique_ptr<Cgroup> group = RUNINK_TRY(own->create("herd" + std::to_string(i)));
        std::unique_ptr<Cgroup> slice = RUNINK_TRY(own->create(group->name() + "/slice"));
        Status attached = slice->attach(children[i]->pid());
        children[i]->go();
        children[i]->wait();
        RUNINK_RETURN_IF_ERROR(slice->remove(kLong));
        RUNINK_RETURN_IF_ERROR(group->remove(kLong));
        return attached;
      }();
      faults[i] = done.ok() ? "" : done.to_string();
    });
  }
  for (std::thread& launcher : launchers) launcher.join();
  EXPECT_THAT(faults, ::testing::Each(std::string()));
  for (const std::string& folder : {base, above}) {
    Result<std::unique_ptr<CgroupBackend>> opened = open_cgroups(folder, GetParam());
    ASSERT_TRUE(opened.ok());
    EXPECT_TRUE((*opened)->remove_base(kLong).ok());
  }
}

TEST_P(CgroupHost, a_process_that_is_gone_cannot_be_attached) {
  Parked child([] { return 0; });
  child.go();
  child.wait();
  EXPECT_FALSE(slice_->attach(child.pid()).ok());
}

TEST_P(CgroupHost, limits_without_their_controller_are_refused_by_name) {
  struct Case {
    const char* controller;
    CgroupLimits limits;
  };
  std::vector<Case> cases(5);
  cases[0] = {"cpu", {}}, cases[0].limits.cpus = 1;
  cases[1] = {"memory", {}}, cases[1].limits.memory_bytes = 1u << 30;
  cases[2] = {"pids", {}}, cases[2].limits.processes = 10;
  cases[3] = {"cpuset", {}}, cases[3].limits.cpu_set = {0};
  cases[4] = {GetParam() == CgroupVersion::kV1 ? "blkio" : "io", {}};
  cases[4].limits.io = {{254, 0, 1u << 20}};
  for (const Case& wanted : cases) {
    Status checked = backend_->check_supported(wanted.limits);
    if (has(wanted.controller)) {
      EXPECT_TRUE(checked.ok()) << checked.to_string();
      continue;
    }
    EXPECT_EQ(checked.code(), Code::kFailedPrecondition);
    EXPECT_EQ(checked.kind(), "sandbox.limit");
    EXPECT_THAT(checked.to_string(), HasSubstr(wanted.controller));
    EXPECT_THAT(slice_->set_limits(wanted.limits).to_string(), HasSubstr(wanted.controller));
  }
}

// Of those whose controllers are here; as they were before they were set.
TEST_P(CgroupHost, limits_are_lifted) {
  const auto controllers = backend_->controllers();
  const bool memory = carries(controllers, "memory"), cpu = carries(controllers, "cpu");
  const bool pids = carries(controllers, "pids"), cpuset = carries(controllers, "cpuset");
  if (!memory && !cpu && !pids) GTEST_SKIP() << "no controllers";
  CgroupLimits limits;
  if (memory) limits.memory_bytes = 16u << 20;
  if (cpu) limits.cpus = 0.1, limits.cpu_weight = 7;
  if (pids) limits.processes = 2;
  if (cpuset) limits.cpu_set = {0}, limits.memory_nodes = {0};
  ASSERT_OK(slice_->set_limits(limits));
  ASSERT_OK(slice_->lift_limits(left_out(limits, {})));
  Parked child([] { return take_memory(24u << 20) + (fork_bomb() == 500 ? 0 : 1); });
  attach(child);
  child.go();
  EXPECT_EQ(child.wait(), 0) << "more memory and processes than there were";
  if (!cpu) return;
  // A slice may have more than its herd had.
  CgroupLimits few, more;
  few.cpus = 0.1, more.cpus = 1;
  ASSERT_OK(herd_->set_limits(few));
  ASSERT_OK(herd_->lift_limits(left_out(few, {})));
  ASSERT_OK(slice_->set_limits(more));
}

TEST_P(CgroupHost, one_that_was_made_anew_is_another) {
  EXPECT_TRUE(slice_->is_in_place());
  ASSERT_OK(slice_->remove(kLong));
  EXPECT_FALSE(slice_->is_in_place());
  const auto again = make("herd/slice");
  EXPECT_FALSE(slice_->is_in_place());
  EXPECT_TRUE(again->is_in_place());
}

INSTANTIATE_TEST_SUITE_P(Versions, CgroupHost, ::testing::Values(CgroupVersion::kV1, CgroupVersion::kV2),
                         [](const auto& info) { return info.param == CgroupVersion::kV1 ? "v1" : "v2"; });

class CgroupV1Host : public CgroupHost {};
class CgroupV2Host : public CgroupHost {};

TEST_P(CgroupV1Host, what_v1_cannot_hold_is_refused) {
  NEED_CONTROLLER("blkio");
  CgroupLimits limits;
  limits.io = {{.major = 254, .minor = 0, .write_bytes_per_second = 1u << 20}};
  Status refused = slice_->set_limits(limits);
  EXPECT_EQ(refused.code(), Code::kFailedPrecondition);
  EXPECT_THAT(refused.to_string(), HasSubstr("blkio.throttle.write_bps_device"));
  limits.io[0].synced_writes_only = true;
  EXPECT_TRUE(backend_->check_supported(limits).ok());
  CgroupLimits high;
  high.memory_high_bytes = 1u << 30;
  EXPECT_THAT(slice_->set_limits(high).to_string(), HasSubstr("memory.high"));
  EXPECT_EQ(slice_->clone_descriptor(), -1);
}

TEST_P(CgroupV1Host, a_limit_that_the_kernel_refuses_names_controller_and_file) {
  NEED_CONTROLLER("cpu");
  CgroupLimits herd, slice;
  herd.cpus = 0.5;
  slice.cpus = 1;
  ASSERT_OK(herd_->set_limits(herd));
  Status refused = slice_->set_limits(slice);
  EXPECT_THAT(refused.to_string(), HasSubstr("controller cpu"));
  EXPECT_THAT(refused.to_string(), HasSubstr("/herd/slice/cpu.cfs_quota_us"));
  EXPECT_EQ(refused.kind(), "sandbox.limit");
}

INSTANTIATE_TEST_SUITE_P(Versions, CgroupV1Host, ::testing::Values(CgroupVersion::kV1),
                         [](const auto&) { return "v1"; });

TEST_P(CgroupV2Host, a_process_is_born_in_its_group) {
  clone_args arguments = {};
  arguments.flags = CLONE_INTO_CGROUP;
  arguments.exit_signal = SIGCHLD;
  arguments.cgroup = static_cast<uint64_t>(slice_->clone_descriptor());
  pid_t pid = static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
  ASSERT_GE(pid, 0) << std::strerror(errno);
  if (pid == 0) {
    for (;;) ::pause();
  }
  EXPECT_THAT(slice_->processes().value(), ::testing::ElementsAre(pid));
  ::signal(SIGCHLD, SIG_IGN);
  EXPECT_TRUE(slice_->kill(kLong).ok());
  ::signal(SIGCHLD, SIG_DFL);
}

TEST_P(CgroupV2Host, pressure_is_there_where_the_kernel_measures_it) {
  Result<std::optional<Pressure>> pressure = slice_->pressure(PressureOf::kCpu);
  ASSERT_TRUE(pressure.ok());
  if (!*pressure) GTEST_SKIP() << "the kernel measures no pressure (psi=1)";
  EXPECT_GE((*pressure)->some_seconds, 0);
}

TEST_P(CgroupV2Host, processor_time_is_counted_without_any_controller) {
  Parked spinner(spin);
  attach(spinner);
  spinner.go();
  Result<bool> counted =
      wait_until(kLong, [&]() -> Result<bool> { return RUNINK_TRY(slice_->usage()).cpu_seconds > 0.01; });
  EXPECT_TRUE(counted.ok() && *counted);
}

TEST_P(CgroupV2Host, a_high_mark_slows_and_does_not_kill) {
  NEED_CONTROLLER("memory");
  CgroupLimits limits;
  limits.memory_high_bytes = 16u << 20;
  limits.memory_bytes = 64u << 20;
  limits.swap_bytes = 0;
  ASSERT_OK(slice_->set_limits(limits));
  Parked child([] { return take_memory(17u << 20); });  // a little above: the kernel's pauses grow with the excess
  attach(child);
  child.go();
  EXPECT_EQ(child.wait(), 0);
  CgroupEvents events = slice_->events().value();
  EXPECT_EQ(events.out_of_memory_kills, 0u);
  EXPECT_THAT(describe(events, limits), Contains(HasSubstr("above the high mark of 16777216 bytes")));
}

INSTANTIATE_TEST_SUITE_P(Versions, CgroupV2Host, ::testing::Values(CgroupVersion::kV2),
                         [](const auto&) { return "v2"; });

}  // namespace
}  // namespace runink::sandbox
