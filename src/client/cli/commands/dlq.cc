// runi dlq: the group.
#include "client/cli/commands/dlq.h"

#include "client/cli/commands/all.h"

namespace runink::cli {

std::vector<Flag> letter_flags() {
  return {{.name = "scenario",
           .type = ValueType::kText,
           .value_name = "NAME",
           .help = "only letters of this scenario",
           .completion = Completion::kScenario},
          {.name = "rule", .type = ValueType::kText, .value_name = "RULE", .help = "only letters that broke this rule"},
          {.name = "field",
           .type = ValueType::kText,
           .value_name = "FIELD",
           .help = "only letters with a broken rule about this field"}};
}

ledger::DeadLetterFilter letter_filter(Invocation& invocation) {
  ledger::DeadLetterFilter filter;
  filter.scenario = invocation.text("scenario");
  filter.rule = invocation.text("rule");
  filter.field = invocation.text("field");
  return filter;
}

Status for_each_letter(Invocation& invocation, const ledger::Ledger& ledger, size_t limit,
                       const std::function<void(const ledger::DeadLetter&)>& visit) {
  std::vector<std::string> runs = {""};  // all
  if (invocation.given("RUN")) {
    local::RunFamily family = RUNINK_TRY(local::load_family(ledger, invocation.text("RUN")));
    runs = {family.run.id};
    for (const ledger::RunRecord& child : family.children) runs.push_back(child.id);
  }
  const ledger::DeadLetterStore store(ledger.root());
  ledger::DeadLetterFilter filter = letter_filter(invocation);
  size_t seen = 0;
  for (const std::string& run : runs) {
    filter.run_id = run;
    RUNINK_RETURN_IF_ERROR(store.for_each(filter, [&](const ledger::DeadLetter& letter) {
      if (limit > 0 && seen == limit) return false;
      ++seen;
      visit(letter);
      return true;
    }));
  }
  return {};
}

Command dlq_command() {
  return {.name = "dlq",
          .group = "runs",
          .summary = "list, show and replay dead letters, and make tests of them",
          .description =
              "A rejected record is kept as a dead letter: its original bytes, where it came from, and every rule it "
              "broke.",
          .subcommands = {dlq_list_command(), dlq_show_command(), dlq_replay_command(), dlq_golden_command()}};
}

}  // namespace runink::cli
