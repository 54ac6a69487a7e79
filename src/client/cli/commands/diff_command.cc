// runi diff A B: two feature files by meaning.
#include "client/cli/commands/all.h"
#include "client/cli/feature.h"
#include "client/cli/project.h"
#include "client/local/project.h"
#include "data/dsl/diff.h"

namespace runink::cli {
namespace {

const char* impact_name(plan::ChangeImpact impact) {
  switch (impact) {
    case plan::ChangeImpact::kNone:
      return "words only";
    case plan::ChangeImpact::kMeaning:
      return "changes results";
    case plan::ChangeImpact::kBreaksReaders:
      return "breaks readers";
  }
  return "";
}

// One side: its project is the one that the file lies in, so that two checkouts can be compared.
struct Side {
  local::Project project;
  SourceTextPtr source;
};

Result<Side> read_side(const std::string& path) {
  local::Project project = RUNINK_TRY(local::Project::find(path));
  SourceTextPtr source = RUNINK_TRY(read_feature(project.root(), RUNINK_TRY(path_in_project(project.root(), path))));
  return Side{std::move(project), std::move(source)};
}

Result<int> run(Invocation& invocation) {
  Side before = RUNINK_TRY(read_side(invocation.text("BEFORE"))),
       after = RUNINK_TRY(read_side(invocation.text("AFTER")));
  const local::CompileOptions options{.strict = false, .allow_unenforced = true};
  std::vector<plan::Change> changes =
      RUNINK_TRY(dsl::diff_features(before.source, before.project.compile_environment(options), after.source,
                                    after.project.compile_environment(options)));
  Table table({{"impact", "IMPACT"},
               {"scenario", "SCENARIO"},
               {"change", "CHANGE"},
               {"kind", "KIND", true},
               {"subject", "SUBJECT", true},
               {"before", "BEFORE", true},
               {"after", "AFTER", true}});
  for (const plan::Change& change : changes) {
    table.add({impact_name(change.impact), change.scenario, change.sentence, change.kind, change.subject, change.before,
               change.after});
  }
  table.set_empty_note("no difference in meaning");
  RUNINK_RETURN_IF_ERROR(invocation.print(table));
  return kExitDone;
}

}  // namespace

Command diff_command() {
  Positional before = feature_positional(), after = feature_positional();
  before.name = "BEFORE";
  after.name = "AFTER";
  return {.name = "diff",
          .group = "project",
          .summary = "compare two feature files by meaning",
          .description =
              "Spacing, comments, wording of the same sentence, spoken language and order of scenarios make no "
              "difference. Each "
              "change says whether it breaks whoever reads the outputs. Both files must compile.",
          .positionals = {before, after},
          .lists = true,
          .examples = {{"runi diff old/features/clean.dsl features/clean.dsl", "What did the change do?"}},
          .run = run};
}

}  // namespace runink::cli
