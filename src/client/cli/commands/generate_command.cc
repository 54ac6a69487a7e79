// runi __generate man|reference PLACE: what the build and the installation make from the command tree. Hidden: nobody
// needs it once Runink is installed.
#include "client/cli/commands/all.h"
#include "client/cli/generate.h"
#include "client/cli/invocation.h"
#include "platform/os/file.h"

namespace runink::cli {
namespace {

Result<int> run(Invocation& invocation) {
  const std::string& place = invocation.text("PLACE");
  if (invocation.text("WHAT") == "reference") {
    RUNINK_RETURN_IF_ERROR(os::write_file_atomic(place, markdown_reference(invocation.root())));
    return kExitDone;
  }
  RUNINK_RETURN_IF_ERROR(os::make_directories(place));
  for (const auto& [name, text] : man_pages(invocation.root())) {
    RUNINK_RETURN_IF_ERROR(os::write_file_atomic(os::join_path(place, name), text));
  }
  return kExitDone;
}

}  // namespace

Command generate_command() {
  return {
      .name = "__generate",
      .group = "the program",
      .summary = "write man pages or the reference",
      .positionals = {{.name = "WHAT", .help = "man pages or the Markdown reference", .choices = {"man", "reference"}},
                      {.name = "PLACE", .help = "folder for man pages, file for the reference"}},
      .run = run,
      .hidden = true};
}

}  // namespace runink::cli
