// runi lint [FEATURE…]
#include <fmt/format.h>

#include "base/text.h"
#include "client/cli/commands/all.h"
#include "client/cli/feature.h"
#include "client/cli/project.h"
#include "client/local/project.h"
#include "data/dsl/lint.h"

namespace runink::cli {
namespace {

const char* severity_name(Severity severity) {
  switch (severity) {
    case Severity::kError:
      return "error";
    case Severity::kWarning:
      return "warning";
    case Severity::kHint:
      return "hint";
  }
  return "error";
}

// Everything there is to say about one feature: errors of the text, warnings of the compiler, hints of lint.
Result<Diagnostics> look_at(const local::Project& project, const std::string& path, bool strict) {
  Diagnostics diagnostics;
  SourceTextPtr source = RUNINK_TRY(read_feature(project.root(), path));
  std::optional<dsl::Document> document = dsl::parse_feature(source, &diagnostics);
  if (!document) return diagnostics;
  dsl::CompileEnvironment environment = project.compile_environment({.strict = strict, .allow_unenforced = true});
  std::optional<plan::Plan> plan = dsl::compile(*document, environment, &diagnostics);
  dsl::lint(*document, plan ? &*plan : nullptr, &diagnostics);
  return diagnostics;
}

Result<int> run(Invocation& invocation) {
  local::Project project = RUNINK_TRY(local::Project::find("."));
  const bool for_people = invocation.output_form() == OutputForm::kTable;
  Table table({{"location", "LOCATION"},
               {"severity", "SEVERITY"},
               {"code", "CODE"},
               {"message", "MESSAGE"},
               {"help", "HELP", true}});
  size_t errors = 0, others = 0;
  for (const std::string& path : RUNINK_TRY(chosen_features(invocation, project.root()))) {
    Diagnostics diagnostics = RUNINK_TRY(look_at(project, path, invocation.enabled("strict")));
    errors += diagnostics.error_count();
    others += diagnostics.list().size() - diagnostics.error_count();
    if (for_people) invocation.console().out(diagnostics.render());
    for (const Diagnostic& d : diagnostics.list()) {
      table.add({d.location.to_string(), severity_name(d.severity), d.code, d.message, Cell::list(d.help)});
    }
  }
  if (!for_people) RUNINK_RETURN_IF_ERROR(invocation.print(table));
  invocation.console().say(errors + others == 0 ? std::string("nothing to say")
                                                : fmt::format("{} errors, {} warnings and hints", errors, others));
  return errors > 0 ? kExitFailed : kExitDone;
}

}  // namespace

Command lint_command() {
  Positional feature = feature_positional();
  feature.optional = feature.repeated = true;
  feature.help = "feature files; all of the project when none is given";
  return {.name = "lint",
          .group = "project",
          .summary = "say what compiles but is probably not meant",
          .description =
              "Shows errors, warnings and hints of feature files, each with its place, the reason and what to do. "
              "Hints alone "
              "do not fail; exit code 1 means errors.",
          .positionals = {feature},
          .flags = {{.name = "strict", .help = "a word without effect on this machine is an error"}},
          .lists = true,
          .examples = {{"runi lint", "All features of the project."}, {"runi lint -o json", "For editors."}},
          .run = run};
}

}  // namespace runink::cli
