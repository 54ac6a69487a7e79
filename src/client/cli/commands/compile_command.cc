// runi compile [STEP…]: the project's C++ steps.
#include <fmt/format.h>
#include <unistd.h>

#include "base/text.h"
#include "client/cli/commands/all.h"
#include "client/cli/invocation.h"
#include "client/local/compile_steps.h"
#include "client/local/project.h"
#include "platform/os/signals.h"

namespace runink::cli {
namespace {

Result<int> run(Invocation& invocation) {
  local::Project project = RUNINK_TRY(local::Project::find("."));
  Console& console = invocation.console();
  static StopFlag stop;
  os::install_stop_signals(&stop);
  local::CompileStepsOptions options;
  options.project_root = project.root();
  options.only = invocation.texts("STEP");
  options.force = invocation.enabled("force");
  options.stop = &stop;
  options.on_start = [&](const std::string& source) { console.say("compiling " + escape_control(source)); };
  const std::vector<local::StepFile> files = RUNINK_TRY(local::compile_steps(options));
  Table table({{"source", "SOURCE"},
               {"steps", "STEPS"},
               {"state", "STATE"},
               {"seconds", "TOOK"},
               {"library", "LIBRARY", true}});
  for (const local::StepFile& file : files) {
    table.add({file.source, Cell::list(file.steps), file.was_current ? "was current" : "compiled",
               Cell::seconds(file.seconds), file.library});
  }
  table.set_empty_note("no steps/*.cpp in this project");
  RUNINK_RETURN_IF_ERROR(invocation.print(table));
  return kExitDone;
}

}  // namespace

Command compile_command() {
  return {.name = "compile",
          .group = "project",
          .summary = "build the C++ steps of this project",
          .description =
              "Compiles steps/*.cpp against the step SDK and the headers of the project's contracts, which are made "
              "first, and loads each "
              "library once to see which steps it holds. What is current is left alone. The compiler is that of CXX, "
              "else c++; CXXFLAGS, "
              "LDFLAGS and LDLIBS are added. Steps run in a process of their own (runi-slice), never in this one.",
          .positionals = {{.name = "STEP",
                           .help = "names of steps or files; all when none is given",
                           .completion = Completion::kFile,
                           .optional = true,
                           .repeated = true}},
          .flags = {{.name = "force", .letter = 'f', .help = "also build what is current"}},
          .lists = true,
          .examples = {{"runi compile", "Build what is not current."},
                       {"runi compile ScoreDelays -f", "Build one step anew."}},
          .run = run};
}

}  // namespace runink::cli
