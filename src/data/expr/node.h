// The typed tree that the evaluator walks. Internal.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/columnar/column.h"
#include "data/expr/aggregate.h"
#include "data/expr/ast.h"
#include "data/expr/check.h"
#include "data/expr/eval.h"

namespace runink::expr {

// One evaluated argument. A constant has one row that stands for all.
struct Arg {
  const columnar::Column* column = nullptr;
  bool constant = false;
};

// Errors of rows as they are found; the evaluator sorts them and keeps the first of each row.
using ErrorList = std::vector<RowError>;

// What a kernel works on: `rows` rows, of which only the active ones can make errors.
struct Frame {
  int64_t rows = 0;
  const uint8_t* active = nullptr;  // one byte per row; null: all
  const std::vector<columnar::Column>* columns = nullptr;
  const EvalContext* context = nullptr;
  ErrorList* errors = nullptr;
};

// Computes a column of frame.rows rows of node.type from evaluated arguments.
using Kernel = void (*)(const Node& node, const Arg* args, Frame& frame, columnar::Column* out);
// Evaluates its arguments itself, perhaps for some rows only.
using LazyKernel = void (*)(const Node& node, Frame& frame, columnar::Column* out);

struct Node {
  enum class Kind { kColumn, kConstant, kCall };
  Kind kind = Kind::kConstant;
  columnar::DataType type;
  bool nullable = true;

  int column = -1;            // kColumn
  columnar::Column constant;  // kConstant: one row
  bool literal = false;       // kConstant: as written; it takes the type of what it meets

  std::string function;  // kCall
  std::vector<NodePtr> args;
  Kernel kernel = nullptr;  // one of the two
  LazyKernel lazy = nullptr;
  std::shared_ptr<const void> state;  // what the kernel prepared: a compiled pattern, a set of members

  bool can_fail = false;  // it or something below it can make a row error
  bool uses_now = false;
  bool needs_key = false;
  bool hides_pii = false;    // mask, hash, tokenise
  std::vector<int> columns;  // of it and below, ascending, each once
  ExprPtr source;            // for messages; may be null
  std::string text;          // canonical; set on roots
};
using NodeBuilder = std::shared_ptr<Node>;

// Evaluates a node. The result is a column of the batch itself, a constant, or in `storage`.
Arg evaluate_node(const Node& node, Frame& frame, columnar::Column* storage);

// Fills what follows from the arguments: columns, can_fail (or-ed), uses_now, needs_key.
void summarise(Node& node);
NodePtr make_constant(columnar::DataType type, const columnar::Value& value, bool literal, ExprPtr source);
NodePtr make_column_node(columnar::DataType type, bool nullable, int column, ExprPtr source);
// The value of a constant node.
columnar::Value constant_value(const Node& node);
bool is_constant_null(const Node& node);

}  // namespace runink::expr
