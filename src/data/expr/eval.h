// Evaluation of typed expressions over batches, a column at a time.
//
// Rows are evaluated as if one after the other, left to right, and only what is needed: the branch of `if` and `case`
// that is not chosen, the arguments of `coalesce` after the first that is not null, and the operands of `and` and `or`
// after a decisive one make no errors.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "data/columnar/batch.h"
#include "data/expr/check.h"

namespace runink::expr {

struct EvalContext {
  int64_t now_micros = 0;  // start of the run; what now() gives
  std::string_view key;    // secret of hash() and tokenise(); must be set where TypedExpr::needs_key()
};

// What went wrong on a row: "delay * 1000000: overflow of int64". The row becomes a dead letter; the value there is
// null. Ascending by row, one per row.
struct RowError {
  int64_t row = 0;
  std::string message;
};

// One per thread.
class Evaluator {
 public:
  explicit Evaluator(TypedExpr expr);
  Evaluator(Evaluator&&) noexcept;
  Evaluator& operator=(Evaluator&&) noexcept;
  ~Evaluator();

  const TypedExpr& expr() const;

  // The column has batch.rows rows of type expr().type(). Appends to `errors`; several expressions of one operator may
  // share the list (then it is ascending per expression only). Fails only for what is wrong with the call: a batch with
  // too few columns, a key that is missing.
  Result<columnar::Column> evaluate(const columnar::Batch& batch, const EvalContext& context,
                                    std::vector<RowError>& errors);
  // The same on bare columns.
  Result<columnar::Column> evaluate(const std::vector<columnar::Column>& columns, int64_t rows,
                                    const EvalContext& context, std::vector<RowError>& errors);

 private:
  TypedExpr expr_;
};

// A bool expression as a selection: keep[i] is 1 where the value is true, else 0 (false, null, error).
Status evaluate_filter(Evaluator& evaluator, const columnar::Batch& batch, const EvalContext& context, uint8_t* keep,
                       std::vector<RowError>& errors);

// A single value, for defaults, assertions and the REPL: the expression must read no columns.
Result<columnar::Value> evaluate_constant(const TypedExpr& expr, const EvalContext& context);

}  // namespace runink::expr
