#include "data/plan/pii.h"

#include <algorithm>

#include "data/columnar/open_column.h"

namespace runink::plan {

std::string shown_mask(const ColumnInfo& column) {
  if (column.pii.empty()) return "";
  // The names of what is left open may say as much as the values.
  if (column.field.name == columnar::kOpenColumn) return "null";
  const PiiSource& first = column.pii[0];
  const bool the_field = std::all_of(column.pii.begin(), column.pii.end(),
                                     [&](const PiiSource& p) { return !p.derived && p.mask == first.mask; });
  return the_field && !first.mask.empty() ? first.mask : "all";
}

bool reveals_pii(const std::vector<ColumnInfo>& columns) {
  return std::any_of(columns.begin(), columns.end(), [](const ColumnInfo& c) { return !c.pii.empty(); });
}

bool receives_pii(const ScenarioPlan& scenario, const Operator& op) {
  return std::any_of(op.inputs.begin(), op.inputs.end(),
                     [&](const Input& input) { return reveals_pii(scenario.operators[input.from].columns); });
}

std::vector<std::string> pii_names(const ScenarioPlan& scenario) {
  std::vector<std::string> names;
  for (const Operator& op : scenario.operators) {
    for (const ColumnInfo& c : op.columns) {
      if (!c.pii.empty()) names.push_back(c.field.name);
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

}  // namespace runink::plan
