// Custom steps: a program, or a C++ step inside runi-slice, as a process that answers rows.
//
// Standard input and output carry NDJSON or Arrow IPC. On descriptor 3 the step may say what became of a record it does
// not answer, one JSON object a line:
//
//   {"record": 17, "action": "reject", "reason": "no such aircraft"}     a dead letter
//   {"record": 18, "action": "drop", "reason": "test flight"}            dropped, counted by reason
//
// `record` counts the records sent from 0. Every record must be answered, rejected or dropped, once. There it may also
// say that every record before one is settled: answered, rejected or dropped, and the latter two said. The engine then
// forgets those records. A C++ step says so after each batch.
//
//   {"settled": 4096}
//
// A step that is sent pii fields may say anything of them. Then its standard error is not shown but kept in a file that
// only its owner can read, and its reasons go to the dead letters alone (the engine sees to that).
//
// The run fails, naming the step and its last lines of standard error, when the process exits with anything but 0, dies,
// makes no progress for its timeout (neither reads nor writes although it could), writes what is no record of its
// contract, or leaves children behind (they are ended).
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "base/stop.h"
#include "data/connectors/locator.h"
#include "data/engine/io.h"
#include "platform/os/fd.h"
#include "platform/os/process.h"

namespace runink::local {

struct StepOptions {
  std::string project_root;
  std::string runi_slice;      // program for C++ steps; empty: runi-slice beside this program or in its libexec
  std::string temp_folder;
  connectors::ProgramWords words;  // private where the step is sent pii fields; its report is then not shown either
  const StopFlag* stop = nullptr;
  int64_t default_timeout_micros = 60'000'000;
};

// Who has started a step's process and ends it: this process (start_local_step), or for a stage that runs in a slice the
// process outside (apps/isolate). Any thread, several at once. Destroyed, it has ended all of the step.
class StepKeeper {
 public:
  virtual ~StepKeeper() = default;
  virtual int end_descriptor() const = 0;  // readable once the process itself has ended, for poll; -1: there is none
  // At most `millis`; nullopt: it still runs.
  virtual Result<std::optional<os::ExitStatus>> wait(int millis) = 0;
  virtual void kill() = 0;            // at once, without waiting for it
  virtual void end() = 0;             // all that is left of it
  virtual size_t left_behind() = 0;   // processes that run although it has ended
  // A failure of the step with what it last wrote to standard error. After end().
  virtual Status with_last_words(Status failure) = 0;
};

struct StartedStep {
  std::unique_ptr<StepKeeper> keeper;
  os::Fd input, output, report;  // ends of pipes: its standard input (to write), its output and descriptor 3 (to read)
};

// How the step's program is called, and in which format it speaks.
struct StepCommand {
  std::vector<std::string> argv;
  std::string library;  // of a C++ step: the absolute path of its shared object
};
// kNotFound, kFailedPrecondition for a C++ step that is not built or not as the sources are now.
Result<StepCommand> step_command(const plan::Operator& op, const StepOptions& options);

// As a child of this process.
Result<StartedStep> start_local_step(const plan::Operator& op, const StepOptions& options);
// Rows to and from a step that has been started. `op` outlives it.
Result<std::unique_ptr<engine::StepProcess>> drive_step(const plan::Operator& op, const columnar::SchemaPtr& input,
                                                        const StepOptions& options, StartedStep started);

// Both.
Result<std::unique_ptr<engine::StepProcess>> start_step_process(const plan::Operator& op,
                                                                const columnar::SchemaPtr& input,
                                                                const StepOptions& options);

// The last bytes that a step wrote to standard error, kept while it runs by a thread that reads them.
class LastWords {
 public:
  explicit LastWords(os::Fd read_end);
  ~LastWords();
  // The step has ended, or is being killed: reading goes on only while there is something to read.
  void give_up();
  // Waits until there is nothing more to read.
  std::string take();

 private:
  void read();
  os::Fd fd_;
  std::atomic<bool> given_up_{false};
  std::mutex mutex_;
  std::string words_;
  std::thread thread_;
};

// A stand-in: answers with the records of a file (NDJSON), whatever it is sent. For golden cases.
Result<std::unique_ptr<engine::StepProcess>> replay_step(const plan::Operator& op, const std::string& path);

}  // namespace runink::local
