// Operators in words: one canonical line for each, the same for every wording of the same meaning.
#pragma once

#include <string>
#include <vector>

#include "data/plan/plan.h"

namespace runink::plan {

// "keep delay > 15", "set route = origin + \"-\" + destination", "join inner airports on origin = iata". Without
// position, name or sentence; equal lines of one kind mean equal work.
std::string describe(const ScenarioPlan& scenario, const Operator& op);

// "delay > 15" as it is printed everywhere; "otherwise" for an invalid one.
std::string text_of(const TypedExpr& expression);

// Where a source or sink is: the path, "standard input", or the command line.
std::string place_of(const std::string& locator, const std::vector<std::string>& exec, bool is_sink);

// Columns of an operator: "date: timestamp, delay: int32?".
std::string columns_text(const Operator& op);

// Whether the operator needs all its input before it gives any output (sort, group), or its input 1 (join).
bool is_blocking(const Parameters& parameters);

}  // namespace runink::plan
