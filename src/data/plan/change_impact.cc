#include "data/plan/change_impact.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "data/plan/describe.h"
#include "data/plan/fusion.h"
#include "data/plan/to_json.h"

namespace runink::plan {
namespace {

std::vector<PlanShape::Column> columns_of(const Operator& op, const std::vector<std::string>& masks) {
  std::vector<PlanShape::Column> out;
  for (size_t i = 0; i < op.columns.size(); ++i) {
    const auto& f = op.columns[i].field;
    out.push_back({f.name, f.type.to_string(), f.nullable, i < masks.size() ? masks[i] : ""});
  }
  return out;
}

void set_contract(const ContractPtr& contract, PlanShape::Endpoint* out) {
  if (contract == nullptr) return;
  out->contract = contract->name;
  out->contract_version = contract->version_text();
  out->contract_hash = contract->hash;
}

std::string time_and_retries(int64_t timeout_micros, uint32_t retries) {
  std::string text;
  if (timeout_micros > 0) text = fmt::format("timeout {} ms", timeout_micros / 1000);
  if (retries > 0) text += fmt::format("{}{} retries", text.empty() ? "" : ", ", retries);
  return text;
}

// What is asked for the whole of a scenario. Its @requires is in the lines of its steps.
std::string needs_line(const ScenarioPlan& s) {
  const std::string text = time_and_retries(s.timeout_micros, s.retries);
  return text.empty() ? "" : "the scenario: " + text;
}

// Whether a step's own needs are worth a line of their own.
std::string needs_line(const Operator& op) {
  std::string text = needs_text(op.needs);
  for (const auto& a : op.affinity) text += (text.empty() ? "" : ", ") + a;
  const std::string limits = time_and_retries(op.timeout_micros, op.retries);
  if (!limits.empty()) text += (text.empty() ? "" : ", ") + limits;
  return text.empty() ? "" : op.name + ": " + text;
}

}  // namespace

PlanShape shape_of(const Plan& plan) {
  PlanShape out;
  out.feature = plan.feature;
  out.metadata.assign(plan.metadata.begin(), plan.metadata.end());
  for (const ScenarioPlan& s : plan.scenarios) {
    PlanShape::Scenario shape;
    shape.name = s.name;
    if (std::string needs = needs_line(s); !needs.empty()) shape.needs.push_back(std::move(needs));
    for (const Operator& op : s.operators) {
      if (const auto* source = std::get_if<Source>(&op.parameters)) {
        PlanShape::Endpoint e;
        e.name = op.name;
        e.locator = source->locator;
        e.format = source->format;
        set_contract(source->contract, &e);
        e.columns = columns_of(op, {});
        shape.sources.push_back(std::move(e));
      } else if (const auto* sink = std::get_if<Sink>(&op.parameters)) {
        PlanShape::Endpoint e;
        e.name = sink->name;
        e.locator = sink->locator;
        e.format = sink->format;
        e.mode = sink->mode;
        e.rules = sink->rules;
        e.rejected = sink->rejected;
        e.columns = columns_of(op, sink->masks);
        shape.sinks.push_back(std::move(e));
      } else if (!std::holds_alternative<Output>(op.parameters)) {
        shape.operators.push_back(describe(s, op));
      }
      std::string needs = needs_line(op);
      if (!needs.empty()) shape.needs.push_back(std::move(needs));
    }
    if (!s.valid.empty()) {
      shape.has_valid = true;
      shape.valid = columns_of(s.operators[s.valid[0].from], {});
    }
    shape.reads = s.needs_scenarios;
    for (const auto& a : s.assertions) shape.assertions.push_back(a.text);
    for (const auto& q : s.qualities) shape.qualities.push_back(q.name + ": " + q.text);
    for (const auto& n : s.notifications) {
      shape.notifications.push_back(n.channel + (n.target.empty() ? "" : ":" + n.target) + " on " + n.when);
    }
    shape.metadata.assign(s.metadata.begin(), s.metadata.end());
    out.scenarios.push_back(std::move(shape));
  }
  return out;
}

// ---- from JSON
// ----------------------------------------------------------------------------------------------------------

namespace {

using Json = nlohmann::json;

std::string text_at(const Json& j, const char* key) {
  const auto it = j.find(key);
  return it != j.end() && it->is_string() ? it->get<std::string>() : "";
}

const Json& list_at(const Json& j, const char* key) {
  static const Json kNone = Json::array();
  const auto it = j.find(key);
  return it != j.end() && it->is_array() ? *it : kNone;
}

std::vector<std::string> texts_at(const Json& j, const char* key) {
  std::vector<std::string> out;
  for (const Json& item : list_at(j, key)) {
    if (item.is_string()) out.push_back(item.get<std::string>());
  }
  return out;
}

std::vector<PlanShape::Column> columns_from(const Json& op) {
  std::vector<PlanShape::Column> out;
  for (const Json& c : list_at(op, "columns")) {
    PlanShape::Column column{text_at(c, "name"), text_at(c, "type"), true, text_at(c, "mask")};
    const auto nullable = c.find("nullable");
    if (nullable != c.end() && nullable->is_boolean()) column.nullable = nullable->get<bool>();
    out.push_back(std::move(column));
  }
  return out;
}

std::vector<std::pair<std::string, std::string>> metadata_from(const Json& j) {
  std::vector<std::pair<std::string, std::string>> out;
  const auto it = j.find("metadata");
  if (it == j.end() || !it->is_object()) return out;
  for (const auto& [key, value] : it->items()) {
    if (value.is_string()) out.emplace_back(key, value.get<std::string>());
  }
  return out;
}

double number_at(const Json& j, const char* key) {
  const auto it = j.find(key);
  return it != j.end() && it->is_number() ? it->get<double>() : 0;
}

template <typename ScenarioOrOperator>
void set_limits(const Json& j, ScenarioOrOperator* out) {
  out->timeout_micros = static_cast<int64_t>(std::clamp(number_at(j, "timeout_micros"), 0.0, 9e15));
  out->retries = static_cast<uint32_t>(std::clamp(number_at(j, "retries"), 0.0, 1e6));
}

std::string needs_from(const Json& op) {
  Operator read;
  read.name = text_at(op, "name");
  if (const auto it = op.find("requires"); it != op.end() && it->is_object()) {
    read.needs.cpu = number_at(*it, "cpu");
    read.needs.memory_bytes = static_cast<uint64_t>(std::clamp(number_at(*it, "memory_bytes"), 0.0, 1e18));
    read.needs.gpu = static_cast<uint32_t>(std::clamp(number_at(*it, "gpu"), 0.0, 1e6));
    read.needs.label = text_at(*it, "label");
  }
  read.affinity = texts_at(op, "affinity");
  set_limits(op, &read);
  return needs_line(read);
}

PlanShape::Scenario scenario_from(const Json& j) {
  PlanShape::Scenario out;
  out.name = text_at(j, "name");
  ScenarioPlan limits;
  set_limits(j, &limits);
  if (std::string needs = needs_line(limits); !needs.empty()) out.needs.push_back(std::move(needs));
  const Json& operators = list_at(j, "operators");
  for (const Json& op : operators) {
    if (!op.is_object()) continue;
    const std::string kind = text_at(op, "kind");
    if (kind == "source" || kind == "sink") {
      PlanShape::Endpoint e;
      e.name = kind == "sink" ? text_at(op, "sink") : text_at(op, "name");
      e.locator = text_at(op, "locator");
      e.format = text_at(op, "format");
      e.mode = text_at(op, "mode");
      e.rules = texts_at(op, "rules");
      const auto rejected = op.find("rejected");
      e.rejected = rejected != op.end() && rejected->is_boolean() && rejected->get<bool>();
      if (const auto c = op.find("contract"); c != op.end() && c->is_object()) {
        e.contract = text_at(*c, "name");
        e.contract_version = text_at(*c, "version");
        e.contract_hash = text_at(*c, "hash");
      }
      e.columns = columns_from(op);
      (kind == "sink" ? out.sinks : out.sources).push_back(std::move(e));
    } else if (kind != "output") {
      out.operators.push_back(text_at(op, "meaning"));
    }
    std::string needs = needs_from(op);
    if (!needs.empty()) out.needs.push_back(std::move(needs));
  }
  if (const auto valid = j.find("valid"); valid != j.end() && valid->is_object()) {
    const auto from = static_cast<size_t>(std::clamp(number_at(*valid, "from"), 0.0, 1e9));
    if (from < operators.size() && operators[from].is_object()) {
      out.has_valid = true;
      out.valid = columns_from(operators[from]);
    }
  }
  out.reads = texts_at(j, "needs");
  for (const Json& a : list_at(j, "assertions")) out.assertions.push_back(text_at(a, "text"));
  for (const Json& q : list_at(j, "qualities")) out.qualities.push_back(text_at(q, "name") + ": " + text_at(q, "text"));
  for (const Json& n : list_at(j, "notifications")) {
    const std::string target = text_at(n, "target");
    out.notifications.push_back(text_at(n, "channel") + (target.empty() ? "" : ":" + target) + " on " +
                                text_at(n, "when"));
  }
  out.metadata = metadata_from(j);
  return out;
}

}  // namespace

Result<PlanShape> shape_from_json(std::string_view text) {
  const Json j = Json::parse(text, nullptr, false);
  if (!j.is_object()) return data_loss("this is no plan: it is not a JSON object");
  const auto format = j.find("format");
  if (format == j.end() || !format->is_number_integer()) return data_loss("this is no plan: it has no `format`");
  if (format->get<int64_t>() > kPlanFormat) {
    return failed_precondition("the plan has format {}, and this program knows up to {}", format->get<int64_t>(),
                               kPlanFormat);
  }
  PlanShape out;
  out.feature = text_at(j, "feature");
  out.metadata = metadata_from(j);
  for (const Json& s : list_at(j, "scenarios")) {
    if (s.is_object()) out.scenarios.push_back(scenario_from(s));
  }
  return out;
}

// ---- comparing
// ----------------------------------------------------------------------------------------------------------

namespace {

class Comparison {
 public:
  std::vector<Change> run(const PlanShape& before, const PlanShape& after) {
    if (before.feature != after.feature) {
      add(ChangeImpact::kNone, "feature.renamed", "", before.feature, after.feature,
          fmt::format("the feature \"{}\" is now \"{}\"", before.feature, after.feature));
    }
    metadata(before.metadata, after.metadata);
    for (const auto& s : after.scenarios) {
      scenario_ = s.name;
      const auto* old = find(before.scenarios, s.name);
      if (old == nullptr) {
        add(ChangeImpact::kMeaning, "scenario.added", s.name, "", s.name, "is new");
      } else {
        scenario(*old, s);
      }
    }
    for (const auto& s : before.scenarios) {
      scenario_ = s.name;
      if (find(after.scenarios, s.name) == nullptr) {
        add(ChangeImpact::kBreaksReaders, "scenario.removed", s.name, s.name, "", "is gone, with all that it writes");
      }
    }
    return std::move(changes_);
  }

 private:
  static const PlanShape::Scenario* find(const std::vector<PlanShape::Scenario>& list, const std::string& name) {
    for (const auto& s : list) {
      if (s.name == name) return &s;
    }
    return nullptr;
  }

  void add(ChangeImpact impact, std::string kind, std::string subject, std::string before, std::string after,
           std::string sentence) {
    changes_.push_back({impact, std::move(kind), scenario_, std::move(subject), std::move(before), std::move(after),
                        std::move(sentence)});
  }

  void metadata(const std::vector<std::pair<std::string, std::string>>& before,
                const std::vector<std::pair<std::string, std::string>>& after) {
    const std::map<std::string, std::string> b(before.begin(), before.end()), a(after.begin(), after.end());
    for (const auto& [key, value] : a) {
      const auto it = b.find(key);
      if (it == b.end())
        add(ChangeImpact::kNone, "metadata.added", key, "", value, fmt::format("{} is {}", key, value));
      else if (it->second != value)
        add(ChangeImpact::kNone, "metadata.changed", key, it->second, value,
            fmt::format("{} was {} and is {}", key, it->second, value));
    }
    for (const auto& [key, value] : b) {
      if (a.count(key) == 0)
        add(ChangeImpact::kNone, "metadata.removed", key, value, "", fmt::format("{} is not said any more", key));
    }
  }

  void columns(const std::string& where, const char* kind, const std::vector<PlanShape::Column>& before,
               const std::vector<PlanShape::Column>& after) {
    const auto find_column = [](const std::vector<PlanShape::Column>& list,
                                const std::string& name) -> const PlanShape::Column* {
      for (const auto& c : list) {
        if (c.name == name) return &c;
      }
      return nullptr;
    };
    const std::string k = kind;
    bool same_set = before.size() == after.size();
    for (const auto& c : after) {
      const auto* old = find_column(before, c.name);
      if (old == nullptr) {
        same_set = false;
        add(ChangeImpact::kMeaning, k + ".column.added", c.name, "", c.type,
            fmt::format("{} gains field {}", where, c.name));
        continue;
      }
      if (old->mask != c.mask) {
        const auto shown = [](const std::string& m) {
          return m.empty() ? std::string("unmasked") : "masked (" + m + ")";
        };
        add(ChangeImpact::kBreaksReaders, k + ".column.mask", c.name, old->mask, c.mask,
            fmt::format("{}: field {} was {} and is {}", where, c.name, shown(old->mask), shown(c.mask)));
      } else if (old->type != c.type) {
        add(ChangeImpact::kBreaksReaders, k + ".column.type", c.name, old->type, c.type,
            fmt::format("{}: field {} was {} and is {}", where, c.name, old->type, c.type));
      }
      if (!old->nullable && c.nullable) {
        add(ChangeImpact::kBreaksReaders, k + ".column.nullable", c.name, "required", "nullable",
            fmt::format("{}: field {} can now be null", where, c.name));
      } else if (old->nullable && !c.nullable) {
        add(ChangeImpact::kMeaning, k + ".column.nullable", c.name, "nullable", "required",
            fmt::format("{}: field {} is never null any more", where, c.name));
      }
    }
    for (const auto& c : before) {
      if (find_column(after, c.name) != nullptr) continue;
      same_set = false;
      add(ChangeImpact::kBreaksReaders, k + ".column.removed", c.name, c.type, "",
          fmt::format("{} loses field {}", where, c.name));
    }
    if (!same_set) return;
    for (size_t i = 0; i < before.size(); ++i) {
      if (before[i].name == after[i].name) continue;
      add(ChangeImpact::kMeaning, k + ".column.order", after[i].name, "", "",
          fmt::format("{}: the order of fields changed", where));
      return;
    }
  }

  void sinks(const PlanShape::Scenario& before, const PlanShape::Scenario& after) {
    for (const auto& sink : after.sinks) {
      const auto old =
          std::find_if(before.sinks.begin(), before.sinks.end(), [&](const auto& s) { return s.name == sink.name; });
      if (old == before.sinks.end()) {
        add(ChangeImpact::kMeaning, "sink.added", sink.name, "", sink.locator,
            fmt::format("{} is written, too", sink.locator));
        continue;
      }
      if (old->locator != sink.locator) {
        add(ChangeImpact::kBreaksReaders, "sink.moved", sink.name, old->locator, sink.locator,
            fmt::format("what was written to {} goes to {}", old->locator, sink.locator));
      }
      if (old->format != sink.format) {
        add(ChangeImpact::kBreaksReaders, "sink.format", sink.name, old->format, sink.format,
            fmt::format("{} was {} and is {}", sink.locator, old->format, sink.format));
      }
      if (old->mode != sink.mode) {
        add(ChangeImpact::kMeaning, "sink.mode", sink.name, old->mode, sink.mode,
            fmt::format("{}: mode was {} and is {}", sink.locator, old->mode, sink.mode));
      }
      if (old->rejected != sink.rejected) {
        add(ChangeImpact::kBreaksReaders, "sink.kind", sink.name, "", "",
            fmt::format("{} holds {} now", sink.locator, sink.rejected ? "dead letters" : "records"));
        continue;
      }
      if (old->rules != sink.rules) {
        add(ChangeImpact::kMeaning, "sink.rules", sink.name, join(old->rules, ", "), join(sink.rules, ", "),
            fmt::format("{} takes the dead letters of other rules", sink.locator));
      }
      columns(sink.locator, "sink", old->columns, sink.columns);
    }
    for (const auto& sink : before.sinks) {
      if (std::any_of(after.sinks.begin(), after.sinks.end(), [&](const auto& s) { return s.name == sink.name; }))
        continue;
      add(ChangeImpact::kBreaksReaders, "sink.removed", sink.name, sink.locator, "",
          fmt::format("{} is not written any more", sink.locator));
    }
  }

  void sources(const PlanShape::Scenario& before, const PlanShape::Scenario& after) {
    const size_t common = std::min(before.sources.size(), after.sources.size());
    for (size_t i = 0; i < common; ++i) {
      const auto &b = before.sources[i], &a = after.sources[i];
      if (b.locator != a.locator) {
        add(ChangeImpact::kMeaning, "source.changed", a.name, b.locator, a.locator,
            fmt::format("reads {} instead of {}", a.locator, b.locator));
      }
      if (b.format != a.format) {
        add(ChangeImpact::kMeaning, "source.format", a.name, b.format, a.format,
            fmt::format("{} is read as {}, not as {}", a.locator, a.format, b.format));
      }
      if (b.contract != a.contract || b.contract_hash != a.contract_hash) {
        const auto name = [](const PlanShape::Endpoint& e) {
          return e.contract.empty() ? std::string("no contract") : e.contract + " " + e.contract_version;
        };
        const std::string was = name(b), is = name(a);
        add(ChangeImpact::kMeaning, "contract.changed", a.name, was, is,
            was == is ? fmt::format("contract {} of {} says something else under the same version", is, a.locator)
                      : fmt::format("{} was under {} and is under {}", a.locator, was, is));
      }
    }
    for (size_t i = common; i < after.sources.size(); ++i) {
      add(ChangeImpact::kMeaning, "source.added", after.sources[i].name, "", after.sources[i].locator,
          fmt::format("reads {}, too", after.sources[i].locator));
    }
    for (size_t i = common; i < before.sources.size(); ++i) {
      add(ChangeImpact::kMeaning, "source.removed", before.sources[i].name, before.sources[i].locator, "",
          fmt::format("does not read {} any more", before.sources[i].locator));
    }
  }

  // Steps by longest common subsequence, so that one inserted step is one change.
  void steps(const std::vector<std::string>& before, const std::vector<std::string>& after) {
    const size_t n = before.size(), m = after.size();
    if (n * m > 4'000'000) {
      if (before != after) add(ChangeImpact::kMeaning, "step.changed", "", "", "", "the steps differ");
      return;
    }
    std::vector<uint32_t> length((n + 1) * (m + 1), 0);
    const auto at = [&](size_t i, size_t j) -> uint32_t& { return length[i * (m + 1) + j]; };
    for (size_t i = n; i-- > 0;) {
      for (size_t j = m; j-- > 0;) {
        at(i, j) = before[i] == after[j] ? at(i + 1, j + 1) + 1 : std::max(at(i + 1, j), at(i, j + 1));
      }
    }
    size_t i = 0, j = 0;
    while (i < n || j < m) {
      if (i < n && j < m && before[i] == after[j]) {
        ++i, ++j;
      } else if (i < n && (j == m || at(i + 1, j) >= at(i, j + 1))) {
        add(ChangeImpact::kMeaning, "step.removed", before[i], before[i], "", "no longer: " + before[i]);
        ++i;
      } else {
        add(ChangeImpact::kMeaning, "step.added", after[j], "", after[j], "now: " + after[j]);
        ++j;
      }
    }
  }

  void texts(const std::vector<std::string>& before, const std::vector<std::string>& after, const char* kind,
             const char* what, ChangeImpact impact) {
    for (const auto& t : after) {
      if (std::find(before.begin(), before.end(), t) == before.end())
        add(impact, std::string(kind) + ".added", t, "", t, fmt::format("{} added: {}", what, t));
    }
    for (const auto& t : before) {
      if (std::find(after.begin(), after.end(), t) == after.end())
        add(impact, std::string(kind) + ".removed", t, t, "", fmt::format("{} removed: {}", what, t));
    }
  }

  void scenario(const PlanShape::Scenario& before, const PlanShape::Scenario& after) {
    sources(before, after);
    steps(before.operators, after.operators);
    sinks(before, after);
    if (before.has_valid && !after.has_valid) {
      add(ChangeImpact::kBreaksReaders, "output.removed", "output", "", "", "its output is gone for other scenarios");
    } else if (before.has_valid && before.sinks.empty() && after.sinks.empty()) {
      columns("its output", "output", before.valid, after.valid);
    }
    texts(before.reads, after.reads, "dependency", "dependency", ChangeImpact::kMeaning);
    texts(before.assertions, after.assertions, "assertion", "assertion", ChangeImpact::kMeaning);
    texts(before.qualities, after.qualities, "quality", "quality rule", ChangeImpact::kMeaning);
    texts(before.notifications, after.notifications, "notification", "notification", ChangeImpact::kNone);
    texts(before.needs, after.needs, "needs", "need", ChangeImpact::kNone);
    metadata(before.metadata, after.metadata);
  }

  std::string scenario_;
  std::vector<Change> changes_;
};

}  // namespace

std::vector<Change> compare(const PlanShape& before, const PlanShape& after) { return Comparison().run(before, after); }

std::string render_changes(const std::vector<Change>& changes) {
  if (changes.empty()) return "no difference in meaning\n";
  std::string out, scenario = "\n";
  for (const Change& c : changes) {
    if (c.scenario != scenario) {
      scenario = c.scenario;
      out += (scenario.empty() ? std::string("feature") : "scenario \"" + escape_control(scenario) + "\"") + "\n";
    }
    const char* mark = c.impact == ChangeImpact::kBreaksReaders ? "  breaks readers  "
                       : c.impact == ChangeImpact::kMeaning     ? "  meaning         "
                                                                : "  words           ";
    out += mark + escape_control(c.sentence) + "\n";
  }
  return out;
}

}  // namespace runink::plan
