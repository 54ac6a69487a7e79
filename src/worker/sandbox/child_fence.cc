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

// Takes over `fd`. -1 and errno on failure, also where it was -1.
int move_above(int fd) noexcept {
  if (fd < 0) return -1;
  const int above = ::fcntl(fd, F_DUPFD_CLOEXEC, kAboveStreams);
  const int error = errno;
  ::close(fd);
  errno = error;
  return above;
}

int open_root() noexcept { return move_above(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)); }

// From the root, wherever the working folder is by now. 0 or errno.
int find_place(int root, const char* path, uint64_t grant, int abi, FencePlace* out) noexcept {
  out->place =
      raw::openat2(root, *path == '\0' ? "." : path, O_PATH | O_CLOEXEC, RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS);
  struct stat info = {};
  if (out->place < 0 || ::fstat(out->place, &info) != 0) return errno;
  out->access = access_bits(path_grant(grant), S_ISDIR(info.st_mode), abi);
  return 0;
}

int allow_below(const ProgramStep& step, int abi, ProgramState* state) noexcept {
  if (!state->places.empty()) {
    const FencePlace& open = state->places.front();
    state->places = state->places.subspan(1);
    return allow_path(state->fence, open.place, open.access);
  }
  if (state->root < 0) state->root = open_root();
  if (state->root < 0) return errno;
  FencePlace found;
  int error = find_place(state->root, step.path.data(), step.number, abi, &found);
  if (error == 0) error = allow_path(state->fence, found.place, found.access);
  if (found.place >= 0) ::close(found.place);
  return error;
}

int allow_stream(int fence, int stream, uint64_t grant, int abi) noexcept {
  constexpr bool kFolder = false;  // the launcher has looked
  const int error = allow_path(fence, stream, access_bits(path_grant(grant), kFolder, abi));
  // Pipes, sockets and the like lie nowhere, and Landlock lets them be.
  return error == EBADFD ? 0 : error;
}

}  // namespace

std::vector<FencePlace> open_fence_places(const Operations& parking) noexcept {
  const int abi = landlock_abi();
  std::vector<FencePlace> out;
  const os::Fd root(open_root(), "/");
  bool all = root.valid();
  for (const Operation& operation : parking.list) {
    if (!all || operation.action != Action::kAllowPath) continue;
    FencePlace& found = out.emplace_back();
    all = find_place(root.get(), operation.path.c_str(), operation.number, abi, &found) == 0;
    all = all && (found.place = move_above(found.place)) >= 0;
  }
  if (all) return out;
  for (const FencePlace& found : out) {
    if (found.place >= 0) ::close(found.place);
  }
  return {};
}

int put_up_fence(const ProgramStep& step, ProgramState* state) noexcept {
  static const int abi = landlock_abi();
  switch (step.action) {
    case Action::kMakeFence: {
      const int made = make_ruleset(abi, false);
      if (made < 0) return -made;
      state->fence = move_above(made);
      return state->fence < 0 ? errno : 0;
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
