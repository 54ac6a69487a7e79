// Where bytes go: a file published atomically, a file appended to, standard output, or a program's standard input.
//
// One thread at a time. Every error names the target and what was attempted (a full disk is kResourceExhausted, a
// closed pipe kAborted with kind "sink.closed"); after an error nothing more is accepted, and publish() is refused. A
// path that is a FIFO or a device is written to like standard output. A terminal is given no control bytes (terminal_text.h),
// everything else the bytes as they are.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"
#include "base/stop.h"
#include "data/connectors/locator.h"
#include "platform/os/temp.h"

namespace runink::connectors {

enum class SinkMode : uint8_t {
  kReplace,  // a file: written beside its target, renamed over it by publish()
  kAppend,   // a file: kept aside like kReplace, its bytes appended to the target by publish()
  kFail,     // kAlreadyExists if the file is there when opened or when published
};
Result<SinkMode> parse_sink_mode(std::string_view word);  // "replace", "append", "fail"; "" is replace

struct OutputOptions {
  SinkMode mode = SinkMode::kReplace;
  unsigned permissions = 0644;     // before the umask; 0600 for anything with raw records
  bool make_folders = true;        // missing parents of the target
  std::string temp_path;           // kReplace, kFail: a name chosen and recorded by the caller; empty: made here
  // Ends a wait for a program or a reader that does not read, or for one to open a FIFO: kCancelled, "run.interrupted".
  const StopFlag* stop = nullptr;
};

class OutputFile {
 public:
  virtual ~OutputFile() = default;  // unpublished: discards
  virtual Status write(std::string_view bytes) = 0;
  // No more bytes: flushes, syncs a file if asked to, waits for a program to end (its failure is an error). Nothing is
  // visible yet. Calls after the first do nothing.
  virtual Status finish(bool sync = true) = 0;
  // Makes a finished file visible. For standard output and programs, which cannot take back, does nothing.
  virtual Status publish() = 0;
  virtual void discard() = 0;
  virtual uint64_t bytes_written() const = 0;
  // True if nothing is visible before publish().
  virtual bool atomic() const = 0;
  // False if what is written continues a file that has content (kAppend): no CSV header then.
  virtual bool starts_empty() const { return true; }
  // For publishing several at once (data/ledger): the file behind a kReplace or kFail sink, else null.
  virtual os::AtomicFile* atomic_file() { return nullptr; }
  const std::string& name() const { return name_; }

 protected:
  std::string name_;
};

// The locator's compression is not applied here: writers compress (see compress()).
Result<std::unique_ptr<OutputFile>> open_output(const Locator& locator, const OutputOptions& options);

}  // namespace runink::connectors
