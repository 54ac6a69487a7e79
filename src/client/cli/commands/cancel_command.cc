// runi cancel RUN
#include <fmt/format.h>
#include <signal.h>

#include <cerrno>
#include <chrono>
#include <thread>

#include "base/clock.h"
#include "base/text.h"
#include "client/cli/commands/all.h"
#include "client/cli/history.h"
#include "platform/os/process.h"

namespace runink::cli {
namespace {

constexpr auto kPause = std::chrono::milliseconds(50);

// Asks the run's process to stop, as Ctrl-C does, and waits until it has.
Status stop_process(const os::ProcessIdentity& process, int64_t patience_micros) {
  if (kill(static_cast<pid_t>(process.pid), SIGTERM) != 0 && errno != ESRCH) {
    return from_errno(errno, fmt::format("ask process {} to stop", process.pid));
  }
  const int64_t until = system_clock().steady_nanos() + patience_micros * 1000;
  while (os::is_alive(process)) {
    if (system_clock().steady_nanos() > until) {
      return deadline_exceeded("process {} has not stopped within {}", process.pid,
                               human_duration(static_cast<double>(patience_micros) / 1e6))
          .with_hint("wait longer with --wait, or end it with: kill -9 " + std::to_string(process.pid));
    }
    std::this_thread::sleep_for(kPause);
  }
  return {};
}

// A run that stopped because of us says so: cancelled, not interrupted.
Status mark_cancelled(const ledger::Ledger& ledger, const std::string& id) {
  ledger::RunRecord run = RUNINK_TRY(ledger.load_run(id));
  if (run.state != ledger::RunState::kInterrupted) return {};
  run.state = ledger::RunState::kCancelled;
  run.reason = "cancelled by runi cancel";
  return ledger.update_run(run);
}

Result<int> run(Invocation& invocation) {
  PastRuns past = RUNINK_TRY(open_past_runs(invocation));
  local::RunFamily family =
      RUNINK_TRY(local::load_family(past.ledger, invocation.given("RUN") ? invocation.text("RUN") : "last"));
  if (!family.run.parent_id.empty()) family = RUNINK_TRY(local::load_family(past.ledger, family.run.parent_id));
  if (family.run.state != ledger::RunState::kRunning) {
    return failed_precondition("run {} is not running: it has {}", family.run.id,
                               ledger::run_state_name(family.run.state));
  }
  invocation.console().say(fmt::format("cancelling run {} of {} (process {})", family.run.id,
                                       escape_control(family.run.feature), family.run.process.pid));
  RUNINK_RETURN_IF_ERROR(stop_process(family.run.process, invocation.duration_micros("wait")));
  family = RUNINK_TRY(local::load_family(past.ledger, family.run.id));
  RUNINK_RETURN_IF_ERROR(mark_cancelled(past.ledger, family.run.id));
  for (const ledger::RunRecord& child : family.children) RUNINK_RETURN_IF_ERROR(mark_cancelled(past.ledger, child.id));
  ledger::RunRecord ended = RUNINK_TRY(past.ledger.load_run(family.run.id));
  invocation.console().say(fmt::format("run {}: {}", ended.id, ledger::run_state_name(ended.state)));
  return kExitDone;
}

}  // namespace

Command cancel_command() {
  return {.name = "cancel",
          .group = "runs",
          .summary = "stop a run in progress",
          .description =
              "Asks the run to stop, as Ctrl-C does, and waits until it has. What is complete stays, nothing else is "
              "published; "
              "runi resume can go on from there.",
          .positionals = {run_positional(true)},
          .flags = {{.name = "wait",
                     .type = ValueType::kDuration,
                     .value_name = "TIME",
                     .help = "how long to wait for it to stop",
                     .default_value = "30s"}},
          .examples = {{"runi cancel", "Stop the newest run."}},
          .run = run};
}

}  // namespace runink::cli
