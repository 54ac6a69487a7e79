// `runi lint`: what compiles but is probably not meant, each hint with the reason and what to do.
//
// Hints have severity kHint and a code "lint.…"; `reason` texts are in help. Linting never fails.
#pragma once

#include <string>
#include <vector>

#include "base/diagnostic.h"
#include "data/dsl/gherkin.h"
#include "data/plan/plan.h"

namespace runink::dsl {

// `plan` may be null when the feature does not compile: only the tree is looked at then.
void lint(const Document& document, const plan::Plan* plan, Diagnostics* diagnostics);

struct LintRule {
  std::string code, help;
};
const std::vector<LintRule>& lint_rules();

}  // namespace runink::dsl
