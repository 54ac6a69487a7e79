// What happens in the slice between clone3 and execveat: process 1 sets the slice up and stays as its init; a child of
// it gives up what is left of privilege and becomes the program.
//
// Everything here runs in a copy of the launcher's memory, in which another thread may have held a lock when it was
// made: so nothing is allocated, no lock is taken, only async-signal-safe calls are made, and texts are those of the
// plan. What goes wrong travels to the launcher as the number of the operation and errno.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>

#include "model/slice_spec.h"
#include "worker/sandbox/operations.h"
#include "worker/sandbox/seccomp.h"

namespace runink::sandbox {

// Sent through the start pipe by the one that failed; its end without a report means that the program runs.
struct StartFailure {
  uint32_t operation = 0;  // index into the list
  int32_t error = 0;       // errno
};

// Sent through the end pipe by process 1 when the program has ended.
struct ProgramEnd {
  int32_t wait_status = 0;
};

struct ChildSource {
  int tree = -1;  // the detached mount; -1: cloned inside
  dev_t device = 0;
  ino_t inode = 0;
};

// All of it prepared before the clone, and only read after it; `sources` is written to.
struct ChildContext {
  const Operations* operations = nullptr;
  const model::SliceSpec* spec = nullptr;
  ChildSource* sources = nullptr;
  const SeccompFilter* filter = nullptr;
  char* const* argv = nullptr;         // ends with null
  char* const* environment = nullptr;  // ends with null
  int go_read = -1;                    // one byte: the ids are mapped; its end: the launcher is gone
  int go_write = -1;                   // the launcher's; closed first, so that its end is seen
  int start_write = -1, end_write = -1;
  int ids_lock = -1;           // kept by process 1: the ids are free again when the last process is gone; -1: none
  int streams[3] = {0, 1, 2};  // what the program gets as 0, 1 and 2
};

// Process 1 of the slice. Signals are blocked when it is called, and stay so.
[[noreturn]] void run_child(const ChildContext& context) noexcept;

// One operation of Place::kInit (child_setup.cc) and Place::kProgram (child_program.cc): 0 or errno.
struct SetupState {
  int root = -1;  // the slice's root
};
int set_up(const ChildContext& context, const Operation& operation, SetupState* state) noexcept;

struct ProgramState {
  int program = -1;            // O_PATH
  const char* path = nullptr;  // in the slice
  bool script = false;         // begins with "#!"
};
int become_program(const ChildContext& context, const Operation& operation, ProgramState* state) noexcept;

}  // namespace runink::sandbox
