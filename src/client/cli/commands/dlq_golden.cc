// runi dlq golden LETTER: a dead letter becomes a golden case.
#include "base/text.h"
#include "client/cli/commands/dlq.h"
#include "client/cli/feature.h"
#include "client/cli/history.h"
#include "client/local/golden_letter.h"

namespace runink::cli {
namespace {

Result<int> run(Invocation& invocation) {
  Console& console = invocation.console();
  PastRuns past = RUNINK_TRY(open_past_runs(invocation));
  const ledger::DeadLetter letter =
      RUNINK_TRY(ledger::DeadLetterStore(past.ledger.root()).find(invocation.text("LETTER")));
  local::GoldenOptions options;
  options.compile = {.strict = invocation.enabled("strict"),
                     .allow_unenforced = invocation.enabled("allow-unenforced")};
  const local::LetterCase made =
      RUNINK_TRY(local::golden_case_of_letter(past.project, letter, invocation.text("name"), options));
  console.out(made.folder + "\n");
  for (const auto& path : made.written) console.say("wrote " + escape_control(path));
  console.say(made.rejected ? "the record is rejected by the feature as it is now; that is what the case expects"
                            : "the record is not rejected by the feature as it is now; that is what the case expects");
  console.say("input/ holds the record as it came: see to it that no personal data goes into version control");
  console.say(fmt::format("next: correct the feature or contract, then  {}",
                          console.err_styled(Style::kBold, "runi test " + escape_control(made.folder) +
                                                               "  and, when it is right, --update")));
  return kExitDone;
}

}  // namespace

Command dlq_golden_command() {
  std::vector<Flag> flags = {{.name = "name",
                              .type = ValueType::kText,
                              .value_name = "NAME",
                              .help = "of the case (default: the first characters of the letter's id)"}};
  for (Flag& flag : compile_flags()) flags.push_back(std::move(flag));
  return {.name = "golden",
          .summary = "make a golden case of a dead letter",
          .description =
              "Writes the original record as input of a case of its scenario, golden/FEATURE/SCENARIO/NAME, and what "
              "the feature makes of it "
              "now as expected. Then correct what was wrong, and runi test shows the difference.",
          .positionals = {{.name = "LETTER", .help = "id of the letter, or its first characters"}},
          .flags = std::move(flags),
          .examples = {{"runi dlq golden 5f0c", "Keep this record as a test."}},
          .run = run};
}

}  // namespace runink::cli
