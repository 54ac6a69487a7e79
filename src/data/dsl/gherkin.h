// The feature file as a tree: Gherkin, plus Runink's annotations and sections.
//
// Let G be the official Gherkin parser (npm @cucumber/gherkin), all spoken languages.
//   a. What G accepts is accepted here with the same tree, with two exceptions: a tag that starts with a Runink
//      annotation name and `(` is an annotation (and refused if malformed); and in the description of a Feature or
//      Scenario a line holding only `Metadata:`, `Assertions:`, `GoldenTest:` or `Notifications:` opens a section up
//      to the next keyword or tag line (kept as description, with a warning, if it does not parse as one).
//   b. Of what G refuses, three things are accepted: annotations directly before a step; annotation arguments with
//      spaces, `@` or `#` inside quotes, and line breaks up to the closing `)`; a section after a scenario's last step.
//   c. Everything else is refused at the line where G refuses it.
//
// This tree says what the text says, not what it means: sentences are bound, and names checked, by whoever compiles it.
// Tags are not inherited, outlines are not expanded, annotations are not defaulted here.
//
// Ownership: a Document shares its SourceText; every std::string_view in the tree points into that text (or into
// constant tables) and lives as long as the Document, wherever it is moved. Immutable after parsing, so any number of
// threads may read it. Bad input gives diagnostics, never a crash: nothing here recurses deeper than a fixed bound, and
// time and memory are linear in the size of the text.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.h"

namespace runink::dsl {

// Where something stands. `span` is for messages; `line` and `column` are those that G gives (1-based; G counts the
// columns of table cells in UTF-16 units and gives a comment column 1).
struct Place {
  uint32_t line = 0, column = 0;
  Span span;
};

// An argument value as it is written; what it means is for whoever knows the annotation.
struct Literal {
  enum class Kind {
    kString,  // "…" or '…'; `text` is unescaped (\" \' \\ \n \t)
    kNumber,  // -12, 3.5, 1e3; `number`, and `integer` when it is one that fits int64
    kWord,    // bare: 512Mi, 30s, true, fast, a/b.csv, 99.9%
    kList,    // [a, "b", 3]
  };
  Kind kind = Kind::kWord;
  std::string text;  // string: unescaped; number and word: as written; list: empty
  double number = 0;
  std::optional<int64_t> integer;
  std::vector<Literal> items;
  Place place;
};

struct Argument {
  std::string key;  // empty: positional. Positional ones come first, keys do not repeat.
  Literal value;
  Place place;
};

// `@name(arguments)`, or bare `@checkpoint` (which before a scenario, rule or feature is a plain tag as well).
struct Annotation {
  std::string_view name;            // without '@'; one of annotation_names()
  std::vector<Argument> arguments;  // in the order written
  bool bare = false;                // without parentheses
  Place place;                      // the span covers `@name(…)` whole

  const Literal* positional(size_t index) const;  // nullptr if there are fewer
  const Literal* find(std::string_view key) const;
  size_t positional_count() const;
};

struct Tag {
  std::string_view name;  // with its '@'
  Place place;
};

struct Comment {
  std::string_view text;  // the whole line with leading white space, from '#' and before
  Place place;
};

struct TableCell {
  std::string value;  // trimmed; \n, \| and \\ unescaped
  Place place;
};

struct TableRow {
  std::vector<TableCell> cells;
  Place place;
};

struct DataTable {
  std::vector<TableRow> rows;  // at least one; all have the same number of cells
  Place place;
};

struct DocString {
  std::string content;          // lines joined by '\n', indentation of the opening delimiter removed
  std::string_view delimiter;   // `"""` or ```` ``` ````
  std::string_view media_type;  // empty when none
  Place place;
};

enum class KeywordType {
  kUnknown,      // `* `, or a keyword that a language uses for more than one of these
  kContext,      // Given
  kAction,       // When
  kOutcome,      // Then
  kConjunction,  // And, But
};

struct Step {
  std::string_view keyword;  // as written, with its trailing space where the language has one: "Given "
  KeywordType keyword_type = KeywordType::kUnknown;
  std::string_view text;  // trimmed
  std::vector<Annotation> annotations;
  std::unique_ptr<DataTable> table;
  std::unique_ptr<DocString> doc_string;  // a step may have both
  Place place;                            // the span covers keyword and text
  Span text_span;                         // of `text`: byte i of text is byte text_span.offset + i of the source
};

enum class SectionKind { kMetadata, kAssertions, kGoldenTest, kNotifications };
std::string_view section_name(SectionKind kind);  // "Metadata", …

struct SectionItem {
  std::string_view key;   // `key: value`; empty for `- text`
  std::string_view text;  // the value, or what follows "- "; trimmed, never empty
  Place place;            // the span covers the whole item
  Span text_span;
};

struct Section {
  SectionKind kind = SectionKind::kMetadata;
  std::vector<SectionItem> items;  // may be empty
  bool after_steps = false;        // written after the last step, not in the description
  Place place;                     // of the header line
};

struct Background {
  std::string_view keyword, name;
  std::string description;
  std::vector<Step> steps;
  Place place;
};

struct Examples {
  std::vector<Tag> tags;
  std::vector<Annotation> annotations;
  std::string_view keyword, name;
  std::string description;
  std::optional<TableRow> header;  // none: no table
  std::vector<TableRow> body;
  Place place;
};

struct Scenario {
  std::vector<Tag> tags;
  std::vector<Annotation> annotations;
  std::string_view keyword, name;
  std::string description;  // without its sections
  std::vector<Section> sections;
  std::vector<Step> steps;
  std::vector<Examples> examples;
  Place place;
};

struct Rule {
  std::vector<Tag> tags;
  std::vector<Annotation> annotations;
  std::string_view keyword, name;
  std::string description;
  std::optional<Background> background;
  std::vector<Scenario> scenarios;
  Place place;
};

struct Feature {
  std::vector<Tag> tags;
  std::vector<Annotation> annotations;  // defaults for all scenarios
  std::string language;                 // "en", "fr", "zh-CN", …
  std::string_view keyword, name;
  std::string description;  // without its sections
  std::vector<Section> sections;
  std::optional<Background> background;
  std::vector<Scenario> scenarios;
  std::vector<Rule> rules;  // they follow all scenarios of the feature itself
  Place place;
};

struct Document {
  SourceTextPtr source;
  std::optional<Feature> feature;  // none: the text holds only comments and blank lines
  std::vector<Comment> comments;   // all, in order

  Location location(const Place& place) const { return locate(*source, place.span); }
};

// Parses a feature file. Without a value when the text is refused; `diagnostics` then has gained at least one error,
// the first at the line where G refuses (codes "dsl.syntax", "dsl.tag", "dsl.annotation", "dsl.section", "dsl.table",
// "dsl.language", "dsl.encoding"). After ten errors it gives up. Warnings ("dsl.section") and hints
// ("dsl.unknown_annotation", "dsl.bare_annotation", "dsl.section") may be added in either case, 200 at most.
// Text must be UTF-8; at most 1 GiB.
std::optional<Document> parse_feature(SourceTextPtr source, Diagnostics* diagnostics);

// The names that make a tag with `(` an annotation, without '@', in the order of the documentation.
const std::vector<std::string>& annotation_names();

}  // namespace runink::dsl
