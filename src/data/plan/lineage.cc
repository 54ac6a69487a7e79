#include "data/plan/lineage.h"

#include <algorithm>
#include <set>

#include "data/expr/check.h"
#include "data/plan/describe.h"

namespace runink::plan {
namespace {

// What decided about the rows that reach an operator, gathered along all its inputs.
class RowDecisions {
 public:
  explicit RowDecisions(const ScenarioPlan& scenario) : scenario_(scenario) {}

  std::vector<InputColumn> before(OperatorId sink) {
    std::vector<bool> seen(scenario_.operators.size(), false);
    std::vector<OperatorId> todo;
    for (const Input& i : scenario_.operators[sink].inputs) todo.push_back(i.from);
    std::set<OperatorId> above;
    while (!todo.empty()) {
      const OperatorId id = todo.back();
      todo.pop_back();
      if (seen[id]) continue;
      seen[id] = true;
      above.insert(id);
      for (const Input& i : scenario_.operators[id].inputs) todo.push_back(i.from);
    }
    for (const OperatorId id : above) visit(scenario_.operators[id]);
    return std::move(out_);
  }

 private:
  const std::vector<ColumnInfo>& input(const Operator& op, size_t index = 0) const {
    return scenario_.operators[op.inputs[index].from].columns;
  }

  void add(const std::vector<ColumnInfo>& columns, const std::vector<int>& read, const char* how,
           const std::string& text) {
    for (const int c : read) {
      for (const auto& origin : columns[static_cast<size_t>(c)].lineage) {
        InputColumn input{origin.source, origin.column, how, origin.masked, text};
        if (std::find(out_.begin(), out_.end(), input) == out_.end()) out_.push_back(std::move(input));
      }
    }
  }

  void add_named(const Operator& op, const std::vector<std::string>& names, const char* how, const std::string& text) {
    std::vector<int> read;
    for (const auto& name : names) {
      for (size_t i = 0; i < input(op).size(); ++i) {
        if (input(op)[i].field.name == name) read.push_back(static_cast<int>(i));
      }
    }
    add(input(op), read, how, text);
  }

  void visit(const Operator& op) {
    const Parameters& p = op.parameters;
    if (const auto* filter = std::get_if<Filter>(&p)) {
      add(input(op), filter->condition.columns(), "FILTER", text_of(filter->condition));
    } else if (const auto* unique = std::get_if<Unique>(&p)) {
      add_named(op, unique->columns, "FILTER", unique->rule);
    } else if (const auto* check = std::get_if<Check>(&p)) {
      for (const auto& rule : check->contract->checks) {
        add(input(op), rule.expression.columns(), "FILTER", rule.canonical);
      }
    } else if (const auto* dedup = std::get_if<Deduplicate>(&p)) {
      add_named(op, dedup->columns, "FILTER", "deduplicate");
    } else if (const auto* sort = std::get_if<Sort>(&p)) {
      std::vector<std::string> names;
      for (const auto& k : sort->keys) names.push_back(k.column);
      add_named(op, names, "SORT", "sort");
    } else if (const auto* split = std::get_if<Split>(&p)) {
      for (const auto& b : split->branches) {
        if (b.condition.valid()) add(input(op), b.condition.columns(), "CONDITIONAL", text_of(b.condition));
      }
    } else if (const auto* join = std::get_if<Join>(&p)) {
      for (const auto& key : join->probe_keys) add(input(op, 0), key.columns(), "JOIN", text_of(key));
      for (const auto& key : join->build_keys) add(input(op, 1), key.columns(), "JOIN", text_of(key));
    } else if (const auto* group = std::get_if<Group>(&p)) {
      for (const auto& key : group->keys) add(input(op), key.value.columns(), "GROUP_BY", text_of(key.value));
    }
  }

  const ScenarioPlan& scenario_;
  std::vector<InputColumn> out_;
};

}  // namespace

Dataset dataset_of(const ScenarioPlan& scenario, const Operator& op) {
  const auto place = [](const std::string& locator, const std::vector<std::string>& exec) {
    Dataset d;
    d.kind = !exec.empty() ? Dataset::Kind::kProgram : locator == "-" ? Dataset::Kind::kStandard : Dataset::Kind::kFile;
    d.locator = locator;
    return d;
  };
  if (const auto* source = std::get_if<Source>(&op.parameters)) return place(source->locator, source->exec);
  if (const auto* sink = std::get_if<Sink>(&op.parameters)) return place(sink->locator, sink->exec);
  Dataset d;
  d.kind = Dataset::Kind::kScenario;
  if (const auto* input = std::get_if<ScenarioInput>(&op.parameters)) {
    d.scenario = input->scenario;
    d.output = input->output;
  } else {
    d.scenario = scenario.name;
  }
  return d;
}

std::vector<OutputLineage> lineage_of(const ScenarioPlan& scenario, bool revealed) {
  std::vector<OutputLineage> out;
  for (const Operator& op : scenario.operators) {
    const auto* sink = std::get_if<Sink>(&op.parameters);
    const bool output = std::holds_alternative<Output>(op.parameters);
    if (!output && (sink == nullptr || sink->rejected)) continue;
    OutputLineage lineage;
    lineage.sink = op.id;
    lineage.name = sink != nullptr ? sink->name : op.name;
    lineage.dataset = dataset_of(scenario, op);
    // A sink changes nothing but what it masks.
    for (const ColumnInfo& column : revealed ? scenario.operators[op.inputs[0].from].columns : op.columns) {
      OutputColumn c;
      c.column = column.field.name;
      for (const auto& origin : column.lineage)
        c.inputs.push_back({origin.source, origin.column, origin.how, origin.masked, ""});
      lineage.columns.push_back(std::move(c));
    }
    lineage.rows = RowDecisions(scenario).before(op.id);
    out.push_back(std::move(lineage));
  }
  return out;
}

}  // namespace runink::plan
