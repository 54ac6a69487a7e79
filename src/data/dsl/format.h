// `runi fmt` for features: one way to lay a file out.
//
//   * Two spaces a level: Feature 0, its description, sections, Background, Scenario and Rule 2, their parts 4, items
//     and tables 6; one more level inside a Rule. Steps that go on (And, But) stand one space further in, their
//     annotations do not.
//   * Tables are aligned by code points. Tags keep their lines; an annotation stands on one line if it fits in 100
//     columns, else one argument a line.
//   * A description and a doc string are shifted as a whole. Comments stay where they are, indented like what follows.
//   * At most one blank line in a row, none at the start or end, one before each Background, Scenario and Rule; inside
//     descriptions and doc strings blank lines stay as they are. Lines end with LF and, outside doc strings, without
//     white space (but for that of a keyword without text).
//
// Formatting keeps the tree (apart from places and from the indentation of descriptions) and is idempotent.
#pragma once

#include <optional>
#include <string>

#include "base/diagnostic.h"

namespace runink::dsl {

// Without a value, and with errors in `diagnostics`, when the text does not parse. The result is parsed again and
// compared before it is returned, so a formatted file never means something else.
std::optional<std::string> format_feature(const SourceTextPtr& source, Diagnostics* diagnostics);

}  // namespace runink::dsl
