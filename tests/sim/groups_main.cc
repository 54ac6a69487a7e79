// core_groups [--seeds N] [--first N]: groups of cores under faults (cluster_in_test.h), many of them. Prints what has
// happened in all; a failing seed ends the program, and its line is the last one. These are groups of the core alone:
// no journal, no state machine, no checked history of clients, so they are none of the seeds that the design of the
// Barn counts.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "control/raft/core/cluster_in_test.h"

namespace {
volatile uint64_t running = 0;
void tell_seed(int) {
  std::fprintf(stderr, "to repeat it: --first %llu --seeds 1\n", static_cast<unsigned long long>(running));
}
}  // namespace

int main(int argc, char** argv) {
  using namespace runink::raft;
  std::signal(SIGABRT, tell_seed);  // then the program ends
  uint64_t seeds = 1000, first = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    if (std::strcmp(argv[i], "--seeds") == 0) seeds = std::strtoull(argv[i + 1], nullptr, 10);
    if (std::strcmp(argv[i], "--first") == 0) first = std::strtoull(argv[i + 1], nullptr, 10);
  }
  const auto started = std::chrono::steady_clock::now();
  const std::vector<GroupKind> kinds = group_kinds();
  SimCluster::Totals all;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    GroupKind kind = kinds[seed % kinds.size()];
    if (seed % 7 == 0) kind.faults.message_bytes = 1;
    running = seed;
    SimCluster cluster(seed, kind.voters, kind.faults);
    cluster.run(20000);
    if (cluster.settle()) cluster.prove_liveness();
    const SimCluster::Totals& t = cluster.totals();
    uint64_t SimCluster::Totals::*const fields[] = {
        &SimCluster::Totals::events,      &SimCluster::Totals::proposals, &SimCluster::Totals::committed,
        &SimCluster::Totals::elections,   &SimCluster::Totals::crashes,   &SimCluster::Totals::cuts,
        &SimCluster::Totals::truncations, &SimCluster::Totals::snapshots, &SimCluster::Totals::changes,
        &SimCluster::Totals::reads,       &SimCluster::Totals::wipes,     &SimCluster::Totals::transfers};
    for (auto field : fields) all.*field += t.*field;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count();
  std::printf(
      "%llu groups in %.1f s: %llu events, %llu proposals, %llu committed, %llu elections, %llu crashes, %llu cuts, "
      "%llu truncated, %llu snapshots, "
      "%llu changes of membership, %llu reads, %llu losses of storage, %llu transfers\n",
      static_cast<unsigned long long>(seeds), seconds, static_cast<unsigned long long>(all.events),
      static_cast<unsigned long long>(all.proposals), static_cast<unsigned long long>(all.committed),
      static_cast<unsigned long long>(all.elections), static_cast<unsigned long long>(all.crashes),
      static_cast<unsigned long long>(all.cuts), static_cast<unsigned long long>(all.truncations),
      static_cast<unsigned long long>(all.snapshots), static_cast<unsigned long long>(all.changes),
      static_cast<unsigned long long>(all.reads), static_cast<unsigned long long>(all.wipes),
      static_cast<unsigned long long>(all.transfers));
  return 0;
}
