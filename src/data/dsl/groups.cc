// Grouping and aggregating.
#include <algorithm>

#include "base/text.h"
#include "data/dsl/scenario_compiler.h"
#include "data/expr/registry.h"

namespace runink::dsl {

using plan::Input;

namespace {

// The tree with each aggregate call replaced by a field that names its result.
expr::ExprPtr without_aggregates(const expr::ExprPtr& tree) {
  const expr::FunctionInfo* function =
      tree->kind == expr::Expr::Kind::kCall ? expr::find_function(tree->name) : nullptr;
  auto copy = std::make_shared<expr::Expr>(*tree);
  if (function != nullptr && function->aggregate) {
    copy->kind = expr::Expr::Kind::kField;
    copy->name = expr::to_text(*tree);
    copy->args.clear();
    return copy;
  }
  for (auto& a : copy->args) a = without_aggregates(a);
  return copy;
}

}  // namespace

bool ScenarioCompiler::group_keys(plan::Group* group, Columns* keys, std::vector<expr::TypedExpr>* values) {
  const Capture* terms = capture("keys");
  if (terms == nullptr) return true;
  bool good = true;
  for (const auto& term : terms->items) {
    const TextAt text = text_at(*terms, term);
    expr::TypedExpr value = expression(text);
    if (!value.valid()) {
      good = false;
      continue;
    }
    const int plain = value.column_if_plain();
    std::string name = term.second;
    if (name.empty() && plain >= 0) {
      const auto& column = columns()[static_cast<size_t>(plain)];
      name = is_short_name(column, value.text()) ? value.text() : column.field.name;
    }
    if (name.empty()) {
      error(text.span, "dsl.group", "a key that is computed needs a name")
          .help.push_back(fmt::format("write `{} as NAME`", term.text));
      good = false;
      continue;
    }
    const auto type = value.type().id();
    if (type == columnar::TypeId::kList || type == columnar::TypeId::kStruct || type == columnar::TypeId::kNull) {
      error(text.span, "dsl.group", fmt::format("records cannot be grouped by {}", value.type().to_string()));
      good = false;
      continue;
    }
    if (index_of(*keys, name) >= 0) {
      error(text.span, "dsl.duplicate_name", fmt::format("there are two keys called `{}`", name));
      good = false;
      continue;
    }
    if (masked_in_vain(columns(), expr::part_masks(value))) warn_masked_in_vain(text.span);
    plan::ColumnInfo column = column_of(columns(), value, name);
    column.unchanged_from.reset();
    keys->push_back(std::move(column));
    values->push_back(value);
    group->keys.push_back({name, std::move(value)});
  }
  return good;
}

bool ScenarioCompiler::group_item(const TextAt& name, const TextAt& text, plan::Group* group, const Columns& keys,
                                  const std::vector<expr::TypedExpr>& key_values, Columns* out) {
  if (name.text.empty() || index_of(*out, name.text) >= 0) {
    error(name.span, name.text.empty() ? "dsl.name" : "dsl.duplicate_name",
          name.text.empty() ? "a field needs a name" : fmt::format("there are two fields called `{}`", name.text));
    return false;
  }
  SourceTextPtr parsed;
  const expr::ExprPtr tree = context_.parse(text, {}, &parsed);
  if (tree == nullptr || reads_lost(*tree)) {
    failed_ = true;
    return false;
  }
  std::vector<expr::GroupKey> group_keys;
  for (const auto& k : keys) group_keys.push_back({k.field.name, k.field.type, k.field.nullable});
  const expr::Scope scope = scope_of(columns());
  const expr::AggregateExpr aggregate = context_.checked(
      text, parsed, [&](Diagnostics& d) { return expr::check_aggregate(tree, parsed, scope, group_keys, d); });
  if (!aggregate.valid()) {
    failed_ = true;
    return false;
  }
  if (masked_in_vain(columns(), expr::part_masks(aggregate, static_cast<int>(keys.size())))) warn_masked_in_vain(text.span);
  out->push_back(column_of(columns(), aggregate, keys, key_values, name.text));

  // Where each aggregate stands among those of the whole group.
  std::vector<columnar::Field> fields;
  for (const auto& spec : aggregate.aggregates) {
    const bool known_already = std::any_of(group->aggregates.begin(), group->aggregates.end(),
                                           [&](const auto& a) { return a.text == spec.text; });
    if (!known_already) group->aggregates.push_back(spec);
  }
  for (const auto& k : keys) fields.push_back(k.field);
  for (const auto& a : group->aggregates) fields.push_back({a.text, a.result_type, a.result_nullable, "", ""});
  const columnar::Schema per_group(std::move(fields));

  expr::TypedExpr value;
  const int plain = aggregate.result.column_if_plain();
  if (plain >= 0 && static_cast<size_t>(plain) < keys.size()) {
    value = expr::column_reference(per_group, plain);
  } else if (plain >= 0) {
    const auto& wanted = aggregate.aggregates[static_cast<size_t>(plain) - keys.size()].text;
    value = expr::column_reference(per_group, per_group.index_of(wanted));
  } else {
    const expr::ExprPtr rest = without_aggregates(tree);
    value = context_.checked(text, parsed, [&](Diagnostics& d) {
      return expr::check(rest, parsed, expr::Scope(std::make_shared<const columnar::Schema>(per_group)), d);
    });
  }
  if (!value.valid()) {
    failed_ = true;
    return false;
  }
  group->items.push_back({name.text, std::move(value), expr::to_text(*tree)});
  return true;
}

void ScenarioCompiler::group(bool with_table) {
  if (!known() || (with_table && !table_width(2))) return;
  plan::Group group;
  Columns keys;
  std::vector<expr::TypedExpr> key_values;
  bool good = group_keys(&group, &keys, &key_values);
  Columns out = keys;
  if (with_table) {
    const auto& table = step_->step->table;
    for (size_t i = 0; i < table.size(); ++i) {
      const auto& row = table[i];
      if (i == 0 && header_row(row, {"field", "name"}, {"expression", "value"})) continue;
      if (good && !group_item(row[0], row[1], &group, keys, key_values, &out)) lost_.insert(row[0].text);
    }
  } else {
    const Capture* field = capture("field");
    TextAt name, count;
    name.text = field != nullptr ? field->text : "count";
    name.span = field != nullptr ? span_of(*field) : step_span();
    count.text = "count()";
    count.span = step_span();
    count.exact = false;
    good = good && group_item(name, count, &group, keys, key_values, &out);
  }
  if (!good) {
    flow_.unknown = true;
    return;
  }
  std::string name = keys.empty() ? "aggregate" : "group by";
  for (const auto& k : keys) name += " " + k.field.name;
  if (name.size() > 60) name = "group";
  advance(std::move(group), name, std::move(out));
}

}  // namespace runink::dsl
