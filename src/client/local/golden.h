// Running golden cases: what came of the fixed input compared with what is expected, or written there.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/stop.h"
#include "client/local/golden_case.h"
#include "client/local/project.h"

namespace runink::local {

struct GoldenOptions {
  CompileOptions compile;
  std::vector<std::string> cases;  // only cases in these folders (a path from the project root, or its last part); empty: all
  std::string only;                // stop after this step
  std::string step;                // only tests of this step alone
  bool update = false;             // write what came out where it differs
  uint32_t threads = 0;            // instead of what case.toml says
  std::string runi_slice;
  const StopFlag* stop = nullptr;
};

struct GoldenResult {
  GoldenCase golden;
  bool passed = false;
  std::string problem;                // why it failed, several lines: an error, or diffs
  std::string printed;                // --only: what the step gave, where nothing is expected of it
  std::vector<std::string> written;   // --update: files written or removed, paths from the project root
  double seconds = 0;
};

struct GoldenReport {
  std::vector<GoldenResult> results;
  std::vector<std::string> notes;     // folders that belong to no scenario, …
  size_t passed = 0, failed = 0;
};

// Runs the cases of these features (paths from the project root), one after the other; `on_result` (may be empty) is told of each as it
// ends. A feature that does not compile counts as one failed case, if it has cases. kNotFound where there is nothing to
// run; an interruption is an error of kind "run.interrupted".
Result<GoldenReport> run_golden_cases(const Project& project, const std::vector<std::string>& features,
                                      const GoldenOptions& options,
                                      const std::function<void(const GoldenResult&)>& on_result);

// Runs one case and writes what came of it as what is expected: how a case is made from input alone.
Result<GoldenResult> record_golden_case(const Project& project, const plan::Plan& plan, const GoldenCase& golden,
                                        const GoldenOptions& options);

// Source or ScenarioInput operators of a scenario by the names that stand-ins may have, best first: the flow first.
struct CaseInput {
  plan::OperatorId op = 0;
  bool flow = false;               // the scenario's first source: input.ndjson stands in for it too
  std::vector<std::string> names;
};
std::vector<CaseInput> case_inputs(const plan::ScenarioPlan& scenario);

}  // namespace runink::local
