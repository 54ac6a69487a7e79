// Golden cases: folders with fixed input and what must come of it. docs/guide/testing.md tells users about them.
//
//   golden/<stem of the feature's file>/<scenario>/          a case itself, or the folder of several:
//   golden/<stem of the feature's file>/<scenario>/<case>/
//     input/<source>.ndjson     stands in for the source with that file stem, csv and so on as well; input.ndjson (in the
//                               case's folder or in input/) for the scenario's first source
//     input/<scenario>.ndjson   stands in for the output of another scenario; <scenario>.<sink>.ndjson for a named one
//     expected/<sink>.ndjson    what a sink must hold; expected.ndjson where there is one sink
//     rejected.ndjson           the dead letters that must come of it, one object a line: line, rules, record
//     steps/<step>.ndjson       recorded answers that stand in for a step
//     steps-out/<step>.ndjson   what a step must give, for `--only STEP`
//     case.toml                 now, order, threads, memory, assertions, error
//   golden/…/steps/<step>/      one step alone: input.ndjson (input2.ndjson …), expected.ndjson, rejected.ndjson
//
// <scenario> and <step> are names in small letters with _ for everything but letters and digits (slug()).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "data/plan/plan.h"

namespace runink::local {

struct GoldenCase {
  std::string feature;   // path from the project root
  std::string scenario;  // name
  std::string folder;    // path from the project root
  std::string step;      // slug of the step that is tested alone; empty: the whole scenario
};

// What case.toml says.
struct GoldenSettings {
  int64_t now_micros = 946684800'000'000;  // 2000-01-01T00:00:00Z, so that a case never depends on when it runs
  bool free_order = false;                 // order = "free": lines are sorted before they are compared
  uint32_t threads = 1;
  uint64_t memory_budget_bytes = 64u << 20;
  bool assertions = false;                 // whether assertions and error-severity quality rules must hold too
  std::string error;                       // the run must fail with an error that holds this text
};

// Names as folders have them: "Clean the feed" is clean_the_feed.
std::string slug(std::string_view name);

// All cases of a feature: below its golden folder, and those that GoldenTest sections name (which may be missing).
// `strangers` (may be null) gets folders that belong to no scenario.
Result<std::vector<GoldenCase>> find_golden_cases(const std::string& project_root, const plan::Plan& plan,
                                                  std::vector<std::string>* strangers);
bool is_golden_case(const std::string& folder);  // absolute path: whether it holds any of the files above

Result<GoldenSettings> read_golden_settings(const std::string& project_root, const std::string& case_folder);

// The file <folder>/<name>.<ext> with the first of the extensions ndjson, jsonl, json, csv, tsv, arrow, arrows that is
// there, as an absolute path; empty if none is.
std::string find_data_file(const std::string& folder, std::string_view name);

}  // namespace runink::local
