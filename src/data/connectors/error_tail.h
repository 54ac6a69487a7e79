// ErrorTail: the last lines that a program wrote to its standard error, kept while it runs.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "base/stop.h"
#include "platform/os/fd.h"
#include "platform/os/process.h"

namespace runink::connectors {

class ErrorTail {
 public:
  ErrorTail() = default;
  explicit ErrorTail(os::Fd read_end) : fd_(std::move(read_end)) {}  // set non-blocking by the caller

  int descriptor() const { return fd_.valid() ? fd_.get() : -1; }  // for poll, which ignores -1
  void take();                                                     // once, when it can be read
  void drain();                                                    // all there is now

  // Waits for the child to end (looking at the stop flag); OK if it succeeded, else what it died of with its last
  // lines.
  Status wait(os::Child& child, std::string_view name, const char* kind, const StopFlag* stop);

 private:
  os::Fd fd_;
  std::string tail_;
};

Status interrupted();  // kCancelled, kind "run.interrupted"

}  // namespace runink::connectors
