#include "data/engine/step_books.h"

#include <algorithm>

#include "data/columnar/builder.h"
#include "data/columnar/value.h"

namespace runink::engine {

using columnar::Value;

namespace {

constexpr uint64_t kPendingBytesMax = uint64_t{4} << 20;

SchemaPtr refusal_schema() {
  static const SchemaPtr schema =
      std::make_shared<const columnar::Schema>(std::vector<columnar::Field>{{"record", columnar::TypeId::kUInt64},
                                                                            {"dropped", columnar::TypeId::kBool},
                                                                            {"reason", columnar::TypeId::kString}});
  return schema;
}

}  // namespace

StepBooks::StepBooks(const plan::Operator& op, SchemaPtr input, std::string folder, uint64_t memory_bytes_max,
                     bool again, bool sent_pii, MakeReject make_reject, std::atomic<uint64_t>& progress)
    : op_(op),
      folder_(folder),
      memory_max_(memory_bytes_max),
      again_(again),
      sent_pii_(sent_pii),
      make_reject_(std::move(make_reject)),
      progress_(progress),
      sent_(folder, std::move(input), memory_bytes_max, again),
      letters_(std::move(folder)) {}

Status StepBooks::unbalanced(const std::string& what) const {
  return failed_precondition("step \"{}\" {}", op_.name, what).with_kind("step.unbalanced");
}

Status StepBooks::sent(const Batch& batch) {
  std::lock_guard lock(mutex_);
  return sent_.add(batch);
}

Status StepBooks::answered(uint64_t rows) {
  std::lock_guard lock(mutex_);
  answered_ += rows;
  return settle_if_even();
}

Status StepBooks::refused(std::vector<StepRefusal> refusals) {
  std::lock_guard lock(mutex_);
  for (auto& refusal : refusals) {
    if (refusal.record >= sent_.end()) {
      return unbalanced(fmt::format("refused record {}, and was sent {}, counted from 0", refusal.record, sent_.end()));
    }
    if (refusal.record < sent_.settled()) {
      return unbalanced(fmt::format("refused record {}, when every record before {} had been answered or refused",
                                    refusal.record, sent_.settled()));
    }
    pending_bytes_ += sizeof refusal + refusal.reason.size();
    pending_.push_back(std::move(refusal));
  }
  refused_ += refusals.size();
  RUNINK_RETURN_IF_ERROR(settle_if_even());
  return pending_bytes_ > kPendingBytesMax ? set_aside() : Status();
}

Status StepBooks::settled(uint64_t before) {
  std::lock_guard lock(mutex_);
  if (before > sent_.end()) {
    return unbalanced(fmt::format("says that {} records are settled, and was sent {}", before, sent_.end()));
  }
  return before > sent_.settled() ? settle(before) : Status();
}

Status StepBooks::settle_if_even() { return answered_ + refused_ == sent_.end() ? settle(sent_.end()) : Status(); }

Status StepBooks::settle(uint64_t before) {
  if (again_ || set_aside_) return {};
  std::vector<StepRefusal> now;
  std::vector<StepRefusal> later;
  pending_bytes_ = 0;
  for (auto& refusal : pending_) {
    if (refusal.record >= before) pending_bytes_ += sizeof refusal + refusal.reason.size();
    (refusal.record < before ? now : later).push_back(std::move(refusal));
  }
  pending_ = std::move(later);
  return settle_sorted(std::move(now), before);
}

// By record; of two for the same record the one said first.
Status StepBooks::settle_sorted(std::vector<StepRefusal> refusals, uint64_t before) {
  std::stable_sort(refusals.begin(), refusals.end(), [](const auto& a, const auto& b) { return a.record < b.record; });
  std::vector<uint64_t> records;
  for (const auto& refusal : refusals) {
    if (refusal.record < sent_.settled() || (!records.empty() && records.back() == refusal.record)) {
      return unbalanced(fmt::format("said twice what became of record {}", refusal.record));
    }
    records.push_back(refusal.record);
  }
  return sent_.settle(before, records, [&](const Batch& batch, int64_t row, size_t index) -> Status {
    const StepRefusal& refusal = refusals[index];
    if (refusal.dropped) {
      ++dropped_[refusal.reason.empty() || sent_pii_ ? "dropped by the step" : refusal.reason];
      return {};
    }
    RejectedRecord::Rule rule{"step", "", "refused by the step", ""};
    if (!refusal.reason.empty()) (sent_pii_ ? rule.words : rule.message) = refusal.reason;
    const PendingReject reject = make_reject_(batch, row, {std::move(rule)});
    ++rejected_;
    ++progress_;
    return letters_.add(op_.id, record_of(reject));
  });
}

Status StepBooks::set_aside() {
  if (!set_aside_) {
    set_aside_ =
        std::make_unique<ExternalSorter>(folder_, refusal_schema(), std::vector<ExternalSorter::Key>{{0, false}},
                                         std::max(memory_max_, kPendingBytesMax));
  }
  for (size_t at = 0; at < pending_.size();) {
    columnar::BatchBuilder builder(refusal_schema());
    for (int64_t r = 0; r < columnar::kBatchRows && at < pending_.size(); ++r, ++at) {
      builder.append_row(
          {Value(pending_[at].record), Value(pending_[at].dropped), Value(std::move(pending_[at].reason))});
    }
    RUNINK_RETURN_IF_ERROR(set_aside_->add(builder.finish()));
  }
  pending_.clear();
  pending_bytes_ = 0;
  return {};
}

Status StepBooks::settle_all_set_aside() {
  RUNINK_RETURN_IF_ERROR(set_aside());
  auto next = RUNINK_TRY(set_aside_->finish());
  for (;;) {
    auto batch = RUNINK_TRY(next());
    if (!batch) break;
    std::vector<StepRefusal> refusals;
    for (int64_t r = 0; r < batch->rows; ++r) {
      refusals.push_back({batch->columns[0].data<uint64_t>()[r], batch->columns[1].data<uint8_t>()[r] != 0,
                          std::string(batch->columns[2].text(r))});
    }
    const uint64_t before = refusals.back().record + 1;
    RUNINK_RETURN_IF_ERROR(settle_sorted(std::move(refusals), before));
  }
  refusals_spilled_ = set_aside_->spilled_bytes();
  set_aside_.reset();
  return settle_sorted({}, sent_.end());
}

Status StepBooks::ended() {
  std::lock_guard lock(mutex_);
  if (set_aside_) return settle_all_set_aside();
  return settle_sorted(std::exchange(pending_, {}), sent_.end());
}

void StepBooks::begin_again() {
  std::lock_guard lock(mutex_);
  answered_ = refused_ = 0;
  pending_.clear();
  pending_bytes_ = 0;
  set_aside_.reset();
}

uint64_t StepBooks::spilled_bytes() const {
  std::lock_guard lock(mutex_);
  return sent_.spilled_bytes() + refusals_spilled_;
}

}  // namespace runink::engine
