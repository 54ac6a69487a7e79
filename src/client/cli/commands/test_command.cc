// runi test [FEATURE|CASE…]: golden cases.
#include "base/text.h"
#include "client/cli/commands/all.h"
#include "client/cli/exit_code.h"
#include "client/cli/feature.h"
#include "client/cli/invocation.h"
#include "client/cli/project.h"
#include "client/local/golden.h"
#include "client/local/missing_file.h"
#include "platform/os/file.h"
#include "platform/os/signals.h"
#include "platform/os/terminal_text.h"

namespace runink::cli {
namespace {

// Words that are feature files, and all others as names of cases.
Status sort_words(Invocation& invocation, const std::string& root, std::vector<std::string>* features,
                  std::vector<std::string>* cases) {
  for (const std::string& word : invocation.texts("WHAT")) {
    if (word.ends_with(".dsl")) {
      features->push_back(RUNINK_TRY(path_in_project(root, word)));
      if (!os::exists(word)) return local::missing_file(features->back(), os::join_path(root, features->back()), root);
    } else {
      cases->push_back(os::exists(word) ? RUNINK_TRY(path_in_project(root, word)) : word);
    }
  }
  if (features->empty()) *features = RUNINK_TRY(feature_files(root));
  return {};
}

std::string shown_name(const local::GoldenCase& golden) {
  return golden.folder.starts_with("golden/") ? golden.folder.substr(7) : golden.folder;
}

void print_diff(Console& console, const std::string& text) {
  for (const std::string_view line : split(text, '\n')) {
    const Style style = line.starts_with("-")    ? Style::kRed
                        : line.starts_with("+")  ? Style::kGreen
                        : line.starts_with("@@") ? Style::kCyan
                                                 : Style::kPlain;
    if (!line.empty()) console.out("    " + console.out_styled(style, os::terminal_text(line)) + "\n");
  }
}

void print_result(Console& console, const local::GoldenResult& result) {
  const std::string verdict = !result.passed            ? console.out_styled(Style::kRed, "FAILED ")
                              : !result.written.empty() ? console.out_styled(Style::kYellow, "updated")
                                                        : console.out_styled(Style::kGreen, "ok     ");
  console.out(fmt::format("{}  {}  {}\n", verdict, escape_control(shown_name(result.golden)),
                          console.out_styled(Style::kDim, human_duration(result.seconds))));
  if (!result.golden.scenario.empty() && !result.passed) {
    console.out(fmt::format("    {}, scenario \"{}\"\n", escape_control(result.golden.feature),
                            escape_control(result.golden.scenario)));
  }
  print_diff(console, result.problem);
  for (const auto& path : result.written)
    console.out(fmt::format("    {} {}\n", os::exists(path) ? "wrote" : "removed", escape_control(path)));
  if (!result.printed.empty()) console.out(console.out_is_terminal() ? os::terminal_text(result.printed) : result.printed);
}

Result<int> run(Invocation& invocation) {
  const local::Project project = RUNINK_TRY(local::Project::find("."));
  std::vector<std::string> features;
  local::GoldenOptions options;
  RUNINK_RETURN_IF_ERROR(sort_words(invocation, project.root(), &features, &options.cases));
  if (invocation.given("only") && invocation.given("step")) {
    return invocation.usage_error(
        "--only stops a scenario after a step, --step runs a step without its scenario: choose one");
  }
  options.compile = {.strict = invocation.enabled("strict"),
                     .allow_unenforced = invocation.enabled("allow-unenforced")};
  options.update = invocation.enabled("update");
  options.only = invocation.text("only");
  options.step = invocation.text("step");
  if (invocation.given("threads")) {
    const int64_t threads = invocation.integer("threads");
    if (threads < 1 || threads > config::kMostThreads) {
      return invocation.usage_error(fmt::format("--threads is a number from 1 to {}", config::kMostThreads));
    }
    options.threads = static_cast<uint32_t>(threads);
  }
  static StopFlag stop;
  os::install_stop_signals(&stop);
  options.stop = &stop;

  Console& console = invocation.console();
  const bool for_people =
      invocation.output_form() == OutputForm::kTable || invocation.output_form() == OutputForm::kWide;
  const local::GoldenReport report =
      RUNINK_TRY(local::run_golden_cases(project, features, options, [&](const local::GoldenResult& result) {
        if (for_people) print_result(console, result);
      }));
  for (const auto& note : report.notes) console.warn(note);
  if (for_people) {
    console.out(fmt::format("{} passed, {} failed\n", report.passed, report.failed));
    if (report.failed > 0 && !options.update) console.say("if what came out is right: runi test --update");
  } else {
    Table table({{"case", "CASE"},
                 {"result", "RESULT"},
                 {"seconds", "TIME"},
                 {"feature", "FEATURE"},
                 {"scenario", "SCENARIO"},
                 {"problem", "PROBLEM"},
                 {"written", "WRITTEN"}});
    for (const auto& result : report.results) {
      table.add({result.golden.folder, result.passed ? "passed" : "failed", Cell::seconds(result.seconds),
                 result.golden.feature, result.golden.scenario, result.problem.empty() ? Cell() : Cell(result.problem),
                 Cell::list(result.written)});
    }
    RUNINK_RETURN_IF_ERROR(invocation.print(table));
  }
  return report.failed > 0 ? kExitDataWrong : kExitDone;
}

}  // namespace

Command test_command() {
  std::vector<Flag> flags = compile_flags();
  flags.push_back(
      {.name = "update", .letter = 'u', .help = "write what came out where it differs from what is expected"});
  flags.push_back({.name = "only",
                   .type = ValueType::kText,
                   .value_name = "STEP",
                   .help = "stop after this step; compare with steps-out/STEP, or print what it gave"});
  flags.push_back({.name = "step",
                   .type = ValueType::kText,
                   .value_name = "STEP",
                   .help = "only tests of this step alone, on its own files"});
  flags.push_back({.name = "threads",
                   .letter = 't',
                   .type = ValueType::kInteger,
                   .value_name = "N",
                   .help = "workers, instead of what case.toml says"});
  return {.name = "test",
          .group = "project",
          .summary = "run golden cases: fixed input, expected output, expected dead letters",
          .description =
              "A golden case is a folder golden/FEATURE/SCENARIO or golden/FEATURE/SCENARIO/CASE: files of input/ "
              "stand in for the "
              "sources, expected/ holds what each sink must write, rejected.ndjson the dead letters. Cases run through "
              "the same "
              "engine as runi run; nothing is published and the ledger stays as it is.\n"
              "\n"
              "The exit code is 3 when a case fails. docs/guide/testing.md describes all files.",
          .positionals = {{.name = "WHAT",
                           .help = "feature files, folders of cases, or their names; all cases when left out",
                           .completion = Completion::kFile,
                           .optional = true,
                           .repeated = true}},
          .flags = std::move(flags),
          .lists = true,
          .examples = {{"runi test", "Run all cases of the project."},
                       {"runi test features/orders.dsl --update", "Write what comes out as what is expected."},
                       {"runi test clean_orders --only \"set per_item\"", "Look at what one step gives."}},
          .run = run};
}

}  // namespace runink::cli
