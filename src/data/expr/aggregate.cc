#include "data/expr/aggregate.h"

#include <algorithm>

#include "data/expr/accumulators.h"

namespace runink::expr {

namespace {

class Count : public PlainAccumulator<Count, int64_t> {
 public:
  explicit Count(bool only_true) : only_true_(only_true) {}
  void begin(const Column* argument) { values_ = only_true_ ? argument->data<uint8_t>() : nullptr; }
  void add(int64_t& n, int64_t i) { n += values_ == nullptr || values_[i] != 0 ? 1 : 0; }
  void combine(int64_t& a, const int64_t& b) { a += b; }
  Result<Column> finish(size_t first, size_t count) override {
    Column out = columnar::make_fixed_column(TypeId::kInt64, static_cast<int64_t>(count));
    std::copy_n(states_.begin() + static_cast<std::ptrdiff_t>(first), count, out.mutable_data<int64_t>());
    return out;
  }

 private:
  bool only_true_;
  const uint8_t* values_ = nullptr;
};

}  // namespace

bool keeps_values(AggregateFunction function) {
  return function == AggregateFunction::kQuantile || function == AggregateFunction::kDistinctCount ||
         function == AggregateFunction::kList;
}
columnar::DataType kept_type(const AggregateSpec& spec) {
  return spec.function == AggregateFunction::kQuantile ? columnar::DataType(TypeId::kFloat64) : spec.argument.type();
}

std::unique_ptr<Accumulator> make_accumulator(const AggregateSpec& spec) {
  switch (spec.function) {
    case AggregateFunction::kCount:
      return std::make_unique<Count>(false);
    case AggregateFunction::kCountIf:
      return std::make_unique<Count>(true);
    case AggregateFunction::kSum:
    case AggregateFunction::kAvg:
      return make_sum(spec);
    case AggregateFunction::kStddev:
    case AggregateFunction::kVariance:
      return make_spread(spec);
    case AggregateFunction::kQuantile:
      return make_quantile(spec);
    case AggregateFunction::kDistinctCount:
      return make_distinct_count(spec);
    case AggregateFunction::kList:
      return make_list(spec);
    default:
      return make_choice(spec);
  }
}

WholeAggregate::WholeAggregate(AggregateExpr expr) : expr_(std::move(expr)) {
  for (const auto& spec : expr_.aggregates) {
    states_.push_back(make_accumulator(spec));
    states_.back()->resize(1);
    if (spec.argument.valid()) arguments_.emplace_back(spec.argument);
  }
}

Status WholeAggregate::update(const columnar::Batch& batch, const EvalContext& context, std::vector<RowError>& errors) {
  size_t argument = 0;
  for (size_t a = 0; a < states_.size(); ++a) {
    if (!expr_.aggregates[a].argument.valid()) {
      states_[a]->update_one(0, batch.rows, nullptr);
      continue;
    }
    const Column column = RUNINK_TRY(arguments_[argument].evaluate(batch, context, errors));
    states_[a]->update_one(0, batch.rows, &column);
    ++argument;
  }
  return Status();
}

Result<Value> WholeAggregate::finish(const EvalContext& context) {
  std::vector<Column> columns;
  for (auto& state : states_) {
    columns.push_back(RUNINK_TRY(state->finish(0, 1)));
    if (!state->errors().empty()) return out_of_range("{}", state->errors()[0].message);
  }
  Evaluator evaluator(expr_.result);
  std::vector<RowError> errors;
  const Column result = RUNINK_TRY(evaluator.evaluate(columns, 1, context, errors));
  if (!errors.empty()) return out_of_range("{}", errors[0].message);
  return columnar::value_at(result, 0);
}

}  // namespace runink::expr
