#include "data/dsl/compile.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/nearest.h"
#include "base/text.h"
#include "data/dsl/compile_context.h"
#include "data/dsl/expand.h"
#include "data/dsl/scenario_compiler.h"

namespace runink::dsl {
namespace {

// One compilation: expand, bind, order, compile each scenario.
class Compiler {
 public:
  Compiler(const Document& document, const CompileEnvironment& environment, Diagnostics* diagnostics)
      : document_(document), environment_(environment), context_(document, environment, diagnostics) {}

  std::optional<plan::Plan> run() {
    if (!document_.feature) {
      context_.error(Span{0, 0}, "dsl.empty", "this file holds no feature")
          .help.push_back("it begins with `Feature: NAME`");
      return std::nullopt;
    }
    describe_feature();
    std::vector<ExpandedScenario> expanded;
    if (!expand(document_, environment_.limits, &context_.diagnostics(), &expanded)) return std::nullopt;
    if (expanded.empty() && !context_.give_up()) {
      context_.error(document_.feature->place.span, "dsl.empty",
                     "this feature has no scenario, so there is nothing to run");
    }
    bind(std::move(expanded));
    find_dependencies();
    if (!order()) return std::nullopt;
    const std::vector<bool> wanted = wanted_scenarios();
    for (const size_t i : order_) {
      if (context_.give_up()) break;
      if (!wanted[i]) continue;
      ScenarioCompiler compiler(context_, scenarios_[i]);
      auto plan = compiler.run();
      if (plan)
        context_.plan.scenarios.push_back(std::move(*plan));
      else
        context_.failed.insert(scenarios_[i].expanded.name);
    }
    if (context_.diagnostics().has_errors()) return std::nullopt;
    return std::move(context_.plan);
  }

 private:
  void describe_feature() {
    const Feature& feature = *document_.feature;
    plan::Plan& plan = context_.plan;
    plan.feature = std::string(feature.name);
    plan.feature_path = document_.source->path();
    plan.description = feature.description;
    plan.files.push_back(document_.source->path());
    for (const Section& section : feature.sections) {
      if (section.kind == SectionKind::kGoldenTest) {
        context_.error(section.place.span, "dsl.golden", "GoldenTest belongs to a scenario")
            .help.push_back("write it in the scenario whose cases these are");
      }
      if (section.kind != SectionKind::kMetadata) continue;
      std::vector<ExpandedItem> items;
      for (const SectionItem& item : section.items) {
        TextAt text;
        text.text = std::string(item.text);
        text.span = item.text_span;
        items.push_back({std::string(item.key), std::move(text), item.place.span});
      }
      read_metadata(context_, items, &plan.metadata);
    }
  }

  void bind(std::vector<ExpandedScenario> expanded) {
    // Steps of a Background and of outlines come again and again with the same words.
    std::map<std::string, std::optional<BoundSentence>, std::less<>> seen;
    size_t total = 0;
    for (const auto& s : expanded) total += s.steps.size();
    scenarios_.reserve(expanded.size());
    for (auto& e : expanded) {
      BoundScenario scenario;
      scenario.expanded = std::move(e);
      scenario.steps.reserve(scenario.expanded.steps.size());
      scenarios_.push_back(std::move(scenario));
    }
    for (auto& scenario : scenarios_) {
      for (const ExpandedStep& step : scenario.expanded.steps) {
        BoundStep bound;
        bound.step = &step;
        const auto known = seen.find(step.text.text);
        bound.bound = known != seen.end() ? known->second : bind_sentence(step.text.text);
        if (known == seen.end() && (step.from_background || !step.text.exact) && seen.size() < 1000) {
          seen.emplace(step.text.text, bound.bound);
        }
        const bool custom = step.annotations->find("step") != nullptr || step.annotations->find("exec") != nullptr ||
                            step.annotations->is_broken("step") || step.annotations->is_broken("exec");
        bound.by_annotation = !bound.bound && custom;
        scenario.steps.push_back(std::move(bound));
      }
    }
    for (size_t i = 0; i < scenarios_.size(); ++i) {
      const ExpandedScenario& e = scenarios_[i].expanded;
      if (e.name.empty()) {
        context_.error(e.span, "dsl.name", "a scenario needs a name");
      } else if (!index_.emplace(e.name, i).second) {
        context_.error(e.span, "dsl.duplicate_name", fmt::format("there are two scenarios named \"{}\"", e.name))
            .help.push_back("runs, lineage and `the output of scenario` know them by name");
      }
    }
  }

  // ---- dependencies

  struct Need {
    size_t on;
    Span span;
  };

  Span span_in(const ExpandedStep& step, const Capture& c) const {
    return step.text.exact ? Span{step.text.span.offset + c.offset, c.length} : step.text.span;
  }

  static const ReadAnnotation* annotation(const BoundScenario& s, const BoundStep& step, std::string_view name) {
    if (const auto* a = step.step->annotations->find(name)) return a;
    for (const auto& d : s.expanded.defaults) {
      if (const auto* a = d->find(name)) return a;
    }
    return nullptr;
  }

  // The normal path of a file that the step reads or writes; empty when there is none to know.
  std::string path_of(const BoundScenario& s, const BoundStep& step, const char* annotation_name,
                      const char* slot) const {
    const Capture* c = step.bound->find(slot);
    std::string text;
    if (c != nullptr && (c->kind == SlotKind::kString || c->quoted)) {
      text = c->text;
    } else if (annotation_name != nullptr) {
      const auto* a = annotation(s, step, annotation_name);
      if (a != nullptr && a->find("path") != nullptr) text = a->text("path");
    }
    if (text.empty()) return "";
    const auto facts = plan::locator_facts(text);
    if (!facts.ok() || facts->kind == plan::LocatorFacts::Kind::kStandard) return "";
    return plan::normal_path(environment_.project_root, facts->path);
  }

  static bool writes(Meaning m) { return m == Meaning::kWriteValid || m == Meaning::kWriteBranch; }

  void find_dependencies() {
    needs_.resize(scenarios_.size());
    std::map<std::string, size_t> written;       // path → scenario
    std::multimap<std::string, size_t> by_sink;  // sink's name → scenario
    for (size_t i = 0; i < scenarios_.size(); ++i) {
      for (const BoundStep& step : scenarios_[i].steps) {
        if (!step.bound || !writes(step.bound->sentence->meaning)) continue;
        const std::string path = path_of(scenarios_[i], step, "sink", "file");
        if (!path.empty()) written.emplace(path, i);
        const auto* a = annotation(scenarios_[i], step, "sink");
        std::string name = a != nullptr ? a->text("name") : "";
        if (name.empty() && !path.empty()) name = plan::locator_facts(path)->stem;
        if (!name.empty()) by_sink.emplace(name, i);
      }
    }
    for (size_t i = 0; i < scenarios_.size(); ++i) {
      for (const BoundStep& step : scenarios_[i].steps) {
        if (!step.bound) continue;
        const Meaning meaning = step.bound->sentence->meaning;
        if (const Capture* name = step.bound->find("scenario"))
          need_scenario(i, *step.step, *name);
        else if (const Capture* sink = step.bound->find("sink"))
          need_sink(i, *step.step, *sink, by_sink);
        const bool reads_file = meaning == Meaning::kSource || step.bound->find("input") != nullptr;
        if (!reads_file) continue;
        const std::string path = meaning == Meaning::kSource ? path_of(scenarios_[i], step, "source", "file")
                                                             : path_of(scenarios_[i], step, nullptr, "input");
        if (path.empty()) continue;
        // Reading the file that another scenario writes means to read it after it was written.
        const auto it = written.find(path);
        if (it != written.end() && it->second != i) needs_[i].push_back({it->second, step.step->text.span});
      }
    }
  }

  void need_scenario(size_t i, const ExpandedStep& step, const Capture& name) {
    const auto it = index_.find(name.text);
    if (it == index_.end()) {
      std::vector<std::string> names;
      for (const auto& [n, s] : index_) {
        if (names.size() < 1000) names.push_back(n);
      }
      auto& d = context_.error(span_in(step, name), "dsl.unknown_scenario",
                               fmt::format("there is no scenario \"{}\"", name.text));
      const auto near = nearest_any(name.text, names, 1);
      if (!near.empty()) d.help.push_back("did you mean \"" + near[0] + "\"?");
      return;
    }
    needs_[i].push_back({it->second, span_in(step, name)});
  }

  void need_sink(size_t i, const ExpandedStep& step, const Capture& sink,
                 const std::multimap<std::string, size_t>& by_sink) {
    const auto [first, last] = by_sink.equal_range(sink.text);
    std::vector<size_t> owners;
    for (auto it = first; it != last; ++it) {
      if (it->second != i) owners.push_back(it->second);
    }
    if (owners.size() == 1) {
      needs_[i].push_back({owners[0], span_in(step, sink)});
      return;
    }
    if (owners.empty()) {
      std::vector<std::string> names;
      for (const auto& [n, s] : by_sink) names.push_back(n);
      auto& d = context_.error(span_in(step, sink), "dsl.unknown_scenario",
                               fmt::format("no other scenario has a sink `{}`", sink.text));
      const auto near = nearest(sink.text, names);
      if (!near.empty()) d.help.push_back("did you mean `" + near[0] + "`?");
    } else {
      context_
          .error(span_in(step, sink), "dsl.unknown_scenario",
                 fmt::format("several scenarios have a sink `{}`", sink.text))
          .help.push_back("say which: `the output of sink \"" + sink.text + "\" of scenario \"" +
                          scenarios_[owners[0]].expanded.name + "\"`");
    }
  }

  std::vector<bool> wanted_scenarios() const {
    const bool all = environment_.only.empty();
    std::vector<bool> wanted(scenarios_.size(), all);
    for (size_t at = order_.size(); at-- > 0 && !all;) {
      const size_t i = order_[at];
      wanted[i] = wanted[i] || scenarios_[i].expanded.name == environment_.only;
      for (const Need& need : needs_[i]) {
        if (wanted[i]) wanted[need.on] = true;
      }
    }
    return wanted;
  }

  // Dependencies first, else as written. False after a cycle. Iterative: chains may be long.
  bool order() {
    enum class Mark : uint8_t { kNew, kOpen, kDone };
    std::vector<Mark> marks(scenarios_.size(), Mark::kNew);
    struct Frame {
      size_t scenario, next;
    };
    bool good = true;
    for (size_t start = 0; start < scenarios_.size(); ++start) {
      if (marks[start] != Mark::kNew) continue;
      std::vector<Frame> stack = {{start, 0}};
      marks[start] = Mark::kOpen;
      while (!stack.empty()) {
        Frame& frame = stack.back();
        if (frame.next == needs_[frame.scenario].size()) {
          marks[frame.scenario] = Mark::kDone;
          order_.push_back(frame.scenario);
          stack.pop_back();
          continue;
        }
        const Need& need = needs_[frame.scenario][frame.next++];
        if (marks[need.on] == Mark::kNew) {
          marks[need.on] = Mark::kOpen;
          stack.push_back({need.on, 0});
        } else if (marks[need.on] == Mark::kOpen) {
          good = false;
          std::string chain;
          bool inside = false;
          for (const Frame& f : stack) {
            inside = inside || f.scenario == need.on;
            if (inside && chain.size() < 2000) chain += "\"" + scenarios_[f.scenario].expanded.name + "\" needs ";
          }
          chain += "\"" + scenarios_[need.on].expanded.name + "\"";
          context_
              .error(need.span, "dsl.cycle",
                     need.on == frame.scenario ? "a scenario cannot need its own output"
                                               : "scenarios need each other in a circle")
              .help.push_back(chain);
          if (context_.give_up()) return false;
        }
      }
    }
    return good;
  }

  const Document& document_;
  const CompileEnvironment& environment_;
  CompileContext context_;
  std::vector<BoundScenario> scenarios_;
  std::map<std::string, size_t, std::less<>> index_;
  std::vector<std::vector<Need>> needs_;
  std::vector<size_t> order_;
};

}  // namespace

std::optional<plan::Plan> compile(const Document& document, const CompileEnvironment& environment,
                                  Diagnostics* diagnostics) {
  // Diagnostics of earlier phases may be there already; only those of this one decide.
  Diagnostics own;
  auto plan = Compiler(document, environment, &own).run();
  // Rows of an outline, and scenarios with one Background, make the same errors again.
  std::set<std::string> said;
  for (const Diagnostic& d : own.list()) {
    if (said.insert(fmt::format("{} {} {}", d.location.to_string(), d.code, d.message)).second) diagnostics->add(d);
  }
  return plan;
}

Result<plan::Plan> compile_feature(SourceTextPtr source, const CompileEnvironment& environment,
                                   Diagnostics* diagnostics) {
  auto document = parse_feature(std::move(source), diagnostics);
  if (!document) return diagnostics->to_status();
  auto plan = compile(*document, environment, diagnostics);
  if (!plan) return diagnostics->to_status();
  return std::move(*plan);
}

}  // namespace runink::dsl
