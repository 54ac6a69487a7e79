#include "worker/sandbox/sources.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/text.h"
#include "worker/sandbox/acting_as.h"
#include "worker/sandbox/device_nodes.h"
#include "worker/sandbox/encrypted_scratch.h"
#include "worker/sandbox/id_range.h"
#include "worker/sandbox/raw_calls.h"
#include "worker/sandbox/user_namespace.h"

namespace runink::sandbox {
namespace {

static_assert(kSourceResolve == (RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS));

// No file has this group: where an owner's group is root's, the slice gets the owner's files and not that group.
constexpr uint32_t kNoGroup = 0xFFFF'FFFE;

// `id` of the files is `slices` there. Of others the slice has nothing either way; but where an id is not in the map at
// all, the kernel lets nobody write, not even what everybody may write to. So a slice that acts as somebody, in folders
// that need not be theirs, has all others as they are, as far as they are none of slices.
std::vector<IdMap> maps_of(uint32_t id, uint32_t slices, bool with_others) {
  std::vector<IdMap> maps;
  if (with_others && id > 0) maps.push_back(IdMap{0, 0, std::min(id, kFirstSliceId)});
  maps.push_back(IdMap{id, slices, 1});
  if (with_others && id + 1 < kFirstSliceId) maps.push_back(IdMap{id + 1, id + 1, kFirstSliceId - id - 1});
  return maps;
}

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
  if (error == EACCES && source.by_specification) {
    return std::move(status).with_hint(fmt::format("the slice acts as {}:{}, who may not enter a folder of that path",
                                                   source.user, source.group));
  }
  return status;
}

Result<os::Fd> open_place(const MountSource& source) {
  ActingAs other;
  if (source.by_specification) RUNINK_RETURN_IF_ERROR(other.begin(source.user, source.group));
  os::Fd place(raw::openat2(AT_FDCWD, source.path.c_str(), O_PATH | O_CLOEXEC, kSourceResolve), source.path);
  const int error = errno;
  other.end();
  if (!place.valid()) return opening_failed(source, error);
  return place;
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
  if (source.scratch_bytes > 0) return open;  // there is nothing yet
  open.place = RUNINK_TRY(open_place(source));
  struct stat info = {};
  if (::fstat(open.place.get(), &info) != 0) return from_errno(errno, "look at " + source.path);
  open.device = info.st_dev;
  open.inode = info.st_ino;
  if (source.device) {
    const bool kind = source.block ? S_ISBLK(info.st_mode) : S_ISCHR(info.st_mode);
    const bool right =
        kind && major(info.st_rdev) == source.device_major && minor(info.st_rdev) == source.device_minor;
    if (!right) {
      return failed_precondition("{} of this host is not the {} device {}:{}", source.path,
                                 source.block ? "block" : "character", source.device_major, source.device_minor)
          .with_hint("a slice is not given something else under that name; repair the host's /dev");
    }
    return open;
  }
  // A socket or FIFO would lead out of the slice's own network and processes.
  if (!S_ISDIR(info.st_mode) && !S_ISREG(info.st_mode)) {
    return failed_precondition("mount {}: only files and folders can be mounted", escape_control(source.path));
  }
  const bool by_owner = source.mapped && !source.by_specification;
  const bool same_owner = !by_owner || (info.st_uid == source.user && info.st_gid == source.group);
  if (S_ISDIR(info.st_mode) != source.folder || !same_owner) {
    return aborted("mount {}: it was replaced while the slice was being made", escape_control(source.path))
        .with_hint("start it again");
  }
  return open;
}

Status clone_source(const MountSource& source, uint32_t users_first, uint32_t user, uint32_t group, OpenSource* open) {
  if (source.scratch_bytes > 0) {
    std::optional<model::SliceIdentity> act_as;
    if (source.by_specification) act_as = {source.user, source.group};
    open->tree = RUNINK_TRY(make_encrypted_scratch(source.path, source.scratch_bytes, act_as, users_first));
    return {};
  }
  if (source.granted) {
    const DeviceEntry device = {source.path, source.block ? 'b' : 'c', source.device_major, source.device_minor};
    open->tree = RUNINK_TRY(make_device_node(device, source.writable, users_first + group));
    return {};
  }
  const std::string shown = escape_control(source.path);
  open->tree = os::Fd(raw::clone_tree(open->place.get()), source.path);
  if (!open->tree.valid()) return from_errno(errno, fmt::format("clone the mount of {}", shown));
  if (raw::set_mount(open->tree.get(), true, mount_flags(source)) != 0) {
    return from_errno(errno, fmt::format("set the flags of the mount of {}", shown));
  }
  if (!source.mapped) return {};
  const os::Fd ids = RUNINK_TRY(make_user_namespace(
      maps_of(source.user, users_first + user, source.by_specification),
      maps_of(source.group != 0 ? source.group : kNoGroup, users_first + group, source.by_specification)));
  if (raw::set_mount(open->tree.get(), true, MOUNT_ATTR_IDMAP, static_cast<uint64_t>(ids.get())) != 0) {
    return from_errno(errno, fmt::format("let the slice act as {}:{} on {}", source.user, source.group, shown))
        .with_hint(
            "the file system there, or one mounted below it, cannot map users (id-mapped mounts); mount a folder of "
            "another one, or start the slice as that user instead of root");
  }
  return {};
}

}  // namespace runink::sandbox
