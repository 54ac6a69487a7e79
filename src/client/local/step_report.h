// What a custom step says on descriptor 3: which records it refuses or drops. See step_process.h for the format.
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
  explicit StepReportReader(std::string step, bool hides = false) : step_(std::move(step)), hides_(hides) {}
  // Any piece of the stream. A line that is not a report is an error that shows it.
  Status add(std::string_view bytes, std::vector<engine::StepProcess::Refusal>* out);
  Status finish(std::vector<engine::StepProcess::Refusal>* out);

 private:
  Status line(std::string_view text, std::vector<engine::StepProcess::Refusal>* out);
  std::string step_, rest_;
  bool hides_;
  uint64_t lines_ = 0;
};

}  // namespace runink::local
