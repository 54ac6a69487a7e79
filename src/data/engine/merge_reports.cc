#include "data/engine/merge_reports.h"

#include <algorithm>
#include <map>

#include "data/engine/observer.h"

namespace runink::engine {
namespace {

constexpr size_t kFirstRejects = 5;

Status does_not_fit(const plan::ScenarioPlan& scenario, const std::string& how) {
  return internal_error("scenario \"{}\": what its slices reported {}; nothing is published", scenario.name, how)
      .with_kind("run.balance");
}

const OperatorReport* find(const ExecutionReport& report, plan::OperatorId id) {
  const auto at =
      std::find_if(report.operators.begin(), report.operators.end(), [id](const auto& r) { return r.id == id; });
  return at == report.operators.end() ? nullptr : &*at;
}

uint64_t rows_out(const OperatorReport& report) {
  uint64_t rows = 0;
  for (const uint64_t port : report.rows_out) rows += port;
  return rows;
}

size_t ports_of(const plan::Operator& op) {
  const auto* split = std::get_if<plan::Split>(&op.parameters);
  return split == nullptr ? 1 : split->branches.size();
}

// Of the step at the end of a part: what it answered, what was handed on, and what the next part took.
Status check_edge(const plan::ScenarioPlan& scenario, const plan::Part& part, const ExecutionReport& report,
                  const plan::Part& next, const ExecutionReport& next_report) {
  const OperatorReport* step = find(report, *next.begins);
  const OperatorReport* handed = find(report, *part.hands_on);
  const OperatorReport* taken = find(next_report, *next.begins);
  if (step == nullptr || handed == nullptr || taken == nullptr) return does_not_fit(scenario, "leaves operators out");
  if (rows_out(*step) == handed->rows_in && handed->rows_in == rows_out(*taken)) return {};
  return internal_error(
             "step \"{}\" does not balance: it answered {} rows, {} were handed on, and {} arrived in the next "
             "slice; nothing is published",
             scenario.operators[*next.begins].name, rows_out(*step), handed->rows_in, rows_out(*taken))
      .with_kind("run.balance");
}

}  // namespace

Result<ExecutionReport> merge_reports(const plan::ScenarioPlan& scenario, const std::vector<plan::Part>& parts,
                                      std::vector<ExecutionReport> reports, bool balanced) {
  if (reports.size() != parts.size()) return does_not_fit(scenario, "is not of all of them");
  ExecutionReport out;
  std::map<plan::OperatorId, OperatorReport> by_id;
  std::vector<RuleResult> qualities;
  std::vector<RuleResult> expressions;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (balanced && i + 1 < parts.size())
      RUNINK_RETURN_IF_ERROR(check_edge(scenario, parts[i], reports[i], parts[i + 1], reports[i + 1]));
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    ExecutionReport& report = reports[i];
    const auto runs_here = [&](plan::OperatorId id) {
      return std::binary_search(parts[i].operators.begin(), parts[i].operators.end(), id);
    };
    for (auto& r : report.operators) {
      if (!runs_here(r.id)) continue;
      const plan::Operator& op = scenario.operators[r.id];
      if (r.rows_out.size() != ports_of(op))
        return does_not_fit(scenario, "has other branches than \"" + op.name + "\"");
      r.name = op.name;
      r.kind = plan::kind_name(op.parameters);
      if (!by_id.emplace(r.id, std::move(r)).second) return does_not_fit(scenario, "names an operator twice");
    }
    for (auto& b : report.balances) {
      if (runs_here(b.op)) out.balances.push_back(std::move(b));
    }
    for (auto& rule : report.rules) (rule.is_assertion ? expressions : qualities).push_back(std::move(rule));
    // Sources stand in the first part; what later ones read they got from it.
    if (i == 0) {
      out.records_read = report.records_read;
      out.undecodable = report.undecodable;
      out.drift = std::move(report.drift);
    }
    out.records_rejected += report.records_rejected;
    out.spilled_bytes += report.spilled_bytes;
    for (const auto& [rule, count] : report.rejected_by_rule) out.rejected_by_rule[rule] += count;
    for (auto& text : report.first_rejects) {
      if (out.first_rejects.size() < kFirstRejects) out.first_rejects.push_back(std::move(text));
    }
    for (auto& note : report.notes) out.notes.push_back(std::move(note));
  }
  for (const plan::Operator& op : scenario.operators) {
    const auto found = by_id.find(op.id);
    if (found != by_id.end()) {
      out.operators.push_back(std::move(found->second));
    } else if (balanced) {
      return does_not_fit(scenario, "leaves out \"" + op.name + "\"");
    } else {
      out.operators.push_back({.id = op.id, .name = op.name, .kind = plan::kind_name(op.parameters)});
    }
  }
  std::stable_sort(out.balances.begin(), out.balances.end(), [](const auto& a, const auto& b) { return a.op < b.op; });
  for (const Balance& b : out.balances) {
    if (balanced && !b.holds()) {
      return internal_error("step \"{}\" does not balance: {} ({} against {}); nothing is published", b.step,
                            b.equation, b.left, b.right)
          .with_kind("run.balance");
    }
  }
  out.records_valid = valid_records(scenario, out.operators);
  if (!balanced) return out;

  // In the order of the plan: data-set rules, then assertions; the first part's come first, which need not be theirs.
  const auto take = [](std::vector<RuleResult>& from, const Location& location, const std::string& name) {
    const auto at = std::find_if(from.begin(), from.end(), [&](const RuleResult& r) {
      return r.name == name && r.location.to_string() == location.to_string();
    });
    std::optional<RuleResult> found;
    if (at == from.end()) return found;
    found = std::move(*at);
    from.erase(at);
    return found;
  };
  for (const auto& quality : scenario.qualities) {
    auto rule = take(qualities, quality.location, quality.name);
    if (!rule) return does_not_fit(scenario, "leaves out the rule " + quality.name);
    rule->warn_only = quality.warn_only;
    out.rules.push_back(std::move(*rule));
  }
  for (const auto& assertion : scenario.assertions) {
    if (assertion.kind != plan::Assertion::Kind::kExpression) {
      out.rules.push_back(judge_counts(assertion, out));
      continue;
    }
    auto rule = take(expressions, assertion.location, assertion.text);
    if (!rule) return does_not_fit(scenario, "leaves out the assertion " + assertion.text);
    out.rules.push_back(std::move(*rule));
  }
  return out;
}

}  // namespace runink::engine
