// Expansion: the tree of a feature to a flat list of scenarios, each with all its steps, before anything is understood.
// Background steps stand before a scenario's own, an Outline becomes one scenario per Examples row, tags and
// annotations are inherited, <parameters> are replaced. Internal to the compiler.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.h"
#include "data/dsl/annotations.h"
#include "data/dsl/compile.h"
#include "data/dsl/gherkin.h"

namespace runink::dsl {

// A piece of the user's text. `exact`: byte i of `text` is byte span.offset + i of the source.
struct TextAt {
  std::string text;
  Span span;
  bool exact = true;
  bool table_cell = false;  // exact only: the source has \| and \\ where `text` has | and backslash
};

struct ExpandedStep {
  const Step* step = nullptr;
  TextAt text;
  AnnotationSetPtr annotations;
  std::vector<std::vector<TextAt>> table;  // empty: none
  bool has_doc_string = false;
  bool from_background = false;
};

struct ExpandedItem {
  std::string key;
  TextAt text;
  Span span;
};

struct ExpandedSection {
  SectionKind kind = SectionKind::kMetadata;
  std::vector<ExpandedItem> items;
  Span span;
};

struct ExpandedScenario {
  std::string name, rule;
  std::vector<std::string> tags;
  Span span;                               // of the scenario's line, or the Examples row
  std::vector<AnnotationSetPtr> defaults;  // nearest first: examples, scenario, rule, feature
  size_t own_defaults = 1;                 // how many of them are written at this very scenario
  std::vector<ExpandedStep> steps;
  std::vector<ExpandedSection> sections;
};

// False when there were errors that leave nothing to go on with (too large).
bool expand(const Document& document, const CompileLimits& limits, Diagnostics* diagnostics,
            std::vector<ExpandedScenario>* out);

}  // namespace runink::dsl
