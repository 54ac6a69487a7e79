// runi dlq show LETTER
#include "base/text.h"
#include "client/cli/commands/dlq.h"
#include "client/cli/history.h"
#include "platform/os/terminal_text.h"

namespace runink::cli {
namespace {

Result<int> run(Invocation& invocation) {
  PastRuns past = RUNINK_TRY(open_past_runs(invocation));
  ledger::DeadLetter letter = RUNINK_TRY(ledger::DeadLetterStore(past.ledger.root()).find(invocation.text("LETTER")));
  const bool reveal = invocation.enabled("reveal");
  if (reveal) {
    RUNINK_RETURN_IF_ERROR(ledger::record_reveal(past.ledger.root(), {.what = "dlq show", .letter = letter.id, .run_id = letter.run_id}));
  }
  local::LetterMasker masker(past.project, reveal);
  const std::string record = masker.shown(letter);
  if (invocation.enabled("record")) {
    invocation.console().out(invocation.console().out_is_terminal() ? os::terminal_text(record) : record);
    invocation.console().out("\n");
    return kExitDone;
  }
  std::vector<std::string> rules;
  for (const ledger::BrokenRule& rule : letter.rules) {
    const char* hidden = "; what it says may hold personal data, --reveal shows it";
    rules.push_back(rule.rule + ": " + rule.message + (rule.words.empty() ? "" : reveal ? ": " + rule.words : hidden));
  }
  std::vector<Field> fields = {{"id", "letter", letter.id},
                               {"rules", "broken", Cell::list(rules)},
                               {"record", "record", record},
                               {"source", "source", letter.source},
                               {"line", "line", letter.line > 0 ? Cell(letter.line) : Cell()},
                               {"offset", "byte", letter.offset >= 0 ? Cell(letter.offset) : Cell()},
                               {"feature", "feature", letter.feature},
                               {"scenario", "scenario", letter.scenario},
                               {"step", "step", letter.step},
                               {"contract", "contract", letter.contract},
                               {"contract_hash", "its hash", letter.contract_hash},
                               {"run", "run", letter.run_id},
                               {"time", "time", Cell::time(letter.time_micros)}};
  RUNINK_RETURN_IF_ERROR(
      render_fields(fields, invocation.text("output") == "table" ? OutputForm::kWide : invocation.output_form(),
                    invocation.console()));
  return kExitDone;
}

}  // namespace

Command dlq_show_command() {
  return {.name = "show",
          .summary = "show one dead letter with its record",
          .description =
              "The record is shown with personal data masked, unless runink.toml says that you hold the role (docs/guide/settings.md) that may "
              "see it.",
          .positionals = {{.name = "LETTER", .help = "id of the letter, or its first characters"}},
          .flags = {{.name = "record", .help = "only the record"},
                    {.name = "reveal", .help = "show pii fields, and what a custom step said, unmasked; the ledger says so"}},
          .lists = true,
          .examples = {{"runi dlq show 5f0c", "One letter in full."}},
          .run = run};
}

}  // namespace runink::cli
