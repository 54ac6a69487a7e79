// A custom step in a process of its own: rows go to it in order, its answers are a new stream of rows.
//
// A thread of this node reads the answers while workers send. They go straight to the pipeline behind the step, which
// runs at the same time (early_rows), through a short queue: a slow sink thus holds up the step, and the step its
// source. Where that pipeline cannot run yet, and for a step with @retry, answers are spooled until all rows have been
// sent.
//
// Rows sent are remembered until the step can no longer refuse them (StepBooks). They are also what a step with @retry
// is sent again: one that fails before the last row is started anew once all rows are there, so a failed attempt leaves
// nothing behind in the engine.

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "data/engine/answer_queue.h"
#include "data/engine/execution_impl.h"
#include "data/engine/held_rows.h"
#include "data/engine/node.h"
#include "data/engine/step_books.h"
#include "data/plan/pii.h"

namespace runink::engine {

namespace {

constexpr uint64_t kHeldBytesMax = uint64_t{8} << 20;    // of rows sent, and of answers spooled: more gains nothing
constexpr uint64_t kStreamBytesMax = uint64_t{2} << 20;  // of answers on their way
constexpr int64_t kLastWordsMicros = 2'000'000;          // for a step that closed its input to end, and so say why

// One batch a morsel: an answer does not wait for the next ones.
class AnswerSource final : public BatchSource {
 public:
  explicit AnswerSource(AnswerQueue& answers) : answers_(answers) {}
  Result<std::optional<Morsel>> next() override {
    auto batch = RUNINK_TRY(answers_.take());
    if (!batch) return std::optional<Morsel>();
    Morsel morsel;
    morsel.batches.push_back(std::move(*batch));
    return std::optional<Morsel>(std::move(morsel));
  }
  Result<std::unique_ptr<MorselReader>> make_reader() override { return make_batches_reader(); }

 private:
  AnswerQueue& answers_;
};

class ProgramNode final : public Node {
 public:
  ProgramNode(const plan::Operator& op, Execution& x)
      : Node(op, x),
        input_schema_(x.impl().scenario->operators[op.inputs[0].from].schema),
        memory_(std::min(x.impl().memory_share / 4, kHeldBytesMax)),
        books_(
            op, input_schema_, x.impl().options.temp_folder, memory_, op.retries > 0,
            plan::receives_pii(*x.impl().scenario, op),
            [this](const Batch& batch, int64_t row, std::vector<RejectedRecord::Rule> rules) {
              return make_reject(batch, row, std::move(rules));
            },
            x.impl().progress.rejected) {}
  ~ProgramNode() override {
    stop();
    end_process();
  }
  bool streams(uint32_t) const override { return false; }

  Status receive(Batch batch, uint32_t input, MorselContext& m) override {
    m.held[op_.id].emplace_back(std::move(batch), input);
    return {};
  }
  Status end_of_morsel(MorselContext& m) override {
    RUNINK_RETURN_IF_ERROR(enter(m));
    Status status;
    for (auto& [batch, input] : m.held[op_.id]) {
      if (!status.ok()) break;
      counts(m).written += static_cast<uint64_t>(batch.rows);
      if (status = books_.sent(batch); status.ok() && failure_.ok()) status = send(batch);
    }
    leave();
    return status;
  }

  Result<std::unique_ptr<BatchSource>> early_rows() override {
    if (op_.retries > 0) return std::unique_ptr<BatchSource>();
    return answers();
  }
  Status end_of_input() override {
    Status status = process_->close_input();
    return status.ok() ? std::move(status) : explain(std::move(status));
  }
  Result<std::unique_ptr<BatchSource>> tail() override {
    if (op_.retries > 0) {
      RUNINK_RETURN_IF_ERROR(run_to_the_end());
    } else {
      RUNINK_RETURN_IF_ERROR(end_of_input());
    }
    return answers();
  }
  Status emit_tail(Batch batch, MorselContext& m) override {
    counts(m).matched += static_cast<uint64_t>(batch.rows);
    return emit(std::move(batch), 0, m);
  }
  Status complete() override {
    end_process();
    return {};
  }
  LetterQueue* refused() override {
    end_process();
    return &books_.letters();
  }
  void balance(const Counts& c, BalanceSheet& sheet) const override {
    sheet.equal("rows in = records sent", c.total_in(), c.written);
    sheet.equal("records sent = answered + rejected + dropped", c.written, c.matched + c.rejected + c.total_dropped());
    sheet.equal("answered = rows out", c.matched, c.total_out());
  }
  bool satisfied() const override { return false; }
  void begin() override {
    {
      std::lock_guard lock(process_mutex_);
      begun_ = true;
    }
    if (Status status = answers_->status(); !status.ok()) step_failed(std::move(status));
  }
  void stop() override {
    stopped_ = true;
    Node::stop();
    std::lock_guard lock(process_mutex_);
    if (answers_) answers_->stop();
    if (process_) process_->kill();
  }

  // In the thread that runs the execution: a child may be tied to the thread that started it.
  Status start() {
    auto process = RUNINK_TRY(execution_.impl().factory->start_step(op_, input_schema_));
    process->listen(books_);
    const auto& x = execution_.impl();
    auto answers =
        std::make_unique<AnswerQueue>(x.options.temp_folder, op_.schema, memory_, std::min(memory_, kStreamBytesMax));
    std::lock_guard lock(process_mutex_);
    process_ = std::move(process);
    answers_ = std::move(answers);
    receiver_ = std::thread([this, &process = *process_, &answers = *answers_] {
      Status status = read_answers(process, answers);
      answers.end(status);
      bool begun = false;
      {
        std::lock_guard lock(process_mutex_);
        begun = begun_;
      }
      if (begun && !status.ok()) step_failed(std::move(status));
    });
    if (stopped_) {  // while it was started anew
      answers_->stop();
      process_->kill();
    }
    return {};
  }

 private:
  Status read_answers(StepProcess& process, AnswerQueue& answers) {
    for (;;) {
      auto batch = RUNINK_TRY(process.receive());
      if (!batch) return {};
      if (Status status = books_.answered(static_cast<uint64_t>(batch->rows)); !status.ok())
        return process.blame(std::move(status));
      if (Status status = answers.put(std::move(*batch)); !status.ok()) {
        process.kill();
        return status;
      }
    }
  }
  Result<std::unique_ptr<BatchSource>> answers() {
    RUNINK_RETURN_IF_ERROR(answers_->stream());
    return std::unique_ptr<BatchSource>(std::make_unique<AnswerSource>(*answers_));
  }

  // At once: whoever feeds it may wait for input, and whoever takes its answers for a reader.
  void step_failed(Status status) {
    if (stopped_ || op_.retries > 0) return;
    execution_.impl().fail(nullptr, 0, std::move(status).with_context(fmt::format("step \"{}\"", op_.name)));
  }

  // A failure that @retry answers waits in failure_ for the end of the input.
  Status send(const Batch& batch) {
    Status status = process_->send(batch);
    if (status.ok()) return status;
    status = explain(std::move(status));
    if (!again(status)) return status;
    failure_ = std::move(status);
    return {};
  }
  // Sending failed: what the reading thread knows (how the process ended, its last words) says more.
  Status explain(Status sending) {
    answers_->discard();
    // A step that stopped reading is mostly about to end, and how it ends says more than a broken pipe.
    if (sending.kind() == "step.stopped_reading") (void)answers_->wait_for_end(kLastWordsMicros);
    process_->kill();
    if (receiver_.joinable()) receiver_.join();
    if (stopped_) return cancelled("another part of the run failed").with_kind("run.stopped");
    Status reading = answers_->status();
    return reading.ok() ? std::move(sending) : std::move(reading);
  }
  void end_process() {
    if (receiver_.joinable()) receiver_.join();
    std::unique_ptr<StepProcess> process;
    {
      std::lock_guard lock(process_mutex_);
      process = std::move(process_);
    }
    if (!process) return;
    process.reset();
    tail_counts.rejected += books_.rejected();
    for (const auto& [reason, count] : books_.dropped()) tail_counts.dropped[reason] += count;
    const uint64_t spilled = books_.spilled_bytes() + answers_->spilled_bytes();
    if (spilled > 0) execution_.impl().count_spill(op_, spilled);
  }

  // ---- @retry

  // Whether a failure is one that @retry answers, and attempts are left.
  bool again(const Status& failure) const {
    const auto* stop = execution_.impl().options.stop;
    if (stopped_ || (stop != nullptr && stop->requested())) return false;
    return attempts_ < op_.retries && failure.kind() != "run.interrupted" && failure.kind() != "run.stopped";
  }
  Status run_to_the_end() {
    if (failure_.ok()) failure_ = wait_for_answers();
    while (!failure_.ok() && again(failure_)) {
      ++attempts_;
      execution_.impl().note(fmt::format("step \"{}\" failed and was run again ({} of {}): {}", op_.name, attempts_,
                                         op_.retries, failure_.to_string()));
      failure_ = run_again();
    }
    return std::move(failure_);
  }
  Status wait_for_answers() {
    RUNINK_RETURN_IF_ERROR(end_of_input());
    receiver_.join();
    return answers_->status();
  }
  // Another process, sent all rows from the first.
  Status run_again() {
    {
      std::lock_guard lock(process_mutex_);
      process_.reset();
    }
    books_.begin_again();
    RUNINK_RETURN_IF_ERROR(start());
    auto rows = books_.reread();
    for (;;) {
      auto batch = RUNINK_TRY(rows());
      if (!batch) break;
      if (Status status = process_->send(*batch); !status.ok()) return explain(std::move(status));
      if (const auto* stop = execution_.impl().options.stop; stop != nullptr && stop->requested()) {
        return cancelled("interrupted").with_kind("run.interrupted");
      }
    }
    return wait_for_answers();
  }

  SchemaPtr input_schema_;
  const uint64_t memory_;
  StepBooks books_;
  std::mutex process_mutex_;  // begun_; that process_ and answers_ stay while another thread stops them
  bool begun_ = false;
  std::unique_ptr<StepProcess> process_;
  std::unique_ptr<AnswerQueue> answers_;
  std::thread receiver_;
  std::atomic<bool> stopped_{false};
  Status failure_;         // of the latest attempt; turnstile
  uint32_t attempts_ = 0;  // made after the first
};

}  // namespace

Result<std::unique_ptr<Node>> make_program_node(const plan::Operator& op, Execution& x) {
  auto node = std::make_unique<ProgramNode>(op, x);
  RUNINK_RETURN_IF_ERROR(node->start());
  return std::unique_ptr<Node>(std::move(node));
}

}  // namespace runink::engine
