// RunRecord: what one run was asked to do, what it did, and how it ended. Kept as <run folder>/run.json, replaced
// atomically at every change; format described in docs/internals/ledger.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "platform/os/process.h"

namespace runink::ledger {

inline constexpr int kRunRecordFormat = 1;

enum class RunState {
  kRunning,
  kSucceeded,
  kFailed,
  kInterrupted,  // stopped by a signal, cleanly; may be resumed
  kAborted,      // its process ended without a word; found by a later command
  kCancelled,    // by `runi cancel`
};
std::string_view run_state_name(RunState state);  // "running", "succeeded", …
std::optional<RunState> parse_run_state(std::string_view name);

struct ContractUse {
  std::string name, version, hash, path;
};

struct InputIdentity {
  std::string path;  // as written; a program's command line for exec sources
  std::string kind = "file";  // file, exec, stdin
  uint64_t size = 0;
  int64_t modified_nanos = 0;
  uint64_t inode = 0, device = 0;
  std::string sha256;  // empty when it was not computed
};

struct PortCount {
  std::string port;  // "out", a branch's name, "unmatched", …
  uint64_t rows = 0;
};

// One operator of the plan, with what went in and out of it.
struct OperatorCount {
  std::string id, name, kind;  // stable id in the plan, the user's sentence, "check"
  std::string location;        // "features/clean.dsl:12:5"
  uint64_t rows_in = 0;
  std::vector<PortCount> ports_in;  // where there are several inputs (union, join)
  std::vector<PortCount> ports_out;
  uint64_t rejected = 0;
  std::map<std::string, uint64_t> dropped;  // by named reason
  std::map<std::string, uint64_t> more;     // what else its equation speaks of: matched, groups, undecodable, …
  uint64_t bytes_in = 0, bytes_out = 0, spilled_bytes = 0;
  double seconds = 0;  // of processor time, all threads
  bool balanced = true;
  std::string balance;  // "in 1000 = out 990 + rejected 7 + dropped 3"
};

struct EdgeCount {
  std::string from, to;  // operator ids
  uint64_t sent = 0, received = 0;
};

struct SinkResult {
  std::string name, path, format;
  std::string kind;  // valid, rejected, branch, report
  uint64_t rows = 0, bytes = 0;
  bool published = false;
  std::string sha256;  // empty when it was not computed
};

// A data-set rule of a contract, or an item under Assertions.
struct CheckResult {
  std::string name, expression;
  std::string severity = "error";  // or warn
  bool passed = true;
  std::string actual, expected;
  std::string column;     // empty: about the whole data set
  std::string location;   // where it was written
};

struct RejectReason {
  std::string rule, field, message;  // message of the first record that broke it, without values of pii fields
  uint64_t records = 0;
};

struct StageTiming {
  std::string name;
  double seconds = 0;  // wall
};

struct RunRecord {
  std::string id;         // UUID version 7; assigned by Ledger::create_run when empty
  std::string parent_id;  // the run of the whole feature; empty for that one itself
  std::string resumed_from;  // run that this one goes on from or begins anew; empty
  std::string feature;    // path from the project root
  std::string scenario;   // empty for a parent run
  std::string command;    // the command line, quoted
  RunState state = RunState::kRunning;
  int64_t started_micros = 0;  // since the epoch, UTC
  int64_t ended_micros = 0;    // 0 while running
  int64_t now_micros = 0;      // what now() gave in this run
  os::ProcessIdentity process;
  std::string host, user, runink_version;
  std::string reason;      // why it ended as it did, one line; empty when it succeeded
  std::string error_kind;  // Status::kind of that
  int exit_code = -1;      // -1 while running

  // The plan as JSON, or empty. Kept in a file of its own, plan.json, so that listing runs stays cheap: to_json leaves it
  // out, Ledger::create_run and update_run write it, load_run reads it, list_runs leaves it empty.
  std::string plan_json;
  std::string project_hash;
  std::vector<ContractUse> contracts;
  std::vector<InputIdentity> inputs;

  // Of a scenario what arrived, with rows that other scenarios handed over. Of a parent run what was read from outside;
  // its records_valid adds up what each scenario let through, so a record counts once per scenario.
  uint64_t records_in = 0, records_valid = 0, records_rejected = 0;
  uint64_t records_written = 0;  // rows of all published outputs, without dead letters
  uint64_t bytes_in = 0, bytes_out = 0;
  std::vector<OperatorCount> operators;
  std::vector<EdgeCount> edges;
  std::vector<SinkResult> sinks;
  std::vector<CheckResult> quality;
  std::vector<CheckResult> assertions;
  std::vector<RejectReason> reject_reasons;  // commonest first
  std::vector<StageTiming> timings;
  std::map<std::string, uint64_t> drift;     // fields that no contract names → records that had them

  double wall_seconds = 0, cpu_seconds = 0;
  uint64_t peak_memory_bytes = 0, spilled_bytes = 0;
  int threads = 0;
  bool revealed_pii = false;  // --reveal was given
  std::vector<std::string> warnings;
  std::map<std::string, std::string> labels;  // whatever a later version or a caller wants kept; unknown ones survive

  // The job's name in lineage and logs: "features/clean.dsl#Clean the feed", or the feature alone for a parent run.
  std::string job_name() const;
};

// One JSON document, indented, ended by a newline. Text that is not UTF-8 is written with U+FFFD in place of bad bytes.
std::string to_json(const RunRecord& record);
// `path` is named in errors. A newer format than this program knows is kFailedPrecondition; anything else wrong with it
// kDataLoss. Unknown members are ignored.
Result<RunRecord> parse_run_record(std::string_view json, const std::string& path);

}  // namespace runink::ledger
