// Aggregates: count, sum, avg, … as state machines for grouping.
//
// An expression with aggregates ("max(date) > now() - 2d", "sum(a) / count()") splits into the aggregates it contains
// and an expression over their results. An Accumulator holds the state of one aggregate for many groups, numbered
// densely from 0 by whoever groups.
//
// Results do not depend on batch sizes. For order_sensitive aggregates they depend on the order of rows, so the engine
// feeds those in input order (or merges partial states in input order: `first`, `last` and `list` are then still exact;
// float sums are exact to compensated summation only when fed in order). Integer and decimal sums are exact in 128
// bits. Nulls are skipped. Of no values: count and distinct_count give 0, list the empty list, all others null.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "data/columnar/builder.h"
#include "data/expr/check.h"
#include "data/expr/eval.h"

namespace runink::expr {

enum class AggregateFunction {
  kCount,
  kCountIf,
  kSum,
  kMin,
  kMax,
  kAvg,
  kStddev,
  kVariance,
  kQuantile,
  kDistinctCount,
  kFirst,
  kLast,
  kList,
};

struct AggregateSpec {
  AggregateFunction function = AggregateFunction::kCount;
  TypedExpr argument;     // invalid for count(); a plain TypedExpr over the rows' columns otherwise
  double fraction = 0.5;  // kQuantile
  columnar::DataType result_type;
  bool result_nullable = true;
  bool order_sensitive = false;  // the result depends on the order of rows, or on rounding in that order
  std::string text;              // canonical: "quantile(delay, 0.9)"
};

// An expression with aggregates. `result` reads a batch of the groups whose columns are: the keys in the order of
// CheckOptions' keys, then one column per aggregate in the order of `aggregates`.
struct AggregateExpr {
  std::vector<AggregateSpec> aggregates;  // equal ones occur once
  TypedExpr result;
  bool valid() const { return result.valid(); }
};

// A group key as seen by an expression computed per group: its name and its type.
struct GroupKey {
  std::string name;
  columnar::DataType type;
  bool nullable = true;
};

// Checks an expression in which aggregates may (and fields outside of them, other than group keys, may not) occur.
// Invalid when there was an error.
AggregateExpr check_aggregate(const ExprPtr& expr, const SourceTextPtr& text, const Scope& scope,
                              const std::vector<GroupKey>& keys, Diagnostics& diagnostics,
                              const CheckOptions& options = {});

// Which pii columns (indices in `scope`) the result of an aggregate expression reveals; `key_taint[i]` lists those that
// key i reveals.
std::vector<int> taint(const AggregateExpr& expr, const std::vector<int>& pii_columns,
                       const std::vector<std::vector<int>>& key_taint = {});

class ValueKeeper;

class Accumulator {
 public:
  virtual ~Accumulator() = default;

  // Not null for an aggregate that keeps every value of its groups.
  virtual const ValueKeeper* values() const { return nullptr; }

  // Groups 0 … count-1 exist from now on; new ones are empty. Never shrinks.
  virtual void resize(size_t groups) = 0;
  virtual size_t groups() const = 0;

  // Row i belongs to group[i] (< groups()). `argument` is the evaluated argument, null for count(). Rows with skip[i]
  // != 0 are left out (skip may be null).
  virtual void update(const uint32_t* group, int64_t rows, const columnar::Column* argument,
                      const uint8_t* skip = nullptr) = 0;
  // All rows belong to one group.
  virtual void update_one(uint32_t group, int64_t rows, const columnar::Column* argument,
                          const uint8_t* skip = nullptr) = 0;

  // Adds `other` (of the same spec), whose rows come after those already here: its group g goes to group_of[g].
  virtual void merge(const Accumulator& other, const uint32_t* group_of) = 0;

  // The results of groups first … first+count-1. A group whose result does not exist (a sum outside its type) has null
  // there and stands in errors(). Fails only when the results do not fit a column.
  virtual Result<columnar::Column> finish(size_t first, size_t count) = 0;
  // What the last finish() could not compute: its groups as rows of the column, ascending.
  const std::vector<RowError>& errors() const { return errors_; }

  // One group's state as bytes, and adding such bytes to a group; read() takes what it reads off the front of `in` and
  // fails on bytes that write() did not make.
  virtual void write(uint32_t group, std::string& out) const = 0;
  virtual Status read(uint32_t group, std::string_view& in) = 0;

  virtual size_t memory_bytes() const = 0;  // all of it, for the memory budget
  virtual void clear() = 0;                 // no groups, memory given back

 protected:
  std::vector<RowError> errors_;
};

// quantile, distinct_count and list keep the values of a group until the end, so that one group can outgrow any memory.
// Whoever groups can take the values out as columns, clear() the accumulator, and finish the aggregate outside of memory:
// a quantile by its place among the sorted values, a distinct count by counting where sorted values change, a list by
// the values in the order they came. update() also takes such a column as its argument, and so puts values back.
class ValueKeeper {
 public:
  virtual ~ValueKeeper() = default;
  // Appends values of the group, from where *at stands (0 is the first), until the group has no more (then false), or
  // `out` has rows_max rows or about bytes_max bytes of them (then true). The type of `out` is kept_type().
  virtual bool copy_values(uint32_t group, size_t* at, int64_t rows_max, size_t bytes_max,
                           columnar::ColumnBuilder& out) const = 0;
};
bool keeps_values(AggregateFunction function);
// float64 for a quantile, else the type of the argument. Of aggregates that keep values.
columnar::DataType kept_type(const AggregateSpec& spec);
// The value at `part` (0 to 1) of the way between two neighbours: how a quantile interpolates.
double between(double low, double high, double part);

std::unique_ptr<Accumulator> make_accumulator(const AggregateSpec& spec);

// All rows as one group, then the result: quality rules and small tests. One thread.
class WholeAggregate {
 public:
  explicit WholeAggregate(AggregateExpr expr);
  Status update(const columnar::Batch& batch, const EvalContext& context, std::vector<RowError>& errors);
  Result<columnar::Value> finish(const EvalContext& context);

 private:
  AggregateExpr expr_;
  std::vector<std::unique_ptr<Accumulator>> states_;
  std::vector<Evaluator> arguments_;
};

}  // namespace runink::expr
