// runi plan FEATURE
#include "base/text.h"
#include "client/cli/commands/all.h"
#include "client/cli/feature.h"
#include "client/cli/project.h"
#include "client/local/history.h"
#include "client/local/project.h"
#include "data/plan/change_impact.h"
#include "data/plan/render.h"
#include "data/plan/to_json.h"

namespace runink::cli {
namespace {

Result<int> run(Invocation& invocation) {
  local::Project project = RUNINK_TRY(local::Project::find("."));
  const std::string path = RUNINK_TRY(path_in_project(project.root(), invocation.text("FEATURE")));
  // `plan` lists what is without effect here; only `run` refuses it.
  const local::CompileOptions compile{.strict = invocation.enabled("strict"), .allow_unenforced = true};
  Diagnostics diagnostics;
  Result<plan::Plan> compiled = project.compile(path, compile, &diagnostics);
  if (!compiled.ok()) return std::move(compiled).status();
  Console& console = invocation.console();
  console.err(diagnostics.render());

  const std::string& form = invocation.text("output");
  if (form == "json") {
    console.out(plan::to_json(*compiled) + "\n");
  } else if (form == "dot") {
    console.out(plan::render_dot(*compiled));
  } else {
    plan::RenderOptions options;
    options.columns = !invocation.enabled("short");
    Result<std::string> last = local::last_plan_of(project, path);
    std::vector<plan::Change> changes;
    if (last.ok()) {
      Result<plan::PlanShape> shape = plan::shape_from_json(*last);
      if (shape.ok()) {
        changes = plan::compare(*shape, plan::shape_of(*compiled));
        options.changes = &changes;
      }
    }
    console.out(plan::render_text(*compiled, options));
  }
  return kExitDone;
}

}  // namespace

Command plan_command() {
  return {.name = "plan",
          .group = "project",
          .summary = "show what a feature would do, without doing it",
          .description =
              "Scenarios in the order in which they run; their stages, where each runs and why; the columns and "
              "contracts that go "
              "in and out; what is masked, how outputs are published, and which words have no effect on this machine. "
              "Where "
              "the feature has run before: what changed since, and what that would break.",
          .positionals = {feature_positional()},
          .flags = {{.name = "output",
                     .letter = 'o',
                     .type = ValueType::kText,
                     .value_name = "FORM",
                     .help = "form of the plan",
                     .default_value = "text",
                     .choices = {"text", "json", "dot"}},
                    {.name = "short", .help = "leave the columns out"},
                    {.name = "strict", .help = "a word without effect on this machine is an error"}},
          .examples = {{"runi plan features/punctuality.dsl", "Read it before the first run."},
                       {"runi plan features/punctuality.dsl -o dot | dot -Tsvg > plan.svg", "Draw it."}},
          .run = run};
}

}  // namespace runink::cli
