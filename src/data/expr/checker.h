// The type checker's walk over a tree. Internal.
#pragma once

#include <string>
#include <vector>

#include "data/expr/aggregate.h"
#include "data/expr/check.h"
#include "data/expr/functions.h"

namespace runink::expr {

// Where aggregates go when they are allowed, and what may stand outside of them.
struct AggregateScope {
  const std::vector<GroupKey>* keys = nullptr;
  std::vector<AggregateSpec> found;
};

class Checker {
 public:
  // `aggregates` null: none allowed.
  Checker(const SourceText& text, const Scope& scope, Diagnostics& diagnostics, const CheckOptions& options,
          AggregateScope* aggregates)
      : text_(text), scope_(scope), diagnostics_(diagnostics), options_(options), aggregates_(aggregates) {}

  NodePtr check(const ExprPtr& expr);  // null after an error
  // must_be_bool_for
  bool check_result(const ExprPtr& expr, NodePtr* root);
  NodePtr fail(Span span, std::string code, std::string message, std::string help = {});

 private:
  NodePtr check_field(const Expr& expr, const ExprPtr& source);
  NodePtr check_key(const Expr& expr, const ExprPtr& source);
  bool is_short_name(const std::string& name) const;
  NodePtr check_short_name(const Expr& expr, const ExprPtr& source);
  NodePtr unknown_field(const Expr& expr);
  NodePtr check_cast(const Expr& expr, const ExprPtr& source);
  NodePtr check_call(const Expr& expr, const ExprPtr& source);
  NodePtr check_aggregate_call(const Expr& expr, const ExprPtr& source, const Definition& definition);
  NodePtr unknown_function(const Expr& expr);
  bool bind_sign(const std::string& name, Binding& binding, bool* known);

  const SourceText& text_;
  const Scope& scope_;
  Diagnostics& diagnostics_;
  const CheckOptions& options_;
  AggregateScope* aggregates_;
  bool inside_aggregate_ = false;
  int lazy_depth_ = 0;
};

// A copy of a root that carries its canonical text.
NodePtr with_text(const NodePtr& root, std::string text);

// Types the call of an aggregate: the function, its parameter, the result.
bool bind_aggregate(const Definition& definition, Binding& binding);

}  // namespace runink::expr
