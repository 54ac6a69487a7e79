#include "data/engine/observer.h"

#include "base/text.h"
#include "data/columnar/text.h"
#include "data/columnar/value.h"

namespace runink::engine {

using Observer = Execution::Impl::Observer;

Status make_observers(Execution::Impl& x) {
  x.observers.resize(x.scenario->operators.size());
  const auto add = [&](plan::OperatorId op, const expr::AggregateExpr& expression) {
    auto o = std::make_unique<Observer>(op, expression);
    for (const auto& a : expression.aggregates) o->ordered = o->ordered || a.order_sensitive;
    x.observers[op].push_back(o.get());
    x.all_observers.push_back(std::move(o));
  };
  // In the order evaluate_rules() reads them: qualities, then assertions with an expression.
  for (const auto& q : x.scenario->qualities) add(q.after, q.expression);
  for (const auto& a : x.scenario->assertions) {
    if (a.kind != plan::Assertion::Kind::kExpression) continue;
    if (x.scenario->valid.empty()) {
      return invalid_argument("{}: the assertion \"{}\" needs a valid branch to look at", a.location.to_string(), a.text);
    }
    add(x.scenario->valid[0].from, a.expression);
  }
  return {};
}

Status observe(Execution::Impl& x, plan::OperatorId op, const Batch& batch, MorselContext& m) {
  for (Observer* o : x.observers[op]) {
    std::lock_guard lock(o->mutex);
    if (o->ordered) {
      o->waiting[m.sequence].push_back(batch);
    } else {
      RUNINK_RETURN_IF_ERROR(o->aggregate.update(batch, x.eval, o->errors));
    }
  }
  return {};
}

Status observe_morsel(Execution::Impl& x, const PipelineState& pipeline, uint64_t sequence) {
  for (auto& o : x.all_observers) {
    if (!o->ordered || !pipeline.reach.emits[o->watched_op]) continue;
    std::lock_guard lock(o->mutex);
    while (!o->waiting.empty() && o->waiting.begin()->first <= sequence) {
      for (const auto& batch : o->waiting.begin()->second) {
        RUNINK_RETURN_IF_ERROR(o->aggregate.update(batch, x.eval, o->errors));
      }
      o->waiting.erase(o->waiting.begin());
    }
  }
  return {};
}

Status Execution::Impl::evaluate_rules() {
  make_report();  // counts are needed by assertions; it is made anew after
  const ExecutionReport counted = report;
  report.operators.clear();
  report.balances.clear();
  report.records_read = report.records_valid = report.records_rejected = report.undecodable = report.spilled_bytes = 0;

  size_t next_observer = 0;
  const auto evaluate = [&](RuleResult& result) -> Status {
    Observer& o = *all_observers[next_observer++];
    if (!o.errors.empty()) {
      result.actual = o.errors[0].message;
      return {};
    }
    auto value = o.aggregate.finish(eval);
    if (!value.ok()) {
      result.actual = value.status().to_string();
      return {};
    }
    const bool* holds = std::get_if<bool>(&value->data);
    result.passed = value->is_null() || (holds != nullptr && *holds);
    result.actual = value->is_null() ? "null (no values)" : result.passed ? "true" : "false";
    return {};
  };
  for (const auto& q : scenario->qualities) {
    RuleResult r;
    r.name = q.name;
    r.text = q.text;
    r.warn_only = q.warn_only;
    r.location = q.location;
    RUNINK_RETURN_IF_ERROR(evaluate(r));
    report.rules.push_back(std::move(r));
  }
  for (const auto& a : scenario->assertions) {
    RuleResult r = judge_counts(a, counted);
    if (a.kind == plan::Assertion::Kind::kExpression) RUNINK_RETURN_IF_ERROR(evaluate(r));
    report.rules.push_back(std::move(r));
  }
  return {};
}

RuleResult judge_counts(const plan::Assertion& a, const ExecutionReport& counted) {
  using Kind = plan::Assertion::Kind;
  RuleResult r;
  r.name = a.text;
  r.text = a.text;
  r.location = a.location;
  r.is_assertion = true;
  const auto at_most = [&](double actual) { return a.inclusive ? actual <= a.number : actual < a.number; };
  const auto at_least = [&](double actual) { return a.inclusive ? actual >= a.number : actual > a.number; };
  const auto processed = static_cast<double>(counted.records_read);
  const auto rejected = static_cast<double>(counted.records_rejected);
  switch (a.kind) {
    case Kind::kMinProcessed:
      r.passed = at_least(processed);
      r.actual = fmt::format("{} records", human_count(counted.records_read));
      break;
    case Kind::kMaxProcessed:
      r.passed = at_most(processed);
      r.actual = fmt::format("{} records", human_count(counted.records_read));
      break;
    case Kind::kMinValid:
      r.passed = at_least(static_cast<double>(counted.records_valid));
      r.actual = fmt::format("{} valid records", human_count(counted.records_valid));
      break;
    case Kind::kMaxRejected:
      r.passed = at_most(rejected);
      r.actual = fmt::format("{} rejected records", human_count(counted.records_rejected));
      break;
    case Kind::kMaxRejectedPercent: {
      // Of no records at all, none were rejected.
      const double percent = processed > 0 ? rejected * 100.0 / processed : 0.0;
      r.passed = at_most(percent);
      r.actual = fmt::format("{:.4g}% ({} of {})", percent, human_count(counted.records_rejected),
                             human_count(counted.records_read));
      break;
    }
    case Kind::kNoDrift: {
      r.passed = counted.drift.empty();
      std::vector<std::string> names;
      for (const auto& [name, count] : counted.drift) {
        if (names.size() < 8) names.push_back(fmt::format("{} ({} records)", name, human_count(count)));
      }
      r.actual = r.passed ? "no unknown fields" : "unknown fields: " + join(names, ", ");
      break;
    }
    case Kind::kExpression:
      break;
  }
  return r;
}

}  // namespace runink::engine
