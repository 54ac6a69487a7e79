// Data-set rules and assertions: aggregates over the rows that leave an operator.
#pragma once

#include "data/engine/execution_impl.h"
#include "data/expr/aggregate.h"

namespace runink::engine {

// Watches port 0 of one operator. Aggregates that depend on the order of rows are fed behind a turnstile, others under a
// lock: an observer of counts and maxima does not put workers in a row.
struct Execution::Impl::Observer {
  Observer(plan::OperatorId watched, const expr::AggregateExpr& expression)
      : watched_op(watched), aggregate(expression) {}
  plan::OperatorId watched_op;
  expr::WholeAggregate aggregate;
  bool ordered = false;
  std::mutex mutex;
  std::vector<expr::RowError> errors;
  std::map<uint64_t, std::vector<Batch>> waiting;  // by morsel, only when ordered
};

Status make_observers(Execution::Impl& x);
// A batch left the watched operator.
Status observe(Execution::Impl& x, plan::OperatorId op, const Batch& batch, MorselContext& m);
// The morsel has passed (called in morsel order): feeds ordered observers.
Status observe_morsel(Execution::Impl& x, const PipelineState& pipeline, uint64_t sequence);

// An assertion about counts against those of a whole run; of one with an expression, only what it is.
RuleResult judge_counts(const plan::Assertion& assertion, const ExecutionReport& counted);

}  // namespace runink::engine
