#include "data/dsl/diff.h"

namespace runink::dsl {

Result<std::vector<plan::Change>> diff_features(SourceTextPtr before, const CompileEnvironment& before_environment,
                                                SourceTextPtr after, const CompileEnvironment& after_environment) {
  Diagnostics warnings;
  const std::string before_path = before->path(), after_path = after->path();
  const plan::Plan old_plan =
      RUNINK_TRY_CONTEXT(compile_feature(std::move(before), before_environment, &warnings), "compile " + before_path);
  Diagnostics more_warnings;
  const plan::Plan new_plan =
      RUNINK_TRY_CONTEXT(compile_feature(std::move(after), after_environment, &more_warnings), "compile " + after_path);
  return plan::compare(plan::shape_of(old_plan), plan::shape_of(new_plan));
}

}  // namespace runink::dsl
