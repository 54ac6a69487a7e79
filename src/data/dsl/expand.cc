#include "data/dsl/expand.h"

#include <algorithm>
#include <set>

#include "base/text.h"

namespace runink::dsl {
namespace {

class Expander {
 public:
  Expander(const Document& document, const CompileLimits& limits, Diagnostics* diagnostics,
           std::vector<ExpandedScenario>* out)
      : document_(document), source_(*document.source), limits_(limits), diagnostics_(diagnostics), out_(out) {}

  bool run() {
    const Feature& feature = *document_.feature;
    const AnnotationSetPtr defaults = read(feature.annotations, nullptr);
    if (!count_steps(feature)) return false;
    std::vector<const Step*> background;
    if (feature.background) append(feature.background->steps, &background);
    for (const Scenario& scenario : feature.scenarios) {
      scenario_of(scenario, "", tag_names({&feature.tags}), {defaults}, background);
    }
    for (const Rule& rule : feature.rules) {
      std::vector<const Step*> both = background;
      if (rule.background) append(rule.background->steps, &both);
      const AnnotationSetPtr own = read(rule.annotations, nullptr);
      for (const Scenario& scenario : rule.scenarios) {
        scenario_of(scenario, std::string(rule.name), tag_names({&feature.tags, &rule.tags}), {own, defaults}, both);
      }
    }
    return true;
  }

 private:
  static void append(const std::vector<Step>& steps, std::vector<const Step*>* out) {
    for (const Step& s : steps) out->push_back(&s);
  }

  AnnotationSetPtr read(const std::vector<Annotation>& annotations, const Substitution* substitution) {
    return read_annotations(source_, annotations, substitution, diagnostics_);
  }

  static std::vector<std::string> tag_names(std::initializer_list<const std::vector<Tag>*> lists) {
    std::vector<std::string> out;
    for (const auto* list : lists) {
      for (const Tag& tag : *list) {
        if (std::find(out.begin(), out.end(), tag.name) == out.end()) out.emplace_back(tag.name);
      }
    }
    return out;
  }

  void too_large(Span span, std::string message) {
    diagnostics_->error(source_, span, "dsl.too_large", std::move(message))
        .help.push_back("divide the feature into several files");
  }

  // Before anything is copied: how large would it all become?
  bool count_steps(const Feature& feature) {
    size_t steps = 0, scenarios = 0;
    const auto add = [&](const Scenario& s, size_t background) {
      size_t copies = s.examples.empty() ? 1 : 0;
      for (const Examples& e : s.examples) copies += e.body.size();
      const size_t each = background + s.steps.size();
      if (each > limits_.steps_per_scenario) {
        too_large(s.place.span, fmt::format("scenario \"{}\" has {} steps; {} are the most", s.name, human_count(each),
                                            human_count(limits_.steps_per_scenario)));
        return false;
      }
      steps += copies * each;
      scenarios += copies;
      if (steps > limits_.steps || scenarios > limits_.scenarios) {
        too_large(s.place.span,
                  fmt::format("with this scenario the feature has {} steps in {} scenarios; {} in {} are the most",
                              human_count(steps), human_count(scenarios), human_count(limits_.steps),
                              human_count(limits_.scenarios)));
        return false;
      }
      return true;
    };
    const size_t shared = feature.background ? feature.background->steps.size() : 0;
    for (const Scenario& s : feature.scenarios) {
      if (!add(s, shared)) return false;
    }
    for (const Rule& rule : feature.rules) {
      for (const Scenario& s : rule.scenarios) {
        if (!add(s, shared + (rule.background ? rule.background->steps.size() : 0))) return false;
      }
    }
    return true;
  }

  void scenario_of(const Scenario& scenario, std::string rule, std::vector<std::string> tags,
                   std::vector<AnnotationSetPtr> defaults, const std::vector<const Step*>& background) {
    for (const Tag& tag : scenario.tags) {
      if (std::find(tags.begin(), tags.end(), tag.name) == tags.end()) tags.emplace_back(tag.name);
    }
    if (scenario.examples.empty()) {
      defaults.insert(defaults.begin(), read(scenario.annotations, nullptr));
      one(scenario, std::string(scenario.name), std::move(rule), std::move(tags), std::move(defaults), background,
          nullptr, scenario.place.span);
      return;
    }
    size_t rows = 0;
    for (const Examples& examples : scenario.examples) {
      if (!examples.header) continue;
      warn_unused_parameters(scenario, examples);
      std::vector<std::string> all_tags = tags;
      for (const Tag& tag : examples.tags) {
        if (std::find(all_tags.begin(), all_tags.end(), tag.name) == all_tags.end()) all_tags.emplace_back(tag.name);
      }
      for (const TableRow& row : examples.body) {
        ++rows;
        const Substitution substitution{&*examples.header, &row};
        auto chain = defaults;
        chain.insert(chain.begin(), read(scenario.annotations, &substitution));
        chain.insert(chain.begin(), read(examples.annotations, &substitution));
        one(scenario, row_name(scenario, substitution, rows), rule, all_tags, std::move(chain), background,
            &substitution, row.place.span);
      }
    }
    if (rows == 0) {
      diagnostics_
          ->error(source_, scenario.place.span, "dsl.no_examples",
                  fmt::format("outline \"{}\" has no row of examples, so it is no scenario at all", scenario.name))
          .help.push_back("add a row below Examples, or remove Examples");
    }
  }

  // A parameter that stands in no step, name or annotation makes scenarios that differ in name only.
  void warn_unused_parameters(const Scenario& scenario, const Examples& examples) {
    const std::string_view text = source_.text();
    const size_t begin = scenario.place.span.offset;
    const size_t end = examples.place.span.offset;
    if (begin >= end || end > text.size()) return;
    // Annotations stand before the scenario's line; looking from the first one on is near enough.
    const size_t from =
        scenario.annotations.empty() ? begin : std::min(begin, scenario.annotations[0].place.span.offset);
    const std::string_view body = text.substr(from, end - from);
    for (const TableCell& cell : examples.header->cells) {
      if (body.find("<" + cell.value + ">") != std::string_view::npos) continue;
      diagnostics_->warning(source_, cell.place.span, "dsl.unused_parameter",
                            fmt::format("no step uses <{}>", cell.value));
    }
  }

  std::string row_name(const Scenario& scenario, const Substitution& substitution, size_t row) {
    bool changed = false;
    std::string name = substitution.apply(scenario.name, &changed);
    if (!changed) {
      std::vector<std::string> values;
      for (const TableCell& cell : substitution.row->cells) values.push_back(cell.value);
      name += " (" + join(values, ", ") + ")";
    }
    if (outline_names_.count(name) != 0) name += fmt::format(" (row {})", row);
    outline_names_.insert(name);
    return name;
  }

  TextAt text_at(std::string_view text, Span span, const Substitution* substitution, bool table_cell = false) {
    TextAt out;
    out.span = span;
    out.table_cell = table_cell;
    bool changed = false;
    out.text = substitution != nullptr ? substitution->apply(text, &changed) : std::string(text);
    out.exact = !changed;
    return out;
  }

  void step_of(const Step& step, bool background, const Substitution* substitution, ExpandedScenario* out) {
    ExpandedStep expanded;
    expanded.step = &step;
    expanded.text = text_at(step.text, step.text_span, substitution);
    expanded.annotations = read(step.annotations, substitution);
    expanded.has_doc_string = step.doc_string != nullptr;
    expanded.from_background = background;
    if (step.table != nullptr) {
      for (const TableRow& row : step.table->rows) {
        auto& cells = expanded.table.emplace_back();
        for (const TableCell& cell : row.cells)
          cells.push_back(text_at(cell.value, cell.place.span, substitution, true));
      }
    }
    out->steps.push_back(std::move(expanded));
  }

  void one(const Scenario& scenario, std::string name, std::string rule, std::vector<std::string> tags,
           std::vector<AnnotationSetPtr> defaults, const std::vector<const Step*>& background,
           const Substitution* substitution, Span span) {
    ExpandedScenario out;
    out.name = std::move(name);
    out.rule = std::move(rule);
    out.tags = std::move(tags);
    out.defaults = std::move(defaults);
    out.own_defaults = substitution != nullptr ? 2 : 1;
    out.span = span;
    out.steps.reserve(background.size() + scenario.steps.size());
    for (const Step* step : background) step_of(*step, true, substitution, &out);
    for (const Step& step : scenario.steps) step_of(step, false, substitution, &out);
    sections_of(document_.feature->sections, nullptr, true, &out);
    sections_of(scenario.sections, substitution, false, &out);
    out_->push_back(std::move(out));
  }

  // Assertions and Notifications of the feature hold for each scenario; Metadata is the feature's own.
  void sections_of(const std::vector<Section>& sections, const Substitution* substitution, bool of_feature,
                   ExpandedScenario* out) {
    for (const Section& section : sections) {
      if (of_feature && (section.kind == SectionKind::kMetadata || section.kind == SectionKind::kGoldenTest)) continue;
      ExpandedSection expanded;
      expanded.kind = section.kind;
      expanded.span = section.place.span;
      for (const SectionItem& item : section.items) {
        expanded.items.push_back(
            {std::string(item.key), text_at(item.text, item.text_span, substitution), item.place.span});
      }
      out->sections.push_back(std::move(expanded));
    }
  }

  const Document& document_;
  const SourceText& source_;
  const CompileLimits& limits_;
  Diagnostics* diagnostics_;
  std::vector<ExpandedScenario>* out_;
  std::set<std::string> outline_names_;
};

}  // namespace

bool expand(const Document& document, const CompileLimits& limits, Diagnostics* diagnostics,
            std::vector<ExpandedScenario>* out) {
  return Expander(document, limits, diagnostics, out).run();
}

}  // namespace runink::dsl
