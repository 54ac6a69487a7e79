// The books of a custom step: which records it was sent, which it refused, and which of them are settled.
//
// A record is settled once it was answered, rejected or dropped; only then can the engine forget it. Which records that
// is, the step may say (StepReports::settled). Else it is known whenever as many were answered and refused as were
// sent, and at the end. Refusals wait in memory for that, and on disk where there are many. Rejected records become
// letters, in the order of the records.
//
// Any thread.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "data/engine/letter_queue.h"
#include "data/engine/node.h"
#include "data/engine/sent_rows.h"

namespace runink::engine {

class StepBooks final : public StepReports {
 public:
  using MakeReject = std::function<PendingReject(const Batch&, int64_t row, std::vector<RejectedRecord::Rule>)>;
  // `again`: the step may be run again, so rows are kept whole, and nothing is settled before its end.
  // `sent_pii`: the step's reasons are words of a program, in which values cannot be told from other words, so they are
  // for the letter alone. `progress`: counts rejected records.
  StepBooks(const plan::Operator& op, SchemaPtr input, std::string folder, uint64_t memory_bytes_max, bool again,
            bool sent_pii, MakeReject make_reject, std::atomic<uint64_t>& progress);

  // Before they are sent. Line numbers of their chunk must be known.
  Status sent(const Batch& batch);
  Status answered(uint64_t rows);

  // What the step says. Errors name the step and the record.
  Status refused(std::vector<StepRefusal> refusals) override;
  Status settled(uint64_t before) override;
  Status ended() override;

  // Another process is sent the same rows from the first. Nobody else uses the books meanwhile.
  void begin_again();
  BatchList::Next reread() const { return sent_.reread(); }

  // Once the step has ended, or was ended.
  LetterQueue& letters() { return letters_; }
  uint64_t rejected() const { return rejected_; }
  const std::map<std::string, uint64_t>& dropped() const { return dropped_; }
  uint64_t spilled_bytes() const;

 private:
  Status settle_if_even();
  Status settle(uint64_t before);
  Status settle_sorted(std::vector<StepRefusal> refusals, uint64_t before);
  Status set_aside();
  Status settle_all_set_aside();
  Status unbalanced(const std::string& what) const;

  const plan::Operator& op_;
  std::string folder_;
  const uint64_t memory_max_;
  const bool again_, sent_pii_;
  const MakeReject make_reject_;
  std::atomic<uint64_t>& progress_;

  mutable std::mutex mutex_;
  SentRows sent_;
  uint64_t answered_ = 0, refused_ = 0;
  std::vector<StepRefusal> pending_;  // not settled, in the order said
  uint64_t pending_bytes_ = 0;
  std::unique_ptr<ExternalSorter> set_aside_;  // refusals too many for memory: settled at the end only
  uint64_t refusals_spilled_ = 0;
  LetterQueue letters_;
  uint64_t rejected_ = 0;
  std::map<std::string, uint64_t> dropped_;
};

}  // namespace runink::engine
