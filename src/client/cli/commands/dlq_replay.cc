// runi dlq replay [FEATURE]: dead letters through the present version of their scenario.
#include <algorithm>

#include "base/text.h"
#include "client/cli/commands/dlq.h"
#include "client/cli/exit_code.h"
#include "client/cli/feature.h"
#include "client/cli/history.h"
#include "client/cli/project.h"
#include "client/local/replay.h"
#include "client/local/runner.h"
#include "platform/os/shell_words.h"
#include "platform/os/signals.h"
#include "platform/os/terminal_text.h"

namespace runink::cli {
namespace {

Result<ledger::DeadLetterFilter> chosen_letters(Invocation& invocation, const PastRuns& past) {
  ledger::DeadLetterFilter filter;
  if (invocation.given("FEATURE"))
    filter.feature = RUNINK_TRY(path_in_project(past.project.root(), invocation.text("FEATURE")));
  if (invocation.given("run")) filter.run_id = RUNINK_TRY(past.ledger.find_run(invocation.text("run")));
  filter.scenario = invocation.text("scenario");
  filter.rule = invocation.text("rule");
  filter.field = invocation.text("field");
  if (invocation.given("letter"))
    filter.id_prefix = RUNINK_TRY(ledger::DeadLetterStore(past.ledger.root()).find(invocation.text("letter"))).id;
  // Letters lie in the folders of the runs of scenarios; a run of a whole feature means those of all its scenarios.
  if (!filter.run_id.empty()) {
    const local::RunFamily family = RUNINK_TRY(local::load_family(past.ledger, filter.run_id));
    if (!family.children.empty()) {
      std::vector<std::string> ids = {family.run.id};
      for (const auto& child : family.children) ids.push_back(child.id);
      filter.run_id.clear();
      filter.accepts = [ids](const ledger::DeadLetter& letter) {
        return std::find(ids.begin(), ids.end(), letter.run_id) != ids.end();
      };
    }
  }
  return filter;
}

void print_result(Console& console, const local::ReplayResult& r) {
  console.say(fmt::format(
      "{} {}  {}",
      r.status.ok() ? console.err_styled(Style::kGreen, "replayed") : console.err_styled(Style::kRed, "not replayed"),
      console.err_styled(Style::kBold, escape_control(r.scenario)), escape_control(r.source)));
  if (!r.status.ok()) return;
  for (const auto& [rule, count] : r.reasons)
    console.say(fmt::format("  rejected  {} by {}", human_count(count), escape_control(rule)));
  for (const auto& sink : r.sinks)
    console.say(fmt::format("  added to  {}  {}", escape_control(sink.target), human_bytes(sink.bytes)));
  for (const auto& name : r.stale) {
    console.say(fmt::format("  {}     scenario \"{}\" read this before; run it again: runi run {} --scenario {}",
                            console.err_styled(Style::kYellow, "stale"), escape_control(name),
                            escape_control(os::quote_word(r.feature)), escape_control(os::quote_word(name))));
  }
}

Result<int> run(Invocation& invocation) {
  Console& console = invocation.console();
  PastRuns past = RUNINK_TRY(open_past_runs(invocation));
  RUNINK_RETURN_IF_ERROR(past.project.check_context(invocation.text("context")));
  local::ReplayOptions options;
  options.filter = RUNINK_TRY(chosen_letters(invocation, past));
  options.compile = {.strict = invocation.enabled("strict"),
                     .allow_unenforced = invocation.enabled("allow-unenforced")};
  if (invocation.given("now")) {
    int64_t now = 0;
    if (!local::parse_now(invocation.text("now"), &now))
      return invocation.usage_error("--now is a time such as 2026-01-31T12:00:00Z");
    options.now_micros = now;
  }
  options.command = invocation.command_line();
  static StopFlag stop;
  os::install_stop_signals(&stop);
  options.stop = &stop;
  options.on_note = [&](const std::string& note) { console.say(os::terminal_text(note)); };
  const auto results = RUNINK_TRY(local::replay_dead_letters(past.project, options));

  Table table({{"scenario", "SCENARIO"},
               {"source", "SOURCE"},
               {"letters", "LETTERS"},
               {"accepted", "ACCEPTED"},
               {"rejected", "REJECTED"},
               {"dropped", "DROPPED"},
               {"run", "RUN", true},
               {"feature", "FEATURE", true},
               {"stale", "STALE", true},
               {"error", "ERROR", true}});
  int code = kExitDone;
  for (const auto& r : results) {
    print_result(console, r);
    table.add({r.scenario, r.source, Cell::count(r.letters), Cell::count(r.accepted), Cell::count(r.rejected),
               Cell::count(r.dropped), r.run_id, r.feature, join(r.stale, ", "), r.status.ok() ? Cell() : Cell(r.status.to_string())});
    if (r.status.ok()) continue;
    console.print_error(r.status);
    code = exit_code(r.status);
  }
  table.set_empty_note("no dead letter is pending; there is nothing to replay");
  RUNINK_RETURN_IF_ERROR(invocation.print(table));
  return code;
}

}  // namespace

Command dlq_replay_command() {
  Positional feature = feature_positional();
  feature.optional = true;
  feature.help = "only letters of this feature";
  std::vector<Flag> flags = letter_flags();
  flags.push_back({.name = "run",
                   .type = ValueType::kText,
                   .value_name = "RUN",
                   .help = "only letters of this run",
                   .completion = Completion::kRun});
  flags.push_back({.name = "letter",
                   .type = ValueType::kText,
                   .value_name = "LETTER",
                   .help = "only this letter: its id, or its first characters"});
  flags.push_back({.name = "now", .type = ValueType::kText, .value_name = "TIME", .help = "what now() gives"});
  flags.push_back(context_flag());
  for (Flag& flag : compile_flags()) flags.push_back(std::move(flag));
  return {.name = "replay",
          .summary = "run dead letters through the feature as it is now",
          .description =
              "The original bytes of each pending letter go through the present version of its scenario. Records that "
              "pass are added to "
              "the scenario's outputs, together with the note that they have been, so a second replay adds nothing. "
              "Records that are "
              "refused again stay pending.\n"
              "\n"
              "Refused where the outputs cannot be added to record by record: after grouping, sort, limit and sample, to "
              "pipes and Arrow streams; and where an output is gone or has been changed since. Scenarios of the feature "
              "that have read an output are named, as what they wrote knows nothing of the records added. Where a rule compares records (unique, key, deduplicate) the source is read "
              "again, so that letters are compared with what was written before; refused where it has changed since. "
              "Assertions and quality rules are about whole runs and are not judged.",
          .positionals = {feature},
          .flags = std::move(flags),
          .lists = true,
          .examples = {{"runi dlq replay", "All pending letters, after the contract was corrected."},
                       {"runi dlq replay --rule delay.range", "Only those that broke one rule."}},
          .run = run};
}

}  // namespace runink::cli
