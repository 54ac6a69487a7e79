// Parts: a scenario cut into pieces that run apart, each in a slice of its own, one after the other as a chain.
//
// A scenario is cut behind a custom step where that changes nothing that anybody sees: what stands behind the step is
// reached through it alone, and everything before it has ended when its last answer comes. Then the dead letters of the
// parts, one part after the other, are those of the whole in their order, and no row has to carry where it came from
// across a cut, since a step's answers come from nowhere but the step. Everything else stays in one part: stages that
// differ only in what they ask for, branches that meet again, a step of which only one side is reached otherwise.
#pragma once

#include <optional>
#include <vector>

#include "data/plan/plan.h"

namespace runink::plan {

struct Part {
  // A plan of its own with the ids of the whole: what runs elsewhere is without effect in it. The step whose answers it
  // begins with stands in it as their source, a ScenarioInput that is read to its end.
  ScenarioPlan scenario;
  std::vector<OperatorId> operators;   // that run in it, ascending
  std::optional<OperatorId> begins;    // the step, of the part before, whose answers it begins with
  std::optional<OperatorId> hands_on;  // an Output operator behind all others: rows for the next part
};

// In the order of the chain; one part where nothing can be cut. Every operator is in exactly one part. Assertions that
// count are in none where there are several parts: see engine::merge_reports().
std::vector<Part> cut_into_parts(const ScenarioPlan& scenario);

}  // namespace runink::plan
