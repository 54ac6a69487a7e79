// The ledger: what runs leave behind under <project>/.runink. Files with versioned formats; no server and no daemon.
//
//   .runink/                     mode 0700
//     FORMAT                     the layout's version
//     run.lock                   held by the run in progress (os::FileLock)
//     running/<run id>           marks a run that is not over: what sweep_killed_runs looks at
//     runs/<run id>/             run.json, plan.json, published.json, lineage.ndjson, log.ndjson, and samples/ and checkpoints/ of its stages
//     dead-letters/<run id>/…    see dead_letters.h
//     publish/                   intents and publish records, see publish_record.h
//     tmp/<run id>…/             spill and scratch of a run; removed by a later command when it was killed
//     sweep.lock                 held while killed runs are settled
//
// Several processes may use one ledger at a time: each run's folder has one writer, whole files are replaced
// atomically, and what must happen once is done under a lock. A Ledger object is immutable and may be shared.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "data/ledger/openlineage.h"
#include "data/ledger/run_record.h"
#include "platform/os/lock.h"

namespace runink::ledger {

inline constexpr int kLayoutFormat = 1;

struct RunFilter {
  std::string feature;      // exact path; empty: any
  std::string scenario;     // exact; empty: any
  std::string parent_id;    // children of this run
  std::optional<RunState> state;
  bool parents_only = false;  // only runs without a parent
  int64_t since_micros = 0;   // started at or after
  size_t limit = 0;           // 0: all
};

class Ledger {
 public:
  // Makes .runink (mode 0700) and what belongs in it. A layout of a newer format is kFailedPrecondition.
  static Result<Ledger> open(const std::string& project_root);
  // For commands that only read: kNotFound, kind "ledger.none", where there is no .runink.
  static Result<Ledger> open_existing(const std::string& project_root);

  const std::string& project_root() const { return project_root_; }
  const std::string& root() const { return root_; }  // <project>/.runink
  std::string run_folder(const std::string& run_id) const;
  std::string lineage_file(const std::string& run_id) const;
  std::string log_file(const std::string& run_id) const;
  // Whether the run's outputs are in place (publish_record.h), whatever its record says: a run may be killed after that
  // and before its last record. Such a run is swept to kAborted with the label "published"; to resume it is to leave
  // that scenario out, else what it appended would be appended again.
  bool was_published(const std::string& run_id) const;
  std::string temp_root() const { return root_ + "/tmp"; }

  // One run at a time in a project. Held by another: kAborted, kind "lock.held", saying by whom.
  Result<os::FileLock> lock_for_run(const std::string& purpose) const;

  // Completes the record (id, start, process, host, user where empty), makes the run's folder and writes it.
  Result<RunRecord> create_run(RunRecord initial) const;
  Status update_run(const RunRecord& record) const;
  Result<RunRecord> load_run(const std::string& run_id) const;
  // Newest first. A record that cannot be read is left out and named in `problems` (may be null).
  Result<std::vector<RunRecord>> list_runs(const RunFilter& filter = {}, std::vector<Status>* problems = nullptr) const;
  // "last" (the newest parent run, or the newest run of all), a whole id, or a prefix or suffix of at least 4 characters
  // that fits one run. kNotFound names the nearest ways out; an ambiguous prefix is kInvalidArgument with the candidates.
  Result<std::string> find_run(const std::string& words) const;

  // Appends an event to the run's lineage.ndjson and syncs it. A torn last line is cut off first.
  Status append_lineage(const LineageEvent& event) const;
  // Terminal event first, then the record: whichever step is the last that happened, a later sweep finishes the same way.
  // Does not emit a second terminal event where one is there.
  Status finish_run(RunRecord* record, const LineageEvent& terminal) const;

  // Runs recorded as running whose process is gone: each gets its ABORT event (exactly once, whatever happens in
  // between and however many commands do this at a time) and state aborted; one that had already written its terminal
  // event gets the state that event says. Also removes what lies under tmp/ and is named after a run that is not
  // running (callers name their scratch "<run id>…"). Returns the records it changed. The job's namespace of a run killed
  // before its START event is taken from its label "lineage_namespace". A damaged record is an error, told after all
  // others have been settled.
  struct SweepOptions {
    int64_t now_micros = 0;  // 0: the system clock
    // For tests: who is alive.
    std::function<bool(const os::ProcessIdentity&)> is_alive;
  };
  Result<std::vector<RunRecord>> sweep_killed_runs(const SweepOptions& options) const;
  Result<std::vector<RunRecord>> sweep_killed_runs() const { return sweep_killed_runs(SweepOptions{}); }

 private:
  Ledger(std::string project_root, std::string root) : project_root_(std::move(project_root)), root_(std::move(root)) {}
  std::string marker_file(const std::string& run_id) const { return root_ + "/running/" + run_id; }
  Status settle_killed_run(RunRecord* record, int64_t now_micros) const;
  void remove_sockets(const std::string& id) const;
  Status remove_scratch(const SweepOptions& options) const;
  Result<std::vector<RunRecord>> killed_runs(const SweepOptions& options, Status* problem) const;
  std::string project_root_, root_;
};

}  // namespace runink::ledger
