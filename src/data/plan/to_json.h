// A plan as JSON: what the ledger keeps of a run, what `runi plan -o json` prints, what two plans are compared by.
//
// Stable: members are only added, `format` says since when. Keys are in a fixed order and nothing depends on addresses
// or hashing, so equal plans give equal text.
#pragma once

#include <string>

#include "data/plan/plan.h"

namespace runink::plan {

inline constexpr int kPlanFormat = 1;

// `indent` < 0: one line.
std::string to_json(const Plan& plan, int indent = 2);
// One scenario of it, with the same members as in the whole.
std::string to_json(const Plan& plan, const ScenarioPlan& scenario, int indent = 2);

// One scenario alone, without what it shares with others: to see that two plans mean the same.
std::string to_json(const ScenarioPlan& scenario);

}  // namespace runink::plan
