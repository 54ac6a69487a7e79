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
  SimCluster::Totals all;
  for (uint64_t seed = first; seed < first + seeds; ++seed) {
    Faults faults;
    const uint64_t kind = seed % 6;
    faults.snapshots = kind == 1 || kind == 5;
    faults.transfers = kind == 2 || kind == 5;
    faults.change_members = kind == 3 || kind == 5;
    faults.wipe = kind >= 4 ? 0.001 : 0;
    if (seed % 7 == 0) faults.message_bytes = 1;
    const size_t voters = 1 + 2 * (seed / 6 % 3);
    running = seed;
    SimCluster cluster(seed, voters, faults);
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
