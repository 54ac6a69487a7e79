#include "worker/slice/step_host.h"

#include "base/nearest.h"
#include "base/text.h"
#include "data/columnar/ipc.h"
#include "worker/slice/column_bridge.h"

namespace runink::slice {

using columnar::Batch;

namespace {

constexpr size_t kReasonMax = 4000;  // bytes; the other side takes lines up to 64 KiB

class StepHost {
 public:
  StepHost(const LoadedStep& step, const StepStreams& streams)
      : step_(step), streams_(streams), reader_(streams.read), writer_(step.output->schema, [this](std::string_view bytes) {
          out_ += bytes;  // a message has many small pieces
          return Status();
        }),
        host_{sizeof(runink_step_host), this, &StepHost::answer, &StepHost::refuse, &StepHost::fail} {}

  Status run() {
    RUNINK_RETURN_IF_ERROR(match(*RUNINK_TRY_CONTEXT(reader_.schema(), "read the records sent to step \"" + step_.name + "\"")));
    RUNINK_RETURN_IF_ERROR(writer_.write_schema());
    RUNINK_RETURN_IF_ERROR(write_out());
    for (;;) {
      auto batch = RUNINK_TRY_CONTEXT(reader_.next(), "read the records sent to step \"" + step_.name + "\"");
      if (!batch) break;
      RUNINK_RETURN_IF_ERROR(one_batch(*batch));
    }
    RUNINK_RETURN_IF_ERROR(writer_.finish());
    return write_out();
  }

 private:
  Status match(const columnar::Schema& sent) {
    const auto& wanted = *step_.input->schema;
    for (const auto& field : wanted.fields()) {
      const int at = sent.index_of(field.name);
      if (at < 0) {
        const auto near = nearest(field.name, sent.names());
        return failed_precondition("step \"{}\" reads the column {} of contract {}, and the records it is sent have none", step_.name,
                                   field.name, step_.input->name)
            .with_hint(near.empty() ? "they have " + join(sent.names(), ", ") : "is \"" + near[0] + "\" meant?");
      }
      const auto& type = sent.field(static_cast<size_t>(at)).type;
      // By their words: members of structs may differ in what they say about nulls.
      if (type.to_string() != field.type.to_string()) {
        return failed_precondition("step \"{}\" was compiled for {} as {}, and is sent {}", step_.name, field.name,
                                   field.type.to_string(), type.to_string())
            .with_hint("if the contract has changed, build the step again with: runi compile");
      }
      columns_.push_back(static_cast<size_t>(at));
    }
    return {};
  }

  Status one_batch(const Batch& batch) {
    const auto& wanted = *step_.input->schema;
    ColumnViews views;
    for (size_t i = 0; i < columns_.size(); ++i) {
      const auto& column = batch.columns[columns_[i]];
      if (!wanted.field(i).nullable && column.null_count() > 0) {
        int64_t row = 0;
        while (column.is_valid(row)) ++row;
        return failed_precondition("step \"{}\": record {} has no {}, which contract {} requires", step_.name,
                                   first_ + static_cast<uint64_t>(row), wanted.field(i).name, step_.input->name)
            .with_hint("check records against the contract before the step");
      }
      views.add(column);
    }
    rows_ = static_cast<uint64_t>(batch.rows);
    settled_ = 0;
    refused_.assign(batch.rows, 0);
    report_.clear();
    status_ = {};
    const runink_step_batch lent = {rows_, first_, views.data(), views.size()};
    if (streams_.before_batch) streams_.before_batch(first_, rows_);
    const int32_t code = step_.entry->process(&lent, &host_);
    if (!status_.ok()) return in_batch(std::move(status_));
    if (code != 0) return in_batch(aborted("the step failed with code {} and no message", code));
    if (settled_ != rows_) {
      return in_batch(failed_precondition("the step answered, rejected or dropped {} of {} records", settled_, rows_));
    }
    for (const Batch& answer : answers_) RUNINK_RETURN_IF_ERROR(writer_.write_batch(answer));
    RUNINK_RETURN_IF_ERROR(write_out());
    answers_.clear();
    first_ += rows_;
    if (streams_.marks) report_ += fmt::format("{{\"settled\":{}}}\n", first_);
    return report_.empty() ? Status() : streams_.report(report_);
  }

  Status write_out() {
    Status status = streams_.write(out_);
    out_.clear();
    return status;
  }

  Status in_batch(Status status) const {
    return std::move(status).with_context(fmt::format("step \"{}\", records {} to {}", step_.name, first_, first_ + rows_ - 1));
  }

  // Calls from the step. The first error stays.
  static int32_t answer(void* self, const runink_step_batch* rows) { return static_cast<StepHost*>(self)->take(rows); }
  static int32_t refuse(void* self, uint64_t row, int32_t action, runink_step_text reason) {
    return static_cast<StepHost*>(self)->take_refusal(row, action, reason);
  }
  static void fail(void* self, runink_step_text message) {
    auto* host = static_cast<StepHost*>(self);
    if (host->status_.ok()) host->status_ = aborted("{}", std::string_view(message.data, message.size));
  }
  int32_t keep(Status status) {
    if (status_.ok()) status_ = std::move(status);
    return 1;
  }

  int32_t take(const runink_step_batch* rows) {
    const auto& schema = step_.output->schema;
    if (rows->rows > rows_ - settled_) {
      return keep(failed_precondition("the step answered more records than the {} it was sent", rows_));
    }
    if (rows->column_count != schema->size()) {
      return keep(failed_precondition("the step answered {} columns, and contract {} has {}", rows->column_count, step_.output->name,
                                      schema->size()));
    }
    settled_ += rows->rows;
    if (rows->rows == 0) return 0;
    Batch batch;
    batch.schema = schema;
    batch.rows = static_cast<int64_t>(rows->rows);
    for (size_t i = 0; i < schema->size(); ++i) {
      const auto& field = schema->field(i);
      auto column = copy_column(rows->columns[i], field.type, field.nullable, batch.rows, field.name);
      if (!column.ok()) return keep(std::move(column).status());
      batch.columns.push_back(std::move(*column));
    }
    answers_.push_back(std::move(batch));
    return 0;
  }

  int32_t take_refusal(uint64_t row, int32_t action, runink_step_text reason) {
    if (row >= rows_) return keep(failed_precondition("the step refused row {} of a batch of {}", row, rows_));
    if (refused_[row] != 0) return keep(failed_precondition("the step refused record {} twice", first_ + row));
    if (action != RUNINK_STEP_REJECT && action != RUNINK_STEP_DROP) return keep(failed_precondition("{} is no action", action));
    if (settled_ >= rows_) return keep(failed_precondition("the step answered, rejected or dropped more records than the {} it was sent", rows_));
    refused_[row] = 1;
    ++settled_;
    // A longer reason is cut, at a character.
    size_t size = reason.size;
    if (size > kReasonMax) {
      size = kReasonMax;
      while (size > 0 && (static_cast<unsigned char>(reason.data[size]) & 0xC0) == 0x80) --size;
    }
    report_ += fmt::format("{{\"record\":{},\"action\":\"{}\",\"reason\":{}}}\n", first_ + row,
                           action == RUNINK_STEP_DROP ? "drop" : "reject", json_quote({reason.data, size}));
    return 0;
  }

  const LoadedStep& step_;
  const StepStreams& streams_;
  std::string out_;  // written, not yet passed on
  columnar::IpcReader reader_;
  columnar::IpcWriter writer_;
  runink_step_host host_;
  std::vector<size_t> columns_;  // of the stream, per column of the input contract
  uint64_t first_ = 0, rows_ = 0, settled_ = 0;
  std::vector<uint8_t> refused_;
  std::string report_;
  std::vector<Batch> answers_;
  Status status_;
};

}  // namespace

Status run_step(const LoadedStep& step, const StepStreams& streams) { return StepHost(step, streams).run(); }

}  // namespace runink::slice
