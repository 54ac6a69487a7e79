// ErrorTail: the last lines that a program wrote to its standard error, kept while it runs.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "base/stop.h"
#include "data/connectors/locator.h"
#include "platform/os/fd.h"
#include "platform/os/process.h"

namespace runink::connectors {

class ErrorTail {
 public:
  ErrorTail() = default;
  explicit ErrorTail(os::Fd read_end, ProgramWords words = {})  // set non-blocking by the caller
      : fd_(std::move(read_end)), words_(std::move(words)) {}

  int descriptor() const { return fd_.valid() ? fd_.get() : -1; }  // for poll, which ignores -1
  void take();                                                     // once, when it can be read
  void drain();                                                    // all there is now

  // Waits for the child to end (looking at the stop flag); OK if it succeeded, else what it died of with its last
  // lines.
  Status wait(os::Child& child, std::string_view name, const char* kind, const StopFlag* stop);

 private:
  os::Fd fd_;
  ProgramWords words_;
  std::string tail_;
};

// The failure with the last lines of what a program wrote to its standard error, each behind `prefix`; see ProgramWords.
Status with_last_words(Status failure, std::string_view said, const std::string& prefix, const ProgramWords& words);

Status interrupted();  // kCancelled, kind "run.interrupted"

}  // namespace runink::connectors
