// Garbage collection: keeps run records, logs and dead letters within a stated age and size.
//
// A feature's run and the runs of its scenarios are kept or removed together, with their logs and samples; dead letters
// have limits of their own and outlive their run. Never removed: what belongs to a run in progress; a dead letter that has
// not been replayed and is younger than the letters' age limit, however much room letters take.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "data/ledger/ledger.h"

namespace runink::ledger {

struct GcPolicy {
  int64_t keep_runs_micros = int64_t{30} * 24 * 3600 * 1'000'000;
  uint64_t keep_runs_bytes = uint64_t{1} << 30;  // oldest go first
  int64_t keep_dead_letters_micros = int64_t{90} * 24 * 3600 * 1'000'000;
  uint64_t keep_dead_letters_bytes = uint64_t{4} << 30;
  int64_t now_micros = 0;  // 0: the system clock
  bool dry_run = false;
  // For tests: who is alive. A run recorded as running whose process is gone is not in progress, even where a full disk
  // has kept any command from recording that.
  std::function<bool(const os::ProcessIdentity&)> is_alive;
};

struct GcItem {
  std::string kind;    // run, dead-letters, replay-notes
  std::string path;
  std::string run_id;
  uint64_t bytes = 0;
  std::string why;     // "older than 30 d", "runs take 1.4 GB, 1 GB is kept"
};

struct GcReport {
  std::vector<GcItem> removed;  // or would be, in a dry run
  std::vector<GcItem> kept_over_limit;  // what the limits would remove but a rule protects, and which
  uint64_t bytes_removed = 0, bytes_kept = 0;
  uint64_t runs_removed = 0, runs_kept = 0;
  uint64_t dead_letters_removed = 0, dead_letters_kept = 0;
  bool dry_run = false;
};

Result<GcReport> collect_garbage(const Ledger& ledger, const GcPolicy& policy);

}  // namespace runink::ledger
