// The inside of an Execution, for its nodes.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "data/engine/execution.h"
#include "data/engine/letter_queue.h"
#include "data/engine/node.h"

namespace runink::engine {

// Line numbers of chunks. Workers publish how many lines a chunk had as soon as it is parsed; resolve(n), which is only
// called in morsel order, turns them into first lines up to morsel n.
class LineNumbers {
 public:
  void publish(uint64_t sequence, std::shared_ptr<const columnar::InputChunk> chunk);
  void resolve(uint64_t sequence);
  void reset();

 private:
  std::mutex mutex_;
  std::map<uint64_t, std::shared_ptr<const columnar::InputChunk>> waiting_;
  uint32_t source_ = UINT32_MAX;
  uint64_t next_line_ = 1;
};

// Which nodes the rows of a root come to, in one pipeline.
struct Reach {
  std::vector<bool> reached;  // per operator: rows come to it; the root too
  std::vector<bool> emits;    // per operator: rows pass on from it
  // Every join reached has its built side, every union the inputs before: nobody has to hold rows back.
  bool unhindered = true;
};

// A pipeline that runs: from start_pipeline() to finish_pipeline().
struct PipelineState {
  Node* root = nullptr;
  BatchSource* source = nullptr;
  Reach reach;
  std::vector<Node*> order;             // nodes behind the root, each after those before it
  std::mutex source_mutex;
  uint64_t base_sequence = 0;           // morsels of pipelines that ended before this one began
  uint64_t next_sequence = 0;
  bool ended = false;
  LineNumbers lines;
  Turnstile dead_letters;
  std::optional<LetterQueue> letters;   // where they go instead of the dead letters, until it is their turn
  std::vector<MorselContext> contexts;  // one per worker
  std::vector<std::thread> workers;
};

// The first few rows of an operator's output, by morsel order.
class Sample {
 public:
  void offer(const plan::Operator& op, const Batch& batch, uint64_t sequence, const std::vector<bool>& live,
             uint64_t rows_max);
  std::vector<std::string> rows(uint64_t rows_max) const;

 private:
  std::mutex mutex_;
  std::map<uint64_t, std::vector<std::string>> by_sequence_;
  std::atomic<uint64_t> last_needed_{UINT64_MAX};
};

struct Execution::Impl {
  const plan::ScenarioPlan* scenario = nullptr;
  ExecutionOptions options;
  IoFactory* factory = nullptr;
  DeadLetterSink* dead_letters = nullptr;
  expr::EvalContext eval;
  uint64_t memory_share = 0;  // of each operator that holds rows

  std::vector<std::vector<bool>> needed;                // per operator: which output columns anything reads
  std::vector<Sample> samples;
  std::vector<Counts> totals;
  ExecutionReport report;
  Progress progress;
  std::map<std::string, std::string> outputs;
  std::atomic<bool> fault_pending{false};

  std::mutex failure_mutex;  // what follows, and report.drift, report.notes
  Status failure;
  const PipelineState* failure_pipeline = nullptr;
  uint64_t failure_sequence = UINT64_MAX;
  std::vector<PipelineState*> running;
  std::atomic<bool> failed{false};
  uint64_t next_base_sequence = 0;

  // Pipelines of custom steps that are still being fed, in the order of their start, and those whose step has been sent
  // all; see execution.cc.
  std::vector<std::unique_ptr<PipelineState>> companions;
  std::vector<Node*> input_ended;
  std::vector<Node::Edge> postponed;  // inputs that are complete, of nodes that a running pipeline uses

  // Pipelines (pipeline.cc). start_workers: those from number `first` on; the caller may be the first himself.
  Reach reach_of(const Node& root) const;
  std::unique_ptr<PipelineState> start_pipeline(Node& root, BatchSource& source, Reach reach);
  void start_workers(PipelineState& pipeline, uint32_t first);
  Status finish_pipeline(PipelineState& pipeline);
  void work(PipelineState& pipeline, MorselContext& m);
  Status process(PipelineState& pipeline, const Morsel& morsel, MorselReader& reader, MorselContext& m);
  Status write_rejects(PipelineState& pipeline, MorselContext& m);
  Status write_letter(uint32_t op, RejectedRecord record);
  Status write_waiting_letters(PipelineState& pipeline);
  // `pipeline`: null where none is concerned.
  void fail(const PipelineState* pipeline, uint64_t sequence, Status status);

  // Their order (execution.cc).
  Node* choose_root();
  Status run_pipeline(Node& root);
  Status start_companions(const PipelineState& feeding);
  Status finish_companion(Node& step);
  Status complete_node(Node& node);
  Status complete_input(const Node::Edge& edge);
  void abandon();
  Status evaluate_rules();
  void make_report();

  // Whether anything behind this operator can still reject a row or copy its text: then rows that it holds keep theirs.
  std::vector<bool> keeps_origin;
  void note(std::string text);
  void count_spill(const plan::Operator& op, uint64_t bytes);
  std::mutex spill_mutex;
  std::map<plan::OperatorId, uint64_t> spilled;

  // Data-set rules and assertions that watch an operator's rows.
  struct Observer;
  std::vector<std::vector<Observer*>> observers;  // per operator (port 0)
  std::vector<std::unique_ptr<Observer>> all_observers;

  // By operator id. The last member: a step's threads end with its node, and use the others.
  std::vector<std::unique_ptr<Node>> nodes;
};

// Row as JSON text with pii columns masked unless `raw` (a dead letter's record); columns that are not live are left out.
// Of a value with more bytes than `value_bytes_max` only its size is told. Unless `raw`, the batch is of op's own schema.
std::string row_json(const plan::Operator& op, const Batch& batch, int64_t row, const std::vector<bool>* live, bool raw,
                     size_t value_bytes_max = SIZE_MAX);

// Which output columns of each operator something reads.
std::vector<std::vector<bool>> needed_columns(const plan::ScenarioPlan& scenario);

}  // namespace runink::engine
