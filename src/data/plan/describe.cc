#include "data/plan/describe.h"

#include "base/text.h"

namespace runink::plan {
namespace {

std::string list(const std::vector<std::string>& names) { return join(names, ", "); }

std::string contract_text(const ContractPtr& contract) {
  return contract == nullptr ? "no contract" : contract->name + " " + contract->version_text();
}

struct Describer {
  const ScenarioPlan& scenario;
  const Operator& op;

  std::string column(int index) const {
    const Operator& from = scenario.operators[op.inputs[0].from];
    return from.columns[static_cast<size_t>(index)].field.name;
  }

  std::string operator()(const Source& s) const {
    std::string out = "read " + place_of(s.locator, s.exec, false) + " as " + s.format;
    if (!s.compression.empty()) out += ", " + s.compression;
    return out + (s.contract != nullptr ? ", contract " + contract_text(s.contract) : ", fields inferred");
  }
  std::string operator()(const ScenarioInput& s) const {
    return s.output.empty() ? fmt::format("output of scenario \"{}\"", s.scenario)
                            : fmt::format("output of sink {} of scenario \"{}\"", s.output, s.scenario);
  }
  std::string operator()(const Check& c) const {
    return "check against " + contract_text(c.contract) + " " + c.contract->hash.substr(0, 12);
  }
  std::string operator()(const Unique& u) const { return "keep the first for each " + list(u.columns); }
  std::string operator()(const Filter& f) const { return "keep where " + text_of(f.condition); }
  std::string operator()(const Derive& d) const {
    std::vector<std::string> parts;
    for (const auto& i : d.items) parts.push_back(i.name + " = " + text_of(i.value));
    return "set " + list(parts);
  }
  std::string operator()(const Project& p) const {
    std::vector<std::string> parts;
    for (const auto& i : p.items) parts.push_back(i.from == i.to ? i.to : i.from + " as " + i.to);
    return "fields " + list(parts);
  }
  std::string operator()(const Deduplicate& d) const {
    return "deduplicate by " + (d.columns.empty() ? std::string("all fields") : list(d.columns));
  }
  std::string operator()(const Sort& s) const {
    std::vector<std::string> parts;
    for (const auto& k : s.keys) parts.push_back(k.column + (k.descending ? " descending" : ""));
    return "sort by " + list(parts) + (s.keep ? fmt::format(", keep the first {}", *s.keep) : "");
  }
  std::string operator()(const Limit& l) const { return fmt::format("keep the first {}", l.rows); }
  std::string operator()(const Sample& s) const {
    return fmt::format("sample {}% with seed {}", s.fraction * 100, s.seed);
  }
  std::string operator()(const Union&) const {
    std::vector<std::string> parts;
    for (const auto& i : op.inputs) parts.push_back(scenario.operators[i.from].name);
    return "rows of " + join(parts, ", then ");
  }
  std::string operator()(const Split& s) const {
    std::vector<std::string> parts;
    for (const auto& b : s.branches) parts.push_back(b.name + ": " + text_of(b.condition));
    return std::string(s.first_match_only ? "first of " : "each of ") + join(parts, "; ");
  }
  std::string operator()(const Join& j) const {
    static constexpr const char* kKinds[] = {"inner", "left", "semi", "anti"};
    std::vector<std::string> parts;
    for (size_t i = 0; i < j.probe_keys.size(); ++i) {
      parts.push_back(text_of(j.probe_keys[i]) + " = " + text_of(j.build_keys[i]));
    }
    if (j.residual.valid()) parts.push_back(text_of(j.residual));
    return fmt::format("{} join {} on {}", kKinds[static_cast<int>(j.kind)], j.name, join(parts, " and "));
  }
  std::string operator()(const Group& g) const {
    std::vector<std::string> keys, items;
    for (const auto& k : g.keys)
      keys.push_back(text_of(k.value) == k.name ? k.name : text_of(k.value) + " as " + k.name);
    for (const auto& i : g.items) items.push_back(i.name + " = " + (i.text.empty() ? text_of(i.value) : i.text));
    return (keys.empty() ? "aggregate all" : "group by " + list(keys)) + ": " + list(items);
  }
  std::string operator()(const Program& p) const {
    std::string out = p.argv.empty() ? "C++ step " + p.cpp_step : "program " + join(p.argv, " ");
    out += " over " + p.format;
    return out + (p.output_contract != nullptr ? ", answers " + contract_text(p.output_contract) : "");
  }
  std::string operator()(const Sink& s) const {
    std::string out = "write " + std::string(s.rejected ? "dead letters " : "") + "to " +
                      place_of(s.locator, s.exec, true) + " as " + s.format;
    if (!s.compression.empty()) out += ", " + s.compression;
    if (s.mode != "replace") out += ", " + s.mode;
    if (!s.rules.empty()) out += ", rules " + list(s.rules);
    return out;
  }
  std::string operator()(const Output&) const { return "output for other scenarios"; }
};

}  // namespace

std::string text_of(const TypedExpr& expression) { return expression.valid() ? expression.text() : "otherwise"; }

std::string place_of(const std::string& locator, const std::vector<std::string>& exec, bool is_sink) {
  if (!exec.empty()) return "program `" + locator + "`";
  if (locator == "-") return is_sink ? "standard output" : "standard input";
  return locator;
}

std::string describe(const ScenarioPlan& scenario, const Operator& op) {
  return std::visit(Describer{scenario, op}, op.parameters);
}

std::string columns_text(const Operator& op) { return op.schema == nullptr ? "" : op.schema->to_string(); }

bool is_blocking(const Parameters& parameters) {
  return std::holds_alternative<Sort>(parameters) || std::holds_alternative<Group>(parameters);
}

}  // namespace runink::plan
