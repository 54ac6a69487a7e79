#include "data/expr/eval.h"

#include <algorithm>

#include "data/columnar/builder.h"
#include "data/expr/kernel.h"
#include "data/expr/node.h"

namespace runink::expr {

void summarise(Node& node) {
  for (const auto& arg : node.args) {
    node.can_fail |= arg->can_fail;
    node.uses_now |= arg->uses_now;
    node.needs_key |= arg->needs_key;
    std::vector<int> both;
    std::set_union(node.columns.begin(), node.columns.end(), arg->columns.begin(), arg->columns.end(),
                   std::back_inserter(both));
    node.columns = std::move(both);
  }
}

NodePtr make_constant(DataType type, const Value& value, bool literal, ExprPtr source) {
  auto node = std::make_shared<Node>();
  node->kind = Node::Kind::kConstant;
  node->type = type;
  node->nullable = value.is_null();
  node->constant = value.is_null() ? columnar::make_null_column(type, 1) : columnar::make_column(type, {value});
  node->literal = literal;
  node->source = std::move(source);
  return node;
}

NodePtr make_column_node(DataType type, bool nullable, int column, ExprPtr source) {
  auto node = std::make_shared<Node>();
  node->kind = Node::Kind::kColumn;
  node->type = std::move(type);
  node->nullable = nullable;
  node->column = column;
  node->columns = {column};
  node->source = std::move(source);
  return node;
}

Value constant_value(const Node& node) { return columnar::value_at(node.constant, 0); }
bool is_constant_null(const Node& node) { return node.kind == Node::Kind::kConstant && node.constant.is_null(0); }

namespace {

// All arguments are constants (or there are none): computed once for all rows. What fails, fails on every active row.
Arg evaluate_once(const Node& node, const Arg* args, Frame& frame, Column* storage) {
  ErrorList errors;
  Frame one = frame;
  one.rows = 1;
  one.active = nullptr;
  one.errors = &errors;
  node.kernel(node, args, one, storage);
  if (!errors.empty()) {
    for (int64_t row = 0; row < frame.rows; ++row) {
      if (frame.active == nullptr || frame.active[row] != 0) frame.errors->push_back({row, errors.front().message});
    }
  }
  return {storage, true};
}

}  // namespace

Arg evaluate_node(const Node& node, Frame& frame, Column* storage) {
  if (node.kind == Node::Kind::kColumn) return {&(*frame.columns)[static_cast<size_t>(node.column)], false};
  if (node.kind == Node::Kind::kConstant) return {&node.constant, true};
  RUNINK_CHECK(node.kind == Node::Kind::kCall);
  if (node.lazy != nullptr) {
    node.lazy(node, frame, storage);
    return {storage, false};
  }
  constexpr size_t kFew = 4;
  Column few[kFew];
  Arg few_args[kFew];
  std::vector<Column> many;
  std::vector<Arg> many_args;
  Column* columns = few;
  Arg* args = few_args;
  if (node.args.size() > kFew) {
    many.resize(node.args.size());
    many_args.resize(node.args.size());
    columns = many.data();
    args = many_args.data();
  }
  bool all_constant = true;
  for (size_t i = 0; i < node.args.size(); ++i) {
    args[i] = evaluate_node(*node.args[i], frame, &columns[i]);
    all_constant &= args[i].constant;
  }
  if (all_constant) return evaluate_once(node, args, frame, storage);
  node.kernel(node, args, frame, storage);
  return {storage, false};
}

Evaluator::Evaluator(TypedExpr expr) : expr_(std::move(expr)) { RUNINK_CHECK(expr_.valid()); }
Evaluator::Evaluator(Evaluator&&) noexcept = default;
Evaluator& Evaluator::operator=(Evaluator&&) noexcept = default;
Evaluator::~Evaluator() = default;

const TypedExpr& Evaluator::expr() const { return expr_; }

Result<Column> Evaluator::evaluate(const columnar::Batch& batch, const EvalContext& context,
                                   std::vector<RowError>& errors) {
  return evaluate(batch.columns, batch.rows, context, errors);
}

Result<Column> Evaluator::evaluate(const std::vector<Column>& columns, int64_t rows, const EvalContext& context,
                                   std::vector<RowError>& errors) {
  const Node& root = *expr_.root();
  if (!root.columns.empty() && static_cast<size_t>(root.columns.back()) >= columns.size()) {
    return internal_error("evaluate {}: the batch has {} columns, column {} is needed", root.text, columns.size(),
                          root.columns.back());
  }
  if (root.needs_key && context.key.empty()) {
    return failed_precondition("evaluate {}: hash() and tokenise() need the project's key, and there is none",
                               root.text)
        .with_hint("create the key of this project, or mask the value with mask()");
  }
  ErrorList found;
  Frame frame{rows, nullptr, &columns, &context, &found};
  Column storage;
  Arg result = evaluate_node(root, frame, &storage);
  Column out;
  if (result.constant) {
    const Column& c = *result.column;
    if (c.type.is_text() && c.length > 0 && c.is_valid(0) &&
        c.text(0).size() * static_cast<size_t>(rows) > kMaxColumnBytes) {
      return resource_exhausted("evaluate {}: {} rows of {} bytes are too much for one batch", root.text, rows,
                                c.text(0).size());
    }
    out = broadcast(c, rows);
  } else {
    out = *result.column;
  }
  if (!found.empty()) {
    std::stable_sort(found.begin(), found.end(), [](const RowError& a, const RowError& b) { return a.row < b.row; });
    own_validity(&out);
    int64_t last = -1;
    for (auto& error : found) {
      if (error.row == last) continue;
      last = error.row;
      if (out.type.id() != TypeId::kNull) columnar::clear_bit(out.validity->data(), error.row);
      errors.push_back(std::move(error));
    }
  }
  return out;
}

Status evaluate_filter(Evaluator& evaluator, const columnar::Batch& batch, const EvalContext& context, uint8_t* keep,
                       std::vector<RowError>& errors) {
  Column column = RUNINK_TRY(evaluator.evaluate(batch, context, errors));
  if (column.type.id() == TypeId::kNull) {
    std::memset(keep, 0, static_cast<size_t>(batch.rows));
    return Status();
  }
  RUNINK_CHECK(column.type.id() == TypeId::kBool);
  const auto rows = static_cast<size_t>(batch.rows);
  if (rows == 0) return Status();
  std::memcpy(keep, column.values->data(), rows);
  if (column.validity != nullptr) {
    std::vector<uint8_t> valid(rows);
    columnar::validity_to_bytes(column, valid.data());
    for (size_t i = 0; i < rows; ++i) keep[i] &= valid[i];
  }
  return Status();
}

Result<Value> evaluate_constant(const TypedExpr& expr, const EvalContext& context) {
  if (!expr.columns().empty())
    return invalid_argument("evaluate {}: it reads fields, and there is no record", expr.text());
  Evaluator evaluator(expr);
  std::vector<RowError> errors;
  Column column = RUNINK_TRY(evaluator.evaluate(std::vector<Column>{}, 1, context, errors));
  if (!errors.empty()) return invalid_argument("{}", errors[0].message);
  return columnar::value_at(column, 0);
}

}  // namespace runink::expr
