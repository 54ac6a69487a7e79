#include "data/plan/to_json.h"

#include <nlohmann/json.hpp>

#include "data/plan/describe.h"
#include "data/plan/fusion.h"

namespace runink::plan {
namespace {

using Json = nlohmann::ordered_json;

Json location_json(const Location& l) { return l.to_string(); }

Json dialect_json(const Dialect& d) {
  const auto mark = [](char c) { return c == 0 ? Json(nullptr) : Json(std::string(1, c)); };
  return {{"delimiter", mark(d.delimiter)},
          {"quote", mark(d.quote)},
          {"escape", mark(d.escape)},
          {"comment", mark(d.comment)},
          {"header", d.header},
          {"trim", d.trim},
          {"null", d.null_text},
          {"crlf", d.crlf}};
}

Json contract_json(const ContractPtr& contract) {
  if (contract == nullptr) return nullptr;
  return {{"name", contract->name},
          {"version", contract->version_text()},
          {"hash", contract->hash},
          {"file", contract->files.empty() ? contract->location.file : contract->files[0]}};
}

Json column_json(const ColumnInfo& c, const std::string& mask) {
  Json j = {{"name", c.field.name}, {"type", c.field.type.to_string()}, {"nullable", c.field.nullable}};
  if (!c.field.format.empty()) j["format"] = c.field.format;
  if (!c.field.zone.empty()) j["zone"] = c.field.zone;
  if (!mask.empty()) j["mask"] = mask;
  if (c.unchanged_from) j["unchanged_from"] = {c.unchanged_from->first, c.unchanged_from->second};
  if (!c.pii.empty()) {
    Json list = Json::array();
    for (const auto& p : c.pii) {
      list.push_back({{"contract", p.contract},
                      {"field", p.field},
                      {"mask", p.mask},
                      {"access", p.access},
                      {"derived", p.derived}});
    }
    j["pii"] = std::move(list);
  }
  if (!c.lineage.empty()) {
    Json list = Json::array();
    for (const auto& o : c.lineage) {
      Json origin = {{"source", o.source}, {"column", o.column}, {"how", o.how}};
      if (o.masked) origin["masked"] = true;
      list.push_back(std::move(origin));
    }
    j["lineage"] = std::move(list);
  }
  return j;
}

// Members that are particular to one kind of operator.
struct Members {
  Json& j;

  void operator()(const Source& s) const {
    j["locator"] = s.locator;
    if (!s.exec.empty()) j["exec"] = s.exec;
    j["format"] = s.format;
    j["compression"] = s.compression;
    if (s.format == "csv") j["dialect"] = dialect_json(s.dialect);
    j["contract"] = contract_json(s.contract);
    j["open"] = s.open;
  }
  void operator()(const ScenarioInput& s) const {
    j["scenario"] = s.scenario;
    j["output"] = s.output;
  }
  void operator()(const Check& c) const { j["contract"] = contract_json(c.contract); }
  void operator()(const Unique& u) const {
    j["fields"] = u.columns;
    j["rule"] = u.rule;
  }
  void operator()(const Filter& f) const {
    j["condition"] = text_of(f.condition);
    j["reason"] = f.reason;
  }
  void operator()(const Derive& d) const {
    j["items"] = Json::array();
    for (const auto& i : d.items) j["items"].push_back({{"name", i.name}, {"value", text_of(i.value)}});
  }
  void operator()(const Project& p) const {
    j["items"] = Json::array();
    for (const auto& i : p.items) j["items"].push_back({{"from", i.from}, {"to", i.to}});
  }
  void operator()(const Deduplicate& d) const { j["fields"] = d.columns; }
  void operator()(const Sort& s) const {
    j["keys"] = Json::array();
    for (const auto& k : s.keys) j["keys"].push_back({{"field", k.column}, {"descending", k.descending}});
    j["keep"] = s.keep ? Json(*s.keep) : Json(nullptr);
  }
  void operator()(const Limit& l) const { j["rows"] = l.rows; }
  void operator()(const Sample& s) const {
    j["fraction"] = s.fraction;
    j["seed"] = s.seed;
  }
  void operator()(const Union&) const {}
  void operator()(const Split& s) const {
    j["first_match_only"] = s.first_match_only;
    j["branches"] = Json::array();
    for (const auto& b : s.branches) {
      j["branches"].push_back(
          {{"name", b.name}, {"condition", b.condition.valid() ? Json(text_of(b.condition)) : Json(nullptr)}});
    }
  }
  void operator()(const Join& s) const {
    static constexpr const char* kKinds[] = {"inner", "left", "semi", "anti"};
    j["join"] = kKinds[static_cast<int>(s.kind)];
    j["as"] = s.name;
    j["on"] = Json::array();
    for (size_t i = 0; i < s.probe_keys.size(); ++i)
      j["on"].push_back({text_of(s.probe_keys[i]), text_of(s.build_keys[i])});
    if (s.residual.valid()) j["residual"] = text_of(s.residual);
    j["fields_added"] = s.build_columns;
  }
  void operator()(const Group& g) const {
    j["keys"] = Json::array();
    for (const auto& k : g.keys) j["keys"].push_back({{"name", k.name}, {"value", text_of(k.value)}});
    j["aggregates"] = Json::array();
    for (const auto& a : g.aggregates) j["aggregates"].push_back(a.text);
    j["items"] = Json::array();
    for (const auto& i : g.items)
      j["items"].push_back({{"name", i.name}, {"value", i.text.empty() ? text_of(i.value) : i.text}});
  }
  void operator()(const Program& p) const {
    j["program"] = p.name;
    if (!p.argv.empty()) j["argv"] = p.argv;
    if (!p.cpp_step.empty()) j["cpp_step"] = p.cpp_step, j["library"] = p.library;
    j["format"] = p.format;
    j["contract"] = contract_json(p.output_contract);
    if (p.timeout_micros > 0) j["step_timeout_micros"] = p.timeout_micros;
  }
  void operator()(const Sink& s) const {
    j["sink"] = s.name;
    j["locator"] = s.locator;
    if (!s.exec.empty()) j["exec"] = s.exec;
    j["format"] = s.format;
    j["compression"] = s.compression;
    if (s.format == "csv") j["dialect"] = dialect_json(s.dialect);
    j["mode"] = s.mode;
    j["rejected"] = s.rejected;
    j["rules"] = s.rules;
    j["masks"] = s.masks;
    j["verbatim_columns"] = s.verbatim_columns;
  }
  void operator()(const Output&) const {}
};

Json requires_json(const Requires& r) {
  Json j = Json::object();
  if (r.cpu > 0) j["cpu"] = r.cpu;
  if (r.memory_bytes > 0) j["memory_bytes"] = r.memory_bytes;
  if (r.gpu > 0) j["gpu"] = r.gpu;
  if (!r.label.empty()) j["label"] = r.label;
  return j;
}

Json operator_json(const ScenarioPlan& scenario, const Operator& op) {
  Json j = {{"id", op.id},
            {"kind", kind_name(op.parameters)},
            {"name", op.name},
            {"meaning", describe(scenario, op)},
            {"sentence", op.sentence},
            {"location", location_json(op.location)}};
  j["inputs"] = Json::array();
  for (const auto& i : op.inputs) j["inputs"].push_back({{"from", i.from}, {"port", i.port}});
  std::visit(Members{j}, op.parameters);
  j["columns"] = Json::array();
  const auto* sink = std::get_if<Sink>(&op.parameters);
  for (size_t i = 0; i < op.columns.size(); ++i) {
    j["columns"].push_back(column_json(op.columns[i], sink != nullptr && i < sink->masks.size() ? sink->masks[i] : ""));
  }
  if (!(op.needs == Requires{})) j["requires"] = requires_json(op.needs);
  if (!op.affinity.empty()) j["affinity"] = op.affinity;
  if (op.timeout_micros > 0) j["timeout_micros"] = op.timeout_micros;
  if (op.retries > 0) j["retries"] = op.retries;
  if (op.checkpoint) j["checkpoint"] = true;
  return j;
}

const char* assertion_kind(Assertion::Kind kind) {
  static constexpr const char* kNames[] = {
      "min_processed", "max_processed", "max_rejected_percent", "max_rejected", "min_valid", "no_drift", "expression"};
  return kNames[static_cast<int>(kind)];
}

Json scenario_json(const ScenarioPlan& s) {
  Json j = {{"name", s.name},
            {"rule", s.rule},
            {"tags", s.tags},
            {"location", location_json(s.location)},
            {"needs", s.needs_scenarios}};
  if (!(s.needs == Requires{})) j["requires"] = requires_json(s.needs);
  if (s.timeout_micros > 0) j["timeout_micros"] = s.timeout_micros;
  if (s.retries > 0) j["retries"] = s.retries;
  j["operators"] = Json::array();
  for (const auto& op : s.operators) j["operators"].push_back(operator_json(s, op));
  j["valid"] = s.valid.empty() ? Json(nullptr) : Json{{"from", s.valid[0].from}, {"port", s.valid[0].port}};
  j["stages"] = Json::array();
  for (const auto& stage : fuse(s)) {
    j["stages"].push_back({{"id", stage.id},
                           {"name", stage.name},
                           {"operators", stage.operators},
                           {"reads_from", stage.reads_from},
                           {"own_process", stage.own_process},
                           {"why", stage.why}});
  }
  j["assertions"] = Json::array();
  for (const auto& a : s.assertions) {
    Json one = {{"kind", assertion_kind(a.kind)}, {"text", a.text}, {"location", location_json(a.location)}};
    if (a.kind == Assertion::Kind::kExpression)
      one["expression"] = text_of(a.expression.result);
    else if (a.kind != Assertion::Kind::kNoDrift)
      one["number"] = a.number, one["inclusive"] = a.inclusive;
    j["assertions"].push_back(std::move(one));
  }
  j["qualities"] = Json::array();
  for (const auto& q : s.qualities) {
    j["qualities"].push_back({{"after", q.after},
                              {"name", q.name},
                              {"severity", q.warn_only ? "warn" : "error"},
                              {"text", q.text},
                              {"location", location_json(q.location)}});
  }
  j["notifications"] = Json::array();
  for (const auto& n : s.notifications)
    j["notifications"].push_back({{"channel", n.channel}, {"target", n.target}, {"when", n.when}});
  j["golden_cases"] = s.golden_cases;
  j["unenforced"] = Json::array();
  for (const auto& u : s.unenforced) {
    j["unenforced"].push_back({{"annotation", u.annotation}, {"why", u.why}, {"location", location_json(u.location)}});
  }
  j["metadata"] = Json::object();
  for (const auto& [key, value] : s.metadata) j["metadata"][key] = value;
  return j;
}

Json header_json(const Plan& plan) {
  Json j = {{"format", kPlanFormat},
            {"feature", plan.feature},
            {"path", plan.feature_path},
            {"description", plan.description}};
  j["metadata"] = Json::object();
  for (const auto& [key, value] : plan.metadata) j["metadata"][key] = value;
  j["contracts"] = Json::array();
  for (const auto& c : plan.contracts) j["contracts"].push_back(contract_json(c));
  j["files"] = plan.files;
  return j;
}

std::string dump(const Json& j, int indent) { return j.dump(indent, ' ', false, Json::error_handler_t::replace); }

}  // namespace

std::string to_json(const Plan& plan, int indent) {
  Json j = header_json(plan);
  j["scenarios"] = Json::array();
  for (const auto& s : plan.scenarios) j["scenarios"].push_back(scenario_json(s));
  return dump(j, indent);
}

std::string to_json(const Plan& plan, const ScenarioPlan& scenario, int indent) {
  Json j = header_json(plan);
  j["scenarios"] = Json::array({scenario_json(scenario)});
  return dump(j, indent);
}

std::string to_json(const ScenarioPlan& scenario) { return dump(scenario_json(scenario), -1); }

}  // namespace runink::plan
