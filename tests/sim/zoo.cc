// The bug zoo (level T3): puts one historical bug after the other back (animals.cc) and shows which levels of tests
// notice, and how soon. `core_zoo` prints the table of docs/internals/testing.md; exit 1 if a bug survives or the sound
// program is accused. `core_zoo [--jobs N] [RULE…]`: the animals of these rules only.
//
// Each run is a process of its own, since what notices may be a check that ends it.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "control/raft/core/cluster_in_test.h"
#include "testing/sim/simulation.h"
#include "tests/sim/animals.h"
#include "tests/sim/explore.h"

namespace runink::zoo_tests {
namespace {

// How long a level looks at most. Far more than any of them needs on a machine of its own; a level that takes longer
// has noticed nothing.
constexpr unsigned kSecondsOfALevel = 120;
constexpr uint64_t kRoundsOfGroups = 60, kClusters = 200;
// Where groups have noticed, the exploration is only asked for what it sees at once.
constexpr uint64_t kFewStates = 4'800'000, kManyStates = 20'000'000;

// What a level says of the program as it is in this process.
struct Finding {
  bool asked = false, caught = false;
  std::string where;  // "plain: 3 groups"
  std::string what;   // was noticed
};

std::string thousands(uint64_t n) {
  std::string out = std::to_string(n);
  for (int at = static_cast<int>(out.size()) - 3; at > 0; at -= 3) out.insert(static_cast<size_t>(at), ",");
  return out;
}

std::string read_all(int from) {
  std::string said;
  char buffer[4096];
  for (ssize_t n; (n = read(from, buffer, sizeof buffer)) > 0;) said.append(buffer, static_cast<size_t>(n));
  return said;
}

// Of what a level has printed: the last line that begins with "at " says how far it came.
void take_words(const std::string& said, Finding* out) {
  std::string running;  // the unit test that is
  for (size_t begin = 0; begin < said.size();) {
    const size_t end = std::min(said.find('\n', begin), said.size());
    const std::string line = said.substr(begin, end - begin);
    begin = end + 1;
    const size_t colon = line.find(": ");
    if (line.rfind("at ", 0) == 0) {
      out->where = line.substr(3);
    } else if (line.rfind("after ", 0) == 0 && colon != std::string::npos) {
      out->what = line.substr(colon + 2);
    } else if (line.rfind("noticed ", 0) == 0) {
      out->what = line.substr(8);
    } else if (line.rfind("[ RUN      ] ", 0) == 0) {
      running = line.substr(13);
    } else if (line.rfind("[  FAILED  ] ", 0) == 0 && out->what.empty()) {
      out->what = line.substr(13, line.find_first_of(" ,", 13) - 13);
    } else if (line.find("check failed") != std::string::npos || line.find("terminate called") == 0) {
      if (out->what.empty()) out->what = running.empty() ? "an assertion" : running + " (an assertion)";
    }
  }
  if (out->caught && out->what.empty())
    out->what = running.empty() ? "the process ended" : running + " (the process ended)";
}

// Runs `body` with the bugs in a process of its own. They were noticed if it ends other than with 0.
Finding in_child(const std::vector<Zoo>& variants, const std::function<int()>& body) {
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0) std::abort();
  if (child == 0) {
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    close(ends[0]);
    close(ends[1]);
    setvbuf(stdout, nullptr, _IOLBF, 0);
    for (Zoo variant : variants) put_back(variant);
    alarm(kSecondsOfALevel);
    const int status = body();
    std::fflush(nullptr);
    _exit(status);
  }
  close(ends[1]);
  const std::string said = read_all(ends[0]);
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  Finding out;
  out.asked = true;
  const bool late = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
  out.caught = !late && (!WIFEXITED(status) || WEXITSTATUS(status) != 0);
  take_words(said, &out);
  return out;
}

std::vector<raft::Scope> zoo_scopes() {
  using raft::Scope;
  std::vector<Scope> out;
  const auto add = [&](const char* name, int elections, int proposals, int channel) -> Scope& {
    Scope s;
    s.name = name;
    s.elections = elections;
    s.proposals = proposals;
    s.channel = channel;
    s.forget_stale = false;  // that is for a core which takes no notice of what is stale
    out.push_back(s);
    return out.back();
  };
  add("2 elections, 2 proposals", 2, 2, 1);
  add("2 elections, 1 proposal", 2, 1, 0).max_states = 300'000;
  add("2 elections, two reads", 2, 0, 1).reads = 2;
  Scope& crash = add("2 elections, a crash, a stall", 2, 0, 1);
  crash.crashes = crash.stalls = 1;
  add("2 elections, 1 proposal, one by one", 2, 1, 1).one_by_one = true;
  Scope& copies = add("2 elections, a heartbeat, two copies", 2, 0, 0);
  copies.duplicates = copies.heartbeats = 1;
  copies.max_states = 300'000;
  add("3 elections, one by one", 3, 0, 1).one_by_one = true;
  Scope& terms = add("3 elections, 1 proposal, one by one", 3, 1, 1);
  terms.one_by_one = true;
  terms.max_states = 400'000;
  Scope& lost = add("2 elections, 1 proposal, lost storage", 2, 1, 2);
  lost.losses = 1;
  lost.max_states = 1'600'000;
  Scope& known = add("2 elections, 1 proposal, lost storage, known ends", 2, 1, 2);
  known.losses = 1;
  known.known_ends = true;
  known.max_states = 1'600'000;
  Scope& figure_eight = add("4 elections, one by one", 4, 0, 1);
  figure_eight.one_by_one = figure_eight.forget_stale = true;
  figure_eight.max_states = 1'600'000;
  return out;
}

Finding by_exploration(const std::vector<Zoo>& variants, uint64_t most) {
  return in_child(variants, [most] {
    uint64_t states = 0;
    for (raft::Scope scope : zoo_scopes()) {
      if (states >= most) break;
      scope.max_states = std::min(scope.max_states, most - states);
      std::printf("at %s: the first states\n", scope.name.c_str());
      const raft::Exploration seen = raft::explore(scope);
      states += seen.states;
      std::printf("at %s: %s states\n", scope.name.c_str(), thousands(states).c_str());
      if (seen.fault.empty()) continue;
      std::printf("noticed %s\n", seen.fault.c_str());
      return 1;
    }
    return 0;
  });
}

Finding by_groups(const std::vector<Zoo>& variants) {
  return in_child(variants, [] {
    const std::vector<raft::GroupKind> kinds = raft::group_kinds();
    uint64_t count = 0;
    for (uint64_t seed = 1; seed <= kRoundsOfGroups; ++seed) {
      for (const raft::GroupKind& kind : kinds) {
        std::printf("at %s: %s groups\n", kind.name, thousands(++count).c_str());
        raft::Faults faults = kind.faults;
        if (seed % 2 == 0) faults.message_bytes = 1;
        raft::SimCluster cluster(seed, kind.voters, faults);
        cluster.run(10000);
        if (cluster.settle()) cluster.prove_liveness();
      }
    }
    return 0;
  });
}

Finding by_clusters(const std::vector<Zoo>& variants) {
  return in_child(variants, [] {
    for (uint64_t seed = 1; seed <= kClusters; ++seed) {
      std::printf("at %s seeds\n", thousands(seed).c_str());
      testing::SimulationOptions options;
      options.seed = seed;
      options.voters = seed % 3 == 0 ? 5 : 3;
      const std::string failure = testing::simulate(options).failure;
      if (failure.empty()) continue;
      std::printf("noticed %s\n", failure.substr(0, failure.find('\n')).c_str());
      return 1;
    }
    return 0;
  });
}

Finding by_tests(const std::vector<Zoo>& variants) {
  return in_child(variants, [] { return RUN_ALL_TESTS(); });
}

struct Findings {
  Finding exploration, groups, clusters, tests;
  bool noticed(unsigned levels) const {
    return (has(levels, Level::kExploration) && exploration.caught) || (has(levels, Level::kGroups) && groups.caught) ||
           (has(levels, Level::kClusters) && clusters.caught) || (has(levels, Level::kTests) && tests.caught);
  }
  bool anything() const { return exploration.caught || groups.caught || clusters.caught || tests.caught; }
};

Findings look_at(const std::vector<Zoo>& variants, unsigned levels) {
  Findings out;
  out.tests = by_tests(variants);
  if (has(levels, Level::kGroups)) out.groups = by_groups(variants);
  if (has(levels, Level::kExploration))
    out.exploration = by_exploration(variants, out.groups.caught ? kFewStates : kManyStates);
  if (has(levels, Level::kClusters)) out.clusters = by_clusters(variants);
  return out;
}

std::string cell(const Finding& finding) {
  if (!finding.asked) return "";
  if (!finding.caught) return ".";
  return (finding.where.empty() ? "" : finding.where + ": ") + finding.what;
}

std::string row(const Animal& animal, const Findings& found) {
  return std::string("| ") + animal.rule + " | " + animal.what + " | " + cell(found.exploration) + " | " +
         cell(found.groups) + " | " + cell(found.clusters) + " | " + cell(found.tests) + " |\n";
}

// One row, in a process of its own: what it prints, and whether it is as it should be.
struct Job {
  pid_t child;
  int from;
};
Job begin(const Animal& animal, bool sound) {
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  std::fflush(nullptr);
  const pid_t child = fork();
  if (child < 0) std::abort();
  if (child == 0) {
    close(ends[0]);
    const Findings found = look_at(animal.variants, animal.levels);
    const std::string text = row(animal, found);
    const bool told = write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
    _exit(told && (sound ? !found.anything() : found.noticed(animal.levels)) ? 0 : 1);
  }
  close(ends[1]);
  return {child, ends[0]};
}
bool end(const Job& job, const char* what) {
  const std::string text = read_all(job.from);
  close(job.from);
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
  int status = 0;
  waitpid(job.child, &status, 0);
  const bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
  if (!good) std::fprintf(stderr, "not as it should be: %s\n", what);
  return good;
}

int run(size_t jobs, const std::vector<std::string>& wanted) {
  const auto asked = [&](const char* rule) {
    return wanted.empty() || std::find(wanted.begin(), wanted.end(), rule) != wanted.end();
  };
  std::vector<Animal> all;
  if (wanted.empty())
    all.push_back({"", "nothing: all as it is", {}, Level::kExploration | Level::kGroups | Level::kClusters});
  for (const Animal& animal : animals()) {
    if (asked(animal.rule)) all.push_back(animal);
  }
  std::printf(
      "| Rule | What was put back | Exploration (T1) | Groups (T2) | Clusters (T2) | Unit tests (T0) |\n"
      "|---|---|---|---|---|---|\n");
  int wrong = 0;
  std::vector<Job> running;
  for (size_t shown = 0; shown < all.size(); ++shown) {
    while (running.size() < jobs && shown + running.size() < all.size()) {
      const Animal& next = all[shown + running.size()];
      running.push_back(begin(next, next.variants.empty()));
    }
    wrong += !end(running.front(), all[shown].what);
    running.erase(running.begin());
  }
  for (const Elsewhere& other : elsewhere()) {
    if (asked(other.rule)) std::printf("| %s | %s | not run here: %s | | | |\n", other.rule, other.what, other.where);
  }
  return wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace runink::zoo_tests

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  size_t jobs = 1;
  std::vector<std::string> wanted;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--jobs") == 0 && i + 1 < argc) {
      jobs = std::max<size_t>(1, std::strtoul(argv[++i], nullptr, 10));
    } else {
      wanted.emplace_back(argv[i]);
    }
  }
  return runink::zoo_tests::run(jobs, wanted);
}
