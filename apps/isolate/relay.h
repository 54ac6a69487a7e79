// Bytes that a stage in a slice is not to read or write itself: what a program of the host gives or takes, a terminal,
// a device. A thread of the runner passes them on through a pipe.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>

#include "base/status.h"
#include "base/stop.h"
#include "data/connectors/file_sink.h"
#include "data/connectors/raw_input.h"
#include "platform/os/fd.h"

namespace runink::isolate {

// From an input to the stage.
class InputRelay {
 public:
  // The input was opened with `stop`, too.
  static Result<std::unique_ptr<InputRelay>> start(std::unique_ptr<connectors::RawInput> input, const StopFlag& stop);
  ~InputRelay();
  os::Fd take_stage_end() { return std::move(stage_end_); }
  bool done() const { return done_; }  // finish() does not wait
  // Once the stage has read to the end: whether that was the input's end. Waits for the thread.
  Status finish();

 private:
  InputRelay(std::unique_ptr<connectors::RawInput> input, os::Pipe pipe, const StopFlag& stop);
  Status pass_on();
  StopFlag stop_;
  std::unique_ptr<connectors::RawInput> input_;
  os::Fd out_, stage_end_;
  Status status_;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

// From the stage to an output.
class OutputRelay {
 public:
  static Result<std::unique_ptr<OutputRelay>> start(std::unique_ptr<connectors::OutputFile> output,
                                                    const StopFlag& stop);
  ~OutputRelay();
  os::Fd take_stage_end() { return std::move(stage_end_); }
  bool done() const { return done_; }  // finish() does not wait
  // Once the stage has written all, or could write no more: what became of it. Waits for the thread.
  Status finish();
  uint64_t bytes_written() const { return written_; }  // any time

 private:
  OutputRelay(std::unique_ptr<connectors::OutputFile> output, os::Pipe pipe, const StopFlag& stop);
  Status pass_on();
  StopFlag stop_;
  std::unique_ptr<connectors::OutputFile> output_;
  os::Fd in_, stage_end_;
  std::atomic<uint64_t> written_{0};
  Status status_;
  std::atomic<bool> done_{false};
  std::thread thread_;
};

}  // namespace runink::isolate
