// One scenario run on stand-ins: sources read files that the caller names, sinks write into a folder that is removed
// afterwards, and nothing is left in the ledger. For golden cases.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/stop.h"
#include "client/local/project.h"
#include "data/plan/plan.h"

namespace runink::local {

struct StandInOptions {
  std::map<plan::OperatorId, std::string> inputs;        // Source and ScenarioInput operators → file (absolute)
  std::map<plan::OperatorId, std::string> step_answers;  // Program operators → recorded answers
  int64_t now_micros = 0;
  uint32_t threads = 1;
  uint64_t memory_budget_bytes = 64u << 20;
  bool judge_rules = false;      // assertions and quality rules must hold
  std::string runi_slice;
  const StopFlag* stop = nullptr;
};

// A dead letter as a golden case sees it: without what differs from machine to machine.
struct CaseLetter {
  std::string source;              // name of the stand-in file
  int64_t line = 0;
  std::vector<std::string> rules;
  std::string record;              // pii fields masked
  bool valid_text = true;          // else `record` is base64
};

struct StandInResult {
  std::map<std::string, std::string> outputs;  // "orders.ndjson" → what the sink wrote
  std::vector<CaseLetter> letters;             // as they were written
};

// `scenario` is changed as needed: what reads files reads the stand-ins, every sink writes a file of its own, Arrow sinks
// write NDJSON, and where the valid branch goes nowhere it becomes the sink "output". Secrets of hash() and tokenise()
// are the same on every machine. An error is what the run failed with.
Result<StandInResult> run_on_stand_ins(const Project& project, plan::ScenarioPlan scenario, const StandInOptions& options);

// The operators that `last` needs, and sinks for what it gives: "NAME" or, of a split, "NAME.BRANCH" for each port.
plan::ScenarioPlan only_until(const plan::ScenarioPlan& scenario, plan::OperatorId last, const std::string& sink_name);

// The step alone: its inputs become ScenarioInput operators 0, 1, …; sinks as above.
Result<plan::ScenarioPlan> step_alone(const plan::ScenarioPlan& scenario, plan::OperatorId step, const std::string& sink_name);

}  // namespace runink::local
