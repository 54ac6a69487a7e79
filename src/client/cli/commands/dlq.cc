// runi dlq: the group.
#include "client/cli/commands/dlq.h"

#include "client/cli/commands/all.h"

namespace runink::cli {

std::vector<Flag> letter_flags() {
  return {{.name = "scenario", .type = ValueType::kText, .value_name = "NAME", .help = "only letters of this scenario", .completion = Completion::kScenario},
          {.name = "rule", .type = ValueType::kText, .value_name = "RULE", .help = "only letters that broke this rule"},
          {.name = "field", .type = ValueType::kText, .value_name = "FIELD", .help = "only letters with a broken rule about this field"}};
}

Result<ledger::DeadLetterFilter> letter_filter(Invocation& invocation, const ledger::Ledger& ledger) {
  ledger::DeadLetterFilter filter;
  if (invocation.given("RUN")) filter.run_id = RUNINK_TRY(ledger.find_run(invocation.text("RUN")));
  filter.scenario = invocation.text("scenario");
  filter.rule = invocation.text("rule");
  filter.field = invocation.text("field");
  return filter;
}

Command dlq_command() {
  return {.name = "dlq",
          .group = "runs",
          .summary = "list, show and replay dead letters",
          .description = "A rejected record is kept as a dead letter: its original bytes, where it came from, and every rule it broke.",
          .subcommands = {dlq_list_command(), dlq_show_command()}};
}

}  // namespace runink::cli
