// The tree of a feature file as text, for tests and for comparing two trees.
#pragma once

#include <string>

#include "data/dsl/gherkin.h"

namespace runink::dsl {

enum class DumpPlaces { kYes, kNo };

// One line of JSON with everything that the official parser's tree has (apart from its ids), and `annotations` and
// `sections` where there are any. Two trees are equal when these are. Without places: what a formatter must keep; the
// indentation of descriptions and comments, and where comments stand, are left out too.
std::string dump_json(const Document& document, DumpPlaces places = DumpPlaces::kYes);

// An indented outline for people, one node a line, with line:column before it.
std::string dump_outline(const Document& document);

// An annotation, argument or literal in canonical form: `@requires(cpu=2, memory="512Mi")`.
std::string to_text(const Annotation& annotation);
std::string to_text(const Literal& literal);

}  // namespace runink::dsl
