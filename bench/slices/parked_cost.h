// What a slice that only stands ready takes.
#pragma once

#include "base/status.h"
#include "starters.h"

namespace runink::bench {

struct ParkedCost {
  double private_kib = 0;   // of its processes: pages that nobody else has (smaps)
  double resident_kib = 0;  // with those that all of them share
  double kernel_kib = 0;    // what the kernel's own memory grew by: stacks, page tables, slabs, per-processor data
  double processes = 0;
  int slices = 0;
};

// Of so many, parked for this. Root, or the owner of the launcher, since /proc is asked.
Result<ParkedCost> measure_parked_cost(const model::SliceSpec& spec, int slices);

}  // namespace runink::bench
