// `runi diff A B`: two versions of a feature compared by meaning. Spacing, comments, keywords, spoken language, wording
// of the same sentence, order of scenarios and of annotations make no difference.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "data/dsl/compile.h"
#include "data/plan/change_impact.h"

namespace runink::dsl {

// Both must compile, each in its own environment (two checkouts have two). Errors name which of the two is wrong.
Result<std::vector<plan::Change>> diff_features(SourceTextPtr before, const CompileEnvironment& before_environment,
                                                SourceTextPtr after, const CompileEnvironment& after_environment);

}  // namespace runink::dsl
