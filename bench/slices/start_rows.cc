#include "start_rows.h"

#include <errno.h>
#include <time.h>

#include <map>
#include <memory>

#include "starters.h"
#include "stopwatch.h"

namespace runink::bench {
namespace {

constexpr uint32_t kParked = 72;  // so many that after the starts of a row no refilling is urgent
constexpr uint32_t kFew = 8;      // so few that refilling goes on beside the starts, as it must when they never pause
constexpr int64_t kInterval = 5'000'000;

struct Kind {
  std::string name;
  std::unique_ptr<Starter> starter;
  int starts;  // in a row: fewer of what is slow
  LauncherStarter* launcher = nullptr;
};

struct Series {
  std::vector<double> first, whole;  // microseconds
  double cpu_seconds = 0;
};

struct Figures {
  Summary first, whole;
  double cpu_micros = 0;  // a start
};

// At the next whole interval; what takes longer than one begins with the one after it.
void wait_for_interval(int64_t origin) {
  const int64_t next = origin + ((now_nanos() - origin) / kInterval + 1) * kInterval;
  const struct timespec until = {next / 1'000'000'000, next % 1'000'000'000};
  while (::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {
  }
}

// Time for what the row before has left to the kernel: namespaces and control groups go after the process that had
// them.
void settle() {
  const struct timespec tenth = {0, 100'000'000};
  (void)::nanosleep(&tenth, nullptr);
}

Status run_row(Kind* kind, bool paced, Series* series) {
  RUNINK_RETURN_IF_ERROR(kind->starter->prepare(kind->starts));
  settle();
  const double before = kind->starter->cpu_seconds();
  const int64_t origin = now_nanos();
  for (int i = 0; i < kind->starts; ++i) {
    if (paced) wait_for_interval(origin);
    auto start = kind->starter->once();
    if (!start.ok()) return std::move(start).status().with_context(kind->name);
    series->first.push_back(static_cast<double>(start->first - start->asked) * 1e-3);
    series->whole.push_back(static_cast<double>(start->reaped - start->asked) * 1e-3);
  }
  // What a launcher does about these starts it has not all done when the last one has ended.
  RUNINK_RETURN_IF_ERROR(kind->starter->prepare(kind->starts));
  series->cpu_seconds += kind->starter->cpu_seconds() - before;
  return {};
}

class StartBench {
 public:
  explicit StartBench(const Setting& setting) : setting_(setting) {}

  Status run() {
    RUNINK_RETURN_IF_ERROR(add_kinds());
    for (const bool paced : {false, true}) {
      std::map<std::string, Series> series;
      for (Kind& kind : kinds_) {  // the first starts of each fill caches
        Series unused;
        RUNINK_RETURN_IF_ERROR(run_row(&kind, false, &unused));
      }
      for (int round = 0; round < setting_.options().rounds; ++round) {
        for (Kind& kind : kinds_) RUNINK_RETURN_IF_ERROR(run_row(&kind, paced, &series[kind.name]));
      }
      figures_.clear();
      for (auto& [name, all] : series) {
        const double count = static_cast<double>(all.first.size());
        figures_[name] = {summarise(all.first), summarise(all.whole), all.cpu_seconds * 1e6 / count};
      }
      print(paced ? "every 5 ms" : "back to back");
    }
    return {};
  }

 private:
  Status add_launcher(const std::string& name, const model::SliceSpec& spec, const LauncherUse& use) {
    auto starter = LauncherStarter::make(spec, use);
    if (!starter.ok()) return std::move(starter).status().with_context(name);
    LauncherStarter* launcher = starter->get();
    kinds_.push_back({name, std::move(*starter), 50, launcher});
    return {};
  }
  // A peer that is not installed is left out, and said to be.
  Status add_peer(const std::string& name, Result<std::unique_ptr<Starter>> starter, int starts) {
    if (!starter.ok() && starter.status().code() == Code::kNotFound) {
      std::fprintf(stderr, "left out: %s\n", starter.status().to_string().c_str());
      return {};
    }
    kinds_.push_back({name, RUNINK_TRY(std::move(starter)), starts});
    return {};
  }
  Result<std::unique_ptr<Starter>> bubblewrap() const {
    return make_command_starter(RUNINK_TRY(setting_.bubblewrap()));
  }
  Result<std::unique_ptr<Starter>> runc() const {
    return make_bundle_starter("runc", RUNINK_TRY(setting_.bundle()), setting_.state_folder());
  }

  Status add_kinds() {
    RUNINK_RETURN_IF_ERROR(add_peer("bare", make_command_starter(setting_.bare()), 50));
    const bool limits = setting_.limits();
    if (setting_.wanted("slices.start.parked")) {
      RUNINK_RETURN_IF_ERROR(add_launcher("parked", setting_.spec("bench", limits), {.parked = kParked}));
      RUNINK_RETURN_IF_ERROR(add_launcher("parked, few", setting_.spec("bench", limits), {.parked = kFew}));
      RUNINK_RETURN_IF_ERROR(
          add_launcher("parked, one mount", setting_.spec("bench", limits, true), {.parked = kParked}));
    }
    if (setting_.wanted("slices.start.cold")) {
      RUNINK_RETURN_IF_ERROR(add_launcher("cold", setting_.spec("bench"), {}));
      if (limits) RUNINK_RETURN_IF_ERROR(add_launcher("cold, limits", setting_.spec("bench", true), {}));
    }
    if (setting_.wanted("slices.exec")) {
      RUNINK_RETURN_IF_ERROR(add_peer("exec", make_command_starter(setting_.exec()), 10));
    }
    RUNINK_RETURN_IF_ERROR(add_peer("bwrap", bubblewrap(), 10));
    return add_peer("runc", runc(), 3);
  }

  // To the first instruction on both sides.
  void print_first(const std::string& bench, const std::string& kind, const char* arrival, double goal,
                   double p99_goal) {
    const auto ours = figures_.find(kind), bare = figures_.find("bare");
    if (ours == figures_.end()) return;
    Row row = row_of(bench, kind, "bare", arrival, ours->second, bare->second);
    row.ratio = bare->second.first.p50 / ours->second.first.p50;
    row.goal = goal;
    row.numbers.emplace_back("p99_ratio", bare->second.first.p99 / ours->second.first.p99);
    if (p99_goal > 0) row.numbers.emplace_back("p99_goal", p99_goal);
    setting_.print(row);
  }
  // Whole commands on both sides: from being asked for to reaped.
  void print_whole(const std::string& bench, const std::string& kind, const std::string& peer, const char* arrival,
                   double goal) {
    const auto ours = figures_.find(kind), theirs = figures_.find(peer);
    if (ours == figures_.end() || theirs == figures_.end()) return;
    Row row = row_of(bench, kind, peer, arrival, ours->second, theirs->second);
    row.ratio = theirs->second.whole.p50 / ours->second.whole.p50;
    row.goal = goal;
    row.numbers.emplace_back("p99_ratio", theirs->second.whole.p99 / ours->second.whole.p99);
    setting_.print(row);
  }
  Row row_of(const std::string& bench, const std::string& kind, const std::string& peer, const char* arrival,
             const Figures& ours, const Figures& theirs) {
    Row row{.bench = bench, .peer = peer};
    row.words = {{"arrival", arrival}, {"kind", kind}};
    row.numbers = {{"first_us", ours.first.p50},
                   {"peer_first_us", theirs.first.p50},
                   {"first_p99_us", ours.first.p99},
                   {"peer_first_p99_us", theirs.first.p99},
                   {"whole_us", ours.whole.p50},
                   {"peer_whole_us", theirs.whole.p50},
                   {"cpu_us", ours.cpu_micros},
                   {"peer_cpu_us", theirs.cpu_micros},
                   {"starts", static_cast<double>(ours.first.count)}};
    for (const Kind& one : kinds_) {
      if (one.name != kind || one.launcher == nullptr) continue;
      const auto& paths = one.launcher->paths();
      const double all = static_cast<double>(paths.cold + paths.parked + paths.recycled);
      row.numbers.emplace_back("parked_percent", 100 * static_cast<double>(paths.parked) / all);
    }
    return row;
  }

  void print(const char* arrival) {
    print_first("slices.start.parked", "parked", arrival, 1 / 1.5, 0.5);
    print_first("slices.start.parked", "parked, few", arrival, 0, 0);
    print_first("slices.start.parked", "parked, one mount", arrival, 0, 0);
    print_whole("slices.start.parked", "parked", "bwrap", arrival, 8);
    print_whole("slices.start.parked", "parked", "runc", arrival, 40);
    print_first("slices.start.cold", "cold", arrival, 0, 0);
    print_whole("slices.start.cold", "cold", "bwrap", arrival, 2);
    print_whole("slices.start.cold", "cold, limits", "runc", arrival, 1);
    print_first("slices.exec", "exec", arrival, 0, 0);
    print_whole("slices.exec", "exec", "bwrap", arrival, 0);
    print_whole("slices.exec", "exec", "runc", arrival, 0);
  }

  const Setting& setting_;
  std::vector<Kind> kinds_;
  std::map<std::string, Figures> figures_;
};

}  // namespace

Status start_rows(const Setting& setting) {
  if (!setting.wanted("slices.start.parked") && !setting.wanted("slices.start.cold") && !setting.wanted("slices.exec"))
    return {};
  return StartBench(setting).run();
}

}  // namespace runink::bench
