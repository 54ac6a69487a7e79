// The states of the feature parser, what each takes, and how to say what it expected. A detail of the parser.
#pragma once

#include <string>

#include "data/dsl/gherkin_dialects.h"
#include "data/dsl/gherkin_lines.h"

namespace runink::dsl::grammar {

// After which line the parser stands. Those of steps serve backgrounds and scenarios alike, those of scenarios and
// backgrounds serve the feature and its rules.
enum class State {
  kStart,
  kLanguage,
  kFeatureTags,
  kFeatureLine,
  kFeatureDescription,
  kRuleTags,
  kRuleLine,
  kRuleDescription,
  kBackgroundLine,
  kBackgroundDescription,
  kScenarioTags,
  kScenarioLine,
  kScenarioDescription,
  kStepAnnotations,
  kStepLine,
  kTable,     // of a step
  kTableDoc,  // inside the doc string after a table
  kTableDocEnd,
  kDoc,  // inside a doc string
  kDocEnd,
  kDocTable,  // the table after a doc string
  kExamplesTags,
  kExamplesLine,
  kExamplesDescription,
  kExamplesTable,
  kSection,  // of a scenario, after its last step
  kEnd,
};

// Kinds of line, a bit each.
enum Kind : unsigned {
  kNone = 0,
  kEof = 1u << 0,
  kLanguageLine = 1u << 1,
  kEmpty = 1u << 2,
  kCommentLine = 1u << 3,
  kTableRow = 1u << 4,
  kDocSeparator = 1u << 5,
  kBackgroundTitle = 1u << 6,
  kStep = 1u << 7,
  kTags = 1u << 8,
  kExamplesTitle = 1u << 9,
  kScenarioTitle = 1u << 10,
  kRuleTitle = 1u << 11,
  kFeatureTitle = 1u << 12,
  kOther = 1u << 13,
};

// The kinds of line, or-ed, that a state takes. Nothing inside a doc string, where lines have no kind.
unsigned kinds_accepted(State state, bool in_background);

// For messages: what was expected ("a step or the next scenario"), and what may help with a line that is none of it
// (empty if nothing is known).
std::string expectation(State state, const Dialect& dialect);
std::string help_for_unexpected(const Line& line, State state, const Dialect& dialect);
std::string shorten(std::string_view text);  // to 60 code points

}  // namespace runink::dsl::grammar
