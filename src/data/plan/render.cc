#include "data/plan/render.h"

#include <algorithm>

#include "base/text.h"
#include "data/plan/describe.h"
#include "data/plan/fusion.h"

namespace runink::plan {
namespace {

std::string safe(std::string_view text) { return escape_control(text); }

std::string time_text(int64_t micros) { return human_duration(static_cast<double>(micros) * 1e-6); }

// What the annotations above a scenario make of its run.
std::string bounds_text(const ScenarioPlan& s) {
  std::vector<std::string> parts;
  if (const uint32_t threads = threads_allowed(s.needs); threads > 0) {
    parts.push_back(fmt::format("at most {} worker thread{}", threads, threads == 1 ? "" : "s"));
  }
  if (s.needs.memory_bytes > 0) parts.push_back("a memory budget of at most " + memory_text(s.needs.memory_bytes));
  if (s.timeout_micros > 0) parts.push_back("an end after " + time_text(s.timeout_micros));
  if (s.retries > 0) {
    parts.push_back(s.retries == 1 ? "one more attempt when it fails"
                                   : fmt::format("up to {} more attempts when it fails", s.retries));
  }
  return parts.empty() ? "" : "runs with " + join(parts, ", ");
}

class TextRenderer {
 public:
  TextRenderer(const Plan& plan, const RenderOptions& options) : plan_(plan), options_(options) {}

  std::string run() {
    line(0, "feature " + safe(plan_.feature) + "  (" + safe(plan_.feature_path) + ")");
    for (const auto& [key, value] : plan_.metadata) line(1, safe(key) + ": " + safe(value));
    for (const auto& c : plan_.contracts) {
      line(1, "contract " + safe(c->name) + " " + c->version_text() + "  " + c->hash.substr(0, 12) + "  " +
                  safe(c->files.empty() ? c->location.file : c->files[0]));
    }
    for (const auto& s : plan_.scenarios) scenario(s);
    if (options_.changes != nullptr) {
      out_ += "\nsince the plan before\n";
      const std::string changes = render_changes(*options_.changes);
      for (const auto text : split(changes, '\n')) {
        if (!text.empty()) line(1, std::string(text));
      }
    }
    return std::move(out_);
  }

 private:
  void line(int indent, const std::string& text) {
    out_.append(static_cast<size_t>(indent) * 2, ' ');
    out_ += text;
    out_ += '\n';
  }

  void scenario(const ScenarioPlan& s) {
    out_ += '\n';
    line(0, "scenario " + safe(s.name) + (s.rule.empty() ? "" : "  (rule " + safe(s.rule) + ")"));
    if (!s.tags.empty()) line(1, "tags " + safe(join(s.tags, " ")));
    if (!s.needs_scenarios.empty()) line(1, "after scenario " + safe(join(s.needs_scenarios, ", ")));
    if (const std::string bounds = bounds_text(s); !bounds.empty()) line(1, bounds);
    const auto stages = fuse(s);
    for (const Stage& stage : stages) {
      stage_header(stage, stages);
      if (options_.columns) edge_columns(s, stage, true);
      for (const OperatorId id : stage.operators) one_operator(s, s.operators[id]);
      if (options_.columns) edge_columns(s, stage, false);
    }
    for (const auto& q : s.qualities) {
      line(1, std::string("quality ") + (q.warn_only ? "(warn) " : "(error) ") + safe(q.name) + ": " + safe(q.text));
    }
    for (const auto& a : s.assertions) line(1, "assertion: " + safe(a.text));
    if (publishes_many(s)) line(1, "publishing: all files at once, when all assertions and error rules hold");
    for (const auto& n : s.notifications) {
      line(1, "notify " + n.channel + (n.target.empty() ? "" : ":" + safe(n.target)) +
                  (n.when == "always" ? " always" : " on " + n.when));
    }
    for (const auto& g : s.golden_cases) line(1, "golden case " + safe(g));
    for (const auto& u : s.unenforced) line(1, "without effect here: " + safe(u.annotation) + " (" + u.why + ")");
  }

  static bool publishes_many(const ScenarioPlan& s) {
    return std::count_if(s.operators.begin(), s.operators.end(),
                         [](const Operator& op) { return std::holds_alternative<Sink>(op.parameters); }) > 1;
  }

  void stage_header(const Stage& stage, const std::vector<Stage>& stages) {
    std::string text = stage.own_process ? "custom step " + safe(stage.name) : stage.name;
    text += " on " + options_.where + (stage.own_process ? ", in a process of its own" : "");
    const std::string needs = needs_text(stage.needs);
    if (!needs.empty()) text += ", asks for " + safe(needs);
    if (!stage.reads_from.empty()) {
      std::vector<std::string> names;
      for (const uint32_t id : stage.reads_from) names.push_back(stages[id].name);
      text += ", after " + safe(join(names, ", "));
    }
    line(1, text);
    if (!stage.why.empty()) line(2, "why apart: " + safe(stage.why));
  }

  // What enters a stage from others (or from sources), and what leaves it.
  void edge_columns(const ScenarioPlan& s, const Stage& stage, bool in) {
    for (const OperatorId id : stage.operators) {
      const Operator& op = s.operators[id];
      const auto* source = std::get_if<Source>(&op.parameters);
      if (in && (source != nullptr || std::holds_alternative<ScenarioInput>(op.parameters))) {
        const std::string contract =
            source != nullptr && source->contract != nullptr
                ? "  (" + safe(source->contract->name) + " " + source->contract->version_text() + ")"
                : "";
        line(2, "in   " + safe(columns_text(op)) + contract);
      }
      for (const Input& i : op.inputs) {
        const bool other = std::find(stage.operators.begin(), stage.operators.end(), i.from) == stage.operators.end();
        if (in && other) line(2, "in   " + safe(columns_text(s.operators[i.from])));
      }
      const bool leaves = std::any_of(s.operators.begin(), s.operators.end(), [&](const Operator& to) {
        return std::find(stage.operators.begin(), stage.operators.end(), to.id) == stage.operators.end() &&
               std::any_of(to.inputs.begin(), to.inputs.end(), [&](const Input& i) { return i.from == id; });
      });
      if (!in && leaves) line(2, "out  " + safe(columns_text(op)));
      const auto* sink = std::get_if<Sink>(&op.parameters);
      if (!in && ((sink != nullptr && !sink->rejected) || std::holds_alternative<Output>(op.parameters))) {
        line(2, "out  " + safe(columns_text(op)));
      }
    }
  }

  void one_operator(const ScenarioPlan& s, const Operator& op) {
    std::string from;
    // The operator just above is the usual input and goes without saying.
    const bool usual = op.inputs.size() == 1 && op.inputs[0].from + 1 == op.id && op.inputs[0].port == 0;
    if (!usual) {
      std::vector<std::string> names;
      for (const Input& i : op.inputs) {
        const Operator& source = s.operators[i.from];
        const auto* split = std::get_if<Split>(&source.parameters);
        names.push_back(split != nullptr ? source.name + "." + split->branches[i.port].name : source.name);
      }
      if (!names.empty()) from = "  from " + join(names, " and ");
    }
    line(2, fmt::format("{:<12} {}{}", kind_name(op.parameters), safe(describe(s, op)), safe(from)));
    if (!op.sentence.empty() && op.tap) line(4, "`" + safe(op.sentence) + "`  " + safe(op.location.to_string()));
    if (op.checkpoint) line(4, "checkpoint: all of its output is kept");
    if (const auto* program = std::get_if<Program>(&op.parameters)) {
      if (program->timeout_micros > 0)
        line(4, "fails after " + time_text(program->timeout_micros) + " without progress");
      if (op.retries > 0)
        line(4, op.retries == 1 ? "run again once when it fails"
                                : fmt::format("run again up to {} times when it fails", op.retries));
    }
    if (is_blocking(op.parameters)) line(4, "waits for all of its input");
    const auto* sink = std::get_if<Sink>(&op.parameters);
    if (sink == nullptr) return;
    for (size_t i = 0; i < sink->masks.size(); ++i) {
      if (!sink->masks[i].empty()) line(4, "masked: " + safe(op.columns[i].field.name) + " by " + sink->masks[i]);
    }
    if (sink->locator == "-" || !sink->exec.empty()) {
      line(4, "a pipe: what has been written cannot be taken back when the run fails later");
    }
  }

  const Plan& plan_;
  const RenderOptions& options_;
  std::string out_;
};

// A DOT string; control bytes become visible, so no label can break out of its quotes.
std::string dot_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : escape_control(text)) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + "\"";
}

}  // namespace

std::string render_text(const Plan& plan, const RenderOptions& options) { return TextRenderer(plan, options).run(); }

std::string render_dot(const Plan& plan) {
  std::string out =
      "digraph " + dot_string(plan.feature) + " {\n  rankdir=LR;\n  node [shape=box, fontname=\"sans-serif\"];\n";
  const auto node = [](size_t scenario, OperatorId id) { return fmt::format("s{}_{}", scenario, id); };
  for (size_t n = 0; n < plan.scenarios.size(); ++n) {
    const ScenarioPlan& s = plan.scenarios[n];
    out += fmt::format("  subgraph cluster_{} {{\n    label={};\n", n, dot_string(s.name));
    for (const Stage& stage : fuse(s)) {
      out += fmt::format("    subgraph cluster_{}_{} {{\n      label={};\n      style=dashed;\n", n, stage.id,
                         dot_string(stage.name));
      for (const OperatorId id : stage.operators) {
        const Operator& op = s.operators[id];
        const bool edge = std::holds_alternative<Source>(op.parameters) ||
                          std::holds_alternative<Sink>(op.parameters) ||
                          std::holds_alternative<ScenarioInput>(op.parameters);
        out += fmt::format("      {} [label={}{}];\n", node(n, id), dot_string(describe(s, op)),
                           edge ? ", shape=cylinder" : "");
      }
      out += "    }\n";
    }
    for (const Operator& op : s.operators) {
      for (const Input& i : op.inputs) {
        const auto* split = std::get_if<Split>(&s.operators[i.from].parameters);
        out += fmt::format("    {} -> {}{};\n", node(n, i.from), node(n, op.id),
                           split != nullptr ? " [label=" + dot_string(split->branches[i.port].name) + "]" : "");
      }
    }
    out += "  }\n";
  }
  for (size_t n = 0; n < plan.scenarios.size(); ++n) {
    for (const Operator& op : plan.scenarios[n].operators) {
      const auto* input = std::get_if<ScenarioInput>(&op.parameters);
      if (input == nullptr) continue;
      for (size_t m = 0; m < n; ++m) {
        const ScenarioPlan& from = plan.scenarios[m];
        if (from.name != input->scenario) continue;
        OperatorId source = from.valid.empty() ? 0 : from.valid[0].from;
        for (const Operator& candidate : from.operators) {
          const auto* sink = std::get_if<Sink>(&candidate.parameters);
          if (sink != nullptr && sink->name == input->output) source = candidate.id;
        }
        out += fmt::format("  {} -> {} [style=bold];\n", node(m, source), node(n, op.id));
      }
    }
  }
  return out + "}\n";
}

}  // namespace runink::plan
