// What of a plan may show personal data, for everything that shows values: sinks, samples, messages, custom steps.
#pragma once

#include <string>
#include <vector>

#include "data/plan/plan.h"

namespace runink::plan {

// The mask method by which a column is shown to who may not see it: "" as it is. The field itself by its own mask; what
// was computed from it, or from fields of different masks, wholly ("all"). What a contract leaves open is gone ("null") once
// it may hold pii.
std::string shown_mask(const ColumnInfo& column);

bool reveals_pii(const std::vector<ColumnInfo>& columns);
// Whether rows with pii go into this operator: then whatever a program says in it may hold values of them.
bool receives_pii(const ScenarioPlan& scenario, const Operator& op);

// Names of all columns that reveal pii anywhere in the scenario, sorted, each once.
std::vector<std::string> pii_names(const ScenarioPlan& scenario);

}  // namespace runink::plan
