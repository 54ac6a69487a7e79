// Operators in words: one canonical line for each, the same for every wording of the same meaning.
#pragma once

#include <string>

#include "data/plan/plan.h"

namespace runink::plan {

// "keep delay > 15", "set route = origin + \"-\" + destination", "join inner airports on origin = iata". Without
// position, name or sentence; equal lines of one kind mean equal work.
std::string describe(const ScenarioPlan& scenario, const Operator& op);

// "delay > 15" and "count()" as they are printed everywhere; "" for null.
std::string text_of(const TypedExprPtr& expression);
std::string text_of(const AggregatePtr& aggregate);

// Columns of an operator: "date: timestamp, delay: int32?".
std::string columns_text(const Operator& op);

// Whether the operator needs all its input before it gives any output (sort, group), or its input 1 (join).
bool is_blocking(const Parameters& parameters);

}  // namespace runink::plan
