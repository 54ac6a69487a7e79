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

#include <memory>
#include <string>

#include "base/status.h"
#include "base/stop.h"
#include "data/connectors/locator.h"
#include "data/engine/io.h"

namespace runink::local {

struct StepOptions {
  std::string project_root;
  std::string runi_slice;      // program for C++ steps; empty: runi-slice beside this program or in its libexec
  std::string temp_folder;
  connectors::ProgramWords words;  // private where the step is sent pii fields; its report is then not shown either
  const StopFlag* stop = nullptr;
  int64_t default_timeout_micros = 60'000'000;
};

Result<std::unique_ptr<engine::StepProcess>> start_step_process(const plan::Operator& op,
                                                                const columnar::SchemaPtr& input,
                                                                const StepOptions& options);

// A stand-in: answers with the records of a file (NDJSON), whatever it is sent. For golden cases.
Result<std::unique_ptr<engine::StepProcess>> replay_step(const plan::Operator& op, const std::string& path);

}  // namespace runink::local
