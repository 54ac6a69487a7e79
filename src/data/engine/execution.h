// Execution: runs one scenario of a plan.
//
// It reads sources, pushes batches through the operators on a pool of workers, writes sinks (nothing is published: that
// is the caller's, once it has seen that all is well), counts, checks every balance, and evaluates quality rules and
// assertions. Memory stays within the budget whatever the length of the input: operators that must hold rows (sort,
// join, group, unique, deduplicate) get equal shares of it and spill to files of `temp_folder`.
//
// The result depends on inputs, plan and options only, never on the number of threads or on timing.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/stop.h"
#include "data/columnar/batch.h"
#include "data/engine/io.h"
#include "data/plan/plan.h"

namespace runink::engine {

// For the test that every operator's balance notices a lost row: this operator loses one row, silently.
struct Fault {
  enum class Where { kNone, kInside, kOnEdge };
  Where where = Where::kNone;
  plan::OperatorId op = 0;
};

struct ExecutionOptions {
  uint32_t threads = 1;
  uint64_t memory_budget_bytes = 256ull << 20;
  std::string temp_folder;           // exists; the engine makes and removes its files in it
  int64_t now_micros = 0;
  std::string key;                   // secret of hash() and tokenise()
  const StopFlag* stop = nullptr;    // may be null
  uint64_t sample_rows = 20;         // per tapped operator; 0: none
  bool reveal = false;               // sinks write pii fields as they are; samples and messages never do
  Fault fault;
};

// One equation that was checked.
struct Balance {
  plan::OperatorId op = 0;
  std::string step, equation;        // "rows in = kept + dropped"
  uint64_t left = 0, right = 0;
  bool holds() const { return left == right; }
};

struct OperatorReport {
  plan::OperatorId id = 0;
  std::string name, kind;
  uint64_t rows_in = 0, rejected = 0;
  std::vector<uint64_t> rows_out;                 // per port
  std::map<std::string, uint64_t> dropped;
  uint64_t spilled_bytes = 0;
  std::vector<std::string> sample;                // rows as JSON, pii masked
  uint64_t bytes = 0;                             // read (source) or written (sink)
};

struct RuleResult {
  std::string name, text, actual;
  bool passed = false, warn_only = false, is_assertion = false;
  Location location;
};

struct Progress {
  std::atomic<uint64_t> records{0}, rejected{0}, bytes_read{0}, bytes_total{0};
};

struct ExecutionReport {
  std::vector<OperatorReport> operators;
  std::vector<Balance> balances;
  std::vector<RuleResult> rules;                  // qualities, then assertions
  uint64_t records_read = 0, records_valid = 0, records_rejected = 0, undecodable = 0;
  std::map<std::string, uint64_t> rejected_by_rule;
  std::map<std::string, uint64_t> drift;          // unknown fields → records that had them
  std::vector<std::string> first_rejects;         // "data/x.ndjson:17: delay is 99999: …", the first few
  uint64_t spilled_bytes = 0;
  std::vector<std::string> notes;                 // what a person should know although the run went on, one line each
  bool rules_hold() const;                        // nothing but warnings failed
};

// Records that came to an end of the flow that no step rejected. `operators`: reports by id.
uint64_t valid_records(const plan::ScenarioPlan& scenario, const std::vector<OperatorReport>& operators);
// How many operators the memory budget is shared by; at least 1.
uint64_t row_holders(const plan::ScenarioPlan& scenario);

class Node;

class Execution {
 public:
  static Result<std::unique_ptr<Execution>> create(const plan::ScenarioPlan& scenario, ExecutionOptions options,
                                                   IoFactory& factory, DeadLetterSink& dead_letters);
  ~Execution();

  // Runs to the end. An error means that nothing may be published. Bad data is no error: see the report.
  Status run();

  const ExecutionReport& report() const;  // after run(), also when it failed
  const Progress& progress() const;       // any thread, while it runs
  // Rows kept for other scenarios, by the name of their Output operator: spill files in temp_folder, to be read with
  // columnar::SpillReader and the schema of the operator's input. Complete after run().
  const std::map<std::string, std::string>& outputs() const;

  struct Impl;
  Impl& impl() { return *impl_; }

 private:
  Execution();
  std::unique_ptr<Impl> impl_;
};

}  // namespace runink::engine
