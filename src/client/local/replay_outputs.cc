#include "client/local/replay_outputs.h"

#include <algorithm>
#include <set>

#include "client/local/local_io.h"
#include "data/ledger/publish_record.h"
#include "platform/os/file.h"

namespace runink::local {

namespace {

// Files that the scenario writes its records to, with what it calls them.
std::vector<std::pair<std::string, const plan::Operator*>> files_written(const plan::ScenarioPlan& scenario,
                                                                         const std::string& root) {
  std::vector<std::pair<std::string, const plan::Operator*>> out;
  for (const auto& op : scenario.operators) {
    const auto* sink = std::get_if<plan::Sink>(&op.parameters);
    if (sink == nullptr || sink->rejected || !sink->exec.empty() || sink->locator.empty() || sink->locator == "-") continue;
    const auto locator = sink_locator(*sink, root);
    if (locator.ok()) out.emplace_back(locator->path, &op);
  }
  return out;
}

bool reads(const plan::ScenarioPlan& scenario, const std::set<std::string>& scenarios,
           const std::set<std::string>& files, const std::string& root) {
  return std::any_of(scenario.operators.begin(), scenario.operators.end(), [&](const plan::Operator& op) {
    if (const auto* input = std::get_if<plan::ScenarioInput>(&op.parameters)) return scenarios.contains(input->scenario);
    const auto* source = std::get_if<plan::Source>(&op.parameters);
    if (source == nullptr || !source->exec.empty() || source->locator == "-") return false;
    const auto locator = source_locator(*source, root);
    if (!locator.ok()) return false;
    const auto found = connectors::expand(*locator);
    return found.ok() && std::any_of(found->begin(), found->end(), [&](const std::string& file) {
             return std::any_of(files.begin(), files.end(), [&](const auto& other) { return os::same_file(file, other); });
           });
  });
}

}  // namespace

Status check_outputs_are_there(const ledger::Ledger& ledger, const plan::Plan& plan, const plan::ScenarioPlan& scenario,
                               const std::string& root) {
  const std::string hint = "run it again: runi run " + plan.feature_path;
  const auto files = files_written(scenario, root);
  for (const auto& [path, op] : files) {
    if (os::exists(path)) continue;
    return failed_precondition("{}: {} is not there, and a file of the letters alone would look like all of it",
                               op->location.to_string(), std::get<plan::Sink>(op->parameters).locator)
        .with_hint(hint);
  }
  ledger::RunFilter filter;
  filter.feature = plan.feature_path;
  filter.scenario = scenario.name;
  for (const auto& run : RUNINK_TRY(ledger.list_runs(filter))) {  // newest first
    if (run.state != ledger::RunState::kSucceeded) continue;
    const std::string changed = ledger::changed_output(ledger.root(), run.id, [&](const std::string& target) {
      return std::any_of(files.begin(), files.end(), [&](const auto& file) { return os::same_file(file.first, target); });
    });
    if (changed.empty()) return {};
    return failed_precondition("{}: {} by run {}, so nobody can say what letters would be added to",
                               scenario.location.to_string(), changed, run.id)
        .with_hint(hint);
  }
  return {};
}

std::vector<std::string> stale_readers(const plan::Plan& plan, const plan::ScenarioPlan& scenario,
                                       const std::string& root) {
  std::set<std::string> scenarios = {scenario.name}, files;
  for (const auto& [path, op] : files_written(scenario, root)) files.insert(path);
  std::vector<std::string> out;
  for (const auto& other : plan.scenarios) {
    if (scenarios.contains(other.name) || !reads(other, scenarios, files, root)) continue;
    scenarios.insert(other.name);
    for (const auto& [path, op] : files_written(other, root)) files.insert(path);
    out.push_back(other.name);
  }
  return out;
}

}  // namespace runink::local
