// runi run FEATURE, runi resume RUN, runi restart RUN: the same work, and the summary at its end.

#include <filesystem>
#include <set>

#include "base/text.h"
#include "client/cli/commands/all.h"
#include "client/cli/exit_code.h"
#include "client/cli/feature.h"
#include "client/cli/history.h"
#include "client/cli/invocation.h"
#include "client/cli/progress.h"
#include "client/cli/project.h"
#include "client/local/project.h"
#include "client/local/resume.h"
#include "client/local/runner.h"
#include "client/local/scenario_runner.h"
#include "client/local/watch.h"
#include "platform/os/signals.h"
#include "platform/os/terminal_text.h"

namespace runink::cli {
namespace {

std::vector<Flag> run_flags() {
  std::vector<Flag> flags = compile_flags();
  flags.push_back({.name = "threads",
                   .letter = 't',
                   .type = ValueType::kInteger,
                   .value_name = "N",
                   .help = "workers; the result does not depend on them (default: runink.toml, else all processors)"});
  flags.push_back({.name = "memory",
                   .letter = 'm',
                   .type = ValueType::kBytes,
                   .value_name = "SIZE",
                   .help = "budget of sort, join, group, unique and deduplicate together; beyond it they use disk"});
  flags.push_back({.name = "now",
                   .type = ValueType::kText,
                   .value_name = "TIME",
                   .help = "what now() gives, as 2026-01-31T12:00:00Z (default: the start of the run)"});
  flags.push_back({.name = "reveal", .help = "write pii fields unmasked; the run's record says so"});
  flags.push_back({.name = "isolate",
                   .help = "each stage, and each custom step, in a slice of its own: it sees its inputs and outputs, and nothing else"});
  flags.push_back(context_flag());
  return flags;
}

// Reasons may come from anywhere, a program's answer for one; the whole of them stands in the record.
std::string shortened(const std::string& text) {
  constexpr size_t kMost = 240;
  const std::string shown = escape_control(text);
  if (count_code_points(shown) <= kMost) return shown;
  return std::string(code_point_slice(shown, 0, kMost)) + "…";
}

std::string shown_path(const std::string& path, const std::string& root) {
  std::error_code error;
  const auto here = std::filesystem::current_path(error);
  const auto relative = std::filesystem::path(path).lexically_proximate(here);
  const std::string text = relative.string();
  return path.starts_with(root) && !text.starts_with("..") ? text : path;
}

// What a person asks first of one scenario.
void print_summary(Console& console, const ledger::RunRecord& r, const std::string& root) {
  const bool good = r.state == ledger::RunState::kSucceeded;
  console.say(fmt::format(
      "{} {}  {}",
      console.err_styled(good ? Style::kGreen : Style::kRed, good ? "done" : ledger::run_state_name(r.state)),
      console.err_styled(Style::kBold, escape_control(r.scenario)),
      console.err_styled(Style::kDim, human_duration(r.wall_seconds))));
  std::string counts = fmt::format("  records   {} in, {} valid, {} rejected", human_count(r.records_in),
                                   human_count(r.records_valid), human_count(r.records_rejected));
  if (r.bytes_in > 0 && r.wall_seconds > 0) {
    counts += fmt::format("; {} at {}/s", human_bytes(r.bytes_in),
                          human_bytes(static_cast<uint64_t>(static_cast<double>(r.bytes_in) / r.wall_seconds)));
  }
  console.say(counts);
  for (size_t i = 0; i < r.reject_reasons.size() && i < 5; ++i) {
    const auto& reason = r.reject_reasons[i];
    console.say(fmt::format("  rejected  {} by {}: {}", human_count(reason.records), escape_control(reason.rule),
                            shortened(reason.message)));
  }
  if (r.reject_reasons.size() > 5)
    console.say(fmt::format("  rejected  … and {} more rules", r.reject_reasons.size() - 5));
  for (const auto& op : r.operators) {
    for (const auto& [reason, count] : op.dropped) {
      console.say(fmt::format("  dropped   {} by \"{}\": {}", human_count(count), escape_control(op.name),
                              shortened(reason)));
    }
  }
  if (!r.drift.empty()) {
    std::vector<std::string> names;
    for (const auto& [name, count] : r.drift) {
      if (names.size() < 5) names.push_back(fmt::format("{} ({})", escape_control(name), human_count(count)));
    }
    console.say(fmt::format("  drift     fields the contract does not name: {}{}", join(names, ", "),
                            r.drift.size() > 5 ? ", …" : ""));
  }
  for (const auto& s : r.sinks) {
    if (!good && s.published) {  // a pipe that closed, say: what it has taken, it has
      console.say(fmt::format("  cut off   {}  after {}, at most {} records", escape_control(shown_path(s.path, root)),
                              human_bytes(s.bytes), human_count(s.rows)));
      continue;
    }
    const std::string what = s.kind == "rejected" ? "letters" : "records";
    console.say(fmt::format("  {}  {}  {} {}, {}", s.published ? "written " : "withheld",
                            escape_control(shown_path(s.path, root)), human_count(s.rows), what, human_bytes(s.bytes)));
  }
  for (const auto& checks : {r.quality, r.assertions}) {
    for (const auto& c : checks) {
      if (!c.passed) {
        console.say(fmt::format("  {}  {}: {}", c.severity == "warn" ? "warning " : "failed  ", escape_control(c.name),
                                shortened(c.actual)));
      }
    }
  }
  if (r.spilled_bytes > 0) console.say(fmt::format("  spilled   {} to disk", human_bytes(r.spilled_bytes)));
}

// The whole, what it left behind, and the next useful command.
void print_closing(Console& console, const local::Project& project, const local::RunOutcome& outcome) {
  const auto& p = outcome.parent;
  std::set<std::string> scenarios;
  for (const auto& scenario : outcome.scenarios) scenarios.insert(scenario.scenario);
  console.say(fmt::format("run {}  {} {}, {} records read, {} written, {} rejected in {}, peak memory {}", p.id,
                          human_count(scenarios.size()), scenarios.size() == 1 ? "scenario" : "scenarios",
                          human_count(p.records_in), human_count(p.records_written), human_count(p.records_rejected),
                          human_duration(p.wall_seconds), human_bytes(p.peak_memory_bytes)));
  console.say(fmt::format(
      "lineage       {}",
      escape_control(shown_path(project.root() + "/.runink/runs/" + p.id + "/lineage.ndjson", project.root()))));
  for (const auto& scenario : outcome.scenarios) {
    const auto letters = scenario.labels.find("dead_letters");
    if (letters == scenario.labels.end() || scenario.records_rejected == 0) continue;
    const bool all = scenario.state == ledger::RunState::kSucceeded;
    console.say(fmt::format("dead letters  {} in {}", all ? human_count(scenario.records_rejected) : "those kept are",
                            escape_control(shown_path(letters->second, project.root()))));
  }
  std::string next = p.state == ledger::RunState::kInterrupted
                         ? fmt::format("runi resume {}", p.id.substr(p.id.size() - 8))
                     : p.state == ledger::RunState::kFailed ? "runi logs last"
                     : p.records_rejected > 0               ? "runi dlq list"
                                                            : "runi lineage last";
  console.say(fmt::format("next          {}", console.err_styled(Style::kBold, next)));
}

// Requested by Ctrl-C from the first use on.
StopFlag& stop_flag() {
  static StopFlag stop;
  static const bool installed = (os::install_stop_signals(&stop), true);
  (void)installed;
  return stop;
}

Result<int> execute(Invocation& invocation, const local::Project& project, local::RunOptions options) {
  Console& console = invocation.console();
  RUNINK_RETURN_IF_ERROR(project.check_context(invocation.text("context")));
  options.compile = {.strict = invocation.enabled("strict"),
                     .allow_unenforced = invocation.enabled("allow-unenforced")};
  if (invocation.given("threads")) {
    const int64_t threads = invocation.integer("threads");
    if (threads < 1 || threads > config::kMostThreads) {
      return invocation.usage_error(fmt::format("--threads is a number from 1 to {}", config::kMostThreads));
    }
    options.threads = static_cast<uint32_t>(threads);
  }
  options.memory_budget_bytes = invocation.bytes("memory");
  if (invocation.given("memory") && options.memory_budget_bytes < config::kLeastMemoryBudget) {
    return invocation.usage_error("--memory is at least 1Mi");
  }
  if (invocation.given("now")) {
    int64_t now = 0;
    if (!local::parse_now(invocation.text("now"), &now))
      return invocation.usage_error("--now is a time such as 2026-01-31T12:00:00Z");
    options.now_micros = now;
  }
  options.reveal = invocation.enabled("reveal");
  options.stop = &stop_flag();
  options.command = invocation.command_line();
  std::unique_ptr<local::ScenarioRunner> isolated;
  if (invocation.enabled("isolate")) {
    isolated = RUNINK_TRY(local::make_isolated_runner([&](const std::string& note) { console.say(os::terminal_text(note)); }));
    options.runner = isolated.get();
  }

  console.say(fmt::format("running {} on this machine{}", escape_control(options.feature), isolated ? ", in slices" : ""));
  std::unique_ptr<Progress> progress;
  std::string of;
  options.on_progress = [&](const std::string& scenario, const engine::Progress& p, double) {
    if (!progress || of != scenario) {
      progress = std::make_unique<Progress>(console, scenario, Progress::Unit::kBytes, p.bytes_total.load());
      of = scenario;
    }
    progress->set_total(p.bytes_total.load());
    progress->update(p.bytes_read.load(), fmt::format("{} records, {} rejected", human_count(p.records.load()),
                                                      human_count(p.rejected.load())));
  };
  options.on_note = [&](const std::string& note) { console.say(os::terminal_text(note)); };
  options.on_scenario = [&](const ledger::RunRecord& record, const plan::ScenarioPlan&) {
    progress.reset();
    for (const auto& w : record.warnings) console.warn(w);
    print_summary(console, record, project.root());
  };
  local::RunOutcome outcome = RUNINK_TRY(local::run_feature(project, options));
  for (const auto& name : outcome.skipped) console.say(fmt::format("complete already: {}", escape_control(name)));
  if (!outcome.status.ok()) {
    console.print_error(outcome.status);
    print_closing(console, project, outcome);
    return exit_code(outcome.status);
  }
  print_closing(console, project, outcome);
  return kExitDone;
}

Result<int> run(Invocation& invocation) {
  const local::Project project = RUNINK_TRY(local::Project::find("."));
  local::RunOptions options;
  options.feature = RUNINK_TRY(path_in_project(project.root(), invocation.text("FEATURE")));
  options.scenario = invocation.text("scenario");
  return execute(invocation, project, std::move(options));
}

// Runs, waits for a change, runs again. A run that fails is told and does not end the watch.
Result<int> watch(Invocation& invocation) {
  local::Project project = RUNINK_TRY(local::Project::find("."));
  Console& console = invocation.console();
  const std::string feature = RUNINK_TRY(path_in_project(project.root(), invocation.text("FEATURE")));
  while (!stop_flag().requested()) {
    Result<local::Project> now = local::Project::find(project.root());  // its settings may be what has changed
    if (now.ok())
      project = std::move(*now);
    else
      console.print_error(now.status());
    const local::Watch files(project, feature);  // before the run: what changes while it reads counts, too
    local::RunOptions options;
    options.feature = feature;
    options.scenario = invocation.text("scenario");
    Result<int> ran = execute(invocation, project, std::move(options));
    if (!ran.ok()) console.print_error(ran.status());
    if (stop_flag().requested()) break;
    console.say(console.err_styled(Style::kDim, "waiting for a change; Ctrl-C ends"));
    (void)files.wait_for_change(stop_flag());
  }
  return kExitInterrupted;
}

Result<int> go_on(Invocation& invocation, bool resume) {
  const local::Project project = RUNINK_TRY(local::Project::find("."));
  const ledger::Ledger ledger = RUNINK_TRY(project.open_ledger(nullptr));
  ledger::RunRecord before = RUNINK_TRY(
      ledger.load_run(RUNINK_TRY(ledger.find_run(invocation.given("RUN") ? invocation.text("RUN") : "last"))));
  if (!before.parent_id.empty()) before = RUNINK_TRY(ledger.load_run(before.parent_id));
  if (before.state == ledger::RunState::kRunning) {
    return failed_precondition("run {} is still running", before.id).with_hint("runi status shows how far it is");
  }
  if (resume && before.state == ledger::RunState::kSucceeded &&
      RUNINK_TRY(local::outputs_are_there(ledger, before.id))) {
    invocation.console().say(fmt::format("run {} is complete; there is nothing to resume", before.id));
    return kExitDone;
  }
  local::RunOptions options;
  options.feature = before.feature;
  if (const auto label = before.labels.find("scenario"); label != before.labels.end()) options.scenario = label->second;
  (resume ? options.resume_of : options.restart_of) = before.id;
  return execute(invocation, project, std::move(options));
}
Result<int> resume(Invocation& invocation) { return go_on(invocation, true); }
Result<int> restart(Invocation& invocation) { return go_on(invocation, false); }

}  // namespace

Command run_command() {
  std::vector<Flag> flags = run_flags();
  flags.insert(flags.begin(), {.name = "scenario",
                               .letter = 's',
                               .type = ValueType::kText,
                               .value_name = "NAME",
                               .help = "only this scenario and what it depends on",
                               .completion = Completion::kScenario});
  return {.name = "run",
          .group = "project",
          .summary = "run a feature: read, check, transform, write",
          .description =
              "Runs the feature's scenarios in the order of what they need, each as a run of its own. Records that "
              "break the "
              "contract are set aside as dead letters and do not stop the run; what is written is published at the "
              "end, all of it or "
              "nothing, once counts balance and assertions hold. Workers, memory and more may be set in runink.toml: "
              "docs/guide/settings.md.\n"
              "\n"
              "Standard output holds only what a sink \"-\" writes; everything else goes to standard error.",
          .positionals = {feature_positional()},
          .flags = std::move(flags),
          .examples = {{"runi run features/punctuality.dsl", "Run all of it."},
                       {"runi run features/punctuality.dsl -s \"Clean the feed\" -m 64Mi",
                        "One scenario, with little memory."}},
          .run = run};
}

Command watch_command() {
  Command command = run_command();
  command.name = "watch";
  command.summary = "run a feature again whenever it or its data change";
  command.description =
      "Runs the feature, then waits until a file of the project (features, contracts, steps, settings) or a source "
      "changes, and runs "
      "it again. A run that fails is told and does not end the watch; Ctrl-C does. docs/guide/settings.md describes "
      "runink.toml.";
  command.examples = {{"runi watch features/punctuality.dsl", "While you write it."}};
  command.run = watch;
  return command;
}

Command resume_command() {
  return {.name = "resume",
          .group = "runs",
          .summary = "go on with a run that was interrupted or failed",
          .description =
              "Scenarios that are complete are skipped, unless a file that they wrote is gone or has changed since. "
              "Refused where the feature, a contract, runink.toml or an input "
              "has changed "
              "since: then begin anew with runi restart. docs/guide/settings.md describes runink.toml.",
          .positionals = {run_positional(true)},
          .flags = run_flags(),
          .examples = {{"runi resume", "Go on with the newest run."}},
          .run = resume};
}

Command restart_command() {
  return {.name = "restart",
          .group = "runs",
          .summary = "run the feature of an earlier run again, from the beginning",
          .description = "Everything is read and written anew, with the project as it is now, settings of runink.toml "
                         "included (docs/guide/settings.md).",
          .positionals = {run_positional(true)},
          .flags = run_flags(),
          .examples = {{"runi restart", "Run the newest run's feature again."}},
          .run = restart};
}

}  // namespace runink::cli
