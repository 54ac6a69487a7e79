// Tag lines: plain tags as the official parser reads them, and Runink's annotations. A detail of the parser.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/dsl/gherkin_dialects.h"
#include "data/dsl/gherkin_lines.h"

namespace runink::dsl {

struct TagLine {
  struct Problem {
    Severity severity;
    Span span;
    std::string code, message, help;
  };
  std::vector<Tag> tags;
  std::vector<Annotation> annotations;
  bool only_annotations = false;  // nothing that is a plain tag alone: may stand before a step. True of a refused
                                  // line, so that the step after it is not refused as well
  std::vector<Problem> problems;  // in the order found; the line is refused if one is an error
};

// Reads `first`, a line that starts with '@', and as many lines after it from `reader` as its annotations take.
TagLine read_tag_line(const SourceText& source, const Dialect& dialect, const Line& first, LineReader* reader);

}  // namespace runink::dsl
