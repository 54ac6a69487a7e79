// runi logs [RUN]
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/text.h"
#include "client/cli/commands/all.h"
#include "client/cli/history.h"
#include "platform/os/file.h"
#include "platform/os/signals.h"

namespace runink::cli {
namespace {

constexpr auto kFollowPause = std::chrono::milliseconds(200);

ledger::LogLevel level_of(const std::string& word) {
  if (word == "debug") return ledger::LogLevel::kDebug;
  if (word == "warning") return ledger::LogLevel::kWarning;
  if (word == "error") return ledger::LogLevel::kError;
  return ledger::LogLevel::kInfo;
}

void print_line(Console& console, const ledger::LogLine& line) {
  const Style style = line.level == ledger::LogLevel::kError     ? Style::kRed
                      : line.level == ledger::LogLevel::kWarning ? Style::kYellow
                                                                 : Style::kPlain;
  console.out(fmt::format("{} {} {}{}\n", console.out_styled(Style::kDim, Cell::time(line.time_micros).for_people()),
                          console.out_styled(style, fmt::format("{:<7}", ledger::log_level_name(line.level))),
                          line.step.empty() ? "" : escape_control(line.step) + ": ", escape_control(line.message)));
}

// Runs whose logs belong together: the run of a feature and those of its scenarios.
std::vector<std::string> ids_of(const local::RunFamily& family) {
  std::vector<std::string> ids = {family.run.id};
  for (const ledger::RunRecord& child : family.children) ids.push_back(child.id);
  return ids;
}

Result<int> follow(Invocation& invocation, const PastRuns& past, const std::string& id, ledger::LogLevel least) {
  static StopFlag stop;
  os::install_stop_signals(&stop);
  std::map<std::string, uint64_t> offsets;
  while (!stop.requested()) {
    local::RunFamily family = RUNINK_TRY(local::load_family(past.ledger, id));
    for (const std::string& run : ids_of(family)) {
      const std::string path = past.ledger.log_file(run);
      if (!os::exists(path)) continue;
      for (const ledger::LogLine& line : RUNINK_TRY(ledger::read_log_from(path, &offsets[run]))) {
        if (line.level >= least) print_line(invocation.console(), line);
      }
    }
    RUNINK_RETURN_IF_ERROR(invocation.console().flush());
    if (family.run.state != ledger::RunState::kRunning) return kExitDone;
    std::this_thread::sleep_for(kFollowPause);
  }
  return kExitInterrupted;
}

Result<int> run(Invocation& invocation) {
  PastRuns past = RUNINK_TRY(open_past_runs(invocation));
  local::RunFamily family =
      RUNINK_TRY(local::load_family(past.ledger, invocation.given("RUN") ? invocation.text("RUN") : "last"));
  const ledger::LogLevel least = level_of(invocation.text("level"));
  if (invocation.enabled("follow")) return follow(invocation, past, family.run.id, least);
  std::vector<ledger::LogLine> lines;
  for (const std::string& id : ids_of(family)) {
    const std::string path = past.ledger.log_file(id);
    if (!os::exists(path)) continue;
    for (ledger::LogLine& line : RUNINK_TRY(ledger::tail_log(path, 0, least))) lines.push_back(std::move(line));
  }
  std::stable_sort(lines.begin(), lines.end(),
                   [](const auto& a, const auto& b) { return a.time_micros < b.time_micros; });
  const auto wanted = static_cast<size_t>(std::max<int64_t>(0, invocation.integer("lines")));
  const size_t first = wanted > 0 && lines.size() > wanted ? lines.size() - wanted : 0;
  for (size_t i = first; i < lines.size(); ++i) print_line(invocation.console(), lines[i]);
  return kExitDone;
}

}  // namespace

Command logs_command() {
  return {.name = "logs",
          .group = "runs",
          .summary = "show the log of a run",
          .description = "Lines of the run and of its scenarios in the order of time.",
          .positionals = {run_positional(true)},
          .flags = {{.name = "follow", .letter = 'f', .help = "go on until the run ends"},
                    {.name = "lines",
                     .letter = 'n',
                     .type = ValueType::kInteger,
                     .value_name = "N",
                     .help = "only the last so many; 0 is all",
                     .default_value = "0"},
                    {.name = "level",
                     .type = ValueType::kText,
                     .value_name = "LEVEL",
                     .help = "this level and above",
                     .default_value = "info",
                     .choices = {"debug", "info", "warning", "error"}}},
          .examples = {{"runi logs", "Of the last run."}, {"runi logs -f", "Follow the run in progress."}},
          .run = run};
}

}  // namespace runink::cli
