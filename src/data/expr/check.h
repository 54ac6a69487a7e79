// The type checker: from a tree as written to a typed expression that can be evaluated.
//
// A TypedExpr is an immutable value, cheap to copy, and may be evaluated by several threads at once, each with an
// Evaluator of its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "data/columnar/batch.h"
#include "data/expr/ast.h"

namespace runink::expr {

struct Node;  // internal: node.h
using NodePtr = std::shared_ptr<const Node>;

// Where field names are looked up. Each input's columns follow those of the input before it: the column index of a
// field is its index in its schema plus the sizes of the schemas before. So a batch that holds all columns of all
// inputs side by side, in this order, can be evaluated.
//
// An unqualified name means the field of the first input, else that of the one other input that has it (several: an
// error). A name `q.rest` means field `rest` of the input with qualifier q, unless the first input has a field whose
// whole name is `q.rest`. A name that no field of the first input has may be a short name; one that stands for several
// fields is an error.
struct Scope {
  struct Input {
    std::string qualifier;  // may be empty
    columnar::SchemaPtr schema;
  };
  std::vector<Input> inputs;
  std::vector<std::pair<std::string, int>> short_names;  // of columns of the first input: name and column

  Scope() = default;
  explicit Scope(columnar::SchemaPtr schema) { inputs.push_back({"", std::move(schema)}); }
  void add(std::string qualifier, columnar::SchemaPtr schema) {
    inputs.push_back({std::move(qualifier), std::move(schema)});
  }
  size_t column_count() const;
};

struct CheckOptions {
  bool allow_now = true;
  // Said in the diagnostic where an aggregate function stands but may not: "a check looks at one record at a time".
  std::string no_aggregates_because = "this expression looks at one record at a time";
  // When set, the result must be bool: filters, checks, routes ("a filter").
  std::string must_be_bool_for;
};

class TypedExpr {
 public:
  TypedExpr() = default;
  explicit TypedExpr(NodePtr root) : root_(std::move(root)) {}
  bool valid() const { return root_ != nullptr; }
  const columnar::DataType& type() const;
  bool nullable() const;                    // false: never null (a row in error apart)
  const std::vector<int>& columns() const;  // indices of the columns it reads, ascending, each once
  bool uses_now() const;
  bool needs_key() const;  // calls hash or tokenise: EvalContext::key must be set
  bool is_constant() const;
  int column_if_plain() const;      // the column index when it is nothing but a field, else -1
  const std::string& text() const;  // canonical, for plans and messages
  const NodePtr& root() const { return root_; }

 private:
  NodePtr root_;
};

// Checks a row expression. An invalid TypedExpr when there was an error, and then `diagnostics` has gained one.
TypedExpr check(const ExprPtr& expr, const SourceTextPtr& text, const Scope& scope, Diagnostics& diagnostics,
                const CheckOptions& options = {});

// An expression with the field references moved by `delta` (a join evaluates the right side of its condition on the
// right batch alone).
TypedExpr shift_columns(const TypedExpr& expr, int delta);

// A reference to column `index` of a schema, without source text.
TypedExpr column_reference(const columnar::Schema& schema, int index);
TypedExpr constant(columnar::DataType type, columnar::Value value);

// A join condition as pairs of keys and a rest. `left_columns` is the number of columns of the left side. Each pair has
// equal types (widened where needed); the right one refers to the columns of the right side alone. `residual` (may be
// invalid) refers to all columns side by side. OK with an empty list when no equality joins the two sides.
struct JoinCondition {
  struct Pair {
    TypedExpr left, right;
  };
  std::vector<Pair> pairs;
  TypedExpr residual;
};
JoinCondition split_join_condition(const TypedExpr& condition, int left_columns);

// Which of the pii columns the value still reveals: those it is computed from, except inside mask(), hash() and
// tokenise(). `pii_columns` and the result are column indices.
std::vector<int> taint(const TypedExpr& expr, const std::vector<int>& pii_columns);

}  // namespace runink::expr
