// Replaying dead letters: their original bytes go through the present version of the scenario that refused them.
//
// What passes now is added to the scenario's outputs (whatever their mode says otherwise), in one step with the note of
// what became of each letter: either both are there or neither, so that a repeated replay adds nothing. A letter that is
// refused again stays pending and is not written a second time.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "base/stop.h"
#include "client/local/local_io.h"
#include "client/local/project.h"
#include "data/ledger/dead_letters.h"

namespace runink::local {

struct ReplayOptions {
  ledger::DeadLetterFilter filter;   // which letters; those that are not pending are left out in any case
  CompileOptions compile;
  std::optional<int64_t> now_micros;
  std::string command;
  std::string runi_slice;
  const StopFlag* stop = nullptr;
  std::function<void(const std::string&)> on_note;
};

// Letters of one scenario and one source file.
struct ReplayResult {
  std::string feature, scenario, source;
  std::string run_id;                 // empty where no run was made of it
  uint64_t letters = 0, accepted = 0, rejected = 0, dropped = 0;
  std::map<std::string, uint64_t> reasons;  // rejected again: by rule
  std::vector<SinkState> sinks;
  std::vector<std::string> stale;     // scenarios that have read these outputs, without the records added now
  Status status;                      // why these were not replayed
};

// Empty where no letter is pending. An error only where nothing could be begun (another run holds the project).
Result<std::vector<ReplayResult>> replay_dead_letters(const Project& project, const ReplayOptions& options);

}  // namespace runink::local
