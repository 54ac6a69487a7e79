#include "data/dsl/lint.h"

#include <algorithm>
#include <set>

#include "base/nearest.h"
#include "base/text.h"
#include "data/dsl/sentence.h"

namespace runink::dsl {
namespace {

using plan::Operator;
using plan::OperatorId;
using plan::ScenarioPlan;

class Linter {
 public:
  Linter(const Document& document, const plan::Plan* plan, Diagnostics* diagnostics)
      : document_(document), source_(*document.source), plan_(plan), diagnostics_(diagnostics) {}

  void run() {
    if (!document_.feature) return;
    const Feature& feature = *document_.feature;
    descriptions(feature);
    if (feature.background) keywords(feature.background->steps);
    for (const Scenario& s : feature.scenarios) scenario_text(s);
    for (const Rule& rule : feature.rules) {
      if (rule.background) keywords(rule.background->steps);
      for (const Scenario& s : rule.scenarios) scenario_text(s);
    }
    if (plan_ == nullptr) return;
    for (const ScenarioPlan& s : plan_->scenarios) scenario_plan(s);
  }

 private:
  void hint(Span span, std::string code, std::string message, std::string help) {
    diagnostics_->hint(source_, span, std::move(code), std::move(message)).help.push_back(std::move(help));
  }

  void hint_at(const Location& location, std::string code, std::string message, std::string help) {
    // The same words of a Background are compiled into many scenarios; they are hinted at once.
    if (!said_.insert(fmt::format("{} {} {}", code, location.to_string(), message)).second) return;
    Diagnostic d;
    d.severity = Severity::kHint;
    d.code = std::move(code);
    d.location = location;
    d.message = std::move(message);
    if (location.file == source_.path()) d.line_text = std::string(source_.line(location.line));
    d.help.push_back(std::move(help));
    diagnostics_->add(std::move(d));
  }

  // ---- the text

  void descriptions(const Feature& feature) {
    near_section(feature.description, feature.place.span);
    for (const Scenario& s : feature.scenarios) near_section(s.description, s.place.span);
    for (const Rule& r : feature.rules) {
      for (const Scenario& s : r.scenarios) near_section(s.description, s.place.span);
    }
  }

  void near_section(const std::string& description, Span span) {
    static const std::vector<std::string> kNames = {"Metadata:", "Assertions:", "GoldenTest:", "Notifications:"};
    for (const auto raw : split(description, '\n')) {
      const std::string_view line = trim(raw);
      if (line.size() < 4 || line.back() != ':' || line.find(' ') != std::string_view::npos) continue;
      const auto near = nearest(line, kNames);
      if (near.empty() || near[0] == line) continue;
      hint(span, "lint.section", fmt::format("the description holds the line `{}`, which opens no section", line),
           "did you mean `" + near[0] + "`?");
    }
  }

  void scenario_text(const Scenario& s) { keywords(s.steps); }

  // Sources read best under Given, sinks under Then.
  void keywords(const std::vector<Step>& steps) {
    KeywordType now = KeywordType::kUnknown;
    for (const Step& step : steps) {
      if (step.keyword_type != KeywordType::kConjunction) now = step.keyword_type;
      if (now == KeywordType::kUnknown) continue;
      const auto bound = bind_sentence(step.text);
      if (!bound) continue;
      const std::string& becomes = bound->sentence->becomes;
      const bool source = becomes == "source" || becomes == "input";
      const bool sink = becomes == "sink";
      if (source && now != KeywordType::kContext) {
        hint(step.place.span, "lint.keyword", "a source reads best under Given",
             "keywords mean nothing to Runink, but they do to people");
      } else if (sink && now != KeywordType::kOutcome) {
        hint(step.place.span, "lint.keyword", "an output reads best under Then",
             "keywords mean nothing to Runink, but they do to people");
      }
    }
  }

  // ---- the plan

  void scenario_plan(const ScenarioPlan& s) {
    bool writes = false;
    std::set<const contract::Contract*> checked;
    for (const Operator& op : s.operators) {
      if (const auto* check = std::get_if<plan::Check>(&op.parameters)) {
        if (!checked.insert(check->contract.get()).second && op.tap) {
          hint_at(op.location, "lint.checked_twice",
                  fmt::format("the records were checked against {} before", check->contract->name),
                  "one check is enough; a later step could only break rules by setting fields");
        }
      }
    }
    for (const Operator& op : s.operators) {
      if (const auto* source = std::get_if<plan::Source>(&op.parameters)) source_hints(s, op, *source, checked);
      if (const auto* sink = std::get_if<plan::Sink>(&op.parameters)) {
        writes = writes || !sink->rejected;
        pii_hints(op, *sink);
      }
      if (const auto* derive = std::get_if<plan::Derive>(&op.parameters)) unused_fields(s, op, *derive);
      if (const auto* sort = std::get_if<plan::Sort>(&op.parameters)) {
        if (!sort->keep && !after_group(s, op)) {
          hint_at(op.location, "lint.sort_unbounded", "this sorts all records, on disk when there are many",
                  "add `keeping the first N` if the first are enough");
        }
      }
      if (const auto* split = std::get_if<plan::Split>(&op.parameters)) {
        const bool all = std::any_of(split->branches.begin(), split->branches.end(),
                                     [](const auto& b) { return !b.condition.valid(); });
        if (!all) {
          hint_at(op.location, "lint.split", "records that match no branch are dropped (and counted)",
                  "a last branch with the condition `otherwise` would take them");
        }
      }
      if (std::holds_alternative<plan::Output>(op.parameters)) unused_output(s);
    }
    if (writes && s.assertions.empty()) {
      hint_at(s.location, "lint.assertions", fmt::format("scenario \"{}\" publishes without an assertion", s.name),
              "an `Assertions:` section keeps bad results back, such as `- fewer than 1% of records are rejected`");
    }
    for (const auto& u : s.unenforced) {
      hint_at(u.location, "lint.unenforced", fmt::format("{} has no effect on one machine", u.annotation), u.why);
    }
  }

  void source_hints(const ScenarioPlan& s, const Operator& op, const plan::Source& source,
                    const std::set<const contract::Contract*>& checked) {
    if (source.contract == nullptr) {
      hint_at(op.location, "lint.no_contract",
              fmt::format("{} has no contract: its fields were guessed from its first records", source.locator),
              "`runi contract infer` writes one to begin with");
    } else if (checked.count(source.contract.get()) == 0) {
      hint_at(op.location, "lint.unchecked",
              fmt::format("the records of {} are never checked against {}", source.locator, source.contract->name),
              "only their types are: add `When records are checked against the contract`");
    }
  }

  void pii_hints(const Operator& op, const plan::Sink& sink) {
    for (size_t i = 0; i < sink.masks.size(); ++i) {
      if (sink.masks[i].empty()) continue;
      hint_at(op.location, "lint.pii_masked",
              fmt::format("field `{}` is written masked ({})", op.columns[i].field.name, sink.masks[i]),
              "that is what its contract asks for; drop the field if nobody needs it");
    }
  }

  // Groups are few as a rule; sorting them costs little.
  static bool after_group(const ScenarioPlan& s, const Operator& op) {
    const Operator* at = &op;
    while (!at->inputs.empty()) {
      at = &s.operators[at->inputs[0].from];
      if (std::holds_alternative<plan::Group>(at->parameters)) return true;
    }
    return false;
  }

  void unused_output(const ScenarioPlan& s) {
    for (const ScenarioPlan& other : plan_->scenarios) {
      for (const Operator& reader : other.operators) {
        const auto* input = std::get_if<plan::ScenarioInput>(&reader.parameters);
        if (input != nullptr && input->scenario == s.name && input->output.empty()) return;
      }
    }
    hint_at(s.location, "lint.unused_output",
            fmt::format("nothing reads or writes what scenario \"{}\" ends with", s.name),
            "add a sink (`Then valid records are written`), or use it by `the output of scenario`");
  }

  static std::vector<int> columns_read(const Operator& op, size_t input_index, size_t shift) {
    std::vector<int> out;
    const auto add = [&](const expr::TypedExpr& e, size_t by) {
      if (!e.valid()) return;
      for (const int c : e.columns()) {
        if (static_cast<size_t>(c) >= by) out.push_back(c - static_cast<int>(by));
      }
    };
    if (const auto* f = std::get_if<plan::Filter>(&op.parameters)) add(f->condition, 0);
    if (const auto* split = std::get_if<plan::Split>(&op.parameters)) {
      for (const auto& b : split->branches) add(b.condition, 0);
    }
    if (const auto* join = std::get_if<plan::Join>(&op.parameters)) {
      for (const auto& k : input_index == 0 ? join->probe_keys : join->build_keys) add(k, 0);
      add(join->residual, input_index == 0 ? 0 : shift);
    }
    if (const auto* group = std::get_if<plan::Group>(&op.parameters)) {
      for (const auto& k : group->keys) add(k.value, 0);
      for (const auto& a : group->aggregates) add(a.argument, 0);
    }
    return out;
  }

  // Whether anything after `from` looks at the column of that name, or it is written or passed on.
  bool used_after(const ScenarioPlan& s, const Operator& from, const std::string& name) {
    for (const Operator& op : s.operators) {
      for (size_t i = 0; i < op.inputs.size(); ++i) {
        if (op.inputs[i].from == from.id && uses(s, op, i, name)) return true;
      }
    }
    return false;
  }

  bool uses(const ScenarioPlan& s, const Operator& op, size_t input_index, const std::string& name) {
    if (!visited_.insert({op.id, name}).second) return false;
    const auto& in = s.operators[op.inputs[input_index].from].columns;
    const auto names_it = [&](int c) {
      return static_cast<size_t>(c) < in.size() && in[static_cast<size_t>(c)].field.name == name;
    };
    const size_t left = op.inputs.size() > 1 ? s.operators[op.inputs[0].from].columns.size() : 0;
    for (const int c : columns_read(op, input_index, left)) {
      if (names_it(c)) return true;
    }
    if (const auto* check = std::get_if<plan::Check>(&op.parameters)) {
      if (check->contract->column_of(name) >= 0) return true;
    }
    const auto listed = [&](const std::vector<std::string>& names) {
      return std::find(names.begin(), names.end(), name) != names.end();
    };
    if (const auto* d = std::get_if<plan::Deduplicate>(&op.parameters))
      return d->columns.empty() || listed(d->columns) || used_after(s, op, name);
    if (const auto* sort = std::get_if<plan::Sort>(&op.parameters)) {
      for (const auto& k : sort->keys) {
        if (k.column == name) return true;
      }
    }
    if (std::holds_alternative<plan::Sink>(op.parameters) || std::holds_alternative<plan::Output>(op.parameters) ||
        std::holds_alternative<plan::Program>(op.parameters)) {
      return true;
    }
    if (const auto* derive = std::get_if<plan::Derive>(&op.parameters)) return derive_uses(s, op, *derive, name);
    if (const auto* project = std::get_if<plan::Project>(&op.parameters)) {
      for (const auto& item : project->items) {
        if (item.from == name) return used_after(s, op, item.to);
      }
      return false;
    }
    if (std::holds_alternative<plan::Group>(op.parameters)) return false;
    const auto* join = std::get_if<plan::Join>(&op.parameters);
    return used_after(s, op, join != nullptr && input_index == 1 ? join->name + "." + name : name);
  }

  // Items see the columns of those before them: positions shift, so names are what is followed.
  bool derive_uses(const ScenarioPlan& s, const Operator& op, const plan::Derive& derive, const std::string& name) {
    std::vector<std::string> names;
    for (const auto& c : s.operators[op.inputs[0].from].columns) names.push_back(c.field.name);
    for (const auto& item : derive.items) {
      for (const int c : item.value.columns()) {
        if (static_cast<size_t>(c) < names.size() && names[static_cast<size_t>(c)] == name) return true;
      }
      if (item.name == name) return false;  // set anew without a look
      if (std::find(names.begin(), names.end(), item.name) == names.end()) names.push_back(item.name);
    }
    return used_after(s, op, name);
  }

  void unused_fields(const ScenarioPlan& s, const Operator& op, const plan::Derive& derive) {
    if (s.operators.size() > 500) return;
    for (size_t i = 0; i < derive.items.size(); ++i) {
      const std::string& name = derive.items[i].name;
      visited_.clear();
      bool used = used_after(s, op, name);
      for (size_t j = i + 1; j < derive.items.size() && !used; ++j) {
        used = derive.items[j].value.text().find(name) != std::string::npos;
      }
      if (!used && s.valid.size() == 1 && s.valid[0].from == op.id) used = true;
      for (const auto& a : s.assertions) used = used || a.text.find(name) != std::string::npos;
      if (used) continue;
      hint_at(op.location, "lint.unused_field", fmt::format("field `{}` is set, and then nothing uses it", name),
              "remove the step, or write the field");
    }
  }

  const Document& document_;
  const SourceText& source_;
  const plan::Plan* plan_;
  Diagnostics* diagnostics_;
  std::set<std::string> said_;
  std::set<std::pair<OperatorId, std::string>> visited_;
};

}  // namespace

void lint(const Document& document, const plan::Plan* plan, Diagnostics* diagnostics) {
  Linter(document, plan, diagnostics).run();
}

const std::vector<LintRule>& lint_rules() {
  static const std::vector<LintRule> kRules = {
      {"lint.section", "A line of a description is nearly the name of a section."},
      {"lint.keyword", "A source does not stand under Given, or an output not under Then."},
      {"lint.checked_twice", "The same contract is checked twice."},
      {"lint.no_contract", "A source has no contract."},
      {"lint.unchecked", "A source has a contract, and its records are never checked against it."},
      {"lint.pii_masked", "A field with pii is written masked."},
      {"lint.unused_field", "A field is set, and nothing uses it."},
      {"lint.unused_output", "What a scenario ends with is neither written nor read."},
      {"lint.sort_unbounded", "A sort keeps all records."},
      {"lint.split", "A split drops what matches no branch."},
      {"lint.assertions", "A scenario publishes without an assertion."},
      {"lint.unenforced", "An annotation has no effect on one machine."},
      {"dsl.unknown_annotation", "A tag looks like an annotation of unknown name (said by the parser)."},
      {"dsl.bare_annotation", "A tag has an annotation's name and no arguments (said by the parser)."},
      {"dsl.section", "A section does not parse as one and is kept as description (said by the parser)."},
  };
  return kRules;
}

}  // namespace runink::dsl
