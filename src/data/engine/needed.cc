// Which columns anything reads, worked out backwards from the sinks: a source need not convert the others.

#include <algorithm>

#include "data/engine/execution_impl.h"

namespace runink::engine {

namespace {

using plan::Operator;

void need(std::vector<bool>& columns, int index) {
  if (index >= 0 && static_cast<size_t>(index) < columns.size()) columns[static_cast<size_t>(index)] = true;
}
void need_all(std::vector<bool>& columns) { std::fill(columns.begin(), columns.end(), true); }
void need_expr(std::vector<bool>& columns, const expr::TypedExpr& e) {
  if (!e.valid()) return;
  for (int c : e.columns()) need(columns, c);
}
void need_same(std::vector<bool>& input, const std::vector<bool>& output) {
  for (size_t i = 0; i < output.size() && i < input.size(); ++i) {
    if (output[i]) input[i] = true;
  }
}

// What this operator needs of its input `which`, given what is needed of its output.
void propagate(const Operator& op, size_t which, const std::vector<bool>& out, const columnar::Schema& in_schema,
               std::vector<bool>& in) {
  const auto by_name = [&](const std::string& name) { need(in, in_schema.index_of(name)); };
  std::visit(
      [&](const auto& p) {
        using P = std::decay_t<decltype(p)>;
        if constexpr (std::is_same_v<P, plan::Check>) {
          need_same(in, out);
          for (const auto& rule : p.contract->rules) {
            if (rule.kind == contract::RuleKind::kType || rule.kind == contract::RuleKind::kRecord) continue;
            need(in, rule.column);
            if (rule.check >= 0) {
              need_expr(in, p.contract->checks[static_cast<size_t>(rule.check)].expression);
            }
          }
        } else if constexpr (std::is_same_v<P, plan::Filter>) {
          need_same(in, out);
          need_expr(in, p.condition);
        } else if constexpr (std::is_same_v<P, plan::Split>) {
          need_same(in, out);
          for (const auto& b : p.branches) need_expr(in, b.condition);
        } else if constexpr (std::is_same_v<P, plan::Unique>) {
          need_same(in, out);
          for (const auto& c : p.columns) by_name(c);
        } else if constexpr (std::is_same_v<P, plan::Deduplicate>) {
          need_same(in, out);
          if (p.columns.empty()) need_all(in);
          for (const auto& c : p.columns) by_name(c);
        } else if constexpr (std::is_same_v<P, plan::Sort>) {
          need_same(in, out);
          for (const auto& k : p.keys) by_name(k.column);
        } else if constexpr (std::is_same_v<P, plan::Derive>) {
          // Backwards through the items: what an item sets is no longer needed of what is before it, what it reads is.
          std::vector<std::string> names = in_schema.names();
          std::vector<std::vector<std::string>> seen;  // column names before each item
          for (const auto& item : p.items) {
            seen.push_back(names);
            if (std::find(names.begin(), names.end(), item.name) == names.end()) names.push_back(item.name);
          }
          std::vector<bool> live(names.size());
          for (size_t i = 0; i < out.size() && i < live.size(); ++i) live[i] = out[i];
          for (size_t i = p.items.size(); i-- > 0;) {
            const auto at = std::find(names.begin(), names.end(), p.items[i].name) - names.begin();
            live[static_cast<size_t>(at)] = false;
            // Every item is evaluated, used or not: its errors reject rows.
            for (int c : p.items[i].value.columns()) live[static_cast<size_t>(c)] = true;
          }
          need_same(in, live);
        } else if constexpr (std::is_same_v<P, plan::Project>) {
          for (size_t i = 0; i < p.items.size(); ++i) {
            if (i < out.size() && out[i]) by_name(p.items[i].from);
          }
        } else if constexpr (std::is_same_v<P, plan::Join>) {
          if (which == 0) {
            need_same(in, out);
            for (const auto& k : p.probe_keys) need_expr(in, k);
          } else {
            for (auto c : p.build_columns) need(in, static_cast<int>(c));
            for (const auto& k : p.build_keys) need_expr(in, k);
          }
          if (p.residual.valid()) need_all(in);
        } else if constexpr (std::is_same_v<P, plan::Group>) {
          for (const auto& k : p.keys) need_expr(in, k.value);
          for (const auto& a : p.aggregates) need_expr(in, a.argument);
        } else if constexpr (std::is_same_v<P, plan::Program> || std::is_same_v<P, plan::Sink> ||
                             std::is_same_v<P, plan::Output>) {
          need_all(in);
        } else {  // limit, sample, union
          need_same(in, out);
        }
      },
      op.parameters);
}

}  // namespace

std::vector<std::vector<bool>> needed_columns(const plan::ScenarioPlan& scenario) {
  std::vector<std::vector<bool>> needed(scenario.operators.size());
  for (const auto& op : scenario.operators) {
    needed[op.id].assign(op.schema ? op.schema->size() : 0, op.checkpoint);
  }
  const auto watch = [&](plan::OperatorId op, const expr::AggregateExpr& e) {
    for (const auto& a : e.aggregates) need_expr(needed[op], a.argument);
  };
  for (const auto& q : scenario.qualities) watch(q.after, q.expression);
  for (const auto& a : scenario.assertions) {
    for (const auto& v : scenario.valid) watch(v.from, a.expression);
  }
  for (size_t i = scenario.operators.size(); i-- > 0;) {
    const auto& op = scenario.operators[i];
    for (size_t k = 0; k < op.inputs.size(); ++k) {
      const auto from = op.inputs[k].from;
      propagate(op, k, needed[op.id], *scenario.operators[from].schema, needed[from]);
    }
  }
  return needed;
}

}  // namespace runink::engine
