// One slice, from its start to its end.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/slice_spec.h"
#include "platform/os/fd.h"
#include "worker/sandbox/id_range.h"
#include "worker/sandbox/operations.h"
#include "worker/sandbox/slice_group.h"

namespace runink::sandbox {

// Kinds of the error of a program that could not be executed; that of a sandbox that could not be made has neither.
inline constexpr const char* kKindProgramMissing = "slice.program.missing";
inline constexpr const char* kKindProgramRefused = "slice.program.refused";

struct SliceEnd {
  bool exited = false;                  // else ended by a signal
  int code = 0;                         // exit code, when exited
  int signal = 0;                       // else
  std::vector<std::string> limits_hit;  // a sentence for each limit that the slice ran into
};

// Descriptors of the caller that the program gets as 0, 1 and 2.
struct SliceStreams {
  int input = 0, output = 1, error = 2;
};

// A running slice. Move-only; not for two threads at once. The destructor kills all of it and reaps; so does the
// kernel when the thread that started it ends, however it ends.
//
// Start it from a thread that lives as long as the slice may. The child is a copy of the calling process, which should
// therefore be small.
class Slice {
 public:
  // OK once the program is executed. A failure before that comes back whole: what was attempted and why it could not be
  // done. `operations` and `spec` are used only in this call.
  static Result<Slice> start(const model::SliceSpec& spec, const Operations& operations, const SliceStreams& streams);

  Slice() = default;
  Slice(Slice&& other) noexcept;
  Slice& operator=(Slice&& other) noexcept;
  ~Slice();

  int pid_descriptor() const { return pidfd_.get(); }  // readable once the slice has ended: for poll
  pid_t pid() const { return pid_; }                   // of process 1, on the host

  // Waits at most timeout_micros (-1: for ever; 0: only looks) for the program's end, which is the slice's. nullopt:
  // still running. After the end: the same again.
  Result<std::optional<SliceEnd>> wait(int64_t timeout_micros);

  // To the program's process group. A slice that has ended is OK.
  Status signal(int signal);
  // Ends every process of the slice. Returns at once; wait() tells when it is done.
  void kill();

 private:
  void end();

  pid_t pid_ = -1;
  os::Fd pidfd_, end_pipe_;
  IdRange ids_;
  SliceGroup group_;
  std::optional<SliceEnd> ended_;
};

}  // namespace runink::sandbox
