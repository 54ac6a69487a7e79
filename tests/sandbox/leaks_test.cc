// Nothing is left of slices, as others on the host see it: after many of them, and after one of the processes that make
// a slice was killed, at each of its system calls.
//
//   RUNINK_TEST_SLICES=10000   that many slices
//   RUNINK_TEST_STEP=1         kills at every stop instead of a dozen of them
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>

#include "leak_counters_in_test.h"
#include "platform/os/file.h"
#include "platform/os/machine.h"
#include "platform/os/temp.h"
#include "stop_at_call_in_test.h"
#include "worker/launcher/launcher_client.h"
#include "worker/network/lab_in_test.h"
#include "worker/sandbox/cgroup.h"

namespace runink::sandbox {
namespace {

using launcher::LauncherClient;
using launcher::LauncherEvent;
using launcher::LaunchRequest;
using Kind = LauncherEvent::Kind;

constexpr int64_t kLong = 60'000'000;
constexpr uint64_t kBystander = 1'000'000;

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

// What is asked of a slice besides that it runs a program.
enum class Wants { kNothing, kLimits, kFiles, kNetwork };

class LeaksTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "needs root, to look into processes and to make mounts and networks";
    if (const Status can = can_follow(); !can.ok()) GTEST_SKIP() << can.to_string();
    folder_ = std::move(*os::TempFolder::create(""));
    ASSERT_EQ(::chmod(folder_.path().c_str(), 0755), 0);
    std::filesystem::create_directory(folder_.path() + "/data");
    nothing_ = std::move(*os::open_file("/dev/null", os::OpenMode::kReadWrite));
    herd_ = "leaks-" + std::to_string(::getpid());
    limits_ = open_cgroups("/runink").ok();
    if (const Status own = host_.enter(); !own.ok()) GTEST_SKIP() << own.to_string();
  }
  void TearDown() override {
    lab_.reset();
    host_.leave();
  }

  // Servers and an outside world for slices that reach it; false where this kernel cannot.
  bool make_lab() {
    Status able = network::probe();
    if (able.ok()) {
      auto lab = network::Lab::make();
      if (lab.ok()) {
        lab_ = std::move(*lab);
        return true;
      }
      able = lab.status();
    }
    std::printf("without networks: %s\n", able.to_string().c_str());
    return false;
  }

  model::SliceSpec spec_of(Wants wants, std::vector<std::string> argv = {"true"}) const {
    model::SliceSpec spec;
    spec.argv = std::move(argv);
    spec.herd = herd_;
    model::add_default_environment(&spec);
    if (wants == Wants::kLimits && limits_) {
      spec.resources.processes = 20;
      spec.resources.memory_bytes = 256u << 20;
    }
    if (wants == Wants::kFiles) {
      spec.mounts = {{folder_.path() + "/data", "/data"}};
      spec.secrets = {{"key", "secret"}};
      spec.host_name = "there";
    }
    if (wants == Wants::kNetwork && lab_) spec.network.endpoints.push_back(*model::parse_endpoint("192.0.2.1:8000"));
    return spec;
  }

  std::unique_ptr<LauncherClient> start_launcher() {
    auto started = LauncherClient::start({});
    EXPECT_TRUE(started.ok()) << started.status().to_string();
    return started.ok() ? std::make_unique<LauncherClient>(std::move(*started)) : nullptr;
  }
  Status launch(LauncherClient* launcher, uint64_t slice, LaunchRequest request, int input = -1) {
    const int nothing = nothing_.get();
    return launcher->launch(slice, std::move(request),
                            {.input = input < 0 ? nothing : input, .output = nothing, .error = nothing});
  }
  // The next that is not of a pool; kRefused with the reason where nothing comes.
  static LauncherEvent next(LauncherClient* launcher) {
    for (;;) {
      auto event = launcher->next_event(kLong);
      if (!event.ok() || !*event) {
        LauncherEvent nothing{.kind = Kind::kRefused};
        nothing.refused = event.ok() ? deadline_exceeded("nothing for a minute") : event.status();
        return nothing;
      }
      if ((*event)->kind != Kind::kPool) return std::move(**event);
    }
  }
  // From its start to its end: how it ended, or why it was refused.
  LauncherEvent run(LauncherClient* launcher, uint64_t slice, const model::SliceSpec& spec) {
    EXPECT_TRUE(launch(launcher, slice, {.spec = spec}).ok());
    LauncherEvent event = next(launcher);
    return event.kind == Kind::kStarted ? next(launcher) : std::move(event);
  }

  LeaksOf leaks_of() const { return {.herds = {herd_}, .launchers = {}, .spared = {}}; }

  os::TempFolder folder_;
  os::Fd nothing_;
  std::string herd_;
  bool limits_ = false;
  OwnHost host_;
  std::unique_ptr<network::Lab> lab_;
};

// ── Many ───────────────────────────────────────────────────────────────────────────────────────────────────────────

class ManySlices : public LeaksTest {
 protected:
  // Of every kind one, in turn. Those that are killed at once may have been refused, or have ended.
  LaunchRequest request_of(uint64_t number) const {
    constexpr Wants kWants[] = {Wants::kNothing, Wants::kLimits,  Wants::kNothing, Wants::kFiles,
                                Wants::kNothing, Wants::kNetwork, Wants::kNothing};
    LaunchRequest request{.spec = spec_of(kWants[number % std::size(kWants)])};
    if (number % 11 == 0) request.spec.argv = {"no-such-program"};
    if (number % 17 == 0) {
      request.spec.argv = {"sh", "-c", "(setsid sleep 600 &); sleep 600"};
      request.spec.time_limit_micros = 20'000;
      request.spec.grace_micros = 20'000;
    }
    request.recycle = number % 4 == 2;
    return request;
  }
  void run_many(LauncherClient* launcher, uint64_t first, uint64_t count) {
    constexpr uint64_t kAtOnce = 8;
    uint64_t next_slice = first, done = 0;
    while (done < count) {
      while (next_slice - first - done < kAtOnce && next_slice - first < count) {
        ASSERT_TRUE(launch(launcher, next_slice, request_of(next_slice)).ok());
        if (next_slice % 13 == 0) {
          ASSERT_TRUE(launcher->kill(next_slice).ok());
        }
        ++next_slice;
      }
      const LauncherEvent event = next(launcher);
      if (event.kind == Kind::kStarted) continue;
      const bool refused = event.kind == Kind::kRefused;
      const bool should = event.slice % 11 == 0 || event.slice % 13 == 0;
      ASSERT_TRUE(!refused || should) << event.slice << ": " << event.refused.to_string();
      ++done;
    }
  }
  // Used slices are kept for the next ones of their class until none are wanted, and some are still being looked
  // through.
  void want_none(LauncherClient* launcher) {
    for (const Wants wants : {Wants::kNothing, Wants::kLimits}) {
      EXPECT_TRUE(launcher->keep_parked({.spec = spec_of(wants), .count = 0}).ok());
    }
    for (auto event = launcher->next_event(0); event.ok() && *event;) event = launcher->next_event(0);
  }
  // Waits at most half a minute until `done`, wanting none.
  LeakCounters settled(LauncherClient* launcher, const std::function<bool(const LeakCounters&)>& done) {
    LeakCounters now;
    for (int i = 0; i < 600; ++i) {
      want_none(launcher);
      now = count_leaks(leaks_of());
      // The launcher keeps the herd's own, unless another that starts meanwhile, of a test beside this one, takes it
      // away, as it does with all that are empty.
      std::erase_if(now.groups, [&](const std::string& group) { return group.ends_with("/" + herd_); });
      if (done(now)) break;
      (void)::usleep(50'000);
    }
    return now;
  }
};

TEST_F(ManySlices, LeaveNothing) {
  const uint64_t count = number_from("RUNINK_TEST_SLICES", 300);
  (void)make_lab();
  const LeakCounters without_launcher = count_leaks(leaks_of());
  const uint64_t dying_before = dying_memory_groups();
  auto launcher = start_launcher();
  ASSERT_TRUE(launcher);
  // What a launcher keeps once it has had slices of every kind: the herd's group, sockets to speak to the kernel by.
  ASSERT_NO_FATAL_FAILURE(run_many(launcher.get(), 1, 60));
  const LeakCounters::Things launchers = {"runi-launcher", "runi-spawner"};
  const LeakCounters idle = settled(launcher.get(), [&](const LeakCounters& now) {
    return now.processes == launchers && now.groups.empty() && now.locks.empty() && now.rules.empty() &&
           now.links.empty();
  });
  ASSERT_EQ(idle.processes, launchers) << difference(without_launcher, idle);
  ASSERT_NO_FATAL_FAILURE(run_many(launcher.get(), 1000, count));
  const LeakCounters after = settled(launcher.get(), [&](const LeakCounters& now) { return now == idle; });
  EXPECT_EQ(difference(idle, after), "");
  launcher.reset();
  EXPECT_EQ(difference_in_the_end(without_launcher, leaks_of()), "");
  RecordProperty("slices", std::to_string(count));
  RecordProperty("dying_memory_groups_before", std::to_string(dying_before));
  RecordProperty("dying_memory_groups_after", std::to_string(dying_memory_groups()));
}

// ── Killed at every system call ────────────────────────────────────────────────────────────────────────────────────

struct Case {
  const char* name;
  CountedProcess which;
  Wants wants;
  bool parked = false;  // one stands ready: the start is that of a parked slice, and then the pool is filled again
};

const Case kCases[] = {
    {"Launcher", CountedProcess::kLauncher, Wants::kNothing},
    {"LauncherWithParkedSlices", CountedProcess::kLauncher, Wants::kLimits, true},
    {"LauncherWithFiles", CountedProcess::kLauncher, Wants::kFiles},
    {"LauncherWithNetwork", CountedProcess::kLauncher, Wants::kNetwork},
    {"Spawner", CountedProcess::kSpawner, Wants::kNothing},
    {"SpawnerWithLimits", CountedProcess::kSpawner, Wants::kLimits},
    {"ProcessOne", CountedProcess::kInit, Wants::kNothing},
    {"ProcessOneWithLimits", CountedProcess::kInit, Wants::kLimits},
    {"ProcessOneWithFiles", CountedProcess::kInit, Wants::kFiles},
    {"Program", CountedProcess::kProgram, Wants::kNothing},
};

class KilledAtEveryCall : public LeaksTest, public testing::WithParamInterface<Case> {
 protected:
  struct Outcome {
    bool killed = false, launcher_gone = false;
    uint64_t stops = 0;
    std::vector<Kind> told;
  };

  // Follows the process through the life of a slice, and a moment longer, or kills it at one of its stops.
  void launch_and_kill(LauncherClient* launcher, uint64_t slice, uint64_t stop, Outcome* out) {
    KillAtCall killer(GetParam().which, stop);
    const Status begun = killer.begin(launcher->pid());
    ASSERT_TRUE(begun.ok()) << begun.to_string();
    ASSERT_TRUE(launch(launcher, slice, {.spec = spec_of(GetParam().wants)}).ok());
    const int64_t deadline = os::monotonic_nanos() + kLong * 1000;
    bool final = false;
    int64_t final_nanos = 0;
    for (;;) {
      ASSERT_LT(os::monotonic_nanos(), deadline) << "stop " << stop << (final ? ": lives on" : ": nothing was told");
      killer.handle();
      while (!out->launcher_gone) {
        auto event = launcher->next_event(0);
        out->launcher_gone = !event.ok();
        if (!event.ok() || !*event) break;
        if ((*event)->slice != slice) continue;
        out->told.push_back((*event)->kind);
        final = final || (*event)->kind == Kind::kEnded || (*event)->kind == Kind::kRefused;
      }
      final = final || out->launcher_gone;
      if (final && killer.killed()) break;
      // A spawner that took another's place looks for what that one left, for a while.
      constexpr int64_t kLongEnoughNanos = 200'000'000;
      if (final && final_nanos == 0) final_nanos = os::monotonic_nanos();
      if (final && os::monotonic_nanos() - final_nanos > kLongEnoughNanos) break;
      struct pollfd waiting[] = {{killer.descriptor(), POLLIN, 0},
                                 {out->launcher_gone ? -1 : launcher->descriptor(), POLLIN, 0}};
      constexpr int kMomentMillis = 30;
      if (::poll(waiting, 2, final ? kMomentMillis : 1000) == 0 && final) break;
    }
    out->killed = killer.killed();
    out->stops = killer.stops();
    EXPECT_EQ(out->launcher_gone, out->killed && GetParam().which == CountedProcess::kLauncher);
  }

  // With what there is before the slice; a number that goes on with each call.
  using Once = std::function<void(uint64_t stop, Outcome* out)>;
  void at_every_stop(const Once& once) {
    Outcome whole;
    ASSERT_NO_FATAL_FAILURE(once(0, &whole));
    ASSERT_GT(whole.stops, 10u);
    constexpr uint64_t kKills = 12;
    const uint64_t step = number_from("RUNINK_TEST_STEP", std::max<uint64_t>(1, whole.stops / kKills));
    uint64_t kills = 0;
    for (uint64_t stop = 1; stop <= whole.stops; stop += step) {
      SCOPED_TRACE("stop " + std::to_string(stop));
      Outcome out;
      ASSERT_NO_FATAL_FAILURE(once(stop, &out));
      ASSERT_FALSE(HasNonfatalFailure());
      if (!out.killed) break;
      ++kills;
    }
    EXPECT_GT(kills, 5u);
    RecordProperty("kills", std::to_string(kills));
    RecordProperty("stops", std::to_string(whole.stops));
    std::printf("killed at %lu of %lu stops\n", kills, whole.stops);
  }

  // The launcher goes, and all with it. What it left of rules goes when the next one connects a slice.
  void kill_launchers() {
    const LeakCounters before = count_leaks(leaks_of());
    at_every_stop([&](uint64_t stop, Outcome* out) {
      auto launcher = start_launcher();
      ASSERT_TRUE(launcher);
      if (GetParam().parked) {
        ASSERT_TRUE(launcher->keep_parked({.spec = spec_of(GetParam().wants), .count = 1}).ok());
        for (uint32_t ready = 0; ready < 1;) {
          auto event = launcher->next_event(kLong);
          ASSERT_TRUE(event.ok() && *event && (*event)->pool.failed.ok());
          ready = (*event)->pool.ready;
        }
      }
      ASSERT_NO_FATAL_FAILURE(launch_and_kill(launcher.get(), 1, stop, out));
      launcher.reset();
      if (GetParam().wants == Wants::kNetwork) {
        auto next_launcher = start_launcher();
        ASSERT_TRUE(next_launcher);
        const LauncherEvent event = run(next_launcher.get(), 1, spec_of(Wants::kNetwork));
        EXPECT_EQ(event.kind, Kind::kEnded) << event.refused.to_string();
      }
      EXPECT_EQ(difference_in_the_end(before, leaks_of()), "");
    });
  }

  // The launcher lives, and so does another slice; the next start is like any.
  void kill_others() {
    const LeakCounters without_launcher = count_leaks(leaks_of());
    auto launcher = start_launcher();
    ASSERT_TRUE(launcher);
    auto input = os::make_pipe("input");
    ASSERT_TRUE(input.ok());
    ASSERT_TRUE(launch(launcher.get(), kBystander, {.spec = spec_of(Wants::kLimits, {"cat"})}, input->read.get()).ok());
    ASSERT_EQ(next(launcher.get()).kind, Kind::kStarted);
    uint64_t slice = 1;
    EXPECT_EQ(run(launcher.get(), slice++, spec_of(GetParam().wants)).kind, Kind::kEnded);
    // Launcher, spawner, and the other slice's process 1 and program: nothing is left of that one.
    LeakCounters before;
    const auto is_settled = [&] {
      std::set<std::string> groups;  // the herd's and the other slice's, in each hierarchy
      for (const std::string& path : before.groups) groups.insert(path.substr(path.rfind('/')));
      return before.processes.size() == 4 && before.locks.size() == 1 && groups.size() <= 2;
    };
    for (int i = 0; i < 1000 && !is_settled(); ++i) {
      before = count_leaks(leaks_of());
      (void)::usleep(2000);
    }
    ASSERT_TRUE(is_settled()) << difference({}, before);
    at_every_stop([&](uint64_t stop, Outcome* out) {
      ASSERT_NO_FATAL_FAILURE(launch_and_kill(launcher.get(), slice++, stop, out));
      const LauncherEvent event = run(launcher.get(), slice++, spec_of(GetParam().wants));
      EXPECT_EQ(event.kind, Kind::kEnded) << event.refused.to_string();
      EXPECT_EQ(event.end.code, 0);
      EXPECT_EQ(difference_in_the_end(before, leaks_of()), "");
    });
    input->write.reset();
    const LauncherEvent event = next(launcher.get());
    EXPECT_EQ(event.slice, kBystander);
    EXPECT_TRUE(event.kind == Kind::kEnded && event.end.exited && event.end.code == 0);
    launcher.reset();
    EXPECT_EQ(difference_in_the_end(without_launcher, leaks_of()), "");
  }
};
INSTANTIATE_TEST_SUITE_P(Of, KilledAtEveryCall, testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

TEST_P(KilledAtEveryCall, NothingIsLeft) {
  if (GetParam().wants == Wants::kLimits && !limits_) GTEST_SKIP() << "this host has no control groups for limits";
  if (GetParam().wants == Wants::kNetwork && !make_lab()) GTEST_SKIP() << "this kernel has no networks for slices";
  if (GetParam().which == CountedProcess::kLauncher) {
    kill_launchers();
  } else {
    kill_others();
  }
}

}  // namespace
}  // namespace runink::sandbox
