// The files and folders of the host that a slice gets: opened by path once, checked, and used by descriptor from then
// on.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "platform/os/fd.h"
#include "worker/sandbox/operations.h"

namespace runink::sandbox {

// The flags a source is mounted with: nosuid always; nodev unless it is a device, which is noexec instead.
uint64_t mount_flags(const MountSource& source);

// What is opened so: no part of the path may be a symbolic link, least of all a magic one of /proc.
inline constexpr uint64_t kSourceResolve = 0x04 | 0x02;  // RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS

struct OpenSource {
  os::Fd place;  // O_PATH
  os::Fd tree;   // root: the detached mount, with its flags and ids; else made inside (Action::kCloneSource)
  dev_t device = 0;
  ino_t inode = 0;
};

// Opens the source and sees that it is what was planned: of that kind and, for a device, of that number.
Result<OpenSource> open_source(const MountSource& source);

// Root: clones the mounts at and below the source, with its flags, or makes what the slice is to have instead; `users_first` is where the slice's ids begin, and
// user and group who the program is inside: on a source that is mapped, files of its user and group are theirs.
Status clone_source(const MountSource& source, uint32_t users_first, uint32_t user, uint32_t group, OpenSource* open);

}  // namespace runink::sandbox
