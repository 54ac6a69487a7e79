// Column lineage of a scenario's outputs: which columns of which sources each output column was made from, and which
// columns decided about rows. Plain values; the ledger turns them into OpenLineage facets.
#pragma once

#include <string>
#include <vector>

#include "data/plan/plan.h"

namespace runink::plan {

// Where data comes from or goes to, as the plan knows it.
struct Dataset {
  enum class Kind { kFile, kStandard, kProgram, kScenario } kind = Kind::kFile;
  std::string locator;           // kFile: path as written; kProgram: the command line
  std::string scenario, output;  // kScenario: as in ScenarioInput
  bool operator==(const Dataset&) const = default;
};

struct InputColumn {
  OperatorId source = 0;  // Source or ScenarioInput
  std::string column;
  std::string how;  // IDENTITY, TRANSFORMATION, AGGREGATION; for rows: FILTER, JOIN, GROUP_BY, SORT, CONDITIONAL
  bool masked = false;
  std::string description;  // the expression or sentence; may be empty
  bool operator==(const InputColumn&) const = default;
};

struct OutputColumn {
  std::string column;
  std::vector<InputColumn> inputs;  // in the order of source, column
};

struct OutputLineage {
  OperatorId sink = 0;  // Sink (not of rejected records) or Output
  std::string name;
  Dataset dataset;  // kScenario for an Output: this scenario itself
  std::vector<OutputColumn> columns;
  std::vector<InputColumn> rows;  // what decided which rows are there
};

// `revealed`: of a run whose sinks masked nothing (--reveal).
std::vector<OutputLineage> lineage_of(const ScenarioPlan& scenario, bool revealed = false);
Dataset dataset_of(const ScenarioPlan& scenario, const Operator& op);

}  // namespace runink::plan
