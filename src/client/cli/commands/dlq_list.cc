// runi dlq list [RUN]
#include <algorithm>
#include <map>

#include "base/text.h"
#include "client/cli/commands/dlq.h"
#include "client/cli/history.h"

namespace runink::cli {
namespace {

std::string rules_text(const ledger::DeadLetter& letter) {
  std::vector<std::string> parts;
  for (const ledger::BrokenRule& rule : letter.rules) parts.push_back(rule.message.empty() ? rule.rule : rule.message);
  return join(parts, "; ");
}

// Letters counted by what they broke: the first thing that a person asks.
Result<int> summarise(Invocation& invocation, const PastRuns& past) {
  std::map<std::pair<std::string, std::string>, std::pair<uint64_t, std::string>> by_rule;
  RUNINK_RETURN_IF_ERROR(for_each_letter(invocation, past.ledger, 0, [&](const ledger::DeadLetter& letter) {
    for (const ledger::BrokenRule& rule : letter.rules) {
      auto& [count, example] = by_rule[{rule.rule, rule.field}];
      if (count++ == 0) example = rule.message;
    }
  }));
  Table table({{"rule", "RULE"}, {"field", "FIELD"}, {"letters", "LETTERS"}, {"example", "EXAMPLE"}});
  for (const auto& [rule, what] : by_rule) table.add({rule.first, rule.second, Cell::count(what.first), what.second});
  table.set_empty_note("no dead letters");
  RUNINK_RETURN_IF_ERROR(invocation.print(table));
  return kExitDone;
}

Result<int> run(Invocation& invocation) {
  PastRuns past = RUNINK_TRY(open_past_runs(invocation));
  if (invocation.enabled("by-rule")) return summarise(invocation, past);
  const auto limit = static_cast<size_t>(std::max<int64_t>(0, invocation.integer("limit")));
  const auto replayed = RUNINK_TRY(ledger::DeadLetterStore(past.ledger.root()).replayed());
  Table table({{"id", "LETTER"},
               {"rules", "RULES"},
               {"source", "SOURCE"},
               {"line", "LINE"},
               {"what", "WHAT"},
               {"replayed", "REPLAYED"},
               {"scenario", "SCENARIO", true},
               {"step", "STEP", true},
               {"offset", "OFFSET", true},
               {"contract", "CONTRACT", true},
               {"contract_hash", "HASH", true},
               {"run", "RUN", true},
               {"feature", "FEATURE", true}});
  RUNINK_RETURN_IF_ERROR(for_each_letter(invocation, past.ledger, limit, [&](const ledger::DeadLetter& letter) {
    std::vector<std::string> rules;
    for (const ledger::BrokenRule& rule : letter.rules) rules.push_back(rule.rule);
    auto entry = replayed.find(letter.id);
    table.add({invocation.output_form() == OutputForm::kTable ? Cell(letter.id).shown_as(letter.id.substr(0, 12))
                                                              : Cell(letter.id),
               Cell::list(rules), letter.source, letter.line > 0 ? Cell(letter.line) : Cell(), rules_text(letter),
               entry == replayed.end() ? Cell() : Cell(entry->second.result), letter.scenario, letter.step,
               letter.offset >= 0 ? Cell(letter.offset) : Cell(), letter.contract, letter.contract_hash, letter.run_id,
               letter.feature});
  }));
  table.set_empty_note("no dead letters");
  RUNINK_RETURN_IF_ERROR(invocation.print(table));
  if (limit > 0 && table.rows().size() == limit) {
    invocation.console().say("only the first " + human_count(limit) + "; --limit 0 lists all, --by-rule counts them");
  }
  return kExitDone;
}

}  // namespace

Command dlq_list_command() {
  Command command{.name = "list",
                  .summary = "list dead letters",
                  .description = "Of one run, or of all. Values in messages are masked.",
                  .positionals = {run_positional(true)},
                  .flags = letter_flags(),
                  .lists = true,
                  .examples = {{"runi dlq list last", "What did the last run reject?"},
                               {"runi dlq list last --by-rule", "How often was each rule broken?"},
                               {"runi dlq list --rule delay.range -o json", "All that broke one rule, for programs."}},
                  .run = run};
  command.positionals[0].help = "only letters of this run";
  command.flags.push_back({.name = "by-rule", .help = "count letters by the rule they broke"});
  command.flags.push_back({.name = "limit",
                           .letter = 'n',
                           .type = ValueType::kInteger,
                           .value_name = "N",
                           .help = "at most so many; 0 is all",
                           .default_value = "50"});
  return command;
}

}  // namespace runink::cli
