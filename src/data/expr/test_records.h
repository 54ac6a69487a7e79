// Records that the tests of expressions look at: one field of every type.
#pragma once

#include "data/columnar/builder.h"
#include "data/expr/check.h"
#include "data/expr/eval.h"

namespace runink::expr {

// Fields by name and type: see the .cc. Three rows: plain values, nulls, and values at the edge.
const columnar::Batch& test_records();
// More rows for aggregates: some values, some nulls.
const columnar::Batch& test_group();
Scope test_scope();
// now() is 2024-03-01T12:00:00Z.
EvalContext test_context();

// One value as the case files show it.
std::string show(const columnar::Column& column, int64_t row);
// The text as a source of its own.
SourceTextPtr source_of(std::string text);

}  // namespace runink::expr
