#include "client/local/resume.h"

#include <algorithm>

#include "data/ledger/publish_record.h"
#include "platform/os/file.h"

namespace runink::local {

namespace {

bool same_input(const ledger::InputIdentity& a, const ledger::InputIdentity& b) {
  return a.path == b.path && a.kind == b.kind && a.size == b.size && a.modified_nanos == b.modified_nanos &&
         a.inode == b.inode && a.device == b.device;
}

// Refuses where what the run was made of is not what it was.
Status check_unchanged(const ledger::RunRecord& before, const ledger::RunRecord& now) {
  const auto refuse = [&](Status status) {
    return std::move(status).with_kind("resume.changed").with_hint("begin anew with: runi restart " + before.id);
  };
  if (before.project_hash != now.project_hash) {
    return refuse(
        failed_precondition("the project has changed since run {} (feature, contracts, runink.toml, or what its programs are made of)", before.id));
  }
  if (std::equal(before.inputs.begin(), before.inputs.end(), now.inputs.begin(), now.inputs.end(), same_input))
    return {};
  std::string which;
  for (const auto& input : now.inputs) {
    const bool known =
        std::any_of(before.inputs.begin(), before.inputs.end(), [&](const auto& b) { return same_input(b, input); });
    if (!known && which.empty()) which = input.path;
  }
  return refuse(
      failed_precondition("an input has changed since run {}{}", before.id, which.empty() ? "" : ": " + which));
}

std::string spool_of(const ledger::RunRecord& run) {
  const auto label = run.labels.find(kSpoolLabel);
  return label == run.labels.end() ? run.id : label->second;
}

// Which scenarios are complete, and which of them have to run again for their outputs.
Status sort_out(const ledger::Ledger& ledger, const ledger::RunRecord& before, Resumed* out) {
  // Runs of this chain, newest first: the one to go on from, and those that it went on from. A run that began anew
  // keeps its rows under its own id.
  std::vector<std::string> chain = {before.id};
  for (ledger::RunRecord run = before; run.id != spool_of(before) && !run.resumed_from.empty();) {
    auto earlier = ledger.load_run(run.resumed_from);
    if (!earlier.ok()) break;
    run = std::move(*earlier);
    chain.push_back(run.id);
  }
  std::vector<std::string> seen;
  for (const auto& run : chain) {
    ledger::RunFilter children;
    children.parent_id = run;
    for (const auto& child : RUNINK_TRY(ledger.list_runs(children))) {
      // One killed between publishing and its last record has done its work; what it appended must not be appended
      // again.
      const bool done = child.state == ledger::RunState::kSucceeded || ledger.was_published(child.id);
      if (!done || std::find(seen.begin(), seen.end(), child.scenario) != seen.end()) continue;
      seen.push_back(child.scenario);
      const std::string changed = ledger::changed_output(ledger.root(), child.id);
      if (changed.empty()) {
        out->complete.push_back(child.scenario);
      } else {
        out->notes.push_back(fmt::format("scenario \"{}\" was complete and runs again: {}", child.scenario, changed));
      }
    }
  }
  return {};
}

}  // namespace

Result<Resumed> look_back(const ledger::Ledger& ledger, const std::string& id, const ledger::RunRecord& now) {
  const ledger::RunRecord before = RUNINK_TRY(ledger.load_run(id));
  RUNINK_RETURN_IF_ERROR(check_unchanged(before, now));
  Resumed out;
  out.now_micros = before.now_micros;
  out.spool = spool_of(before);
  RUNINK_RETURN_IF_ERROR(sort_out(ledger, before, &out));
  return out;
}

Result<bool> outputs_are_there(const ledger::Ledger& ledger, const std::string& id) {
  Resumed found;
  RUNINK_RETURN_IF_ERROR(sort_out(ledger, RUNINK_TRY(ledger.load_run(id)), &found));
  return found.notes.empty();
}

void require_rows(const std::vector<const plan::ScenarioPlan*>& chosen,
                  const std::function<std::string(const std::string&, const std::string&)>& rows_of, Resumed* resumed) {
  auto& complete = resumed->complete;
  // Scenarios stand after those that they read, so one pass from the end sees each after all that read it.
  for (auto reader = chosen.rbegin(); reader != chosen.rend(); ++reader) {
    if (std::find(complete.begin(), complete.end(), (*reader)->name) != complete.end()) continue;
    for (const auto& op : (*reader)->operators) {
      const auto* input = std::get_if<plan::ScenarioInput>(&op.parameters);
      if (input == nullptr || os::exists(rows_of(input->scenario, input->output))) continue;
      if (std::erase(complete, input->scenario) == 0) continue;
      resumed->notes.push_back(fmt::format(
          "scenario \"{}\" was complete and runs again: the rows that \"{}\" reads of it are not kept any more",
          input->scenario, (*reader)->name));
    }
  }
}

Status check_standard_input(const std::vector<const plan::ScenarioPlan*>& chosen, const Resumed& resumed,
                            const std::string& id) {
  for (const auto* scenario : chosen) {
    const auto& complete = resumed.complete;
    if (std::find(complete.begin(), complete.end(), scenario->name) != complete.end()) continue;
    for (const auto& op : scenario->operators) {
      const auto* source = std::get_if<plan::Source>(&op.parameters);
      if (source == nullptr || source->locator != "-" || !source->exec.empty()) continue;
      return failed_precondition("scenario \"{}\" read standard input, and what run {} had taken of it is gone",
                                 scenario->name, id)
          .with_kind("resume.changed")
          .with_hint("give it the whole input again with: runi restart " + id);
    }
  }
  return {};
}

}  // namespace runink::local
