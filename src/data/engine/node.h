// Node: one operator of a plan while it runs.
//
// How rows move. A pipeline begins at a node that has rows of its own (a source, or a blocking node such as sort once
// its inputs have ended) and reaches every node that rows stream to. Each worker takes the next morsel, and the root
// emits its batches; emit() calls receive() of the nodes behind it in the same thread. When the morsel has no more rows,
// each node's end_of_morsel() is called once, in topological order. receive() may run in many threads at once; what must
// happen in input order is gathered in the morsel (MorselContext::held) and done in end_of_morsel() behind the node's
// turnstile. Rows of a custom step come while it is still being fed, so its pipeline may run at the same time as the one
// that feeds it; a node is reached by one running pipeline only.
//
// What each must count. Every row a node is given is counted by the engine (`in`), every row it emits too (`out`); the
// node itself counts what it decided (kept, dropped, matched …). balance() states the equations that must hold between
// them; a run that does not balance fails.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/status.h"
#include "data/columnar/batch.h"
#include "data/engine/execution.h"
#include "data/engine/io.h"
#include "data/engine/turnstile.h"
#include "data/expr/eval.h"
#include "data/plan/plan.h"

namespace runink::engine {

using columnar::Batch;
using columnar::SchemaPtr;

// What one operator counted. Workers have one each; they are added up at the end.
struct Counts {
  std::vector<uint64_t> in;    // per input: rows received
  std::vector<uint64_t> sent;  // per input: rows that the node before said it sent
  std::vector<uint64_t> out;   // per port: rows emitted
  uint64_t rejected = 0;
  std::map<std::string, uint64_t> dropped;  // by reason
  // What the node itself decided; which of them it uses stands in its balance().
  uint64_t read = 0, undecodable = 0, kept = 0, matched = 0, unmatched = 0, pairs = 0, grouped = 0, written = 0;
  std::vector<uint64_t> branch;
  uint64_t nanos = 0;  // spent inside, rows behind it included

  void add(const Counts& other);
  uint64_t total_in() const;
  uint64_t total_out() const;
  uint64_t total_dropped() const;
};

// Equations of one operator.
class BalanceSheet {
 public:
  explicit BalanceSheet(std::vector<Balance>* lines, const plan::Operator& op) : lines_(lines), op_(op) {}
  void equal(const std::string& equation, uint64_t left, uint64_t right);

 private:
  std::vector<Balance>* lines_;
  const plan::Operator& op_;
};

class LetterQueue;
class Node;
struct PipelineState;

// Rows of one morsel that can be numbered apart.
inline constexpr uint64_t kOrdinalsPerMorsel = uint64_t{1} << 24;

// A reject waiting for its turn at the dead letters.
struct PendingReject {
  uint32_t op = 0;
  columnar::RowOriginPtr origin;  // may be null
  int64_t row = 0;
  std::shared_ptr<const columnar::InputChunk> chunk;  // of an undecodable record: offset, length, line in it
  uint32_t offset = 0, length = 0, line = 0;
  std::string text;  // the row as JSON, where it has no original bytes
  std::vector<RejectedRecord::Rule> rules;
  // The rules of uniqueness that come next (the first of their operators) look at the row too, as it stands in `batch`:
  // behind the first `before` of the rows that this morsel hands to them.
  static constexpr uint32_t kNobody = UINT32_MAX;
  uint32_t next_unique = kNobody;
  std::shared_ptr<const Batch> batch;
  int64_t batch_row = 0;
  uint64_t before = 0;
};

// As the dead letters take it. Views into the reject; in chunk form behind a turnstile only. `step` is left empty.
RejectedRecord record_of(const PendingReject& reject);

// What a worker carries while it works on one morsel.
struct MorselContext {
  uint32_t worker = 0;
  uint64_t sequence = 0;              // in its pipeline
  uint64_t ordinal = 0;               // of its first row: grows over all pipelines of the execution, 2^24 per morsel
  std::vector<Counts> counts;                         // per operator
  std::vector<std::vector<std::pair<Batch, uint32_t>>> held;  // per operator: batches and their input, for end_of_morsel
  std::vector<std::unique_ptr<void, void (*)(void*)>> local;  // per operator: what its worker keeps between morsels
  std::vector<PendingReject> rejects;
  PipelineState* pipeline = nullptr;
};

class Node {
 public:
  Node(const plan::Operator& op, Execution& execution);
  virtual ~Node() = default;

  const plan::Operator& op() const { return op_; }
  virtual uint32_t ports() const { return 1; }
  // Whether rows of this input pass on within the same pipeline.
  virtual bool streams(uint32_t input) const { return true; }

  virtual Status receive(Batch batch, uint32_t input, MorselContext& m) = 0;
  virtual Status end_of_morsel(MorselContext& m) { return {}; }
  // Records that this node's source could not decode: adds what else is wrong with them to `more` of each.
  virtual Status judge_rest(ReadReport& report, MorselContext& m) { return {}; }
  // All rows of this input have been received. One thread.
  virtual Status input_complete(uint32_t input) { return {}; }
  // All inputs are complete: rows still to be emitted, or null. One thread.
  virtual Result<std::unique_ptr<BatchSource>> tail() { return std::unique_ptr<BatchSource>(); }
  // Rows that can be taken while the node is still being fed, by a pipeline that runs at the same time as the one that
  // feeds it; null if there are none. Instead of tail(); end_of_input() then takes its place. One thread.
  virtual Result<std::unique_ptr<BatchSource>> early_rows() { return std::unique_ptr<BatchSource>(); }
  virtual Status end_of_input() { return {}; }
  // Letters of records that the node itself refused outside of any pipeline. After all pipelines of the node have ended,
  // also when the run failed.
  virtual LetterQueue* refused() { return nullptr; }
  // A batch of tail() or early_rows() goes out: emit(), unless the node has more to do with it.
  virtual Status emit_tail(Batch batch, MorselContext& m) { return emit(std::move(batch), 0, m); }
  // Nothing more will be emitted. One thread.
  virtual Status complete() { return {}; }
  virtual void balance(const Counts& counts, BalanceSheet& sheet) const;
  virtual bool satisfied() const;  // wants no more rows
  virtual uint64_t bytes() const { return 0; }  // read or written outside
  virtual void begin() {}                      // the run begins, all nodes are there. One thread
  virtual void stop() { turnstile_.stop(); }   // the run has failed; any thread
  void reset_turnstile() { turnstile_.reset(); }

  // Hands a batch of the given port on. Counts, samples, and drops a row where a test asked for that.
  Status emit(Batch batch, uint32_t port, MorselContext& m);
  // Called by the engine: counts and receives.
  Status deliver(Batch batch, uint32_t input, MorselContext& m);

  struct Edge { Node* target; uint32_t input; };
  std::vector<std::vector<Edge>> edges;  // per port
  std::vector<bool> input_done;
  Counts tail_counts;                    // counted outside of morsels, by one thread
  bool done = false;
  bool ready_root = false;
  bool early = false;  // its early rows are being taken
  std::unique_ptr<BatchSource> root_source;

 protected:
  friend class Execution;
  Counts& counts(MorselContext& m) const { return m.counts[op_.id]; }
  // Sets a row aside as a dead letter.
  PendingReject make_reject(const Batch& batch, int64_t row, std::vector<RejectedRecord::Rule> rules) const;
  void reject(const Batch& batch, int64_t row, std::vector<RejectedRecord::Rule> rules, MorselContext& m) const;
  // Rows with expression errors become dead letters; returns the batch without them (the same if there are none).
  Batch reject_errors(Batch batch, const std::vector<expr::RowError>& errors, std::string_view field, MorselContext& m) const;
  // The rule of uniqueness right behind this node, or null; and how many rows this morsel has handed to it so far.
  const Node* next_unique() const;
  uint64_t rows_for(const Node& next, const MorselContext& m) const;
  // This worker's own state, made at first use.
  template <typename T, typename Make>
  T& local(MorselContext& m, Make make) const {
    auto& slot = m.local[op_.id];
    if (!slot) slot = {new T(make()), [](void* p) { delete static_cast<T*>(p); }};
    return *static_cast<T*>(slot.get());
  }
  // Enters the turnstile for this morsel and sets the line numbers of chunks up to it.
  Status enter(MorselContext& m);
  void leave() { turnstile_.leave(); }
  const expr::EvalContext& eval_context() const;

  const plan::Operator& op_;
  Execution& execution_;
  Turnstile turnstile_;
};

// One function per operator kind; create_node picks.
Result<std::unique_ptr<Node>> create_node(const plan::Operator& op, Execution& execution);
Result<std::unique_ptr<Node>> make_source_node(const plan::Operator& op, Execution& execution);
Result<std::unique_ptr<Node>> make_check_node(const plan::Operator& op, Execution& execution);
std::unique_ptr<Node> make_filter_node(const plan::Operator& op, Execution& execution);
std::unique_ptr<Node> make_derive_node(const plan::Operator& op, Execution& execution);
std::unique_ptr<Node> make_project_node(const plan::Operator& op, Execution& execution);
std::unique_ptr<Node> make_split_node(const plan::Operator& op, Execution& execution);
std::unique_ptr<Node> make_limit_node(const plan::Operator& op, Execution& execution);
std::unique_ptr<Node> make_sample_node(const plan::Operator& op, Execution& execution);
std::unique_ptr<Node> make_distinct_node(const plan::Operator& op, Execution& execution);
std::unique_ptr<Node> make_unique_node(const plan::Operator& op, Execution& execution);
std::unique_ptr<Node> make_union_node(const plan::Operator& op, Execution& execution);
std::unique_ptr<Node> make_sort_node(const plan::Operator& op, Execution& execution);
std::unique_ptr<Node> make_join_node(const plan::Operator& op, Execution& execution);
std::unique_ptr<Node> make_group_node(const plan::Operator& op, Execution& execution);
Result<std::unique_ptr<Node>> make_program_node(const plan::Operator& op, Execution& execution);
Result<std::unique_ptr<Node>> make_sink_node(const plan::Operator& op, Execution& execution);
Result<std::unique_ptr<Node>> make_output_node(const plan::Operator& op, Execution& execution);

}  // namespace runink::engine
