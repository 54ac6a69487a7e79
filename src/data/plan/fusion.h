// Fusion: which operators run in one process.
//
// A stage is a connected set of operators with the same needs (@requires, @affinity), run in one slice. Every operator
// joins the stage of its inputs unless there is a reason not to: it is a custom step (a process of its own), it asks
// for something else than its neighbour, or its inputs come from several stages. The reason is kept, for people.
#pragma once

#include <string>
#include <vector>

#include "data/plan/plan.h"

namespace runink::plan {

struct Stage {
  uint32_t id = 0;                    // from 0, in the order of their first operator
  std::string name;                   // "stage 1", or the name of a custom step
  std::vector<OperatorId> operators;  // ascending
  std::vector<uint32_t> reads_from;   // stages, ascending
  Requires needs;
  std::vector<std::string> affinity;
  bool own_process = false;  // a custom step
  std::string why;           // why it is a stage of its own: "custom steps run in a process of their own"
};

// Every operator is in exactly one stage, and stages form no cycle.
std::vector<Stage> fuse(const ScenarioPlan& scenario);

// "cpu 2, memory 512Mi, gpu 1, label fast"; "" when nothing is asked for.
std::string needs_text(const Requires& needs);
// "512Mi" as people write it, where it is a round number of those.
std::string memory_text(uint64_t bytes);

// How many worker threads `needs.cpu` allows on one machine: whole ones, at least one; 0 when it does not say.
uint32_t threads_allowed(const Requires& needs);

}  // namespace runink::plan
