// Runs one step over a stream: Arrow IPC in, Arrow IPC out, refusals as JSON lines (see client/local/step_process.h).
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "worker/slice/step_library.h"

namespace runink::slice {

// Where the stream comes from and where everything goes. Each returns an error of its own, or does all of it.
struct StepStreams {
  std::function<Result<size_t>(char* into, size_t size)> read;  // as columnar::IpcPull
  std::function<Status(std::string_view bytes)> write;          // Arrow IPC
  std::function<Status(std::string_view lines)> report;         // what became of records that are not answered
  bool marks = false;                                           // report after each batch that it is settled
  // Before each batch goes to the step: its records, by number. For messages about a crash.
  std::function<void(uint64_t first, uint64_t count)> before_batch;
};

// Until the stream ends. Columns of the step's input contract are found by name in the stream, and must have the contract's
// types. Errors name the step and the records concerned; the step's own words are in the message.
Status run_step(const LoadedStep& step, const StepStreams& streams);

}  // namespace runink::slice
