#include "worker/sandbox/sources.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>

#include "base/text.h"
#include "worker/sandbox/raw_calls.h"
#include "worker/sandbox/user_namespace.h"

namespace runink::sandbox {
namespace {

static_assert(kSourceResolve == (RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS));

// No file has this group: where an owner's group is root's, the slice gets the owner's files and not that group.
constexpr uint32_t kNoGroup = 0xFFFF'FFFE;

Status opening_failed(const MountSource& source, int error) {
  Status status = from_errno(error, fmt::format("open {} to mount it", escape_control(source.path)));
  if (error == ELOOP) {
    return failed_precondition("open {} to mount it: it is, or passes through, a symbolic link",
                               escape_control(source.path))
        .with_hint(fmt::format("links can be turned elsewhere in between; name the real path: realpath {}",
                               escape_control(source.path)));
  }
  if (error == ENOSYS) {
    return std::move(status).with_hint("slices need Linux 5.12 or newer");
  }
  if (error == ENOENT) return std::move(status).with_hint("only what exists can be mounted; make it first");
  return status;
}

}  // namespace

uint64_t mount_flags(const MountSource& source) {
  uint64_t flags = MOUNT_ATTR_NOSUID;
  flags |= source.device ? MOUNT_ATTR_NOEXEC : MOUNT_ATTR_NODEV;
  if (!source.writable) flags |= MOUNT_ATTR_RDONLY;
  return flags;
}

Result<OpenSource> open_source(const MountSource& source) {
  OpenSource open;
  open.place = os::Fd(raw::openat2(AT_FDCWD, source.path.c_str(), O_PATH | O_CLOEXEC, kSourceResolve), source.path);
  if (!open.place.valid()) return opening_failed(source, errno);
  struct stat info = {};
  if (::fstat(open.place.get(), &info) != 0) return from_errno(errno, "look at " + source.path);
  open.device = info.st_dev;
  open.inode = info.st_ino;
  if (source.device) {
    const bool right = S_ISCHR(info.st_mode) && major(info.st_rdev) == source.device_major &&
                       minor(info.st_rdev) == source.device_minor;
    if (!right) {
      return failed_precondition("{} of this host is not the character device {}:{}", source.path, source.device_major,
                                 source.device_minor)
          .with_hint("a slice is not given something else under that name; repair the host's /dev");
    }
    return open;
  }
  // A socket or FIFO would lead out of the slice's own network and processes.
  if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode)) {
    return failed_precondition("mount {}: only files and folders can be mounted", escape_control(source.path));
  }
  const bool same_owner = !source.as_owner || (info.st_uid == source.owner && info.st_gid == source.group);
  if (S_ISDIR(info.st_mode) != source.folder || !same_owner) {
    return aborted("mount {}: it was replaced while the slice was being made", escape_control(source.path))
        .with_hint("start it again");
  }
  return open;
}

Status clone_source(const MountSource& source, uint32_t users_first, uint32_t user, uint32_t group, OpenSource* open) {
  const std::string shown = escape_control(source.path);
  open->tree = os::Fd(raw::clone_tree(open->place.get()), source.path);
  if (!open->tree.valid()) return from_errno(errno, fmt::format("clone the mount of {}", shown));
  if (raw::set_mount(open->tree.get(), true, mount_flags(source)) != 0) {
    return from_errno(errno, fmt::format("set the flags of the mount of {}", shown));
  }
  if (!source.as_owner) return {};
  const IdMap users = {source.owner, users_first + user, 1};
  const IdMap groups = {source.group != 0 ? source.group : kNoGroup, users_first + group, 1};
  const os::Fd ids = RUNINK_TRY(make_user_namespace(users, groups));
  if (raw::set_mount(open->tree.get(), true, MOUNT_ATTR_IDMAP, static_cast<uint64_t>(ids.get())) != 0) {
    return from_errno(errno, fmt::format("let the slice act as the owner of {}", shown))
        .with_hint(
            "the file system there, or one mounted below it, cannot map users (id-mapped mounts); mount a folder of "
            "another one, or start the slice as that user instead of root");
  }
  return {};
}

}  // namespace runink::sandbox
