// A second opinion for tests: expressions evaluated one row at a time, straight from the tree as written, with
// arithmetic of its own. It shares with the evaluator only the static types that the checker gives.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "data/columnar/builder.h"
#include "data/expr/ast.h"
#include "data/expr/check.h"

namespace runink::expr {

struct RowResult {
  enum class Kind { kValue, kError, kUnknown } kind = Kind::kUnknown;  // unknown: beyond what this interpreter can say
  columnar::Value value;
  std::string what;
};

class RowInterpreter {
 public:
  RowInterpreter(ExprPtr expr, SourceTextPtr text, const columnar::Batch& batch);
  RowResult run(int64_t row);

 private:
  struct Number;
  using Value = columnar::Value;
  using DataType = columnar::DataType;

  Value eval(const ExprPtr& e);
  Value call(const ExprPtr& e);
  Value arithmetic(const ExprPtr& e);
  Value cast(const ExprPtr& e);
  Value function(const ExprPtr& e, const std::vector<Value>& args);
  std::optional<bool> truth(const ExprPtr& e);
  std::optional<bool> logic(const ExprPtr& e, bool decisive);
  std::optional<int> compare(const ExprPtr& a, const Value& x, const ExprPtr& b, const Value& y);
  const DataType& type_of(const ExprPtr& e);
  Number number(const ExprPtr& e, const Value& v);
  // A value of e as one of `type`: the branches of if and coalesce widen to their common type.
  Value widened(const ExprPtr& e, const Value& v, const DataType& type);

  ExprPtr root_;
  SourceTextPtr text_;
  const columnar::Batch& batch_;
  Scope scope_;
  int64_t row_ = 0;
  std::map<const Expr*, DataType> types_;
};

}  // namespace runink::expr
