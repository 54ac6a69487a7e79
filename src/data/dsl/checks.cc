// Checks against contracts, with the rules across rows and over the data set that belong to them.
#include <algorithm>

#include "base/nearest.h"
#include "data/dsl/scenario_compiler.h"

namespace runink::dsl {

using plan::Input;

namespace {

plan::ColumnInfo checked_column(const plan::ColumnInfo& before, const contract::Contract& contract, size_t index) {
  plan::ColumnInfo out = before;
  out.field = contract.schema->field(index);
  out.field.nullable = contract.fields[index].nullable();
  if (out.pii.empty()) out.pii = pii_of(contract, contract.fields[index]);
  return out;
}

}  // namespace

// The contract's columns first, in its order; the other columns follow.
Input ScenarioCompiler::add_check(Input from, const plan::ContractPtr& contract, Span span, bool* failed) {
  const Columns before = plan_.operators[from.from].columns;
  std::vector<size_t> order;
  bool fits = true;
  for (size_t i = 0; i < contract->fields.size(); ++i) {
    const columnar::Field& wanted = contract->schema->field(i);
    const int at = index_of(before, wanted.name);
    if (at < 0) {
      fits = false;
      failed_ = true;
      if (lost_.count(wanted.name) != 0) continue;
      auto& d = error(
          span, "dsl.contract_mismatch",
          fmt::format("contract {} has the field `{}`, and the records here do not", contract->name, wanted.name));
      const auto near = nearest(wanted.name, names_of(before));
      if (!near.empty()) d.help.push_back("they have `" + near[0] + "`");
      continue;
    }
    const columnar::Field& have = before[static_cast<size_t>(at)].field;
    if (!(have.type == wanted.type)) {
      fits = false;
      error(span, "dsl.contract_mismatch",
            fmt::format("field `{}` is {} here, and contract {} says {}", wanted.name, have.type.to_string(),
                        contract->name, wanted.type.to_string()))
          .help.push_back(fmt::format("`field {} is cast to {}` converts it", wanted.name, wanted.type.to_string()));
      continue;
    }
    order.push_back(static_cast<size_t>(at));
  }
  if (!fits) {
    *failed = true;
    return from;
  }
  bool in_place = true;
  for (size_t i = 0; i < order.size(); ++i) in_place = in_place && order[i] == i;
  if (!in_place) {
    for (size_t i = 0; i < before.size(); ++i) {
      if (std::find(order.begin(), order.end(), i) == order.end()) order.push_back(i);
    }
    plan::Project project;
    Columns columns;
    for (const size_t i : order) {
      project.items.push_back({before[i].field.name, before[i].field.name});
      columns.push_back(before[i]);
    }
    from = Input{add(std::move(project), "order fields", {from}, std::move(columns)), 0};
  }
  Columns columns = plan_.operators[from.from].columns;
  for (size_t i = 0; i < contract->fields.size(); ++i) columns[i] = checked_column(columns[i], *contract, i);
  Input at{add(plan::Check{contract}, "check " + contract->name, {from}, columns), 0};
  for (const auto& set : contract->unique_sets) {
    plan::Unique unique;
    for (const int c : set.columns) unique.columns.push_back(contract->schema->field(static_cast<size_t>(c)).name);
    unique.rule = contract->rules[static_cast<size_t>(set.rule)].name;
    const std::string name = "unique " + unique.rule;
    at = Input{add(std::move(unique), name, {at}, columns), 0};
  }
  for (const auto& quality : contract->qualities) {
    plan::Quality q;
    q.after = at.from;
    q.name = quality.name;
    q.expression = quality.expression;
    q.warn_only = quality.severity == contract::QualitySeverity::kWarn;
    q.text = quality.text;
    q.location = quality.location;
    plan_.qualities.push_back(std::move(q));
  }
  return at;
}

void ScenarioCompiler::check_step() {
  bool failed = false;
  plan::ContractPtr contract = named_contract(capture("contract"), false, &failed);
  if (!have_records() || failed) return;
  if (contract == nullptr) contract = flow_.contract;
  if (contract == nullptr && !flow_.unknown) contract = named_contract(nullptr, true, &failed);
  if (contract == nullptr) {
    failed_ = true;
    if (flow_.unknown || failed) return;
    error(step_span(), "dsl.contract_missing", "these records have no contract to be checked against")
        .help.push_back("write @contract(\"contracts/….contract\") above this step or above the source");
    return;
  }
  if (flow_.unknown) return;
  flow_.at = add_check(*flow_.at, contract, step_span(), &failed);
}

}  // namespace runink::dsl
