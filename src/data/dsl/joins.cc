// Joins and unions: a second side beside the flow.
#include <algorithm>

#include "base/text.h"
#include "data/columnar/open_column.h"
#include "data/dsl/scenario_compiler.h"

namespace runink::dsl {

using plan::Input;

void ScenarioCompiler::join_step(plan::JoinKind kind) {
  if (!known()) return;
  std::string name;
  const std::optional<Input> side = other_side(&name);
  if (const Capture* as = capture("name")) name = as->text;
  if (!side) {
    failed_ = true;
    flow_.unknown = true;  // nobody knows which fields would follow
    return;
  }
  const Columns left = columns();
  const Columns right = plan_.operators[side->from].columns;
  const Capture& condition = *capture("condition");
  const TextAt text = text_at(condition);

  SourceTextPtr parsed;
  expr::ParseOptions parse_options;
  parse_options.single_equals = true;
  const expr::ExprPtr tree = context_.parse(text, parse_options, &parsed);
  expr::TypedExpr on;
  if (tree != nullptr && !reads_lost(*tree)) {
    expr::Scope scope = scope_of(left);
    scope.add(name, schema_of(right));
    expr::CheckOptions options;
    options.must_be_bool_for = "a join";
    options.no_aggregates_because = "a join compares one record with one other";
    on = context_.checked(text, parsed, [&](Diagnostics& d) { return expr::check(tree, parsed, scope, d, options); });
  }
  if (!on.valid()) {
    failed_ = true;
    flow_.unknown = true;
    return;
  }
  expr::JoinCondition split = expr::split_join_condition(on, static_cast<int>(left.size()));
  if (split.pairs.empty()) {
    error(text.span, "dsl.join", "the condition has no equality between the two sides")
        .help.push_back(fmt::format("write such as `on field = {}.field`", name));
    flow_.unknown = true;
    return;
  }
  plan::Join join;
  join.kind = kind;
  join.name = name;
  for (auto& pair : split.pairs) {
    join.probe_keys.push_back(std::move(pair.left));
    join.build_keys.push_back(std::move(pair.right));
  }
  join.residual = std::move(split.residual);
  Columns out = left;
  if (kind == plan::JoinKind::kInner || kind == plan::JoinKind::kLeft) {
    for (size_t i = 0; i < right.size(); ++i) {
      if (right[i].field.name == columnar::kOpenColumn) continue;  // of the joined side only what has a name
      plan::ColumnInfo column = right[i];
      column.field.name = name + "." + right[i].field.name;
      column.qualifier = static_cast<uint32_t>(name.size()) + 1 + right[i].qualifier;
      column.field.nullable = column.field.nullable || kind == plan::JoinKind::kLeft;
      column.unchanged_from.reset();
      if (index_of(left, column.field.name) >= 0) {
        error(step_span(), "dsl.duplicate_name",
              fmt::format("there would be two fields called `{}`", column.field.name))
            .help.push_back("name this side otherwise: `as NAME`");
        flow_.unknown = true;
        return;
      }
      join.build_columns.push_back(static_cast<uint32_t>(i));
      out.push_back(std::move(column));
    }
  }
  const Input probe = *flow_.at;
  flow_.at = Input{add(std::move(join), "join " + name, {probe, *side}, std::move(out)), 0};
}

Input ScenarioCompiler::with_open_column(Input input) {
  Columns columns = plan_.operators[input.from].columns;
  plan::Derive derive;
  derive.items.push_back({std::string(columnar::kOpenColumn), made_expression("cast(null as json)", step_span())});
  plan::ColumnInfo column;
  column.field = {std::string(columnar::kOpenColumn), columnar::TypeId::kJson, true, "", ""};
  columns.push_back(std::move(column));
  return Input{add(std::move(derive), "open", {input}, std::move(columns)), 0};
}

void ScenarioCompiler::unite() {
  if (!known()) return;
  std::string name;
  std::optional<Input> side = other_side(&name);
  if (!side) {
    failed_ = true;
    return;
  }
  // What is left open on one side is nothing on the other.
  const auto is_open = [&](const Input& input) { return columnar::open_column(*plan_.operators[input.from].schema) >= 0; };
  if (is_open(*side) && !is_open(*flow_.at)) flow_.at = with_open_column(*flow_.at);
  if (is_open(*flow_.at) && !is_open(*side)) side = with_open_column(*side);
  const Columns left = columns();
  const Columns right = plan_.operators[side->from].columns;
  bool good = true, in_order = left.size() == right.size();
  std::vector<plan::Project::Item> items;
  Columns ordered, out;
  std::vector<std::string> missing, extra;
  for (size_t i = 0; i < left.size(); ++i) {
    const columnar::Field& wanted = left[i].field;
    const int at = index_of(right, wanted.name);
    if (at < 0) {
      missing.push_back(wanted.name);
      continue;
    }
    const plan::ColumnInfo& other = right[static_cast<size_t>(at)];
    if (!(other.field.type == wanted.type)) {
      error(step_span(), "dsl.union",
            fmt::format("field `{}` is {} before and {} in `{}`", wanted.name, wanted.type.to_string(),
                        other.field.type.to_string(), name))
          .help.push_back("cast one of them, or give both the same contract");
      good = false;
    }
    in_order = in_order && static_cast<size_t>(at) == i;
    items.push_back({wanted.name, wanted.name});
    ordered.push_back(other);
    plan::ColumnInfo column = left[i];
    column.field.nullable = column.field.nullable || other.field.nullable;
    if (column.unchanged_from != other.unchanged_from) column.unchanged_from.reset();
    add_pii(other.pii, false, &column.pii);
    add_origins(other.lineage, nullptr, false, &column.lineage);
    out.push_back(std::move(column));
  }
  for (const auto& c : right) {
    if (index_of(left, c.field.name) < 0) extra.push_back(c.field.name);
  }
  if (!missing.empty() || !extra.empty()) {
    auto& d =
        error(step_span(), "dsl.union", fmt::format("`{}` and the records before do not have the same fields", name));
    if (!missing.empty()) d.help.push_back("it has no " + join(missing, ", "));
    if (!extra.empty()) d.help.push_back("only it has " + join(extra, ", "));
    d.help.push_back("give both the same contract, or keep the same fields in both");
    good = false;
  }
  if (!good) return;
  if (!in_order) side = Input{add(plan::Project{std::move(items)}, "order fields", {*side}, std::move(ordered)), 0};
  const Input first = *flow_.at;
  flow_.at = Input{add(plan::Union{}, "union " + name, {first, *side}, std::move(out)), 0};
}

}  // namespace runink::dsl
