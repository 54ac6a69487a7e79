// Who runs one scenario: this process, or slices (apps/isolate). What is around it, the ledger, publishing, retries and
// resume, is the same for both and stays with the feature's run (runner.h).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/stop.h"
#include "client/local/local_io.h"
#include "data/dsl/bundle.h"
#include "data/engine/execution.h"
#include "data/plan/plan.h"

namespace runink::local {

// All of it outlives the run of the scenario.
struct ScenarioWork {
  const plan::ScenarioPlan& scenario;  // with its outputs, as with_outputs() makes it
  const std::vector<std::string>& outputs;
  const dsl::Bundle& bundle;  // empty unless ScenarioRunner::wants_bundle()
  engine::ExecutionOptions execution;
  LocalIo& io;  // its sources, sinks and steps, on this machine
  DeadLetterChannel& letters;
  std::string project_root, temp_folder;
  std::string run_folder;  // of the ledger: for what is told of the run while it lasts
  size_t chunk_bytes = 0;
  uint64_t max_record_bytes = 0;
};

// One scenario while it runs. As engine::Execution has it.
class ScenarioRun {
 public:
  virtual ~ScenarioRun() = default;
  virtual Status run() = 0;
  virtual const engine::ExecutionReport& report() const = 0;              // after run(), also when it failed
  virtual const engine::Progress& progress() const = 0;                   // any thread, while it runs
  virtual const std::map<std::string, std::string>& outputs() const = 0;  // spill files, by the output's name
};

class ScenarioRunner {
 public:
  virtual ~ScenarioRunner() = default;
  virtual bool wants_bundle() const { return false; }
  // Whether what a step requires limits it, since it runs apart from the others.
  virtual bool limits_steps() const { return false; }
  // Opens everything the scenario needs, so that what is missing is said before anything runs.
  virtual Result<std::unique_ptr<ScenarioRun>> prepare(ScenarioWork work) = 0;
};

// In this process.
ScenarioRunner& in_process();

// Names of the scenario's outputs that other scenarios of the plan read: "" is its valid branch, else a sink's.
std::vector<std::string> wanted_outputs(const plan::ScenarioPlan& scenario, const plan::Plan& plan);
// The scenario with Output operators for those, and without rows kept for nobody.
plan::ScenarioPlan with_outputs(const plan::ScenarioPlan& scenario, const std::vector<std::string>& wanted);

// Makes a runner that puts the stages of pipelines into slices. `note` tells what a person should know, as RunOptions
// does.
using IsolatedRunnerMaker =
    std::function<Result<std::unique_ptr<ScenarioRunner>>(std::function<void(const std::string&)> note)>;
// Programs that can do so offer it, once, before any command runs.
void offer_isolation(IsolatedRunnerMaker maker);
// kUnimplemented where this program cannot.
Result<std::unique_ptr<ScenarioRunner>> make_isolated_runner(std::function<void(const std::string&)> note);

}  // namespace runink::local
