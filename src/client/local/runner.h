// The embedded runner: runs a feature on this machine, with nothing started.
//
// Each scenario is a run of its own under one parent run, in dependency order. A scenario whose rows another one reads
// leaves them as typed rows under .runink/spool until the parent run is done, so that `resume` really skips what is
// complete. Nothing of a scenario is published until its balances, error-severity rules and assertions hold.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/stop.h"
#include "client/local/project.h"
#include "data/engine/execution.h"
#include "data/ledger/run_record.h"
#include "data/plan/plan.h"

namespace runink::local {

class ScenarioRunner;

struct RunOptions {
  std::string feature;                     // path from the project root
  std::string scenario;                    // only this one and what it depends on; empty: all
  CompileOptions compile;
  uint32_t threads = 0;                    // 0: the project's setting, else all processors
  uint64_t memory_budget_bytes = 0;        // 0: the project's setting
  std::optional<int64_t> now_micros;
  bool reveal = false;
  std::string command;                     // the command line, for the record
  const StopFlag* stop = nullptr;
  std::string resume_of;                   // run id of the parent run to go on from
  std::string restart_of;                  // … or to begin anew
  std::string runi_slice;
  ScenarioRunner* runner = nullptr;        // null: in this process
  std::map<std::string, std::string> labels;
  engine::Fault fault;                     // tests only, as the next two
  std::string fault_scenario;
  size_t chunk_bytes = 0;
  // Called once for each scenario before it starts, and about five times a second while it runs.
  std::function<void(const std::string& scenario, const engine::Progress& progress, double seconds)> on_progress;
  std::function<void(const std::string& note)> on_note;   // what a person should know, one line each
  std::function<void(const ledger::RunRecord& record, const plan::ScenarioPlan& scenario)> on_scenario;  // one has ended
};

struct RunOutcome {
  ledger::RunRecord parent;
  std::vector<ledger::RunRecord> scenarios;   // those that ran, in order
  std::vector<std::string> skipped;           // complete already, in a resumed run
  Status status;                              // of the whole: OK, kind "data.wrong" (rules), "run.interrupted", or an error
};

// A Status when the run could not even begin (the feature does not compile, another run holds the project).
Result<RunOutcome> run_feature(const Project& project, const RunOptions& options);

// "2026-01-31T12:00:00Z" as microseconds; false if it is no such time.
bool parse_now(const std::string& text, int64_t* micros);

// The scenarios that must run for `scenario` (all for ""), in order; kNotFound names the nearest.
Result<std::vector<const plan::ScenarioPlan*>> select_scenarios(const plan::Plan& plan, const std::string& scenario);

}  // namespace runink::local
