// Sinks: for the flow, for branches, and for dead letters.
#include <algorithm>

#include "base/nearest.h"
#include "base/text.h"
#include "data/columnar/open_column.h"
#include "data/contract/redact.h"
#include "data/dsl/scenario_compiler.h"

namespace runink::dsl {

using plan::Input;

// Two sinks on one file would each replace what the other wrote; a sink on its own source would eat it.
bool ScenarioCompiler::sink_conflicts(const Endpoint& e) {
  const bool standard = e.facts.kind == plan::LocatorFacts::Kind::kStandard;
  if (e.program) return false;
  const std::string path = standard ? "-" : plan::normal_path(context_.environment().project_root, e.facts.path);
  for (const auto& other : context_.sinks) {
    if (other.path != path) continue;
    if (other.scenario != plan_.name && e.mode == "append" && other.append) continue;
    auto& d = error(e.span, "dsl.sink_conflict",
                    fmt::format("{} is written twice", standard ? "standard output" : e.locator));
    d.help.push_back(fmt::format("the other time at {}{}", context_.location(other.span).to_string(),
                                 other.scenario == plan_.name ? "" : ", scenario \"" + other.scenario + "\""));
    if (scenario_.expanded.span.offset == 0 || other.span.offset == e.span.offset) {
      d.help.push_back("it is the same line for several scenarios: put a <parameter> into the path");
    }
    return true;
  }
  if (!standard) {
    for (const auto& op : plan_.operators) {
      const auto* source = std::get_if<plan::Source>(&op.parameters);
      if (source == nullptr || !source->exec.empty()) continue;
      const auto facts = plan::locator_facts(source->locator);
      if (!facts.ok() || facts->kind == plan::LocatorFacts::Kind::kStandard) continue;
      const std::string from = plan::normal_path(context_.environment().project_root, facts->path);
      if (from != path && !(facts->glob && plan::glob_matches(from, path))) continue;
      error(e.span, "dsl.sink_conflict", fmt::format("{} is also what this scenario reads", e.locator))
          .help.push_back("write to another file; a scenario never changes its own input");
      return true;
    }
  }
  context_.sinks.push_back({plan_.name, path, e.span, e.mode == "append"});
  return false;
}

uint32_t ScenarioCompiler::verbatim_columns(const Input& from, const plan::Sink& sink) {
  const Columns& columns = plan_.operators[from.from].columns;
  if (sink.format == "arrow" || columns.empty() || !columns[0].unchanged_from) return 0;
  const OperatorId id = columns[0].unchanged_from->first;
  const auto* source = std::get_if<plan::Source>(&plan_.operators[id].parameters);
  if (source == nullptr || source->format != sink.format) return 0;
  plan::Dialect a = source->dialect, b = sink.dialect;
  a.header = b.header = true;  // a header is no part of a record
  if (sink.format == "csv" && !(a == b)) return 0;
  const columnar::Schema& schema = *plan_.operators[id].schema;
  uint32_t count = 0;
  while (count < columns.size() && count < schema.size()) {
    const plan::ColumnInfo& c = columns[count];
    const bool same = c.unchanged_from == std::make_optional(std::make_pair(id, count)) &&
                      c.field.name == schema.field(count).name && sink.masks[count].empty();
    if (!same) break;
    ++count;
  }
  if (sink.format == "csv" && columnar::open_column(*plan_.operators[from.from].schema) >= 0) return 0;
  // A record's text can only be copied whole.
  return count == schema.size() ? count : 0;
}

// What a contract leaves open is written as members of its own, and in CSV as columns, which must be known before: from the
// headers of CSV files.
bool ScenarioCompiler::open_fits(const Input& from, const Endpoint& e) {
  const plan::Operator& op = plan_.operators[from.from];
  const int open = columnar::open_column(*op.schema);
  if (open < 0 || e.format == "ndjson") return true;
  const auto& lineage = op.columns[static_cast<size_t>(open)].lineage;
  const bool known = e.format == "csv" && std::all_of(lineage.begin(), lineage.end(), [&](const auto& origin) {
                       const auto* source = std::get_if<plan::Source>(&plan_.operators[origin.source].parameters);
                       return source != nullptr && source->format == "csv" && source->exec.empty() && source->locator != "-";
                     });
  if (known) return true;
  error(e.span, "dsl.open",
        fmt::format("fields that the contract leaves open have no columns in {}", e.format == "csv" ? "this csv file" : e.format))
      .help.push_back("say which fields are written (`only fields … are kept`), or write ndjson");
  return false;
}

bool ScenarioCompiler::fits_ndjson(const Columns& columns, Span span, std::string_view whither) {
  const auto names = nesting_conflict(columns);
  if (!names) return true;
  const auto& [outer, inner] = *names;
  auto& d = error(span, "dsl.nested_name",
                  fmt::format("`{}` and `{}` cannot both be in the ndjson for {}: the second is a member of the first there",
                              outer, inner, whither));
  d.help.push_back(fmt::format("rename or drop one of them before: `And field \"{}\" is renamed to \"…\"`", outer));
  const auto joined = std::find_if(columns.begin(), columns.end(), [&](const auto& c) { return c.field.name == inner; });
  if (joined->qualifier > 0) d.help.push_back("or name the joined side otherwise: `as NAME`");
  d.help.push_back("or give another format: csv and arrow have a column for each");
  return false;
}

void ScenarioCompiler::write(std::optional<Input> from, bool rejected, std::vector<std::string> rules) {
  const Capture* file = capture("file");
  const ReadAnnotation* a = own("sink");
  if (a == nullptr && file == nullptr) a = inherited("sink");
  if (a == nullptr && file == nullptr) {
    if (is_broken("sink")) return;
    error(step_span(), "dsl.sink_missing", "nothing says where these records go")
        .help.push_back("write @sink(\"out/….ndjson\") on the line above");
    return;
  }
  const std::optional<Endpoint> e = endpoint(a, file, true);
  if (!e || sink_conflicts(*e)) return;
  if (rejected && (e->program || e->facts.kind == plan::LocatorFacts::Kind::kStandard || !e->compression.empty())) {
    error(e->span, "dsl.locator",
          "dead letters hold original bytes and go to a plain file, readable by its owner only");
    return;
  }
  if (rejected && e->format != "ndjson") {
    error(e->span, "dsl.format", fmt::format("dead letters are written as ndjson, not as {}", e->format))
        .help.push_back("each is one object: the rules broken, the place of origin, the original bytes");
    return;
  }
  if (e->mode == "append" && e->format == "arrow") {
    error(a->find("mode")->span, "dsl.append", "records cannot be added to an Arrow stream: it ends with a mark of its own")
        .help.push_back("leave mode out to write all of it anew, or write ndjson or csv");
    return;
  }
  plan::Sink sink;
  sink.name = e->name.empty() ? e->facts.stem : e->name;
  for (const auto& op : plan_.operators) {
    const auto* other = std::get_if<plan::Sink>(&op.parameters);
    if (other == nullptr || other->name != sink.name) continue;
    error(e->span, "dsl.duplicate_name", fmt::format("there is a sink named `{}` already", sink.name))
        .help.push_back("name one of them: @sink(…, name=\"…\")");
    return;
  }
  sink.locator = e->locator;
  sink.exec = e->exec;
  sink.format = e->format;
  sink.compression = e->compression;
  sink.dialect = e->dialect;
  sink.mode = e->mode;
  sink.rejected = rejected;
  sink.rules = std::move(rules);
  const std::string name = "write " + sink.name;
  if (rejected) {
    add(std::move(sink), name, {}, {});
    return;
  }
  if (!from || !open_fits(*from, *e)) return;
  Columns columns = plan_.operators[from->from].columns;
  if (sink.format == "ndjson" && !fits_ndjson(columns, e->span, "sink `" + sink.name + "`")) return;
  for (auto& c : columns) {
    bool derived = false;
    std::string mask = sink_mask(c, &derived);
    if (derived && c.field.name == columnar::kOpenColumn) {
      auto& d = context_.warning(step_span(), "dsl.pii_derived",
                                 fmt::format("what the contract leaves open went through a program that is sent pii ({}.{}), and is not written here",
                                             c.pii[0].contract, c.pii[0].field));
      d.help.push_back("drop the pii before the program, or give its answer a contract: @exec(\"…\", contract=\"contracts/….contract\")");
    } else if (derived) {
      auto& d = context_.warning(step_span(), "dsl.pii_derived",
                                 fmt::format("field `{}` was computed from pii ({}.{}) and is masked wholly here",
                                             c.field.name, c.pii[0].contract, c.pii[0].field));
      d.help.push_back(fmt::format("drop it, or hide the value where it is computed: mask(…), hash({}) or tokenise({})",
                                   c.pii[0].field, c.pii[0].field));
    }
    if (!mask.empty()) {
      const auto method = contract::parse_mask(mask);
      c.field.type =
          method.ok() ? contract::masked_type(c.field.type, *method) : columnar::DataType(columnar::TypeId::kString);
      c.field.format.clear();
      c.field.zone.clear();
      c.pii.clear();
      for (auto& origin : c.lineage) origin.masked = true;
    }
    sink.masks.push_back(std::move(mask));
  }
  sink.verbatim_columns = verbatim_columns(*from, sink);
  add(std::move(sink), name, {*from}, std::move(columns));
  written_.push_back(*from);
}

void ScenarioCompiler::write_flow() {
  if (!have_records()) return;
  write(flow_.unknown ? std::nullopt : flow_.at, false, {});
}

void ScenarioCompiler::write_branch() {
  if (!flow_.started && !have_records()) return;
  const auto at = branch(*capture("branch"));
  if (!at) failed_ = true;
  write(at, false, {});
}

// ---- dead letters
// -----------------------------------------------------------------------------------------------------

std::vector<std::string> ScenarioCompiler::known_rules() const {
  std::vector<std::string> out = {"expression"};
  for (const auto& op : plan_.operators) {
    const contract::Contract* contract = nullptr;
    if (const auto* check = std::get_if<plan::Check>(&op.parameters)) contract = check->contract.get();
    if (const auto* source = std::get_if<plan::Source>(&op.parameters)) contract = source->contract.get();
    if (contract == nullptr) continue;
    for (const auto& rule : contract->rules) {
      if (std::find(out.begin(), out.end(), rule.name) == out.end()) out.push_back(rule.name);
    }
  }
  if (std::find(out.begin(), out.end(), "record") == out.end()) out.push_back("record");
  return out;
}

bool ScenarioCompiler::resolve_rule(const std::string& name, Span span, std::vector<std::string>* rules) {
  const auto names = known_rules();
  for (const std::string& candidate : {name, "check " + name}) {
    if (std::find(names.begin(), names.end(), candidate) == names.end()) continue;
    if (std::find(rules->begin(), rules->end(), candidate) == rules->end()) rules->push_back(candidate);
    return true;
  }
  failed_ = true;
  if (flow_.unknown) return false;
  auto& d = error(span, "dsl.rule", fmt::format("no rule here is called `{}`", name));
  const auto near = nearest(name, names);
  if (!near.empty())
    d.help.push_back("did you mean `" + near[0] + "`?");
  else
    d.help.push_back("rules are named by field and kind, such as `delay.range`, or by the name of a check");
  return false;
}

void ScenarioCompiler::split_rejected() {
  if (!have_records() && !flow_.unknown) return;
  const auto& table = step_->step->table;
  if (table.empty() || table[0].size() != 2) {
    if (!table.empty()) table_width(2);
    return;
  }
  std::vector<std::string> named;
  for (size_t i = 0; i < table.size(); ++i) {
    const auto& row = table[i];
    if (i == 0 && header_row(row, {"branch", "name"}, {"rule", "rules"})) continue;
    const std::string& name = row[0].text;
    if (name.empty() || rejected_branches_.count(name) != 0) {
      error(row[0].span, name.empty() ? "dsl.name" : "dsl.duplicate_name",
            name.empty() ? "a branch needs a name" : fmt::format("there is a branch named `{}` already", name));
      continue;
    }
    std::vector<std::string>& rules = rejected_branches_[name];
    if (equals_ignore_case(row[1].text, "otherwise")) {
      for (const auto& rule : known_rules()) {
        if (std::find(named.begin(), named.end(), rule) == named.end()) rules.push_back(rule);
      }
      continue;
    }
    for (const auto part : split(row[1].text, ',')) {
      std::string_view rule = trim(part);
      if (rule.size() >= 2 && rule.front() == '"' && rule.back() == '"') rule = rule.substr(1, rule.size() - 2);
      resolve_rule(std::string(rule), row[1].span, &rules);
    }
    named.insert(named.end(), rules.begin(), rules.end());
  }
}

void ScenarioCompiler::write_rejected(Meaning meaning) {
  if (!flow_.started && !have_records()) return;
  std::vector<std::string> rules;
  bool good = true;
  if (meaning == Meaning::kWriteRejectedByRule) {
    const Capture& named = *capture("rules");
    for (const auto& item : named.items) good = resolve_rule(item.text, span_of(named, item), &rules) && good;
  } else if (meaning == Meaning::kWriteRejectedBranch) {
    const Capture& name = *capture("branch");
    const auto it = rejected_branches_.find(name.text);
    if (it == rejected_branches_.end()) {
      std::vector<std::string> names;
      for (const auto& [n, r] : rejected_branches_) names.push_back(n);
      auto& d = error(span_of(name), "dsl.branch", fmt::format("rejected records have no branch `{}`", name.text));
      const auto near = nearest(name.text, names);
      if (!near.empty())
        d.help.push_back("did you mean `" + near[0] + "`?");
      else
        d.help.push_back("`rejected records are split by rule` names branches");
      return;
    }
    rules = it->second;
  }
  // Without a sink the sentence says what happens anyway: dead letters are kept with the run.
  const bool says_only = meaning == Meaning::kWriteRejected && own("sink") == nullptr && capture("file") == nullptr &&
                         step_->step->text.text.find("written") == std::string::npos;
  if (good && !says_only) write(std::nullopt, true, std::move(rules));
}

}  // namespace runink::dsl
