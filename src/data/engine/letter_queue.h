// Rejected records that wait for their turn at the dead letters, in order: in memory first, then on disk.
//
// Pipelines that run at the same time each have one, so that the order of dead letters does not depend on timing.
// One thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/status.h"
#include "data/engine/io.h"
#include "platform/os/temp.h"

namespace runink::engine {

class LetterQueue {
 public:
  explicit LetterQueue(std::string folder) : folder_(std::move(folder)) {}

  // `op`: the operator that rejected it. record.step is not kept.
  Status add(uint32_t op, const RejectedRecord& record);
  uint64_t size() const { return size_; }
  // All of them, in order; the queue is then empty. Views hold for the call only; record.step is empty.
  Status drain(const std::function<Status(uint32_t op, const RejectedRecord& record)>& take);

 private:
  std::string folder_;
  std::string memory_;  // newer than what is in the file
  os::SpillFile file_;
  uint64_t size_ = 0;
};

}  // namespace runink::engine
