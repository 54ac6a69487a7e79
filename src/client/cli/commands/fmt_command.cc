// runi fmt [FEATURE…]
#include <fmt/format.h>

#include <iostream>
#include <iterator>

#include "base/text.h"
#include "client/cli/commands/all.h"
#include "client/cli/feature.h"
#include "client/cli/project.h"
#include "data/dsl/format.h"
#include "platform/os/file.h"

namespace runink::cli {
namespace {

Result<std::string> formatted(const SourceTextPtr& source) {
  Diagnostics diagnostics;
  std::optional<std::string> text = dsl::format_feature(source, &diagnostics);
  if (!text) return diagnostics.to_status();
  return std::move(*text);
}

// `runi fmt -`: from standard input to standard output, for editors.
Result<int> format_stream(Invocation& invocation) {
  std::string text{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
  invocation.console().out(
      RUNINK_TRY(formatted(std::make_shared<const SourceText>("<standard input>", std::move(text)))));
  return kExitDone;
}

Result<int> run(Invocation& invocation) {
  if (invocation.texts("FEATURE") == std::vector<std::string>{"-"}) return format_stream(invocation);
  config::ProjectConfig project = RUNINK_TRY(find_project_or_here());
  Console& console = invocation.console();
  size_t changed = 0, wrong = 0;
  for (const std::string& path : RUNINK_TRY(chosen_features(invocation, project.root))) {
    SourceTextPtr source = RUNINK_TRY(read_feature(project.root, path));
    Result<std::string> text = formatted(source);
    if (!text.ok()) {
      console.print_error(text.status());
      ++wrong;
      continue;
    }
    if (*text == source->text()) continue;
    ++changed;
    console.out(escape_control(path) + "\n");
    if (!invocation.enabled("check")) {
      RUNINK_RETURN_IF_ERROR(os::write_file_atomic(os::join_path(project.root, path), *text));
    }
  }
  if (wrong > 0) return failed_precondition("{} files do not parse and were left as they are", wrong);
  return invocation.enabled("check") && changed > 0 ? kExitFailed : kExitDone;
}

}  // namespace

Command fmt_command() {
  Positional feature = feature_positional();
  feature.optional = feature.repeated = true;
  feature.help = "feature files; all of the project when none is given; - for standard input to standard output";
  return {
      .name = "fmt",
      .group = "project",
      .summary = "lay feature files out in the one way",
      .description =
          "Indents, aligns tables and puts annotations where they belong. Comments stay, and the meaning is compared "
          "before a file is replaced. Prints the names of the files that it changes; twice is the same as once.",
      .positionals = {feature},
      .flags = {{.name = "check", .help = "change nothing; exit 1 when a file would change"}},
      .examples = {{"runi fmt", "All features of the project."}, {"runi fmt --check", "For continuous integration."}},
      .run = run};
}

}  // namespace runink::cli
