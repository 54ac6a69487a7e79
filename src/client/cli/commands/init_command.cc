// runi init NAME: a project that works.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "client/cli/commands/all.h"
#include "client/cli/commands/init_files.h"
#include "client/cli/invocation.h"
#include "platform/os/file.h"

namespace runink::cli {
namespace {

// The folder's last name, as a project name may be: letters, digits, '-', '_' and '.'.
Status check_name(const std::string& name) {
  bool good = !name.empty() && name[0] != '.' && name[0] != '-';
  for (char c : name) {
    good &=
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  }
  if (good) return {};
  return invalid_argument("\"{}\" is not a name for a project: letters, digits, '-', '_' and '.'", escape_control(name))
      .with_kind(kKindUsage);
}

Result<int> run(Invocation& invocation) {
  const std::string folder = os::normalize_path(invocation.text("NAME"));
  const std::string root = RUNINK_TRY(os::absolute_path(folder));
  RUNINK_RETURN_IF_ERROR(check_name(os::file_name_of(root)));
  const std::vector<ProjectFile> files = new_project_files(os::file_name_of(root));
  // Nothing that is there is ever replaced: look at all first, then write.
  for (const ProjectFile& file : files) {
    if (os::exists(os::join_path(root, file.path))) {
      return already_exists("{} is there already", escape_control(os::join_path(folder, file.path)))
          .with_hint("choose another name, or an empty folder");
    }
  }
  for (const ProjectFile& file : files) {
    const std::string path = os::join_path(root, file.path);
    RUNINK_RETURN_IF_ERROR(os::make_directories(os::folder_of(path)));
    RUNINK_RETURN_IF_ERROR(os::write_file_atomic(path, file.text));
  }
  Console& console = invocation.console();
  size_t width = 0;
  for (const ProjectFile& file : files) width = std::max(width, os::join_path(folder, file.path).size());
  for (const ProjectFile& file : files)
    console.say(fmt::format("  {:<{}}  {}", escape_control(os::join_path(folder, file.path)), width, file.says));
  console.out(fmt::format("cd {} && runi run features/orders.dsl\n", escape_control(folder)));
  return kExitDone;
}

}  // namespace

Command init_command() {
  return {.name = "init",
          .group = "project",
          .summary = "make a new project that works",
          .description =
              "Makes the folder NAME with a contract, a feature, sample data with a few bad records in it, a golden case "
              "and settings, and prints the command to run it. Nothing that is there already is replaced.",
          .positionals = {{.name = "NAME", .help = "folder of the project", .completion = Completion::kFolder}},
          .examples = {{"runi init shop", "Make the project shop."}, {"runi init .", "Make this folder one."}},
          .run = run};
}

}  // namespace runink::cli
