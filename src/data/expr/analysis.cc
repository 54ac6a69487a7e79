// Questions about typed expressions: what they reveal, and how a join condition falls into keys and a rest.
#include <algorithm>

#include "data/expr/aggregate.h"
#include "data/expr/check.h"
#include "data/expr/checker.h"
#include "data/expr/functions.h"
#include "data/expr/mask.h"
#include "data/expr/node.h"
#include "data/expr/part_masks.h"

namespace runink::expr {

namespace {

// Whether the node is a mask that shows a part of its argument.
bool shows_part(const Node& node) {
  return node.hides_pii && node.function == "mask" && !static_cast<const MaskMethod*>(node.state.get())->shows_nothing();
}

// The column that a mask is applied to, itself or as its text; -1 where the value is computed.
int masked_field(const Node& mask) {
  const Node* value = mask.args[0].get();
  if (value->kind == Node::Kind::kCall && value->function == "cast" && value->type.is_text()) value = value->args[0].get();
  return value->kind == Node::Kind::kColumn ? value->column : -1;
}

void gather_taint(const Node& node, const std::vector<int>& pii, std::vector<int>& out) {
  if (node.hides_pii && (!shows_part(node) || masked_field(node) >= 0)) return;
  if (node.kind == Node::Kind::kColumn && std::find(pii.begin(), pii.end(), node.column) != pii.end())
    out.push_back(node.column);
  for (const auto& arg : node.args) gather_taint(*arg, pii, out);
}

void gather_part_masks(const Node& node, PartMasks& out) {
  if (shows_part(node)) {
    const int field = masked_field(node);
    if (field >= 0) {
      out.fields.push_back(field);
    } else {
      out.computed.insert(out.computed.end(), node.columns.begin(), node.columns.end());
    }
  }
  if (node.hides_pii && !shows_part(node)) return;
  for (const auto& arg : node.args) gather_part_masks(*arg, out);
}

// Aggregates that give one of their argument's values as it is.
bool gives_a_value(const AggregateSpec& aggregate) {
  switch (aggregate.function) {
    case AggregateFunction::kMin:
    case AggregateFunction::kMax:
    case AggregateFunction::kFirst:
    case AggregateFunction::kLast:
      return aggregate.argument.valid() && aggregate.argument.column_if_plain() >= 0;
    default:
      return false;
  }
}

void sort_unique(std::vector<int>& list) {
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
}

NodePtr shift(const NodePtr& node, int delta) {
  if (node->columns.empty()) return node;
  auto copy = std::make_shared<Node>(*node);
  if (copy->kind == Node::Kind::kColumn) copy->column += delta;
  for (int& column : copy->columns) column += delta;
  for (NodePtr& arg : copy->args) arg = shift(arg, delta);
  return copy;
}

std::string text_of(const NodePtr& node) { return node->source ? to_text(*node->source) : node->function; }

// Both sides as columns that hash and compare alike: one common type.
bool key_pair(const NodePtr& left, const NodePtr& right, int left_columns, JoinCondition::Pair* pair) {
  Binding binding;
  binding.args = {left, right};
  DataType type;
  if (!unify(binding, {0, 1}, &type, "the sides of a join condition")) return false;
  pair->left = TypedExpr(with_text(binding.args[0], text_of(left)));
  pair->right = TypedExpr(with_text(shift(binding.args[1], -left_columns), text_of(right)));
  return true;
}

}  // namespace

std::vector<int> taint(const TypedExpr& expr, const std::vector<int>& pii_columns) {
  std::vector<int> out;
  gather_taint(*expr.root(), pii_columns, out);
  sort_unique(out);
  return out;
}

std::vector<int> taint(const AggregateExpr& expr, const std::vector<int>& pii_columns,
                       const std::vector<std::vector<int>>& key_taint) {
  // The result's columns are the keys and then the aggregates; which of those the result shows decides what it reveals.
  std::vector<int> shown;
  const int keys = static_cast<int>(key_taint.size());
  std::vector<int> columns = taint(expr.result, expr.result.columns());
  // A part of an aggregate is a part of a field only where the aggregate gives the field's value.
  for (const int column : part_masks(expr.result).fields) {
    const auto index = static_cast<size_t>(column - keys);
    if (column < keys || index >= expr.aggregates.size() || !gives_a_value(expr.aggregates[index])) columns.push_back(column);
  }
  for (const int column : columns) {
    if (column < keys) {
      const auto& of_key = key_taint[static_cast<size_t>(column)];
      shown.insert(shown.end(), of_key.begin(), of_key.end());
      continue;
    }
    const auto index = static_cast<size_t>(column - keys);
    if (index >= expr.aggregates.size() || !expr.aggregates[index].argument.valid()) continue;
    const std::vector<int> of_argument = taint(expr.aggregates[index].argument, pii_columns);
    shown.insert(shown.end(), of_argument.begin(), of_argument.end());
  }
  sort_unique(shown);
  return shown;
}

PartMasks part_masks(const TypedExpr& expr) {
  PartMasks out;
  gather_part_masks(*expr.root(), out);
  sort_unique(out.fields);
  sort_unique(out.computed);
  return out;
}

PartMasks part_masks(const AggregateExpr& expr, int keys) {
  PartMasks out;
  const auto add = [](const std::vector<int>& from, std::vector<int>& to) { to.insert(to.end(), from.begin(), from.end()); };
  const PartMasks of_result = part_masks(expr.result);
  for (size_t i = 0; i < expr.aggregates.size(); ++i) {
    const AggregateSpec& aggregate = expr.aggregates[i];
    if (!aggregate.argument.valid()) continue;
    const PartMasks below = part_masks(aggregate.argument);
    add(below.fields, out.fields);
    add(below.computed, out.computed);
    const auto holds = [&](const std::vector<int>& list) {
      return std::find(list.begin(), list.end(), keys + static_cast<int>(i)) != list.end();
    };
    const bool masked = holds(of_result.fields);
    if (masked && gives_a_value(aggregate)) add(aggregate.argument.columns(), out.fields);
    if ((masked && !gives_a_value(aggregate)) || holds(of_result.computed)) add(aggregate.argument.columns(), out.computed);
  }
  sort_unique(out.fields);
  sort_unique(out.computed);
  return out;
}

TypedExpr shift_columns(const TypedExpr& expr, int delta) {
  if (delta == 0) return expr;
  return TypedExpr(shift(expr.root(), delta));
}

JoinCondition split_join_condition(const TypedExpr& condition, int left_columns) {
  JoinCondition out;
  std::vector<NodePtr> parts;
  const NodePtr& root = condition.root();
  if (root->kind == Node::Kind::kCall && root->function == "and") {
    parts = root->args;
  } else {
    parts.push_back(root);
  }
  std::vector<NodePtr> rest;
  for (const auto& part : parts) {
    const auto side = [&](const Node& n) {  // 0 left, 1 right, -1 both or neither
      if (n.columns.empty()) return -1;
      if (n.columns.back() < left_columns) return 0;
      return n.columns.front() >= left_columns ? 1 : -1;
    };
    JoinCondition::Pair pair;
    if (part->kind == Node::Kind::kCall && part->function == "==") {
      const int a = side(*part->args[0]), b = side(*part->args[1]);
      const bool crossed = a == 1 && b == 0;
      if ((crossed || (a == 0 && b == 1)) &&
          key_pair(part->args[crossed ? 1 : 0], part->args[crossed ? 0 : 1], left_columns, &pair)) {
        out.pairs.push_back(std::move(pair));
        continue;
      }
    }
    rest.push_back(part);
  }
  if (rest.empty()) return out;
  if (rest.size() == 1) {
    out.residual = TypedExpr(with_text(rest[0], text_of(rest[0])));
    return out;
  }
  auto all = std::make_shared<Node>(*root);
  all->args = rest;
  all->columns.clear();
  summarise(*all);
  auto expr = std::make_shared<Expr>();
  expr->kind = Expr::Kind::kCall;
  expr->name = "and";
  for (const auto& part : rest) {
    if (part->source) expr->args.push_back(part->source);
  }
  all->source = expr;
  out.residual = TypedExpr(with_text(all, to_text(*expr)));
  return out;
}

}  // namespace runink::expr
