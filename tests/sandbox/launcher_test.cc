// A launcher as its owner has it: slices parked ahead, used again, adopted by the next owner; and killed at every
// point.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <thread>

#include "leak_counters_in_test.h"
#include "platform/os/file.h"
#include "platform/os/process.h"
#include "platform/os/temp.h"
#include "slice_in_test.h"
#include "worker/launcher/launcher_client.h"
#include "worker/sandbox/cgroup.h"
#include "worker/sandbox/slice_errors.h"
#include "worker/sandbox/spawner.h"

namespace runink::launcher {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using Kind = LauncherEvent::Kind;

constexpr int64_t kLong = 60'000'000;

model::SliceSpec spec_of(std::vector<std::string> argv) {
  model::SliceSpec spec;
  spec.argv = std::move(argv);
  model::add_default_environment(&spec);
  return spec;
}

class LauncherTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::move(*os::TempFolder::create(""));
    auto started = LauncherClient::start({});
    ASSERT_TRUE(started.ok()) << started.status().to_string();
    launcher_ = std::move(*started);
    ASSERT_TRUE(launcher_.launch(1, {.spec = spec_of({"true"})}, streams()).ok());
    const LauncherEvent first = next(1);
    if (first.kind == Kind::kRefused) GTEST_SKIP() << first.refused.to_string();
    ASSERT_EQ(next(1).kind, Kind::kEnded);
  }

  // What the slices print goes into a file each.
  LaunchDescriptors streams(uint64_t slice = 0) {
    if (!nothing_.valid()) nothing_ = std::move(*os::open_file("/dev/null", os::OpenMode::kReadWrite));
    LaunchDescriptors out{.input = nothing_.get(), .output = nothing_.get(), .error = nothing_.get()};
    if (slice == 0) return out;
    files_.push_back(std::move(*os::open_file(path_of(slice), os::OpenMode::kTruncate)));
    out.output = out.error = files_.back().get();
    return out;
  }
  std::string path_of(uint64_t slice) const { return folder_.path() + "/" + std::to_string(slice); }
  std::string said_by(uint64_t slice) const { return *os::read_file(path_of(slice)); }

  // The next event about the slice; pools' are passed by.
  LauncherEvent next(uint64_t slice) {
    for (;;) {
      auto event = launcher_.next_event(kLong);
      EXPECT_TRUE(event.ok() && *event) << (event.ok() ? "nothing for a minute" : event.status().to_string());
      if (!event.ok() || !*event) return {};
      if ((*event)->kind == Kind::kPool) continue;
      EXPECT_EQ((*event)->slice, slice);
      return std::move(**event);
    }
  }
  // Its start or refusal, and then its end.
  LauncherEvent start(uint64_t slice, LaunchRequest request) {
    EXPECT_TRUE(launcher_.launch(slice, std::move(request), streams(slice)).ok());
    return next(slice);
  }
  LauncherEvent run(uint64_t slice, LaunchRequest request) {
    LauncherEvent started = start(slice, std::move(request));
    EXPECT_EQ(started.kind, Kind::kStarted) << started.refused.to_string();
    if (started.kind != Kind::kStarted) return started;
    LauncherEvent ended = next(slice);
    ended.started = started.started;
    return ended;
  }
  // Until the pool has `ready`; the last state.
  PoolState keep_parked(const model::SliceSpec& spec, uint32_t count, SliceKind kind = SliceKind::kCommand) {
    EXPECT_TRUE(launcher_.keep_parked({.spec = spec, .kind = kind, .count = count}).ok());
    return wait_for_pool(count);
  }
  PoolState wait_for_pool(uint32_t ready) {
    for (;;) {
      auto event = launcher_.next_event(kLong);
      EXPECT_TRUE(event.ok() && *event);
      if (!event.ok() || !*event) return {};
      if ((*event)->kind == Kind::kPool && ((*event)->pool.ready == ready || !(*event)->pool.failed.ok())) {
        return (*event)->pool;
      }
    }
  }
  Counters counters() {
    auto state = launcher_.list(kLong);
    EXPECT_TRUE(state.ok()) << state.status().to_string();
    return state.ok() ? state->counters : Counters();
  }
  // A used slice is looked through after its end was told.
  Counters counters_once(uint64_t Counters::*which, uint64_t value) {
    Counters now = counters();
    for (int i = 0; i < 60'000 && now.*which < value; ++i) {
      (void)::usleep(1000);
      now = counters();
    }
    EXPECT_GE(now.*which, value);
    return now;
  }

  os::TempFolder folder_;
  os::Fd nothing_;
  std::vector<os::Fd> files_;
  LauncherClient launcher_;
};

TEST_F(LauncherTest, TellsHowItWent) {
  const LauncherEvent ended = run(2, {.spec = spec_of({"sh", "-c", "echo here; exit 7"})});
  EXPECT_EQ(said_by(2), "here\n");
  EXPECT_TRUE(ended.end.exited);
  EXPECT_EQ(ended.end.code, 7);
  EXPECT_EQ(ended.started.path, StartPath::kCold);
  EXPECT_GT(ended.end.usage.minor_faults, 0u);
  EXPECT_GT(ended.end.usage.peak_memory_bytes.value_or(0), 100'000u);
  const LauncherEvent refused = start(3, {.spec = spec_of({"no-such-program"})});
  ASSERT_EQ(refused.kind, Kind::kRefused);
  EXPECT_EQ(refused.refused.kind(), sandbox::kKindProgramMissing);
  EXPECT_NE(refused.refused.hint(), "");
  EXPECT_EQ(start(4, {.spec = {}}).refused.code(), Code::kInvalidArgument);
}

TEST_F(LauncherTest, ANumberIsInUseUntilItsSliceHasEnded) {
  EXPECT_EQ(start(2, {.spec = spec_of({"sleep", "600"})}).kind, Kind::kStarted);
  EXPECT_EQ(start(2, {.spec = spec_of({"true"})}).refused.code(), Code::kAlreadyExists);
  ASSERT_TRUE(launcher_.signal(2, SIGTERM).ok());
  const LauncherEvent ended = next(2);
  EXPECT_EQ(ended.end.signal, SIGTERM);
  EXPECT_EQ(run(2, {.spec = spec_of({"true"})}).end.code, 0);
}

TEST_F(LauncherTest, EnforcesTheTimeLimit) {
  model::SliceSpec spec = spec_of({"sh", "-c", "trap 'echo asked; exit 9' TERM; sleep 600 & wait"});
  spec.time_limit_micros = 20'000;
  LauncherEvent ended = run(2, {.spec = spec});
  EXPECT_TRUE(ended.end.timed_out);
  EXPECT_EQ(ended.end.code, 9);
  spec.argv[2] = "trap '' TERM; while :; do sleep 600; done";
  spec.grace_micros = 20'000;
  ended = run(3, {.spec = spec});
  EXPECT_TRUE(ended.end.timed_out);
  EXPECT_EQ(ended.end.signal, SIGKILL);
}

TEST_F(LauncherTest, HandsDescriptorsToTheProgram) {
  auto pipe = os::make_pipe("more");
  LaunchDescriptors descriptors = streams();
  descriptors.more = {nothing_.get(), pipe->write.get()};
  const auto spec = spec_of({"sh", "-c", "ls /proc/self/fd | tr '\\n' ' ' >&4"});
  ASSERT_TRUE(launcher_.launch(2, {.spec = spec}, descriptors).ok());
  pipe->write.reset();
  EXPECT_EQ(next(2).kind, Kind::kStarted);
  char text[64] = {};
  (void)*os::read_full(pipe->read, text, sizeof text - 1);
  EXPECT_STREQ(text, "0 1 2 3 4 5 ");  // 5 is the folder that ls reads
  EXPECT_EQ(next(2).kind, Kind::kEnded);
}

// ── Slices that stand ready ────────────────────────────────────────────────────────────────────────────────────────

TEST_F(LauncherTest, StartsFromAPoolAndFillsItAgain) {
  const auto spec = spec_of({"sh", "-c", "id -u; cat /proc/self/attr/current /dev/null; pwd; touch /tmp/x; ls /tmp"});
  EXPECT_EQ(keep_parked(spec, 2).ready, 2u);
  for (uint64_t slice = 2; slice < 8; ++slice) {
    const LauncherEvent ended = run(slice, {.spec = spec});
    EXPECT_THAT(said_by(slice), HasSubstr("1000\n")) << said_by(slice);
    EXPECT_THAT(said_by(slice), HasSubstr("/\nx\n"));
    EXPECT_NE(ended.started.path, StartPath::kRecycled);
  }
  const Counters after = counters();
  EXPECT_GE(after.parked, 2u);
  EXPECT_EQ(after.parked + after.cold, 7u);
  EXPECT_EQ(after.parked_died, 0u);
}

TEST_F(LauncherTest, ABurstBeyondThePoolStartsCold) {
  const auto spec = spec_of({"cat"});
  EXPECT_EQ(keep_parked(spec, 1).ready, 1u);
  auto pipe = os::make_pipe("input");
  LaunchDescriptors descriptors = streams();
  descriptors.input = pipe->read.get();
  for (uint64_t slice = 2; slice < 6; ++slice) ASSERT_TRUE(launcher_.launch(slice, {.spec = spec}, descriptors).ok());
  std::multiset<StartPath> paths;
  for (int i = 0; i < 4;) {
    auto event = launcher_.next_event(kLong);
    ASSERT_TRUE(event.ok() && *event);
    if ((*event)->kind != Kind::kStarted) continue;
    paths.insert((*event)->started.path);
    ++i;
  }
  EXPECT_GE(paths.count(StartPath::kParked), 1u);
  EXPECT_GE(paths.count(StartPath::kCold), 1u);
}

// What a specification adds is there also in a slice that was parked before it was known.
TEST_F(LauncherTest, AParkedSliceGetsWhatItsSpecificationAdds) {
  if (::geteuid() != 0) GTEST_SKIP() << "an ordinary user's mounts are of the class";
  model::SliceSpec spec =
      spec_of({"sh", "-c",
               "cat /data/file; hostname; grep -c there /etc/hosts; cat /run/secrets/key; df -k /tmp | tail -n 1 | "
               "awk '{ print $2 }'; touch /new || echo read-only"});
  EXPECT_EQ(keep_parked(spec, 2).ready, 2u);
  std::filesystem::create_directory(folder_.path() + "/data");
  ASSERT_TRUE(os::write_file_atomic(folder_.path() + "/data/file", "of the host\n").ok());
  ::chmod(folder_.path().c_str(), 0755);
  spec.mounts = {{folder_.path() + "/data", "/data"}};
  spec.host_name = "there";
  spec.secrets = {{"key", "secret\n"}};
  spec.scratch_bytes = 1u << 20;
  const LauncherEvent ended = run(2, {.spec = spec});
  EXPECT_THAT(said_by(2), HasSubstr("of the host\nthere\n2\nsecret\n1024\n"));
  EXPECT_THAT(said_by(2), HasSubstr("read-only"));
  EXPECT_EQ(ended.started.path, StartPath::kParked);
}

TEST_F(LauncherTest, LimitsHoldInAParkedSlice) {
  if (::geteuid() != 0 || !sandbox::open_cgroups("/runink").ok()) GTEST_SKIP() << "control groups take root";
  model::SliceSpec spec = spec_of({"sh", "-c", "x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo $?"});
  spec.resources.memory_bytes = 32u << 20;
  EXPECT_EQ(keep_parked(spec, 1).ready, 1u);
  const LauncherEvent ended = run(2, {.spec = spec});
  EXPECT_EQ(ended.started.path, StartPath::kParked);
  EXPECT_THAT(ended.started.group, HasSubstr("local/"));
  ASSERT_FALSE(ended.end.limits_hit.empty());
  EXPECT_THAT(ended.end.limits_hit[0], HasSubstr("out of memory"));
}

// All that a slice has on the host, by what others can see of it.
struct Traces {
  std::set<pid_t> processes;     // whose parents lead to the launcher
  std::set<std::string> spaces;  // their network namespaces
};

Traces traces_of(pid_t launcher) {
  Traces traces;
  std::vector<pid_t> ancestors = {launcher};
  for (size_t i = 0; i < ancestors.size(); ++i) {
    const std::string number = std::to_string(ancestors[i]);
    std::ifstream children("/proc/" + number + "/task/" + number + "/children");
    for (pid_t child; children >> child;) {
      std::string name;
      std::getline(std::ifstream("/proc/" + std::to_string(child) + "/comm") >> std::ws, name);
      if (name == sandbox::kSpawnerName) continue;
      ancestors.push_back(child);
      traces.processes.insert(child);
      std::error_code ignored;
      traces.spaces.insert(std::filesystem::read_symlink("/proc/" + std::to_string(child) + "/ns/net", ignored));
    }
  }
  return traces;
}

TEST_F(LauncherTest, AParkedSliceThatDiedIsReplaced) {
  const auto spec = spec_of({"true"});
  EXPECT_EQ(keep_parked(spec, 2).ready, 2u);
  // Two each; one that was used before goes in a quiet moment.
  while (traces_of(launcher_.pid()).processes.size() != 4) (void)::usleep(1000);
  const pid_t parked = sandbox::child_of(launcher_.pid());
  ASSERT_GT(parked, 0);
  ASSERT_EQ(::kill(parked, SIGKILL), 0);
  (void)counters_once(&Counters::parked_died, 1);
  EXPECT_EQ(wait_for_pool(2).ready, 2u);
  EXPECT_EQ(run(2, {.spec = spec}).started.path, StartPath::kParked);
}

TEST_F(LauncherTest, WhatCannotBeParkedIsSaid) {
  model::SliceSpec spec = spec_of({"true"});
  EXPECT_FALSE(keep_parked(spec, 1'000'000).failed.ok());
  spec.herd = "other";
  EXPECT_TRUE(keep_parked(spec, 1).failed.ok());
}

// A file system in a program that never answers.
class Silent {
 public:
  explicit Silent(const std::string& folder)
      : folder_(folder), device_(::open("/dev/fuse", O_RDWR | O_CLOEXEC), "fuse") {
    const std::string options = "rootmode=40000,user_id=0,group_id=0,allow_other,fd=" + std::to_string(device_.get());
    mounted_ = device_.valid() && ::mount("silent", folder.c_str(), "fuse", 0, options.c_str()) == 0;
  }
  Silent(const Silent&) = delete;
  Silent& operator=(const Silent&) = delete;
  ~Silent() {
    if (mounted_) (void)::umount2(folder_.c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }

 private:
  const std::string folder_;
  const os::Fd device_;
  bool mounted_ = false;
};

class MountThatDoesNotAnswer : public LauncherTest {
 protected:
  void SetUp() override {
    LauncherTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (::geteuid() != 0) GTEST_SKIP() << "an ordinary user's launcher is his own";
    const std::string folder = folder_.path() + "/silent";
    ASSERT_TRUE(os::make_directories(folder, 0755).ok());
    silent_.emplace(folder);
    if (!silent_->mounted()) GTEST_SKIP() << "this host has no FUSE";
    waits_ = spec_of({"true"});
    waits_.mounts = {{folder, "/silent"}};
  }

  std::optional<Silent> silent_;
  model::SliceSpec waits_;
};

TEST_F(MountThatDoesNotAnswer, StopsNobodyElse) {
  ASSERT_TRUE(launcher_.launch(2, {.spec = waits_}, streams()).ok());
  ASSERT_TRUE(launcher_.launch(3, {.spec = waits_}, streams()).ok());
  EXPECT_EQ(run(4, {.spec = spec_of({"true"})}).end.code, 0);
  ASSERT_TRUE(launcher_.kill(2).ok());
  const LauncherEvent refused = next(2);
  EXPECT_EQ(refused.kind, Kind::kRefused);
  EXPECT_EQ(refused.refused.code(), Code::kCancelled);
  EXPECT_EQ(run(5, {.spec = spec_of({"true"})}).end.code, 0);
}

// Were its mount taken for one that answers, the launcher would look at it, and stop.
TEST_F(MountThatDoesNotAnswer, IsWaitedForAlsoWithAnotherSpawner) {
  EXPECT_EQ(run(2, {.spec = spec_of({"true"})}).end.code, 0);
  ASSERT_TRUE(launcher_.launch(3, {.spec = waits_}, streams()).ok());
  (void)counters();  // it has been taken
  const pid_t spawner = sandbox::spawner_of(launcher_.pid());
  ASSERT_GT(spawner, 0);
  ASSERT_EQ(::kill(spawner, SIGKILL), 0);
  while (sandbox::spawner_of(launcher_.pid()) == 0 || sandbox::spawner_of(launcher_.pid()) == spawner) {
    (void)::usleep(1000);
  }
  EXPECT_EQ(run(4, {.spec = spec_of({"true"})}).end.code, 0);
  ASSERT_TRUE(launcher_.kill(3).ok());
  const LauncherEvent refused = next(3);
  EXPECT_EQ(refused.kind, Kind::kRefused);
  EXPECT_EQ(refused.refused.code(), Code::kCancelled);
}

// An engine is a program that runs and waits for its work on descriptor 3.
TEST_F(LauncherTest, AnEngineStandsReadyAndGetsItsWork) {
  const auto spec = spec_of({"sh", "-c", "cat <&3 >&3"});
  EXPECT_EQ(keep_parked(spec, 1, SliceKind::kEngine).ready, 1u);
  for (uint64_t slice = 2; slice < 5; ++slice) {
    LauncherEvent started = start(slice, {.spec = spec, .kind = SliceKind::kEngine});
    ASSERT_EQ(started.kind, Kind::kStarted) << started.refused.to_string();
    if (slice == 2) {
      EXPECT_EQ(started.started.path, StartPath::kParked);
    }
    ASSERT_TRUE(started.control.valid());
    ASSERT_EQ(::send(started.control.get(), "work", 4, 0), 4);
    char answer[16] = {};
    ASSERT_EQ(::recv(started.control.get(), answer, sizeof answer, 0), 4);
    EXPECT_STREQ(answer, "work");
    started.control.reset();
    EXPECT_EQ(next(slice).end.code, 0);
  }
}

bool root_with_groups() { return ::geteuid() == 0 && sandbox::open_cgroups("/runink").ok(); }

// ── Slices that are used again ─────────────────────────────────────────────────────────────────────────────────────

// What becomes of the namespaces: they are clean, or were destroyed; or either, where it is the kernel that takes its
// time.
enum class Then { kClean, kDestroyed, kEither };

// What a slice may leave, and what the next one would see of it.
struct Left {
  const char* name;
  const char* leave;
  const char* look;
  const char* sees_nothing;
  Then then;
  uint32_t user = 1000;  // 0: of the ids of process 1, who owns the folders
};

constexpr const char* kPython = "python3";
const Left kLeft[] = {
    {"nothing", "pass", "print('clean')", "clean\n", Then::kClean},
    {"a file", "open('/tmp/left', 'w').write('x'); open('/dev/shm/left', 'w')",
     "import os; print(os.listdir('/tmp') + os.listdir('/dev/shm'))", "[]\n", Then::kClean},
    {"many files", "[open(f'/tmp/{i}', 'w') for i in range(1000)]", "import os; print(os.listdir('/tmp'))", "[]\n",
     Then::kDestroyed},
    {"a process",
     "import os, time\nif os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0: time.sleep(600)\n  "
     "os._exit(0)\nos.wait()",
     "import os; print(len([p for p in os.listdir('/proc') if p.isdigit()]))", "1\n", Then::kClean},
    {"an abstract socket",
     "import os, socket, time\ns = socket.socket(socket.AF_UNIX)\ns.bind('\\0left')\nif os.fork() == 0: "
     "time.sleep(600)",
     "import socket; socket.socket(socket.AF_UNIX).bind('\\0left'); print('free')", "free\n", Then::kClean},
    {"shared memory", "import ctypes; assert ctypes.CDLL(None).shmget(42, 4096, 0o1666) >= 0",
     "import ctypes; print(ctypes.CDLL(None).shmget(42, 0, 0))", "-1\n", Then::kDestroyed},
    {"semaphores", "import ctypes; assert ctypes.CDLL(None).semget(42, 1, 0o1666) >= 0",
     "import ctypes; print(ctypes.CDLL(None).semget(42, 0, 0))", "-1\n", Then::kDestroyed},
    {"a message queue", "import ctypes; assert ctypes.CDLL(None).msgget(42, 0o1666) >= 0",
     "import ctypes; print(ctypes.CDLL(None).msgget(42, 0))", "-1\n", Then::kDestroyed},
    // Landlock, where the kernel has it, lets nobody make one.
    {"a named message queue",
     "import ctypes, os; ctypes.CDLL(None).syscall(240, b'left', os.O_CREAT | os.O_RDWR, 0o666, None)",
     "import ctypes, os; print(ctypes.CDLL(None).syscall(240, b'left', os.O_RDONLY, 0, None))", "-1\n", Then::kEither},
    {"TIME_WAIT",
     "import socket\ns = socket.create_server(('127.0.0.1', 4242))\nc = socket.create_connection(('127.0.0.1', 4242))\n"
     "a, _ = s.accept()\nc.close()\na.recv(1)\na.close()",
     "import re; print(re.search('tw (\\\\d+)', open('/proc/self/net/sockstat').read())[1])", "0\n", Then::kDestroyed},
    {"a socket on its way in a socket",
     "import array, socket\na, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)\n"
     "a.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [a.fileno(), b.fileno()]))])\n"
     "b.sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [a.fileno(), b.fileno()]))])",
     "import socket; print(len(open('/proc/self/net/unix').readlines()) - 1)", "0\n", Then::kEither},
    {"a host name", "import socket\ntry: socket.sethostname('left')\nexcept OSError: pass",
     "import socket; print(socket.gethostname())", "slice\n", Then::kClean},
    {"a mode", "import os\ntry: os.chmod('/tmp', 0o700)\nexcept OSError: pass",
     "import os; print(oct(os.stat('/tmp').st_mode & 0o7777))", "0o1777\n", Then::kClean},
    {"a keyring", "import ctypes; ctypes.CDLL(None).syscall(248, b'user', b'left', b'x', 1, -3)",
     "import ctypes; print(ctypes.CDLL(None).syscall(249, b'user', b'left', None, 0))", "-1\n", Then::kClean},
    {"limits of process 1",
     "import resource\ntry: resource.prlimit(1, resource.RLIMIT_FSIZE, (12345, 12345))\nexcept PermissionError: pass",
     "import resource; print(resource.getrlimit(resource.RLIMIT_FSIZE))", "(-1, -1)\n", Then::kClean, 0},
    {"flags of a folder",
     "import array, fcntl, os; fcntl.ioctl(os.open('/tmp', os.O_RDONLY), 0x40086602, array.array('l', [0x40]))",
     "import array, fcntl, os\na = array.array('l', [0])\nfcntl.ioctl(os.open('/tmp', os.O_RDONLY), 0x80086601, a)\n"
     "print(a[0])",
     "0\n", Then::kDestroyed, 0},
    {"traffic that is counted",
     "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.sendto(b'x', ('127.0.0.1', 4242))",
     "print(open('/proc/self/net/dev').read().split('lo:')[1].split()[0])", "0\n", Then::kDestroyed},
};

class Recycling : public LauncherTest, public testing::WithParamInterface<Left> {};
INSTANTIATE_TEST_SUITE_P(Leaves, Recycling, testing::ValuesIn(kLeft), [](const auto& info) {
  std::string name = info.param.name;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return !std::isalnum(c); }, '_');
  return name;
});

TEST_P(Recycling, TheNextSliceSeesNothing) {
  const Left& left = GetParam();
  // With all that Python leaves in memory by itself out of the way.
  LaunchRequest first{.spec = spec_of({kPython, "-c", left.leave}), .recycle = true};
  first.spec.user = first.spec.group = left.user;
  ASSERT_EQ(run(2, std::move(first)).end.code, 0) << said_by(2);
  Counters after;
  do {
    after = counters();
  } while (after.scrubbed + after.scrub_failed < 1);
  LaunchRequest second{.spec = spec_of({kPython, "-c", left.look}), .recycle = true};
  second.spec.user = second.spec.group = left.user;
  const LauncherEvent ended = run(3, std::move(second));
  EXPECT_EQ(said_by(3), left.sees_nothing);
  if (left.then != Then::kEither) {
    EXPECT_EQ(after.scrub_failed, left.then == Then::kDestroyed ? 1u : 0u);
  }
  EXPECT_EQ(ended.started.path, after.scrubbed == 1 ? StartPath::kRecycled : StartPath::kCold);
}

// Root inside owns /tmp, and may have changed it.
TEST_F(LauncherTest, AChangedFolderIsNotUsedAgain) {
  if (::geteuid() != 0) GTEST_SKIP() << "an ordinary user has one user inside";
  model::SliceSpec spec = spec_of({"chmod", "0755", "/tmp"});
  spec.user = spec.group = 0;
  EXPECT_EQ(run(2, {.spec = spec, .recycle = true}).end.code, 0);
  EXPECT_EQ(counters_once(&Counters::scrub_failed, 1).scrubbed, 0u);
}

TEST_F(LauncherTest, NamespacesOfOneHerdAreNeverAnothers) {
  model::SliceSpec spec = spec_of({"true"});
  EXPECT_EQ(run(2, {.spec = spec, .recycle = true}).end.code, 0);
  (void)counters_once(&Counters::scrubbed, 1);
  spec.herd = "other";
  EXPECT_EQ(run(3, {.spec = spec, .recycle = true}).started.path, StartPath::kCold);
  spec.herd = "local";
  EXPECT_EQ(run(4, {.spec = spec, .recycle = false}).started.path, StartPath::kCold);
  EXPECT_EQ(run(5, {.spec = spec, .recycle = true}).started.path, StartPath::kRecycled);
}

TEST_F(LauncherTest, WhatGotSomethingOfTheHostIsNotUsedAgain) {
  if (::geteuid() != 0) GTEST_SKIP() << "an ordinary user's mounts are of the class";
  model::SliceSpec spec = spec_of({"true"});
  spec.secrets = {{"key", "secret"}};
  EXPECT_EQ(run(2, {.spec = spec, .recycle = true}).end.code, 0);
  spec.secrets.clear();
  EXPECT_EQ(run(3, {.spec = spec, .recycle = true}).started.path, StartPath::kCold);
}

TEST_F(LauncherTest, AUsedSliceGetsNothingButAProgram) {
  if (::geteuid() != 0) GTEST_SKIP() << "an ordinary user's mounts are of the class";
  model::SliceSpec spec = spec_of({"true"});
  EXPECT_EQ(run(2, {.spec = spec, .recycle = true}).end.code, 0);
  (void)counters_once(&Counters::scrubbed, 1);
  model::SliceSpec more = spec_of({"cat", "/run/secrets/key"});
  more.secrets = {{"key", "secret"}};
  EXPECT_EQ(run(3, {.spec = more, .recycle = true}).started.path, StartPath::kCold);
  EXPECT_EQ(said_by(3), "secret");
  EXPECT_EQ(run(4, {.spec = spec, .recycle = true}).started.path, StartPath::kRecycled);
}

// What limited the slice before is lifted.
TEST_F(LauncherTest, LimitsOfOneSliceAreNeverAnothers) {
  if (!root_with_groups()) GTEST_SKIP() << "control groups take root";
  constexpr uint64_t kSmall = 16u << 20;
  model::SliceSpec spec = spec_of({"sh", "-c", "x=$(head -c 30000000 /dev/zero | tr '\\0' x); echo enough"});
  model::SliceSpec small = spec_of({"true"});
  small.resources.memory_bytes = kSmall;
  small.resources.processes = 20;
  EXPECT_EQ(keep_parked(small, 1).ready, 1u);
  EXPECT_EQ(run(2, {.spec = small, .recycle = true}).end.code, 0);
  (void)counters_once(&Counters::scrubbed, 1);
  spec.resources.processes = 50;
  for (uint64_t slice = 3; slice < 6; ++slice) {
    const LauncherEvent ended = run(slice, {.spec = spec, .recycle = true});
    EXPECT_EQ(said_by(slice), "enough\n") << slice;
    EXPECT_EQ(ended.started.path, StartPath::kRecycled);
    (void)counters_once(&Counters::scrubbed, slice - 1);
  }
  // One that has them all, of other sizes, may have it.
  small.resources.memory_bytes = 2 * kSmall;
  EXPECT_NE(run(6, {.spec = small, .recycle = true}).started.path, StartPath::kCold);
}

TEST_F(LauncherTest, UsageIsThatOfOneSlice) {
  const auto busy = spec_of({"sh", "-c", "x=$(head -c 30000000 /dev/zero | tr '\\0' x)"});
  const uint64_t much = *run(2, {.spec = busy, .recycle = true}).end.usage.peak_memory_bytes;
  (void)counters_once(&Counters::scrubbed, 1);
  const LauncherEvent idle = run(3, {.spec = spec_of({"true"}), .recycle = true});
  EXPECT_EQ(idle.started.path, StartPath::kRecycled);
  EXPECT_LT(*idle.end.usage.peak_memory_bytes, much / 2);
}

// ── The end, however it comes ──────────────────────────────────────────────────────────────────────────────────────

bool all_gone(const std::set<pid_t>& processes) {
  return std::all_of(processes.begin(), processes.end(), [](pid_t pid) { return ::kill(pid, 0) != 0; });
}

// Each is waited for until the kernel has done with it.
void wait_until_gone(const std::set<pid_t>& processes) {
  for (int i = 0; i < 60'000 && !all_gone(processes); ++i) (void)::usleep(1000);
  EXPECT_TRUE(all_gone(processes));
}

size_t groups_of(pid_t launcher) {
  auto backend = sandbox::open_cgroups("/runink");
  if (!backend.ok()) return 0;
  const auto names = (*backend)->list("local");
  if (!names.ok()) return 0;
  return static_cast<size_t>(std::count_if(names->begin(), names->end(), [&](const std::string& name) {
    return name.starts_with(std::to_string(launcher) + ".");
  }));
}

TEST_F(LauncherTest, KilledItLeavesNothing) {
  model::SliceSpec spec = spec_of({"sleep", "600"});
  EXPECT_EQ(keep_parked(spec, 3).ready, 3u);
  for (uint64_t slice = 2; slice < 8; ++slice) EXPECT_EQ(start(slice, {.spec = spec}).kind, Kind::kStarted);
  // And some that are being made just then.
  for (uint64_t slice = 8; slice < 12; ++slice) ASSERT_TRUE(launcher_.launch(slice, {.spec = spec}, streams()).ok());
  const Traces before = traces_of(launcher_.pid());
  EXPECT_GE(before.processes.size(), 12u);
  ASSERT_EQ(::kill(launcher_.pid(), SIGKILL), 0);
  wait_until_gone(before.processes);
  for (;;) {
    const auto event = launcher_.next_event(kLong);
    if (event.ok()) continue;
    EXPECT_EQ(event.status().code(), Code::kUnavailable);
    break;
  }
}

TEST_F(LauncherTest, KilledProcessOneIsTheEndOfItsSlice) {
  const LauncherEvent begun = start(2, {.spec = spec_of({"sh", "-c", "setsid sleep 600 & exec sleep 600"})});
  ASSERT_EQ(begun.kind, Kind::kStarted);
  const Traces before = traces_of(launcher_.pid());
  ASSERT_EQ(::kill(begun.started.pid, SIGKILL), 0);
  EXPECT_EQ(next(2).end.signal, SIGKILL);
  wait_until_gone(before.processes);
}

// At any point between the request and the end: whatever is happening then, a moment later nothing is left.
TEST_F(LauncherTest, KilledAtAnyPointASliceLeavesNothing) {
  model::SliceSpec spec = spec_of({"sh", "-c", "sleep 600 & exec sleep 600"});
  if (root_with_groups()) spec.resources.processes = 50;
  for (int i = 0; i < 40; ++i) {
    auto own = LauncherClient::start({});
    ASSERT_TRUE(own.ok());
    ASSERT_TRUE(own->launch(1, {.spec = spec}, streams()).ok());
    (void)::usleep(static_cast<useconds_t>(i) * 250);
    const pid_t launcher = own->pid();
    const Traces before = traces_of(launcher);
    if (i % 2 == 0) {
      ASSERT_EQ(::kill(launcher, SIGKILL), 0);
    }
    *own = LauncherClient();  // waits for it
    wait_until_gone(before.processes);
    if (i % 2 == 1) {
      EXPECT_EQ(groups_of(launcher), 0u) << i;
    }
  }
  // What the killed ones left of groups goes with the next launcher that makes one.
  EXPECT_EQ(run(2, {.spec =
                        [&] {
                          model::SliceSpec last = spec;
                          last.argv = {"true"};
                          return last;
                        }()})
                .end.code,
            0);
}

// RUNINK_TEST_SLICES makes it as deep as one likes.
TEST_F(LauncherTest, ManySlicesLeaveNothing) {
  const char* deep = std::getenv("RUNINK_TEST_SLICES");
  const uint64_t count = deep != nullptr ? std::strtoull(deep, nullptr, 10) : 300;
  model::SliceSpec spec = spec_of({"true"});
  EXPECT_EQ(keep_parked(spec, 4).ready, 4u);
  model::SliceSpec limited = spec;
  if (root_with_groups()) limited.resources.processes = 20;
  constexpr uint64_t kAtOnce = 8;
  uint64_t next_slice = 2, ended = 0;
  const auto descriptors = [&] {
    size_t open = 0;
    std::error_code ignored;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator("/proc/" + std::to_string(launcher_.pid()) + "/fd", ignored)) {
      ++open;
    }
    return open;
  };
  const size_t before = descriptors();
  while (ended < count) {
    while (next_slice - 2 - ended < kAtOnce && next_slice - 2 < count) {
      LaunchRequest request{.spec = next_slice % 7 == 0 ? limited : spec, .recycle = next_slice % 3 == 0};
      if (next_slice % 11 == 0) request.spec.argv = {"no-such-program"};
      ASSERT_TRUE(launcher_.launch(next_slice, std::move(request), streams()).ok());
      if (next_slice % 13 == 0) {
        ASSERT_TRUE(launcher_.kill(next_slice).ok());
      }
      ++next_slice;
    }
    auto event = launcher_.next_event(kLong);
    ASSERT_TRUE(event.ok() && *event);
    ended += (*event)->kind == Kind::kEnded || (*event)->kind == Kind::kRefused ? 1 : 0;
  }
  // Used ones are kept, also those that are still being looked through; all else is gone a moment later.
  for (int i = 0; i < 6000 && traces_of(launcher_.pid()).processes.size() > 0; ++i) {
    for (const model::SliceSpec& of : {spec, limited}) {
      ASSERT_TRUE(launcher_.keep_parked({.spec = of, .count = 0}).ok());
    }
    for (auto event = launcher_.next_event(0); event.ok() && *event;) event = launcher_.next_event(0);
    (void)::usleep(10'000);
  }
  EXPECT_EQ(traces_of(launcher_.pid()).processes.size(), 0u);
  EXPECT_LE(descriptors(), before);
  const Counters counts = counters();
  EXPECT_EQ(counts.cold + counts.parked + counts.recycled + counts.refused, count + 1);
  EXPECT_EQ(counts.ended + counts.refused, count + 1);
  EXPECT_EQ(counts.parked_died, 0u);
  for (int i = 0; i < 6000 && groups_of(launcher_.pid()) > 0; ++i) (void)::usleep(10'000);
  EXPECT_EQ(groups_of(launcher_.pid()), 0u);
}

// ── The next owner ─────────────────────────────────────────────────────────────────────────────────────────────────

class Adoption : public LauncherTest {
 protected:
  void SetUp() override {
    LauncherTest::SetUp();
    if (IsSkipped()) return;
    path_ = folder_.path() + "/launcher.sock";
    auto started = LauncherClient::start({.listen_path = path_});
    ASSERT_TRUE(started.ok()) << started.status().to_string();
    launcher_ = std::move(*started);
  }
  void TearDown() override {
    if (launcher_.pid() <= 0) return;
    const pid_t pid = launcher_.pid();
    (void)launcher_.stop();
    launcher_ = LauncherClient();
    (void)::waitpid(pid, nullptr, 0);  // a child of this process, whoever owned it last
  }
  // As if the owner had been killed: its end of the socket is closed, and nothing else.
  void lose_owner() { launcher_ = LauncherClient(); }
  void next_owner() {
    for (int i = 0; i < 10'000; ++i) {
      auto connected = LauncherClient::connect(path_);
      if (connected.ok()) {
        launcher_ = std::move(*connected);
        return;
      }
      // Until it has noticed that it has none.
      ASSERT_EQ(connected.status().code(), Code::kAborted) << connected.status().to_string();
      (void)::usleep(1000);
    }
    FAIL() << "never without an owner";
  }

  std::string path_;
};

TEST_F(Adoption, GivesBackWhatThereIs) {
  auto output = os::make_pipe("output");
  LaunchDescriptors descriptors = streams();
  descriptors.output = output->write.get();
  descriptors.kept = {output->read.get()};
  const auto spec = spec_of({"sh", "-c", "echo before; read line; echo after $line"});
  auto input = os::make_pipe("input");
  descriptors.input = input->read.get();
  ASSERT_TRUE(launcher_.launch(7, {.spec = spec, .label = "mine"}, descriptors).ok());
  EXPECT_EQ(next(7).kind, Kind::kStarted);
  EXPECT_EQ(run(8, {.spec = spec_of({"sh", "-c", "exit 5"})}).end.code, 5);
  output->read.reset();
  output->write.reset();
  lose_owner();
  next_owner();
  EXPECT_EQ(launcher_.slices_at_connect(), 2u);
  auto state = launcher_.list(kLong);
  ASSERT_TRUE(state.ok()) << state.status().to_string();
  ASSERT_EQ(state->slices.size(), 2u);
  std::sort(state->slices.begin(), state->slices.end(), [](auto& a, auto& b) { return a.slice < b.slice; });
  const Adopted& running = state->slices[0];
  EXPECT_EQ(running.slice, 7u);
  EXPECT_EQ(running.record.state, SliceState::kRunning);
  EXPECT_EQ(running.record.label, "mine");
  EXPECT_EQ(running.record.herd, "local");
  EXPECT_EQ(state->slices[1].record.state, SliceState::kEnded);
  EXPECT_EQ(state->slices[1].record.end.code, 5);
  ASSERT_EQ(running.kept.size(), 1u);
  ASSERT_TRUE(os::write_all(input->write, "again\n").ok());
  EXPECT_EQ(next(7).end.code, 0);
  char text[64] = {};
  (void)*os::read_some(running.kept[0], text, sizeof text - 1);
  EXPECT_THAT(text, HasSubstr("before\n"));
  ASSERT_TRUE(launcher_.forget(7).ok());
  ASSERT_TRUE(launcher_.forget(8).ok());
  EXPECT_EQ(launcher_.list(kLong)->slices.size(), 0u);
}

TEST_F(Adoption, ThereIsOneOwner) {
  const auto second = LauncherClient::connect(path_);
  EXPECT_EQ(second.status().code(), Code::kAborted) << second.status().to_string();
  EXPECT_EQ(run(2, {.spec = spec_of({"true"})}).end.code, 0);
}

TEST_F(Adoption, WithoutANextOwnerAllEnds) {
  auto own = LauncherClient::start({.listen_path = folder_.path() + "/other.sock", .outlive_micros = 1000});
  ASSERT_TRUE(own.ok());
  ASSERT_TRUE(own->launch(1, {.spec = spec_of({"sleep", "600"})}, streams()).ok());
  ASSERT_EQ((*own->next_event(kLong))->kind, Kind::kStarted);
  const pid_t launcher = own->pid();
  Traces before = traces_of(launcher);
  *own = LauncherClient();
  wait_until_gone(before.processes);
  EXPECT_EQ(::waitpid(launcher, nullptr, 0), launcher);
  EXPECT_FALSE(os::exists(folder_.path() + "/other.sock"));
}

// What an owner says that makes no sense ends the connection, and not the launcher's other business.
TEST_F(Adoption, SurvivesAnOwnerThatMakesNoSense) {
  EXPECT_EQ(start(2, {.spec = spec_of({"sleep", "600"})}).kind, Kind::kStarted);
  lose_owner();
  for (const char* nonsense : {"", "x", "RNL1", "RNL1aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}) {
    for (int i = 0; i < 10'000; ++i) {
      auto socket = wire::connect_to(path_);
      ASSERT_TRUE(socket.ok());
      (void)::send(socket->get(), nonsense, std::string_view(nonsense).size(), MSG_NOSIGNAL);
      // The first word of one who may be its owner is that it is ready.
      wire::Channel channel(std::move(*socket));
      const auto first = channel.receive_within(kLong);
      if (first.ok() && (*first)->type == static_cast<uint16_t>(MessageType::kReady)) break;
    }
  }
  next_owner();
  EXPECT_EQ(launcher_.list(kLong)->slices.size(), 1u);
}

}  // namespace
}  // namespace runink::launcher
