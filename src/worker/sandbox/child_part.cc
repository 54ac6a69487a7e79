// A part of a detached mount, for a slice that is to see that part and no more of it.
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/sandbox/child.h"
#include "worker/sandbox/raw_calls.h"

namespace runink::sandbox {
namespace {

// Where the whole mount is for a moment, in the slice's root: only what is attached can be cloned from.
constexpr const char* kWhole = ".part";

int attach_from_whole(int root, const char* part, const char* path) noexcept {
  const int whole = ::openat(root, kWhole, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (whole < 0) return errno;
  int error = 0;
  const int place = raw::openat2(whole, part, O_PATH | O_CLOEXEC, RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
  const int clone = place < 0 ? -1 : raw::clone_tree(place);
  if (clone < 0 || raw::attach(clone, root, path) != 0) error = errno;
  if (clone >= 0) ::close(clone);
  if (place >= 0) ::close(place);
  ::close(whole);
  return error;
}

}  // namespace

int attach_part(int root, int tree, const char* part, const char* path) noexcept {
  if (::mkdirat(root, kWhole, 0700) != 0) return errno;
  if (raw::attach(tree, root, kWhole) != 0) return errno;
  const int error = attach_from_whole(root, part, path);
  // By a path, which is looked up from the working folder: of this process it is of no other use.
  if (::fchdir(root) != 0 || ::umount2(kWhole, MNT_DETACH | UMOUNT_NOFOLLOW) != 0) return error != 0 ? error : errno;
  if (::unlinkat(root, kWhole, AT_REMOVEDIR) != 0) return error != 0 ? error : errno;
  return error;
}

}  // namespace runink::sandbox
