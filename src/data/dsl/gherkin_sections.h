// Runink's sections: `Metadata:`, `Assertions:`, `GoldenTest:`, `Notifications:`. A detail of the parser.
#pragma once

#include <optional>
#include <vector>

#include "data/dsl/gherkin_dialects.h"
#include "data/dsl/gherkin_lines.h"

namespace runink::dsl {

// The section that a line holding only `Name:` opens.
std::optional<SectionKind> section_opened_by(const Line& line);
Section make_section(SectionKind kind, const Line& header, bool after_steps);

// `- text` or `key: value`; a key is one word of letters, digits, '_', '-' and '.'.
std::optional<SectionItem> parse_section_item(const Line& line);
inline constexpr std::string_view kSectionItemHelp = "an item is `- text` or `key: value`";

// Warnings and hints beyond these are not recorded, so that a huge file does not make a huge list.
inline constexpr size_t kNotesMax = 200;

// Takes the sections out of the lines of a description. A section goes up to the next line with a keyword (which in a
// description is text like any other) or the next section. Lines of a section that does not parse as one stay, with a
// warning.
std::vector<Section> take_sections(const SourceText& source, const Dialect& dialect, std::vector<Line>* lines,
                                   Diagnostics* diagnostics);

}  // namespace runink::dsl
