// What all scenarios of one compilation share: the feature, the environment, diagnostics, what was loaded, and the part
// of the plan that is done. Internal to the compiler.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "data/dsl/compile.h"
#include "data/dsl/expand.h"
#include "data/dsl/sentence.h"

namespace runink::dsl {

struct BoundStep {
  const ExpandedStep* step = nullptr;
  std::optional<BoundSentence> bound;  // none: unknown, or bound by its annotation
  bool by_annotation = false;          // free words under @step or @exec
};

struct BoundScenario {
  ExpandedScenario expanded;
  std::vector<BoundStep> steps;
};

class CompileContext {
 public:
  CompileContext(const Document& document, const CompileEnvironment& environment, Diagnostics* diagnostics);

  const SourceTextPtr& source() const { return source_; }
  const CompileEnvironment& environment() const { return environment_; }
  Diagnostics& diagnostics() { return *diagnostics_; }

  Diagnostic& error(Span span, std::string code, std::string message);
  Diagnostic& warning(Span span, std::string code, std::string message);
  Location location(Span span) const { return locate(*source_, span); }
  // After too many errors, or when the plan has become too large: nothing more is to be done.
  bool give_up();

  // Counts what an operator's columns take; reports dsl.too_large once when that is too much.
  void count_facts(const std::vector<plan::ColumnInfo>& columns, Span span);

  // Null after an error, reported at `span` the first time and silently later.
  plan::ContractPtr contract(const std::string& reference, Span span);
  // Schema of a source without contract; nothing after an error.
  std::optional<columnar::Schema> inferred(const plan::Source& source, Span span);

  // Parses an expression of the user. Null after an error.
  expr::ExprPtr parse(const TextAt& text, const expr::ParseOptions& options, SourceTextPtr* parsed_text);
  // Runs `check` over the tree with errors reported where `text` stands in the feature.
  template <typename Check>
  auto checked(const TextAt& text, const SourceTextPtr& parsed_text, Check check) {
    if (parsed_text == source_) return check(*diagnostics_);
    Diagnostics own;
    auto result = check(own);
    rehome(own, text);
    return result;
  }

  // The plan in the making; scenarios are added in dependency order.
  plan::Plan plan;
  std::set<std::string> failed;  // scenarios that have errors

  // A sink of any scenario, by normal path, for conflicts.
  struct SinkPlace {
    std::string scenario, path;
    Span span;
    bool append = false;
  };
  std::vector<SinkPlace> sinks;

 private:
  void rehome(const Diagnostics& from, const TextAt& text);

  SourceTextPtr source_;
  const CompileEnvironment& environment_;
  Diagnostics* diagnostics_;
  size_t seen_ = 0, facts_ = 0;
  std::set<std::string> errors_;  // each once, however many rows of an outline make it
  bool too_large_ = false;
  std::map<std::string, plan::ContractPtr> contracts_;  // by reference
  struct LoadedFile {
    contract::ParsedFile parsed;
    bool usable = false;
    std::string problem;
  };
  std::map<std::string, LoadedFile> files_;
  std::map<std::string, std::optional<columnar::Schema>> schemas_;
};

}  // namespace runink::dsl
