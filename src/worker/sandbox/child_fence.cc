// Landlock: what the program may do with files wherever they lie, put up just before the filter for system calls.
//
// It is the second fence behind the mounts. It also holds where mounts cannot: a file of the host that is a stream of
// the program is open for reading or for writing, and /proc/self/fd would open it again for both.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/sandbox/child.h"
#include "worker/sandbox/landlock.h"
#include "worker/sandbox/raw_calls.h"

namespace runink::sandbox {
namespace {

PathGrant path_grant(uint64_t grant) noexcept {
  return {.read = (grant & kGrantRead) != 0,
          .execute = (grant & kGrantExecute) != 0,
          .write = (grant & kGrantWrite) != 0,
          .device = (grant & kGrantDevice) != 0};
}

int allow(int fence, int place, uint64_t grant, int abi) noexcept {
  struct stat info = {};
  if (::fstat(place, &info) != 0) return errno;
  return allow_path(fence, place, access_bits(path_grant(grant), S_ISDIR(info.st_mode), abi));
}

// From the root, wherever the working folder is by now.
int allow_below(const ProgramStep& step, int abi, ProgramState* state) noexcept {
  if (state->root < 0) {
    const int root = ::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) return errno;
    state->root = ::fcntl(root, F_DUPFD_CLOEXEC, kAboveStreams);
    ::close(root);
    if (state->root < 0) return errno;
  }
  const char* path = step.path.data()[0] == '\0' ? "." : step.path.data();
  const int place = raw::openat2(state->root, path, O_PATH | O_CLOEXEC, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
  const int error = place < 0 ? errno : allow(state->fence, place, step.number, abi);
  if (place >= 0) ::close(place);
  return error;
}

int allow_stream(int fence, int stream, uint64_t grant, int abi) noexcept {
  constexpr bool kFolder = false;  // the launcher has looked
  const int error = allow_path(fence, stream, access_bits(path_grant(grant), kFolder, abi));
  // Pipes, sockets and the like lie nowhere, and Landlock lets them be.
  return error == EBADFD ? 0 : error;
}

}  // namespace

int put_up_fence(const ProgramStep& step, ProgramState* state) noexcept {
  static const int abi = landlock_abi();
  switch (step.action) {
    case Action::kMakeFence: {
      const int made = make_ruleset(abi, false);
      if (made < 0) return -made;
      state->fence = ::fcntl(made, F_DUPFD_CLOEXEC, kAboveStreams);
      const int error = state->fence < 0 ? errno : 0;
      ::close(made);
      return error;
    }
    case Action::kAllowPath:
      return allow_below(step, abi, state);
    case Action::kAllowStreams:
      for (size_t i = 0; i < state->streams.size(); ++i) {
        const uint64_t grant = state->order.stream_grants[i];
        if (const int error = allow_stream(state->fence, state->streams[i], grant, abi); error != 0) return error;
      }
      return 0;
    case Action::kEnterFence: {
      const int error = restrict_self(state->fence);
      ::close(state->fence);
      state->fence = -1;
      return error;
    }
    default:
      return ENOSYS;  // not an operation of the fence: a bug of the plan
  }
}

}  // namespace runink::sandbox
