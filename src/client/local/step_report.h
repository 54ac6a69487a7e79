// What a custom step says on descriptor 3: which records it refuses or drops, and up to where all are settled. See
// step_process.h for the format.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "data/engine/io.h"

namespace runink::local {

class StepReportReader {
 public:
  // `hides`: what the step writes may hold pii, so that errors show none of it.
  StepReportReader(std::string step, engine::StepReports& reports, bool hides = false)
      : step_(std::move(step)), reports_(reports), hides_(hides) {}
  // Any piece of the stream; passes on what is whole. A line that is not a report is an error that shows it.
  Status add(std::string_view bytes);
  Status finish();
  // So far.
  uint64_t rejected() const { return rejected_; }
  uint64_t dropped() const { return dropped_; }

 private:
  Status line(std::string_view text);
  Status settled(uint64_t before);
  Status pass_on();
  std::string step_, rest_;
  engine::StepReports& reports_;
  bool hides_;
  std::vector<engine::StepRefusal> refusals_;  // read, not passed on
  uint64_t lines_ = 0, rejected_ = 0, dropped_ = 0, settled_ = 0;
};

}  // namespace runink::local
