#include "data/dsl/gherkin_states.h"

#include <algorithm>

#include "base/nearest.h"
#include "base/text.h"
#include "data/dsl/gherkin_sections.h"

namespace runink::dsl::grammar {

unsigned kinds_accepted(State state, bool in_background) {
  constexpr unsigned kBlank = kEmpty | kCommentLine;
  constexpr unsigned kDescribed = kEof | kTags | kScenarioTitle | kRuleTitle | kOther | kCommentLine;
  const unsigned step_end =
      kEof | kStep | kTags | kScenarioTitle | kRuleTitle | kBlank | (in_background ? kNone : kExamplesTitle);
  switch (state) {
    case State::kStart:
      return kEof | kLanguageLine | kTags | kFeatureTitle | kBlank;
    case State::kLanguage:
    case State::kFeatureTags:
      return kTags | kFeatureTitle | kBlank;
    case State::kRuleTags:
      return kTags | kRuleTitle | kBlank;
    case State::kScenarioTags:
      return kTags | kScenarioTitle | kBlank;
    case State::kExamplesTags:
      return kTags | kExamplesTitle | kBlank;
    case State::kStepAnnotations:
      return kTags | kStep | kBlank;
    case State::kFeatureLine:
    case State::kRuleLine:
      return kDescribed | kEmpty | kBackgroundTitle;
    case State::kFeatureDescription:
    case State::kRuleDescription:
      return kDescribed | kBackgroundTitle;
    case State::kBackgroundLine:
      return kDescribed | kEmpty | kStep;
    case State::kBackgroundDescription:
      return kDescribed | kStep;
    case State::kScenarioLine:
      return kDescribed | kEmpty | kStep | kExamplesTitle;
    case State::kScenarioDescription:
      return kDescribed | kStep | kExamplesTitle;
    case State::kExamplesLine:
      return kDescribed | kEmpty | kTableRow | kExamplesTitle;
    case State::kExamplesDescription:
      return kDescribed | kTableRow | kExamplesTitle;
    case State::kExamplesTable:
      return kEof | kTableRow | kTags | kExamplesTitle | kScenarioTitle | kRuleTitle | kBlank;
    case State::kStepLine:
    case State::kTable:
      return step_end | kTableRow | kDocSeparator;
    case State::kDocEnd:
    case State::kDocTable:
      return step_end | kTableRow;
    case State::kTableDocEnd:
      return step_end;
    case State::kSection:
      return kEof | kStep | kTags | kExamplesTitle | kScenarioTitle | kRuleTitle | kBlank;
    case State::kTableDoc:
    case State::kDoc:
    case State::kEnd:
      return kNone;
  }
  return kNone;
}

std::string expectation(State state, const Dialect& dialect) {
  switch (state) {
    case State::kStart:
    case State::kLanguage:
    case State::kFeatureTags:
      return fmt::format("`{}:`", dialect.feature[0]);
    case State::kScenarioTags:
    case State::kExamplesTags:
    case State::kRuleTags:
      return "the scenario, examples or rule that these tags belong to";
    case State::kExamplesTable:
      return "a table row, examples, a scenario or a rule";
    case State::kStepLine:
    case State::kTable:
      return "a step, a table, a doc string or the next scenario";
    case State::kDocEnd:
    case State::kDocTable:
      return "a step, a table or the next scenario";
    case State::kSection:
      return "a section, examples, a scenario or a rule";
    default:
      return "a step or the next scenario";
  }
}

std::string help_for_unexpected(const Line& line, State state, const Dialect& dialect) {
  if (line.eof) return {};
  const std::string_view text = trim_right(line.trimmed);
  if (state == State::kRuleTags && find_step_keyword(dialect, text) != nullptr) {
    return "only annotations such as @source(…) may stand before a step; tags belong before its scenario";
  }
  if (section_opened_by(line))
    return "a section belongs below `Feature:` or `Scenario:`, or after a scenario's last step";
  std::vector<std::string> words;
  const size_t colon = text.find(':');
  if (colon != std::string_view::npos) {
    for (const auto* list : {&dialect.feature, &dialect.background, &dialect.scenario, &dialect.scenario_outline,
                             &dialect.examples, &dialect.rule}) {
      for (const auto word : *list) words.push_back(std::string(word) + ":");
    }
    for (const auto kind :
         {SectionKind::kMetadata, SectionKind::kAssertions, SectionKind::kGoldenTest, SectionKind::kNotifications}) {
      words.push_back(std::string(section_name(kind)) + ":");
    }
    const std::string head(text.substr(0, colon + 1));
    if (std::find(words.begin(), words.end(), head) != words.end()) return {};
    const auto near = nearest(head, words);
    return near.empty() ? std::string() : fmt::format("did you mean `{}`?", near[0]);
  }
  if (state == State::kStart || state == State::kLanguage || state == State::kFeatureTags)
    return fmt::format("a feature file begins with `{}: name`", dialect.feature[0]);
  for (const auto& keyword : dialect.steps) {
    if (keyword.text != "* ") words.emplace_back(trim_right(keyword.text));
  }
  const std::string head(text.substr(0, text.find(' ')));
  const auto near = nearest(head, words);
  if (!near.empty()) return fmt::format("did you mean `{}`?", near[0]);
  return "a step begins with Given, When, Then, And or But; a comment with #";
}

std::string shorten(std::string_view text) {
  constexpr size_t kShown = 60;
  text = trim_right(text);
  if (count_code_points(text) <= kShown) return std::string(text);
  return std::string(code_point_slice(text, 0, kShown)) + "…";
}

}  // namespace runink::dsl::grammar
