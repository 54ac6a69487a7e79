// runink-sim: runs seeds of the simulation, and says what they did. `./dev sim` is its door.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "testing/sim/simulation.h"

namespace {

using runink::testing::FaultKind;
using runink::testing::SimulationReport;

constexpr const char* kUsage =
    R"(usage: runink-sim [--seeds N] [--from SEED] [--seconds S] [--jobs N] [--voters N] [--verbose]
Runs simulations of a whole cluster with the seeds SEED … SEED+N-1 (default 1 and 500), for at most S seconds of this machine's
time, in N processes. Prints the seed of a failure: --from SEED --seeds 1 --verbose repeats it. Exit code 1 if one failed.
)";

// Sums over seeds, as they are sent from child to parent: plain numbers.
struct Sums {
  uint64_t seeds = 0, counted = 0, failed = 0, events = 0, simulated_seconds = 0;
  uint64_t faults[static_cast<size_t>(FaultKind::kCount)] = {};
  uint64_t operations = 0, answered = 0, open = 0, tries = 0;
  uint64_t transactions = 0, aborted = 0, unknown = 0, told = 0, resumed = 0, compacted = 0, snapshots_watched = 0;
  uint64_t leaders = 0, truncations = 0, snapshots_made = 0, snapshots_installed = 0, membership_changes = 0,
           repaired = 0, torn = 0, damaged = 0, starts = 0, stopped = 0;
  uint64_t leaders_of_seed[8] = {};  // 0, 1, 2, 3-4, 5-8, 9-16, 17-32, more

  void add(const SimulationReport& r) {
    ++seeds;
    counted += r.counts();
    failed += !r.failure.empty();
    events += r.events;
    simulated_seconds += static_cast<uint64_t>(r.simulated / 1'000'000);
    for (size_t i = 0; i < r.faults.size(); ++i) faults[i] += r.faults[i];
    operations += r.clients.operations;
    answered += r.clients.answered;
    open += r.clients.open;
    tries += r.clients.tries;
    transactions += r.lists.committed;
    aborted += r.lists.aborted;
    unknown += r.lists.unknown;
    told += r.watches.changes;
    resumed += r.watches.resumed;
    compacted += r.watches.compacted;
    snapshots_watched += r.watches.snapshots;
    leaders += r.leaders;
    truncations += r.nodes.truncations;
    snapshots_made += r.nodes.snapshots_made;
    snapshots_installed += r.nodes.snapshots_installed;
    membership_changes += r.membership_changes;
    repaired += r.nodes.repaired;
    torn += r.nodes.torn;
    damaged += r.nodes.damaged;
    starts += r.nodes.starts;
    stopped += r.nodes.faults_stopped;
    size_t bucket = 0;
    while (bucket < 7 && r.leaders > (bucket < 3 ? bucket : uint64_t{1} << (bucket - 1))) ++bucket;
    ++leaders_of_seed[bucket];
  }
  void add(const Sums& other) {
    const auto* from = reinterpret_cast<const uint64_t*>(&other);
    auto* to = reinterpret_cast<uint64_t*>(this);
    for (size_t i = 0; i < sizeof(Sums) / sizeof(uint64_t); ++i) to[i] += from[i];
  }
};
static_assert(sizeof(Sums) % sizeof(uint64_t) == 0 && std::is_trivially_copyable_v<Sums>);

void print(const Sums& s, double seconds) {
  std::printf(
      "%llu seeds in %.1f s: %llu failed, %llu count (a minute, 1,000 operations, three kinds of faults, a change of "
      "leader)\n",
      (unsigned long long)s.seeds, seconds, (unsigned long long)s.failed, (unsigned long long)s.counted);
  const auto row = [](const char* what, uint64_t n) { std::printf("  %-22s %12llu\n", what, (unsigned long long)n); };
  row("events", s.events);
  row("simulated seconds", s.simulated_seconds);
  row("operations", s.operations);
  row("  answered", s.answered);
  row("  outcome unknown", s.open);
  row("  tries", s.tries);
  row("transactions", s.transactions);
  row("  overtaken", s.aborted);
  row("  outcome unknown", s.unknown);
  row("changes watched", s.told);
  row("  watches resumed", s.resumed);
  row("  past was compacted", s.compacted);
  row("  state was replaced", s.snapshots_watched);
  row("terms with a leader", s.leaders);
  row("truncations of a log", s.truncations);
  row("snapshots made", s.snapshots_made);
  row("snapshots installed", s.snapshots_installed);
  row("membership changes", s.membership_changes);
  row("starts of a process", s.starts);
  row("stopped by its disk", s.stopped);
  row("torn tails cut", s.torn);
  row("damage found", s.damaged);
  row("votes regained", s.repaired);
  std::printf("faults\n");
  for (size_t i = 0; i < static_cast<size_t>(FaultKind::kCount); ++i)
    row(runink::testing::name(static_cast<FaultKind>(i)), s.faults[i]);
  std::printf("seeds by terms with a leader\n");
  const char* const buckets[] = {"0", "1", "2", "3-4", "5-8", "9-16", "17-32", "more"};
  for (size_t i = 0; i < 8; ++i) row(buckets[i], s.leaders_of_seed[i]);
}

// What a long run must have seen of everything: else the simulation does not test what it says.
int missing(const Sums& s) {
  if (s.seeds < 1000) return 0;
  int zero = 0;
  const auto need = [&](const char* what, uint64_t n) {
    if (n > 0) return;
    std::printf("not seen in %llu seeds: %s\n", (unsigned long long)s.seeds, what);
    ++zero;
  };
  for (size_t i = 0; i < static_cast<size_t>(FaultKind::kCount); ++i)
    need(runink::testing::name(static_cast<FaultKind>(i)), s.faults[i]);
  need("elections", s.leaders);
  need("transactions", s.transactions);
  need("transactions overtaken", s.aborted);
  need("watches resumed", s.resumed);
  need("watches whose past was compacted", s.compacted);
  need("watches under which the state was replaced", s.snapshots_watched);
  need("truncations", s.truncations);
  need("snapshots", s.snapshots_installed);
  need("membership changes", s.membership_changes);
  need("repairs", s.repaired);
  return zero;
}

struct Arguments {
  uint64_t from = 1, seeds = 500, voters = 3, jobs = 1;
  double seconds = 1e9;
  bool verbose = false;
};

Sums run(const Arguments& a, uint64_t job) {
  Sums sums;
  const auto begin = std::chrono::steady_clock::now();
  for (uint64_t i = job; i < a.seeds; i += a.jobs) {
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() > a.seconds) break;
    const uint64_t seed = a.from + i;
    // Two of three seeds have three voters, the third one five.
    const size_t voters = a.voters == 0 ? (seed % 3 == 0 ? 5 : 3) : a.voters;
    const SimulationReport report =
        runink::testing::simulate({.seed = seed, .voters = voters, .duration = 60'000'000, .clients = {}});
    sums.add(report);
    if (!report.failure.empty()) {
      std::printf("seed %llu: %s\n", (unsigned long long)seed, report.failure.c_str());
    } else if (a.verbose) {
      std::printf("seed %llu: %llu events, %llu operations, %llu leaders\n", (unsigned long long)seed,
                  (unsigned long long)report.events, (unsigned long long)report.clients.operations,
                  (unsigned long long)report.leaders);
    }
    std::fflush(stdout);
  }
  return sums;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments a;
  a.voters = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const auto number = [&](auto& into) {
      if (i + 1 >= argc) return false;
      char* end = nullptr;
      const double value = std::strtod(argv[++i], &end);
      if (*end != 0 || value < 0) return false;
      into = static_cast<std::remove_reference_t<decltype(into)>>(value);
      return true;
    };
    const bool fine = word == "--seeds"     ? number(a.seeds)
                      : word == "--from"    ? number(a.from)
                      : word == "--seconds" ? number(a.seconds)
                      : word == "--jobs"    ? number(a.jobs) && a.jobs > 0
                      : word == "--voters"  ? number(a.voters)
                      : word == "--verbose" ? (a.verbose = true)
                                            : false;
    if (!fine) {
      std::fputs(kUsage, stderr);
      return 2;
    }
  }
  const auto begin = std::chrono::steady_clock::now();
  Sums sums;
  if (a.jobs == 1) {
    sums = run(a, 0);
  } else {
    std::vector<std::pair<pid_t, int>> children;
    for (uint64_t job = 0; job < a.jobs; ++job) {
      int ends[2];
      if (::pipe(ends) != 0) return 1;
      const pid_t pid = ::fork();
      if (pid < 0) return 1;
      if (pid == 0) {
        ::close(ends[0]);
        const Sums mine = run(a, job);
        const bool told = ::write(ends[1], &mine, sizeof mine) == static_cast<ssize_t>(sizeof mine);
        ::_exit(told ? 0 : 1);
      }
      ::close(ends[1]);
      children.emplace_back(pid, ends[0]);
    }
    for (const auto& [pid, end] : children) {
      Sums theirs;
      size_t got = 0;
      while (got < sizeof theirs) {
        const ssize_t n = ::read(end, reinterpret_cast<char*>(&theirs) + got, sizeof theirs - got);
        if (n <= 0) break;
        got += static_cast<size_t>(n);
      }
      ::close(end);
      int status = 0;
      (void)::waitpid(pid, &status, 0);
      if (got != sizeof theirs || status != 0) {
        std::printf("a process of the simulation ended with status %d\n", status);
        ++sums.failed;
        continue;
      }
      sums.add(theirs);
    }
  }
  print(sums, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  return sums.failed > 0 || missing(sums) > 0 ? 1 : 0;
}
