#include "client/local/lineage_events.h"

#include "base/text.h"
#include "client/local/version.h"
#include "data/plan/lineage.h"

namespace runink::local {

namespace {

struct Name {
  std::string name_space, name;
};

Name dataset_name(const Project& project, const plan::Plan& plan, const plan::Dataset& dataset) {
  using Kind = plan::Dataset::Kind;
  switch (dataset.kind) {
    case Kind::kStandard: return {"stdio", "-"};
    case Kind::kProgram: return {"exec", dataset.locator};
    case Kind::kScenario:
      return {project.config().lineage_namespace,
              plan.feature_path + "#" + dataset.scenario + (dataset.output.empty() ? "" : "/" + dataset.output)};
    case Kind::kFile: break;
  }
  if (dataset.locator.starts_with("file://")) return {"file", dataset.locator.substr(7)};
  if (dataset.locator.starts_with("/")) return {"file", dataset.locator};
  return {"file", project.root() + "/" + dataset.locator};
}

ledger::LineageField lineage_field(const columnar::Field& field) {
  ledger::LineageField out;
  out.name = field.name;
  out.type = field.type.to_string();
  return out;
}

}  // namespace

ledger::LineageEvent feature_event(const Project& project, const plan::Plan& plan) {
  ledger::LineageEvent event;
  event.job_namespace = project.config().lineage_namespace;
  event.job_name = plan.feature_path;
  event.job_type = "FEATURE";
  event.documentation = plan.description;
  event.runink_version = kVersion;
  return event;
}

ledger::LineageEvent scenario_event(const Project& project, const plan::Plan& plan, const plan::ScenarioPlan& scenario,
                                    const engine::ExecutionReport* report, const std::vector<SinkState>& sinks, bool revealed) {
  ledger::LineageEvent event = feature_event(project, plan);
  event.job_name = plan.feature_path + "#" + scenario.name;
  event.job_type = "SCENARIO";
  event.parent_job_namespace = project.config().lineage_namespace;
  event.parent_job_name = plan.feature_path;

  const auto report_of = [&](plan::OperatorId id) -> const engine::OperatorReport* {
    if (report == nullptr) return nullptr;
    for (const auto& r : report->operators) {
      if (r.id == id) return &r;
    }
    return nullptr;
  };
  for (const auto& op : scenario.operators) {
    const auto* source = std::get_if<plan::Source>(&op.parameters);
    if (source == nullptr && !std::holds_alternative<plan::ScenarioInput>(op.parameters)) continue;
    const Name name = dataset_name(project, plan, plan::dataset_of(scenario, op));
    ledger::LineageDataset dataset;
    dataset.name_space = name.name_space;
    dataset.name = name.name;
    for (const auto& f : op.schema->fields()) dataset.fields.push_back(lineage_field(f));
    if (source != nullptr && source->contract) {
      dataset.contract_name = source->contract->name;
      dataset.contract_version = source->contract->version_text();
      dataset.contract_hash = source->contract->hash;
    }
    if (const auto* r = report_of(op.id)) {
      dataset.rows = r->rows_out.empty() ? 0 : r->rows_out[0] + r->rejected;
      dataset.bytes = r->bytes;
      for (const auto& rule : report->rules) {
        ledger::LineageAssertion a;
        a.assertion = rule.is_assertion ? "assertion" : "quality";
        a.success = rule.passed;
        a.name = rule.name;
        a.severity = rule.warn_only ? "warn" : "error";
        a.actual = rule.actual;
        a.content = rule.text;
        dataset.assertions.push_back(std::move(a));
      }
    }
    event.inputs.push_back(std::move(dataset));
  }
  for (const auto& lineage : plan::lineage_of(scenario, revealed)) {
    const auto& op = scenario.operators[lineage.sink];
    const auto* output = std::get_if<plan::Output>(&op.parameters);
    if (output != nullptr && !output->spool) continue;
    const Name name = dataset_name(project, plan, lineage.dataset);
    ledger::LineageDataset dataset;
    dataset.name_space = name.name_space;
    dataset.name = name.name;
    const auto& from = scenario.operators[op.inputs[0].from];
    for (const auto& f : from.schema->fields()) dataset.fields.push_back(lineage_field(f));
    const auto input_field = [&](const plan::InputColumn& in) {
      const auto& source = scenario.operators[in.source];
      const Name of = dataset_name(project, plan, plan::dataset_of(scenario, source));
      ledger::InputField field;
      field.dataset_namespace = of.name_space;
      field.dataset = of.name;
      field.field = in.column;
      field.subtype = in.how;
      field.direct = in.how == "IDENTITY" || in.how == "TRANSFORMATION" || in.how == "AGGREGATION";
      field.masking = in.masked;
      field.description = in.description;
      return field;
    };
    for (const auto& column : lineage.columns) {
      ledger::ColumnLineage out;
      out.field = column.column;
      for (const auto& in : column.inputs) out.inputs.push_back(input_field(in));
      dataset.columns.push_back(std::move(out));
    }
    for (const auto& in : lineage.rows) dataset.dataset_inputs.push_back(input_field(in));
    if (const auto* r = report_of(op.id)) {
      dataset.rows = r->rows_in;
      for (const auto& s : sinks) {
        if (s.op == op.id) dataset.bytes = s.bytes;
      }
    }
    event.outputs.push_back(std::move(dataset));
  }
  for (const auto& op : scenario.operators) {
    const auto* sink = std::get_if<plan::Sink>(&op.parameters);
    if (sink == nullptr || !sink->rejected || sink->locator.empty()) continue;
    const Name name = dataset_name(project, plan, plan::dataset_of(scenario, op));
    ledger::LineageDataset dataset;
    dataset.name_space = name.name_space;
    dataset.name = name.name;
    dataset.description = "dead letters";
    for (const auto& s : sinks) {
      if (s.op != op.id || report == nullptr) continue;
      dataset.rows = s.letters;
      dataset.bytes = s.bytes;
    }
    event.outputs.push_back(std::move(dataset));
  }
  return event;
}

}  // namespace runink::local
