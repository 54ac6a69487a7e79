// The reference of what a feature may say, from the registry itself.
#include "base/text.h"
#include "data/dsl/compile.h"
#include "data/dsl/sentence.h"

namespace runink::dsl {
namespace {

std::string block(const std::string& text) { return "```gherkin\n" + text + "\n```\n"; }

// What a table cell or a line of text may hold: `|` would end a cell.
std::string code(std::string_view text) { return "`" + std::string(text) + "`"; }

void add_sentence(const Sentence& s, std::string* out) {
  *out += "### " + s.name + "\n\n" + s.help + "\n\n" + block(s.example) + "\nWays to say it:\n\n";
  for (const auto& p : s.patterns) *out += "* " + code(shown_pattern(p)) + "\n";
  *out += "\nBecomes: " + s.becomes + ".";
  if (s.table != Attachment::kNone) {
    *out += std::string(" Table") + (s.table == Attachment::kOptionalTable ? " (if no fields are named)" : "") + ": " +
            code(s.table_help) + ".";
  }
  if (!s.annotations.empty()) {
    std::vector<std::string> names;
    for (const auto& a : s.annotations) names.push_back(code("@" + a));
    *out += " Annotations: " + join(names, ", ") + ".";
  }
  *out += "\n\n";
}

}  // namespace

std::string sentences_as_markdown() {
  std::string out =
      "# What a feature may say\n\n"
      "Written by the program from its own registry (`runi steps` shows the same). In a sentence `{…}` is a slot, "
      "`[a|b]` may be\n"
      "left out, `(a|b)` is one of these. Small and capital letters, and the amount of white space, make no "
      "difference. `{records}`\n"
      "is any noun of up to six words: records, late flights, rows of the feed. Fields, files and names of branches "
      "may stand in\n"
      "quotes; names with other characters than letters, digits, `_` and `.` in back quotes. Expressions are described "
      "in\n"
      "[expressions](expressions.md).\n\n"
      "Given, When, Then, And, But and `*`, in any spoken language, mean nothing to Runink: the sentence decides.\n\n"
      "## Sentences\n\n";
  for (const Sentence& s : sentences()) add_sentence(s, &out);
  out +=
      "## Assertions\n\nItems of an `Assertions:` section. Nothing is published unless all of them hold. Besides the "
      "sentences, any\n"
      "true-or-false expression over aggregates of the valid branch may stand here: `- avg(delay) < 20`.\n\n";
  for (const AssertionSentence& s : assertion_sentences()) {
    std::vector<std::string> ways;
    for (const auto& p : s.patterns) ways.push_back(code(shown_pattern(p)));
    out += "* " + join(ways, ", or ") + ". " + s.help + "\n";
  }
  out +=
      "\n## Annotations\n\n"
      "Before a step they are for that step; before a scenario, a rule or the feature they are defaults for all its "
      "steps\n"
      "(`@source` for the first source of a scenario, `@sink` for its one sink, `@contract` for what has none).\n\n";
  for (const AnnotationHelp& a : annotation_help()) out += "* " + code(a.use) + "  \n  " + a.help + "\n";
  out +=
      "\n## Notifications\n\n"
      "Items `- stderr`, `- file:PATH` or `- exec:COMMAND`, each perhaps with `on failure` (meant when nothing is "
      "said),\n"
      "`on success` or `always` at the end. Any other channel is an error.\n\n"
      "## Golden tests\n\n"
      "Items `- CASE` of a `GoldenTest:` section name folders below `golden/<feature file's stem>/<scenario in small "
      "letters, other\n"
      "characters as _>/`; with a slash, `- PATH` is a folder from the project root.\n\n"
      "## Metadata\n\n"
      "`key: value` lines of a feature or scenario are kept with plans, runs and lineage. Usual keys are herd, owner, "
      "slo, team,\n"
      "contact, domain, tier, cost, runbook, purpose, retention and version; any other is kept as it is.\n";
  return out;
}

}  // namespace runink::dsl
