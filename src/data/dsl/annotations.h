// Annotations: what arguments each takes, and their values once checked. Internal to the compiler.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/diagnostic.h"
#include "data/dsl/gherkin.h"

namespace runink::dsl {

// One row of an outline's Examples; replaces <name> by the row's cell. Unknown names stay as they are.
struct Substitution {
  const TableRow* header = nullptr;
  const TableRow* row = nullptr;
  // `changed` is set to true when something was replaced, else left alone.
  std::string apply(std::string_view text, bool* changed) const;
};

struct AnnotationValue {
  std::string text;                // of every kind, as text
  std::vector<std::string> items;  // of a list, or the one text
  double number = 0;
  int64_t integer = 0;
  uint64_t bytes = 0;
  int64_t micros = 0;
  bool flag = false;
  Span span;
};

struct ReadAnnotation {
  std::string_view name;
  std::map<std::string, AnnotationValue, std::less<>> values;
  std::vector<std::pair<std::string, AnnotationValue>> others;  // of @affinity: any key
  std::string written;                                          // in canonical form: @requires(cpu=2)
  Span span;

  const AnnotationValue* find(std::string_view key) const;
  std::string text(std::string_view key) const;  // "" when absent
};

struct AnnotationSet {
  std::vector<ReadAnnotation> list;
  std::vector<std::string_view> broken;  // names of those left out because of errors
  const ReadAnnotation* find(std::string_view name) const;
  bool is_broken(std::string_view name) const;
};
using AnnotationSetPtr = std::shared_ptr<const AnnotationSet>;

// Checks names, kinds and values of arguments; errors ("dsl.annotation") go to `diagnostics` and the annotation in
// question is left out. Never null; an empty list gives one shared empty set.
AnnotationSetPtr read_annotations(const SourceText& source, const std::vector<Annotation>& annotations,
                                  const Substitution* substitution, Diagnostics* diagnostics);

}  // namespace runink::dsl
