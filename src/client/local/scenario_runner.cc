#include "client/local/scenario_runner.h"

#include <algorithm>

namespace runink::local {
namespace {

class ExecutionRun final : public ScenarioRun {
 public:
  explicit ExecutionRun(std::unique_ptr<engine::Execution> execution) : execution_(std::move(execution)) {}
  Status run() override { return execution_->run(); }
  const engine::ExecutionReport& report() const override { return execution_->report(); }
  const engine::Progress& progress() const override { return execution_->progress(); }
  const std::map<std::string, std::string>& outputs() const override { return execution_->outputs(); }

 private:
  std::unique_ptr<engine::Execution> execution_;
};

class InProcess final : public ScenarioRunner {
 public:
  Result<std::unique_ptr<ScenarioRun>> prepare(ScenarioWork work) override {
    auto execution =
        RUNINK_TRY(engine::Execution::create(work.scenario, std::move(work.execution), work.io, work.letters));
    return std::unique_ptr<ScenarioRun>(std::make_unique<ExecutionRun>(std::move(execution)));
  }
};

IsolatedRunnerMaker& offered() {
  static IsolatedRunnerMaker maker;
  return maker;
}

}  // namespace

ScenarioRunner& in_process() {
  static InProcess runner;
  return runner;
}

void offer_isolation(IsolatedRunnerMaker maker) { offered() = std::move(maker); }

Result<std::unique_ptr<ScenarioRunner>> make_isolated_runner(std::function<void(const std::string&)> note) {
  if (!offered())
    return unimplemented("this program cannot run pipelines in slices").with_hint("run it with: runi run --isolate");
  return offered()(std::move(note));
}

std::vector<std::string> wanted_outputs(const plan::ScenarioPlan& scenario, const plan::Plan& plan) {
  std::vector<std::string> wanted;
  for (const auto& other : plan.scenarios) {
    for (const auto& op : other.operators) {
      const auto* input = std::get_if<plan::ScenarioInput>(&op.parameters);
      if (input == nullptr || input->scenario != scenario.name) continue;
      if (std::find(wanted.begin(), wanted.end(), input->output) == wanted.end()) wanted.push_back(input->output);
    }
  }
  return wanted;
}

plan::ScenarioPlan with_outputs(const plan::ScenarioPlan& scenario, const std::vector<std::string>& names) {
  plan::ScenarioPlan out = scenario;
  std::vector<std::string> wanted = names;
  for (auto& op : out.operators) {
    if (auto* o = std::get_if<plan::Output>(&op.parameters)) {
      const auto it = std::find(wanted.begin(), wanted.end(), o->name);
      o->spool = it != wanted.end();
      if (o->spool) wanted.erase(it);
    }
  }
  for (const auto& name : wanted) {
    plan::Operator op;
    op.id = static_cast<plan::OperatorId>(out.operators.size());
    op.parameters = plan::Output{name, true};
    op.name = name.empty() ? "output" : "output " + name;
    op.location = out.location;
    if (name.empty()) {
      op.inputs = out.valid;
    } else {
      for (const auto& sink : out.operators) {
        const auto* s = std::get_if<plan::Sink>(&sink.parameters);
        if (s != nullptr && s->name == name) op.inputs = sink.inputs;
      }
    }
    if (op.inputs.empty()) continue;  // the compiler has refused that already
    op.schema = out.operators[op.inputs[0].from].schema;
    op.columns = out.operators[op.inputs[0].from].columns;
    out.operators.push_back(std::move(op));
  }
  return out;
}

}  // namespace runink::local
