// The arguments of an annotation: values, `key=value`, lists. A detail of the parser.
#pragma once

#include <string>
#include <vector>

#include "data/dsl/gherkin.h"

namespace runink::dsl {

struct ArgumentsRead {
  size_t at = 0;        // after the ')', or the offset of what does not fit
  std::string problem;  // empty: read whole; else to follow "annotation @name "
};

// Reads from `offset`, which is after the '(', up to the ')' that closes it, over as many lines as that takes. An
// annotation has at most 64 KiB, 256 arguments, and lists 8 deep.
ArgumentsRead read_arguments(const SourceText& source, size_t offset, std::vector<Argument>* arguments);

}  // namespace runink::dsl
