// The compiler: a feature's tree to a Plan. Binds sentences, loads contracts, types every expression, follows every
// column (type, where it came from, which pii it reveals), and orders scenarios by what they need.
//
// All errors are reported, not only the first (after 100 it gives up). A plan is returned only when there are none.
// Bounds, beyond which a feature is refused with "dsl.too_large": see CompileLimits.
//
// Meaning, where the language leaves room:
//   * Background steps stand before each scenario's own. An Outline is one scenario per Examples row, named
//     `NAME (VALUE, …)` when its name holds no <parameter>; names must differ within a feature.
//   * The first source of a scenario is its flow. Each further source is a named input: `airports arrive …` may be used
//     as `joined with airports` or `united with airports`; one that is never used is an error.
//   * A `Then … written` step does not end the flow: steps after it go on with the same records. The valid branch is
//     where the flow stands at the end; when no sink writes it, an Output operator does.
//   * After a split the flow is at no branch until `records of branch "x" continue`. A branch that is neither written
//     nor continued is an error: its rows would vanish.
//   * Annotations before a scenario (or rule, or feature) are defaults for its steps: @source for its first source,
//     @contract for sources without one of their own, @sink for its one sink sentence, the others for every step.
//   * A step that carries @step or @exec may say anything that is not another sentence: the annotation binds it.
//   * A value that reveals a pii field is masked at a sink by the field's mask, else wholly (with a warning when it was
//     computed from one, as its reader may not expect it).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "base/status.h"
#include "data/contract/parse.h"
#include "data/dsl/gherkin.h"
#include "data/plan/plan.h"

namespace runink::dsl {

struct CompileLimits {
  size_t steps_per_scenario = 2'000;
  size_t steps = 100'000;  // of a feature, after outlines are expanded
  size_t scenarios = 20'000;
  size_t columns = 4'096;           // of a record
  size_t column_facts = 1'000'000;  // columns, their origins and their pii, over all operators of the plan
};

struct CompileEnvironment {
  // Text of a project file by its path from the project root (contracts and what they import).
  contract::TextLoader load;
  // Schema of a source without contract, from its head. Never asked for programs and standard input. Empty: such a
  // source is an error that asks for a contract.
  std::function<Result<columnar::Schema>(const plan::Source&)> infer_schema;
  std::string project_root;  // absolute; only to see that two paths are one file. May be empty
  std::optional<std::vector<std::string>> known_steps;  // names of C++ steps of the project, for nearest names
  std::string step_folder = ".runink/steps";            // where `runi compile` puts NAME.so
  bool strict = false;                                  // a word without effect is an error
  bool allow_unenforced = false;                        // @secret and @network may be without effect
  bool cluster = false;                                 // every annotation acts
  std::string only;  // leave out of the plan what this scenario does not need; empty: all are in it
  CompileLimits limits;
};

// Without a value when there is at least one error in `diagnostics`. The plan's feature_path is the source's path.
std::optional<plan::Plan> compile(const Document& document, const CompileEnvironment& environment,
                                  Diagnostics* diagnostics);

// Parses and compiles. An error is Diagnostics::to_status(); warnings are in `diagnostics` in any case.
Result<plan::Plan> compile_feature(SourceTextPtr source, const CompileEnvironment& environment,
                                   Diagnostics* diagnostics);

// Where a scenario's golden cases are, from the project root: "golden/<stem of the feature's file>/<scenario's name in
// small letters, anything else than letters and digits as _>".
std::string golden_folder(std::string_view feature_path, std::string_view scenario);

// Names of the annotations with their arguments and a line of help, for `runi steps`, completion and the guide.
struct AnnotationHelp {
  std::string name, use, help;
};
const std::vector<AnnotationHelp>& annotation_help();

}  // namespace runink::dsl
