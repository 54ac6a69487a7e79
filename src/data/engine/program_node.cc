// A custom step in a process of its own: rows go to it in order, its answers are a new stream of rows.
//
// A thread of this node reads the answers while workers send, so that neither side waits for the other for ever;
// answers wait in a queue (in memory, then on disk) until all rows have been sent. Rows sent are kept the same way,
// because the step may refuse one by its number and its original bytes then go to the dead letters. They are also what
// a step with
// @retry is sent again: a step that fails before the last row is started anew once all rows are there, so a failed
// attempt leaves nothing behind in the engine.

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "data/columnar/kernels.h"
#include "data/engine/execution_impl.h"
#include "data/engine/held_rows.h"
#include "data/engine/node.h"
#include "data/engine/partitions.h"
#include "data/plan/pii.h"

namespace runink::engine {

namespace {

class ProgramNode final : public Node {
 public:
  ProgramNode(const plan::Operator& op, Execution& x)
      : Node(op, x),
        input_schema_(x.impl().scenario->operators[op.inputs[0].from].schema),
        sent_(x.impl().options.temp_folder, input_schema_, x.impl().memory_share / 4),
        answers_(new_answers()) {}
  ~ProgramNode() override {
    if (process_) process_->kill();
    if (receiver_.joinable()) receiver_.join();
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
      Batch kept = columnar::materialise_origin(batch);
      if (status = sent_.add(std::move(kept)); status.ok() && failure_.ok()) status = send(batch);
    }
    leave();
    return status;
  }

  Result<std::unique_ptr<BatchSource>> tail() override {
    if (failure_.ok()) failure_ = end_of_input();
    RUNINK_RETURN_IF_ERROR(sent_.finish());
    while (!failure_.ok() && again(failure_)) {
      ++attempts_;
      execution_.impl().note(fmt::format("step \"{}\" failed and was run again ({} of {}): {}", op_.name, attempts_,
                                         op_.retries, failure_.to_string()));
      failure_ = run_again();
    }
    RUNINK_RETURN_IF_ERROR(std::move(failure_));
    RUNINK_RETURN_IF_ERROR(answers_->finish());
    if (answers_->spilled_bytes() + sent_.spilled_bytes() > 0) {
      execution_.impl().count_spill(op_, answers_->spilled_bytes() + sent_.spilled_bytes());
    }
    refusals_ = process_->refusals();
    std::sort(refusals_.begin(), refusals_.end(), [](const auto& a, const auto& b) { return a.record < b.record; });
    for (size_t i = 1; i < refusals_.size(); ++i) {
      if (refusals_[i].record == refusals_[i - 1].record) {
        return failed_precondition("the step said twice what became of record {}", refusals_[i].record);
      }
    }
    process_.reset();
    // First the refused rows, found among those sent, then the answers.
    return std::unique_ptr<BatchSource>(std::make_unique<BatchList>(
        [this, sent = sent_.read(), answers = answers_->read()]() mutable -> Result<std::optional<Batch>> {
          while (next_refusal_ < refusals_.size()) {
            auto batch = RUNINK_TRY(sent());
            if (!batch) {
              return failed_precondition("the step refused record {}, but only {} were sent to it",
                                         refusals_[next_refusal_].record, sent_seen_);
            }
            std::vector<int32_t> rows;
            std::vector<uint64_t> numbers;  // of the refusals
            while (next_refusal_ + rows.size() < refusals_.size() &&
                   refusals_[next_refusal_ + rows.size()].record < sent_seen_ + static_cast<uint64_t>(batch->rows)) {
              numbers.push_back(next_refusal_ + rows.size());
              rows.push_back(static_cast<int32_t>(refusals_[numbers.back()].record - sent_seen_));
            }
            sent_seen_ += static_cast<uint64_t>(batch->rows);
            if (rows.empty()) continue;
            next_refusal_ += rows.size();
            return std::optional<Batch>(add_ordinals(columnar::gather(*batch, rows), refused_schema_, numbers));
          }
          return answers();
        }));
  }
  // Batches of refused rows come first: the input's columns and the number of the refusal.
  Status emit_tail(Batch batch, MorselContext& m) override {
    if (batch.schema != refused_schema_) {
      counts(m).matched += static_cast<uint64_t>(batch.rows);
      return emit(std::move(batch), 0, m);
    }
    const columnar::Column numbers = batch.columns.back();
    batch = remove_ordinals(std::move(batch), input_schema_);
    for (int64_t r = 0; r < batch.rows; ++r) {
      const auto& refusal = refusals_[numbers.data<uint64_t>()[r]];
      if (refusal.dropped) {
        ++counts(m).dropped[refusal.reason.empty() || sent_pii_ ? "dropped by the step" : refusal.reason];
      } else if (sent_pii_) {
        reject(batch, r, {{"step", "", "refused by the step", refusal.reason}}, m);
      } else {
        reject(batch, r, {{"step", "", refusal.reason.empty() ? "refused by the step" : refusal.reason}}, m);
      }
    }
    return {};
  }
  void balance(const Counts& c, BalanceSheet& sheet) const override {
    sheet.equal("rows in = records sent", c.total_in(), c.written);
    sheet.equal("records sent = answered + rejected + dropped", c.written, c.matched + c.rejected + c.total_dropped());
    sheet.equal("answered = rows out", c.matched, c.total_out());
  }
  bool satisfied() const override { return false; }

  // In the thread that runs the execution: a child may be tied to the thread that started it.
  Status start() {
    process_ = RUNINK_TRY(execution_.impl().factory->start_step(op_, input_schema_));
    received_ = false;
    receive_status_ = {};
    receiver_ = std::thread([this] {
      receive_all();
      std::lock_guard lock(received_mutex_);
      received_ = true;
      received_changed_.notify_all();
    });
    return {};
  }

 private:
  std::unique_ptr<RowQueue> new_answers() const {
    const auto& x = execution_.impl();
    return std::make_unique<RowQueue>(x.options.temp_folder, op_.schema, x.memory_share / 4);
  }
  // Whether a failure is one that @retry answers, and attempts are left.
  bool again(const Status& failure) const {
    const auto* stop = execution_.impl().options.stop;
    if (stop != nullptr && stop->requested()) return false;
    return attempts_ < op_.retries && failure.kind() != "run.interrupted" && failure.kind() != "run.stopped";
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
  Status end_of_input() {
    if (Status status = process_->close_input(); !status.ok()) return explain(std::move(status));
    receiver_.join();
    return std::move(receive_status_);
  }
  // Another process, sent all rows from the first.
  Status run_again() {
    process_.reset();
    answers_ = new_answers();
    RUNINK_RETURN_IF_ERROR(start());
    auto rows = sent_.reread();
    for (;;) {
      auto batch = RUNINK_TRY(rows());
      if (!batch) break;
      if (Status status = process_->send(*batch); !status.ok()) return explain(std::move(status));
      if (const auto* stop = execution_.impl().options.stop; stop != nullptr && stop->requested()) {
        return cancelled("interrupted").with_kind("run.interrupted");
      }
    }
    return end_of_input();
  }
  void receive_all() {
    for (;;) {
      auto batch = process_->receive();
      if (!batch.ok()) {
        receive_status_ = std::move(batch).status();
        return;
      }
      if (!batch->has_value()) return;
      if (Status status = answers_->add(std::move(**batch)); !status.ok()) {
        receive_status_ = std::move(status);
        process_->kill();
        return;
      }
    }
  }
  // Sending failed: what the reader knows (how the process ended, its last words) says more.
  Status explain(Status sending) {
    {
      // A step that stopped reading is mostly about to end, and how it ends says more than a broken pipe.
      std::unique_lock lock(received_mutex_);
      if (sending.kind() == "step.stopped_reading") received_changed_.wait_for(lock, std::chrono::seconds(2), [&] { return received_; });
    }
    if (process_) process_->kill();
    if (receiver_.joinable()) receiver_.join();
    return receive_status_.ok() ? std::move(sending) : std::move(receive_status_);
  }

  SchemaPtr input_schema_, refused_schema_ = with_ordinal(input_schema_);
  // Its reasons are words of a program, in which values cannot be told from other words: they are for the letter alone.
  const bool sent_pii_ = plan::receives_pii(*execution_.impl().scenario, op_);
  RowQueue sent_;
  std::unique_ptr<RowQueue> answers_;
  std::unique_ptr<StepProcess> process_;
  std::thread receiver_;
  Status receive_status_;
  std::mutex received_mutex_;
  std::condition_variable received_changed_;
  bool received_ = false;
  Status failure_;         // of the latest attempt; turnstile
  uint32_t attempts_ = 0;  // made after the first
  std::vector<StepProcess::Refusal> refusals_;
  size_t next_refusal_ = 0;
  uint64_t sent_seen_ = 0;
};

}  // namespace

Result<std::unique_ptr<Node>> make_program_node(const plan::Operator& op, Execution& x) {
  auto node = std::make_unique<ProgramNode>(op, x);
  RUNINK_RETURN_IF_ERROR(node->start());
  return std::unique_ptr<Node>(std::move(node));
}

}  // namespace runink::engine
