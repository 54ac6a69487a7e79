// runi gc
#include <fmt/format.h>

#include "base/text.h"
#include "client/cli/commands/all.h"
#include "client/cli/history.h"

namespace runink::cli {
namespace {

Result<int> run(Invocation& invocation) {
  PastRuns past = RUNINK_TRY(open_past_runs(invocation));
  const config::ProjectConfig& config = past.project.config();
  ledger::GcPolicy policy;
  policy.keep_runs_micros = invocation.duration_micros("keep-runs", config.keep_runs_micros);
  policy.keep_runs_bytes = invocation.bytes("keep-runs-size", config.keep_runs_bytes);
  policy.keep_dead_letters_micros = invocation.duration_micros("keep-dead-letters", config.keep_dead_letters_micros);
  policy.keep_dead_letters_bytes = invocation.bytes("keep-dead-letters-size", config.keep_dead_letters_bytes);
  policy.dry_run = invocation.enabled("dry-run");
  ledger::GcReport report = RUNINK_TRY(ledger::collect_garbage(past.ledger, policy));
  Table table({{"path", "PATH"},
               {"kind", "KIND"},
               {"action", "ACTION"},
               {"bytes", "BYTES"},
               {"why", "WHY"},
               {"run", "RUN", true}});
  for (const ledger::GcItem& item : report.removed) {
    table.add({item.path, item.kind, policy.dry_run ? "would be removed" : "removed", Cell::bytes(item.bytes), item.why,
               item.run_id});
  }
  for (const ledger::GcItem& item : report.kept_over_limit) {
    table.add({item.path, item.kind, "kept", Cell::bytes(item.bytes), item.why, item.run_id});
  }
  table.set_empty_note("nothing to remove");
  RUNINK_RETURN_IF_ERROR(invocation.print(table));
  invocation.console().say(fmt::format("{} {} of {} runs and {} dead letters; {} stay",
                                       policy.dry_run ? "would free" : "freed", human_bytes(report.bytes_removed),
                                       human_count(report.runs_removed), human_count(report.dead_letters_removed),
                                       human_bytes(report.bytes_kept)));
  return kExitDone;
}

}  // namespace

Command gc_command() {
  return {.name = "gc",
          .group = "project",
          .summary = "remove old runs, logs and dead letters",
          .description =
              "Keeps what runink.toml says ([keep], see docs/guide/settings.md), or what the flags say, by age and by size; oldest go first. Never "
              "removed: what "
              "belongs to a run in progress, and a dead letter within its age that has not been replayed. --dry-run "
              "names what would go.",
          .flags =
              {{.name = "dry-run", .letter = 'n', .help = "remove nothing, only say what would go"},
               {.name = "keep-runs", .type = ValueType::kDuration, .value_name = "TIME", .help = "keep runs this long"},
               {.name = "keep-runs-size",
                .type = ValueType::kBytes,
                .value_name = "SIZE",
                .help = "keep runs up to this size together"},
               {.name = "keep-dead-letters",
                .type = ValueType::kDuration,
                .value_name = "TIME",
                .help = "keep dead letters this long"},
               {.name = "keep-dead-letters-size",
                .type = ValueType::kBytes,
                .value_name = "SIZE",
                .help = "keep dead letters up to this size together"}},
          .lists = true,
          .examples = {{"runi gc --dry-run", "What would go?"}, {"runi gc --keep-runs 7d", "Keep one week of runs."}},
          .run = run};
}

}  // namespace runink::cli
